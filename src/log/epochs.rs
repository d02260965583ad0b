//! Leader epochs of a log: where each began. In memory, and as Kafka's `leader-epoch-checkpoint`.

use super::checkpoint;
use crate::model::{LeaderEpoch, Offset};
use std::fmt::Write as _;

/// Where a leader epoch began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    pub epoch: LeaderEpoch,
    pub start_offset: Offset,
}

/// The epochs in a log, ascending in epoch and in offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    entries: Vec<EpochEntry>,
}

impl Epochs {
    /// Counts a batch of `epoch` at `offset`; whether that began a new entry. Entries that an
    /// older leader left at or above either are forgotten, as Kafka does.
    pub fn assign(&mut self, epoch: LeaderEpoch, offset: Offset) -> bool {
        if epoch < LeaderEpoch(0) || self.latest().is_some_and(|last| last.epoch == epoch) {
            return false;
        }
        self.entries.retain(|entry| entry.epoch < epoch && entry.start_offset < offset);
        self.entries.push(EpochEntry { epoch, start_offset: offset });
        true
    }

    /// Counts a batch that the log already holds: only an epoch above all known ones is news.
    pub fn observe(&mut self, epoch: LeaderEpoch, offset: Offset) {
        if self.latest().is_none_or(|last| last.epoch < epoch) {
            self.assign(epoch, offset);
        }
    }

    pub fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// Epoch of the batch at `offset`.
    pub fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        Some(self.entries[after.checked_sub(1)?].epoch)
    }

    /// The largest epoch at or below `epoch` in a log from `start` to `log_end_offset`, and where
    /// the next one begins (the log's end for the last). `None` where that is not known.
    pub fn end_offset(
        &self,
        epoch: LeaderEpoch,
        start: Offset,
        log_end_offset: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        if epoch < LeaderEpoch(0) {
            return None;
        }
        // Epochs that ended before the log begins are forgotten.
        let before = self.entries.partition_point(|entry| entry.start_offset <= start);
        let entries = &self.entries[before.saturating_sub(1)..];
        let after = entries.partition_point(|entry| entry.epoch <= epoch);
        match (after.checked_sub(1), entries.get(after)) {
            // Older than all that is known: Kafka says the epoch itself and where the log begins.
            (None, Some(first)) => Some((epoch, first.start_offset.max(start))),
            (None, None) => None,
            (Some(floor), next) => {
                // An epoch above all known ones belongs to a leader this log has not heard of.
                if next.is_none() && entries[floor].epoch < epoch {
                    return None;
                }
                let end = next.map_or(log_end_offset, |next| next.start_offset);
                Some((entries[floor].epoch, end))
            }
        }
    }

    /// The log ends at `end` now; whether anything changed.
    pub fn truncate_end(&mut self, end: Offset) -> bool {
        let count = self.entries.len();
        self.entries.retain(|entry| entry.start_offset < end);
        count != self.entries.len()
    }

    /// The log begins at `start` now: the entry that covers it begins there.
    pub fn truncate_start(&mut self, start: Offset) -> bool {
        let after = self.entries.partition_point(|entry| entry.start_offset <= start);
        let Some(floor) = after.checked_sub(1) else { return false };
        let is_changed = floor > 0 || self.entries[floor].start_offset != start;
        self.entries.drain(..floor);
        self.entries[0].start_offset = start;
        is_changed
    }

    pub fn encode(&self) -> String {
        let mut text = format!("0\n{}\n", self.entries.len());
        for entry in &self.entries {
            let _ = writeln!(text, "{} {}", entry.epoch, entry.start_offset);
        }
        text
    }

    pub fn decode(text: &str) -> Result<Self, checkpoint::CheckpointError> {
        let mut epochs = Self::default();
        for (index, line) in checkpoint::lines(text)?.enumerate() {
            let line = line?;
            let malformed = || checkpoint::CheckpointError::Line { index, line: line.to_owned() };
            let (epoch, offset) = line.split_once(' ').ok_or_else(malformed)?;
            let entry = EpochEntry {
                epoch: LeaderEpoch(epoch.parse().map_err(|_| malformed())?),
                start_offset: Offset(offset.parse().map_err(|_| malformed())?),
            };
            let is_after = epochs.latest().is_none_or(|last| {
                last.epoch < entry.epoch && last.start_offset <= entry.start_offset
            });
            if !is_after || entry.epoch < LeaderEpoch(0) || entry.start_offset < Offset::ZERO {
                return Err(malformed());
            }
            epochs.entries.push(entry);
        }
        Ok(epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        for &(epoch, offset) in entries {
            assert!(epochs.assign(LeaderEpoch(epoch), Offset(offset)));
        }
        epochs
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let epochs = epochs(&[(1, 0), (3, 10), (4, 25)]);
        let end = |epoch| {
            epochs
                .end_offset(LeaderEpoch(epoch), Offset(0), Offset(40))
                .map(|(e, offset)| (e.0, offset.0))
        };
        assert_eq!(end(0), Some((0, 0)));
        assert_eq!(end(1), Some((1, 10)));
        assert_eq!(end(2), Some((1, 10)));
        assert_eq!(end(3), Some((3, 25)));
        assert_eq!(end(4), Some((4, 40)));
        assert_eq!((end(5), end(-1)), (None, None));
        let late = epochs.end_offset(LeaderEpoch(1), Offset(12), Offset(40));
        assert_eq!(late, Some((LeaderEpoch(1), Offset(12))));
        assert_eq!(epochs.at(Offset(24)), Some(LeaderEpoch(3)));
    }

    #[test]
    fn a_batch_of_the_same_epoch_changes_nothing_and_a_newer_one_forgets_what_was_above() {
        let mut epochs = epochs(&[(1, 0), (3, 10)]);
        assert!(!epochs.assign(LeaderEpoch(3), Offset(20)));
        assert!(!epochs.assign(LeaderEpoch::NONE, Offset(20)));
        assert!(epochs.assign(LeaderEpoch(5), Offset(10)));
        assert_eq!(epochs.encode(), "0\n2\n1 0\n5 10\n");
    }

    #[test]
    fn what_is_read_again_moves_no_epoch() {
        let mut epochs = epochs(&[(1, 0), (3, 10)]);
        for (epoch, offset) in [(1, 5), (3, 12), (-1, 13), (4, 20)] {
            epochs.observe(LeaderEpoch(epoch), Offset(offset));
        }
        assert_eq!(epochs.encode(), "0\n3\n1 0\n3 10\n4 20\n");
    }

    #[test]
    fn cuts_at_both_ends_keep_the_entry_that_covers_the_start() {
        let mut epochs = epochs(&[(1, 0), (3, 10), (4, 25)]);
        assert!(epochs.truncate_end(Offset(25)));
        assert!(epochs.truncate_start(Offset(12)));
        assert_eq!(epochs.encode(), "0\n1\n3 12\n");
        assert!(!epochs.truncate_start(Offset(12)));
    }

    #[test]
    fn the_file_is_read_as_it_was_written_and_a_bad_one_is_refused() {
        let epochs = epochs(&[(1, 0), (3, 10)]);
        assert_eq!(Epochs::decode(&epochs.encode()).unwrap(), epochs);
        for bad in
            ["", "1\n0\n", "0\n2\n1 0\n", "0\n1\n1 x\n", "0\n2\n3 0\n1 5\n", "0\n9999999999\n"]
        {
            assert!(Epochs::decode(bad).is_err(), "{bad:?}");
        }
    }
}
