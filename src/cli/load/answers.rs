//! Answers on a connection: where each begins and ends, and whether it is a good one.
//!
//! Of a fetch answer only the head is looked at; the records are dropped where they arrive.

use super::error::LoadError;
use crate::protocol::frame::{self, FRAME_SIZE_LEN};
use crate::protocol::{ApiKey, Parse as _, ProtocolError, Reader, read};

/// No answer is larger: a fetch asks for less.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The bytes at the front of an answer that are looked at; a fetch answer's records begin before.
const HEAD_BYTES: usize = 1024;

/// What the answers are answers to.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Produce { version: i16 },
    Fetch { version: i16 },
    Heartbeat { version: i16 },
    OffsetCommit { version: i16 },
    OffsetFetch { version: i16 },
}

/// A stream of answers, cut where they end.
#[derive(Debug)]
pub struct Answers {
    /// What the answers are answers to, in turn.
    kinds: Vec<Kind>,
    /// Size and head of the answer under way, where it did not come in one piece.
    held: Vec<u8>,
    /// Bytes of the answer under way that are not looked at and still to come.
    skip: usize,
    /// The answer under way, once its head was read.
    current: Option<Good>,
    count: u64,
}

/// What was found in an answer without fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Good {
    pub correlation_id: i32,
    /// Which of the kinds it is.
    pub kind_index: usize,
    /// Bytes of records in it, for a fetch.
    pub records_bytes: usize,
}

impl Answers {
    pub fn new(kinds: Vec<Kind>) -> Self {
        assert!(!kinds.is_empty());
        Self { kinds, held: Vec::new(), skip: 0, current: None, count: 0 }
    }

    /// Answers seen to their end.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Takes the next received bytes; `done` is told of each answer that ends
    /// in them, with its number.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut done: impl FnMut(u64, Good) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        while !bytes.is_empty() {
            if let Some(good) = self.current {
                let now = self.skip.min(bytes.len());
                (self.skip, bytes) = (self.skip - now, &bytes[now..]);
                if self.skip == 0 {
                    self.end(good, &mut done)?;
                }
                continue;
            }
            bytes = self.head(bytes, &mut done)?;
        }
        Ok(())
    }

    /// Reads the head of an answer, or keeps what there is of it.
    fn head<'a>(
        &mut self,
        bytes: &'a [u8],
        done: &mut impl FnMut(u64, Good) -> Result<(), LoadError>,
    ) -> Result<&'a [u8], LoadError> {
        if self.held.is_empty()
            && let Some(wanted) = self.wanted(bytes)?
            && bytes.len() >= wanted
        {
            return self.begin(&bytes[..wanted], done).map(|()| &bytes[wanted..]);
        }
        let mut rest = bytes;
        loop {
            let wanted = self.wanted(&self.held)?.unwrap_or(FRAME_SIZE_LEN);
            if self.held.len() == wanted && wanted > FRAME_SIZE_LEN {
                let mut held = std::mem::take(&mut self.held);
                self.begin(&held, done)?;
                held.clear();
                self.held = held;
                return Ok(rest);
            }
            if rest.is_empty() {
                return Ok(rest);
            }
            let take = (wanted - self.held.len()).min(rest.len());
            self.held.extend_from_slice(&rest[..take]);
            rest = &rest[take..];
        }
    }

    /// Bytes of size and head, once the size is known.
    fn wanted(&self, bytes: &[u8]) -> Result<Option<usize>, LoadError> {
        let Some(size) = bytes.first_chunk::<FRAME_SIZE_LEN>() else { return Ok(None) };
        let size = frame::frame_size(*size, ANSWER_BYTES_MAX).map_err(|e| self.unreadable(e))?;
        // An answer has at least its correlation id.
        Ok(Some(FRAME_SIZE_LEN + size.clamp(4, HEAD_BYTES)))
    }

    /// An answer of whose bytes the first are `head`.
    fn begin(
        &mut self,
        head: &[u8],
        done: &mut impl FnMut(u64, Good) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        let (size, body) = head.split_first_chunk::<FRAME_SIZE_LEN>().expect("`wanted` said so");
        let size = frame::frame_size(*size, ANSWER_BYTES_MAX).map_err(|e| self.unreadable(e))?;
        let kind_index = (self.count % self.kinds.len() as u64) as usize;
        let kind = self.kinds[kind_index];
        let Seen { correlation_id, code, found } = match kind {
            Kind::Produce { version } => produced(body, version),
            Kind::Fetch { version } => fetched(body, version),
            Kind::Heartbeat { version } => heard(body, version),
            Kind::OffsetCommit { version } => committed(body, version),
            Kind::OffsetFetch { version } => fetched_offsets(body, version),
        }
        .map_err(|e| self.unreadable(e))?;
        if code != 0 {
            return Err(LoadError::Refused { answer: self.count, code });
        }
        match kind {
            Kind::Fetch { .. } if found == 0 => {
                return Err(LoadError::Empty { answer: self.count });
            }
            Kind::OffsetFetch { .. } if found == 0 => {
                return Err(LoadError::NoOffset { answer: self.count });
            }
            _ => {}
        }
        let records_bytes = if matches!(kind, Kind::Fetch { .. }) { found } else { 0 };
        let good = Good { correlation_id, kind_index, records_bytes };
        self.skip = size - body.len().min(size);
        if self.skip == 0 {
            return self.end(good, done);
        }
        self.current = Some(good);
        Ok(())
    }

    fn end(
        &mut self,
        good: Good,
        done: &mut impl FnMut(u64, Good) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        self.current = None;
        self.count += 1;
        done(self.count - 1, good)
    }

    fn unreadable(&self, source: ProtocolError) -> LoadError {
        LoadError::Answer { answer: self.count, source }
    }
}

/// What the head of an answer says.
struct Seen {
    correlation_id: i32,
    /// The first code that tells of an error, else 0.
    code: i16,
    /// Bytes of records, or offsets.
    found: usize,
}

fn first_error(mut codes: impl Iterator<Item = i16>) -> i16 {
    codes.find(|code| *code != 0).unwrap_or(0)
}

/// A produce answer, which fits into a head.
fn produced(body: &[u8], version: i16) -> Result<Seen, ProtocolError> {
    let mut reader = Reader::one(body);
    let correlation_id = frame::answer_header(&mut reader, ApiKey::Produce, version)?;
    let answer = read::ProduceResponse::parse(reader, version)?;
    let partitions = answer.responses.iter().flat_map(|topic| topic.partition_responses);
    let code = first_error(partitions.map(|one| one.error_code));
    Ok(Seen { correlation_id, code, found: 0 })
}

fn heard(body: &[u8], version: i16) -> Result<Seen, ProtocolError> {
    let mut reader = Reader::one(body);
    let correlation_id = frame::answer_header(&mut reader, ApiKey::Heartbeat, version)?;
    let answer = read::HeartbeatResponse::parse(reader, version)?;
    Ok(Seen { correlation_id, code: answer.error_code, found: 0 })
}

fn committed(body: &[u8], version: i16) -> Result<Seen, ProtocolError> {
    let mut reader = Reader::one(body);
    let correlation_id = frame::answer_header(&mut reader, ApiKey::OffsetCommit, version)?;
    let answer = read::OffsetCommitResponse::parse(reader, version)?;
    let partitions = answer.topics.iter().flat_map(|topic| topic.partitions);
    let code = first_error(partitions.map(|one| one.error_code));
    Ok(Seen { correlation_id, code, found: 0 })
}

/// Offsets of one group. Older versions have no list of groups.
fn fetched_offsets(body: &[u8], version: i16) -> Result<Seen, ProtocolError> {
    let mut reader = Reader::one(body);
    let correlation_id = frame::answer_header(&mut reader, ApiKey::OffsetFetch, version)?;
    let answer = read::OffsetFetchResponse::parse(reader, version)?;
    let of_topics = answer.topics.iter().flat_map(|topic| topic.partitions);
    let of_topics = of_topics.map(|one| (one.error_code, one.committed_offset));
    let of_groups = answer.groups.iter().flat_map(|group| group.topics);
    let of_groups = of_groups.flat_map(|topic| topic.partitions);
    let of_groups = of_groups.map(|one| (one.error_code, one.committed_offset));
    let partitions: Vec<(i16, i64)> = of_topics.chain(of_groups).collect();
    let codes = std::iter::once(answer.error_code);
    let codes = codes.chain(answer.groups.iter().map(|group| group.error_code));
    let code = first_error(codes.chain(partitions.iter().map(|(code, _)| *code)));
    let found = partitions.iter().filter(|(_, offset)| *offset >= 0).count();
    Ok(Seen { correlation_id, code, found })
}

/// Error code and length of the records of a fetch of one partition; `body` may end in them.
fn fetched(body: &[u8], version: i16) -> Result<Seen, ProtocolError> {
    let mut reader = Reader::one(body);
    let correlation_id = frame::answer_header(&mut reader, ApiKey::Fetch, version)?;
    let r = &mut reader.with_version(version, ApiKey::Fetch.facts().flexible_from);
    r.i32("ThrottleTimeMs")?;
    let code = if version >= 7 { r.i16("ErrorCode")? } else { 0 };
    if version >= 7 {
        r.i32("SessionId")?;
    }
    let seen = |code, found| Seen { correlation_id, code, found };
    if code != 0 || len(r, "Responses")? == 0 {
        return Ok(seen(code, 0));
    }
    if version >= 13 {
        r.uuid("TopicId")?;
    } else {
        r.string("Topic")?;
    }
    if len(r, "Partitions")? == 0 {
        return Ok(seen(0, 0));
    }
    r.i32("PartitionIndex")?;
    let code = r.i16("ErrorCode")?;
    r.take(if version >= 5 { 24 } else { 16 }, "HighWatermark")?;
    for _ in 0..len(r, "AbortedTransactions")? {
        r.take(16, "AbortedTransactions")?;
        r.tags("AbortedTransaction", |_, _| Ok(false))?;
    }
    if version >= 11 {
        r.i32("PreferredReadReplica")?;
    }
    Ok(seen(code, len(r, "Records")?))
}

/// Length of an array or of records; null is none.
fn len(reader: &mut Reader<'_>, field: &'static str) -> Result<usize, ProtocolError> {
    if reader.flexible() {
        return Ok((reader.uvarint(field)? as usize).saturating_sub(1));
    }
    Ok(usize::try_from(reader.i32(field)?).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Uuid;
    use crate::protocol::write::HeartbeatResponse;
    use crate::protocol::write::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
    use crate::protocol::write::offset_commit::{
        OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
    };
    use crate::protocol::write::offset_fetch::{
        OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartitions,
        OffsetFetchResponseTopics,
    };
    use crate::protocol::write::produce::{
        PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
    };
    use crate::protocol::{Encode, RecordsGap, Writer};

    fn answer(api: ApiKey, version: i16, id: i32, body: &impl Encode, records: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new();
        let start = frame::answer_begin(&mut writer, api, version, id);
        body.encode(version, &mut writer);
        writer.frame_end(start);
        writer.to_vec(|_| records)
    }

    fn produce_answer(id: i32, error_code: i16) -> Vec<u8> {
        let partition = PartitionProduceResponse { error_code, ..Default::default() };
        let topic = TopicProduceResponse {
            topic_id: Uuid([7; 16]),
            partition_responses: vec![partition],
            ..Default::default()
        };
        let body = ProduceResponse { responses: vec![topic], ..Default::default() };
        answer(ApiKey::Produce, 13, id, &body, &[])
    }

    fn fetch_answer(id: i32, version: i16, len: usize) -> Vec<u8> {
        let records = Some(RecordsGap { len, tag: 0 });
        let partition = PartitionData { records, ..Default::default() };
        let topic = FetchableTopicResponse {
            topic: "t".into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let body = FetchResponse { responses: vec![topic], ..Default::default() };
        answer(ApiKey::Fetch, version, id, &body, &vec![9; len])
    }

    /// Feeds the stream in pieces of every size up to its own.
    fn check(kind: Kind, stream: &[u8], expected: &[Good]) {
        for piece in 1..=stream.len() {
            let (mut answers, mut seen) = (Answers::new(vec![kind]), Vec::new());
            for bytes in stream.chunks(piece) {
                answers
                    .feed(bytes, |_, good| {
                        seen.push(good);
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(seen, expected, "in pieces of {piece}");
            assert_eq!(answers.count(), expected.len() as u64);
        }
    }

    #[test]
    fn answers_are_found_wherever_the_stream_is_cut() {
        let stream: Vec<u8> = (0..3).flat_map(|id| produce_answer(id, 0)).collect();
        let good = |correlation_id| Good { correlation_id, kind_index: 0, records_bytes: 0 };
        check(Kind::Produce { version: 13 }, &stream, &[good(0), good(1), good(2)]);
        for version in ApiKey::Fetch.facts().versions.clone() {
            let stream: Vec<u8> =
                [10, 3000, 900].iter().flat_map(|len| fetch_answer(5, version, *len)).collect();
            let good = |records_bytes| Good { correlation_id: 5, kind_index: 0, records_bytes };
            check(Kind::Fetch { version }, &stream, &[good(10), good(3000), good(900)]);
        }
    }

    #[test]
    fn an_answer_with_an_error_or_without_records_ends_the_load() {
        let mut answers = Answers::new(vec![Kind::Produce { version: 13 }]);
        let error = answers.feed(&produce_answer(0, 3), |_, _| Ok(())).unwrap_err();
        assert!(matches!(error, LoadError::Refused { answer: 0, code: 3 }), "{error}");
        let mut answers = Answers::new(vec![Kind::Fetch { version: 12 }]);
        let error = answers.feed(&fetch_answer(0, 12, 0), |_, _| Ok(())).unwrap_err();
        assert!(matches!(error, LoadError::Empty { answer: 0 }), "{error}");
    }

    #[test]
    fn answers_of_several_kinds_in_turn_are_told_apart() {
        let commit = |error_code| {
            let partition = OffsetCommitResponsePartition { partition_index: 0, error_code };
            let topic =
                OffsetCommitResponseTopic { partitions: vec![partition], ..Default::default() };
            let body = OffsetCommitResponse { topics: vec![topic], ..Default::default() };
            answer(ApiKey::OffsetCommit, 9, 1, &body, &[])
        };
        let fetch = |committed_offset| {
            let partition =
                OffsetFetchResponsePartitions { committed_offset, ..Default::default() };
            let topic =
                OffsetFetchResponseTopics { partitions: vec![partition], ..Default::default() };
            let group = OffsetFetchResponseGroup { topics: vec![topic], ..Default::default() };
            let body = OffsetFetchResponse { groups: vec![group], ..Default::default() };
            answer(ApiKey::OffsetFetch, 9, 2, &body, &[])
        };
        let heartbeat = answer(ApiKey::Heartbeat, 4, 0, &HeartbeatResponse::default(), &[]);
        let kinds = vec![
            Kind::Heartbeat { version: 4 },
            Kind::OffsetCommit { version: 9 },
            Kind::OffsetFetch { version: 9 },
        ];
        let round = [heartbeat.clone(), commit(0), fetch(7)].concat();
        let (mut answers, mut seen) = (Answers::new(kinds.clone()), Vec::new());
        let done = |_, good: Good| {
            seen.push((good.kind_index, good.correlation_id));
            Ok(())
        };
        answers.feed(&[round.clone(), round].concat(), done).unwrap();
        assert_eq!(seen, [(0, 0), (1, 1), (2, 2), (0, 0), (1, 1), (2, 2)]);

        let mut answers = Answers::new(kinds.clone());
        let bad = [heartbeat.clone(), commit(22)].concat();
        let error = answers.feed(&bad, |_, _| Ok(())).unwrap_err();
        assert!(matches!(error, LoadError::Refused { answer: 1, code: 22 }), "{error}");
        let mut answers = Answers::new(kinds);
        let bad = [heartbeat, commit(0), fetch(-1)].concat();
        let error = answers.feed(&bad, |_, _| Ok(())).unwrap_err();
        assert!(matches!(error, LoadError::NoOffset { answer: 2 }), "{error}");
    }
}
