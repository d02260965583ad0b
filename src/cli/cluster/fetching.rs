//! Fetching from many partitions of one leader.

use super::offsets::Place;
use super::routing::Cluster;
use crate::cli::client_error::{ClientError, accepted};
use crate::model::{ErrorCode, TopicId};
use crate::protocol::ApiKey;
use crate::protocol::write::FetchRequest;
use crate::protocol::write::fetch::{FetchPartition, FetchTopic};
use std::collections::BTreeMap;
use std::time::Duration;

/// First version of Fetch that names topics by id.
const BY_ID_FROM: i16 = 13;
/// Bytes of one answer, and of one partition in it; a larger batch comes alone.
const ANSWER_BYTES: i32 = 16 << 20;
const PARTITION_BYTES: i32 = 2 << 20;

/// What is asked of a leader.
#[derive(Clone, Debug)]
pub struct FetchPlan<'a> {
    pub leader: i32,
    /// Where to read on.
    pub wanted: Vec<(Place, i64)>,
    pub topic_ids: &'a BTreeMap<String, TopicId>,
    pub max_wait: Duration,
    pub read_committed: bool,
}

/// What one partition gave.
#[derive(Clone, Debug)]
pub struct FetchedPart {
    pub place: Place,
    pub error: Option<ErrorCode>,
    /// Where records may be read up to.
    pub readable_end: i64,
    pub log_start: i64,
    /// Aborted transactions in it: first offset and producer.
    pub aborted: Vec<(i64, i64)>,
    pub records: Vec<u8>,
}

impl Cluster {
    /// Asks a leader once; what its partitions refuse is told part by part.
    pub fn fetch(&mut self, plan: &FetchPlan<'_>) -> Result<Vec<FetchedPart>, ClientError> {
        let client = self.node(plan.leader)?;
        let newest = client.versions().newest(ApiKey::Fetch)?;
        let has_ids = plan.wanted.iter().all(|((topic, _), _)| plan.topic_ids.contains_key(topic));
        let version = if has_ids { newest } else { newest.min(BY_ID_FROM - 1) };
        let request = request(plan);
        let answer = client.connection().call(version, &request, &[])?;
        let view = answer.view();
        accepted(ApiKey::Fetch, "records", view.error_code, None)?;
        let mut parts = Vec::new();
        for topic in view.responses {
            let by_id = || plan.topic_ids.iter().find(|(_, id)| **id == topic.topic_id);
            let name = match topic.topic {
                "" => by_id().map_or("", |(name, _)| name.as_str()),
                name => name,
            };
            for part in topic.partitions {
                let place = (name.to_owned(), part.partition_index);
                let about = format!("{name}-{}", part.partition_index);
                let error = match accepted(ApiKey::Fetch, &about, part.error_code, None) {
                    Ok(()) => None,
                    Err(ClientError::Refused { code, .. }) => Some(code),
                    Err(error) => return Err(error),
                };
                let aborted = part
                    .aborted_transactions
                    .map(|all| all.iter().map(|one| (one.first_offset, one.producer_id)).collect());
                parts.push(FetchedPart {
                    place,
                    error,
                    readable_end: if plan.read_committed {
                        part.last_stable_offset
                    } else {
                        part.high_watermark
                    },
                    log_start: part.log_start_offset,
                    aborted: aborted.unwrap_or_default(),
                    records: part.records.map(|records| records.bytes.to_vec()).unwrap_or_default(),
                });
            }
        }
        Ok(parts)
    }
}

fn request<'a>(plan: &'a FetchPlan<'_>) -> FetchRequest<'a> {
    let mut topics: Vec<FetchTopic<'a>> = Vec::new();
    for ((topic, partition), offset) in &plan.wanted {
        let part = FetchPartition {
            partition: *partition,
            fetch_offset: *offset,
            partition_max_bytes: PARTITION_BYTES,
            ..FetchPartition::default()
        };
        match topics.last_mut() {
            Some(last) if last.topic == topic.as_str() => last.partitions.push(part),
            _ => topics.push(FetchTopic {
                topic: topic.as_str().into(),
                topic_id: plan.topic_ids.get(topic).copied().unwrap_or(TopicId::ZERO),
                partitions: vec![part],
            }),
        }
    }
    FetchRequest {
        max_wait_ms: i32::try_from(plan.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: 1,
        max_bytes: ANSWER_BYTES,
        isolation_level: i8::from(plan.read_committed),
        topics,
        ..FetchRequest::default()
    }
}
