//! Write-back in our own hands: started early, waited for at a distance, bounded by a budget.
//!
//! The kernel alone would let gigabytes become dirty and then stop whoever writes. Each segment's
//! new bytes are handed to the disk every few megabytes, and the window far behind is waited for
//! (in the ring, never on the core); what is in between counts against the directory's budget,
//! above which appends take the ring. A quiet file is left to the kernel's own timer, unless half
//! of the budget is used: then those that have been dirty longest are written, too.
//!
//! ```text
//! |  on disk  |  being written (at most 64 MiB)  |  dirty (a step)  |
//!             ^ waited                           ^ started          ^ len
//! ```

use super::directory::LogDir;
use super::error::LogError;
use super::names::Kind;
use super::segment::Segment;
use crate::runtime::sync::Bell;
use crate::runtime::{Core, Open};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// New bytes of a file that start its write-back.
const STEP_BYTES: u64 = 4 << 20;
/// The same, while more than half of the budget is used.
const STEP_PRESSED_BYTES: u64 = 256 << 10;
/// How far behind the end write-back is waited for.
const BEHIND_BYTES: u64 = 64 << 20;
/// Bytes per core and directory that may be dirty while appends are inline.
const BUDGET_BYTES: u64 = 256 << 20;
/// Quiet files that one append has written back while the budget is pressed.
const QUIET_FILES: usize = 2;
/// The kernel has written what is older than this (`dirty_expire_centisecs`).
const KERNEL_EXPIRE: Duration = Duration::from_secs(35);

const _: () = assert!(BEHIND_BYTES + 2 * STEP_BYTES < BUDGET_BYTES, "one busy file stays inline");

/// Dirty bytes of one directory on one core.
#[derive(Default)]
pub struct DirtyBudget {
    bytes: Cell<u64>,
    /// Segments with dirty bytes, the one that has been dirty longest first.
    segments: RefCell<VecDeque<Weak<Segment>>>,
}

impl DirtyBudget {
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    pub fn is_over(&self) -> bool {
        self.bytes.get() > BUDGET_BYTES
    }

    fn is_pressed(&self) -> bool {
        self.bytes.get() > BUDGET_BYTES / 2
    }

    fn list(&self, segment: &Rc<Segment>) {
        let mut segments = self.segments.borrow_mut();
        if segments.len() == segments.capacity() {
            segments.retain(|segment| segment.strong_count() > 0);
        }
        segments.push_back(Rc::downgrade(segment));
    }

    /// The segment that has been dirty longest.
    fn pop_oldest(&self) -> Option<Rc<Segment>> {
        let mut segments = self.segments.borrow_mut();
        std::iter::from_fn(|| segments.pop_front()).find_map(|segment| {
            let segment = segment.upgrade()?;
            segment.writeback.is_listed.set(false);
            Some(segment)
        })
    }

    fn add(&self, bytes: u64) {
        self.bytes.set(self.bytes.get() + bytes);
    }

    fn sub(&self, bytes: u64) {
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
    }
}

/// How far the write-back of one segment has come.
#[derive(Default)]
pub struct Writeback {
    counted: Cell<u64>,
    started: Cell<u64>,
    waited: Cell<u64>,
    /// A task is at it.
    is_running: Cell<bool>,
    ended: Bell,
    /// It is in the directory's list.
    is_listed: Cell<bool>,
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    start: (u64, u64),
    wait: (u64, u64),
}

impl Writeback {
    /// The file has `len` bytes, all on disk (or not ours to care for).
    pub fn reset(&self, len: u64) {
        self.counted.set(len);
        self.started.set(len);
        self.waited.set(len);
    }

    /// Resolves when no write-back is on its way: its failure is known before a sync says more.
    pub async fn until_idle(&self) {
        while self.is_running.get() {
            self.ended.heard().await;
        }
    }

    fn plan(&self, len: u64, is_pressed: bool) -> Option<Plan> {
        let step = if is_pressed { STEP_PRESSED_BYTES } else { STEP_BYTES };
        if self.is_running.get() || len - self.started.get() < step {
            return None;
        }
        let behind = if is_pressed { STEP_BYTES } else { BEHIND_BYTES };
        let wait_to = len.saturating_sub(behind).max(self.waited.get());
        Some(Plan { start: (self.started.get(), len), wait: (self.waited.get(), wait_to) })
    }
}

/// Counts what was written to a segment, and starts write-back where it is time.
pub fn on_written(core: &Core, dir: &Rc<LogDir>, segment: &Rc<Segment>) {
    let (writeback, len) = (&segment.writeback, segment.len.get());
    dir.dirty.add(len.saturating_sub(writeback.counted.get()));
    writeback.counted.set(len);
    if !writeback.is_listed.replace(true) {
        dir.dirty.list(segment);
    }
    let is_pressed = dir.dirty.is_pressed();
    if let Some(plan) = writeback.plan(len, is_pressed) {
        start(core, dir, segment, plan);
    }
    for _ in 0..if is_pressed { QUIET_FILES } else { 0 } {
        let Some(quiet) = dir.dirty.pop_oldest() else { return };
        let writeback = &quiet.writeback;
        let whole = (writeback.waited.get(), quiet.len.get());
        if !writeback.is_running.get() && whole.0 < whole.1 {
            start(core, dir, &quiet, Plan { start: whole, wait: whole });
        }
    }
}

fn start(core: &Core, dir: &Rc<LogDir>, segment: &Rc<Segment>, plan: Plan) {
    segment.writeback.is_running.set(true);
    let (task_core, dir, segment) = (core.clone(), Rc::clone(dir), Rc::clone(segment));
    core.spawn(async move {
        use io::ErrorKind::{InvalidInput, NotFound, Unsupported};
        if let Err(error) = run(&task_core, &segment.path(Kind::Log), &plan).await
            && !matches!(error.kind(), InvalidInput | NotFound | Unsupported)
        {
            dir.fail(&LogError::io("write back", &segment.path(Kind::Log), error));
        }
        let writeback = &segment.writeback;
        writeback.started.set(plan.start.1.max(writeback.started.get()));
        release(&dir.dirty, writeback, plan.wait.1);
        writeback.is_running.set(false);
        writeback.ended.ring();
    });
}

/// Everything up to `to` is on disk.
pub fn on_synced(dir: &LogDir, segment: &Segment, to: u64) {
    let writeback = &segment.writeback;
    writeback.started.set(to.max(writeback.started.get()));
    release(&dir.dirty, writeback, to);
}

/// Stops counting a file that has been quiet so long that the kernel has written it.
pub fn on_quiet(core: &Core, dir: &LogDir, segment: &Segment) {
    if core.now().since(segment.written_at.get()) > KERNEL_EXPIRE {
        on_synced(dir, segment, segment.len.get());
    }
}

fn release(dirty: &DirtyBudget, writeback: &Writeback, to: u64) {
    let to = to.min(writeback.counted.get());
    dirty.sub(to.saturating_sub(writeback.waited.get()));
    writeback.waited.set(to.max(writeback.waited.get()));
}

/// Through a handle of its own: a failure is told once to each handle, and the one that appends
/// are synced by must hear it, too. It counts as a failed fsync.
async fn run(core: &Core, path: &Path, plan: &Plan) -> io::Result<()> {
    let file = core.open(path, Open::Read).await?;
    let (from, to) = plan.start;
    file.sync_range(core, from, to - from, false).await?;
    let (from, to) = plan.wait;
    if to > from {
        file.sync_range(core, from, to - from, true).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_back_starts_in_steps_and_waits_far_behind() {
        let writeback = Writeback::default();
        assert_eq!(writeback.plan(STEP_BYTES - 1, false), None);
        let plan = writeback.plan(STEP_BYTES, false).unwrap();
        assert_eq!(plan, Plan { start: (0, STEP_BYTES), wait: (0, 0) });
        writeback.started.set(BEHIND_BYTES);
        let len = BEHIND_BYTES + 8 * STEP_BYTES;
        let plan = writeback.plan(len, false).unwrap();
        assert_eq!(plan, Plan { start: (BEHIND_BYTES, len), wait: (0, 8 * STEP_BYTES) });
        assert_eq!(writeback.plan(len, true).unwrap().wait, (0, len - STEP_BYTES));
        writeback.is_running.set(true);
        assert_eq!(writeback.plan(len, false), None);
    }

    #[test]
    fn what_was_waited_for_is_given_back_to_the_budget_once() {
        let (dirty, writeback) = (DirtyBudget::default(), Writeback::default());
        dirty.add(100);
        writeback.counted.set(100);
        release(&dirty, &writeback, 60);
        release(&dirty, &writeback, 60);
        assert_eq!(dirty.bytes(), 40);
        release(&dirty, &writeback, 1000);
        assert_eq!(dirty.bytes(), 0);
    }
}
