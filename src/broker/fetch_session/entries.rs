//! The partitions of one fetch: found by name or id at once, walked in the order of reading.
//!
//! A slab, with three chains through it: the order of reading, the entries whose hash is the same,
//! and the free slots.
//!
//! ```text
//!   index: hash -> slot          head                        tail
//!                                  v                           v
//!   slots: [ orders-0 ]      [ orders-1 ]      [ (free) ]  [ users-0 ]
//!               ^ after <---------' '--> before = none          |
//!               '------------------------------------- before --'
//! ```
//!
//! Clients choose names and partitions, so the hash has a secret; its 64 bits are the key of the
//! index, and equal ones are told apart by comparing the partitions themselves.

use crate::base::FastMap;
use crate::model::topic::NAME_LEN_MAX;
use crate::model::{LeaderEpoch, Offset, TopicId};
use std::hash::{DefaultHasher, Hasher};
use std::mem;
use std::sync::Arc;

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// What was last told to the fetcher when nothing was, or only an error: differs from every answer.
const NOT_SENT: Offset = Offset(-1);

/// Which partition: by id where it is not zero, else by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionKey<'a> {
    /// Empty where an id is given and the name is not known.
    pub name: &'a str,
    /// Zero where the request uses names (Fetch before version 13).
    pub id: TopicId,
    pub partition: i32,
}

/// A partition as a request names it.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    /// Name, id and partition are those of a `PartitionKey`.
    pub name: &'a str,
    pub id: TopicId,
    pub partition: i32,
    pub offset: Offset,
    pub bytes_max: i32,
    /// What the fetcher takes for the leader's epoch; -1 if it does not know.
    pub leader_epoch: LeaderEpoch,
    /// Epoch of the last batch that the fetcher has; -1 if it does not say.
    pub last_epoch: LeaderEpoch,
    /// Where the fetcher's own log starts, if it is a follower; else -1.
    pub log_start_offset: Offset,
}

/// A partition of a fetch, and what its fetcher was last told of it.
#[derive(Clone, Debug)]
pub struct FetchEntry {
    pub name: Arc<str>,
    pub id: TopicId,
    pub partition: i32,
    pub offset: Offset,
    pub bytes_max: i32,
    pub leader_epoch: LeaderEpoch,
    pub last_epoch: LeaderEpoch,
    /// The fetcher's, not ours.
    pub log_start_offset: Offset,
    sent_high_watermark: Offset,
    sent_log_start_offset: Offset,
}

/// What a partition's part of the answer says.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// Size of the records.
    pub bytes: usize,
    pub high_watermark: Offset,
    pub log_start_offset: Offset,
    pub is_error: bool,
    /// The fetcher must truncate (KIP-595).
    pub is_diverging: bool,
    /// The fetcher is sent to another replica (KIP-392).
    pub has_preferred_replica: bool,
}

/// Place of an entry in its `FetchEntries`; good as long as its context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryIndex(pub u32);

/// The partitions of one fetch, in the order of reading.
#[derive(Debug)]
pub struct FetchEntries {
    slots: Vec<Slot>,
    /// From a hash to the first slot of its chain.
    index: FastMap<u64, u32>,
    secret: u64,
    head: u32,
    tail: u32,
    free: u32,
    len: usize,
    /// A name is longer than any topic's: not worth remembering.
    has_long_name: bool,
}

#[derive(Debug)]
struct Slot {
    entry: FetchEntry,
    hash: u64,
    /// Next with the same hash.
    twin: u32,
    before: u32,
    /// Next in the order of reading, or next free.
    after: u32,
    is_live: bool,
}

/// More entries than were allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Default for FetchEntries {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            index: FastMap::default(),
            secret: 0,
            head: NONE,
            tail: NONE,
            free: NONE,
            len: 0,
            has_long_name: false,
        }
    }
}

impl FetchEntries {
    /// Forgets all entries and takes others. Memory is kept, and a name that stays where it was
    /// is not copied again: a fetcher without a session repeats itself.
    pub(super) fn refill<'a>(
        &mut self,
        secret: u64,
        wanted: impl Iterator<Item = NewEntry<'a>>,
        len_max: usize,
    ) -> Result<(), Overflow> {
        self.secret = secret;
        self.index.clear();
        (self.head, self.tail, self.free) = (NONE, NONE, NONE);
        self.len = 0;
        self.has_long_name = false;
        let put = self.put_all(wanted, len_max);
        self.slots.truncate(self.len);
        put
    }

    /// Takes entries, or what is new of those that are here already. A request that names a
    /// partition twice means what it says last.
    pub(super) fn put_all<'a>(
        &mut self,
        wanted: impl Iterator<Item = NewEntry<'a>>,
        len_max: usize,
    ) -> Result<(), Overflow> {
        for new in wanted {
            let key = new.key();
            let hash = self.hash(&key);
            if let Some(at) = self.find(hash, &key) {
                self.slots[at as usize].entry.update(&new);
            } else if self.len < len_max {
                self.insert(hash, &new);
            } else {
                return Err(Overflow);
            }
        }
        Ok(())
    }

    fn insert(&mut self, hash: u64, new: &NewEntry) {
        let name = self.name_for(new.name);
        self.has_long_name |= name.len() > NAME_LEN_MAX;
        let entry = FetchEntry::new(name, new);
        let at = if self.free == NONE { self.len as u32 } else { self.free };
        let twin = self.index.insert(hash, at).unwrap_or(NONE);
        let slot = Slot { entry, hash, twin, before: NONE, after: NONE, is_live: true };
        if self.free != NONE {
            let freed = mem::replace(&mut self.slots[at as usize], slot);
            self.free = freed.after;
        } else if let Some(stale) = self.slots.get_mut(at as usize) {
            *stale = slot;
        } else {
            self.slots.push(slot);
        }
        self.len += 1;
        self.link_last(at);
    }

    /// A name as shared text, without a copy if the entry before has it, or the one that lay
    /// here when the entries were last filled.
    fn name_for(&self, name: &str) -> Arc<str> {
        let neighbour = self.slots.get(self.tail as usize);
        let predecessor = self.slots.get(self.len);
        for slot in [neighbour, predecessor].into_iter().flatten() {
            if *slot.entry.name == *name {
                return Arc::clone(&slot.entry.name);
            }
        }
        if name.is_empty() { Arc::default() } else { name.into() }
    }

    /// Forgets a partition; false if it is not here.
    pub(super) fn remove(&mut self, key: &PartitionKey) -> bool {
        let hash = self.hash(key);
        let Some(at) = self.find(hash, key) else { return false };
        self.unlink_twin(at);
        self.unlink(at);
        let free = self.free;
        let slot = &mut self.slots[at as usize];
        slot.is_live = false;
        slot.after = free;
        slot.entry.name = Arc::default();
        self.free = at;
        self.len -= 1;
        true
    }

    /// Keeps what the fetcher is told now; true if that is news to it.
    pub(super) fn note(&mut self, index: EntryIndex, answered: &Answered) -> bool {
        let slot = self.slots.get_mut(index.0 as usize).filter(|slot| slot.is_live);
        let entry = &mut slot.expect("an index is used with its own entries").entry;
        let is_news = entry.is_news(answered);
        entry.note(answered);
        is_news
    }

    /// Lets the others be read first.
    pub(super) fn move_last(&mut self, index: EntryIndex) {
        if self.tail != index.0 {
            self.unlink(index.0);
            self.link_last(index.0);
        }
    }

    /// Keeps a name that was not known when the entry came.
    pub(super) fn resolve(&mut self, index: EntryIndex, name: &Arc<str>) {
        if let Some(slot) = self.slots.get_mut(index.0 as usize)
            && slot.is_live
            && !slot.entry.id.is_zero()
        {
            slot.entry.name = Arc::clone(name);
        }
    }

    /// Gives back the memory that a larger request left here.
    pub(super) fn shrink(&mut self) {
        self.slots.shrink_to_fit();
        self.index.shrink_to_fit();
    }

    /// In the order of reading.
    pub fn iter(&self) -> impl Iterator<Item = (EntryIndex, &FetchEntry)> {
        let mut at = self.head;
        std::iter::from_fn(move || {
            let slot = self.slots.get(at as usize)?;
            let index = EntryIndex(at);
            at = slot.after;
            Some((index, &slot.entry))
        })
    }

    pub fn get(&self, index: EntryIndex) -> Option<&FetchEntry> {
        self.slots.get(index.0 as usize).filter(|slot| slot.is_live).map(|slot| &slot.entry)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn has_long_name(&self) -> bool {
        self.has_long_name
    }

    fn hash(&self, key: &PartitionKey) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.secret);
        if key.id.is_zero() {
            hasher.write(key.name.as_bytes());
        } else {
            hasher.write(&key.id.0);
        }
        hasher.write_i32(key.partition);
        // Few values in tests, so that they meet equal ones.
        if cfg!(test) { hasher.finish() & 0x3f } else { hasher.finish() }
    }

    fn find(&self, hash: u64, key: &PartitionKey) -> Option<u32> {
        let mut at = *self.index.get(&hash)?;
        while let Some(slot) = self.slots.get(at as usize) {
            if slot.entry.is(key) {
                return Some(at);
            }
            at = slot.twin;
        }
        None
    }

    fn unlink_twin(&mut self, at: u32) {
        let Slot { hash, twin, .. } = self.slots[at as usize];
        let first = self.index[&hash];
        if first != at {
            let mut before = first;
            while self.slots[before as usize].twin != at {
                before = self.slots[before as usize].twin;
            }
            self.slots[before as usize].twin = twin;
        } else if twin == NONE {
            self.index.remove(&hash);
        } else {
            self.index.insert(hash, twin);
        }
    }

    fn unlink(&mut self, at: u32) {
        let Slot { before, after, .. } = self.slots[at as usize];
        match self.slots.get_mut(before as usize) {
            Some(slot) => slot.after = after,
            None => self.head = after,
        }
        match self.slots.get_mut(after as usize) {
            Some(slot) => slot.before = before,
            None => self.tail = before,
        }
    }

    fn link_last(&mut self, at: u32) {
        let before = mem::replace(&mut self.tail, at);
        match self.slots.get_mut(before as usize) {
            Some(slot) => slot.after = at,
            None => self.head = at,
        }
        let slot = &mut self.slots[at as usize];
        (slot.before, slot.after) = (before, NONE);
    }
}

impl<'a> NewEntry<'a> {
    fn key(&self) -> PartitionKey<'a> {
        PartitionKey { name: self.name, id: self.id, partition: self.partition }
    }
}

impl FetchEntry {
    fn new(name: Arc<str>, new: &NewEntry) -> Self {
        Self {
            name,
            id: new.id,
            partition: new.partition,
            offset: new.offset,
            bytes_max: new.bytes_max,
            leader_epoch: new.leader_epoch,
            last_epoch: new.last_epoch,
            log_start_offset: new.log_start_offset,
            sent_high_watermark: NOT_SENT,
            sent_log_start_offset: NOT_SENT,
        }
    }

    fn update(&mut self, new: &NewEntry) {
        self.offset = new.offset;
        self.bytes_max = new.bytes_max;
        self.leader_epoch = new.leader_epoch;
        self.last_epoch = new.last_epoch;
        self.log_start_offset = new.log_start_offset;
        if self.name.is_empty() && !new.name.is_empty() {
            self.name = new.name.into();
        }
    }

    fn is(&self, key: &PartitionKey) -> bool {
        self.partition == key.partition
            && self.id == key.id
            && (!key.id.is_zero() || *self.name == *key.name)
    }

    pub fn key(&self) -> PartitionKey<'_> {
        PartitionKey { name: &self.name, id: self.id, partition: self.partition }
    }

    /// Whether this tells a fetcher with a session anything that it does not know.
    pub fn is_news(&self, answered: &Answered) -> bool {
        answered.bytes > 0
            || answered.is_error
            || answered.is_diverging
            || answered.has_preferred_replica
            || answered.high_watermark != self.sent_high_watermark
            || answered.log_start_offset != self.sent_log_start_offset
    }

    /// After an error the partition is sent again even if nothing moved meanwhile, so that the
    /// fetcher learns that the error is gone.
    fn note(&mut self, answered: &Answered) {
        self.sent_log_start_offset = answered.log_start_offset;
        self.sent_high_watermark =
            if answered.is_error { NOT_SENT } else { answered.high_watermark };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Uuid;
    use proptest::prelude::*;

    fn new_entry(name: &str, id: TopicId, partition: i32) -> NewEntry<'_> {
        NewEntry {
            name,
            id,
            partition,
            offset: Offset(i64::from(partition)),
            bytes_max: 1,
            leader_epoch: LeaderEpoch::NONE,
            last_epoch: LeaderEpoch::NONE,
            log_start_offset: NOT_SENT,
        }
    }

    fn named(name: &str, partition: i32) -> NewEntry<'_> {
        new_entry(name, TopicId::ZERO, partition)
    }

    fn show(entries: &FetchEntries) -> Vec<(String, i32)> {
        entries.iter().map(|(_, entry)| (entry.name.to_string(), entry.partition)).collect()
    }

    #[test]
    fn partitions_of_a_topic_and_of_the_next_request_share_the_name() {
        let mut entries = FetchEntries::default();
        let request = [named("orders", 0), named("orders", 1), named("users", 0)];
        entries.refill(7, request.into_iter(), 3).unwrap();
        let names: Vec<_> = entries.iter().map(|(_, entry)| Arc::clone(&entry.name)).collect();
        assert!(Arc::ptr_eq(&names[0], &names[1]));
        entries.refill(7, request.into_iter(), 3).unwrap();
        for ((_, entry), name) in entries.iter().zip(&names) {
            assert!(Arc::ptr_eq(&entry.name, name));
        }
        assert_eq!(entries.slots.capacity(), 4, "no memory beyond the first request's");
    }

    #[test]
    fn a_topic_with_an_id_is_the_same_with_and_without_its_name() {
        let id = Uuid([3; 16]);
        let mut entries = FetchEntries::default();
        entries.put_all([new_entry("", id, 0), new_entry("orders", id, 0)].into_iter(), 9).unwrap();
        assert_eq!(show(&entries), [("orders".to_string(), 0)]);
        // The same name without the id is another partition.
        entries.put_all([named("orders", 0)].into_iter(), 9).unwrap();
        assert_eq!(entries.len(), 2);
        assert!(entries.remove(&PartitionKey { name: "", id, partition: 0 }));
        assert!(!entries.remove(&PartitionKey { name: "orders", id, partition: 0 }));
    }

    #[test]
    fn more_than_allowed_is_refused_but_a_repetition_is_not_more() {
        let mut entries = FetchEntries::default();
        assert_eq!(entries.refill(7, [named("a", 0), named("a", 0)].into_iter(), 1), Ok(()));
        assert_eq!(entries.refill(7, [named("a", 0), named("a", 1)].into_iter(), 1), Err(Overflow));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(u8, i32),
        Remove(u8, i32),
        MoveLast(usize),
        Refill(Vec<(u8, i32)>),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = || (0..4u8, 0..12i32);
        prop_oneof![
            4 => key().prop_map(|(name, partition)| Step::Put(name, partition)),
            3 => key().prop_map(|(name, partition)| Step::Remove(name, partition)),
            2 => any::<usize>().prop_map(Step::MoveLast),
            1 => proptest::collection::vec(key(), 0..20).prop_map(Step::Refill),
        ]
    }

    proptest! {
        #[test]
        fn entries_behave_as_a_list_without_repetitions(
            steps in proptest::collection::vec(step(), 1..120)
        ) {
            let name_of = |name: u8| ["", "a", "bb", "ccc"][usize::from(name)];
            let mut entries = FetchEntries::default();
            let mut model: Vec<(String, i32)> = Vec::new();
            let add = |model: &mut Vec<(String, i32)>, name: u8, partition: i32| {
                let key = (name_of(name).to_string(), partition);
                if !model.contains(&key) {
                    model.push(key);
                }
            };
            for step in steps {
                match step {
                    Step::Put(name, partition) => {
                        entries.put_all([named(name_of(name), partition)].into_iter(), 99).unwrap();
                        add(&mut model, name, partition);
                    }
                    Step::Remove(name, partition) => {
                        let key = (name_of(name).to_string(), partition);
                        let place = model.iter().position(|other| *other == key);
                        prop_assert_eq!(
                            entries.remove(&named(&key.0, partition).key()), place.is_some()
                        );
                        place.map(|place| model.remove(place));
                    }
                    Step::MoveLast(at) if !model.is_empty() => {
                        let at = at % model.len();
                        let index = entries.iter().nth(at).unwrap().0;
                        entries.move_last(index);
                        let moved = model.remove(at);
                        model.push(moved);
                    }
                    Step::MoveLast(_) => {}
                    Step::Refill(keys) => {
                        let request = keys.iter().map(|(name, part)| named(name_of(*name), *part));
                        entries.refill(7, request, 99).unwrap();
                        model.clear();
                        for (name, partition) in &keys {
                            add(&mut model, *name, *partition);
                        }
                    }
                }
                prop_assert_eq!(show(&entries), model.clone());
                prop_assert_eq!(entries.len(), model.len());
                for (index, entry) in entries.iter() {
                    let key = entry.key();
                    prop_assert_eq!(entries.find(entries.hash(&key), &key), Some(index.0));
                }
            }
        }
    }
}
