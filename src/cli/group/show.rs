//! `group list`, `describe`, `lag` and `coordinator`.

use super::progress::{self, Progress};
use crate::cli::cluster::groups::GroupState;
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::grammar;
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{Block, Cell, Table};
use serde::Serialize;
use std::time::Duration;

/// List groups of all brokers
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  highwater group list
  highwater group list bill --state empty --output plain

Options of every command: highwater --help")]
pub struct ListArgs {
    /// Only groups whose names contain this
    #[arg(value_name = "PART")]
    part: Option<String>,

    /// Only groups in this state: stable, empty, preparingrebalance, completingrebalance, dead
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
}

/// Members of a group with their partitions, and where it is
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  highwater group describe billing
  highwater group describe billing --output json

Options of every command: highwater --help")]
pub struct DescribeArgs {
    #[arg(value_name = "GROUP")]
    group: String,
}

/// How far a group is behind, by partition
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  highwater group lag billing
  highwater group lag billing --watch=5s

Options of every command: highwater --help")]
pub struct LagArgs {
    #[arg(value_name = "GROUP")]
    group: String,

    /// Show it again and again, every two seconds or as said
    #[arg(long, value_name = "SPAN", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "2s", value_parser = grammar::span)]
    watch: Option<Duration>,
}

/// Which broker coordinates a group
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  highwater group coordinator billing

Options of every command: highwater --help")]
pub struct CoordinatorArgs {
    #[arg(value_name = "GROUP")]
    group: String,
}

#[derive(Serialize)]
struct ListRow {
    group: String,
    state: String,
    kind: String,
    protocol_type: String,
    coordinator: i32,
}

pub fn list(args: &ListArgs, common: &Common) -> Result<Exit, Failure> {
    let mut cluster = common.connect()?;
    let plain = |state: &str| state.to_ascii_lowercase().replace(['-', '_', ' '], "");
    let rows: Vec<ListRow> = cluster
        .all_groups()?
        .into_iter()
        .filter(|group| args.part.as_ref().is_none_or(|part| group.id.contains(part.as_str())))
        .filter(|group| args.state.as_ref().is_none_or(|state| plain(state) == plain(&group.state)))
        .map(|group| ListRow {
            group: group.id,
            state: group.state,
            kind: group.kind,
            protocol_type: group.protocol_type,
            coordinator: group.coordinator,
        })
        .collect();
    let mut table = Table::new(["group", "state", "kind", "protocol", "coordinator"]);
    for row in &rows {
        table.row([
            row.group.as_str().into(),
            row.state.as_str().into(),
            text(&row.kind),
            text(&row.protocol_type),
            row.coordinator.into(),
        ]);
    }
    common.output().show("group.list", &rows, &[Block::Table(table)])?;
    Ok(Exit::Done)
}

fn text(text: &str) -> Cell {
    if text.is_empty() { Cell::Missing } else { text.into() }
}

#[derive(Serialize)]
struct MemberRow {
    member: String,
    instance: Option<String>,
    client: String,
    host: String,
    topics: Vec<String>,
    partitions: Vec<String>,
}

#[derive(Serialize)]
struct Described {
    group: String,
    state: String,
    protocol_type: String,
    assignor: String,
    coordinator: i32,
    members: Vec<MemberRow>,
    partitions: Vec<Progress>,
    lag: i64,
}

pub fn describe(args: &DescribeArgs, common: &Common) -> Result<Exit, Failure> {
    let mut cluster = common.connect()?;
    let group = cluster.group(&args.group)?;
    let partitions = progress::of(&mut cluster, &group)?;
    let described = described(&group, partitions);
    let mut members = Table::new(["member", "instance", "client", "host", "partitions"]);
    for row in &described.members {
        members.row([
            row.member.as_str().into(),
            row.instance.clone().into(),
            row.client.as_str().into(),
            row.host.as_str().into(),
            Cell::list(&row.partitions),
        ]);
    }
    let facts = vec![
        ("Group", described.group.as_str().into()),
        ("State", described.state.as_str().into()),
        ("Protocol", text(&described.protocol_type)),
        ("Assignor", text(&described.assignor)),
        ("Coordinator", described.coordinator.into()),
        ("Members", described.members.len().into()),
        ("Lag", described.lag.into()),
    ];
    let mut blocks = vec![Block::Facts(facts), Block::Table(table(&described.partitions))];
    if !described.members.is_empty() {
        blocks.insert(1, Block::Table(members));
    }
    common.output().show("group.describe", &described, &blocks)?;
    Ok(Exit::Done)
}

fn described(group: &GroupState, partitions: Vec<Progress>) -> Described {
    let place = |(topic, partition): &(String, i32)| format!("{topic}-{partition}");
    let members = group.members.iter().map(|member| MemberRow {
        member: member.id.clone(),
        instance: member.instance_id.clone(),
        client: member.client_id.clone(),
        host: member.host.clone(),
        topics: member.topics.clone(),
        partitions: member.partitions.iter().map(place).collect(),
    });
    Described {
        group: group.id.clone(),
        state: group.state.clone(),
        protocol_type: group.protocol_type.clone(),
        assignor: group.protocol.clone(),
        coordinator: group.coordinator,
        members: members.collect(),
        lag: total(&partitions),
        partitions,
    }
}

fn total(partitions: &[Progress]) -> i64 {
    partitions.iter().filter_map(|one| one.lag).sum()
}

fn table(partitions: &[Progress]) -> Table {
    let mut table =
        Table::new(["topic", "partition", "committed", "start", "end", "lag", "member"]);
    for one in partitions {
        table.row([
            one.topic.as_str().into(),
            one.partition.into(),
            one.committed.into(),
            one.start.into(),
            one.end.into(),
            one.lag.into(),
            one.member.clone().into(),
        ]);
    }
    table
}

#[derive(Serialize)]
struct Lag {
    group: String,
    state: String,
    lag: i64,
    partitions: Vec<Progress>,
}

pub fn lag(args: &LagArgs, common: &Common) -> Result<Exit, Failure> {
    let interrupt = args.watch.map(|_| Interrupt::listen()).transpose()?;
    let mut cluster = common.connect()?;
    loop {
        let group = cluster.group(&args.group)?;
        let partitions = progress::of(&mut cluster, &group)?;
        let lag = total(&partitions);
        let facts = vec![
            ("Group", group.id.as_str().into()),
            ("State", group.state.as_str().into()),
            ("Lag", lag.into()),
        ];
        let blocks = [Block::Facts(facts), Block::Table(table(&partitions))];
        let data = Lag { group: group.id, state: group.state, lag, partitions };
        common.output().show("group.lag", &data, &blocks)?;
        let (Some(span), Some(interrupt)) = (args.watch, &interrupt) else {
            return Ok(Exit::Done);
        };
        if interrupt.wait(span) {
            return Ok(Exit::Interrupted);
        }
        if !common.output().is_json() {
            crate::cli::output::print("\n")?;
        }
    }
}

#[derive(Serialize)]
struct Coordinator {
    group: String,
    broker: i32,
    address: Option<String>,
}

pub fn coordinator(args: &CoordinatorArgs, common: &Common) -> Result<Exit, Failure> {
    let mut cluster = common.connect()?;
    let broker = cluster.read("the coordinator", |cluster| cluster.coordinator(&args.group))?;
    let address =
        cluster.nodes().find(|node| node.id == broker).map(|node| node.address.to_string());
    let facts = vec![
        ("Group", args.group.as_str().into()),
        ("Broker", broker.into()),
        ("Address", address.clone().into()),
    ];
    let data = Coordinator { group: args.group.clone(), broker, address };
    common.output().show("group.coordinator", &data, &[Block::Facts(facts)])?;
    Ok(Exit::Done)
}
