//! A log directory: Kafka's files at its root, and what one core knows of it.
//!
//! ```text
//! .lock                  held as long as the process lives
//! meta.properties        whose directory this is
//! .kafka_cleanshutdown   written by a clean stop, taken away at start: no scan needed
//! *-offset-checkpoint    see `checkpoint`
//! <topic>-<partition>/   see `log`
//! ```

use super::append_path::{AppendMode, AppendPath, PathCounts, Way};
use super::cache::SegmentCache;
use super::checkpoint::{self, Durable};
use super::error::LogError;
use super::names;
use super::writeback::DirtyBudget;
use crate::model::{NodeId, Uuid};
use crate::record::Scratch;
use crate::runtime::sync::Bell;
use crate::runtime::{Core, Gather, Lock};
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

const LOCK: &str = ".lock";
const META: &str = "meta.properties";
const CLEAN_MARKER: &str = ".kafka_cleanshutdown";
/// Empty gathers kept for reuse, per core.
const SPARE_GATHERS: usize = 64;

/// `meta.properties`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: NodeId,
    pub directory_id: Uuid,
}

/// What start-up learns about a directory, once per process; cheap to clone, sent to every core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryFacts {
    pub path: PathBuf,
    pub meta: MetaProperties,
    /// The clean-shutdown marker was there: its broker epoch, -1 if unknown.
    pub clean_epoch: Option<i64>,
    /// For the banner; nothing is decided from it.
    pub file_system: String,
}

/// One log directory as one core sees it: its append path, dirty budget and health.
pub struct LogDir {
    path: PathBuf,
    pub(super) append_path: RefCell<AppendPath>,
    pub(super) dirty: DirtyBudget,
    pub(super) cache: RefCell<SegmentCache>,
    pub(super) scratch: RefCell<Scratch>,
    gathers: RefCell<Vec<Gather>>,
    failure: RefCell<Option<LogError>>,
    /// Rung with the failure; heard by the one task that waits for it.
    failed: Bell,
}

impl LogDir {
    pub fn new(facts: &DirectoryFacts, mode: AppendMode) -> Rc<Self> {
        Self::at(facts.path.clone(), mode)
    }

    /// A directory that is out of service from the start.
    pub fn offline(path: &Path, reason: &str) -> Rc<Self> {
        let dir = Self::at(path.to_path_buf(), AppendMode::Auto);
        *dir.failure.borrow_mut() = Some(dir.failed_because(reason));
        dir
    }

    fn at(path: PathBuf, mode: AppendMode) -> Rc<Self> {
        Rc::new(Self {
            path,
            append_path: RefCell::new(AppendPath::new(mode)),
            dirty: DirtyBudget::default(),
            cache: RefCell::default(),
            scratch: RefCell::default(),
            gathers: RefCell::default(),
            failure: RefCell::default(),
            failed: Bell::default(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why the directory is out of service, if it is.
    pub fn failure(&self) -> Option<LogError> {
        self.failure.borrow().clone()
    }

    /// Takes the directory out of service on this core; the first reason stays. A file that is
    /// gone belonged to a log that was removed meanwhile, and says nothing of the disk.
    pub(super) fn fail(&self, error: &LogError) {
        if !error.is_not_found() {
            self.fail_because(&error.to_string());
        }
    }

    /// The same, for a reason that is known already.
    pub fn fail_because(&self, reason: &str) {
        if self.failure.borrow().is_some() {
            return;
        }
        tracing::error!(
            directory = %self.path().display(), reason,
            "log directory OUT OF SERVICE: its partitions answer KAFKA_STORAGE_ERROR until the \
             broker is started again"
        );
        *self.failure.borrow_mut() = Some(self.failed_because(reason));
        self.failed.ring();
    }

    fn failed_because(&self, reason: &str) -> LogError {
        LogError::DirectoryFailed { path: self.path().into(), reason: reason.into() }
    }

    /// Resolves when the directory is out of service, with the reason. For one task.
    pub async fn failed(&self) -> LogError {
        loop {
            if let Some(error) = self.failure() {
                return error;
            }
            self.failed.heard().await;
        }
    }

    /// How many old segments one core keeps open.
    pub fn set_open_segments_max(&self, count: usize) {
        self.cache.borrow_mut().set_segments_max(count);
    }

    /// The append path in use, for the banner and the metric.
    pub fn describe_append_path(&self) -> String {
        self.append_path.borrow().describe()
    }

    /// The way that appends to busy files take now, and what was counted.
    pub fn append_counts(&self) -> (Way, PathCounts) {
        let path = self.append_path.borrow();
        (path.way(), path.counts())
    }

    /// Bytes written on this core that the disk is not known to have.
    pub fn dirty_bytes(&self) -> u64 {
        self.dirty.bytes()
    }

    pub(super) fn take_gather(&self) -> Gather {
        self.gathers.borrow_mut().pop().unwrap_or_default()
    }

    pub(super) fn give_gather(&self, mut gather: Gather) {
        let mut spare = self.gathers.borrow_mut();
        if spare.len() < SPARE_GATHERS {
            gather.clear();
            spare.push(gather);
        }
    }
}

/// Takes the directory for this process (the folder must exist); held as long as the lock lives.
pub fn lock_directory(core: &Core, path: &Path) -> Result<Lock, LogError> {
    let lock = path.join(LOCK);
    match core.lock(&lock).map_err(LogError::at("lock", &lock))? {
        Ok(lock) => Ok(lock),
        Err(holder) => Err(LogError::Locked { path: path.into(), holder }),
    }
}

/// Makes the directory and its parents where they are missing.
pub async fn make_directory(core: &Core, path: &Path) -> Result<(), LogError> {
    let mut missing = Vec::new();
    for dir in path.ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
        match core.stat(dir).await {
            Ok(stat) if stat.is_dir => break,
            Ok(_) => {
                let error = io::Error::from(io::ErrorKind::NotADirectory);
                return Err(LogError::io("use", dir, error));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(dir),
            Err(error) => return Err(LogError::io("stat", dir, error)),
        }
    }
    for dir in missing.into_iter().rev() {
        match core.make_dir(dir).await {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(LogError::io("create", dir, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes the directory where it is missing, locks it, reads `meta.properties` (or writes `fresh`
/// where there is none) and the clean-shutdown marker, which stays until [`take_clean_marker`].
/// Once per process, at start; the lock lasts as long as it is held.
pub async fn open_directory(
    core: &Core,
    path: &Path,
    fresh: &MetaProperties,
) -> Result<(DirectoryFacts, Lock), LogError> {
    make_directory(core, path).await?;
    if let Some(mode) = core.mode_for_others(path) {
        tracing::warn!(
            "{} is open to other users of this machine (mode {mode:03o}): whoever may read it reads \
             all records; chmod 700 closes it",
            path.display()
        );
    }
    let lock = lock_directory(core, path)?;
    let facts = read_directory(core, path, fresh).await?;
    let file_system = core.file_system(path).to_string();
    Ok((DirectoryFacts { file_system, ..facts }, lock))
}

/// What `open_directory` does after it has the lock.
pub async fn read_directory(
    core: &Core,
    path: &Path,
    fresh: &MetaProperties,
) -> Result<DirectoryFacts, LogError> {
    let file = path.join(META);
    let meta = if let Some(text) = checkpoint::read_text(core, &file).await? {
        let (mut meta, is_whole) =
            parse_meta(&text).map_err(|reason| LogError::corrupt(&file, reason))?;
        if !is_whole {
            // Written before directories had ids.
            meta.directory_id = fresh.directory_id;
            write_meta(core, &file, &meta).await?;
        }
        meta
    } else {
        write_meta(core, &file, fresh).await?;
        fresh.clone()
    };
    let marker = path.join(CLEAN_MARKER);
    let clean_epoch = checkpoint::read_text(core, &marker).await?.map(|text| parse_marker(&text));
    let file_system = String::new();
    Ok(DirectoryFacts { path: path.to_path_buf(), meta, clean_epoch, file_system })
}

/// Takes the clean-shutdown marker away, durably: before the first write to the directory, and not
/// before it is certain that this start goes on, or the next one would have to check every log.
pub async fn take_clean_marker(core: &Core, path: &Path) -> Result<(), LogError> {
    let marker = path.join(CLEAN_MARKER);
    match core.unlink(&marker).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(LogError::io("remove", &marker, error));
        }
        _ => {}
    }
    core.sync_dir(path).await.map_err(LogError::at("fsync", path))
}

/// The partition folders of a directory, sorted: every `<topic>-<partition>`.
pub async fn list_partitions(core: &Core, path: &Path) -> Result<Vec<String>, LogError> {
    let entries = core.list(path).await.map_err(LogError::at("list", path))?;
    let mut folders: Vec<String> = entries
        .into_iter()
        .filter(|entry| entry.is_dir && names::parse_partition(&entry.name).is_some())
        .map(|entry| entry.name)
        .collect();
    folders.sort_unstable();
    Ok(folders)
}

/// Folders that a removal had renamed before the process ended; to be removed at start.
pub async fn list_removed(core: &Core, path: &Path) -> Result<Vec<String>, LogError> {
    let entries = core.list(path).await.map_err(LogError::at("list", path))?;
    let is_removed = |name: &str| {
        let middle = name.strip_suffix("-delete").and_then(|name| name.rsplit_once('.'));
        middle.is_some_and(|(folder, _)| names::parse_partition(folder).is_some())
    };
    let removed = entries.into_iter().filter(|entry| entry.is_dir && is_removed(&entry.name));
    Ok(removed.map(|entry| entry.name).collect())
}

/// Writes the clean-shutdown marker, after all logs are closed and the checkpoints written.
pub async fn write_clean_marker(core: &Core, path: &Path, epoch: i64) -> Result<(), LogError> {
    let text = format!("{{\"version\":0,\"brokerEpoch\":{epoch}}}");
    checkpoint::replace_file(core, &path.join(CLEAN_MARKER), text.into_bytes(), Durable::Yes).await
}

async fn write_meta(core: &Core, file: &Path, meta: &MetaProperties) -> Result<(), LogError> {
    let MetaProperties { cluster_id, node_id, directory_id } = meta;
    let text = format!(
        "version=1\ncluster.id={cluster_id}\nnode.id={node_id}\ndirectory.id={directory_id}\n"
    );
    checkpoint::replace_file(core, file, text.into_bytes(), Durable::Yes).await
}

/// The properties, and whether the directory has an id already.
fn parse_meta(text: &str) -> Result<(MetaProperties, bool), String> {
    let get = |key: &str| {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.starts_with(['#', '!']))
            .filter_map(|line| line.split_once(['=', ':']))
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim().replace('\\', ""))
    };
    let version = get("version").ok_or("version is missing")?;
    if version != "1" && version != "0" {
        return Err(format!("version {version} is not served (0 and 1 are)"));
    }
    let node_id = get("node.id").or_else(|| get("broker.id")).ok_or("node.id is missing")?;
    let node_id = node_id.parse().map_err(|_| format!("node.id {node_id:?} is no number"))?;
    let cluster_id = get("cluster.id").ok_or("cluster.id is missing")?;
    let directory_id = match get("directory.id") {
        Some(id) => Some(Uuid::parse(&id).ok_or_else(|| format!("directory.id {id:?} is no id"))?),
        None => None,
    };
    let is_whole = directory_id.is_some();
    let directory_id = directory_id.unwrap_or(Uuid::ZERO);
    Ok((MetaProperties { cluster_id, node_id: NodeId(node_id), directory_id }, is_whole))
}

/// The broker epoch of a clean-shutdown marker; old ones are empty.
fn parse_marker(text: &str) -> i64 {
    let after = text.split_once("\"brokerEpoch\"").map(|(_, rest)| rest.trim_start());
    let digits = after.and_then(|rest| rest.strip_prefix(':')).map(str::trim_start);
    let is_number = |c: char| c.is_ascii_digit() || c == '-';
    digits
        .map(|rest| &rest[..rest.find(|c| !is_number(c)).unwrap_or(rest.len())])
        .and_then(|number| number.parse().ok())
        .unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_properties_are_read() {
        let text = "#\n#Tue Nov 24 10:00:00 UTC 2026\ncluster.id=abc\\=\nversion=1\n\
                    directory.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id = 7\n";
        let (meta, is_whole) = parse_meta(text).unwrap();
        assert_eq!((meta.cluster_id.as_str(), meta.node_id, is_whole), ("abc=", NodeId(7), true));
        assert_eq!(meta.directory_id, Uuid::METADATA_TOPIC);
        let (old, is_whole) = parse_meta("version=0\nbroker.id=1\ncluster.id=x\n").unwrap();
        assert_eq!((old.node_id, is_whole), (NodeId(1), false));
        for bad in ["", "version=2\n", "version=1\ncluster.id=x\nnode.id=y\n"] {
            assert!(parse_meta(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn markers_of_all_ages_are_read() {
        assert_eq!(parse_marker("{\"version\":0,\"brokerEpoch\":12}"), 12);
        assert_eq!(parse_marker("{\"brokerEpoch\" : -1, \"version\":0}"), -1);
        assert_eq!(parse_marker(""), -1);
    }
}
