//! Fetch, beneath the API: the fetcher of a connection at its home core, reads at the owners.
//!
//! A round asks every owner once and gathers spans of segment files; nothing is read into memory.
//! Too little and time left: the fetcher sleeps until an append to a partition that it watches,
//! or until its time is over. Owners wake a fetcher once per turn and partition and say which one
//! it was: the next round reads those again, and what is known of the others stays.

use super::doing::Phase;
use super::letter::{Letter, Ticket};
use super::shard::Shard;
use crate::base::{FastMap, Instant};
use crate::log::{LogError, Span};
use crate::model::{LeaderEpoch, Offset, TopicId};
use crate::runtime::sync::{self, Bell};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// One partition's part of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct ReadPart {
    /// Place of the part in the request.
    pub index: u32,
    pub topic: TopicId,
    pub partition: i32,
    pub offset: Offset,
    pub bytes_max: u32,
    /// What the client takes for the leader's epoch; -1 if it does not know.
    pub leader_epoch: LeaderEpoch,
    /// Epoch of the last batch that the client has; -1 if it does not say.
    pub last_epoch: LeaderEpoch,
}

/// What a partition says to a read.
#[derive(Clone, Debug)]
pub enum ReadOutcome {
    Waiting,
    Read(Read),
    Failed(ReadError),
}

/// A successful read.
#[derive(Clone, Debug)]
pub struct Read {
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start_offset: Offset,
    /// Where the records lie; `None`: there are none yet.
    pub span: Option<Span>,
    /// The log that the client has read is not ours: largest epoch of ours that is not newer
    /// than its own, and where that ends (KIP-595).
    pub diverging: Option<(LeaderEpoch, Offset)>,
}

/// Why a part was not read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    #[error("this server does not host this topic-partition")]
    UnknownPartition,
    #[error("offset {offset} lies outside of the log, which has {start} to {end}")]
    OutOfRange { offset: Offset, start: Offset, end: Offset },
    #[error("the leader epoch of the client is {client}, older than {ours}")]
    FencedEpoch { client: LeaderEpoch, ours: LeaderEpoch },
    #[error("the leader epoch of the client is {client}, newer than {ours}")]
    UnknownEpoch { client: LeaderEpoch, ours: LeaderEpoch },
    #[error("{0}")]
    Log(Arc<LogError>),
}

impl ReadOutcome {
    pub fn span_len(&self) -> usize {
        match self {
            Self::Read(Read { span: Some(span), .. }) => span.len,
            _ => 0,
        }
    }

    /// Whether a fetch is answered at once because of this.
    fn is_urgent(&self) -> bool {
        match self {
            Self::Waiting => false,
            Self::Read(read) => {
                read.diverging.is_some()
                    || read.span.as_ref().is_some_and(|span| span.is_of_old_segment)
            }
            Self::Failed(_) => true,
        }
    }
}

/// Parts that one owner reads, and what it says to them, in the same order. Goes there and back,
/// so that its memory is used again.
#[derive(Clone, Debug, Default)]
pub struct Errand {
    parts: Vec<ReadPart>,
    outcomes: Vec<ReadOutcome>,
    /// The request to be told of later appends, if it waits.
    watch: Option<u32>,
}

/// How much a fetch wants, and how long it waits for it.
#[derive(Clone, Copy, Debug)]
pub struct FetchBounds {
    pub bytes_min: usize,
    /// Of the whole answer; the first batch comes whole even if it is larger (KIP-74).
    pub bytes_max: usize,
    pub deadline: Instant,
}

/// Who is to be told of a partition's next append: a part of a request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    pub home: u16,
    pub fetcher: Ticket,
    /// Number of the request, unique at its home.
    pub request: u32,
    /// Place of the part in the request.
    pub index: u32,
}

/// Who watches a partition: one entry per fetcher, each until it was told. A fetcher that goes
/// away leaves its entries; they wake nobody, and the next fetcher of its ticket takes their place.
#[derive(Default)]
pub struct Watchers(FastMap<(u16, Ticket), (u32, u32)>);

impl Watchers {
    pub fn add(&mut self, watch: Watch) {
        self.0.insert((watch.home, watch.fetcher), (watch.request, watch.index));
    }

    /// Takes all out; the memory stays.
    pub fn drain(&mut self) -> impl Iterator<Item = Watch> {
        self.0.drain().map(|((home, fetcher), (request, index))| Watch {
            home,
            fetcher,
            request,
            index,
        })
    }
}

/// One connection's fetches; it works on one request at a time.
#[derive(Default)]
pub struct Fetcher {
    ticket: Cell<Ticket>,
    bell: Bell,
    round: Cell<u32>,
    /// Owners that have not answered in this round.
    waiting: Cell<u32>,
    /// Number of the request: that of its first round.
    request: Cell<u32>,
    /// Parts that were appended to since they were read.
    woken: RefCell<Vec<u32>>,
    /// Parts that this round reads.
    due: RefCell<Vec<u32>>,
    arrived: RefCell<Vec<Errand>>,
    /// Errands that are home, for the next round.
    spare: RefCell<Vec<Errand>>,
}

/// The home shard's fetchers.
#[derive(Default)]
pub struct Fetchers {
    entries: Vec<Option<Rc<Fetcher>>>,
    free: Vec<Ticket>,
    /// Rounds are counted for all fetchers together: a ticket is used again, and an answer that
    /// comes after its connection has gone must not be taken for one of the next connection's.
    round: u32,
}

impl Fetchers {
    fn open(&mut self) -> Rc<Fetcher> {
        let ticket = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() as Ticket - 1
        });
        let fetcher = Rc::new(Fetcher::default());
        fetcher.ticket.set(ticket);
        self.entries[ticket as usize] = Some(Rc::clone(&fetcher));
        fetcher
    }

    fn close(&mut self, ticket: Ticket) {
        self.entries[ticket as usize] = None;
        self.free.push(ticket);
    }

    /// Has all that sleep look around.
    pub(super) fn wake_all(&self) {
        self.entries.iter().flatten().for_each(|fetcher| fetcher.bell.ring());
    }

    fn get(&self, ticket: Ticket) -> Option<&Rc<Fetcher>> {
        self.entries.get(ticket as usize)?.as_ref()
    }

    /// Begins a round of a fetcher; answers of its rounds before are late from now on.
    fn begin_round(&mut self, fetcher: &Fetcher) -> u32 {
        self.round = self.round.wrapping_add(1);
        fetcher.round.set(self.round);
        fetcher.waiting.set(0);
        fetcher.arrived.borrow_mut().clear();
        self.round
    }

    /// Takes an owner's answer in, unless it is late.
    fn arrive(&self, ticket: Ticket, round: u32, errand: Errand) {
        let Some(fetcher) = self.get(ticket).filter(|found| found.round.get() == round) else {
            return;
        };
        fetcher.arrived.borrow_mut().push(errand);
        fetcher.waiting.set(fetcher.waiting.get() - 1);
        fetcher.bell.ring();
    }
}

impl Fetcher {
    /// A part of this request was appended to. A part watches once at a time, so that no more of
    /// them can be woken than there are.
    fn wake(&self, watch: Watch) {
        if watch.request == self.request.get() {
            self.woken.borrow_mut().push(watch.index);
            self.bell.ring();
        }
    }

    fn is_woken(&self) -> bool {
        !self.woken.borrow().is_empty()
    }

    /// Begins a request of so many parts: all are due.
    fn begin(&self, request: u32, part_count: usize) {
        self.request.set(request);
        self.woken.borrow_mut().clear();
        let mut due = self.due.borrow_mut();
        due.clear();
        due.extend(0..part_count as u32);
    }

    fn watch_of(&self, home: u16, part: &ReadPart) -> Watch {
        let (fetcher, request) = (self.ticket.get(), self.request.get());
        Watch { home, fetcher, request, index: part.index }
    }

    /// What was woken is due now.
    fn take_woken(&self) {
        let mut due = self.due.borrow_mut();
        due.clear();
        due.append(&mut self.woken.borrow_mut());
    }
}

impl Shard {
    pub fn open_fetcher(&self) -> Rc<Fetcher> {
        self.fetchers.borrow_mut().open()
    }

    /// Ends a fetcher. What it watched does not find it any more.
    pub fn close_fetcher(&self, fetcher: &Fetcher) {
        self.fetchers.borrow_mut().close(fetcher.ticket.get());
    }

    /// Reads `parts` (whose index is their place) until there is enough, or time is over.
    /// `outcomes` are in the order of the parts, with those spans that the bounds allow.
    pub async fn fetch(
        self: &Rc<Self>,
        fetcher: &Fetcher,
        parts: &[ReadPart],
        bounds: FetchBounds,
        outcomes: &mut Vec<ReadOutcome>,
    ) {
        outcomes.clear();
        outcomes.resize(parts.len(), ReadOutcome::Waiting);
        let mut round = self.fetchers.borrow_mut().begin_round(fetcher);
        fetcher.begin(round, parts.len());
        loop {
            let may_wait = bounds.bytes_min > 0 && self.may_wait(bounds.deadline);
            let due = fetcher.due.take();
            let request = Round { parts, due: &due, bytes_max: bounds.bytes_max, watch: may_wait };
            self.fetch_round(fetcher, round, request, outcomes).await;
            *fetcher.due.borrow_mut() = due;
            if !may_wait || parts.is_empty() || has_enough(parts, outcomes, bounds) {
                break;
            }
            while !fetcher.is_woken() && self.may_wait(bounds.deadline) {
                sync::race(fetcher.bell.heard(), self.core().sleep_until(bounds.deadline)).await;
            }
            if !fetcher.is_woken() {
                break;
            }
            fetcher.take_woken();
            round = self.fetchers.borrow_mut().begin_round(fetcher);
        }
        trim(outcomes, bounds.bytes_max);
    }

    fn may_wait(&self, deadline: Instant) -> bool {
        !self.is_draining() && self.core().now() < deadline
    }

    async fn fetch_round(
        self: &Rc<Self>,
        fetcher: &Fetcher,
        round: u32,
        request: Round<'_>,
        outcomes: &mut [ReadOutcome],
    ) {
        let home = self.index() as u16;
        let due = || request.due.iter().filter_map(|index| request.parts.get(*index as usize));
        due().for_each(|part| outcomes[part.index as usize] = ReadOutcome::Waiting);
        let watch = |part: &ReadPart| request.watch.then(|| fetcher.watch_of(home, part));
        for owner in (0..self.core_count()).filter(|owner| *owner != self.index()) {
            let theirs = |part: &&ReadPart| self.owner(part.topic, part.partition) == owner;
            if !due().any(|part| theirs(&part)) {
                continue;
            }
            // An owner may fill the whole answer, and no more: home drops what is too much together.
            let bytes_max = u32::try_from(request.bytes_max).unwrap_or(u32::MAX);
            let bounded =
                |part: &ReadPart| ReadPart { bytes_max: part.bytes_max.min(bytes_max), ..*part };
            let mut errand = fetcher.spare.borrow_mut().pop().unwrap_or_default();
            errand.parts.clear();
            errand.parts.extend(due().filter(theirs).map(bounded));
            errand.watch = request.watch.then(|| fetcher.request.get());
            fetcher.waiting.set(fetcher.waiting.get() + 1);
            let fetcher = fetcher.ticket.get();
            self.send(owner, Letter::Read { home, fetcher, round, errand });
        }
        let held: usize = outcomes.iter().map(ReadOutcome::span_len).sum();
        let mut left = request.bytes_max.saturating_sub(held);
        for part in due() {
            if self.owner(part.topic, part.partition) == self.index() {
                let is_first = left == request.bytes_max;
                let outcome = self.read_here(*part, left, is_first, watch(part)).await;
                left = left.saturating_sub(outcome.span_len());
                outcomes[part.index as usize] = outcome;
            }
        }
        while fetcher.waiting.get() > 0 {
            fetcher.bell.heard().await;
        }
        for mut errand in fetcher.arrived.borrow_mut().drain(..) {
            for (part, outcome) in errand.parts.iter().zip(errand.outcomes.drain(..)) {
                outcomes[part.index as usize] = outcome;
            }
            fetcher.spare.borrow_mut().push(errand);
        }
    }

    /// Reads one part of a partition that this shard owns, of at most `left` bytes unless it is
    /// the first with data, whose first batch comes whole.
    async fn read_here(
        self: &Rc<Self>,
        part: ReadPart,
        left: usize,
        is_first: bool,
        watch: Option<Watch>,
    ) -> ReadOutcome {
        let Some(partition) = self.partition(part.topic, part.partition) else {
            return ReadOutcome::Failed(ReadError::UnknownPartition);
        };
        if let Some(watch) = watch {
            partition.watch(watch);
        }
        self.doing_at(Phase::Read, part.topic, part.partition);
        partition.read(self, &part, left, is_first).await
    }

    /// Mail: another shard's fetcher asks for parts that this shard owns. What is in the page cache
    /// is found at once; only a look at the disk takes a task.
    pub(super) fn read_for(
        self: &Rc<Self>,
        home: u16,
        fetcher: Ticket,
        round: u32,
        mut errand: Errand,
    ) {
        let request = errand.watch;
        let watch = move |part: &ReadPart| {
            request.map(|request| Watch { home, fetcher, request, index: part.index })
        };
        errand.outcomes.clear();
        for part in &errand.parts {
            let Some(outcome) = self.read_now(part, watch(part)) else { break };
            errand.outcomes.push(outcome);
        }
        if errand.outcomes.len() == errand.parts.len() {
            return self.send(usize::from(home), Letter::ReadDone { fetcher, round, errand });
        }
        let shard = Rc::clone(self);
        self.core().spawn(async move {
            for part in &errand.parts[errand.outcomes.len()..] {
                // Each may be the first with data in the whole answer: home decides which is.
                let left = part.bytes_max as usize;
                errand.outcomes.push(shard.read_here(*part, left, true, watch(part)).await);
            }
            shard.send(usize::from(home), Letter::ReadDone { fetcher, round, errand });
        });
    }

    /// Reads a part without waiting; `None`: the disk must be asked.
    fn read_now(&self, part: &ReadPart, watch: Option<Watch>) -> Option<ReadOutcome> {
        let Some(partition) = self.partition(part.topic, part.partition) else {
            return Some(ReadOutcome::Failed(ReadError::UnknownPartition));
        };
        if let Some(watch) = watch {
            partition.watch(watch);
        }
        partition.read_now(self, part, &partition.range(part, part.bytes_max as usize, true))
    }

    /// Mail: an owner has answered. Late answers of earlier rounds are dropped.
    pub(super) fn read_done(&self, ticket: Ticket, round: u32, errand: Errand) {
        self.fetchers.borrow().arrive(ticket, round, errand);
    }

    /// Tells a fetcher, here or at its home, that a part that it watches was appended to.
    pub(super) fn wake_fetcher(&self, watch: Watch) {
        if usize::from(watch.home) != self.index() {
            self.send(usize::from(watch.home), Letter::Woken(watch));
        } else if let Some(fetcher) = self.fetchers.borrow().get(watch.fetcher) {
            fetcher.wake(watch);
        }
    }
}

/// What one round of a request asks for.
#[derive(Clone, Copy)]
struct Round<'a> {
    parts: &'a [ReadPart],
    /// Places of the parts that are read.
    due: &'a [u32],
    bytes_max: usize,
    /// Whether the next append to a part that is read wakes the fetcher.
    watch: bool,
}

/// Whether a fetch is answered now: with an error, with enough bytes, or because a partition gave
/// what it may. Spans end with a batch and not at their limit, so more than half of that is full:
/// with `min_bytes` at the limit, every fetch would wait in vain for the rest.
fn has_enough(parts: &[ReadPart], outcomes: &[ReadOutcome], bounds: FetchBounds) -> bool {
    let available: usize = outcomes.iter().map(ReadOutcome::span_len).sum();
    available >= bounds.bytes_min
        || parts.iter().zip(outcomes).any(|(part, outcome)| {
            let limit = bounds.bytes_max.min(part.bytes_max as usize);
            outcome.is_urgent() || outcome.span_len() > limit / 2
        })
}

/// Drops spans that together have more than `bytes_max` bytes, the first of them aside. What does
/// not fit goes as a whole: where its first batch ends is not known here, and a client that gets
/// bytes without a whole batch takes that for a broken broker (KIP-74).
fn trim(outcomes: &mut [ReadOutcome], bytes_max: usize) {
    let mut total = 0;
    for outcome in outcomes {
        let len = outcome.span_len();
        if total > 0 && len > bytes_max.saturating_sub(total) {
            if let ReadOutcome::Read(read) = outcome {
                read.span = None;
            }
        } else {
            total += len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_is_not_taken_for_one_of_the_next_fetcher_of_its_ticket() {
        let mut fetchers = Fetchers::default();
        let first = fetchers.open();
        let late = fetchers.begin_round(&first);
        first.waiting.set(1);
        let ticket = first.ticket.get();
        // The connection went away before the owner had answered.
        fetchers.close(ticket);
        let next = fetchers.open();
        assert_eq!(next.ticket.get(), ticket);
        let round = fetchers.begin_round(&next);
        next.waiting.set(1);
        let failed = || vec![ReadOutcome::Failed(ReadError::UnknownPartition)];
        let parts = || {
            vec![ReadPart {
                index: 7,
                topic: TopicId::ZERO,
                partition: 0,
                offset: Offset::ZERO,
                bytes_max: 1,
                leader_epoch: LeaderEpoch::NONE,
                last_epoch: LeaderEpoch::NONE,
            }]
        };
        let errand = || Errand { parts: parts(), outcomes: failed(), watch: None };
        fetchers.arrive(ticket, late, errand());
        assert_eq!((next.waiting.get(), next.arrived.borrow().len()), (1, 0));
        fetchers.arrive(ticket, round, errand());
        assert_eq!((next.waiting.get(), next.arrived.borrow().len()), (0, 1));
    }

    fn watch(fetcher: Ticket, request: u32, index: u32) -> Watch {
        Watch { home: 0, fetcher, request, index }
    }

    #[test]
    fn a_fetcher_watches_a_partition_once_however_often_it_asks() {
        let mut watchers = Watchers::default();
        for request in 0..1000 {
            watchers.add(watch(1, request, 5));
            watchers.add(watch(2, request, 6));
        }
        let mut woken: Vec<_> = watchers.drain().collect();
        woken.sort_by_key(|watch| watch.fetcher);
        assert_eq!(woken, [watch(1, 999, 5), watch(2, 999, 6)]);
        assert_eq!(watchers.drain().count(), 0);
    }

    #[test]
    fn a_wake_names_the_parts_that_are_read_again_and_one_of_an_earlier_request_names_none() {
        let fetcher = Fetcher::default();
        fetcher.begin(7, 3);
        assert_eq!(*fetcher.due.borrow(), [0, 1, 2]);
        fetcher.wake(watch(0, 6, 1));
        assert!(!fetcher.is_woken());
        fetcher.wake(watch(0, 7, 2));
        fetcher.take_woken();
        assert_eq!((fetcher.due.borrow().clone(), fetcher.is_woken()), (vec![2], false));
    }
}
