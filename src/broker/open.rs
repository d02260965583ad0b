//! Start of a shard: it opens the logs that it owns, a few at a time.

use super::directories::OfflineDirectory;
use super::image::log_spec;
use super::shard::Shard;
use crate::base::FastMap;
use crate::controller::{Image, Topic};
use crate::log::{AppendMode, DirectoryFacts, Log, LogDir, LogError, Recovery};
use crate::model::Offset;
use crate::runtime::sync;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// What a shard needs to open its logs.
pub struct Opening {
    pub image: Image,
    pub metadata_offset: Offset,
    pub append_mode: AppendMode,
    pub directories: Vec<FoundDirectory>,
    /// Directories that cannot be used.
    pub offline: Vec<OfflineDirectory>,
    /// Logs that each shard recovers at once, per directory.
    pub parallel: usize,
}

/// A log directory as it was found at start.
#[derive(Clone)]
pub struct FoundDirectory {
    pub facts: DirectoryFacts,
    /// Names of its partition folders.
    pub folders: Arc<Vec<String>>,
    /// By folder name: recovery point, log start offset.
    pub checkpoints: Arc<BTreeMap<String, (Offset, Offset)>>,
}

/// What opening found.
#[derive(Clone, Debug, Default)]
pub struct OpenReport {
    pub log_count: usize,
    pub bytes_scanned: u64,
    /// One line each, for the operator.
    pub findings: Vec<String>,
    /// How appends reach the files, by directory.
    pub append_paths: Vec<String>,
}

/// One log to be opened.
struct Task {
    topic: Arc<Topic>,
    index: i32,
    dir: usize,
}

impl Shard {
    pub(super) async fn open_logs(self: &Rc<Self>, opening: Opening) -> Result<OpenReport, String> {
        let mode = opening.append_mode;
        let in_service = opening.directories.iter().map(|dir| LogDir::new(&dir.facts, mode));
        let offline = opening.offline.iter().map(|dir| LogDir::offline(&dir.path, &dir.reason));
        let dirs: Vec<Rc<LogDir>> = in_service.chain(offline).collect();
        for dir in dirs.iter().take(opening.directories.len()) {
            self.core().spawn(Rc::clone(self).keep_directory(Rc::clone(dir)));
        }
        self.log_dirs.borrow_mut().clone_from(&dirs);
        self.live.follow(opening.image.layers());
        let tasks = RefCell::new(self.tasks(&opening));
        *self.image.borrow_mut() = Some(opening.image.clone());
        self.metadata_offset.set(opening.metadata_offset);
        let report = RefCell::new(OpenReport::default());
        let failure: Cell<Option<LogError>> = Cell::new(None);
        let workers = opening.parallel.max(1) * opening.directories.len();
        sync::all((0..workers).map(|_| async {
            loop {
                let next = tasks.borrow_mut().pop();
                let Some(task) = next else { break };
                if let Err(error) = self.open_log(&opening, &task, &report).await {
                    failure.set(Some(error));
                    break;
                }
            }
        }))
        .await;
        if let Some(error) = failure.take() {
            return Err(error.to_string());
        }
        // What has no folder yet appears with its first append; unless its folder may be in a
        // directory that nobody can look into. A second one elsewhere would begin at offset 0.
        let unseen = dirs.get(opening.directories.len());
        for topic in opening.image.topics() {
            self.add_partitions_in(topic, unseen);
        }
        let mut report = report.into_inner();
        report.log_count = self.partition_count();
        report.append_paths =
            self.log_dirs.borrow().iter().map(|dir| dir.describe_append_path()).collect();
        Ok(report)
    }

    /// The folders of partitions that this shard owns.
    fn tasks(&self, opening: &Opening) -> Vec<Task> {
        let mut places: FastMap<&str, usize> = FastMap::default();
        for (dir, found) in opening.directories.iter().enumerate() {
            for folder in found.folders.iter() {
                places.insert(folder, dir);
            }
        }
        let mut tasks = Vec::new();
        for topic in opening.image.topics() {
            for index in 0..topic.partitions.len() as i32 {
                let folder = format!("{}-{index}", topic.name);
                if self.owns(topic.id, index)
                    && let Some(dir) = places.get(&*folder)
                {
                    tasks.push(Task { topic: Arc::clone(topic), index, dir: *dir });
                }
            }
        }
        tasks
    }

    async fn open_log(
        self: &Rc<Self>,
        opening: &Opening,
        task: &Task,
        report: &RefCell<OpenReport>,
    ) -> Result<(), LogError> {
        let found = &opening.directories[task.dir];
        let mut spec = log_spec(&task.topic, task.index);
        if let Some((recovery_point, log_start)) = found.checkpoints.get(&spec.folder) {
            (spec.recovery_point, spec.log_start_offset) = (*recovery_point, *log_start);
        }
        spec.is_clean = found.facts.clean_epoch.is_some();
        let dir = Rc::clone(&self.log_dirs.borrow()[task.dir]);
        let config = self.settings(&task.topic.config).log;
        let folder = spec.folder.clone();
        let opened = match dir.failure() {
            Some(error) => Err(error),
            None => Log::open(self.core(), Rc::clone(&dir), spec.clone(), config.clone()).await,
        };
        let log = match opened {
            Ok((log, recovery)) => {
                note(&mut report.borrow_mut(), &folder, &recovery);
                log
            }
            // The disk's fault: the directory is out of service, and this log with it.
            Err(error @ (LogError::Io { .. } | LogError::DirectoryFailed { .. })) => {
                dir.fail_because(&error.to_string());
                Log::create(dir, spec, config)
            }
            Err(error) => return Err(error),
        };
        self.insert_partition(&task.topic, task.index, log);
        Ok(())
    }
}

fn note(report: &mut OpenReport, folder: &str, recovery: &Recovery) {
    report.bytes_scanned += recovery.bytes_scanned;
    for finding in &recovery.findings {
        let text = format!("{folder}: {finding}");
        report.findings.push(text);
    }
}
