//! The way of a fetch request through the cache of sessions.
//!
//! | request (id, epoch) | what it is |
//! |---|---|
//! | any, -1 | complete; closes the session, if it names one, and wants none |
//! | any, 0  | complete; closes the session, if it names one, and wants a new one |
//! | id, n   | a change to session `id`, which must expect epoch n |
//!
//! The epoch advances when a request is taken, not when it is answered. Two requests of one session
//! at the same time are a client that gave up on the first and repeats itself: the first is
//! overtaken and may no longer say what the client was told.

use super::entries::{Answered, EntryIndex, FetchEntries, NewEntry, PartitionKey};
use super::shelf::{NO_SESSION, Shelf, Worth};
use crate::base::Instant;
use crate::model::TopicId;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// Epoch of a request that wants a new session.
const EPOCH_INITIAL: i32 = 0;
/// Epoch of a request that wants none.
const EPOCH_FINAL: i32 = -1;

/// Kafka's `min.incremental.fetch.session.eviction.ms`.
const IDLE: Duration = Duration::from_secs(120);
/// Ten times what a broker is advised to hold.
const PARTITIONS_MAX: usize = 100_000;
/// About 80 MiB a core, and names.
const CACHED_PARTITIONS_MAX: usize = 400_000;

/// Bounds of one core's cache.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Sessions (this core's share of `max.incremental.fetch.session.cache.slots`).
    pub slots: usize,
    /// How long an unused session is kept against newcomers, and a young one against larger ones
    /// (Kafka: 120 s, `min.incremental.fetch.session.eviction.ms`).
    pub idle: Duration,
    /// Partitions of one fetch, with or without a session.
    pub partitions_max: usize,
    /// Partitions in all sessions together; beyond, fetchers do without a session.
    pub cached_partitions_max: usize,
}

/// What the head of a request says.
#[derive(Clone, Copy, Debug)]
pub struct SessionRequest {
    pub id: i32,
    pub epoch: i32,
    /// Topics by id (Fetch from version 13 on) or by name.
    pub uses_ids: bool,
    pub is_follower: bool,
}

/// Why a request is refused as a whole. Its answer carries no partitions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Kafka: FETCH_SESSION_ID_NOT_FOUND.
    #[error("fetch session {id} is not here: closed, pushed out, or of another broker or core")]
    NotFound { id: i32 },
    /// Kafka: INVALID_FETCH_SESSION_EPOCH.
    #[error("fetch session {id} expects epoch {expected}, the request says {got}")]
    Epoch { id: i32, expected: i32, got: i32 },
    /// A later request of the same session was taken while this one was worked on.
    /// Kafka: INVALID_FETCH_SESSION_EPOCH, in an answer that carries the session id.
    #[error("a request of fetch session {id} was overtaken: the session expects epoch {expected}")]
    Overtaken { id: i32, expected: i32 },
    /// Kafka: FETCH_SESSION_TOPIC_ID_ERROR.
    #[error("fetch session {id} has topic ids: {session_uses_ids}; the request has the other kind")]
    TopicIds { id: i32, session_uses_ids: bool },
    /// The session grew and was closed, as if pushed out: FETCH_SESSION_ID_NOT_FOUND. The client
    /// goes on with complete requests.
    #[error("fetch session {id} was closed: its partitions do not fit into the cache")]
    Outgrown { id: i32 },
    /// Ours; Kafka has no bound.
    #[error("the fetch asks for more than {max} partitions")]
    TooMany { max: usize },
}

/// A request on its way. Not to be cloned: a request is answered once.
#[derive(Debug)]
#[must_use]
pub struct SessionContext {
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Sessionless,
    /// Complete, and wants a session.
    Full {
        uses_ids: bool,
        is_follower: bool,
    },
    Incremental {
        id: i32,
        birth: u64,
        /// The session's, as long as this request is its last.
        epoch: i32,
    },
}

/// Takes what the partitions had to say.
#[derive(Debug)]
pub struct Answering<'a> {
    entries: &'a mut FetchEntries,
    is_incremental: bool,
}

/// What the answer needs: its session id, and the entries under the same indexes as before.
#[derive(Debug)]
pub struct Finished<'a> {
    pub session_id: i32,
    pub entries: &'a FetchEntries,
}

/// The fetch sessions of a core.
#[derive(Debug)]
pub struct SessionCache {
    limits: SessionLimits,
    shelf: Shelf,
    /// Where this core's session ids begin, and how many it has.
    id_first: u32,
    id_count: u32,
    secret: u64,
}

impl SessionCache {
    /// The cache of core `core` of `cores`; `secret` is random, so that nobody can choose
    /// partitions that slow down the search for them.
    pub fn new(limits: SessionLimits, core: u16, cores: u16, secret: u64) -> Self {
        assert!(core < cores);
        assert!(limits.partitions_max < (u32::MAX / 2) as usize);
        let id_count = i32::MAX as u32 / u32::from(cores);
        let slots = limits.slots.min(id_count as usize);
        Self {
            limits,
            shelf: Shelf::new(slots, limits.idle),
            id_first: 1 + u32::from(core) * id_count,
            id_count,
            secret,
        }
    }

    /// Takes a request. A complete one is copied to `full`, memory that is lent to one request
    /// after the other, and what it forgets means nothing.
    pub fn begin<'a>(
        &mut self,
        now: Instant,
        request: SessionRequest,
        wanted: impl Iterator<Item = NewEntry<'a>> + Clone,
        forgotten: impl Iterator<Item = PartitionKey<'a>>,
        full: &mut FetchEntries,
    ) -> Result<SessionContext, SessionError> {
        let id_of = |id| if request.uses_ids { id } else { TopicId::ZERO };
        let wanted = wanted.map(|new| NewEntry { id: id_of(new.id), ..new });
        let forgotten = forgotten.map(|key| PartitionKey { id: id_of(key.id), ..key });
        let kind = match request.epoch {
            EPOCH_FINAL => Kind::Sessionless,
            EPOCH_INITIAL => {
                Kind::Full { uses_ids: request.uses_ids, is_follower: request.is_follower }
            }
            _ => {
                let again = wanted.clone();
                let kind = self.change(now, request, wanted, forgotten)?;
                if let Kind::Sessionless = kind {
                    self.refill(full, again)?;
                }
                return Ok(SessionContext { kind });
            }
        };
        self.shelf.remove(request.id);
        self.refill(full, wanted)?;
        Ok(SessionContext { kind })
    }

    fn refill<'a>(
        &self,
        full: &mut FetchEntries,
        wanted: impl Iterator<Item = NewEntry<'a>>,
    ) -> Result<(), SessionError> {
        let max = self.limits.partitions_max;
        full.refill(self.secret, wanted, max).map_err(|_| SessionError::TooMany { max })
    }

    /// Merges a change into its session. One that leaves nothing closes the session, and the
    /// request goes on without. One that is too large closes it too: half of it is merged.
    fn change<'a>(
        &mut self,
        now: Instant,
        request: SessionRequest,
        wanted: impl Iterator<Item = NewEntry<'a>>,
        forgotten: impl Iterator<Item = PartitionKey<'a>>,
    ) -> Result<Kind, SessionError> {
        let SessionRequest { id, epoch, uses_ids, .. } = request;
        let max = self.limits.partitions_max;
        let session = self.shelf.get_mut(id).ok_or(SessionError::NotFound { id })?;
        if session.epoch != epoch {
            return Err(SessionError::Epoch { id, expected: session.epoch, got: epoch });
        }
        if session.uses_ids != uses_ids {
            return Err(SessionError::TopicIds { id, session_uses_ids: session.uses_ids });
        }
        // What comes may take the place of what goes, and Kafka lets it come first.
        let put = session.entries.put_all(wanted, 2 * max);
        forgotten.for_each(|key| {
            session.entries.remove(&key);
        });
        let (len, is_fit) = (session.entries.len(), !session.entries.has_long_name());
        if put.is_err() || len > max {
            self.shelf.remove(id);
            return Err(SessionError::TooMany { max });
        }
        if len == 0 {
            self.shelf.remove(id);
            return Ok(Kind::Sessionless);
        }
        session.epoch = epoch_after(epoch);
        let kind = Kind::Incremental { id, birth: session.birth, epoch: session.epoch };
        self.shelf.on_use(now, id);
        if !is_fit || self.shelf.partition_count() > self.limits.cached_partitions_max {
            self.shelf.remove(id);
            return Err(SessionError::Outgrown { id });
        }
        Ok(kind)
    }

    /// What to read, in this order; `full` is what `begin` was given.
    pub fn entries<'a>(
        &'a self,
        context: &SessionContext,
        full: &'a FetchEntries,
    ) -> Result<&'a FetchEntries, SessionError> {
        let Kind::Incremental { id, birth, epoch } = context.kind else { return Ok(full) };
        match self.shelf.get(id) {
            Some(session) if session.birth != birth => Err(SessionError::NotFound { id }),
            Some(session) if session.epoch != epoch => {
                Err(SessionError::Overtaken { id, expected: session.epoch })
            }
            Some(session) => Ok(&session.entries),
            None => Err(SessionError::NotFound { id }),
        }
    }

    /// Opens the answer. Each entry is answered once, in the order of reading. An answer that
    /// says nothing because of a quota skips this, and the session stays as it is.
    pub fn answer<'a>(
        &'a mut self,
        context: &SessionContext,
        full: &'a mut FetchEntries,
    ) -> Result<Answering<'a>, SessionError> {
        self.entries(context, full)?;
        let is_incremental = matches!(context.kind, Kind::Incremental { .. });
        let entries = match context.kind {
            Kind::Incremental { id, .. } => match self.shelf.get_mut(id) {
                Some(session) => &mut session.entries,
                None => return Err(SessionError::NotFound { id }),
            },
            Kind::Full { .. } | Kind::Sessionless => full,
        };
        Ok(Answering { entries, is_incremental })
    }

    /// Closes the answer. A new session takes the entries over, and `full` is blank again; where
    /// no session is made or wanted, the session id is 0. `random` gives 64 random bits.
    pub fn finish<'a>(
        &'a mut self,
        now: Instant,
        context: SessionContext,
        full: &'a mut FetchEntries,
        random: impl FnOnce() -> u64,
    ) -> Result<Finished<'a>, SessionError> {
        let session_id = match context.kind {
            Kind::Sessionless => NO_SESSION,
            Kind::Incremental { id, .. } => id,
            Kind::Full { uses_ids, is_follower } => {
                let id = self.remember(now, uses_ids, is_follower, full, random);
                if let Some(session) = self.shelf.get(id) {
                    return Ok(Finished { session_id: id, entries: &session.entries });
                }
                NO_SESSION
            }
        };
        Ok(Finished { session_id, entries: self.entries(&context, full)? })
    }

    fn remember(
        &mut self,
        now: Instant,
        uses_ids: bool,
        is_follower: bool,
        full: &mut FetchEntries,
        random: impl FnOnce() -> u64,
    ) -> i32 {
        let len = full.len();
        let cached = self.shelf.partition_count().saturating_add(len);
        if full.has_long_name() || cached > self.limits.cached_partitions_max {
            return NO_SESSION;
        }
        // Without an id, it is worth less than an equal one that is here already.
        let newcomer = Worth { is_follower, len, id: NO_SESSION };
        if !self.shelf.make_room(now, newcomer) {
            return NO_SESSION;
        }
        let id = self.unused_id(random());
        let mut entries = mem::take(full);
        entries.shrink();
        self.shelf.insert(now, Worth { id, ..newcomer }, uses_ids, entries);
        id
    }

    /// A random id, or the next one that is not in use: there are more ids than slots.
    fn unused_id(&self, random: u64) -> i32 {
        let count = u64::from(self.id_count);
        (0..=self.shelf.len() as u64)
            .map(|step| (u64::from(self.id_first) + (random % count + step) % count) as i32)
            .find(|id| self.shelf.get(*id).is_none())
            .expect("fewer sessions than ids")
    }

    /// How many sessions there are (Kafka's metric NumIncrementalSessionCache).
    pub fn len(&self) -> usize {
        self.shelf.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Partitions in all sessions (Kafka's metric NumIncrementalFetchPartitionsCached).
    pub fn partition_count(&self) -> usize {
        self.shelf.partition_count()
    }

    /// Sessions pushed out by others (Kafka's metric IncrementalFetchSessionEvictionsPerSec).
    pub fn eviction_count(&self) -> u64 {
        self.shelf.eviction_count()
    }

    #[cfg(test)]
    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    #[cfg(test)]
    pub(super) fn set_epoch(&mut self, id: i32, epoch: i32) {
        self.shelf.get_mut(id).expect("the story opened it").epoch = epoch;
    }
}

impl SessionLimits {
    /// The usual bounds of a cache with so many slots.
    pub const fn of_slots(slots: usize) -> Self {
        Self {
            slots,
            idle: IDLE,
            partitions_max: PARTITIONS_MAX,
            cached_partitions_max: CACHED_PARTITIONS_MAX,
        }
    }
}

impl SessionError {
    /// The session id of an answer with this error.
    pub const fn answer_session_id(&self) -> i32 {
        match self {
            Self::Overtaken { id, .. } => *id,
            Self::NotFound { .. }
            | Self::Epoch { .. }
            | Self::TopicIds { .. }
            | Self::Outgrown { .. }
            | Self::TooMany { .. } => NO_SESSION,
        }
    }
}

impl SessionContext {
    /// The session id of an answer that says nothing because of a quota.
    pub fn throttled_session_id(&self) -> i32 {
        match self.kind {
            Kind::Incremental { id, .. } => id,
            Kind::Full { .. } | Kind::Sessionless => NO_SESSION,
        }
    }
}

impl Answering<'_> {
    /// Whether a part with this content would belong into the answer; keeps nothing. For the
    /// size of an answer that a quota may hold back.
    pub fn is_due(&self, index: EntryIndex, answered: &Answered) -> bool {
        !self.is_incremental || self.entries.get(index).is_some_and(|entry| entry.is_news(answered))
    }

    /// Keeps what the fetcher is told of a partition; true if the part belongs into the answer,
    /// false if the fetcher knows all of it. In a session, partitions that had data are read
    /// last the next time, so that a bounded answer does not starve the others.
    pub fn note(&mut self, index: EntryIndex, answered: &Answered) -> bool {
        let is_news = self.entries.note(index, answered);
        if self.is_incremental && answered.bytes > 0 {
            self.entries.move_last(index);
        }
        is_news || !self.is_incremental
    }

    /// Keeps the name of a topic that came by id, for the requests to come.
    pub fn resolve(&mut self, index: EntryIndex, name: &Arc<str>) {
        self.entries.resolve(index, name);
    }

    pub fn entries(&self) -> &FetchEntries {
        self.entries
    }
}

/// Epochs of a session run from 1 to the largest number, and begin again.
const fn epoch_after(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}
