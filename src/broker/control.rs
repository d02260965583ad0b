//! The controller's host: the pure machine, its log, and the way of a command.
//!
//! ```text
//!   command -> (one at a time) on_* -> one batch -> __cluster_metadata, synced -> apply
//!                                   -> every shard has the change -> the outcome leaves
//! ```
//!
//! One node commits what it has synced; a quorum will commit later. Nothing here takes a record's
//! offset for an index: the log keeps batches, the machine applies them.

use super::call::{Call, PartitionCheckpoint, Reply};
use super::checkpoints::CHECKPOINTS;
use super::directories::OfflineDirectory;
use super::plans;
use super::shard::Shard;
use crate::base::crc32c::Crc32c;
use crate::base::{Pieces, Quoted};
use crate::config::BrokerConfig;
use crate::controller::{
    AllocateError, AlterError, ApplyError, Controller, CreateError, CreatedTopic, DeleteOutcome,
    DeleteTarget, Delta, GrowError, NewTopic, Plan, ProducerIdBlock, Records, Registration,
};
use crate::log::{Flush, Log, LogDir, LogError, Part, Read, ReadRange, StageError};
use crate::model::{
    LeaderEpoch, NodeId, OFFSETS_TOPIC, Offset, ProducerId, ResourceType, Timestamp, TopicName,
};
use crate::protocol::{Parse as _, Reader, RequestHeader, read};
use crate::record::{
    BatchBuilder, BatchHeader, CRC_FROM, HEADER_BYTES, LeaderChange, NewRecord, Scratch, walk,
};
use crate::runtime::sync::{self, Gate};
use crate::runtime::{Chain, Core, chain};
use bumpalo::Bump;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// The topic whose only partition is the metadata log.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// The shard that hosts the controller.
pub const CONTROLLER_SHARD: usize = 0;

/// A change that a client asks for. Requests travel as the frames they came in.
pub enum Command {
    CreateTopics {
        frame: Chain,
        version: i16,
    },
    DeleteTopics {
        frame: Chain,
        version: i16,
    },
    CreatePartitions {
        frame: Chain,
        version: i16,
    },
    AlterConfigs {
        frame: Chain,
        version: i16,
    },
    IncrementalAlterConfigs {
        frame: Chain,
        version: i16,
    },
    /// Topics that a client named and that do not exist.
    AutoCreate {
        names: Vec<String>,
    },
    /// The topic that keeps groups, unless it is there.
    OffsetsTopic,
    ProducerIds,
}

/// What became of a command.
pub enum Outcome {
    Created(Vec<(String, Result<CreatedTopic, CreateError>)>),
    Deleted(Vec<DeleteOutcome>),
    Grown(Vec<(String, Result<(), GrowError>)>),
    /// By type and name of the resource.
    Altered(Vec<(i8, String, Result<(), AlterError>)>),
    ProducerIds(Result<ProducerIdBlock, AllocateError>),
    /// The metadata log took nothing: the command did not happen.
    Failed(Arc<ControlError>),
}

/// The metadata log cannot be written, or says what cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("the metadata log: {0}")]
    Log(#[from] LogError),
    #[error("the metadata log: {0}")]
    Stage(#[from] StageError),
    #[error("the metadata log: {0}")]
    Apply(#[from] ApplyError),
    #[error("the metadata log holds a batch at offset {offset} that cannot be read: {reason}")]
    Batch { offset: Offset, reason: String },
}

/// The controller on its shard.
pub struct ControllerHost {
    machine: RefCell<Controller>,
    log: RefCell<Log>,
    dir: Rc<LogDir>,
    gate: Gate,
    term: LeaderEpoch,
    broker_epoch: Cell<i64>,
    /// Its log was ended cleanly.
    is_closed: Cell<bool>,
}

impl ControllerHost {
    /// Replays the metadata log and begins a new term.
    pub async fn open(
        core: &Core,
        mut machine: Controller,
        log: Log,
        node: NodeId,
    ) -> Result<Self, ControlError> {
        let last = replay(core, &log, &mut machine).await?;
        let term = LeaderEpoch(last.0 + 1);
        let host = Self {
            machine: RefCell::new(machine),
            dir: log.log_dir(),
            log: RefCell::new(log),
            gate: Gate::default(),
            term,
            broker_epoch: Cell::new(-1),
            is_closed: Cell::new(false),
        };
        let mut batch = BatchBuilder::new();
        let change = LeaderChange { leader: node, voters: &[node], granting: &[node] };
        change.push(&mut batch, core.wall()).expect("a leader change fits a batch");
        host.append(core, &mut batch).await?;
        Ok(host)
    }

    /// Registers this process's broker; gives what changed. After a stop that was not clean every
    /// partition begins a new leader epoch.
    pub async fn register(
        &self,
        core: &Core,
        registration: &Registration,
        is_clean: bool,
    ) -> Result<(), ControlError> {
        let end = self.log.borrow().log_end_offset();
        let Plan { records, outcome } = self.machine.borrow().on_start(registration, end.0);
        self.commit(core, &records).await?;
        self.broker_epoch.set(outcome);
        if !is_clean {
            let batches = self.machine.borrow().on_unclean_restart();
            for records in batches {
                self.commit(core, &records).await?;
            }
        }
        Ok(())
    }

    /// Term of this leader of the metadata log.
    pub fn term(&self) -> LeaderEpoch {
        self.term
    }

    pub fn broker_epoch(&self) -> i64 {
        self.broker_epoch.get()
    }

    pub fn image(&self) -> crate::controller::Image {
        self.machine.borrow().image().clone()
    }

    /// How far the metadata log is durable.
    pub fn checkpoint(&self) -> PartitionCheckpoint {
        let log = self.log.borrow();
        PartitionCheckpoint {
            topic: TopicName::parse(METADATA_TOPIC).expect("it is a topic's name"),
            partition: 0,
            directory: log.directory().to_path_buf(),
            recovery_point: log.recovery_point(),
            log_start_offset: log.log_start_offset(),
            high_watermark: log.log_end_offset(),
            is_closed: self.is_closed.get(),
        }
    }

    /// End of the metadata log.
    pub fn offset(&self) -> Offset {
        self.log.borrow().log_end_offset()
    }

    /// A core has seen a log directory fail.
    pub fn on_directory_failed(&self, offline: &OfflineDirectory) {
        if self.dir.path() == offline.path {
            self.dir.fail_because(&offline.reason);
        }
    }

    /// Resolves when the directory of the metadata log is out of service, with the reason.
    pub async fn directory_failed(&self) -> LogError {
        self.dir.failed().await
    }

    /// Appends records as one batch, durably, and applies them.
    async fn commit(&self, core: &Core, records: &Records) -> Result<Delta, ControlError> {
        if records.is_empty() {
            return Ok(Delta::default());
        }
        let mut batch = BatchBuilder::new();
        for value in records.iter() {
            let record =
                NewRecord { timestamp: core.wall(), value: Some(value), ..NewRecord::default() };
            batch.push(&record).expect("the machine bounds its batches");
        }
        self.append(core, &mut batch).await?;
        // Committed: from here on it has happened, and a machine that cannot follow its own log
        // is broken. A restart replays it.
        let applied = self.machine.borrow_mut().apply_batch(records.iter());
        Ok(applied.expect("the machine takes what it has planned"))
    }

    /// Appends one batch and syncs it.
    async fn append(&self, core: &Core, batch: &mut BatchBuilder) -> Result<(), ControlError> {
        let mut bytes = Vec::new();
        let header = batch.finish(&mut bytes).expect("the machine bounds its batches");
        let parts = [Part::Bytes(Bytes::from(bytes))];
        let now: Timestamp = core.wall();
        let stamp = |base, epoch| header.stamp(base, epoch);
        self.log.borrow_mut().stage(&header, parts, self.term, now, stamp)?;
        loop {
            let flush = self.log.borrow_mut().begin_flush(core);
            match flush {
                Flush::Idle => break,
                Flush::Done(result) => drop(result?),
                Flush::Pending(job) => {
                    let outcome = job.run().await;
                    self.log.borrow_mut().end_flush(core, outcome)?;
                }
            }
        }
        let job = self.log.borrow().sync_job();
        job.run(core).await?;
        Ok(())
    }

    /// No command is taken any more when this returns.
    pub async fn end_commands(&self) {
        std::mem::forget(self.gate.enter().await);
    }

    /// Writes and syncs everything, after the last command; whether that succeeded.
    pub async fn close(&self, core: &Core) -> bool {
        let job = self.log.borrow_mut().close_job();
        let result = job.run(core).await;
        if let Err(error) = &result {
            tracing::error!("closing the metadata log failed: {error}");
        }
        self.is_closed.set(result.is_ok());
        result.is_ok()
    }
}

/// Applies everything that the log holds; gives the last term.
async fn replay(
    core: &Core,
    log: &Log,
    machine: &mut Controller,
) -> Result<LeaderEpoch, ControlError> {
    const CHUNK: usize = 8 << 20;
    let (mut next, end) = (log.log_start_offset(), log.log_end_offset());
    let (mut scratch, mut term) = (Scratch::new(), LeaderEpoch(0));
    while next < end {
        let range =
            ReadRange { from: next, upper: end, bytes_max: CHUNK, one_batch_at_least: true };
        let Read::Span(span) = log.read_job(&range).run(core).await? else { break };
        let read = span.file.read_at(core, vec![0; span.len], span.position).await;
        let bytes = read.map_err(|error| batch_error(next, &error))?;
        let before = next;
        let mut rest = &bytes[..];
        while let Ok(header) = BatchHeader::parse(Pieces::one(rest)) {
            let Some((batch, after)) = rest.split_at_checked(header.total_bytes()) else { break };
            apply_batch(machine, &header, batch, &mut scratch)?;
            term = term.max(header.leader_epoch);
            next = header.next_offset();
            rest = after;
        }
        if next == before {
            return Err(batch_error(next, &"it is not whole"));
        }
    }
    Ok(term)
}

fn batch_error(offset: Offset, reason: &dyn std::fmt::Display) -> ControlError {
    ControlError::Batch { offset, reason: reason.to_string() }
}

fn apply_batch(
    machine: &mut Controller,
    header: &BatchHeader,
    batch: &[u8],
    scratch: &mut Scratch,
) -> Result<(), ControlError> {
    let mut crc = Crc32c::new();
    crc.update(&batch[CRC_FROM..]);
    if crc.finish() != header.crc {
        return Err(batch_error(header.base_offset, &"its checksum is wrong"));
    }
    if header.attributes.is_control() {
        return Ok(());
    }
    let codec =
        header.attributes.codec().map_err(|error| batch_error(header.base_offset, &error))?;
    let packed = Pieces::one(&batch[HEADER_BYTES..]);
    let records = scratch
        .unpack(codec, packed, crate::limits::UNPACKED_BYTES_MAX)
        .map_err(|error| batch_error(header.base_offset, &error))?;
    let records: Vec<_> = walk::Records::new(records)
        .collect::<Result<_, _>>()
        .map_err(|error| batch_error(header.base_offset, &error))?;
    let values = records.iter().filter_map(|record| record.value);
    machine.apply_batch(values)?;
    Ok(())
}

/// Says whose settings have changed: an operator looks for this when something else has.
fn tell_altered(resources: &[(i8, String, Result<(), AlterError>)]) {
    for (code, name, _) in resources.iter().filter(|(.., result)| result.is_ok()) {
        let name = Quoted(name);
        match ResourceType::from_code(*code) {
            Some(ResourceType::Topic) => tracing::info!("settings of topic {name} were changed"),
            Some(ResourceType::Group) => tracing::info!("settings of group {name} were changed"),
            _ if name.0.is_empty() => tracing::info!("settings of all brokers were changed"),
            _ => tracing::info!("settings of broker {name} were changed"),
        }
    }
}

impl Shard {
    /// Has a command done: the outcome leaves when every shard has the change.
    pub async fn command(self: &Rc<Self>, command: Command) -> Outcome {
        match self.call(CONTROLLER_SHARD, Call::Command(command)).await {
            Reply::Command(outcome) => outcome,
            _ => unreachable!("a command has an outcome"),
        }
    }

    pub(super) async fn command_here(self: &Rc<Self>, command: Command) -> Outcome {
        let host = Rc::clone(self.controller.get().expect("commands go to the controller's shard"));
        // One at a time: a command must see what the one before has done.
        let _inside = host.gate.enter().await;
        let (records, outcome) = host.plan(self.core(), &command, &self.facts.config);
        match self.commit_everywhere(&host, &records).await {
            Ok(()) => {
                match &outcome {
                    // A new topic of the name must not begin where the old one ended.
                    Outcome::Deleted(_) if !records.is_empty() => {
                        self.save_checkpoints(&CHECKPOINTS).await;
                    }
                    Outcome::Altered(resources) if !records.is_empty() => tell_altered(resources),
                    _ => {}
                }
                outcome
            }
            Err(error) => {
                tracing::error!("a metadata change failed: {error}");
                Outcome::Failed(Arc::new(error))
            }
        }
    }

    async fn commit_everywhere(
        self: &Rc<Self>,
        host: &ControllerHost,
        records: &Records,
    ) -> Result<(), ControlError> {
        if records.is_empty() {
            return Ok(());
        }
        let delta = Arc::new(host.commit(self.core(), records).await?);
        let offset = host.offset();
        let shards = 0..self.core_count();
        sync::all(shards.map(|shard| {
            let delta = Arc::clone(&delta);
            self.call(shard, Call::Changes { delta, offset })
        }))
        .await;
        Ok(())
    }
}

impl ControllerHost {
    fn plan(&self, core: &Core, command: &Command, config: &BrokerConfig) -> (Records, Outcome) {
        let machine = self.machine.borrow();
        match command {
            Command::CreateTopics { frame, version } => with_body(frame, |body| {
                let request =
                    read::CreateTopicsRequest::parse(body, *version).expect("it was parsed before");
                let topics: Vec<NewTopic<'_>> =
                    request.topics.iter().map(|topic| NewTopic::from(&topic)).collect();
                created(
                    machine.on_create_topics(&topics, request.validate_only, &mut || core.random()),
                )
            }),
            Command::DeleteTopics { frame, version } => with_body(frame, |body| {
                let request =
                    read::DeleteTopicsRequest::parse(body, *version).expect("it was parsed before");
                let by_state = request
                    .topics
                    .iter()
                    .map(|topic| DeleteTarget { name: topic.name, id: topic.topic_id });
                let by_name = request
                    .topic_names
                    .iter()
                    .map(|name| DeleteTarget { name: Some(name), id: crate::model::Uuid::ZERO });
                let targets: Vec<_> = by_state.chain(by_name).collect();
                let Plan { records, outcome } = machine.on_delete_topics(&targets);
                (records, Outcome::Deleted(outcome))
            }),
            Command::CreatePartitions { frame, version } => {
                with_body(frame, |body| plans::create_partitions(&machine, body, *version))
            }
            Command::AlterConfigs { frame, version } => {
                with_body(frame, |body| plans::alter_configs(&machine, body, *version))
            }
            Command::IncrementalAlterConfigs { frame, version } => {
                with_body(frame, |body| plans::incremental_alter_configs(&machine, body, *version))
            }
            Command::AutoCreate { names } => {
                // Another client may have been faster.
                let missing = names.iter().map(String::as_str);
                let missing = missing.filter(|name| machine.image().topic(name).is_none());
                created(machine.on_auto_create(missing, &mut || core.random()))
            }
            Command::OffsetsTopic if machine.image().topic(OFFSETS_TOPIC).is_some() => {
                (Records::default(), Outcome::Created(Vec::new()))
            }
            Command::OffsetsTopic => {
                let (topic, brokers) = (&config.groups.topic, machine.image().brokers().len());
                let segment_bytes = topic.segment_bytes.to_string();
                let topic = NewTopic {
                    name: OFFSETS_TOPIC,
                    partitions: topic.partitions as i32,
                    // Groups must work on one node with nothing set.
                    replication_factor: usize::from(topic.replication_factor).min(brokers) as i16,
                    assignments: Vec::new(),
                    configs: vec![
                        ("cleanup.policy", Some("compact")),
                        ("compression.type", Some("producer")),
                        ("segment.bytes", Some(&segment_bytes)),
                    ],
                };
                created(machine.on_create_topics(&[topic], false, &mut || core.random()))
            }
            Command::ProducerIds => {
                let node = machine.node_id();
                let Plan { records, outcome } =
                    machine.on_allocate_producer_ids(node, self.broker_epoch.get());
                (records, Outcome::ProducerIds(outcome))
            }
        }
    }
}

fn created(plan: Plan<Vec<crate::controller::CreateOutcome<'_>>>) -> (Records, Outcome) {
    let outcomes = plan.outcome.into_iter();
    let owned = outcomes.map(|outcome| (outcome.name.to_string(), outcome.result)).collect();
    (plan.records, Outcome::Created(owned))
}

fn with_body<R>(frame: &Chain, with: impl FnOnce(Reader<'_>) -> R) -> R {
    let list = frame.piece_list();
    let arena = Bump::new();
    let mut reader = Reader::new(chain::pieces(&list), &arena);
    RequestHeader::parse(&mut reader).expect("it was parsed before");
    with(reader)
}

/// Why there is no producer id.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProducerIdError {
    #[error("{0}")]
    Allocate(#[from] AllocateError),
    #[error("{0}")]
    Failed(Arc<ControlError>),
}

impl Shard {
    /// An id that nobody had before: of this shard's block, or of a new one.
    pub async fn next_producer_id(self: &Rc<Self>) -> Result<ProducerId, ProducerIdError> {
        loop {
            if let Some(id) = self.producer_ids.borrow_mut().next() {
                return Ok(ProducerId(id));
            }
            match self.command(Command::ProducerIds).await {
                Outcome::ProducerIds(block) => {
                    let block = block?;
                    let mut ids = self.producer_ids.borrow_mut();
                    // Two may have asked at once; the block of the first is lost, which is legal.
                    *ids = block.first.0..block.first.0 + block.count;
                }
                Outcome::Failed(error) => return Err(ProducerIdError::Failed(error)),
                _ => unreachable!("a command has its own outcome"),
            }
        }
    }
}
