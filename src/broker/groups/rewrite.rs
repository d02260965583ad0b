//! The offsets topic is kept small: once less than half of a partition's log still lives, what
//! lives is written anew, and what lies before that goes.
//!
//! ```text
//!   | old records ... | what lives, in a segment of its own | later records ...
//!                     ^ written, committed and synced; only then the log starts here
//! ```
//!
//! Between the last old record and the first new one nothing is appended, and what lives is the
//! state of exactly that place. So a replay comes to the same state from any record of the old part
//! on, also when the process dies in between: of a key that lives the newest value follows, and a
//! key that was deleted has its tombstone behind its values. Segments go from the front.
//!
//! Records of other kinds of groups are kept as they are. A log with records that cannot be
//! read, with a transaction that is open, or to which an admin client has written since it was
//! loaded is left alone: nothing of it may get lost.
//!
//! What lives is staged in one turn, so that it is the state of one place: some milliseconds for a
//! thousand groups. Compaction in the log itself will take the place of this.

use super::host::{Host, State, builder, push, record_bytes};
use crate::broker::Shard;
use crate::broker::produce::{Appended, ProduceError};
use crate::limits::{GROUP_BATCH_BYTES, GROUP_DIRTY_BYTES_MIN};
use crate::model::Offset;
use crate::runtime::sync::Awaited;
use std::cell::Cell;
use std::rc::Rc;

type Written = Awaited<Result<Appended, ProduceError>>;

/// How far a log is from being written anew.
pub struct Rewriting {
    /// Not for less than this.
    pub(super) dirty_bytes_min: Cell<u64>,
    /// Bytes that the log had when it was last written anew, and bytes of what lived then.
    clean_bytes: Cell<u64>,
    live_bytes: Cell<u64>,
    /// The next batches wait for those under way: then what lives is written.
    is_wanted: Cell<bool>,
    is_running: Cell<bool>,
    /// The log has what a replay cannot give back.
    is_forbidden: Cell<bool>,
}

impl Default for Rewriting {
    fn default() -> Self {
        Self {
            dirty_bytes_min: Cell::new(GROUP_DIRTY_BYTES_MIN),
            clean_bytes: Cell::new(0),
            live_bytes: Cell::new(0),
            is_wanted: Cell::new(false),
            is_running: Cell::new(false),
            is_forbidden: Cell::new(false),
        }
    }
}

impl Rewriting {
    pub fn forbid(&self) {
        self.is_forbidden.set(true);
    }

    /// What the log has, and how much of it lives, after it was loaded.
    pub fn note_loaded(&self, live_bytes: u64) {
        self.clean_bytes.set(live_bytes);
        self.live_bytes.set(live_bytes);
    }

    fn is_due(&self, log_bytes: u64) -> bool {
        let is_free = !self.is_forbidden.get() && !self.is_running.get() && !self.is_wanted.get();
        let dirty_bytes = log_bytes.saturating_sub(self.clean_bytes.get());
        is_free && dirty_bytes > self.live_bytes.get().max(self.dirty_bytes_min.get())
    }
}

impl Host {
    /// After a batch was committed.
    pub(super) fn consider_rewrite(self: &Rc<Self>, shard: &Rc<Shard>) {
        let is_ours = !self.partition.has_client_batches();
        if is_ours && self.rewriting.is_due(self.partition.size_bytes()) {
            self.rewriting.is_wanted.set(true);
        }
        if self.rewriting.is_wanted.get() && self.flight_count.get() == 0 {
            self.mark_dirty(shard);
        }
    }

    /// Whether batches may be staged: not while a rewrite waits for those under way. Where there
    /// are none it begins, and what follows lies behind it.
    pub(super) fn may_stage(self: &Rc<Self>, shard: &Rc<Shard>) -> bool {
        if !self.rewriting.is_wanted.get() {
            return true;
        }
        if self.flight_count.get() > 0 {
            return false;
        }
        self.rewriting.is_wanted.set(false);
        self.rewriting.is_running.set(true);
        self.begin_rewrite(shard);
        true
    }

    fn begin_rewrite(self: &Rc<Self>, shard: &Rc<Shard>) {
        let state = self.state.borrow();
        let State::Serving(coordinator) = &*state else { return };
        let from = self.partition.begin_segment();
        let (mut batch, mut written, mut live_bytes) = (builder(shard), Vec::<Written>::new(), 0);
        for record in coordinator.live_records() {
            let bytes = record_bytes(&record);
            if batch.record_count() > 0 && batch.unpacked_bytes() + bytes > GROUP_BATCH_BYTES {
                written.push(self.append(shard, &mut batch));
            }
            push(&mut batch, shard.core(), &record);
            live_bytes += bytes as u64;
        }
        if batch.record_count() > 0 {
            written.push(self.append(shard, &mut batch));
        }
        let (host, shard) = (Rc::clone(self), Rc::clone(shard));
        shard.core().clone().spawn(async move {
            let result = host.end_rewrite(&shard, from, written).await;
            // After a failure the log has to double once more before it is tried again.
            host.rewriting.clean_bytes.set(host.partition.size_bytes());
            host.rewriting.live_bytes.set(live_bytes);
            host.rewriting.is_running.set(false);
            if let Err(error) = result {
                tracing::warn!("{} was not written anew: {error}", host.partition.label());
            }
        });
    }

    async fn end_rewrite(
        &self,
        shard: &Rc<Shard>,
        from: Offset,
        written: Vec<Written>,
    ) -> Result<(), ProduceError> {
        for awaited in written {
            awaited.await.unwrap_or(Err(ProduceError::Stopping))?;
        }
        self.partition.make_durable(shard).await?;
        self.partition.forget_below(shard, from).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_written_anew_when_less_than_half_of_it_lives() {
        let rewriting = Rewriting::default();
        assert!(!rewriting.is_due(GROUP_DIRTY_BYTES_MIN));
        assert!(rewriting.is_due(GROUP_DIRTY_BYTES_MIN + 1));
        let live = 10 * GROUP_DIRTY_BYTES_MIN;
        rewriting.note_loaded(live);
        assert!(!rewriting.is_due(2 * live));
        assert!(rewriting.is_due(2 * live + 1));
        rewriting.forbid();
        assert!(!rewriting.is_due(10 * live));
    }
}
