//! The offsets topic is kept small: once less than half of a partition's log still lives, what
//! lives is written anew, and what lies before that goes.
//!
//! ```text
//!   | old records ... | piece | commits | piece | commits ... | piece | later records ...
//!                     ^ all pieces written, committed and synced; only then the log starts here
//! ```
//!
//! What lives is written in pieces of a fraction of a millisecond, and between two of them the core
//! does what else there is to do, commits to these groups included. A piece is staged when no batch
//! is under way, so it has what its groups are at exactly its place in the log: whatever changes
//! them comes to lie behind it, and of what changed before, the newest is in it. So a replay comes to
//! the same state from any record of the old part on, also when the process dies in between: of a
//! key that lives the newest value follows, in a piece or behind it, and a key that was deleted has
//! its tombstone behind its values. Segments go from the front.
//!
//! Records of other kinds of groups are kept as they are. A log with records that cannot be
//! read, with a transaction that is open, or to which an admin client has written since it was
//! loaded is left alone, also in the middle of a rewrite: nothing of it may get lost. One
//! partition of a core is written anew at a time.
//!
//! Compaction in the log itself will take the place of this.

use super::host::{Host, State, builder, push, record_bytes};
use crate::broker::Shard;
use crate::broker::produce::{Appended, ProduceError};
use crate::group::LiveWalk;
use crate::limits::{GROUP_DIRTY_BYTES_MIN, GROUP_PIECE_BYTES_MAX, GROUP_PIECE_RECORDS_MAX};
use crate::model::Offset;
use crate::runtime::sync::{Awaited, Promise, promise};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// How far a log is from being written anew.
pub struct Rewriting {
    /// Not for less than this.
    pub(super) dirty_bytes_min: Cell<u64>,
    /// Records of a piece.
    pub(super) piece_records_max: Cell<usize>,
    /// Bytes that the log had when it was last written anew, and bytes of what lived then.
    clean_bytes: Cell<u64>,
    live_bytes: Cell<u64>,
    is_running: Cell<bool>,
    /// The log has what a replay cannot give back.
    is_forbidden: Cell<bool>,
    /// The piece that is to be staged next: later batches wait until those under way have landed.
    asked: RefCell<Option<AskedPiece>>,
}

struct AskedPiece {
    walk: LiveWalk,
    promise: Promise<Result<Piece, RewriteError>>,
}

/// A piece that was staged.
struct Piece {
    /// Where the next one goes on.
    walk: LiveWalk,
    /// The offset of the first one.
    from: Offset,
    bytes: u64,
    /// None where nothing was left to write.
    written: Option<Awaited<Result<Appended, ProduceError>>>,
}

/// Why a log was not written anew. It is as good as it was.
#[derive(Debug, thiserror::Error)]
enum RewriteError {
    #[error("a client has written to it")]
    ClientBatches,
    #[error("its coordinator is gone")]
    Gone,
    #[error("{0}")]
    NotWritten(#[from] ProduceError),
}

impl Default for Rewriting {
    fn default() -> Self {
        Self {
            dirty_bytes_min: Cell::new(GROUP_DIRTY_BYTES_MIN),
            piece_records_max: Cell::new(GROUP_PIECE_RECORDS_MAX),
            clean_bytes: Cell::new(0),
            live_bytes: Cell::new(0),
            is_running: Cell::new(false),
            is_forbidden: Cell::new(false),
            asked: RefCell::default(),
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

    /// The coordinator goes: a rewrite under way ends.
    pub fn end(&self) {
        self.asked.take();
    }

    fn is_due(&self, log_bytes: u64) -> bool {
        let is_free = !self.is_forbidden.get() && !self.is_running.get();
        let dirty_bytes = log_bytes.saturating_sub(self.clean_bytes.get());
        is_free && dirty_bytes > self.live_bytes.get().max(self.dirty_bytes_min.get())
    }
}

impl Host {
    /// After a batch was committed.
    pub(super) fn consider_rewrite(self: &Rc<Self>, shard: &Rc<Shard>) {
        let is_ours = !self.partition.has_client_batches();
        if is_ours && self.rewriting.is_due(self.partition.size_bytes()) {
            self.rewriting.is_running.set(true);
            shard.core().spawn(Rc::clone(self).rewrite(Rc::clone(shard)));
        }
        if self.flight_count.get() == 0 && self.rewriting.asked.borrow().is_some() {
            self.mark_dirty(shard);
        }
    }

    /// Whether batches may be staged: not while a piece waits for those under way. Where there are
    /// none it is staged here, and what follows lies behind it.
    pub(super) fn may_stage(&self, shard: &Rc<Shard>) -> bool {
        if self.rewriting.asked.borrow().is_none() {
            return true;
        }
        if self.flight_count.get() > 0 {
            return false;
        }
        if let Some(AskedPiece { walk, promise }) = self.rewriting.asked.take() {
            promise.keep(self.stage_piece(shard, walk));
        }
        true
    }

    fn stage_piece(&self, shard: &Rc<Shard>, mut walk: LiveWalk) -> Result<Piece, RewriteError> {
        let state = self.state.borrow();
        let State::Serving(coordinator) = &*state else { return Err(RewriteError::Gone) };
        // What is in memory would take the place of what the client wrote.
        if self.partition.has_client_batches() {
            return Err(RewriteError::ClientBatches);
        }
        let is_first = walk.is_at_start();
        let from = if is_first { self.partition.begin_segment() } else { Offset::ZERO };
        let (mut batch, mut bytes) = (builder(shard), 0);
        let records_max = self.rewriting.piece_records_max.get();
        coordinator.walk_live(&mut walk, |record| {
            push(&mut batch, shard.core(), &record);
            bytes += record_bytes(&record);
            bytes < GROUP_PIECE_BYTES_MAX && (batch.record_count() as usize) < records_max
        });
        let is_empty = batch.record_count() == 0;
        let written = (!is_empty).then(|| self.append(shard, &mut batch));
        Ok(Piece { walk, from, bytes: bytes as u64, written })
    }

    async fn rewrite(self: Rc<Self>, shard: Rc<Shard>) {
        let gate = Rc::clone(&shard.groups.borrow().rewrite_gate);
        let _turn = gate.enter().await;
        let result = self.write_anew(&shard).await;
        // After a failure the log has to double once more before it is tried again.
        self.rewriting.clean_bytes.set(self.partition.size_bytes());
        self.rewriting.is_running.set(false);
        match result {
            Ok(live_bytes) => self.rewriting.live_bytes.set(live_bytes),
            Err(RewriteError::Gone) => {}
            Err(error) => {
                tracing::warn!("{} was not written anew: {error}", self.partition.label());
            }
        }
    }

    /// Piece after piece; then the log starts at the first. Gives the bytes of what lives.
    async fn write_anew(self: &Rc<Self>, shard: &Rc<Shard>) -> Result<u64, RewriteError> {
        let (mut walk, mut from, mut live_bytes) = (LiveWalk::default(), None, 0);
        while !walk.is_at_end() {
            let piece = self.ask_piece(shard, walk).await?;
            from.get_or_insert(piece.from);
            live_bytes += piece.bytes;
            walk = piece.walk;
            if let Some(written) = piece.written {
                written.await.unwrap_or(Err(ProduceError::Stopping))?;
            }
        }
        self.partition.make_durable(shard).await?;
        self.partition.forget_below(shard, from.expect("there was a first piece")).await;
        Ok(live_bytes)
    }

    /// The next piece, staged at the end of a turn in which no batch is under way.
    async fn ask_piece(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        walk: LiveWalk,
    ) -> Result<Piece, RewriteError> {
        if self.is_gone() {
            return Err(RewriteError::Gone);
        }
        let (promise, awaited) = promise();
        self.rewriting.asked.replace(Some(AskedPiece { walk, promise }));
        self.mark_dirty(shard);
        awaited.await.unwrap_or(Err(RewriteError::Gone))
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
