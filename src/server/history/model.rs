//! What the clients of a history know.

use std::collections::BTreeMap;

/// A partition's log, as far as it was told.
#[derive(Debug, Default)]
pub struct KnownLog {
    /// By offset, the number that lies there.
    by_offset: BTreeMap<i64, u64>,
    by_number: BTreeMap<u64, i64>,
}

/// A group's committed offset.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownCommit {
    /// The largest that was answered or seen.
    pub told: i64,
    pub asked: i64,
}

/// Whether a topic is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownTopic {
    Asked,
    Made,
    /// Its deletion was asked for.
    Leaving,
    Gone,
}

/// Everything that must hold from now on.
#[derive(Debug, Default)]
pub struct Model {
    pub logs: BTreeMap<(&'static str, i32), KnownLog>,
    pub commits: BTreeMap<String, KnownCommit>,
    pub topics: BTreeMap<String, KnownTopic>,
    /// Each record's value; none twice.
    pub numbers: u64,
    pub is_over: bool,
    /// Work that was really done, by kind.
    pub appended: u64,
    pub read: u64,
    pub committed: u64,
    pub changed: u64,
}

impl KnownLog {
    /// A record was acknowledged or read at an offset.
    pub fn saw(&mut self, offset: i64, number: u64) {
        let there = *self.by_offset.entry(offset).or_insert(number);
        assert!(there == number, "offset {offset} held {there}, and now {number}");
        let place = *self.by_number.entry(number).or_insert(offset);
        assert!(place == offset, "record {number} lies at {place} and at {offset}");
    }

    /// Compares a whole log, from its first offset on, with all that was told of it.
    pub fn check_all(&self, found: &BTreeMap<i64, u64>) {
        for (offset, number) in &self.by_offset {
            let there = found.get(offset);
            assert!(there == Some(number), "offset {offset} held {number}, and now {there:?}");
        }
        let dense = found.keys().copied().eq(0..found.len() as i64);
        assert!(dense, "offsets with holes: {:?}", found.keys());
        let mut numbers: Vec<u64> = found.values().copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert!(numbers.len() == found.len(), "a record lies there twice");
    }
}

impl Model {
    /// A group's offset was asked for and found.
    pub fn found_commit(&mut self, group: &str, found: i64) {
        let known = self.commits.entry(group.to_owned()).or_default();
        assert!(
            (known.told..=known.asked).contains(&found),
            "group {group}: found {found}, known {known:?}"
        );
        known.told = found;
    }

    /// The names of all topics were asked for.
    pub fn found_topics(&mut self, before: &BTreeMap<String, KnownTopic>, found: &[String]) {
        for (name, then) in before {
            let is_there = found.contains(name);
            // What changes meanwhile may be seen either way.
            let Some(now) = self.topics.get(name).filter(|now| *now == then) else { continue };
            match now {
                KnownTopic::Made => assert!(is_there, "{name} is not there any more"),
                KnownTopic::Gone => assert!(!is_there, "{name} was deleted and is back"),
                KnownTopic::Asked | KnownTopic::Leaving => {}
            }
        }
    }
}
