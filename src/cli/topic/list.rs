//! `topic list`.

use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Block, Table};
use serde::Serialize;

/// List topics with their partitions and replicas
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only topics whose names contain this
    #[arg(value_name = "PART")]
    part: Option<String>,

    /// Also those that the cluster keeps for itself
    #[arg(short, long)]
    internal: bool,
}

const EXAMPLES: &str = "\
Examples:
  highwater topic list
  highwater topic list order --output plain      # names alone, for a shell loop
  highwater topic list --internal --output json

Options of every command: highwater --help";

#[derive(Serialize)]
struct Row {
    name: String,
    id: Option<String>,
    partitions: usize,
    replication_factor: usize,
    under_replicated: usize,
    without_leader: usize,
    internal: bool,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let mut cluster = common.connect()?;
    let is_wanted = |name: &str| args.part.as_ref().is_none_or(|part| name.contains(part.as_str()));
    let rows: Vec<Row> = cluster
        .all_topics()?
        .into_iter()
        .filter(|topic| (args.internal || !topic.is_internal) && is_wanted(&topic.name))
        .map(|topic| Row {
            id: topic.id.map(|id| id.to_string()),
            partitions: topic.partitions.len(),
            replication_factor: topic.replication_factor(),
            under_replicated: topic.under_replicated_count(),
            without_leader: topic.partitions.iter().filter(|p| p.leader.is_none()).count(),
            internal: topic.is_internal,
            name: topic.name,
        })
        .collect();
    let mut table = Table::new(["topic", "partitions", "replicas", "lagging", "leaderless"]);
    for row in &rows {
        table.row([
            row.name.as_str().into(),
            row.partitions.into(),
            row.replication_factor.into(),
            row.under_replicated.into(),
            row.without_leader.into(),
        ]);
    }
    common.output().show("topic.list", &rows, &[Block::Table(table)])?;
    Ok(Exit::Done)
}
