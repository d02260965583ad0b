//! The sessions that a core remembers, and which of them must go when there are too many.
//!
//! Kafka's rules for a newcomer that finds all slots taken:
//!
//! 1. A session that nobody used for the idle time goes, the longest unused first.
//! 2. Else the least worthy one goes, if it is worth less than the newcomer: consumers before
//!    followers, then few partitions before many. Sessions younger than the idle time are spared,
//!    except that a follower may push out any consumer.
//! 3. Else the newcomer gets no session.
//!
//! What a session is worth changes only with its partitions and, once, with its age: an ordinary
//! use of a session relinks it as the last used one and touches no tree.

use super::entries::FetchEntries;
use crate::base::{FastMap, Instant};
use std::collections::BTreeSet;
use std::time::Duration;

/// No session has this id; on the wire: no session.
pub(super) const NO_SESSION: i32 = 0;

/// A remembered fetcher.
#[derive(Debug)]
pub(super) struct Session {
    pub entries: FetchEntries,
    /// What the next request must say.
    pub epoch: i32,
    pub uses_ids: bool,
    /// Tells sessions apart that got the same id one after the other.
    pub birth: u64,
    worth: Worth,
    /// Older than the idle time: no longer spared.
    is_settled: bool,
    created_at: Instant,
    used_at: Instant,
    /// Neighbours in the order of use.
    older: i32,
    newer: i32,
}

/// In the order in which sessions must go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Worth {
    pub is_follower: bool,
    pub len: usize,
    pub id: i32,
}

#[derive(Debug)]
pub(super) struct Shelf {
    slots: usize,
    idle: Duration,
    by_id: FastMap<i32, Session>,
    oldest: i32,
    newest: i32,
    /// Whom anybody may push out.
    evictable_by_all: BTreeSet<Worth>,
    /// Whom a follower may push out.
    evictable_by_followers: BTreeSet<Worth>,
    /// In all sessions.
    partition_count: usize,
    eviction_count: u64,
    births: u64,
}

impl Shelf {
    pub fn new(slots: usize, idle: Duration) -> Self {
        Self {
            slots,
            idle,
            by_id: FastMap::default(),
            oldest: NO_SESSION,
            newest: NO_SESSION,
            evictable_by_all: BTreeSet::new(),
            evictable_by_followers: BTreeSet::new(),
            partition_count: 0,
            eviction_count: 0,
            births: 0,
        }
    }

    /// Frees a slot for a session of this worth, if none is free; false if it must do without.
    pub fn make_room(&mut self, now: Instant, newcomer: Worth) -> bool {
        if self.by_id.len() < self.slots {
            return true;
        }
        let Some(oldest) = self.by_id.get(&self.oldest) else { return false };
        let victim = if now.since(oldest.used_at) > self.idle {
            self.oldest
        } else {
            let evictable = if newcomer.is_follower {
                &self.evictable_by_followers
            } else {
                &self.evictable_by_all
            };
            match evictable.first() {
                Some(least) if *least < newcomer => least.id,
                _ => return false,
            }
        };
        self.remove(victim);
        self.eviction_count += 1;
        true
    }

    /// Puts a new session where there is room for it.
    pub fn insert(&mut self, now: Instant, worth: Worth, uses_ids: bool, entries: FetchEntries) {
        assert!(self.by_id.len() < self.slots);
        self.births += 1;
        let session = Session {
            entries,
            epoch: 1,
            uses_ids,
            birth: self.births,
            worth,
            is_settled: false,
            created_at: now,
            used_at: now,
            older: NO_SESSION,
            newer: NO_SESSION,
        };
        self.partition_count += worth.len;
        if !worth.is_follower {
            self.evictable_by_followers.insert(worth);
        }
        let before = self.by_id.insert(worth.id, session);
        assert!(before.is_none());
        self.link_newest(worth.id);
    }

    /// The session was used, and its entries may be others than before.
    pub fn on_use(&mut self, now: Instant, id: i32) {
        if self.newest != id {
            self.unlink(id);
            self.link_newest(id);
        }
        let Some(session) = self.by_id.get_mut(&id) else { return };
        session.used_at = now;
        let old = session.worth;
        let worth = Worth { len: session.entries.len(), ..old };
        let is_settled = now.since(session.created_at) > self.idle;
        if worth == old && is_settled == session.is_settled {
            return;
        }
        (session.worth, session.is_settled) = (worth, is_settled);
        self.evictable_by_all.remove(&old);
        self.evictable_by_followers.remove(&old);
        if is_settled {
            self.evictable_by_all.insert(worth);
        }
        if is_settled || !worth.is_follower {
            self.evictable_by_followers.insert(worth);
        }
        self.partition_count = self.partition_count - old.len + worth.len;
    }

    pub fn remove(&mut self, id: i32) {
        if !self.by_id.contains_key(&id) {
            return;
        }
        self.unlink(id);
        if let Some(Session { worth, .. }) = self.by_id.remove(&id) {
            self.evictable_by_all.remove(&worth);
            self.evictable_by_followers.remove(&worth);
            self.partition_count -= worth.len;
        }
    }

    pub fn get(&self, id: i32) -> Option<&Session> {
        self.by_id.get(&id)
    }

    pub fn get_mut(&mut self, id: i32) -> Option<&mut Session> {
        self.by_id.get_mut(&id)
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    pub fn eviction_count(&self) -> u64 {
        self.eviction_count
    }

    fn link_newest(&mut self, id: i32) {
        let older = std::mem::replace(&mut self.newest, id);
        match self.by_id.get_mut(&older) {
            Some(session) => session.newer = id,
            None => self.oldest = id,
        }
        if let Some(session) = self.by_id.get_mut(&id) {
            (session.older, session.newer) = (older, NO_SESSION);
        }
    }

    fn unlink(&mut self, id: i32) {
        let Some(&Session { older, newer, .. }) = self.by_id.get(&id) else { return };
        match self.by_id.get_mut(&older) {
            Some(session) => session.newer = newer,
            None => self.oldest = newer,
        }
        match self.by_id.get_mut(&newer) {
            Some(session) => session.older = older,
            None => self.newest = older,
        }
    }

    /// Checks that the chain, the trees and the count say the same as the sessions.
    #[cfg(test)]
    pub fn check(&self) {
        assert!(self.by_id.len() <= self.slots);
        let (mut id, mut older, mut used_at) = (self.oldest, NO_SESSION, Instant::ZERO);
        let mut chain_len = 0;
        while let Some(session) = self.by_id.get(&id) {
            assert_eq!((session.older, session.worth.id), (older, id));
            assert!(used_at <= session.used_at);
            used_at = session.used_at;
            chain_len += 1;
            (older, id) = (id, session.newer);
        }
        assert_eq!((older, chain_len), (self.newest, self.by_id.len()));
        let worths = |keep: fn(&Session) -> bool| -> BTreeSet<Worth> {
            self.by_id.values().filter(|session| keep(session)).map(|one| one.worth).collect()
        };
        assert_eq!(self.evictable_by_all, worths(|one| one.is_settled));
        let by_followers = worths(|one| one.is_settled || !one.worth.is_follower);
        assert_eq!(self.evictable_by_followers, by_followers);
        let partitions: usize = self.by_id.values().map(|one| one.entries.len()).sum();
        assert_eq!(self.partition_count, partitions);
    }

    #[cfg(test)]
    pub fn ids(&self) -> Vec<i32> {
        let mut ids: Vec<i32> = self.by_id.keys().copied().collect();
        ids.sort_unstable();
        ids
    }
}
