//! A partition's folder as it is found: its names understood, leftovers of compactions finished or
//! removed.

use super::checkpoint;
use super::cut;
use super::epochs::Epochs;
use super::error::LogError;
use super::names::{self, Kind, Name};
use super::rare::Rare;
use super::segment::Segment;
use crate::model::{Offset, TopicId, Uuid};
use crate::runtime::Core;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// Base and bytes of the segments.
    logs: BTreeMap<Offset, u64>,
    files: BTreeSet<(Offset, Kind)>,
    swaps: BTreeSet<(Offset, Kind)>,
    pub unknown: Vec<String>,
}

impl Contents {
    pub fn log_bases(&self) -> Vec<(Offset, u64)> {
        self.logs.iter().map(|(base, len)| (*base, *len)).collect()
    }

    /// Whether both indexes of a segment are there.
    pub fn has_indexes(&self, base: Offset) -> bool {
        [Kind::OffsetIndex, Kind::TimeIndex].iter().all(|kind| self.files.contains(&(base, *kind)))
    }

    /// Offsets of the producer snapshots, ascending.
    pub fn snapshots(&self) -> impl Iterator<Item = Offset> {
        self.files.iter().filter(|(_, kind)| *kind == Kind::Snapshot).map(|(base, _)| *base)
    }
}

/// Reads a folder; `None` where there is none.
pub async fn read(core: &Core, folder: &Path) -> Result<Option<Contents>, LogError> {
    let entries = match core.list(folder).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogError::io("list", folder, error)),
    };
    let mut contents = Contents::default();
    for entry in entries {
        match names::parse(&entry.name) {
            Name::Segment(base, kind) if !entry.is_dir => {
                contents.files.insert((base, kind));
            }
            Name::Swap(base, kind) if !entry.is_dir => {
                contents.swaps.insert((base, kind));
            }
            Name::Garbage if !entry.is_dir => {
                Rare::GarbageRemoved.reached();
                remove(core, &folder.join(&entry.name)).await?;
            }
            Name::Known => {}
            _ => contents.unknown.push(entry.name),
        }
    }
    contents.unknown.sort_unstable();
    finish_swaps(core, folder, &mut contents).await?;
    remove_orphans(core, folder, &mut contents).await?;
    for (base, _) in contents.files.iter().filter(|(_, kind)| *kind == Kind::Log) {
        let path = names::path(folder, *base, Kind::Log);
        let stat = core.stat(&path).await.map_err(LogError::at("stat", &path))?;
        contents.logs.insert(*base, stat.len);
    }
    remove_empty(core, folder, &mut contents).await?;
    Ok(Some(contents))
}

/// Empty segments with others after them: a roll that failed, and whose file came back.
async fn remove_empty(core: &Core, folder: &Path, contents: &mut Contents) -> Result<(), LogError> {
    let last = contents.logs.keys().next_back().copied();
    let is_left = |(base, len): (&Offset, &u64)| *len == 0 && Some(*base) != last;
    let empty: Vec<Offset> =
        contents.logs.iter().filter(|log| is_left(*log)).map(|(base, _)| *base).collect();
    for base in empty {
        Rare::EmptyRemoved.reached();
        for kind in Kind::ALL {
            if contents.files.remove(&(base, kind)) {
                remove(core, &names::path(folder, base, kind)).await?;
            }
        }
        contents.logs.remove(&base);
    }
    Ok(())
}

/// A compaction that was complete when the process ended: its output takes the place of the
/// segments in its range. Without its `.log` it was not complete.
async fn finish_swaps(core: &Core, folder: &Path, contents: &mut Contents) -> Result<(), LogError> {
    let swaps = std::mem::take(&mut contents.swaps);
    let swapped: Vec<Offset> =
        swaps.iter().filter(|(_, kind)| *kind == Kind::Log).map(|(base, _)| *base).collect();
    for base in &swapped {
        let end = swap_end(core, folder, *base).await?;
        let replaced: Vec<(Offset, Kind)> = contents
            .files
            .iter()
            .filter(|(old, kind)| *old >= *base && *old < end && *kind != Kind::Snapshot)
            .copied()
            .collect();
        for (old, kind) in replaced {
            remove(core, &names::path(folder, old, kind)).await?;
            contents.files.remove(&(old, kind));
        }
    }
    for (base, kind) in swaps {
        let path = names::path(folder, base, kind);
        let mut swap = path.clone().into_os_string();
        swap.push(".swap");
        let swap = Path::new(&swap);
        if swapped.contains(&base) {
            core.rename(swap, &path).await.map_err(LogError::at("rename", swap))?;
            contents.files.insert((base, kind));
        } else {
            remove(core, swap).await?;
        }
    }
    Ok(())
}

/// The offset after the last batch of a compaction's output.
async fn swap_end(core: &Core, folder: &Path, base: Offset) -> Result<Offset, LogError> {
    use super::scan::{Check, Scanned, Scanner};
    let mut path = names::path(folder, base, Kind::Log).into_os_string();
    path.push(".swap");
    let path = Path::new(&path);
    let file = core.open(path, crate::runtime::Open::Read).await;
    let file = file.map_err(LogError::at("open", path))?;
    let stat = core.stat(path).await.map_err(LogError::at("stat", path))?;
    let mut scanner = Scanner::new(core, file, path, base, (0, stat.len), Check::HeadersOnly);
    while let Scanned::Batch { .. } = scanner.next().await? {}
    Ok(scanner.next_offset)
}

/// Indexes without a segment.
async fn remove_orphans(
    core: &Core,
    folder: &Path,
    contents: &mut Contents,
) -> Result<(), LogError> {
    let orphans: Vec<(Offset, Kind)> = contents
        .files
        .iter()
        .filter(|(base, kind)| {
            !matches!(kind, Kind::Log | Kind::Snapshot)
                && !contents.files.contains(&(*base, Kind::Log))
        })
        .copied()
        .collect();
    for (base, kind) in orphans {
        Rare::OrphanRemoved.reached();
        remove(core, &names::path(folder, base, kind)).await?;
        contents.files.remove(&(base, kind));
    }
    Ok(())
}

/// The leader epochs of the file, or why it is none; empty where there is no file.
pub async fn read_epochs(core: &Core, folder: &Path) -> Result<Result<Epochs, String>, LogError> {
    let path = folder.join(names::EPOCHS);
    match checkpoint::read_text(core, &path).await {
        Ok(Some(text)) => Ok(Epochs::decode(&text).map_err(|error| error.to_string())),
        Ok(None) => Ok(Ok(Epochs::default())),
        Err(LogError::Corrupt { reason, .. }) => Ok(Err(reason)),
        Err(error) => Err(error),
    }
}

/// Refuses a folder that belongs to another topic of the same name.
pub async fn check_topic_id(core: &Core, folder: &Path, ours: TopicId) -> Result<(), LogError> {
    let path = folder.join(names::PARTITION_METADATA);
    let Some(text) = checkpoint::read_text(core, &path).await? else {
        return super::flush::write_partition_metadata(core, folder, ours).await;
    };
    let id = text.lines().find_map(|line| line.strip_prefix("topic_id:")).map(str::trim);
    match id.and_then(Uuid::parse) {
        Some(id) if id == ours || ours.is_zero() => Ok(()),
        Some(id) => {
            let reason = format!("it belongs to topic id {id}, and this partition to {ours}");
            Err(LogError::corrupt(&path, reason))
        }
        // Torn by a crash: it is written before the first batch, and says what we know.
        None => {
            Rare::TopicIdTorn.reached();
            super::flush::write_partition_metadata(core, folder, ours).await
        }
    }
}

/// The topic id that a partition's folder names, if it does.
pub async fn read_topic_id(core: &Core, folder: &Path) -> Result<Option<TopicId>, LogError> {
    let path = folder.join(names::PARTITION_METADATA);
    let text = checkpoint::read_text(core, &path).await?;
    let id =
        text.as_deref().and_then(|text| text.lines().find_map(|l| l.strip_prefix("topic_id:")));
    Ok(id.and_then(|id| Uuid::parse(id.trim())))
}

/// Keeps a segment that comes after a cut: its log under another name, the rest removed. `None`
/// where it was empty.
pub async fn set_segment_aside(core: &Core, segment: &Segment) -> Result<Option<String>, LogError> {
    for kind in [Kind::OffsetIndex, Kind::TimeIndex, Kind::TxnIndex, Kind::Snapshot] {
        remove(core, &segment.path(kind)).await?;
    }
    let path = segment.path(Kind::Log);
    if segment.len.get() == 0 {
        Rare::SegmentDropped.reached();
        remove(core, &path).await?;
        return Ok(None);
    }
    Rare::SegmentAside.reached();
    let name = cut::free_name(core, segment, 0).await?;
    let kept = segment.folder.join(&name);
    core.rename(&path, &kept).await.map_err(LogError::at("rename", &path))?;
    Ok(Some(name))
}

/// Snapshots of a state that the log does not reach.
pub async fn remove_snapshots_above(
    core: &Core,
    folder: &Path,
    contents: &Contents,
    end: Offset,
) -> Result<(), LogError> {
    for offset in contents.snapshots().filter(|offset| *offset > end) {
        remove(core, &names::path(folder, offset, Kind::Snapshot)).await?;
    }
    Ok(())
}

/// Removes a file; one that is not there is fine.
pub async fn remove(core: &Core, path: &Path) -> Result<(), LogError> {
    match core.unlink(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LogError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}
