//! What a core is doing now: written by the core with relaxed stores, read by whoever wonders why it
//! does not go on. What the numbers mean is the business of those who write them.

use crate::base::{Counter, Instant};

/// One core's present.
#[derive(Debug, Default)]
pub struct Doing {
    /// When this turn of the loop began; 0 while the core sleeps.
    turn_at: Counter,
    /// 0: a task that has not said what it does.
    what: Counter,
    place: [Counter; 2],
    /// The core is in a system call that is made in place.
    is_calling: Counter,
    longest_turn_ns: Counter,
}

/// The same, read at about one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub turn_at: Option<Instant>,
    pub what: u64,
    pub place: [u64; 2],
    pub is_calling: bool,
}

impl Doing {
    /// The task that runs says what it does.
    pub fn note(&self, what: u64) {
        self.what.set(what);
    }

    /// The same, and where.
    pub fn note_at(&self, what: u64, place: [u64; 2]) {
        self.what.set(what);
        self.place[0].set(place[0]);
        self.place[1].set(place[1]);
    }

    /// Another task runs, which has not said anything.
    pub(super) fn begin_task(&self) {
        self.what.set(0);
    }

    pub(super) fn begin_turn(&self, now: Instant) {
        self.turn_at.set(now.0);
    }

    /// What a turn has to do is done; the core may sleep.
    pub(super) fn end_turn(&self, now: Instant) {
        let began = self.turn_at.get();
        if began != 0 {
            let took = now.0.saturating_sub(began);
            self.longest_turn_ns.set(self.longest_turn_ns.get().max(took));
            self.turn_at.set(0);
        }
    }

    pub(super) fn set_calling(&self, is_calling: bool) {
        self.is_calling.set(u64::from(is_calling));
    }

    pub fn seen(&self) -> Seen {
        Seen {
            turn_at: Some(Instant(self.turn_at.get())).filter(|at| at.0 != 0),
            what: self.what.get(),
            place: [self.place[0].get(), self.place[1].get()],
            is_calling: self.is_calling.get() != 0,
        }
    }

    /// The longest turn of the core's life.
    pub fn longest_turn(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.longest_turn_ns.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_turn_stays_and_a_sleeping_core_does_nothing() {
        let doing = Doing::default();
        doing.end_turn(Instant(7));
        assert_eq!(doing.longest_turn().as_nanos(), 0, "no turn had begun");
        for (began, ended) in [(10, 15), (20, 120), (200, 210)] {
            doing.begin_turn(Instant(began));
            doing.note_at(3, [4, 5]);
            let seen =
                Seen { turn_at: Some(Instant(began)), what: 3, place: [4, 5], is_calling: false };
            assert_eq!(doing.seen(), seen);
            doing.end_turn(Instant(ended));
            assert_eq!(doing.seen().turn_at, None);
        }
        assert_eq!(doing.longest_turn().as_nanos(), 100);
    }
}
