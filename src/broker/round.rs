//! One round: what a request wants of many partitions goes to each owner once, all of them side by
//! side, and what they say comes back in the order of the request.

use super::call::{Call, DeleteRecordsError, Reply};
use super::shard::Shard;
use crate::model::{Offset, TopicId};
use crate::runtime::sync;
use std::rc::Rc;

/// Partitions that an owner begins anew before others have their turn.
const DELETIONS_PER_TURN_MAX: usize = 256;

/// A partition is to begin at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    pub topic: TopicId,
    pub partition: i32,
    pub offset: i64,
}

/// Where the partition begins now.
pub type Deleted = Result<Offset, DeleteRecordsError>;

/// What one owner gets, and the places that it has in the request.
struct Dealt<T> {
    owner: usize,
    places: Vec<usize>,
    items: Vec<T>,
}

impl Shard {
    /// Sends items to the owners of their partitions with `call`, and gives what `answers` finds in
    /// the replies: one answer an item, in the order of the items.
    pub(super) async fn round<T: Copy, R>(
        self: &Rc<Self>,
        items: &[T],
        place: impl Fn(&T) -> (TopicId, i32),
        call: impl Fn(Vec<T>) -> Call,
        answers: impl Fn(Reply) -> Vec<R>,
    ) -> Vec<R> {
        let dealt = deal(self.core_count(), items, |item| {
            let (topic, partition) = place(item);
            self.owner(topic, partition)
        });
        let asked = dealt.into_iter().map(|Dealt { owner, places, items }| {
            let call = call(items);
            async move { (places, self.call(owner, call).await) }
        });
        let replies = sync::all(asked).await;
        gather(items.len(), replies.into_iter().map(|(places, reply)| (places, answers(reply))))
    }

    /// Deletes records below these offsets; durable once where the logs begin has been saved.
    pub async fn delete_records(self: &Rc<Self>, deletions: &[Deletion]) -> Vec<Deleted> {
        let place = |deletion: &Deletion| (deletion.topic, deletion.partition);
        let answers = |reply| match reply {
            Reply::DeleteRecords(deleted) => deleted,
            _ => unreachable!("deletions have their own reply"),
        };
        self.round(deletions, place, Call::DeleteRecords, answers).await
    }

    /// Deletes records of partitions that this shard owns.
    pub(super) async fn delete_records_here(&self, deletions: &[Deletion]) -> Vec<Deleted> {
        let mut all = Vec::with_capacity(deletions.len());
        for turn in deletions.chunks(DELETIONS_PER_TURN_MAX) {
            if !all.is_empty() {
                self.core().turn_end().await;
            }
            all.extend(turn.iter().map(|&Deletion { topic, partition, offset }| {
                let found = self.partition(topic, partition);
                found.ok_or(DeleteRecordsError::UnknownPartition)?.delete_records(offset)
            }));
        }
        all
    }
}

/// Deals items out to owners; owners without any are left out.
fn deal<T: Copy>(
    owner_count: usize,
    items: &[T],
    owner: impl Fn(&T) -> usize,
) -> impl Iterator<Item = Dealt<T>> {
    let empty = |owner| Dealt { owner, places: Vec::new(), items: Vec::new() };
    let mut dealt: Vec<Dealt<T>> = (0..owner_count).map(empty).collect();
    for (place, item) in items.iter().enumerate() {
        let theirs = &mut dealt[owner(item)];
        theirs.places.push(place);
        theirs.items.push(*item);
    }
    dealt.into_iter().filter(|theirs| !theirs.items.is_empty())
}

/// Puts answers back where their items were.
fn gather<R>(count: usize, answers: impl Iterator<Item = (Vec<usize>, Vec<R>)>) -> Vec<R> {
    let mut all: Vec<Option<R>> = Vec::with_capacity(count);
    all.resize_with(count, || None);
    for (places, theirs) in answers {
        assert!(theirs.len() == places.len(), "each item has its answer");
        for (place, answer) in places.into_iter().zip(theirs) {
            all[place] = Some(answer);
        }
    }
    all.into_iter().map(|answer| answer.expect("each item was dealt to an owner")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_owners_say_comes_back_in_the_order_of_the_request() {
        let items = [31, 12, 21, 32, 11];
        let dealt: Vec<_> = deal(4, &items, |item| item / 10).collect();
        let owners: Vec<_> = dealt.iter().map(|theirs| theirs.owner).collect();
        assert_eq!(owners, [1, 2, 3], "who has nothing is not asked");
        assert_eq!(dealt[0].items, [12, 11]);
        // The last to be asked answers first.
        let answers = dealt.into_iter().rev().map(|theirs| {
            let said = theirs.items.iter().map(|item| item * 2).collect();
            (theirs.places, said)
        });
        assert_eq!(gather(items.len(), answers), items.map(|item| item * 2));
        assert!(gather::<u8>(0, std::iter::empty()).is_empty());
    }
}
