//! One coordinator with all that it needs of the world: the log, the clock, the mail.
//!
//! Nothing here decides about groups: requests and moments go in, effects are done in their order.
//! No borrow lives across an await.

use super::ask::{Ask, CoordinatorError, Told};
use super::rewrite::Rewriting;
use super::waiting::{Asker, Waiting};
use crate::base::{Instant, Quoted};
use crate::broker::Shard;
use crate::broker::doing::Phase;
use crate::broker::partition::Partition;
use crate::broker::produce::{Appended, ProduceError};
use crate::broker::told::Kind;
use crate::group::{
    AppendError, AppendToken, Coordinator, DeletedTopic, Effect, Effects, GroupId, ListFilter,
    ListedGroup, Notice, Now, Record, ReplyId, Settings,
};
use crate::limits::{GROUP_BATCH_BYTES, GROUP_REQUESTS_MAX, GROUP_WRITE_BYTES_MAX};
use crate::log::StageError;
use crate::record::{BatchBuilder, Codec, NewRecord, Packing};
use crate::runtime::Core;
use crate::runtime::sync::{self, Awaited, Bell};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// One coordinator's host.
pub struct Host {
    pub(super) partition: Rc<Partition>,
    pub(super) state: RefCell<State>,
    /// Memory that one request uses and the next one uses again.
    effects: RefCell<Effects>,
    waiting: RefCell<Waiting>,
    /// What is to be appended at the end of this turn.
    asked: RefCell<Vec<Asked>>,
    is_dirty: Cell<bool>,
    /// Batches under way, in the order of the log.
    flights: RefCell<VecDeque<Flight>>,
    /// Those, and the one that is awaited.
    pub(super) flight_count: Cell<usize>,
    flight_bell: Bell,
    /// What the timer sleeps for.
    armed: Cell<Option<Instant>>,
    timer_bell: Bell,
    /// Topics that went while the coordinator was loading.
    removed_topics: RefCell<Vec<DeletedTopic>>,
    pub(super) rewriting: Rewriting,
}

/// What a host's coordinator is.
pub enum State {
    Loading,
    Serving(Box<Coordinator>),
    /// Its log cannot be read, or its topic is gone.
    Gone,
}

struct Asked {
    token: AppendToken,
    records: Vec<Record>,
}

/// A batch under way, or what takes its place in the order.
struct Flight {
    tokens: Vec<AppendToken>,
    landing: Landing,
}

enum Landing {
    Batch(Awaited<Result<Appended, ProduceError>>),
    /// There was nothing to write.
    Nothing,
    TooLarge,
}

pub(super) fn settings(shard: &Shard) -> Settings {
    let groups = &shard.facts.config.groups;
    let ms = |span: std::time::Duration| i32::try_from(span.as_millis()).unwrap_or(i32::MAX);
    Settings {
        initial_rebalance_delay: groups.initial_rebalance_delay,
        session_timeout_ms_min: ms(groups.session_timeout_min),
        session_timeout_ms_max: ms(groups.session_timeout_max),
        members_max: groups.members_max as usize,
        offset_metadata_len_max: groups.offset_metadata_bytes_max as usize,
        offsets_retention: groups.offsets_retention,
        offsets_retention_check_interval: groups.offsets_retention_check_interval,
    }
}

pub(super) fn now(core: &Core) -> Now {
    Now { instant: core.now(), timestamp: core.wall() }
}

/// Bytes that a record takes in a batch, at most.
pub(super) fn record_bytes(record: &Record) -> usize {
    const FRAMING: usize = 32;
    record.key.len() + record.value.as_ref().map_or(0, |value| value.len()) + FRAMING
}

pub(super) fn push(batch: &mut BatchBuilder, core: &Core, record: &Record) {
    let timestamp = core.wall();
    let (key, value) = (Some(&record.key[..]), record.value.as_deref());
    let record = NewRecord { timestamp, key, value, ..NewRecord::default() };
    batch.push(&record).expect("what goes into a batch is bounded far below its limits");
}

impl Host {
    pub fn new(partition: Rc<Partition>) -> Rc<Self> {
        Rc::new(Self {
            partition,
            state: RefCell::new(State::Loading),
            effects: RefCell::default(),
            waiting: RefCell::default(),
            asked: RefCell::default(),
            is_dirty: Cell::new(false),
            flights: RefCell::default(),
            flight_count: Cell::new(0),
            flight_bell: Bell::default(),
            armed: Cell::new(None),
            timer_bell: Bell::default(),
            removed_topics: RefCell::default(),
            rewriting: Rewriting::default(),
        })
    }

    /// The coordinator has loaded: it takes requests from now on.
    pub(super) fn begin(self: &Rc<Self>, shard: &Rc<Shard>, coordinator: Coordinator) {
        *self.state.borrow_mut() = State::Serving(Box::new(coordinator));
        self.act(shard, Coordinator::on_loaded);
        let removed = self.removed_topics.take();
        if !removed.is_empty() {
            self.forget_topics(shard, &removed);
        }
        let core = shard.core();
        core.spawn(Rc::clone(self).keep_time(Rc::clone(shard)));
        core.spawn(Rc::clone(self).land_flights(Rc::clone(shard)));
    }

    /// The topic is gone, or the log cannot be read: who waits is told to look elsewhere.
    pub fn end(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.act(shard, |coordinator, _, effects| coordinator.unload(effects));
        *self.state.borrow_mut() = State::Gone;
        self.asked.take();
        self.rewriting.end();
        self.timer_bell.ring();
        self.flight_bell.ring();
    }

    pub fn is_serving(&self) -> bool {
        matches!(&*self.state.borrow(), State::Serving(_))
    }

    pub fn group_count(&self) -> usize {
        match &*self.state.borrow() {
            State::Serving(coordinator) => coordinator.group_count(),
            State::Loading | State::Gone => 0,
        }
    }

    /// Whether something is on its way into the log.
    pub fn is_writing(&self) -> bool {
        self.flight_count.get() > 0 || !self.asked.borrow().is_empty()
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(&*self.state.borrow(), State::Gone)
    }

    fn refusal(&self) -> Option<CoordinatorError> {
        match &*self.state.borrow() {
            State::Loading => Some(CoordinatorError::Loading),
            State::Gone => Some(CoordinatorError::NotHere),
            State::Serving(_) if self.waiting.borrow().len() >= GROUP_REQUESTS_MAX => {
                Some(CoordinatorError::Busy { max: GROUP_REQUESTS_MAX })
            }
            State::Serving(_) => None,
        }
    }

    /// Takes a request; its answer goes to the asker, now or much later.
    pub fn serve(self: &Rc<Self>, shard: &Rc<Shard>, ask: Ask, asker: Asker) {
        if let Some(error) = self.refusal() {
            return asker.tell(shard, Err(error));
        }
        if let Ask::Describe(groups) = ask {
            return asker.tell(shard, Ok(self.describe(groups)));
        }
        let id = self.waiting.borrow_mut().open(asker);
        self.act(shard, |coordinator, now, effects| ask_one(coordinator, now, ask, id, effects));
    }

    fn describe(&self, groups: Vec<GroupId>) -> Told {
        let state = self.state.borrow();
        let State::Serving(coordinator) = &*state else { unreachable!("it was just asked") };
        let described = groups.into_iter().map(|group| {
            let found = coordinator.describe(group.as_str());
            (group, found)
        });
        Told::Described(described.collect())
    }

    /// Groups of this coordinator; none where it is gone.
    pub fn list(&self, filter: &ListFilter) -> Result<Vec<ListedGroup>, CoordinatorError> {
        match &*self.state.borrow() {
            State::Serving(coordinator) => Ok(coordinator.list(filter)),
            State::Gone => Ok(Vec::new()),
            State::Loading => Err(CoordinatorError::Loading),
        }
    }

    /// These topics are no more: nor is what was committed of them.
    pub fn forget_topics(self: &Rc<Self>, shard: &Rc<Shard>, topics: &[DeletedTopic]) {
        if matches!(&*self.state.borrow(), State::Loading) {
            return self.removed_topics.borrow_mut().extend_from_slice(topics);
        }
        self.act(shard, |coordinator, now, effects| {
            coordinator.on_topics_deleted(now, topics, effects);
        });
    }

    /// Lets the coordinator act, and does what it wants done.
    fn act(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        with: impl FnOnce(&mut Coordinator, Now, &mut Effects),
    ) {
        shard.doing_at(Phase::Group, self.partition.topic, self.partition.index);
        let mut effects = self.effects.take();
        if let State::Serving(coordinator) = &mut *self.state.borrow_mut() {
            with(coordinator, now(shard.core()), &mut effects);
        }
        for effect in effects.drain() {
            self.perform(shard, effect);
        }
        self.effects.replace(effects);
        if let (Some(next), armed) = (self.next_deadline(), self.armed.get())
            && armed.is_none_or(|armed| next < armed)
        {
            self.timer_bell.ring();
        }
    }

    fn perform(self: &Rc<Self>, shard: &Rc<Shard>, effect: Effect) {
        match effect {
            Effect::Append { token, records } => {
                self.asked.borrow_mut().push(Asked { token, records });
                self.mark_dirty(shard);
            }
            Effect::Reply { to, answer } => {
                let asker = self.waiting.borrow_mut().close(to);
                asker.tell(shard, Ok(Told::Answer(answer)));
            }
            Effect::Notice(notice) if shard.may_tell(Kind::Group) => tell(&notice),
            Effect::Notice(_) => {}
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        match &*self.state.borrow() {
            State::Serving(coordinator) => coordinator.next_deadline(),
            State::Loading | State::Gone => None,
        }
    }

    /// Tells the coordinator when something is due; its one timer.
    async fn keep_time(self: Rc<Self>, shard: Rc<Shard>) {
        let core = shard.core();
        while !self.is_gone() {
            let deadline = self.next_deadline();
            self.armed.set(deadline);
            match deadline {
                None => self.timer_bell.heard().await,
                Some(at) if at > core.now() => {
                    sync::race(core.sleep_until(at), self.timer_bell.heard()).await;
                }
                Some(_) => {
                    self.act(&shard, Coordinator::tick);
                    core.turn_end().await;
                }
            }
        }
    }

    pub(super) fn mark_dirty(self: &Rc<Self>, shard: &Shard) {
        if !self.is_dirty.replace(true) {
            shard.groups.borrow_mut().dirty.push(Rc::clone(self));
            shard.dirty_bell.ring();
        }
    }

    /// Stages what the turn's requests want appended, as one batch where it fits.
    pub(super) fn stage(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.is_dirty.set(false);
        if !self.may_stage(shard) {
            return;
        }
        let mut batch = builder(shard);
        let mut tokens = Vec::new();
        for Asked { token, records } in self.asked.take() {
            let bytes: usize = records.iter().map(record_bytes).sum();
            let is_full = batch.unpacked_bytes() + bytes > GROUP_BATCH_BYTES;
            if is_full {
                self.launch(shard, &mut batch, &mut tokens);
            }
            if bytes > GROUP_WRITE_BYTES_MAX {
                self.fly(Flight { tokens: vec![token], landing: Landing::TooLarge });
                continue;
            }
            for record in &records {
                push(&mut batch, shard.core(), record);
            }
            tokens.push(token);
        }
        self.launch(shard, &mut batch, &mut tokens);
    }

    fn launch(&self, shard: &Rc<Shard>, batch: &mut BatchBuilder, tokens: &mut Vec<AppendToken>) {
        if tokens.is_empty() {
            return;
        }
        let landing = if batch.record_count() == 0 {
            Landing::Nothing
        } else {
            Landing::Batch(self.append(shard, batch))
        };
        self.fly(Flight { tokens: std::mem::take(tokens), landing });
    }

    /// Stages a batch of the gathered records.
    pub(super) fn append(
        &self,
        shard: &Rc<Shard>,
        batch: &mut BatchBuilder,
    ) -> Awaited<Result<Appended, ProduceError>> {
        let mut bytes = Vec::new();
        let header = batch.finish(&mut bytes).expect("a batch is bounded far below its limits");
        self.partition.append_own(shard, &header, Bytes::from(bytes))
    }

    fn fly(&self, flight: Flight) {
        self.flight_count.set(self.flight_count.get() + 1);
        self.flights.borrow_mut().push_back(flight);
        self.flight_bell.ring();
    }

    /// Tells the coordinator what became of its appends, in their order.
    async fn land_flights(self: Rc<Self>, shard: Rc<Shard>) {
        while !self.is_gone() {
            let flight = self.flights.borrow_mut().pop_front();
            let Some(Flight { tokens, landing }) = flight else {
                self.flight_bell.heard().await;
                continue;
            };
            let result = match landing {
                Landing::Nothing => Ok(()),
                Landing::TooLarge => Err(AppendError::TooLarge),
                Landing::Batch(awaited) => match awaited.await {
                    Some(Ok(_)) => Ok(()),
                    Some(Err(error)) => Err(append_error(&error)),
                    None => Err(AppendError::NotCoordinator),
                },
            };
            for token in tokens {
                self.act(&shard, |coordinator, now, effects| match result {
                    Ok(()) => coordinator.on_committed(now, token, effects),
                    Err(error) => coordinator.on_failed(now, token, error, effects),
                });
            }
            self.flight_count.set(self.flight_count.get() - 1);
            self.consider_rewrite(&shard);
        }
    }
}

/// A builder of batches as the settings want them packed.
pub(super) fn builder(shard: &Shard) -> BatchBuilder {
    let codec = match shard.facts.config.groups.topic.codec {
        1 => Codec::Gzip,
        2 => Codec::Snappy,
        3 => Codec::Lz4,
        4 => Codec::Zstd,
        _ => Codec::None,
    };
    let mut batch = BatchBuilder::new();
    batch.packed(Packing::of(codec));
    batch
}

fn ask_one(coordinator: &mut Coordinator, now: Now, ask: Ask, id: ReplyId, effects: &mut Effects) {
    match ask {
        Ask::Join(join) => coordinator.on_join(now, join, id, effects),
        Ask::Sync(sync) => coordinator.on_sync(now, sync, id, effects),
        Ask::Heartbeat(heartbeat) => coordinator.on_heartbeat(now, heartbeat, id, effects),
        Ask::Leave(leave) => coordinator.on_leave(now, leave, id, effects),
        Ask::Commit(commit) => coordinator.on_commit(now, commit, id, effects),
        Ask::Fetch(fetch) => coordinator.on_fetch(now, fetch, id, effects),
        Ask::DeleteOffsets(delete) => coordinator.on_delete_offsets(now, delete, id, effects),
        Ask::DeleteGroups(groups) => coordinator.on_delete_groups(now, groups, id, effects),
        Ask::Describe(_) => unreachable!("it is answered without a name"),
    }
}

fn append_error(error: &ProduceError) -> AppendError {
    match error {
        ProduceError::Stage(StageError::LargerThanSegment { .. }) => AppendError::TooLarge,
        // The disk failed, the topic is gone, the broker stops: nothing is written here any more.
        _ => AppendError::NotCoordinator,
    }
}

/// Groups, members and reasons have the names that clients have given them.
fn tell(notice: &Notice) {
    match notice {
        Notice::Rebalancing { group, generation, reason } => {
            let (group, reason) = (Quoted(group.as_str()), Quoted(reason));
            tracing::info!("group {group} rebalances after generation {generation}: {reason}");
        }
        Notice::Stable { group, generation, members } => {
            let group = Quoted(group.as_str());
            tracing::info!("group {group} is stable: generation {generation}, {members} members");
        }
        Notice::Emptied { group, generation } => {
            let group = Quoted(group.as_str());
            tracing::info!("group {group} is empty since generation {generation}");
        }
        Notice::MemberFailed { group, member, how } => {
            let (group, member) = (Quoted(group.as_str()), Quoted(member.as_str()));
            tracing::info!("group {group}: member {member} has failed ({how:?})");
        }
        Notice::Replaced { group, before, after } => {
            let (group, before) = (Quoted(group.as_str()), Quoted(before.as_str()));
            let after = Quoted(after.as_str());
            tracing::info!("group {group}: static member {before} is {after} now");
        }
        Notice::Expired { group, offsets, is_group_gone } => {
            let group = Quoted(group.as_str());
            let gone = if *is_group_gone { ", and the group with them" } else { "" };
            tracing::info!("group {group}: {offsets} old offsets were dropped{gone}");
        }
    }
}
