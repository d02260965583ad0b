//! Which way appends take, per log directory and core: an inline gathered `pwritev`, or the ring.
//!
//! A ring write costs less and cannot block the core where the kernel completes it at once (XFS,
//! btrfs, under load); where it hands writes to a worker (ext4 always; every file system for the
//! first write to a file in a clock tick, which must update the file's times), inline costs half.
//! So completions are counted while running: now and then a window of writes to busy files goes
//! through the ring, and the share that a worker took decides. A file's first write in a tick goes
//! inline either way, and above the dirty budget everything goes through the ring.

use std::time::Duration;

/// A file whose last write is older than this would pay for its times: the clock tick of the
/// kernel at 250 Hz.
pub const TICK: Duration = Duration::from_millis(4);
/// Ring writes per verdict.
const WINDOW: u32 = 32;
/// Verdict for the ring: at most this many of a window went to a worker.
const PUNTED_MAX: u32 = WINDOW / 4;
/// Writes tried before a window without enough clear answers is given up.
const TRIED_MAX: u32 = WINDOW * 4;
/// Busy writes between two windows: at first, and at most.
const PAUSE_MIN: u32 = 256;
const PAUSE_MAX: u32 = 1 << 16;

/// The setting: `auto` counts completions and decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppendMode {
    #[default]
    Auto,
    Inline,
    Ring,
}

/// The way of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Inline,
    Ring,
}

/// How a ring write completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingEnd {
    /// With the call that submitted it.
    AtOnce,
    /// Later: a worker did it.
    Punted,
    /// The core slept meanwhile: it cannot be told.
    Unclear,
}

/// What is known of a write when its way is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteFacts {
    /// The file was written within the tick.
    pub is_busy: bool,
    /// The directory's dirty budget is used up, or the write is large.
    pub is_over_budget: bool,
}

/// The chooser and its counts.
#[derive(Clone, Debug)]
pub struct AppendPath {
    mode: AppendMode,
    settled: Way,
    /// Busy writes until the next window; 0 while one is open.
    pause: u32,
    next_pause: u32,
    window: Window,
    counts: PathCounts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    tried: u32,
    at_once: u32,
    punted: u32,
}

/// For the metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathCounts {
    pub inline_writes: u64,
    pub ring_writes: u64,
    pub ring_at_once: u64,
    pub ring_punted: u64,
    /// Writes that took the ring because the dirty budget was used up.
    pub over_budget: u64,
}

impl AppendPath {
    pub fn new(mode: AppendMode) -> Self {
        let settled = if mode == AppendMode::Ring { Way::Ring } else { Way::Inline };
        Self {
            mode,
            settled,
            pause: PAUSE_MIN,
            next_pause: PAUSE_MIN,
            window: Window::default(),
            counts: PathCounts::default(),
        }
    }

    pub fn choose(&mut self, facts: WriteFacts) -> Way {
        let way = match self.mode {
            AppendMode::Inline => Way::Inline,
            AppendMode::Ring => Way::Ring,
            AppendMode::Auto if facts.is_over_budget => {
                self.counts.over_budget += 1;
                Way::Ring
            }
            AppendMode::Auto if !facts.is_busy => Way::Inline,
            AppendMode::Auto => self.choose_busy(),
        };
        match way {
            Way::Inline => self.counts.inline_writes += 1,
            Way::Ring => self.counts.ring_writes += 1,
        }
        way
    }

    fn choose_busy(&mut self) -> Way {
        if self.settled == Way::Ring || self.pause == 0 {
            return Way::Ring;
        }
        self.pause -= 1;
        Way::Inline
    }

    /// Counts how the ring write of a busy file ended.
    pub fn on_ring_end(&mut self, end: RingEnd) {
        match end {
            RingEnd::AtOnce => self.counts.ring_at_once += 1,
            RingEnd::Punted => self.counts.ring_punted += 1,
            RingEnd::Unclear => {}
        }
        if self.mode != AppendMode::Auto {
            return;
        }
        self.window.tried += 1;
        self.window.at_once += u32::from(end == RingEnd::AtOnce);
        self.window.punted += u32::from(end == RingEnd::Punted);
        let Window { tried, at_once, punted } = self.window;
        if at_once + punted < WINDOW && punted <= PUNTED_MAX && tried < TRIED_MAX {
            return;
        }
        self.window = Window::default();
        if at_once + punted >= WINDOW && punted <= PUNTED_MAX {
            self.settled = Way::Ring;
            self.next_pause = PAUSE_MIN;
        } else {
            self.settled = Way::Inline;
            self.pause = self.next_pause;
            self.next_pause = (self.next_pause * 4).min(PAUSE_MAX);
        }
    }

    /// The way of writes to busy files.
    pub const fn way(&self) -> Way {
        self.settled
    }

    pub const fn counts(&self) -> PathCounts {
        self.counts
    }

    /// What runs, in words: for the banner.
    pub fn describe(&self) -> String {
        let PathCounts { ring_at_once, ring_punted, .. } = self.counts;
        match (self.mode, self.settled) {
            (AppendMode::Inline, _) => "inline pwritev (by setting)".into(),
            (AppendMode::Ring, _) => "io_uring (by setting)".into(),
            (AppendMode::Auto, _) if ring_at_once + ring_punted == 0 => {
                "inline pwritev (auto: io_uring is tried under load)".into()
            }
            (AppendMode::Auto, settled) => {
                let way = if settled == Way::Ring { "io_uring" } else { "inline pwritev" };
                let all = ring_at_once + ring_punted;
                format!("{way} (auto: {ring_punted} of {all} ring writes went to a worker)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: WriteFacts = WriteFacts { is_busy: true, is_over_budget: false };

    /// Drives busy writes; gives how many of the last `count` took the ring.
    fn drive(path: &mut AppendPath, count: u32, end: RingEnd) -> u32 {
        (0..count).fold(0, |ring, _| match path.choose(BUSY) {
            Way::Inline => ring,
            Way::Ring => {
                path.on_ring_end(end);
                ring + 1
            }
        })
    }

    #[test]
    fn auto_settles_on_the_ring_where_it_completes_at_once() {
        let mut path = AppendPath::new(AppendMode::Auto);
        drive(&mut path, PAUSE_MIN + WINDOW, RingEnd::AtOnce);
        assert_eq!(drive(&mut path, 1000, RingEnd::AtOnce), 1000);
        assert!(path.describe().starts_with("io_uring (auto"));
        // The load changed: it goes back.
        drive(&mut path, WINDOW, RingEnd::Punted);
        assert_eq!(drive(&mut path, 100, RingEnd::Punted), 0);
    }

    #[test]
    fn auto_stays_inline_where_workers_do_the_writes_and_tries_ever_less_often() {
        let mut path = AppendPath::new(AppendMode::Auto);
        let ring = drive(&mut path, 1_000_000, RingEnd::Punted);
        assert!(ring < 300, "{ring}");
        let mut path = AppendPath::new(AppendMode::Auto);
        let ring = drive(&mut path, 1_000_000, RingEnd::Unclear);
        assert!(ring < 4000, "{ring}");
    }

    #[test]
    fn a_files_first_write_in_a_tick_is_inline_and_pressure_takes_the_ring() {
        let mut path = AppendPath::new(AppendMode::Auto);
        drive(&mut path, 1000, RingEnd::AtOnce);
        assert_eq!(path.choose(WriteFacts { is_busy: false, is_over_budget: false }), Way::Inline);
        let mut path = AppendPath::new(AppendMode::Auto);
        assert_eq!(path.choose(WriteFacts { is_busy: false, is_over_budget: true }), Way::Ring);
        assert_eq!(path.counts().over_budget, 1);
    }

    #[test]
    fn a_setting_overrides() {
        let over = WriteFacts { is_busy: true, is_over_budget: true };
        assert_eq!(AppendPath::new(AppendMode::Inline).choose(over), Way::Inline);
        let idle = WriteFacts { is_busy: false, is_over_budget: false };
        assert_eq!(AppendPath::new(AppendMode::Ring).choose(idle), Way::Ring);
    }
}
