//! What a verification tells: damage, and what is worth knowing beside it.

use crate::log::SnapshotError;
use crate::model::{LeaderEpoch, Offset, Timestamp};
use crate::record::HeaderError;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Findings of one file that are told one by one: a file that is nothing but wrong is told as such.
const PER_FILE_MAX: usize = 100;

/// Something about a place in a file.
#[derive(Clone, Debug)]
pub struct Finding {
    pub path: PathBuf,
    pub position: Option<u64>,
    pub offset: Option<Offset>,
    pub what: What,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum What {
    #[error("{bytes} bytes are no whole batch{}", .follows.map(|at| format!("; whole batches go on at position {at}")).unwrap_or_default())]
    NoBatch { bytes: u64, follows: Option<u64> },
    #[error("{error}; {bytes} bytes are no batch{}", .follows.map(|at| format!(", whole ones go on at position {at}")).unwrap_or_default())]
    Header { error: HeaderError, bytes: u64, follows: Option<u64> },
    #[error("the batch's CRC-32C is {stored:#010x}, but its bytes give {computed:#010x}")]
    Crc { stored: u32, computed: u32 },
    #[error("the batch says {record_count} records and a last offset delta of {last_offset_delta}")]
    Count { record_count: i32, last_offset_delta: i32 },
    #[error("the batch begins at offset {base}, below {expected}, where what comes before it ends")]
    Overlap { base: Offset, expected: Offset },
    #[error("offsets {expected} to {base} (exclusive) are missing before it")]
    Gap { expected: Offset, base: Offset },
    #[error("the batch reaches offset {next}, but the next segment begins at {segment}")]
    BeyondSegment { next: Offset, segment: Offset },
    #[error("the segment ends at offset {next}, but the next one begins at {segment}")]
    GapToSegment { next: Offset, segment: Offset },
    #[error("the batch has leader epoch {epoch}, but one before it has {before}")]
    EpochBack { epoch: LeaderEpoch, before: LeaderEpoch },
    #[error("the batch has leader epoch {epoch}, but by leader-epoch-checkpoint it is {expected}")]
    EpochUnlike { epoch: LeaderEpoch, expected: LeaderEpoch },
    #[error("its records cannot be read: {0}")]
    Records(String),
    #[error("record {index} has the offset {found}, which cannot follow {expected}")]
    RecordOffset { index: usize, found: Offset, expected: Offset },
    #[error(
        "the batch says {expected} records, but has {found}, and {bytes_left} bytes after them"
    )]
    RecordCount { expected: i32, found: usize, bytes_left: usize },
    #[error("{bytes} bytes follow the last whole entry")]
    OddBytes { bytes: u64 },
    #[error("entry {index} does not come after the one before it")]
    EntryOrder { index: u64 },
    #[error("entry {index} says that a batch up to offset {offset} lies at position {at}: {found}")]
    Entry { index: u64, offset: Offset, at: u32, found: String },
    #[error(
        "entry {index} says that {timestamp} is the largest time up to offset {offset}: it is {found}"
    )]
    TimeEntry { index: u64, timestamp: Timestamp, offset: Offset, found: Timestamp },
    #[error("entry {index} names offset {offset}, with which no batch ends")]
    TimeOffset { index: u64, offset: Offset },
    #[error("{0}")]
    Snapshot(SnapshotError),
    #[error(
        "producer {producer} wrote offset {last}, which the snapshot's name says is not yet there"
    )]
    SnapshotAhead { producer: i64, last: Offset },
    #[error("{0}")]
    File(String),
    #[error("{topic}-{partition} is said to reach offset {said}, but its log ends at {end}")]
    Ahead { topic: String, partition: i32, said: Offset, end: Offset },
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    // --- no damage
    #[error(
        "{bytes} bytes are no whole batch yet: a running broker writes here, look again when it has"
    )]
    Growing { bytes: u64 },
    #[error("the file grew by {bytes} bytes while it was read; these were not looked at")]
    Grew { bytes: u64 },
    #[error("it was removed while the folder was read: a running broker has it")]
    Gone,
    #[error("it is missing; a broker makes it again when it starts")]
    Missing,
    #[error("leader epoch {epoch} is not in leader-epoch-checkpoint, which ends with {last}")]
    EpochNew { epoch: LeaderEpoch, last: LeaderEpoch },
    #[error("the search for whole batches was given up: too much looks like one and is none")]
    SearchGivenUp,
    #[error("a file that is no log's and was not looked at")]
    Strange,
    #[error("what a recovery cut off and kept; not looked at")]
    KeptAside,
    #[error("{count} more findings in this file")]
    More { count: usize, is_damage: bool },
}

impl What {
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Growing { .. }
            | Self::Grew { .. }
            | Self::Gone
            | Self::Missing
            | Self::EpochNew { .. }
            | Self::SearchGivenUp
            | Self::Strange
            | Self::KeptAside => false,
            Self::More { is_damage, .. } => *is_damage,
            _ => true,
        }
    }
}

/// Who is told.
pub trait Teller {
    fn tell(&mut self, finding: &Finding) -> std::io::Result<()>;
}

/// Gathers the findings of a run and bounds how many are told of a file.
pub struct Findings<'t> {
    teller: &'t mut dyn Teller,
    path: PathBuf,
    told: usize,
    held_back: usize,
    damage_held_back: bool,
    pub damaged: u64,
    pub notes: u64,
}

impl<'t> Findings<'t> {
    pub fn new(teller: &'t mut dyn Teller) -> Self {
        Self {
            teller,
            path: PathBuf::new(),
            told: 0,
            held_back: 0,
            damage_held_back: false,
            damaged: 0,
            notes: 0,
        }
    }

    /// Of a file as a whole.
    pub fn file(&mut self, path: &Path, what: What) -> std::io::Result<()> {
        self.add(path, None, None, what)
    }

    pub fn at(
        &mut self,
        path: &Path,
        position: u64,
        offset: Offset,
        what: What,
    ) -> std::io::Result<()> {
        self.add(path, Some(position), Some(offset), what)
    }

    fn add(
        &mut self,
        path: &Path,
        position: Option<u64>,
        offset: Option<Offset>,
        what: What,
    ) -> std::io::Result<()> {
        let is_damage = what.is_damage();
        *if is_damage { &mut self.damaged } else { &mut self.notes } += 1;
        if self.path != path {
            self.end_file()?;
            self.path = path.to_path_buf();
        }
        if self.told == PER_FILE_MAX {
            self.held_back += 1;
            self.damage_held_back |= is_damage;
            return Ok(());
        }
        self.told += 1;
        self.teller.tell(&Finding { path: path.to_path_buf(), position, offset, what })
    }

    /// Tells how many were held back.
    pub fn end_file(&mut self) -> std::io::Result<()> {
        let (count, is_damage) = (self.held_back, self.damage_held_back);
        (self.told, self.held_back, self.damage_held_back) = (0, 0, false);
        let path = std::mem::take(&mut self.path);
        if count == 0 {
            return Ok(());
        }
        let what = What::More { count, is_damage };
        self.teller.tell(&Finding { path, position: None, offset: None, what })
    }
}

impl Finding {
    /// For people: one line.
    pub fn text(&self) -> String {
        let kind = if self.what.is_damage() { "DAMAGED" } else { "note   " };
        let mut text = format!("{kind} {}", self.path.display());
        if let Some(position) = self.position {
            let _ = write!(text, " position {position}");
        }
        if let Some(offset) = self.offset {
            let _ = write!(text, " offset {offset}");
        }
        format!("{text}: {}", self.what)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "kind": if self.what.is_damage() { "damage" } else { "note" },
            "file": self.path.display().to_string(),
            "position": self.position,
            "offset": self.offset.map(|offset| offset.0),
            "reason": self.what.to_string(),
        })
    }
}
