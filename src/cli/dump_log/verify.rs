//! Verifying a partition's folder, a data directory, or one file. Nothing is ever changed.
//!
//! A running broker may hold the folder: what it is writing is no damage, and what it removes
//! meanwhile is not missed. Both are told.

use super::error::DumpError;
use super::finding::{Findings, Teller, What};
use super::targets::{self, partitions};
use super::verify_segment::SegmentWalk;
use super::walk::{read_epochs, read_small, read_topic_id};
use crate::base::FastMap;
use crate::log::checkpoint::{self, CheckpointKind};
use crate::log::epochs::Epochs;
use crate::log::names::{self, Kind, Name};
use crate::log::snapshot;
use crate::model::{LeaderEpoch, Offset};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Topics that brokers keep for themselves, and that they compact.
const COMPACTED: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];
/// Partitions that were compacted, and how far.
const CLEANER_CHECKPOINT: &str = "cleaner-offset-checkpoint";
const LOCK: &str = ".lock";

/// How a verification is done.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Records are read one by one, too.
    pub deep: bool,
    /// Offsets may be missing in every log.
    pub compacted: bool,
}

/// What is known of a partition while its segments are walked.
pub struct Scope {
    pub deep: bool,
    /// Offsets may be missing.
    pub is_compacted: bool,
    /// A running process holds the data directory.
    pub is_held: bool,
    pub has_indexes: bool,
    pub epochs: Option<Epochs>,
    /// The last segment: an index that is not there yet is not worth a word.
    pub is_last: bool,
}

/// Where a log has come to.
#[derive(Debug)]
pub struct LogState {
    /// What the next batch begins with.
    pub next_offset: Option<Offset>,
    /// No damage has made that uncertain.
    pub is_exact: bool,
    /// The largest leader epoch so far.
    pub epoch: LeaderEpoch,
    pub next_segment: Option<Offset>,
}

/// What was looked at.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub partitions: u64,
    pub logs: u64,
    pub batches: u64,
    /// Records that were read one by one.
    pub records: u64,
    pub bytes: u64,
    pub damaged: u64,
    pub notes: u64,
}

impl Scope {
    pub fn unreadable(&self, error: &io::Error) -> What {
        if self.is_held && error.kind() == io::ErrorKind::NotFound {
            return What::Gone;
        }
        What::Unreadable(error.to_string())
    }

    /// An index that is not there is made again; one of the last segment may come later.
    pub fn no_index(
        &self,
        path: &Path,
        error: &io::Error,
        findings: &mut Findings<'_>,
    ) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::NotFound if self.is_last || self.is_held => Ok(()),
            io::ErrorKind::NotFound => findings.file(path, What::Missing),
            _ => findings.file(path, What::Unreadable(error.to_string())),
        }
    }
}

impl Default for LogState {
    fn default() -> Self {
        Self { next_offset: None, is_exact: true, epoch: LeaderEpoch::NONE, next_segment: None }
    }
}

/// Verifies what a path means.
pub fn verify(path: &Path, rules: Rules, teller: &mut dyn Teller) -> Result<Summary, DumpError> {
    let facts = path.metadata().map_err(DumpError::read(path))?;
    let mut summary = Summary::default();
    let mut findings = Findings::new(teller);
    if facts.is_dir() {
        let folders = partitions(path)?;
        let is_partition = folders.len() == 1 && folders[0] == path;
        let mut ends = FastMap::default();
        let said = if is_partition { Vec::new() } else { read_said(path, &mut findings)? };
        for folder in &folders {
            let end = partition(folder, rules, &mut summary, &mut findings)?;
            if let (Some(name), Some(end)) = (partition_name(folder), end) {
                ends.insert(name, end);
            }
        }
        if summary.logs == 0 && findings.damaged == 0 {
            return Err(DumpError::Nothing { path: path.to_path_buf() });
        }
        compare_said(&said, &ends, &mut findings)?;
    } else {
        one_file(path, rules, &mut summary, &mut findings)?;
    }
    findings.end_file()?;
    (summary.damaged, summary.notes) = (findings.damaged, findings.notes);
    Ok(summary)
}

/// `topic-0`, where a folder is a partition's.
fn partition_name(folder: &Path) -> Option<String> {
    let folder = std::path::absolute(folder).ok()?;
    let name = folder.file_name()?.to_str()?;
    names::parse_partition(name).map(|_| name.to_owned())
}

/// What the names in a partition's folder say.
#[derive(Default)]
struct Contents {
    logs: Vec<Offset>,
    snapshots: Vec<Offset>,
    has_epochs: bool,
    has_metadata: bool,
}

impl Contents {
    fn read(folder: &Path, findings: &mut Findings<'_>) -> Result<Self, DumpError> {
        let mut found = Self::default();
        for path in targets::files(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match names::parse(&name) {
                Name::Segment(base, Kind::Log) => found.logs.push(base),
                Name::Segment(base, Kind::Snapshot) => found.snapshots.push(base),
                Name::Segment(..) | Name::Garbage => {}
                Name::Swap(..) => findings.file(&path, What::Strange)?,
                Name::Known if name == names::EPOCHS => found.has_epochs = true,
                Name::Known if name == names::PARTITION_METADATA => found.has_metadata = true,
                Name::Known if name.contains(".cut-") => findings.file(&path, What::KeptAside)?,
                Name::Known => {}
                Name::Unknown => findings.file(&path, What::Strange)?,
            }
        }
        found.logs.sort();
        Ok(found)
    }
}

/// Verifies a partition's folder; where its log ends, if that is known.
fn partition(
    folder: &Path,
    rules: Rules,
    summary: &mut Summary,
    findings: &mut Findings<'_>,
) -> Result<Option<Offset>, DumpError> {
    let directory = std::path::absolute(folder)
        .ok()
        .and_then(|folder| folder.parent().map(Path::to_path_buf))
        .unwrap_or_default();
    let is_held = is_held(&directory);
    let contents = Contents::read(folder, findings)?;
    if contents.logs.is_empty() {
        return Ok(None);
    }
    summary.partitions += 1;
    let mut scope = Scope {
        deep: rules.deep,
        is_compacted: rules.compacted || is_compacted(folder, &directory),
        is_held,
        has_indexes: true,
        epochs: None,
        is_last: false,
    };
    small_files(folder, &contents, &mut scope, findings)?;
    let mut state = LogState::default();
    for (index, base) in contents.logs.iter().enumerate() {
        state.next_segment = contents.logs.get(index + 1).copied();
        scope.is_last = state.next_segment.is_none();
        let path = names::path(folder, *base, Kind::Log);
        let walk = SegmentWalk::open(&path, *base, &scope, &mut state, summary, findings)?;
        walk.map_or(Ok(()), SegmentWalk::run)?;
        if let Some(next) = state.next_segment {
            state.next_offset = Some(state.next_offset.map_or(next, |own| own.max(next)));
        }
    }
    for offset in &contents.snapshots {
        producers(&names::path(folder, *offset, Kind::Snapshot), *offset, &scope, findings)?;
    }
    Ok(state.next_offset)
}

fn small_files(
    folder: &Path,
    contents: &Contents,
    scope: &mut Scope,
    findings: &mut Findings<'_>,
) -> io::Result<()> {
    if contents.has_epochs {
        let path = folder.join(names::EPOCHS);
        match read_epochs(&path) {
            Ok(Ok(epochs)) => scope.epochs = Some(epochs),
            Ok(Err(reason)) => findings.file(&path, What::File(reason))?,
            Err(error) => findings.file(&path, scope.unreadable(&error))?,
        }
    }
    if contents.has_metadata {
        let path = folder.join(names::PARTITION_METADATA);
        match read_topic_id(&path) {
            Ok(Ok(_)) => {}
            Ok(Err(reason)) => findings.file(&path, What::File(reason))?,
            Err(error) => findings.file(&path, scope.unreadable(&error))?,
        }
    }
    Ok(())
}

/// A snapshot of producers: that it can be read, and knows nothing that came later than its name.
fn producers(
    path: &Path,
    offset: Offset,
    scope: &Scope,
    findings: &mut Findings<'_>,
) -> io::Result<()> {
    let bytes = match read_small(path) {
        Ok(bytes) => bytes,
        Err(error) => return findings.file(path, scope.unreadable(&error)),
    };
    let entries = match snapshot::decode(&bytes) {
        Ok(entries) => entries,
        Err(error) => return findings.file(path, What::Snapshot(error)),
    };
    for entry in &entries {
        if let Some(last) = entry.batches().last().filter(|batch| batch.last_offset >= offset) {
            let (producer, last) = (entry.id.0, last.last_offset);
            findings.file(path, What::SnapshotAhead { producer, last })?;
        }
    }
    Ok(())
}

/// One file, with the indexes beside it where it is a log, and with its log where it is an index.
fn one_file(
    path: &Path,
    rules: Rules,
    summary: &mut Summary,
    findings: &mut Findings<'_>,
) -> Result<(), DumpError> {
    use targets::TargetKind as Of;
    let target = targets::targets(path, true)?.remove(0);
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let directory = std::path::absolute(&folder)
        .ok()
        .and_then(|folder| folder.parent().map(Path::to_path_buf))
        .unwrap_or_default();
    let mut scope = Scope {
        deep: rules.deep,
        is_compacted: rules.compacted || is_compacted(&folder, &directory),
        is_held: is_held(&directory),
        has_indexes: true,
        epochs: None,
        is_last: true,
    };
    let (log, base): (PathBuf, Offset) = match target.kind {
        Of::Log(base) => (path.to_path_buf(), base),
        Of::OffsetIndex(base) | Of::TimeIndex(base) => {
            (names::path(&folder, base, Kind::Log), base)
        }
        Of::MetadataSnapshot { .. } => {
            scope.has_indexes = false;
            (path.to_path_buf(), Offset::ZERO)
        }
        Of::Producers(offset) => return Ok(producers(path, offset, &scope, findings)?),
        Of::Epochs | Of::PartitionMetadata => {
            let contents = Contents {
                has_epochs: target.kind == Of::Epochs,
                has_metadata: target.kind == Of::PartitionMetadata,
                ..Contents::default()
            };
            return Ok(small_files(&folder, &contents, &mut scope, findings)?);
        }
        Of::TxnIndex(_) => return Ok(aborted(path, findings)?),
    };
    let mut state = LogState::default();
    let walk = SegmentWalk::open(&log, base, &scope, &mut state, summary, findings)?;
    Ok(walk.map_or(Ok(()), SegmentWalk::run)?)
}

/// Aborted transactions: whole entries, each with its offsets in order.
fn aborted(path: &Path, findings: &mut Findings<'_>) -> io::Result<()> {
    let mut entries = super::indexes::AbortedEntries::open(path)?;
    if entries.odd_bytes() > 0 {
        findings.file(path, What::OddBytes { bytes: entries.odd_bytes() })?;
    }
    let mut before = Offset(-1);
    while let Some((index, entry)) = entries.next()? {
        if entry.first_offset > entry.last_offset || entry.last_offset <= before {
            findings.file(path, What::EntryOrder { index })?;
            break;
        }
        before = entry.last_offset;
    }
    Ok(())
}

/// What a data directory's checkpoints say of its partitions.
struct Said {
    path: PathBuf,
    entries: Vec<checkpoint::CheckpointEntry>,
}

/// The checkpoints of a data directory. They are read before the logs, which only grow.
fn read_said(directory: &Path, findings: &mut Findings<'_>) -> io::Result<Vec<Said>> {
    let mut said = Vec::new();
    let kinds = [CheckpointKind::RecoveryPoint, CheckpointKind::LogStart];
    for kind in kinds {
        let path = directory.join(kind.file_name());
        let text = match read_small(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                findings.file(&path, What::Unreadable(error.to_string()))?;
                continue;
            }
        };
        match checkpoint::decode(&text) {
            Ok(entries) => said.push(Said { path, entries }),
            Err(error) => findings.file(&path, What::File(error.to_string()))?,
        }
    }
    Ok(said)
}

fn compare_said(
    said: &[Said],
    ends: &FastMap<String, Offset>,
    findings: &mut Findings<'_>,
) -> io::Result<()> {
    for Said { path, entries } in said {
        for entry in entries {
            let name = format!("{}-{}", entry.topic, entry.partition);
            let Some(&end) = ends.get(&name) else { continue };
            if entry.offset > end {
                let (topic, partition) = (entry.topic.to_string(), entry.partition.0);
                let what = What::Ahead { topic, partition, said: entry.offset, end };
                findings.file(path, what)?;
            }
        }
    }
    Ok(())
}

/// Whether offsets may be missing in a partition: its topic is one that brokers compact, or the
/// data directory remembers that it was compacted.
fn is_compacted(folder: &Path, directory: &Path) -> bool {
    let Some(name) = partition_name(folder) else { return false };
    let Some((topic, partition)) = names::parse_partition(&name) else { return false };
    if COMPACTED.contains(&topic) {
        return true;
    }
    let Ok(bytes) = read_small(&directory.join(CLEANER_CHECKPOINT)) else { return false };
    let entries = checkpoint::decode(&String::from_utf8_lossy(&bytes)).unwrap_or_default();
    entries.iter().any(|entry| entry.topic.as_str() == topic && entry.partition.0 == partition)
}

/// Whether a running process holds the lock of a data directory, as the kernel's list of locks
/// says. Only asked, never taken: a broker that starts meanwhile must get it.
fn is_held(directory: &Path) -> bool {
    let Ok(lock) = directory.join(LOCK).metadata() else { return false };
    let Ok(locks) = std::fs::read_to_string("/proc/locks") else { return false };
    // `1: POSIX  ADVISORY  WRITE 1234 08:01:5678 0 EOF`
    let inode = |line: &str| {
        let place = line.split_ascii_whitespace().find(|word| word.matches(':').count() == 2)?;
        place.rsplit(':').next()?.parse::<u64>().ok()
    };
    locks.lines().any(|line| inode(line) == Some(lock.ino()))
}
