//! From a data folder to a broker that serves, and back: start on the controller's core, clean stop.

use super::acceptor::Door;
use super::banner::Banner;
use super::bind::BoundListener;
use super::crowd::Crowd;
use super::{connections, strays};
use crate::broker::call::{Call, PartitionCheckpoint, Reply};
use crate::broker::checkpoints::CHECKPOINTS;
use crate::broker::directories::OfflineDirectory;
use crate::broker::live_settings::recovery_threads;
use crate::broker::open::{FoundDirectory, OpenReport, Opening};
use crate::broker::{ControllerHost, Shard};
use crate::config::AppendPath;
use crate::controller::{BrokerEndpoint, Controller, Registration};
use crate::limits::STOP_STEP_PATIENCE;
use crate::log::{
    AppendMode, CheckpointEntry, CheckpointKind, DirectoryFacts, Log, LogConfig, LogDir, LogError,
    LogSpec, MetaProperties, list_partitions, open_directory, read_checkpoint, take_clean_marker,
    write_clean_marker,
};
use crate::model::{Offset, Uuid};
use crate::runtime::probe::Features;
use crate::runtime::sync;
use crate::runtime::{Core, Lock};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// Folder of the metadata log in the first log directory.
const METADATA_FOLDER: &str = "__cluster_metadata-0";

/// What the process has found out before its cores ran.
pub struct Plan {
    pub listeners: Vec<BoundListener>,
    pub crowd: Crowd,
    /// Lines for the operator about settings that have no effect.
    pub notices: Vec<String>,
    pub cpus: Vec<usize>,
    pub features: Features,
    pub file_limit: u64,
    /// Where the metrics are shown.
    pub watched_at: Option<SocketAddr>,
    /// Takes the banner.
    pub greet: fn(String),
    pub give_up: GiveUp,
}

/// Takes the reason why the broker cannot go on, and ends the process.
pub type GiveUp = Arc<dyn Fn(String) + Send + Sync>;

/// Starts the broker from the controller's core. A failure ends the process.
pub fn begin(shard: &Rc<Shard>, plan: Plan, door: Rc<Door>) {
    let (shard, give_up) = (Rc::clone(shard), Arc::clone(&plan.give_up));
    shard.core().clone().spawn(async move {
        if let Err(reason) = start(&shard, plan, door).await {
            give_up(reason);
        }
    });
}

async fn start(shard: &Rc<Shard>, mut plan: Plan, door: Rc<Door>) -> Result<(), String> {
    let mode = match shard.facts.config.append_path {
        AppendPath::Auto => AppendMode::Auto,
        AppendPath::Inline => AppendMode::Inline,
        AppendPath::Ring => AppendMode::Ring,
    };
    let Directories { found: mut directories, mut offline, locks } =
        open_directories(shard).await?;
    // The locks last as long as the process.
    std::mem::forget(locks);
    let is_clean = directories.iter().all(|dir| dir.facts.clean_epoch.is_some());
    let home = metadata_home(&directories, &offline)?;
    let home_path = home.facts.path.clone();
    let host = open_controller(shard, home, mode, is_clean, &plan.listeners).await?;
    let image = host.image();
    let failed = strays::put_aside(shard.core(), &image, METADATA_FOLDER, &mut directories).await?;
    if failed.iter().any(|dir| dir.path == home_path) {
        return Err(lost_home(&failed));
    }
    offline.extend(failed);
    for OfflineDirectory { path, reason } in &offline {
        tracing::error!(
            "{} is OUT OF SERVICE: {reason}; the others go on, and partitions that may lie in it \
             answer KAFKA_STORAGE_ERROR until it can be used again and the broker is restarted",
            path.display()
        );
    }
    let paths = directories.iter().map(|dir| dir.facts.path.clone()).collect();
    let file_systems = directories.iter().map(|dir| dir.facts.file_system.clone()).collect();
    let found = (directories, offline);
    let reports = open_everywhere(shard, &host, found, mode).await?;
    assert!(shard.controller.set(Rc::clone(&host)).is_ok(), "a broker starts once");
    shard.core().spawn(stop_without_metadata(host, Arc::clone(&plan.give_up)));
    // They may still name a topic whose deletion a kill has interrupted.
    shard.save_checkpoints(&CHECKPOINTS).await;
    door.set_crowd(std::mem::take(&mut plan.crowd));
    for (index, listener) in plan.listeners.iter().enumerate() {
        door.open(shard, &listener.socket, index as u16);
    }
    shard.core().spawn(Rc::clone(shard).keep_checkpoints());
    let banner = Banner {
        config: &shard.facts.config,
        image: &shard.image(),
        plan: &plan,
        paths,
        file_systems,
        reports: &reports,
        is_clean,
    };
    (plan.greet)(banner.text());
    Ok(())
}

/// Without its metadata log a broker cannot go on.
async fn stop_without_metadata(host: Rc<ControllerHost>, give_up: GiveUp) {
    let error = host.directory_failed().await;
    give_up(format!("the log directory of the metadata log has failed: {error}"));
}

/// The log directories at start.
#[derive(Default)]
struct Directories {
    found: Vec<FoundDirectory>,
    offline: Vec<OfflineDirectory>,
    locks: Vec<Lock>,
}

/// Opens every log directory that can be used. One that its disk denies us is left out; one that
/// belongs to another node, cluster or process is a mistake, and ends the start.
async fn open_directories(shard: &Shard) -> Result<Directories, String> {
    let config = &shard.facts.config;
    let mut cluster_id: Option<String> = None;
    let Directories { mut found, mut offline, mut locks } = Directories::default();
    let new_cluster = random_id(shard.core()).to_string();
    for (is_new, path) in old_ones_first(shard.core(), &config.log_dirs).await {
        if is_new && cluster_id.is_none() && !offline.is_empty() {
            // A new cluster must not begin beside one that cannot be read.
            return Err(lost_home(&offline));
        }
        let fresh = MetaProperties {
            cluster_id: cluster_id.clone().unwrap_or_else(|| new_cluster.clone()),
            node_id: config.node_id,
            directory_id: random_id(shard.core()),
        };
        let core = shard.core();
        let (facts, lock) = match open_directory(core, &path, &fresh).await {
            Err(error) => {
                offline.push(put_out_of_service(path, error)?);
                continue;
            }
            Ok(opened) => opened,
        };
        locks.push(lock);
        check_identity(&facts, config.node_id, cluster_id.as_deref())?;
        cluster_id = Some(facts.meta.cluster_id.clone());
        match look_around(shard, facts).await {
            Ok(directory) => found.push(directory),
            Err(error) => offline.push(put_out_of_service(path, error)?),
        }
    }
    if found.is_empty() {
        return Err(lost_home(&offline));
    }
    let place = |dir: &FoundDirectory| config.log_dirs.iter().position(|p| *p == dir.facts.path);
    found.sort_by_key(|dir| place(dir));
    // Only now: a start that is refused leaves every folder as it was.
    metadata_home(&found, &offline)?;
    for dir in std::mem::take(&mut found) {
        let is_clean = dir.facts.clean_epoch.is_some();
        match take_clean_marker(shard.core(), &dir.facts.path).await {
            Err(error) if is_clean => offline.push(put_out_of_service(dir.facts.path, error)?),
            _ => found.push(dir),
        }
    }
    Ok(Directories { found, offline, locks })
}

/// The disk's fault takes a directory out of service; any other error is the operator's to decide.
fn put_out_of_service(path: PathBuf, error: LogError) -> Result<OfflineDirectory, String> {
    match error {
        LogError::Io { .. } => Ok(OfflineDirectory { path, reason: error.to_string().into() }),
        other => Err(other.to_string()),
    }
}

fn lost_home(offline: &[OfflineDirectory]) -> String {
    let list: Vec<_> =
        offline.iter().map(|dir| format!("{}: {}", dir.path.display(), dir.reason)).collect();
    format!(
        "the metadata log lies in none of the folders of log.dirs that can be used, and these \
         cannot:\n  {}\n  fix: repair or mount them; a broker does not run without its metadata",
        list.join("\n  ")
    )
}

/// Directories that say whose they are come first: a new one joins them, wherever it is listed.
/// So do those of which nobody knows. Whether each is new.
async fn old_ones_first(core: &Core, paths: &[PathBuf]) -> Vec<(bool, PathBuf)> {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for path in paths {
        let stat = core.stat(&path.join("meta.properties")).await;
        let is_new = stat.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        if is_new { &mut new } else { &mut old }.push((is_new, path.clone()));
    }
    old.append(&mut new);
    old
}

fn check_identity(
    facts: &DirectoryFacts,
    node: crate::model::NodeId,
    cluster_id: Option<&str>,
) -> Result<(), String> {
    let (path, meta) = (facts.path.display(), &facts.meta);
    if meta.node_id != node {
        return Err(format!(
            "{path} belongs to node {}, and this is node {node} (node.id)\n  \
             fix: set node.id={}, or give this node a folder of its own (log.dirs)",
            meta.node_id, meta.node_id
        ));
    }
    if let Some(other) = cluster_id.filter(|id| *id != meta.cluster_id) {
        return Err(format!(
            "{path} belongs to cluster {}, the folder before it in log.dirs to {other}\n  \
             fix: list only folders of one cluster",
            meta.cluster_id
        ));
    }
    Ok(())
}

/// Reads what a directory holds and what its checkpoints say.
async fn look_around(shard: &Shard, facts: DirectoryFacts) -> Result<FoundDirectory, LogError> {
    let (core, path) = (shard.core(), facts.path.clone());
    let folders = list_partitions(core, &path).await?;
    let mut checkpoints: BTreeMap<String, (Offset, Offset)> = BTreeMap::new();
    let name = |entry: &CheckpointEntry| format!("{}-{}", entry.topic, entry.partition);
    for entry in read_or_warn(core, &path, CheckpointKind::RecoveryPoint).await? {
        checkpoints.entry(name(&entry)).or_default().0 = entry.offset;
    }
    for entry in read_or_warn(core, &path, CheckpointKind::LogStart).await? {
        checkpoints.entry(name(&entry)).or_default().1 = entry.offset;
    }
    let (folders, checkpoints) = (Arc::new(folders), Arc::new(checkpoints));
    Ok(FoundDirectory { facts, folders, checkpoints })
}

/// Reads a checkpoint. As in Kafka, one that makes no sense counts as empty: logs are scanned from
/// their beginning, and start with their first file.
async fn read_or_warn(
    core: &Core,
    path: &Path,
    kind: CheckpointKind,
) -> Result<Vec<CheckpointEntry>, LogError> {
    match read_checkpoint(core, path, kind).await {
        Err(error @ LogError::Corrupt { .. }) => {
            tracing::warn!("{error}: it is left out, and the logs are read instead");
            Ok(Vec::new())
        }
        read => read,
    }
}

/// Where the metadata log lies: in the first directory, unless it is in another, because the
/// operator has put a new one before it. A second log would know none of the topics.
fn metadata_home<'a>(
    dirs: &'a [FoundDirectory],
    offline: &[OfflineDirectory],
) -> Result<&'a FoundDirectory, String> {
    let has_log = |dir: &&FoundDirectory| dir.folders.iter().any(|name| name == METADATA_FOLDER);
    let mut homes = dirs.iter().filter(has_log);
    match (homes.next(), homes.next()) {
        (Some(first), Some(second)) => Err(format!(
            "{} and {} both have a metadata log ({METADATA_FOLDER})\n  \
             fix: list only folders that belong together in log.dirs",
            first.facts.path.display(),
            second.facts.path.display()
        )),
        (None, _) if !offline.is_empty() => Err(lost_home(offline)),
        (home, _) => home.or(dirs.first()).ok_or_else(|| "log.dirs names no folder".into()),
    }
}

async fn open_controller(
    shard: &Shard,
    dir: &FoundDirectory,
    mode: AppendMode,
    is_clean: bool,
    listeners: &[BoundListener],
) -> Result<Rc<ControllerHost>, String> {
    let config = &shard.facts.config;
    let (recovery_point, log_start_offset) =
        dir.checkpoints.get(METADATA_FOLDER).copied().unwrap_or_default();
    let spec = LogSpec {
        folder: METADATA_FOLDER.to_string(),
        topic_id: Uuid::METADATA_TOPIC,
        recovery_point,
        log_start_offset,
        is_clean: dir.facts.clean_epoch.is_some(),
        // Topics would go with their records, and their folders be put aside as nobody's.
        refuses_damage: true,
    };
    // Metadata are kept whole until snapshots exist.
    let log_config = LogConfig { retention_ms: -1, retention_bytes: -1, ..LogConfig::default() };
    let log_dir = LogDir::new(&dir.facts, mode);
    let (log, recovery) = Log::open(shard.core(), log_dir, spec, log_config)
        .await
        .map_err(|error| format!("the metadata log cannot be opened: {error}"))?;
    for finding in &recovery.findings {
        tracing::warn!("{METADATA_FOLDER}: {finding}");
    }
    let machine = Controller::new(&dir.facts.meta.cluster_id, config);
    let host = ControllerHost::open(shard.core(), machine, log, config.node_id).await.map_err(
        |error| format!("{error}\n  fix: put a good copy of {METADATA_FOLDER} in its place"),
    )?;
    let endpoints = listeners.iter().map(|listener| BrokerEndpoint {
        listener: listener.facts.name.clone(),
        host: listener.facts.advertised_host.clone().unwrap_or_else(|| local_host(listener)),
        port: listener.facts.advertised_port,
    });
    let registration = Registration {
        incarnation: random_id(shard.core()),
        endpoints: endpoints.collect(),
        rack: config.rack.clone(),
        log_dirs: vec![dir.facts.meta.directory_id],
    };
    host.register(shard.core(), &registration, is_clean)
        .await
        .map_err(|error| error.to_string())?;
    Ok(Rc::new(host))
}

fn local_host(listener: &BoundListener) -> String {
    match listener.bound.ip() {
        ip if ip.is_unspecified() => "localhost".to_string(),
        ip => ip.to_string(),
    }
}

async fn open_everywhere(
    shard: &Rc<Shard>,
    host: &ControllerHost,
    (directories, offline): (Vec<FoundDirectory>, Vec<OfflineDirectory>),
    mode: AppendMode,
) -> Result<Vec<OpenReport>, String> {
    let parallel = recovery_threads(host.image().layers());
    let replies = sync::all((0..shard.core_count()).map(|core| {
        let opening = Opening {
            image: host.image(),
            metadata_offset: host.offset(),
            append_mode: mode,
            directories: directories.clone(),
            offline: offline.clone(),
            parallel,
        };
        shard.call(core, Call::Open(Box::new(opening)))
    }))
    .await;
    let reports = replies.into_iter().map(|reply| match reply {
        Reply::Opened(report) => report,
        _ => unreachable!("an open call has an open reply"),
    });
    reports.collect()
}

pub(super) fn random_id(core: &Core) -> Uuid {
    loop {
        if let Some(id) = Uuid::from_random(core.random()) {
            return id;
        }
    }
}

/// Only where every log was closed: the marker spares the next start the scan.
async fn write_clean_markers(shard: &Shard, epoch: i64, entries: &[PartitionCheckpoint]) {
    for path in shard.directories_in_service() {
        if entries.iter().any(|entry| entry.directory == *path && !entry.is_closed) {
            tracing::error!("{}: not closed cleanly; the next start scans it", path.display());
        } else if let Err(error) = write_clean_marker(shard.core(), path, epoch).await {
            tracing::error!("the clean-stop marker was not written: {error}");
        }
    }
}

/// The clean stop: nobody comes in, what was begun is answered, then logs, checkpoints, marker; then
/// every core ends its loop. A step that takes long is named.
pub async fn stop(shard: Rc<Shard>, door: Rc<Door>) {
    door.close();
    if let Some(host) = shard.controller.get() {
        let drained = (0..shard.core_count()).map(|core| shard.call(core, Call::Drain));
        step(&shard, "waiting for answers to leave", sync::all(drained)).await;
        // A command may write checkpoints, too.
        step(&shard, "ending what changes the metadata", host.end_commands()).await;
        // Nobody else writes the same files meanwhile, nor after this.
        let gate = shard.checkpoints_gate.enter();
        let _inside = step(&shard, "waiting for checkpoints under way", gate).await;
        step(&shard, "closing the metadata log", host.close(shard.core())).await;
        let closed = shard.gather_checkpoints(|| Call::CloseLogs);
        let entries = step(&shard, "syncing and closing the logs", closed).await;
        let written = shard.write_checkpoints(&CHECKPOINTS, &entries);
        if step(&shard, "writing the checkpoints", written).await {
            let marked = write_clean_markers(&shard, host.broker_epoch(), &entries);
            step(&shard, "writing the clean-stop markers", marked).await;
        }
    }
    connections::halt_all(&shard);
}

/// A step of the stop: one that takes long is named, and again and again.
async fn step<T>(shard: &Shard, what: &str, work: impl Future<Output = T>) -> T {
    let (core, began) = (shard.core(), shard.core().now());
    let mut work = std::pin::pin!(work);
    loop {
        let done = async { Some(work.as_mut().await) };
        let late = async {
            core.sleep(STOP_STEP_PATIENCE).await;
            None
        };
        if let Some(value) = sync::race(done, late).await {
            return value;
        }
        let seconds = core.now().since(began).as_secs();
        tracing::warn!("stopping: {what}, for {seconds} s now (a second signal ends at once)");
    }
}
