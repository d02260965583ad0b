//! One segment: a file of batches, its indexes, and what is known to be damaged in it.
//!
//! Shared by the log and by jobs that outlive a borrow of it (`Rc`); its parts change in cells. The
//! file and the indexes of an old segment are opened and loaded when first read, and given back by
//! the directory's cache.

use super::error::LogError;
use super::index::Indexes;
use super::names::{self, Kind};
use super::planted::Bug;
use super::rare::Rare;
use super::writeback::Writeback;
use crate::base::Instant;
use crate::model::{Offset, Timestamp};
use crate::runtime::File;
use crate::runtime::sync::Bell;
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// A range of a segment that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    pub position: u64,
    /// Where the next good batch begins; the end of the file if none follows.
    pub end_position: u64,
    pub from: Offset,
    /// Exclusive.
    pub to: Offset,
}

/// Headers that this process has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    pub from: u64,
    pub to: u64,
    /// Of the batch at `to`.
    pub next_offset: Offset,
}

pub struct Segment {
    pub base: Offset,
    pub folder: Arc<Path>,
    file: RefCell<Option<File>>,
    /// Loaded indexes. The active segment's always are.
    pub indexes: RefCell<Option<Indexes>>,
    /// Bytes written: what readers see.
    pub len: Cell<u64>,
    /// Bytes written and staged.
    pub staged_len: Cell<u64>,
    /// Bytes for which blocks are reserved.
    pub allocated: Cell<u64>,
    /// Largest time of the first batch: rolls count from it.
    pub first_timestamp: Cell<Timestamp>,
    /// When this process made or opened it.
    pub created_at: Cell<Timestamp>,
    /// Largest time of what is written, once known.
    pub max_timestamp: Cell<Option<Timestamp>>,
    /// Where its offsets end, as far as they are written.
    pub end_offset: Cell<Offset>,
    pub damage: RefCell<Vec<Damage>>,
    /// A range whose headers were held against each other since this process began.
    checked: Cell<Checked>,
    /// From here on this process has written the file, or has read it through.
    trusted_from: Cell<u64>,
    /// Index files are on disk. They are complete then: the first append after takes them away.
    pub has_index_files: Cell<bool>,
    /// The last write: a file that was written within the tick is busy.
    pub written_at: Cell<Instant>,
    pub writeback: Writeback,
    /// Read since the cache last looked.
    pub is_touched: Cell<bool>,
    /// Retention or a removal took it: its names may be another's.
    pub is_gone: Cell<bool>,
    /// How many count on its file and indexes.
    uses: Cell<u32>,
    /// How many are loading it, by its names.
    loads: Cell<u32>,
    load_ended: Bell,
}

impl Segment {
    /// A segment that is to be made by the next write.
    pub fn fresh(folder: Arc<Path>, base: Offset, now: Timestamp) -> Rc<Self> {
        let segment = Self::existing(folder, base, 0, now);
        *segment.indexes.borrow_mut() = Some(Indexes::new(base));
        segment.max_timestamp.set(Some(Timestamp::NONE));
        segment
    }

    /// A segment of `len` bytes whose indexes are not loaded yet.
    pub fn existing(folder: Arc<Path>, base: Offset, len: u64, now: Timestamp) -> Rc<Self> {
        let writeback = Writeback::default();
        writeback.reset(len);
        Rc::new(Self {
            base,
            folder,
            file: RefCell::default(),
            indexes: RefCell::default(),
            len: Cell::new(len),
            staged_len: Cell::new(len),
            allocated: Cell::new(len),
            first_timestamp: Cell::new(Timestamp::NONE),
            created_at: Cell::new(now),
            max_timestamp: Cell::new(None),
            end_offset: Cell::new(base),
            damage: RefCell::default(),
            checked: Cell::default(),
            trusted_from: Cell::new(len),
            has_index_files: Cell::new(false),
            written_at: Cell::new(Instant::ZERO),
            writeback,
            is_touched: Cell::new(false),
            is_gone: Cell::new(false),
            uses: Cell::new(0),
            loads: Cell::new(0),
            load_ended: Bell::default(),
        })
    }

    pub fn path(&self, kind: Kind) -> PathBuf {
        names::path(&self.folder, self.base, kind)
    }

    /// The open file, if it is.
    pub fn file(&self) -> Option<File> {
        self.file.borrow().clone()
    }

    pub fn set_file(&self, file: File) {
        *self.file.borrow_mut() = Some(file);
    }

    pub fn is_loaded(&self) -> bool {
        self.file.borrow().is_some() && self.indexes.borrow().is_some()
    }

    /// Held by who counts on its file and indexes across awaits: they are not given back meanwhile.
    pub fn hold(self: &Rc<Self>) -> InUse {
        self.uses.set(self.uses.get() + 1);
        InUse(Rc::clone(self))
    }

    pub fn is_in_use(&self) -> bool {
        self.uses.get() > 0 && !Bug::HeldUnloaded.is_planted()
    }

    /// Held while the segment's files are opened and written by their names.
    pub fn begin_load(&self) -> Loading<'_> {
        self.loads.set(self.loads.get() + 1);
        Loading(self)
    }

    /// Resolves when nobody is loading it.
    pub async fn until_loaded(&self) {
        while self.loads.get() > 0 {
            self.load_ended.heard().await;
        }
    }

    /// Gives the file back.
    pub fn close(&self) {
        *self.file.borrow_mut() = None;
    }

    /// Gives file and indexes back (spans keep the file open as long as they need it).
    pub fn unload(&self) {
        if let Some(indexes) = self.indexes.borrow_mut().take() {
            self.max_timestamp.set(Some(indexes.max_timestamp));
        }
        *self.file.borrow_mut() = None;
    }

    /// The largest time of what is written, if that is known.
    pub fn max_time(&self) -> Option<Timestamp> {
        self.max_timestamp.get()
    }

    pub fn memory_bytes(&self) -> usize {
        self.indexes.borrow().as_ref().map_or(0, Indexes::memory_bytes)
    }

    /// Where what is known of the headers from `position` on ends; at or before it if nothing is.
    pub fn known_end(&self, position: u64) -> u64 {
        let (checked, trusted) = (self.checked.get(), self.trusted_from.get());
        if position >= trusted {
            return u64::MAX;
        }
        match (checked.from..checked.to).contains(&position) {
            true if checked.to >= trusted => u64::MAX,
            true => checked.to,
            false => 0,
        }
    }

    pub fn checked(&self) -> Checked {
        self.checked.get()
    }

    pub fn trusted_from(&self) -> u64 {
        self.trusted_from.get()
    }

    /// Headers were looked at: joined with what is known if they touch it, in its place if not.
    pub fn on_checked(&self, new: Checked) {
        let old = self.checked.get();
        if new.from > old.to || new.to < old.from {
            return self.checked.set(new);
        }
        let last = if new.to > old.to { new } else { old };
        self.checked.set(Checked { from: new.from.min(old.from), ..last });
    }

    /// The file was read through and checked.
    pub fn on_read_through(&self) {
        self.trusted_from.set(0);
    }

    /// The damage that covers `position`.
    pub fn damage_at(&self, position: u64) -> Option<Damage> {
        let damage = self.damage.borrow();
        damage.iter().copied().find(|d| d.position <= position && position < d.end_position)
    }

    /// The first damaged position after `position`.
    pub fn damage_after(&self, position: u64) -> Option<u64> {
        let damage = self.damage.borrow();
        damage.iter().map(|d| d.position).filter(|at| *at >= position).min()
    }

    pub fn set_aside(&self, damage: Damage) {
        let mut all = self.damage.borrow_mut();
        if !all.contains(&damage) {
            all.push(damage);
        }
    }

    pub fn damaged(&self, damage: Damage) -> LogError {
        Rare::DamageRead.reached();
        LogError::Damaged { path: self.path(Kind::Log).into(), from: damage.from, to: damage.to }
    }
}

/// A segment stays loaded as long as this lives.
#[must_use]
pub struct InUse(Rc<Segment>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.uses.set(self.0.uses.get() - 1);
    }
}

pub struct Loading<'a>(&'a Segment);

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        self.0.loads.set(self.0.loads.get() - 1);
        self.0.load_ended.ring();
    }
}
