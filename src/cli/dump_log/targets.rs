//! Which files a path means: itself, those of a partition's folder, or those of a data directory.

use super::error::DumpError;
use crate::log::names::{self, Kind, Name};
use crate::model::Offset;
use std::path::{Path, PathBuf};

/// A file to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub path: PathBuf,
    pub kind: TargetKind,
    /// The topic that its folder names.
    pub topic: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    Log(Offset),
    /// A snapshot of the metadata: batches, too.
    MetadataSnapshot {
        end: Option<(Offset, i32)>,
    },
    OffsetIndex(Offset),
    TimeIndex(Offset),
    TxnIndex(Offset),
    Producers(Offset),
    Epochs,
    PartitionMetadata,
}

/// Endings of files that something was done with; before them stands what they were.
const PAST: [&str; 4] = [".deleted", ".swap", ".cleaned", ".tmp"];

/// The files that `path` means, in the order of their names; indexes of a folder only if asked for.
pub fn targets(path: &Path, indexes: bool) -> Result<Vec<Target>, DumpError> {
    let facts = path.metadata().map_err(DumpError::read(path))?;
    if !facts.is_dir() {
        let kind = kind_of(path);
        let unknown = || DumpError::Unknown { path: path.to_path_buf() };
        return Ok(vec![Target {
            path: path.to_path_buf(),
            kind: kind.ok_or_else(unknown)?,
            topic: topic_of(path),
        }]);
    }
    let mut found = Vec::new();
    for folder in partitions(path)? {
        for file in files(&folder)? {
            let Some(kind) = kind_of(&file) else { continue };
            let is_index = matches!(kind, TargetKind::OffsetIndex(_) | TargetKind::TimeIndex(_));
            if !is_index || indexes {
                let topic = topic_of(&file);
                found.push(Target { path: file, kind, topic });
            }
        }
    }
    if found.is_empty() {
        return Err(DumpError::Nothing { path: path.to_path_buf() });
    }
    Ok(found)
}

/// The partitions' folders that a folder means: itself, or those in it.
pub fn partitions(folder: &Path) -> Result<Vec<PathBuf>, DumpError> {
    let inside = entries(folder)?;
    let is_partition = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        path.is_dir() && name.is_some_and(|name| names::parse_partition(name).is_some())
    };
    let (folders, others): (Vec<_>, Vec<_>) = inside.into_iter().partition(is_partition);
    let is_itself = others.iter().any(|path| matches!(kind_of(path), Some(TargetKind::Log(_))));
    if is_itself || folders.is_empty() { Ok(vec![folder.to_path_buf()]) } else { Ok(folders) }
}

/// The files in a folder, by name.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, DumpError> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_file()).collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DumpError> {
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(DumpError::read(folder))? {
        found.push(entry.map_err(DumpError::read(folder))?.path());
    }
    found.sort();
    Ok(found)
}

/// The topic that a file's folder names, also where the folder is to be removed.
fn topic_of(file: &Path) -> Option<String> {
    let file = std::path::absolute(file).ok()?;
    let folder = file.parent()?.file_name()?.to_str()?;
    names::parse_partition(folder).map(|(topic, _)| topic.to_owned())
}

fn kind_of(path: &Path) -> Option<TargetKind> {
    let name = path.file_name()?.to_str()?;
    match name {
        names::EPOCHS => return Some(TargetKind::Epochs),
        names::PARTITION_METADATA => return Some(TargetKind::PartitionMetadata),
        _ => {}
    }
    if let Some(stem) = name.strip_suffix(".checkpoint") {
        let end = stem
            .split_once('-')
            .and_then(|(offset, epoch)| Some((Offset(offset.parse().ok()?), epoch.parse().ok()?)));
        return Some(TargetKind::MetadataSnapshot { end });
    }
    let plain = PAST.iter().find_map(|past| name.strip_suffix(past)).unwrap_or(name);
    // What recovery cut and kept: `<base>.log.cut-<position>`.
    let plain = plain.split_once(".cut-").map_or(plain, |(plain, _)| plain);
    let Name::Segment(base, kind) = names::parse(plain) else { return None };
    Some(match kind {
        Kind::Log => TargetKind::Log(base),
        Kind::OffsetIndex => TargetKind::OffsetIndex(base),
        Kind::TimeIndex => TargetKind::TimeIndex(base),
        Kind::TxnIndex => TargetKind::TxnIndex(base),
        Kind::Snapshot => TargetKind::Producers(base),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_file_is_whatever_was_done_with_it() {
        let log = |name: &str| kind_of(Path::new(name));
        let base = Offset(42);
        for past in ["", ".deleted", ".swap", ".cleaned", ".cut-7", ".cut-7-2"] {
            let name = format!("/d/t-0/{:020}.log{past}", 42);
            assert_eq!(log(&name), Some(TargetKind::Log(base)), "{name}");
        }
        let snapshot = TargetKind::MetadataSnapshot { end: Some((Offset(7), 3)) };
        assert_eq!(log("00000000000000000007-0000000003.checkpoint"), Some(snapshot));
        assert_eq!(log("bootstrap.checkpoint"), Some(TargetKind::MetadataSnapshot { end: None }));
        for other in ["recovery-point-offset-checkpoint", "x.log", "", "meta.properties"] {
            assert_eq!(log(other), None, "{other}");
        }
    }

    #[test]
    fn a_folder_is_a_partition_or_holds_some() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a-0"), folder.path().join("b-1"));
        for (partition, name) in [(&b, "00000000000000000000.log"), (&a, names::EPOCHS)] {
            std::fs::create_dir(partition).unwrap();
            std::fs::write(partition.join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("gone-0.0123-delete")).unwrap();
        assert_eq!(partitions(folder.path()).unwrap(), [a, b.clone()]);
        assert_eq!(partitions(&b).unwrap(), [b]);
        let topics: Vec<_> =
            targets(folder.path(), false).unwrap().into_iter().map(|t| t.topic.unwrap()).collect();
        assert_eq!(topics, ["a", "b"]);
        assert!(matches!(
            targets(&folder.path().join("gone-0.0123-delete"), false),
            Err(DumpError::Nothing { .. })
        ));
    }
}
