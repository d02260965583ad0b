//! The smallest set of records that a start comes back to the committed state from, in pieces.

use super::coordinator::Coordinator;
use super::group::Group;
use super::ids::GroupId;
use super::record::{Change, Record};
use crate::model::{PartitionIndex, TopicName};
use std::ops::Bound;

/// A place between two live records. Groups may come and go while a walk rests: it goes on behind
/// the last record that it gave.
#[derive(Clone, Debug, Default)]
pub struct LiveWalk(Place);

#[derive(Clone, Debug, Default)]
enum Place {
    #[default]
    Start,
    /// Behind a record of another protocol.
    Foreign(Box<[u8]>),
    Group(GroupId, Inside),
    End,
}

/// A place among the records of one group.
#[derive(Clone, Debug)]
enum Inside {
    /// Behind its generation.
    Generation,
    /// Behind an offset.
    Offset(TopicName, PartitionIndex),
}

impl LiveWalk {
    pub fn is_at_start(&self) -> bool {
        matches!(self.0, Place::Start)
    }

    pub fn is_at_end(&self) -> bool {
        matches!(self.0, Place::End)
    }
}

impl Coordinator {
    /// Gives live records from where the walk is, until `take` wants no more: what is not ours as it
    /// was, then for each group its last generation and its offsets. Appends under way are not in
    /// it: they come after. The offsets topic may be rewritten with these, a piece at a time, where
    /// each piece is written behind all that was committed when it was taken.
    pub fn walk_live(&self, walk: &mut LiveWalk, mut take: impl FnMut(Record) -> bool) {
        let place = std::mem::take(&mut walk.0);
        walk.0 = self.walk_from(place, &mut take);
    }

    fn walk_from(&self, place: Place, take: &mut impl FnMut(Record) -> bool) -> Place {
        let from = match place {
            Place::End => return Place::End,
            Place::Group(id, inside) => {
                if let Some(group) = self.groups.get(&id)
                    && let Some(place) = group.walk_live(Some(&inside), take)
                {
                    return Place::Group(id, place);
                }
                Bound::Excluded(id)
            }
            Place::Start | Place::Foreign(_) => {
                let from = match &place {
                    Place::Foreign(key) => Bound::Excluded(&key[..]),
                    _ => Bound::Unbounded,
                };
                for (key, value) in self.foreign.range::<[u8], _>((from, Bound::Unbounded)) {
                    if !take(Record { key: key.clone(), value: Some(value.clone()) }) {
                        return Place::Foreign(key.clone());
                    }
                }
                Bound::Unbounded
            }
        };
        for (id, group) in self.groups.range((from, Bound::Unbounded)) {
            if let Some(place) = group.walk_live(None, take) {
                return Place::Group(id.clone(), place);
            }
        }
        Place::End
    }

    /// All live records, taken one by one.
    #[cfg(test)]
    pub fn live_records(&self) -> std::vec::IntoIter<Record> {
        let (mut walk, mut records) = (LiveWalk::default(), Vec::new());
        while !walk.is_at_end() {
            self.walk_live(&mut walk, |record| {
                records.push(record);
                false
            });
        }
        records.into_iter()
    }
}

impl Group {
    /// Where the walk ended; `None` at the end of the group.
    fn walk_live(
        &self,
        after: Option<&Inside>,
        take: &mut impl FnMut(Record) -> bool,
    ) -> Option<Inside> {
        if after.is_none()
            && let Some(value) = &self.durable
        {
            let change = Change::Group { group: self.id.clone(), value: Some(value.clone()) };
            if !take(change.to_record()) {
                return Some(Inside::Generation);
            }
        }
        let after = match after {
            Some(Inside::Offset(topic, partition)) => Some((topic, *partition)),
            Some(Inside::Generation) | None => None,
        };
        for (topic, partition, offset) in self.offsets.iter_after(after) {
            let change = Change::Offset {
                group: self.id.clone(),
                topic: topic.clone(),
                partition,
                committed: Some(offset.clone()),
            };
            if !take(change.to_record()) {
                return Some(Inside::Offset(topic.clone(), partition));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Settings;
    use crate::model::{LeaderEpoch, Offset, Timestamp, TopicId};
    use std::rc::Rc;

    fn change(group: &str, topic: &str, partition: i32, offset: Option<i64>) -> Change {
        let committed = offset.map(|offset| super::super::offsets::CommittedOffset {
            offset: Offset(offset),
            leader_epoch: LeaderEpoch::NONE,
            metadata: "".into(),
            committed_at: Timestamp(1),
            expires_at: None,
            topic_id: TopicId::ZERO,
        });
        Change::Offset {
            group: group.into(),
            topic: TopicName::parse(topic).unwrap(),
            partition: PartitionIndex(partition),
            committed,
        }
    }

    fn replay(coordinator: &mut Coordinator, change: &Change) {
        let record = change.to_record();
        coordinator.replay(&record.key, record.value.as_deref()).unwrap();
    }

    fn coordinator() -> Coordinator {
        let mut coordinator = Coordinator::new(Settings::default(), Rc::default());
        coordinator.replay(&[0, 9, 1], Some(b"foreign")).unwrap();
        for group in ["a", "b", "c"] {
            for (topic, partition) in [("t", 0), ("t", 3), ("u", 1)] {
                replay(&mut coordinator, &change(group, topic, partition, Some(7)));
            }
        }
        coordinator
    }

    #[test]
    fn a_walk_in_pieces_of_any_size_gives_every_record_once() {
        let coordinator = coordinator();
        let whole: Vec<Record> = coordinator.live_records().collect();
        assert_eq!(whole.len(), 10);
        for size in 1..=11 {
            let (mut walk, mut records) = (LiveWalk::default(), Vec::new());
            while !walk.is_at_end() {
                let mut left = size;
                coordinator.walk_live(&mut walk, |record| {
                    records.push(record);
                    left -= 1;
                    left > 0
                });
            }
            assert_eq!(records, whole, "in pieces of {size}");
        }
    }

    #[test]
    fn what_changes_while_a_walk_rests_is_left_out_behind_it_and_found_before_it() {
        let mut coordinator = coordinator();
        let (mut walk, mut left) = (LiveWalk::default(), 6);
        coordinator.walk_live(&mut walk, |_| {
            left -= 1;
            left > 0
        });
        // It rests in the middle of group b: that is gone, with one that is to come.
        for (topic, partition) in [("t", 0), ("t", 3), ("u", 1)] {
            replay(&mut coordinator, &change("b", topic, partition, None));
        }
        replay(&mut coordinator, &change("c", "t", 0, None));
        replay(&mut coordinator, &change("a", "z", 0, Some(8)));
        replay(&mut coordinator, &change("bb", "z", 0, Some(8)));
        let mut rest = Vec::new();
        coordinator.walk_live(&mut walk, |record| {
            rest.push(record);
            true
        });
        assert!(walk.is_at_end());
        let wanted = [("bb", "z", 0, 8), ("c", "t", 3, 7), ("c", "u", 1, 7)];
        let wanted = wanted.map(|(group, topic, partition, offset)| {
            change(group, topic, partition, Some(offset)).to_record()
        });
        assert_eq!(rest, wanted);
    }
}
