//! Produce (key 0): append record batches to partitions.
//!
//! The request stays in its receive buffers: parts of it go to the owners of their partitions as
//! slices, and the answer re-reads it for the names. Per request nothing is allocated.

use super::context::Context;
use super::decode::{Unreadable, decode};
use super::error::ToCode;
use super::outbox::Outbox;
use super::pending::MustClose;
use super::produce_merge::{self, IDS_FROM, Merge};
use crate::broker::Shard;
use crate::broker::letter::Ticket;
use crate::broker::metrics::CoreMetrics;
use crate::broker::produce::{AppendOutcome, AppendPart, ProduceError};
use crate::controller::Topic;
use crate::limits::KEPT_BYTES_MAX;
use crate::model::ErrorCode;
use crate::protocol::message::write::produce::{
    BatchIndexAndErrorMessage, PartitionProduceResponse,
};
use crate::protocol::read::{ProduceRequest, produce::TopicProduceData};
use crate::protocol::{ApiKey, Parse as _, ProduceAnswer, Reader, RequestHeader, Writer, frame};
use crate::record::BatchError;
use crate::runtime::{Chain, chain};
use bumpalo::Bump;
use std::rc::Rc;
use std::sync::Arc;

/// Kafka's admin client may write the broker's own topics.
const ADMIN_CLIENT: &str = "__admin_client";
/// First version in which zstd may be used.
const ZSTD_FROM: i16 = 7;

/// A produce request under way.
pub struct ProduceJob {
    ticket: Ticket,
    pub part_count: usize,
    frame: Chain,
    version: i16,
    correlation_id: i32,
    acks: i16,
    /// Where something is named more than once.
    merge: Option<Box<Merge>>,
}

/// Sends the parts of a request on their way.
pub fn begin(
    context: &Context,
    header: &RequestHeader<'_>,
    body: Reader<'_>,
    frame: &Chain,
) -> Result<ProduceJob, Unreadable> {
    let request = decode(|| ProduceRequest::parse(body, header.version))?;
    let part_count = request.topic_data.iter().map(|topic| topic.partition_data.len()).sum();
    let shard = &context.shard;
    let ticket = shard.produces.borrow_mut().begin(part_count, &context.bell);
    let refusal = refusal(&request);
    let merge = merge(shard, &request, header.version);
    let mut index = 0;
    for topic in request.topic_data {
        let found = find(shard, &topic, header);
        for partition in topic.partition_data {
            if merge.as_ref().is_some_and(|merge| merge.is_superseded(index)) {
                shard.produces.borrow_mut().note(ticket, index, AppendOutcome::Superseded);
                index += 1;
                continue;
            }
            let records = partition.records.unwrap_or_default();
            let fault = match (&refusal, &found) {
                (Some(error), _) | (None, Err(error)) => Some(error.clone()),
                (None, Ok(_)) if records.bytes.is_empty() => Some(BatchError::NoBatch.into()),
                (None, Ok(_)) => None,
            };
            if let Some(error) = fault {
                let outcome = AppendOutcome::Failed(Box::new(error));
                shard.produces.borrow_mut().note(ticket, index, outcome);
            } else if let Ok(topic) = &found {
                shard.append(AppendPart {
                    home: shard.index() as u16,
                    ticket,
                    index,
                    topic: topic.id,
                    partition: partition.index,
                    zstd_allowed: header.version >= ZSTD_FROM,
                    batch: frame.range(records.at, records.bytes.len()),
                });
            }
            index += 1;
        }
    }
    if part_count == 0 {
        context.bell.ring();
    }
    Ok(ProduceJob {
        ticket,
        part_count,
        frame: frame.clone(),
        version: header.version,
        correlation_id: header.correlation_id,
        acks: request.acks,
        merge,
    })
}

fn merge(shard: &Shard, request: &ProduceRequest<'_>, version: i16) -> Option<Box<Merge>> {
    let mut places = shard.places.borrow_mut();
    let is_plain = produce_merge::is_plain(request, version, &mut places);
    if places.len() * size_of::<(u32, i32)>() > KEPT_BYTES_MAX {
        *places = Vec::new();
    }
    (!is_plain).then(|| Box::new(Merge::of(request, version)))
}

/// What is wrong with the request as a whole.
fn refusal(request: &ProduceRequest<'_>) -> Option<ProduceError> {
    if request.transactional_id.is_some() {
        return Some(BatchError::Transactional.into());
    }
    (!matches!(request.acks, -1..=1)).then_some(ProduceError::Acks(request.acks))
}

fn find(
    shard: &Shard,
    topic: &TopicProduceData<'_>,
    header: &RequestHeader<'_>,
) -> Result<Arc<Topic>, ProduceError> {
    let image = shard.image();
    let found = if header.version >= IDS_FROM {
        image.topic_by_id(topic.topic_id).ok_or(ProduceError::UnknownTopicId)?
    } else {
        image.topic(topic.name).ok_or(ProduceError::UnknownPartition)?
    };
    if found.name.is_internal() && header.client_id != Some(ADMIN_CLIENT) {
        return Err(ProduceError::InternalTopic(found.name.to_string()));
    }
    Ok(Arc::clone(found))
}

impl ProduceJob {
    pub fn is_done(&self, shard: &Shard) -> bool {
        shard.produces.borrow().is_done(self.ticket)
    }

    pub fn abandon(self, shard: &Shard) {
        shard.produces.borrow_mut().end(self.ticket);
    }

    /// Encodes the answer. With acks=0 there is none, and an error closes the connection: the
    /// only way to tell the client. So does a batch that our own code has failed on.
    pub fn write(self, shard: &Rc<Shard>, outbox: &mut Outbox) -> Result<(), MustClose> {
        let mut produces = shard.produces.borrow_mut();
        let broken = produces.outcomes(self.ticket).iter().find_map(|outcome| match outcome {
            AppendOutcome::Failed(error) => match &**error {
                ProduceError::Panicked(panicked) => Some(panicked),
                _ => None,
            },
            _ => None,
        });
        let result = if let Some(panicked) = broken {
            Err(MustClose(format!("Produce: {panicked}")))
        } else if self.acks == 0 {
            match produces.outcomes(self.ticket).iter().find_map(failure) {
                None => Ok(()),
                Some(error) => Err(MustClose(format!("a produce with acks=0 failed: {error}"))),
            }
        } else {
            let mut writer = shard.writer.borrow_mut();
            writer.clear();
            self.encode(produces.outcomes(self.ticket), &mut writer, shard.metrics());
            if writer.as_bytes().len() <= KEPT_BYTES_MAX {
                outbox.push_copy(writer.as_bytes());
            } else {
                // Large ones are rare: their memory is not kept for the next.
                outbox.push_bytes(std::mem::take(&mut *writer).into_buffers().0);
            }
            Ok(())
        };
        produces.end(self.ticket);
        result
    }

    fn encode(&self, outcomes: &[AppendOutcome], writer: &mut Writer, metrics: &CoreMetrics) {
        let failed = outcomes.iter().filter(|outcome| failure(outcome).is_some()).count();
        metrics.failed_produces.add(failed as u64);
        let start = frame::answer_begin(writer, ApiKey::Produce, self.version, self.correlation_id);
        match &self.merge {
            None => self.encode_plain(outcomes, writer),
            Some(merge) => self.encode_merged(merge, outcomes, writer),
        }
        writer.frame_end(start);
    }

    fn encode_plain(&self, outcomes: &[AppendOutcome], writer: &mut Writer) {
        let list = self.frame.piece_list();
        let arena = Bump::new();
        let mut reader = Reader::new(chain::pieces(&list), &arena);
        RequestHeader::parse(&mut reader).expect("it was parsed before");
        let request = ProduceRequest::parse(reader, self.version).expect("it was parsed before");
        let mut answer = ProduceAnswer::begin(writer, self.version, request.topic_data.len());
        let mut outcomes = outcomes.iter();
        for topic in request.topic_data {
            answer.topic(topic.name, topic.topic_id, topic.partition_data.len());
            for partition in topic.partition_data {
                let outcome = outcomes.next().expect("one outcome per part");
                answer.partition(&part_answer(partition.index, outcome));
            }
        }
        answer.end(0, &[]);
    }

    fn encode_merged(&self, merge: &Merge, outcomes: &[AppendOutcome], writer: &mut Writer) {
        let mut answer = ProduceAnswer::begin(writer, self.version, merge.topics.len());
        for topic in &merge.topics {
            answer.topic(&topic.name, topic.id, topic.partitions.len());
            for (index, place) in &topic.partitions {
                answer.partition(&part_answer(*index, &outcomes[*place as usize]));
            }
        }
        answer.end(0, &[]);
    }
}

fn failure(outcome: &AppendOutcome) -> Option<&ProduceError> {
    match outcome {
        AppendOutcome::Failed(error) => Some(error),
        AppendOutcome::Waiting | AppendOutcome::Appended(_) | AppendOutcome::Superseded => None,
    }
}

fn part_answer(index: i32, outcome: &AppendOutcome) -> PartitionProduceResponse<'_> {
    let mut part = PartitionProduceResponse { index, ..PartitionProduceResponse::default() };
    match outcome {
        AppendOutcome::Waiting => unreachable!("only whole requests are answered"),
        AppendOutcome::Superseded => unreachable!("the answer names what counts"),
        AppendOutcome::Appended(appended) => {
            part.base_offset = appended.base_offset.0;
            part.log_append_time_ms = appended.log_append_time.0;
            part.log_start_offset = appended.log_start_offset.0;
        }
        AppendOutcome::Failed(error) => {
            part.error_code = error.code().code();
            part.base_offset = -1;
            part.error_message = Some(error.to_string().into());
            if let ProduceError::Batch(BatchError::Record { index, .. }) = &**error {
                part.record_errors = vec![BatchIndexAndErrorMessage {
                    batch_index: *index,
                    batch_index_error_message: Some(error.to_string().into()),
                }];
            }
            debug_assert!(part.error_code != ErrorCode::None.code());
        }
    }
    part
}
