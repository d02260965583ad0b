//! A binary heap of deadlines whose members know their place, so that any of them can be moved or
//! taken out at once. Members are the owner's small numbers; allocates nothing once it has grown.

use super::time::Instant;

/// Place of a number that is not in the heap.
const ABSENT: usize = usize::MAX;

/// Deadlines, the smallest first; among equal ones the smaller member.
#[derive(Debug, Default)]
pub struct DeadlineHeap {
    heap: Vec<(Instant, u32)>,
    /// By member.
    places: Vec<usize>,
}

impl DeadlineHeap {
    /// The first deadline, and whose it is.
    pub fn first(&self) -> Option<(Instant, u32)> {
        self.heap.first().copied()
    }

    pub fn len(&self) -> usize {
        self.heap.len()
    }

    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The member's deadline, if it has one.
    pub fn get(&self, member: u32) -> Option<Instant> {
        let place = self.place(member)?;
        Some(self.heap[place].0)
    }

    /// Gives the member this deadline, whether it had one before or not.
    pub fn set(&mut self, member: u32, deadline: Instant) {
        let place = self.place(member).unwrap_or_else(|| {
            let index = member as usize;
            if index >= self.places.len() {
                self.places.resize(index + 1, ABSENT);
            }
            self.heap.push((deadline, member));
            self.places[index] = self.heap.len() - 1;
            self.heap.len() - 1
        });
        self.heap[place].0 = deadline;
        self.settle(place);
    }

    /// Takes the member out; whether it was there.
    pub fn remove(&mut self, member: u32) -> bool {
        let Some(place) = self.place(member) else { return false };
        self.heap.swap_remove(place);
        self.places[member as usize] = ABSENT;
        if place < self.heap.len() {
            self.places[self.heap[place].1 as usize] = place;
            self.settle(place);
        }
        true
    }

    fn place(&self, member: u32) -> Option<usize> {
        self.places.get(member as usize).copied().filter(|place| *place != ABSENT)
    }

    /// Brings what stands at `place` to where it belongs.
    fn settle(&mut self, place: usize) {
        self.sink(place);
        self.rise(place);
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 && self.heap[place] < self.heap[(place - 1) / 2] {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.heap.len() && self.heap[child] < self.heap[least] {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.swap(place, least);
            place = least;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.places[self.heap[a].1 as usize] = a;
        self.places[self.heap[b].1 as usize] = b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Random;
    use std::collections::BTreeMap;

    #[test]
    fn the_first_is_the_smallest_whatever_is_set_moved_and_removed() {
        let (mut random, mut heap) = (Random::new(1), DeadlineHeap::default());
        let mut model: BTreeMap<u32, Instant> = BTreeMap::new();
        for _ in 0..20_000 {
            let member = random.between(0, 40) as u32;
            if random.chance(1, 3) {
                assert_eq!(heap.remove(member), model.remove(&member).is_some());
            } else {
                let deadline = Instant(random.between(0, 100));
                heap.set(member, deadline);
                model.insert(member, deadline);
            }
            let first = model.iter().map(|(member, deadline)| (*deadline, *member)).min();
            assert_eq!((heap.first(), heap.len()), (first, model.len()));
            assert_eq!(heap.get(member), model.get(&member).copied());
        }
    }
}
