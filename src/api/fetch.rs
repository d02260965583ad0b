//! Fetch (key 1): read record batches, as spans of segment files.
//!
//! A connection's fetches run one after the other on its *lane*, a task that lives as long as the
//! connection: what a fetch needs is allocated once and used again.

use super::context::Context;
use super::decode::{Unreadable, decode};
use super::error::ToCode;
use super::outbox::Outbox;
use crate::base::Pieces;
use crate::broker::Shard;
use crate::broker::fetch::{FetchBounds, Fetcher, Read, ReadOutcome, ReadPart};
use crate::broker::fetch_session::{
    Answered, EntryIndex, FetchEntries, NewEntry, PartitionKey, SessionCache, SessionContext,
    SessionError, SessionRequest,
};
use crate::limits::KEPT_BYTES_MAX;
use crate::log::Span;
use crate::model::{ErrorCode, LeaderEpoch, Offset, TopicId};
use crate::protocol::message::write::fetch::{EpochEndOffset, PartitionData};
use crate::protocol::read::FetchRequest;
use crate::protocol::{
    ApiKey, FetchAnswer, FetchHead, Parse as _, Reader, RecordsGap, RequestHeader, Writer, frame,
};
use crate::runtime::sync::Bell;
use crate::runtime::{Chain, chain};
use bumpalo::Bump;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// First version that names topics by id.
const IDS_FROM: i16 = 13;
/// Isolation level of consumers that want committed records only.
const READ_COMMITTED: i8 = 1;

/// Jobs that a connection keeps for its next fetches, and the largest request that one may keep.
const SPARE_JOBS_MAX: usize = 4;
const SPARE_REQUEST_BYTES_MAX: usize = 64 << 10;
/// Longest wait of a request that is too large to be copied: it keeps its receive buffers.
const LARGE_REQUEST_WAIT_MAX: Duration = Duration::from_millis(500);
/// Answers that may be done and not written before a lane goes on.
const READY_BYTES_MAX: usize = 1 << 20;

/// A fetch on its way; the lane leaves the encoded answer in it. Used again and again.
#[derive(Default)]
pub struct FetchJob {
    /// The request, copied: it may wait long, and receive buffers are few.
    request: RefCell<Vec<u8>>,
    /// A large request as it came: its buffers are charged to the memory for requests, and a copy
    /// would not be.
    large: RefCell<Option<Chain>>,
    version: Cell<i16>,
    correlation_id: Cell<i32>,
    is_done: Cell<bool>,
    answer: RefCell<Encoded>,
}

/// An encoded answer: bytes with gaps, and the spans that fill them.
#[derive(Default)]
struct Encoded {
    writer: Writer,
    spans: Vec<Option<Span>>,
}

/// One connection's fetches.
pub struct FetchLane {
    queue: RefCell<VecDeque<Rc<FetchJob>>>,
    bell: Bell,
    is_closed: Cell<bool>,
    /// Jobs that were answered, with their buffers.
    spare: RefCell<Vec<Rc<FetchJob>>>,
    /// Bytes of the answers that are done and not written, those of files aside.
    ready_bytes: Cell<usize>,
}

/// What the lane's task uses again and again.
#[derive(Default)]
struct Memory {
    /// Entries of requests without a session.
    full: FetchEntries,
    /// The entries in the order of reading, with the error of those that could not be sent out.
    order: Vec<(EntryIndex, Option<ErrorCode>)>,
    /// The others, in the same order.
    parts: Vec<ReadPart>,
    outcomes: Vec<ReadOutcome>,
    /// By place in `order`: whether it belongs into the answer.
    included: Vec<bool>,
}

impl Memory {
    /// Whether it is more than what is kept for the next fetch.
    fn is_large(&self) -> bool {
        self.order.capacity() * size_of::<ReadOutcome>() > KEPT_BYTES_MAX
    }
}

/// Checks a fetch and puts it on its connection's lane.
pub fn begin(
    context: &Rc<Context>,
    header: &RequestHeader<'_>,
    body: Reader<'_>,
    frame: &Chain,
) -> Result<Rc<FetchJob>, Unreadable> {
    decode(|| FetchRequest::parse(body, header.version))?;
    let lane = Rc::clone(context.lane.borrow_mut().get_or_insert_with(|| open_lane(context)));
    let job = lane.spare.borrow_mut().pop().unwrap_or_default();
    if frame.len() <= SPARE_REQUEST_BYTES_MAX {
        frame.slices().for_each(|slice| job.request.borrow_mut().extend_from_slice(slice));
    } else {
        job.large.replace(Some(frame.clone()));
    }
    job.version.set(header.version);
    job.correlation_id.set(header.correlation_id);
    job.is_done.set(false);
    lane.queue.borrow_mut().push_back(Rc::clone(&job));
    lane.bell.ring();
    Ok(job)
}

fn open_lane(context: &Rc<Context>) -> Rc<FetchLane> {
    let lane = Rc::new(FetchLane {
        queue: RefCell::default(),
        bell: Bell::default(),
        is_closed: Cell::new(false),
        spare: RefCell::default(),
        ready_bytes: Cell::new(0),
    });
    let shard = Rc::clone(&context.shard);
    let (bell, owned) = (Rc::clone(&context.bell), Rc::clone(&lane));
    context.shard.core().spawn(async move {
        let fetcher = shard.open_fetcher();
        let mut memory = Memory::default();
        while !owned.is_closed.get() {
            let Some(job) = owned.next() else {
                owned.bell.heard().await;
                continue;
            };
            // A connection that closes ends its long poll too.
            let closed = async {
                while !owned.is_closed.get() {
                    owned.bell.heard().await;
                }
            };
            crate::runtime::sync::race(run(&shard, &fetcher, &job, &mut memory), closed).await;
            if memory.is_large() {
                memory = Memory::default();
            }
            owned.note_done(&job);
            bell.ring();
        }
        shard.close_fetcher(&fetcher);
    });
    lane
}

impl FetchLane {
    /// The next fetch to work on; none while answers enough wait for the client to read: one that
    /// asks a large session anew and anew, in a few bytes, would pile them up.
    fn next(&self) -> Option<Rc<FetchJob>> {
        let may_go_on = self.ready_bytes.get() <= READY_BYTES_MAX;
        may_go_on.then(|| self.queue.borrow_mut().pop_front()).flatten()
    }

    fn note_done(&self, job: &FetchJob) {
        let len = job.answer.borrow().writer.as_bytes().len();
        self.ready_bytes.set(self.ready_bytes.get() + len);
        job.is_done.set(true);
    }

    fn note_written(&self, len: usize) {
        self.ready_bytes.set(self.ready_bytes.get() - len);
        self.bell.ring();
    }

    /// Ends the lane: its connection has gone.
    pub fn close(&self) {
        self.is_closed.set(true);
        self.bell.ring();
    }
}

impl FetchJob {
    pub fn is_done(&self) -> bool {
        self.is_done.get()
    }

    /// Hands the answer out; the job goes back to its lane to be used again.
    pub fn write(self: Rc<Self>, lane: Option<&FetchLane>, outbox: &mut Outbox) {
        let mut answer = self.answer.borrow_mut();
        let Encoded { writer, spans } = &mut *answer;
        outbox.push_written(writer, |tag| spans[tag].take().expect("each gap has its span, once"));
        let len = writer.as_bytes().len();
        writer.clear();
        spans.clear();
        drop(answer);
        self.request.borrow_mut().clear();
        let is_small =
            len <= KEPT_BYTES_MAX && self.request.borrow().capacity() <= SPARE_REQUEST_BYTES_MAX;
        let Some(lane) = lane else { return };
        lane.note_written(len);
        // The lane's task has let go of it: a job that is done is nobody's but ours.
        if is_small && Rc::strong_count(&self) == 1 {
            let mut spare = lane.spare.borrow_mut();
            if spare.len() < SPARE_JOBS_MAX {
                spare.push(self);
            }
        }
    }
}

/// Answers one fetch, waiting for data as long as it allows.
async fn run(shard: &Rc<Shard>, fetcher: &Fetcher, job: &FetchJob, memory: &mut Memory) {
    if let Some(large) = job.large.take() {
        let pieces = large.piece_list();
        return answer(shard, fetcher, job, chain::pieces(&pieces), memory).await;
    }
    let bytes = job.request.take();
    answer(shard, fetcher, job, Pieces::one(&bytes), memory).await;
    job.request.replace(bytes);
}

async fn answer(
    shard: &Rc<Shard>,
    fetcher: &Fetcher,
    job: &FetchJob,
    bytes: Pieces<'_>,
    memory: &mut Memory,
) {
    let version = job.version.get();
    let arena = Bump::new();
    let mut reader = Reader::new(bytes, &arena);
    RequestHeader::parse(&mut reader).expect("it was parsed before");
    let request = FetchRequest::parse(reader, version).expect("it was parsed before");
    let opened = open_session(shard, &request, version, memory)
        .and_then(|context| fill_parts(shard, &context, version, memory).map(|()| context));
    let context = match opened {
        Ok(context) => context,
        Err(error) => return encode_refusal(job, &error),
    };
    let broker_max = shard.facts.config.fetch_bytes_max as usize;
    let mut wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    if bytes.len() > SPARE_REQUEST_BYTES_MAX {
        wait = wait.min(LARGE_REQUEST_WAIT_MAX);
    }
    let is_faulty = memory.order.iter().any(|(_, fault)| fault.is_some());
    let bytes_max = usize::try_from(request.max_bytes).unwrap_or(0).min(broker_max);
    // An answer that is full is enough, whatever the client waits for.
    let bytes_min = usize::try_from(request.min_bytes).unwrap_or(0).min(bytes_max);
    let bounds = FetchBounds {
        bytes_min: if is_faulty { 0 } else { bytes_min },
        bytes_max,
        deadline: shard.core().now() + wait,
    };
    shard.fetch(fetcher, &memory.parts, bounds, &mut memory.outcomes).await;
    let is_committed = request.isolation_level == READ_COMMITTED;
    if let Err(error) = encode(shard, job, context, is_committed, memory) {
        encode_refusal(job, &error);
    }
}

/// Finds or makes the session, and applies what the request changes of it.
fn open_session(
    shard: &Shard,
    request: &FetchRequest<'_>,
    version: i16,
    memory: &mut Memory,
) -> Result<SessionContext, SessionError> {
    let wanted = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(move |partition| NewEntry {
            name: topic.topic,
            id: topic.topic_id,
            partition: partition.partition,
            offset: Offset(partition.fetch_offset),
            bytes_max: partition.partition_max_bytes,
            leader_epoch: LeaderEpoch(partition.current_leader_epoch),
            last_epoch: LeaderEpoch(partition.last_fetched_epoch),
            log_start_offset: Offset(partition.log_start_offset),
        })
    });
    let forgotten = request.forgotten_topics_data.iter().flat_map(|topic| {
        let (name, id) = (topic.topic, topic.topic_id);
        topic.partitions.iter().map(move |partition| PartitionKey { name, id, partition })
    });
    let asked = SessionRequest {
        id: request.session_id,
        epoch: request.session_epoch,
        uses_ids: version >= IDS_FROM,
        is_follower: request.replica_id >= 0 || request.replica_state.replica_id >= 0,
    };
    // Version 6 and older know no sessions.
    let asked = if version < 7 { SessionRequest { id: 0, epoch: -1, ..asked } } else { asked };
    let now = shard.core().now();
    shard.sessions.borrow_mut().begin(now, asked, wanted, forgotten, &mut memory.full)
}

fn session_code(error: &SessionError) -> ErrorCode {
    match error {
        SessionError::NotFound { .. } | SessionError::Outgrown { .. } => {
            ErrorCode::FetchSessionIdNotFound
        }
        SessionError::Epoch { .. } | SessionError::Overtaken { .. } => {
            ErrorCode::InvalidFetchSessionEpoch
        }
        SessionError::TopicIds { .. } => ErrorCode::FetchSessionTopicIdError,
        SessionError::TooMany { .. } => ErrorCode::InvalidRequest,
    }
}

/// Makes the parts of a round from the session's entries; entries of topics that are not here get
/// an error instead.
fn fill_parts(
    shard: &Shard,
    context: &SessionContext,
    version: i16,
    memory: &mut Memory,
) -> Result<(), SessionError> {
    memory.parts.clear();
    memory.order.clear();
    let sessions = shard.sessions.borrow();
    let image = shard.image();
    for (index, entry) in sessions.entries(context, &memory.full)?.iter() {
        let topic = if version >= IDS_FROM {
            image.topic_by_id(entry.id).ok_or(ErrorCode::UnknownTopicId)
        } else {
            image.topic(&entry.name).ok_or(ErrorCode::UnknownTopicOrPartition)
        };
        let found = topic.and_then(|topic| {
            let is_there = (0..topic.partitions.len() as i32).contains(&entry.partition);
            is_there.then_some(topic.id).ok_or(ErrorCode::UnknownTopicOrPartition)
        });
        memory.order.push((index, found.err()));
        if let Ok(topic) = found {
            memory.parts.push(ReadPart {
                index: memory.parts.len() as u32,
                topic,
                partition: entry.partition,
                offset: entry.offset,
                bytes_max: u32::try_from(entry.bytes_max).unwrap_or(0),
                leader_epoch: entry.leader_epoch,
                last_epoch: entry.last_epoch,
            });
        }
    }
    Ok(())
}

fn encode_refusal(job: &FetchJob, error: &SessionError) {
    let mut answer = job.answer.borrow_mut();
    let writer = &mut answer.writer;
    let start =
        frame::answer_begin(writer, ApiKey::Fetch, job.version.get(), job.correlation_id.get());
    let (session_id, error) = (error.answer_session_id(), session_code(error));
    let head = FetchHead { throttle_time_ms: 0, error, session_id };
    FetchAnswer::begin(writer, job.version.get(), head, 0).end(&[]);
    writer.frame_end(start);
}

/// Encodes the answer: in a session only what has changed.
fn encode(
    shard: &Shard,
    job: &FetchJob,
    context: SessionContext,
    is_committed: bool,
    memory: &mut Memory,
) -> Result<(), SessionError> {
    let mut sessions = shard.sessions.borrow_mut();
    decide(&mut sessions, &context, memory)?;
    let Memory { full, order, outcomes, included, .. } = memory;
    let random = || u64::from_ne_bytes(shard.core().random());
    let finished = sessions.finish(shard.core().now(), context, full, random)?;
    let mut answer = job.answer.borrow_mut();
    let Encoded { writer, spans } = &mut *answer;
    let start =
        frame::answer_begin(writer, ApiKey::Fetch, job.version.get(), job.correlation_id.get());
    let session_id = finished.session_id;
    let head = FetchHead { throttle_time_ms: 0, error: ErrorCode::None, session_id };
    let topic_of = |index: EntryIndex| {
        let entry = finished.entries.get(index).expect("entries of an answer stay");
        (entry.id, &*entry.name, entry.partition)
    };
    let runs = Runs { order, included, topic_of };
    let mut body = FetchAnswer::begin(writer, job.version.get(), head, runs.count());
    let mut outcomes = outcomes.iter_mut();
    let (mut bytes, mut failed, mut last) = (0, 0, None);
    for (place, (index, fault)) in order.iter().enumerate() {
        let outcome = if fault.is_some() { None } else { outcomes.next() };
        if !included[place] {
            continue;
        }
        let (id, name, partition) = topic_of(*index);
        if last.replace((id, name)) != Some((id, name)) {
            body.topic(name, id, runs.len(place));
        }
        let part = part_answer(partition, *fault, outcome, is_committed, spans);
        failed += u64::from(part.error_code != ErrorCode::None.code());
        bytes += part.records.map_or(0, |records| records.len as u64);
        body.partition(&part);
    }
    body.end(&[]);
    writer.frame_end(start);
    shard.metrics().bytes_out.add(bytes);
    shard.metrics().failed_fetches.add(failed);
    Ok(())
}

/// Asks the session of each entry whether it belongs into the answer.
fn decide(
    sessions: &mut SessionCache,
    context: &SessionContext,
    memory: &mut Memory,
) -> Result<(), SessionError> {
    memory.included.clear();
    let mut outcomes = memory.outcomes.iter();
    let mut answering = sessions.answer(context, &mut memory.full)?;
    for (index, fault) in &memory.order {
        let outcome = if fault.is_some() { None } else { outcomes.next() };
        let answered = match outcome {
            Some(ReadOutcome::Read(read)) => Answered {
                bytes: read.span.as_ref().map_or(0, |span| span.len),
                high_watermark: read.high_watermark,
                log_start_offset: read.log_start_offset,
                is_error: false,
                is_diverging: read.diverging.is_some(),
                has_preferred_replica: false,
            },
            _ => Answered {
                bytes: 0,
                high_watermark: Offset(-1),
                log_start_offset: Offset(-1),
                is_error: true,
                is_diverging: false,
                has_preferred_replica: false,
            },
        };
        memory.included.push(answering.note(*index, &answered));
    }
    Ok(())
}

/// Entries of one topic that follow each other share a head in the answer.
struct Runs<'m, F> {
    order: &'m [(EntryIndex, Option<ErrorCode>)],
    included: &'m [bool],
    topic_of: F,
}

impl<'m, F: Fn(EntryIndex) -> (TopicId, &'m str, i32)> Runs<'m, F> {
    fn topics(&self, from: usize) -> impl Iterator<Item = (TopicId, &'m str)> {
        let kept = self.order[from..].iter().zip(&self.included[from..]);
        kept.filter(|(_, kept)| **kept).map(|((index, _), _)| {
            let (id, name, _) = (self.topic_of)(*index);
            (id, name)
        })
    }

    fn count(&self) -> usize {
        let mut last = None;
        self.topics(0).filter(|topic| last.replace(*topic) != Some(*topic)).count()
    }

    /// Entries of the run that begins at this place.
    fn len(&self, from: usize) -> usize {
        let mut topics = self.topics(from);
        let first = topics.next();
        1 + topics.take_while(|topic| Some(*topic) == first).count()
    }
}

fn part_answer(
    partition_index: i32,
    fault: Option<ErrorCode>,
    outcome: Option<&mut ReadOutcome>,
    is_committed: bool,
    spans: &mut Vec<Option<Span>>,
) -> PartitionData {
    let mut part = PartitionData {
        partition_index,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        aborted_transactions: None,
        preferred_read_replica: -1,
        records: Some(RecordsGap::default()),
        ..PartitionData::default()
    };
    match (fault, outcome) {
        (Some(code), _) => part.error_code = code.code(),
        (None, Some(ReadOutcome::Read(read))) => fill_read(&mut part, read, is_committed, spans),
        (None, Some(ReadOutcome::Failed(error))) => part.error_code = error.code().code(),
        (None, None | Some(ReadOutcome::Waiting)) => unreachable!("every part has been read"),
    }
    part
}

fn fill_read(
    part: &mut PartitionData,
    read: &mut Read,
    is_committed: bool,
    spans: &mut Vec<Option<Span>>,
) {
    part.high_watermark = read.high_watermark.0;
    part.last_stable_offset = read.last_stable_offset.0;
    part.log_start_offset = read.log_start_offset.0;
    // Nothing has been aborted; who does not ask for that is told nothing.
    part.aborted_transactions = is_committed.then(Vec::new);
    if let Some((epoch, end_offset)) = read.diverging {
        part.diverging_epoch = EpochEndOffset { epoch: epoch.0, end_offset: end_offset.0 };
    }
    if let Some(span) = read.span.take() {
        part.records = Some(RecordsGap { len: span.len, tag: spans.len() });
        spans.push(Some(span));
    }
}
