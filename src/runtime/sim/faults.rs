//! What can go wrong in the simulated world, and how often.

use crate::base::Random;
use std::time::Duration;

/// Chances out of 10,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Odds(pub u16);

impl Odds {
    pub const NEVER: Self = Self(0);

    pub(super) fn hit(self, random: &mut Random) -> bool {
        self.0 > 0 && random.chance(u64::from(self.0), 10_000)
    }
}

/// A span drawn evenly from `least` to `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub least: Duration,
    pub most: Duration,
}

impl Span {
    pub const fn micros(least: u64, most: u64) -> Self {
        Self { least: Duration::from_micros(least), most: Duration::from_micros(most) }
    }

    pub(super) fn draw(self, random: &mut Random) -> Duration {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random.between(nanos(self.least), nanos(self.most)))
    }
}

/// The weather of a world; can be changed while it runs.
#[derive(Clone, Debug)]
pub struct Faults {
    pub disk: DiskFaults,
    pub network: NetworkFaults,
    /// An operation that was asked to end early ends with ECANCELED this often; else it completes
    /// as if it had not been asked.
    pub cancel_works: Odds,
}

#[derive(Clone, Debug)]
pub struct DiskFaults {
    /// From submission to completion; operations overtake one another.
    pub latency: Span,
    pub slow: Odds,
    pub slow_latency: Span,
    /// An inline call makes its core wait for this long when it is slow.
    pub inline_stall: Odds,
    pub write_error: Odds,
    pub short_write: Odds,
    pub read_error: Odds,
    pub short_read: Odds,
    /// A write-back fails: EIO from the sync that sees it, and the dirty pages are clean again
    /// without having reached the disk.
    pub sync_error: Odds,
    /// Other calls (open, rename, list ...) fail with EIO.
    pub name_error: Odds,
    /// A file is cold for as long as it is open: not resident, reads that refuse to wait refuse.
    pub cold: Odds,
    /// Bytes that all files together may hold.
    pub capacity: Option<u64>,
    /// A power cut keeps any subset of the unsynced names, not only a prefix of their history as
    /// a journal does.
    pub names_any_order: bool,
}

#[derive(Clone, Debug)]
pub struct NetworkFaults {
    pub latency: Span,
    /// Bytes that arrive together, at most.
    pub chunk_max: u64,
    pub stall: Odds,
    pub stall_latency: Span,
    /// Both ends of a connection see ECONNRESET instead of the next bytes.
    pub reset: Odds,
    /// A send takes only a part of what it could.
    pub short_send: Odds,
}

impl Faults {
    /// Nothing fails; latencies vary and completions overtake one another.
    pub const fn none() -> Self {
        Self {
            disk: DiskFaults {
                latency: Span::micros(5, 2_000),
                slow: Odds::NEVER,
                slow_latency: Span::micros(20_000, 500_000),
                inline_stall: Odds::NEVER,
                write_error: Odds::NEVER,
                short_write: Odds::NEVER,
                read_error: Odds::NEVER,
                short_read: Odds::NEVER,
                sync_error: Odds::NEVER,
                name_error: Odds::NEVER,
                cold: Odds::NEVER,
                capacity: None,
                names_any_order: false,
            },
            network: NetworkFaults {
                latency: Span::micros(10, 300),
                chunk_max: 64 * 1024,
                stall: Odds::NEVER,
                stall_latency: Span::micros(50_000, 2_000_000),
                reset: Odds::NEVER,
                short_send: Odds::NEVER,
            },
            cancel_works: Odds(7_000),
        }
    }

    /// No errors, but everything that is allowed without one: slow and short calls, cold files,
    /// small chunks.
    pub const fn rough() -> Self {
        let mut faults = Self::none();
        faults.disk.slow = Odds(200);
        faults.disk.inline_stall = Odds(100);
        faults.disk.short_write = Odds(500);
        faults.disk.short_read = Odds(500);
        faults.disk.cold = Odds(3_000);
        faults.network.chunk_max = 700;
        faults.network.stall = Odds(50);
        faults.network.short_send = Odds(500);
        faults
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::none()
    }
}

/// Calls that a trap can be set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Open,
    Read,
    Write,
    Sync,
    SyncRange,
    Truncate,
    Rename,
    Unlink,
    MakeDir,
    List,
}

/// One call that will fail: the first of its kind, after `skip` others, on a file whose name ends
/// so.
#[derive(Clone, Debug)]
pub struct Trap {
    pub call: Call,
    pub name_end: String,
    pub skip: u32,
    /// As the kernel gives it, e.g. `libc::EIO`.
    pub error: i32,
}
