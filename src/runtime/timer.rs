//! Timers of one core. One that is no longer wanted leaves at once. Allocates nothing once grown.

use crate::base::{DeadlineHeap, Instant};
use std::task::Waker;

#[derive(Default)]
pub(super) struct Timers {
    heap: DeadlineHeap,
    /// By timer.
    wakers: Vec<Option<Waker>>,
    free: Vec<u32>,
}

impl Timers {
    pub fn add(&mut self, deadline: Instant, waker: Waker) -> u32 {
        let index = if let Some(index) = self.free.pop() {
            self.wakers[index as usize] = Some(waker);
            index
        } else {
            self.wakers.push(Some(waker));
            self.wakers.len() as u32 - 1
        };
        self.heap.set(index, deadline);
        index
    }

    pub fn is_fired(&self, index: u32) -> bool {
        self.heap.get(index).is_none()
    }

    pub fn set_waker(&mut self, index: u32, waker: &Waker) {
        let slot = &mut self.wakers[index as usize];
        if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    /// Forgets a timer, fired or not.
    pub fn remove(&mut self, index: u32) {
        self.heap.remove(index);
        self.wakers[index as usize] = None;
        self.free.push(index);
    }

    pub fn next(&self) -> Option<Instant> {
        self.heap.first().map(|(deadline, _)| deadline)
    }

    /// Wakes everything due at `now`.
    pub fn fire(&mut self, now: Instant) {
        while let Some((deadline, index)) = self.heap.first()
            && deadline <= now
        {
            self.heap.remove(index);
            if let Some(waker) = self.wakers[index as usize].take() {
                waker.wake();
            }
        }
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
