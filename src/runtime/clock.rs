//! The only place that reads clocks.

use crate::base::Instant;
use crate::model::Timestamp;
use std::cell::Cell;
use std::sync::OnceLock;

/// This core's clocks, read once a loop turn; a turn is short against what they time.
#[derive(Debug)]
pub struct Clock {
    now: Cell<Instant>,
    wall: Cell<Timestamp>,
}

impl Clock {
    /// Starts at the simulated time, where there is one.
    pub(super) fn new(simulated: Option<(Instant, Timestamp)>) -> Self {
        let (now, wall) = simulated.unwrap_or_else(|| (monotonic(), wall()));
        Self { now: Cell::new(now), wall: Cell::new(wall) }
    }

    pub(super) fn refresh(&self) {
        self.now.set(monotonic());
        self.wall.set(wall());
    }

    pub(super) fn set(&self, now: Instant, wall: Timestamp) {
        self.now.set(now);
        self.wall.set(wall);
    }

    pub(super) fn now(&self) -> Instant {
        self.now.get()
    }

    pub(super) fn wall(&self) -> Timestamp {
        self.wall.get()
    }
}

/// Reads the monotonic clock now; the same start for all threads of the process.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn monotonic() -> Instant {
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    Instant(1 + u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX - 1))
}

/// Reads the wall clock now: ms since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}
