//! All deadlines of a coordinator in one heap.
//!
//! Heartbeats put deadlines off, again and again: a later one is only noted, and its entry is moved
//! when it comes up. So a heartbeat costs a store, and a member comes up once per session timeout.
//! Who no longer waits leaves at once, so that the heap is no longer than what waits.

use super::ids::{GroupId, MemberId};
use crate::base::{DeadlineHeap, Instant};

/// What is to be looked at when a deadline has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// A member's session, or the patience with one that was given an id.
    Member(GroupId, MemberId),
    /// The join phase of a rebalance.
    Join(GroupId),
    /// The sync phase of a rebalance.
    Sync(GroupId),
    /// Old offsets.
    Expiry,
    /// The sessions of members that a log was loaded with.
    Sessions,
}

/// The owner's end of a deadline; off by default.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    slot: u32,
    /// Tells the use of a slot from later ones of others; 0 is nobody's.
    serial: u64,
}

#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// When to look at each slot.
    heap: DeadlineHeap,
    slots: Vec<Slot>,
    free: Vec<u32>,
    serial: u64,
}

#[derive(Debug)]
struct Slot {
    serial: u64,
    /// Not before the heap says.
    due: Instant,
    wake: Option<Wake>,
}

impl Deadlines {
    /// Sets the alarm to `due`, from wherever it was.
    pub fn set(&mut self, alarm: &mut Alarm, due: Instant, wake: impl FnOnce() -> Wake) {
        if let Some(slot) = self.slot_of(alarm) {
            slot.due = due;
            if self.heap.get(alarm.slot).is_some_and(|look| due < look) {
                self.heap.set(alarm.slot, due);
            }
            return;
        }
        self.serial += 1;
        let slot = Slot { serial: self.serial, due, wake: Some(wake()) };
        let index = if let Some(index) = self.free.pop() {
            self.slots[index as usize] = slot;
            index
        } else {
            self.slots.push(slot);
            self.slots.len() as u32 - 1
        };
        self.heap.set(index, due);
        *alarm = Alarm { slot: index, serial: self.serial };
    }

    /// Switches the alarm off, if it is on.
    pub fn cancel(&mut self, alarm: &mut Alarm) {
        if self.slot_of(alarm).is_some() {
            self.take(alarm.slot);
        }
        *alarm = Alarm::default();
    }

    /// Whether the alarm will ring.
    #[cfg(test)]
    pub fn is_set(&self, alarm: &Alarm) -> bool {
        self.slots.get(alarm.slot as usize).is_some_and(|slot| slot.serial == alarm.serial)
    }

    /// When to look next: not later than the first deadline.
    pub fn next(&self) -> Option<Instant> {
        self.heap.first().map(|(at, _)| at)
    }

    /// Takes out one deadline that has passed; its alarm is off.
    pub fn pop(&mut self, now: Instant) -> Option<Wake> {
        while let Some((at, index)) = self.heap.first()
            && at <= now
        {
            let due = self.slots[index as usize].due;
            if due <= now {
                return self.take(index);
            }
            self.heap.set(index, due);
        }
        None
    }

    pub fn len(&self) -> usize {
        self.heap.len()
    }

    fn slot_of(&mut self, alarm: &Alarm) -> Option<&mut Slot> {
        self.slots.get_mut(alarm.slot as usize).filter(|slot| slot.serial == alarm.serial)
    }

    fn take(&mut self, index: u32) -> Option<Wake> {
        self.heap.remove(index);
        self.free.push(index);
        let slot = &mut self.slots[index as usize];
        slot.serial = u64::MAX;
        slot.wake.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wake(n: u64) -> Wake {
        Wake::Join(GroupId::from(n.to_string().as_str()))
    }

    #[test]
    fn a_deadline_put_off_rings_once_and_late() {
        let mut deadlines = Deadlines::default();
        let mut alarm = Alarm::default();
        for due in [10, 20, 30] {
            deadlines.set(&mut alarm, Instant(due), || wake(0));
        }
        assert_eq!(deadlines.len(), 1);
        assert_eq!(deadlines.pop(Instant(29)), None);
        assert_eq!(deadlines.next(), Some(Instant(30)));
        deadlines.set(&mut alarm, Instant(5), || wake(1));
        assert_eq!(deadlines.pop(Instant(5)), Some(wake(0)));
        assert!(!deadlines.is_set(&alarm));
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn an_alarm_that_rang_does_not_touch_who_has_its_slot_now() {
        let mut deadlines = Deadlines::default();
        let (mut old, mut new) = (Alarm::default(), Alarm::default());
        deadlines.set(&mut old, Instant(1), || wake(0));
        assert_eq!(deadlines.pop(Instant(1)), Some(wake(0)));
        deadlines.set(&mut new, Instant(7), || wake(1));
        deadlines.cancel(&mut old);
        assert!(deadlines.is_set(&new));
        assert_eq!(deadlines.pop(Instant(7)), Some(wake(1)));
    }

    #[test]
    fn alarms_ring_in_order_and_cancelled_ones_never() {
        let mut deadlines = Deadlines::default();
        let mut alarms: Vec<Alarm> = (0..200).map(|_| Alarm::default()).collect();
        for (n, alarm) in (0..).zip(&mut alarms) {
            deadlines.set(alarm, Instant(n * 37 % 101), || wake(n));
        }
        for alarm in alarms.iter_mut().step_by(3) {
            deadlines.cancel(alarm);
        }
        let mut rung = Vec::new();
        for now in 0..101 {
            while let Some(Wake::Join(group)) = deadlines.pop(Instant(now)) {
                let n: u64 = group.as_str().parse().unwrap();
                assert_eq!(n * 37 % 101, now);
                rung.push(n);
            }
        }
        rung.sort_unstable();
        assert_eq!(rung, (0..200).filter(|n| n % 3 != 0).collect::<Vec<_>>());
        assert_eq!(deadlines.len(), 0);
    }
}
