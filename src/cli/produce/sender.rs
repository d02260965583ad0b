//! Batches to leaders: one request to each, until all are taken or given up.

use super::input::Outgoing;
use crate::cli::client::Acks;
use crate::cli::client_error::ClientError;
use crate::cli::cluster::{Cluster, TopicState};
use crate::cli::failure::Failure;
use crate::model::{ErrorCode, ProducerEpoch, ProducerId, Timestamp, TopicId};
use crate::protocol::ApiKey;
use crate::protocol::write::produce::{PartitionProduceData, TopicProduceData};
use crate::protocol::write::{InitProducerIdRequest, ProduceRequest};
use crate::protocol::{RecordsGap, Request};
use crate::record::batch::sequence_plus;
use crate::record::{BatchBuilder, NewRecord, Packing};
use crate::runtime::clock;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// First version of Produce that names topics by id.
const BY_ID_FROM: i16 = 13;
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// Records of one partition that are sent as one batch.
type Batch = (i32, Vec<Outgoing>);

/// Sends batches of one topic.
pub struct Sender {
    cluster: Cluster,
    topic: TopicState,
    acks: Acks,
    packing: Packing,
    producer: Option<Producer>,
    pub delivered: u64,
}

/// An idempotent producer: the broker takes no batch twice, and none out of order.
struct Producer {
    id: ProducerId,
    epoch: ProducerEpoch,
    /// What each partition's next batch begins with.
    sequences: BTreeMap<i32, i32>,
}

/// A record that was not taken.
#[derive(Debug)]
pub struct Undelivered {
    pub record: Outgoing,
    pub reason: String,
    pub code: Option<ErrorCode>,
}

/// What a broker says of one partition.
struct Verdict {
    partition: i32,
    code: ErrorCode,
    message: Option<String>,
    /// By index in the batch.
    records: BTreeMap<i32, String>,
}

impl Sender {
    pub fn new(
        cluster: Cluster,
        topic: TopicState,
        acks: Acks,
        packing: Packing,
    ) -> Result<Self, Failure> {
        let mut sender = Self { cluster, topic, acks, packing, producer: None, delivered: 0 };
        sender.begin_producer()?;
        Ok(sender)
    }

    pub fn partition_count(&self) -> i32 {
        self.topic.partitions.len() as i32
    }

    /// A fresh identity; only with acks=all does one mean anything.
    fn begin_producer(&mut self) -> Result<(), Failure> {
        if self.acks != Acks::All {
            return Ok(());
        }
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: self.cluster.timeout_ms(),
            ..InitProducerIdRequest::default()
        };
        self.producer = self.cluster.read("a producer's id", |cluster| {
            let answer = cluster.call(&request)?;
            let view = answer.view();
            let about = "a producer";
            crate::cli::client_error::accepted(
                ApiKey::InitProducerId,
                about,
                view.error_code,
                None,
            )?;
            Ok(Some(Producer {
                id: ProducerId(view.producer_id),
                epoch: ProducerEpoch(view.producer_epoch),
                sequences: BTreeMap::new(),
            }))
        })?;
        Ok(())
    }

    /// Sends batches; those of one partition in their order. What was not taken comes back.
    pub fn send(&mut self, batches: Vec<Batch>) -> Result<Vec<Undelivered>, Failure> {
        let mut queue: VecDeque<Batch> = batches.into();
        let mut failed = Vec::new();
        let mut give_up = clock::monotonic() + self.cluster.timeout();
        while !queue.is_empty() {
            let before = queue.iter().map(|(_, records)| records.len()).sum::<usize>();
            let round = self.round(&mut queue, &mut failed)?;
            let after = queue.iter().map(|(_, records)| records.len()).sum::<usize>();
            if after < before {
                give_up = clock::monotonic() + self.cluster.timeout();
            }
            let Some(reason) = round else { continue };
            if clock::monotonic() >= give_up {
                // Whether the last attempt was taken is not known: its numbers are not used again.
                for (_, records) in queue.drain(..) {
                    let told = |record| Undelivered { record, reason: reason.clone(), code: None };
                    failed.extend(records.into_iter().map(told));
                }
                self.begin_producer()?;
                break;
            }
            std::thread::sleep(TRY_AGAIN);
            self.look_up()?;
        }
        Ok(failed)
    }

    fn look_up(&mut self) -> Result<(), Failure> {
        let name = self.topic.name.clone();
        self.topic = self.cluster.topic(&name)?;
        Ok(())
    }

    /// The first batch of every partition to its leader, and what came of it; why some must be tried
    /// again, if so.
    fn round(
        &mut self,
        queue: &mut VecDeque<Batch>,
        failed: &mut Vec<Undelivered>,
    ) -> Result<Option<String>, Failure> {
        let mut again = None;
        let mut by_leader: BTreeMap<i32, Vec<Batch>> = BTreeMap::new();
        let (mut rest, mut seen) = (VecDeque::new(), BTreeSet::new());
        for batch in queue.drain(..) {
            let leader =
                self.topic.partitions.iter().find(|p| p.index == batch.0).and_then(|p| p.leader);
            match leader {
                Some(leader) if seen.insert(batch.0) => {
                    by_leader.entry(leader).or_default().push(batch);
                }
                leader => {
                    if leader.is_none() {
                        again = Some(format!("partition {} has no leader", batch.0));
                    }
                    rest.push_back(batch);
                }
            }
        }
        // Halves and repetitions go before what follows them.
        for (leader, batches) in by_leader {
            let verdicts = match self.ask(leader, &batches)? {
                Ok(verdicts) => verdicts,
                Err(error) if error.is_retriable() || error.is_closed() => {
                    again = Some(error.to_string());
                    self.cluster.read("the brokers", Cluster::refresh)?;
                    put_back(&mut rest, batches);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for batch in batches {
                let verdict = verdicts.iter().find(|verdict| verdict.partition == batch.0);
                if let Some(reason) = self.judge(batch, verdict, &mut rest, failed)? {
                    again = Some(reason);
                }
            }
        }
        *queue = rest;
        Ok(again)
    }

    /// Takes a verdict over; why the batch must be sent again, if so.
    fn judge(
        &mut self,
        (partition, records): Batch,
        verdict: Option<&Verdict>,
        rest: &mut VecDeque<Batch>,
        failed: &mut Vec<Undelivered>,
    ) -> Result<Option<String>, Failure> {
        let none = Verdict {
            partition,
            code: ErrorCode::UnknownServerError,
            message: Some("the broker said nothing of it".to_owned()),
            records: BTreeMap::new(),
        };
        let Verdict { code, message, records: by_index, .. } = verdict.unwrap_or(&none);
        let told = |code: ErrorCode| match message {
            Some(message) => format!("{code}: {message}"),
            None => format!("{code}: {}", code.message()),
        };
        match *code {
            // Taken before, and the answer was lost.
            ErrorCode::None | ErrorCode::DuplicateSequenceNumber => {
                self.delivered += records.len() as u64;
                if let Some(producer) = &mut self.producer {
                    let next = producer.sequences.entry(partition).or_insert(0);
                    *next = sequence_plus(*next, records.len() as i32);
                }
                Ok(None)
            }
            ErrorCode::OutOfOrderSequenceNumber
            | ErrorCode::UnknownProducerId
            | ErrorCode::InvalidProducerEpoch
                if self.producer.is_some() =>
            {
                self.begin_producer()?;
                put_back(rest, vec![(partition, records)]);
                Ok(Some(told(*code)))
            }
            code if code.is_retriable() && code != ErrorCode::CorruptMessage => {
                put_back(rest, vec![(partition, records)]);
                Ok(Some(told(code)))
            }
            // One of many may be what is wrong: the others are sent without it.
            ErrorCode::MessageTooLarge
            | ErrorCode::RecordListTooLarge
            | ErrorCode::InvalidRecord
            | ErrorCode::InvalidTimestamp
                if records.len() > 1 =>
            {
                let mut first = records;
                let second = first.split_off(first.len() / 2);
                put_back(rest, vec![(partition, first), (partition, second)]);
                Ok(None)
            }
            code => {
                for (index, record) in (0..).zip(records) {
                    let reason = by_index
                        .get(&index)
                        .map_or_else(|| told(code), |message| format!("{code}: {message}"));
                    failed.push(Undelivered { record, reason, code: Some(code) });
                }
                Ok(None)
            }
        }
    }

    /// One request; an error of the inner kind is the connection's.
    fn ask(
        &mut self,
        leader: i32,
        batches: &[Batch],
    ) -> Result<Result<Vec<Verdict>, ClientError>, Failure> {
        let mut built = Vec::new();
        for (partition, records) in batches {
            built.push(self.build(*partition, records)?);
        }
        let part = |(tag, ((index, _), bytes)): (usize, (&Batch, &Vec<u8>))| PartitionProduceData {
            index: *index,
            records: Some(RecordsGap { len: bytes.len(), tag }),
        };
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.acks.wire(),
            timeout_ms: self.cluster.timeout_ms(),
            topic_data: vec![TopicProduceData {
                name: self.topic.name.as_str().into(),
                topic_id: self.topic.id.unwrap_or(TopicId::ZERO),
                partition_data: batches.iter().zip(&built).enumerate().map(part).collect(),
            }],
        };
        let records: Vec<&[u8]> = built.iter().map(Vec::as_slice).collect();
        let has_id = self.topic.id.is_some();
        let (acks, cluster) = (self.acks, &mut self.cluster);
        let mut ask = || {
            let client = cluster.node(leader)?;
            let newest = client.versions().newest(ProduceRequest::KEY)?;
            let version = if has_id { newest } else { newest.min(BY_ID_FROM - 1) };
            if acks == Acks::None {
                client.connection().send_unanswered(version, &request, &records)?;
                return Ok(batches.iter().map(|(partition, _)| taken(*partition)).collect());
            }
            let answer = client.connection().call(version, &request, &records)?;
            verdicts(&answer.view())
        };
        Ok(ask())
    }

    fn build(&self, partition: i32, records: &[Outgoing]) -> Result<Vec<u8>, Failure> {
        let now = clock::wall();
        let mut builder = BatchBuilder::new();
        builder.packed(self.packing);
        if let Some(producer) = &self.producer {
            let sequence = producer.sequences.get(&partition).copied().unwrap_or(0);
            builder.producer(producer.id, producer.epoch, sequence);
        }
        let unbuilt = |error: crate::record::BuildError| {
            Failure::Usage(format!("record {} cannot be sent: {error}", records[0].number))
        };
        for record in records {
            let headers: Vec<(&str, Option<&[u8]>)> = record
                .headers
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_deref()))
                .collect();
            let timestamp = record.timestamp.map_or(now, |at| Timestamp(at.max(-1)));
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let new = NewRecord { timestamp, key, value, headers: &headers };
            builder.push(&new).map_err(unbuilt)?;
        }
        let mut out = Vec::new();
        builder.finish(&mut out).map_err(unbuilt)?;
        Ok(out)
    }
}

/// Before what follows of the same partitions.
fn put_back(rest: &mut VecDeque<Batch>, batches: Vec<Batch>) {
    for batch in batches.into_iter().rev() {
        rest.push_front(batch);
    }
}

fn taken(partition: i32) -> Verdict {
    Verdict { partition, code: ErrorCode::None, message: None, records: BTreeMap::new() }
}

fn verdicts(
    view: &crate::protocol::read::ProduceResponse<'_>,
) -> Result<Vec<Verdict>, ClientError> {
    let mut verdicts = Vec::new();
    for topic in view.responses {
        for part in topic.partition_responses {
            let about = format!("{}-{}", topic.name, part.index);
            let code = ErrorCode::from_code(part.error_code).ok_or(ClientError::UnknownCode {
                api: ApiKey::Produce,
                about,
                code: part.error_code,
            })?;
            let record = |one: crate::protocol::read::produce::BatchIndexAndErrorMessage<'_>| {
                Some((one.batch_index, one.batch_index_error_message?.to_owned()))
            };
            verdicts.push(Verdict {
                partition: part.index,
                code,
                message: part.error_message.map(str::to_owned),
                records: part.record_errors.iter().filter_map(record).collect(),
            });
        }
    }
    Ok(verdicts)
}
