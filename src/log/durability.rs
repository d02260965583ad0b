//! What of a log survives a crash of the machine: the recovery point, moved by syncs and by
//! sealed segments, never past one that is still being sealed.

use super::directory::LogDir;
use super::planted::Bug;
use super::rare::Rare;
use super::segment::Segment;
use crate::model::Offset;
use crate::runtime::sync::Bell;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

pub struct Durability {
    recovery_point: Cell<Offset>,
    /// Segments that were left and are not synced yet.
    sealing: RefCell<Vec<Rc<Segment>>>,
    /// Everything below was synced, but for what `sealing` holds.
    synced: Cell<Offset>,
    /// A segment is not on disk and never will be known to be.
    is_stuck: Cell<bool>,
    /// Rung when a segment is sealed, or could not be.
    pub seal_ended: Bell,
    /// A sync is on its way: a failed one tells only the first who asks.
    is_syncing: Cell<bool>,
    sync_ended: Bell,
    /// The names of the files in the folder.
    pub names: Synced,
}

/// Something that changes and is synced, by several at once.
#[derive(Debug, Default)]
pub struct Synced {
    changed: Cell<u64>,
    synced: Cell<u64>,
}

impl Synced {
    /// It is newer than what is on disk.
    pub fn on_change(&self) {
        self.changed.set(self.changed.get() + 1);
    }

    /// The change that is to be synced now, if one is.
    pub fn pending(&self) -> Option<u64> {
        (self.changed.get() > self.synced.get()).then_some(self.changed.get())
    }

    /// It is on disk as of a change.
    pub fn on_synced(&self, change: u64) {
        self.synced.set(change.max(self.synced.get()));
    }
}

impl Durability {
    pub fn new(recovery_point: Offset) -> Self {
        Self {
            recovery_point: Cell::new(recovery_point),
            sealing: RefCell::default(),
            synced: Cell::new(recovery_point),
            is_stuck: Cell::new(false),
            seal_ended: Bell::default(),
            is_syncing: Cell::new(false),
            sync_ended: Bell::default(),
            names: Synced::default(),
        }
    }

    pub fn recovery_point(&self) -> Offset {
        self.recovery_point.get()
    }

    /// What is below `recovery_point` is durable: known from the directory.
    pub fn restore(&self, recovery_point: Offset) {
        self.recovery_point.set(recovery_point);
        self.synced.set(recovery_point);
    }

    /// A segment was left for the next one.
    pub fn on_seal_begun(&self, segment: &Rc<Segment>) {
        self.sealing.borrow_mut().push(Rc::clone(segment));
    }

    /// It is on disk, up to `end`.
    pub fn on_sealed(&self, base: Offset, end: Offset) {
        self.sealing.borrow_mut().retain(|sealing| sealing.base != base);
        self.on_synced(end);
    }

    /// It could not be synced: the recovery point stays below it.
    pub fn on_seal_failed(&self, base: Offset) {
        self.synced.set(self.recovery_point.get());
        self.is_stuck.set(true);
        self.sealing.borrow_mut().retain(|sealing| sealing.base != base);
    }

    /// The active segment was synced when the log ended at `end`.
    pub fn on_synced(&self, end: Offset) {
        if self.is_stuck.get() {
            return;
        }
        self.synced.set(end.max(self.synced.get()));
        let oldest = self.sealing.borrow().iter().map(|segment| segment.base).min();
        let oldest = oldest.filter(|_| !Bug::SealBelievedEarly.is_planted());
        let bound = oldest.unwrap_or(self.synced.get());
        if bound < self.synced.get() {
            Rare::PointHeld.reached();
        }
        let reached = self.synced.get().min(bound);
        self.recovery_point.set(reached.max(self.recovery_point.get()));
    }

    /// Resolves when nothing is being sealed any more, or the directory failed.
    pub async fn until_sealed(&self, dir: &LogDir) {
        if Bug::SealBelievedEarly.is_planted() {
            return;
        }
        while !self.sealing.borrow().is_empty() && dir.failure().is_none() {
            Rare::SyncBehindSeal.reached();
            self.seal_ended.heard().await;
        }
    }

    /// Resolves when nothing that begins below `end` is being sealed any more, but for the segment at
    /// `except`, or the directory failed.
    pub async fn until_sealed_below(&self, dir: &LogDir, end: Offset, except: Option<Offset>) {
        let waits_for = |segment: &Rc<Segment>| segment.base < end && Some(segment.base) != except;
        while self.sealing.borrow().iter().any(waits_for) && dir.failure().is_none() {
            self.seal_ended.heard().await;
        }
    }

    /// Waits for the right to sync: two at once on one file could share one error, of which only
    /// one of them is told.
    pub async fn turn(&self) -> SyncTurn<'_> {
        while self.is_syncing.replace(true) && !Bug::SyncsOverlap.is_planted() {
            Rare::SyncBehindSync.reached();
            self.sync_ended.heard().await;
        }
        SyncTurn(self)
    }

    /// Everything was synced when the log ended at `end`, segments that are being sealed too.
    pub fn on_all_synced(&self, end: Offset) {
        if self.is_stuck.get() {
            return;
        }
        self.synced.set(end.max(self.synced.get()));
        self.recovery_point.set(end.max(self.recovery_point.get()));
    }
}

/// The right to sync; given back when dropped.
pub struct SyncTurn<'a>(&'a Durability);

impl Drop for SyncTurn<'_> {
    fn drop(&mut self) {
        self.0.is_syncing.set(false);
        self.0.sync_ended.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recovery_point_waits_for_the_oldest_segment_that_is_not_sealed() {
        let durability = Durability::new(Offset(5));
        let folder: std::sync::Arc<std::path::Path> = std::path::Path::new("/x").into();
        for base in [0, 10] {
            let (base, now) = (Offset(base), crate::model::Timestamp(0));
            durability.on_seal_begun(&Segment::fresh(folder.clone(), base, now));
        }
        durability.on_sealed(Offset(10), Offset(20));
        assert_eq!(durability.recovery_point(), Offset(5));
        durability.on_synced(Offset(25));
        assert_eq!(durability.recovery_point(), Offset(5));
        durability.on_sealed(Offset(0), Offset(10));
        assert_eq!(durability.recovery_point(), Offset(25));
    }
}
