//! Kafka's checkpoint files: text, replaced atomically.
//!
//! ```text
//! 0                         version
//! 2                         number of entries
//! topic 0 1234              topic, partition, offset (of leader epochs: epoch, start offset)
//! topic 1 5678
//! ```

use super::error::LogError;
use super::planted::Bug;
use crate::model::{Offset, PartitionIndex, TopicName};
use crate::runtime::{Core, Gather, Open};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// The most that a small file of ours may hold; beyond it the file is no checkpoint.
const SMALL_FILE_BYTES_MAX: u64 = 256 << 20;

/// The offset checkpoints of a log directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckpointKind {
    RecoveryPoint,
    LogStart,
    /// High watermarks.
    Replication,
}

/// One line of an offset checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckpointEntry {
    pub topic: TopicName,
    pub partition: PartitionIndex,
    pub offset: Offset,
}

/// Why a text is no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error("version {0:?} is not served: checkpoints of version 0 are")]
    Version(String),
    #[error("the number of entries is missing or no number")]
    Count,
    #[error("{expected} entries are announced, {found} are there")]
    Missing { expected: u64, found: u64 },
    #[error("entry {index} is malformed: {line:?}")]
    Line { index: usize, line: String },
}

impl CheckpointKind {
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::RecoveryPoint => "recovery-point-offset-checkpoint",
            Self::LogStart => "log-start-offset-checkpoint",
            Self::Replication => "replication-offset-checkpoint",
        }
    }
}

/// The entry lines of a checkpoint: exactly as many as it announces.
pub(super) fn lines(
    text: &str,
) -> Result<impl Iterator<Item = Result<&str, CheckpointError>>, CheckpointError> {
    let mut lines = text.lines();
    match lines.next().unwrap_or_default().trim() {
        "0" => {}
        version => return Err(CheckpointError::Version(version.to_owned())),
    }
    let count = lines.next().and_then(|line| line.trim().parse::<u64>().ok());
    let expected = count.ok_or(CheckpointError::Count)?;
    let mut found = 0;
    let mut is_over = false;
    Ok(std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        match lines.next() {
            Some(line) if found < expected => {
                found += 1;
                Some(Ok(line))
            }
            // Kafka's reader takes no lines beyond the count either.
            _ => {
                is_over = true;
                (found < expected).then_some(Err(CheckpointError::Missing { expected, found }))
            }
        }
    }))
}

pub fn encode(entries: &[CheckpointEntry]) -> String {
    let mut text = format!("0\n{}\n", entries.len());
    for CheckpointEntry { topic, partition, offset } in entries {
        let _ = writeln!(text, "{topic} {partition} {offset}");
    }
    text
}

pub fn decode(text: &str) -> Result<Vec<CheckpointEntry>, CheckpointError> {
    let parse = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let entry = CheckpointEntry {
            topic: TopicName::parse(words.next()?).ok()?,
            partition: PartitionIndex(words.next()?.parse().ok().filter(|index| *index >= 0)?),
            offset: Offset(words.next()?.parse().ok().filter(|offset| *offset >= 0)?),
        };
        words.next().is_none().then_some(entry)
    };
    let malformed = |index, line: &str| CheckpointError::Line { index, line: line.to_owned() };
    lines(text)?
        .enumerate()
        .map(|(index, line)| {
            let line = line?;
            parse(line).ok_or_else(|| malformed(index, line))
        })
        .collect()
}

/// Reads a checkpoint; empty where there is none. A malformed one is an error: the caller says so
/// and goes on without (everything is scanned then).
pub async fn read_checkpoint(
    core: &Core,
    dir: &Path,
    kind: CheckpointKind,
) -> Result<Vec<CheckpointEntry>, LogError> {
    let path = dir.join(kind.file_name());
    let Some(text) = read_text(core, &path).await? else { return Ok(Vec::new()) };
    decode(&text).map_err(|error| LogError::corrupt(&path, error))
}

/// Replaces a checkpoint: `.tmp`, fsync, rename, fsync of the directory.
pub async fn write_checkpoint(
    core: &Core,
    dir: &Path,
    kind: CheckpointKind,
    entries: &[CheckpointEntry],
) -> Result<(), LogError> {
    replace_file(core, &dir.join(kind.file_name()), encode(entries).into_bytes(), Durable::Yes)
        .await
}

/// Whether a replaced file must survive a crash of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durable {
    Yes,
    /// Its bytes; the caller syncs the directory, which makes the name durable.
    File,
    /// It can be made again from what is durable.
    No,
}

/// Replaces a small file: readers see the old or the new one, whole.
pub(super) async fn replace_file(
    core: &Core,
    path: &Path,
    content: Vec<u8>,
    durable: Durable,
) -> Result<(), LogError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let fresh = PathBuf::from(name);
    let file = core.open(&fresh, Open::Create).await.map_err(LogError::at("create", &fresh))?;
    let (written, _, _) = file.write_at(core, Gather::from_bytes(content), 0).await;
    written.map_err(LogError::at("write", &fresh))?;
    if durable != Durable::No && !Bug::CheckpointNotSynced.is_planted() {
        file.sync_data(core).await.map_err(LogError::at("fsync", &fresh))?;
    }
    core.rename(&fresh, path).await.map_err(LogError::at("rename", &fresh))?;
    if durable == Durable::Yes
        && !Bug::CheckpointNameNotSynced.is_planted()
        && let Some(dir) = path.parent()
    {
        core.sync_dir(dir).await.map_err(LogError::at("fsync", dir))?;
    }
    Ok(())
}

/// A small file's bytes; `None` where there is none.
pub(super) async fn read_file(core: &Core, path: &Path) -> Result<Option<Vec<u8>>, LogError> {
    let file = match core.open(path, Open::Read).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogError::io("open", path, error)),
    };
    let stat = core.stat(path).await.map_err(LogError::at("stat", path))?;
    if stat.len > SMALL_FILE_BYTES_MAX {
        return Err(LogError::corrupt(path, format_args!("{} bytes are too many", stat.len)));
    }
    let buffer = vec![0; stat.len as usize];
    file.read_at(core, buffer, 0).await.map(Some).map_err(LogError::at("read", path))
}

pub(super) async fn read_text(core: &Core, path: &Path) -> Result<Option<String>, LogError> {
    let Some(bytes) = read_file(core, path).await? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|_| LogError::corrupt(path, "it is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let entry = |topic, partition, offset| CheckpointEntry {
            topic: TopicName::parse(topic).unwrap(),
            partition: PartitionIndex(partition),
            offset: Offset(offset),
        };
        let entries = [entry("a", 0, 7), entry("b.c", 12, i64::MAX)];
        assert_eq!(encode(&entries), "0\n2\na 0 7\nb.c 12 9223372036854775807\n");
        assert_eq!(decode(&encode(&entries)).unwrap(), entries);
        assert_eq!(decode("0\n0\n").unwrap(), []);
    }

    #[test]
    fn a_malformed_checkpoint_is_refused() {
        let bad = [
            "",
            "1\n0\n",
            "0\n",
            "0\nx\n",
            "0\n1\n",
            "0\n1\na 0\n",
            "0\n1\na 0 1 2\n",
            "0\n1\na -1 1\n",
            "0\n1\n../a 0 1\n",
        ];
        for text in bad {
            assert!(decode(text).is_err(), "{text:?}");
        }
    }
}
