//! `topic describe`.

use super::acknowledgement;
use crate::cli::client::{EARLIEST, LATEST};
use crate::cli::cluster::configs::{ConfigEntry, DEFAULT, Scope};
use crate::cli::cluster::offsets::{Offsets, ReplicaFiles};
use crate::cli::cluster::{Cluster, TopicState};
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Block, Cell, Format, Table};
use serde::Serialize;

/// Show partitions, offsets, sizes, settings, and what an acknowledgement means
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(value_name = "TOPIC", required = true)]
    topics: Vec<String>,
}

const EXAMPLES: &str = "\
AR are the assigned replicas, ISR those in sync, OSR those out of sync.

Examples:
  highwater topic describe orders
  highwater topic describe orders --output json
  highwater topic describe orders payments --output tsv      # the partitions, for a script

Options of every command: highwater --help";

#[derive(Serialize)]
struct Description {
    name: String,
    id: Option<String>,
    internal: bool,
    replication_factor: usize,
    /// Between the start and the high watermark; a compacted log has fewer.
    records: i64,
    /// Of the leaders' files.
    size_bytes: u64,
    /// Of all replicas' files.
    size_bytes_of_replicas: u64,
    acknowledgement: String,
    partitions: Vec<Partition>,
    /// Those that differ from the defaults.
    settings: Vec<ConfigEntry>,
}

#[derive(Serialize)]
struct Partition {
    topic: String,
    partition: i32,
    leader: Option<i32>,
    leader_epoch: Option<i32>,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
    out_of_sync: Vec<i32>,
    offline: Vec<i32>,
    start_offset: Option<i64>,
    high_watermark: Option<i64>,
    size_bytes: Option<u64>,
    log_dir: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let mut cluster = common.connect()?;
    let topics = cluster.topics(&args.topics)?;
    let starts = cluster.offsets(&topics, EARLIEST)?;
    let ends = cluster.offsets(&topics, LATEST)?;
    let files = cluster.replica_files(&topics)?;
    let mut found = Vec::new();
    for topic in &topics {
        let offset = |offsets: &Offsets, partition: i32| {
            offsets.get(&(topic.name.clone(), partition)).map(|found| found.offset.0)
        };
        let partitions = topic
            .partitions
            .iter()
            .map(|partition| Partition {
                topic: topic.name.clone(),
                partition: partition.index,
                leader: partition.leader,
                leader_epoch: partition.leader_epoch,
                replicas: partition.replicas.clone(),
                in_sync: partition.in_sync.clone(),
                out_of_sync: partition.out_of_sync(),
                offline: partition.offline.clone(),
                start_offset: offset(&starts, partition.index),
                high_watermark: offset(&ends, partition.index),
                size_bytes: of_leader(&files, topic, partition.index).map(|file| file.size_bytes),
                log_dir: of_leader(&files, topic, partition.index).map(|file| file.log_dir.clone()),
            })
            .collect();
        found.push(describe(&mut cluster, topic, partitions, &files)?);
    }
    let blocks: Vec<_> = match common.output().format {
        Format::Tsv | Format::Plain => {
            vec![partition_table(found.iter().flat_map(|topic| &topic.partitions), true)]
        }
        _ => found.iter().flat_map(blocks).collect(),
    };
    common.output().show("topic.describe", &found, &blocks)?;
    Ok(Exit::Done)
}

fn describe(
    cluster: &mut Cluster,
    topic: &TopicState,
    partitions: Vec<Partition>,
    files: &[ReplicaFiles],
) -> Result<Description, Failure> {
    let settings = cluster.configs(&Scope::Topic(topic.name.clone()))?;
    let replication_factor = topic.replication_factor();
    let acknowledgement = acknowledgement::in_words(&settings, replication_factor);
    let count = |p: &Partition| Some(p.high_watermark?.saturating_sub(p.start_offset?));
    let own = files.iter().filter(|file| file.topic == topic.name);
    Ok(Description {
        name: topic.name.clone(),
        id: topic.id.map(|id| id.to_string()),
        internal: topic.is_internal,
        replication_factor,
        records: partitions.iter().filter_map(count).sum(),
        size_bytes: partitions.iter().filter_map(|partition| partition.size_bytes).sum(),
        size_bytes_of_replicas: own.map(|file| file.size_bytes).sum(),
        acknowledgement,
        partitions,
        settings: settings.into_iter().filter(|entry| entry.source != DEFAULT).collect(),
    })
}

fn of_leader<'a>(
    files: &'a [ReplicaFiles],
    topic: &TopicState,
    partition: i32,
) -> Option<&'a ReplicaFiles> {
    let leader = topic.partitions.iter().find(|p| p.index == partition)?.leader?;
    files.iter().find(|file| {
        (file.broker, file.partition, file.is_future) == (leader, partition, false)
            && file.topic == topic.name
    })
}

fn blocks(topic: &Description) -> Vec<Block> {
    let mut blocks = vec![
        Block::Facts(vec![
            ("Topic", topic.name.as_str().into()),
            ("Id", topic.id.clone().into()),
            ("Partitions", topic.partitions.len().into()),
            ("Replicas", topic.replication_factor.into()),
            ("Records", topic.records.into()),
            ("Size", Cell::Bytes(topic.size_bytes)),
            ("Acknowledged", topic.acknowledgement.as_str().into()),
        ]),
        partition_table(&topic.partitions, false),
    ];
    if topic.settings.is_empty() {
        blocks.push(Block::Words("All settings are the defaults.".into()));
    } else {
        let mut table = Table::new(["setting", "value", "source", "default"]);
        for entry in &topic.settings {
            table.row([
                entry.name.as_str().into(),
                entry.value.clone().into(),
                entry.source.into(),
                entry.default.clone().into(),
            ]);
        }
        blocks.push(Block::Table(table));
    }
    blocks
}

fn partition_table<'a>(
    partitions: impl IntoIterator<Item = &'a Partition>,
    with_topic: bool,
) -> Block {
    let columns = [
        "topic",
        "partition",
        "leader",
        "epoch",
        "ar",
        "isr",
        "osr",
        "start",
        "high watermark",
        "size",
    ];
    let skip = usize::from(!with_topic);
    let mut table = Table::new(&columns[skip..]);
    for partition in partitions {
        let cells = [
            partition.topic.as_str().into(),
            partition.partition.into(),
            partition.leader.into(),
            partition.leader_epoch.into(),
            Cell::list(&partition.replicas),
            Cell::list(&partition.in_sync),
            Cell::list(&partition.out_of_sync),
            partition.start_offset.into(),
            partition.high_watermark.into(),
            partition.size_bytes.map_or(Cell::Missing, Cell::Bytes),
        ];
        table.row(&cells[skip..]);
    }
    Block::Table(table)
}
