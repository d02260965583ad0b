//! Timers of one core: a binary heap whose entries know their place, so that a timer that is no
//! longer wanted leaves at once. Allocates nothing once it has grown.

use crate::base::Instant;
use std::task::Waker;

#[derive(Default)]
pub(super) struct Timers {
    /// (deadline, entry), smallest deadline first.
    heap: Vec<(Instant, u32)>,
    entries: Vec<Entry>,
    free: Vec<u32>,
}

struct Entry {
    place: usize,
    waker: Option<Waker>,
}

/// `place` of an entry that has fired.
const FIRED: usize = usize::MAX;

impl Timers {
    pub fn add(&mut self, deadline: Instant, waker: Waker) -> u32 {
        let entry = Entry { place: self.heap.len(), waker: Some(waker) };
        let index = if let Some(index) = self.free.pop() {
            self.entries[index as usize] = entry;
            index
        } else {
            self.entries.push(entry);
            self.entries.len() as u32 - 1
        };
        self.heap.push((deadline, index));
        self.rise(self.heap.len() - 1);
        index
    }

    pub fn is_fired(&self, index: u32) -> bool {
        self.entries[index as usize].place == FIRED
    }

    pub fn set_waker(&mut self, index: u32, waker: &Waker) {
        let slot = &mut self.entries[index as usize].waker;
        if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    /// Forgets a timer, fired or not.
    pub fn remove(&mut self, index: u32) {
        let place = self.entries[index as usize].place;
        if place != FIRED {
            self.take(place);
        }
        self.entries[index as usize].waker = None;
        self.free.push(index);
    }

    pub fn next(&self) -> Option<Instant> {
        self.heap.first().map(|(deadline, _)| *deadline)
    }

    /// Wakes everything due at `now`.
    pub fn fire(&mut self, now: Instant) {
        while self.next().is_some_and(|deadline| deadline <= now) {
            let index = self.take(0);
            let entry = &mut self.entries[index as usize];
            entry.place = FIRED;
            if let Some(waker) = entry.waker.take() {
                waker.wake();
            }
        }
    }

    fn take(&mut self, place: usize) -> u32 {
        let (_, index) = self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.entries[self.heap[place].1 as usize].place = place;
            self.sink(place);
            self.rise(place);
        }
        index
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
        self.entries[self.heap[a].1 as usize].place = a;
        self.entries[self.heap[b].1 as usize].place = b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_and_removed_ones_never() {
        let mut timers = Timers::default();
        let waker = Waker::noop();
        let ids: Vec<u32> =
            (0..100_u64).map(|i| timers.add(Instant(i * 37 % 101), waker.clone())).collect();
        for (i, id) in ids.iter().enumerate() {
            if i % 3 == 0 {
                timers.remove(*id);
            }
        }
        timers.fire(Instant(50));
        for (i, id) in ids.iter().enumerate().filter(|(i, _)| i % 3 != 0) {
            assert_eq!(timers.is_fired(*id), i as u64 * 37 % 101 <= 50);
        }
        assert!(timers.next().unwrap() > Instant(50));
        timers.fire(Instant(1000));
        assert_eq!(timers.next(), None);
    }
}
