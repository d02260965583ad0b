//! What a load sends: a topic made ready, and for every connection its requests, encoded once.

use super::answers::Kind;
use super::error::LoadError;
use crate::cli::client::{Acks, Client, EARLIEST, FetchLimits, LATEST, Topic};
use crate::cli::client::{fetch_request, produce_request};
use crate::model::{Offset, Timestamp};
use crate::protocol::{ApiKey, Request, RequestHeader, Writer};
use crate::record::{BatchBuilder, NewRecord};
use crate::runtime::clock;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// How long one call of the preparation may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Requests of a fetch connection, each at another offset.
const FETCH_SPREAD_MAX: usize = 256;

/// The batches of a load.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub record_bytes: usize,
    /// Bound of a batch, which holds one record at least.
    pub batch_bytes: usize,
}

/// One batch as producers send it.
#[derive(Clone, Debug)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub record_count: usize,
}

/// Requests of one connection, sent round and round. The index is the correlation id.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    bytes: Bytes,
    /// End of each frame in `bytes`.
    ends: Vec<usize>,
}

/// A load, ready to be driven.
#[derive(Clone, Debug)]
pub struct Work {
    pub address: SocketAddr,
    /// Kinds of a connection's requests, in turn; the number of its frames is a multiple.
    pub kinds: Vec<Kind>,
    /// By connection.
    pub frames: Vec<Frames>,
}

impl Frames {
    fn encode<R: Request>(version: i16, requests: &[R], records: &[u8]) -> Self {
        let mut writing = FramesWriter::default();
        for request in requests {
            writing.push(version, request, records);
        }
        writing.finish()
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// `count` frames from `first` on, round the end if need be, in at most two runs.
    pub fn run(&self, first: usize, count: usize) -> [Bytes; 2] {
        assert!(first < self.len() && count <= self.len());
        let start = |index: usize| index.checked_sub(1).map_or(0, |before| self.ends[before]);
        let until_end = count.min(self.len() - first);
        [
            self.bytes.slice(start(first)..start(first + until_end)),
            self.bytes.slice(..start(count - until_end)),
        ]
    }
}

/// Frames that are being made.
#[derive(Default)]
pub struct FramesWriter {
    writer: Writer,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl FramesWriter {
    pub fn push<R: Request>(&mut self, version: i16, request: &R, records: &[u8]) {
        self.writer.clear();
        let header = RequestHeader {
            api: R::KEY,
            version,
            correlation_id: self.ends.len() as i32,
            client_id: Some("highwater-load"),
        };
        let start = header.begin(&mut self.writer);
        request.encode(version, &mut self.writer);
        self.writer.frame_end(start);
        self.bytes.extend_from_slice(&self.writer.to_vec(|_| records));
        self.ends.push(self.bytes.len());
    }

    pub fn finish(self) -> Frames {
        Frames { bytes: self.bytes.into(), ends: self.ends }
    }
}

impl Batch {
    /// Records of `record_bytes` (their values), as many as fit. The values are random, so that a
    /// disk or a network that compresses gains nothing.
    pub fn new(shape: Shape) -> Result<Self, LoadError> {
        let mut random = crate::base::Random::new(0x1dea);
        let mut builder = BatchBuilder::new();
        let (timestamp, mut value) = (clock::wall(), vec![0; shape.record_bytes]);
        loop {
            random.fill(&mut value);
            builder.push(&NewRecord { timestamp, value: Some(&value), ..NewRecord::default() })?;
            let each = builder.unpacked_bytes() / builder.record_count() as usize;
            if builder.unpacked_bytes() + each > shape.batch_bytes {
                break;
            }
        }
        let mut bytes = Vec::new();
        let header = builder.finish(&mut bytes)?;
        Ok(Self { bytes, record_count: header.record_count as usize })
    }
}

/// The topic of a load: made if need be, with `partition_count` partitions.
pub fn topic(client: &mut Client, name: &str, partition_count: i32) -> Result<Topic, LoadError> {
    match client.create_topic(name, partition_count, &[]) {
        Ok(_) => {}
        Err(error) if error.code() == Some(crate::model::ErrorCode::TopicAlreadyExists) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(client.await_topic(name, CALL_TIMEOUT)?)
}

/// Connects for the preparation.
pub fn client(address: SocketAddr) -> Result<Client, LoadError> {
    Ok(Client::connect(address, CALL_TIMEOUT)?)
}

/// Produce requests of one batch each. Connections take the partitions in turn.
pub fn produce(
    address: SocketAddr,
    topic_name: &str,
    partition_count: i32,
    connection_count: usize,
    in_flight: usize,
    acks: Acks,
    shape: Shape,
) -> Result<(Work, Batch), LoadError> {
    let mut client = client(address)?;
    let topic = topic(&mut client, topic_name, partition_count)?;
    let version = client.versions().newest(ApiKey::Produce)?;
    let batch = Batch::new(shape)?;
    let frames = (0..connection_count).map(|index| {
        let partition = (index % topic.partition_count.max(1)) as i32;
        let request = produce_request(&topic.name, topic.id, partition, acks, batch.bytes.len());
        Frames::encode(version, &vec![request; in_flight], &batch.bytes)
    });
    let frames = frames.collect();
    Ok((Work { address, kinds: vec![Kind::Produce { version }], frames }, batch))
}

/// How a load reads.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    pub connections: usize,
    pub in_flight: usize,
    /// Bytes that each fetch asks for.
    pub fetch_bytes: i32,
    /// Bytes that an empty topic is filled with.
    pub fill_bytes: usize,
}

/// Fetch requests over a topic that is filled first, if it is empty.
pub fn fetch(
    address: SocketAddr,
    topic_name: &str,
    partition_count: i32,
    reads: Reads,
    shape: Shape,
) -> Result<(Work, Batch), LoadError> {
    let mut client = client(address)?;
    let topic = topic(&mut client, topic_name, partition_count)?;
    let version = client.versions().newest(ApiKey::Fetch)?;
    let batch = Batch::new(shape)?;
    let fill_bytes = reads.fill_bytes / topic.partition_count.max(1);
    for partition in 0..topic.partition_count {
        fill(&mut client, &topic, partition as i32, &batch, fill_bytes)?;
    }
    let limits = FetchLimits { max_bytes: reads.fetch_bytes, ..FetchLimits::default() };
    let mut frames = Vec::new();
    for index in 0..reads.connections {
        let partition = (index % topic.partition_count.max(1)) as i32;
        let offsets = fetch_offsets(&mut client, &topic, partition, &batch, reads)?;
        let requests: Vec<_> = offsets
            .into_iter()
            .map(|offset| fetch_request(&topic.name, topic.id, partition, offset, limits))
            .collect();
        frames.push(Frames::encode(version, &requests, &[]));
    }
    Ok((Work { address, kinds: vec![Kind::Fetch { version }], frames }, batch))
}

fn fill(
    client: &mut Client,
    topic: &Topic,
    partition: i32,
    batch: &Batch,
    bytes: usize,
) -> Result<(), LoadError> {
    if client.list_offset(&topic.name, partition, LATEST)?.offset > Offset::ZERO {
        return Ok(());
    }
    // One at a time: a request holds one batch per partition, in every version that is served.
    for _ in 0..bytes.div_ceil(batch.bytes.len()).max(1) {
        client.produce(&topic.name, partition, Acks::Leader, &batch.bytes)?;
    }
    Ok(())
}

/// Offsets such that fetches of `fetch_bytes` at each walk over the whole partition.
fn fetch_offsets(
    client: &mut Client,
    topic: &Topic,
    partition: i32,
    batch: &Batch,
    reads: Reads,
) -> Result<Vec<Offset>, LoadError> {
    let mut place = |at: Timestamp| client.list_offset(&topic.name, partition, at);
    let (start, end) = (place(EARLIEST)?.offset, place(LATEST)?.offset);
    let batches_per_fetch = (reads.fetch_bytes as usize / batch.bytes.len()).max(1);
    let step = (batches_per_fetch * batch.record_count) as i64;
    // Where the end is near a fetch gives less, so the last whole step is the last.
    let steps = ((end.0 - start.0) / step).clamp(1, FETCH_SPREAD_MAX as i64);
    let mut offsets: Vec<_> = (0..steps).map(|index| start.plus(index * step)).collect();
    let whole = offsets.clone();
    while offsets.len() < reads.in_flight {
        offsets.extend_from_slice(&whole);
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::batches::read_batches;
    use crate::protocol::write::MetadataRequest;

    #[test]
    fn frames_go_round_without_a_gap() {
        let requests = vec![MetadataRequest::default(); 5];
        let frames = Frames::encode(9, &requests, &[]);
        let all = frames.bytes.to_vec();
        let each = all.len() / 5;
        for first in 0..5 {
            for count in 0..=5 {
                let expected: Vec<u8> =
                    all.iter().chain(&all).skip(first * each).take(count * each).copied().collect();
                assert_eq!(frames.run(first, count).concat(), expected, "{first} {count}");
            }
        }
    }

    #[test]
    fn a_batch_is_as_large_as_it_may_be_and_holds_one_record_at_least() {
        let batch = Batch::new(Shape { record_bytes: 1024, batch_bytes: 16 * 1024 }).unwrap();
        assert_eq!(batch.record_count, 15);
        assert!(batch.bytes.len() <= 16 * 1024);
        let read = read_batches(&batch.bytes).unwrap();
        assert_eq!(read[0].records.len(), 15);
        assert!(read[0].records.iter().all(|r| r.value.as_ref().unwrap().len() == 1024));
        let single = Batch::new(Shape { record_bytes: 100, batch_bytes: 1 }).unwrap();
        assert_eq!(single.record_count, 1);
    }
}
