//! `topic add-partitions`.

use crate::cli::client_error::{ClientError, accepted};
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Block, Table};
use crate::protocol::ApiKey;
use crate::protocol::write::CreatePartitionsRequest;
use crate::protocol::write::create_partitions::CreatePartitionsTopic;
use serde::Serialize;

/// Add partitions to a topic
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(value_name = "TOPIC")]
    topic: String,

    /// How many more
    #[arg(value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    count: i32,

    /// Only check whether they could be added
    #[arg(long)]
    validate_only: bool,
}

const EXAMPLES: &str = "\
Partitions cannot be removed again, and the records of a key may go to another one from then on.

Examples:
  highwater topic add-partitions orders 3
  highwater topic add-partitions orders 3 --validate-only

Options of every command: highwater --help";

#[derive(Serialize)]
struct Grown {
    name: String,
    before: i32,
    after: i32,
    done: bool,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let mut cluster = common.connect()?;
    let validate_only = args.validate_only || common.is_dry_run();
    let before = i32::try_from(cluster.topic(&args.topic)?.partitions.len()).unwrap_or(i32::MAX);
    let after = before.checked_add(args.count).ok_or_else(|| {
        Failure::Usage(format!("{before} partitions and {} more are too many", args.count))
    })?;
    cluster.change("the new partitions", |cluster| {
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: args.topic.as_str().into(),
                count: after,
                assignments: None,
            }],
            timeout_ms: cluster.timeout_ms(),
            validate_only,
        };
        let answer = cluster.controller()?.call(&request, &[])?;
        let (api, about) = (ApiKey::CreatePartitions, args.topic.as_str());
        let missing = || ClientError::Missing { api, about: about.to_owned() };
        let found = answer.view().results.first().ok_or_else(missing)?;
        accepted(api, about, found.error_code, found.error_message)
    })?;
    let grown = Grown { name: args.topic.clone(), before, after, done: !validate_only };
    let mut table = Table::new(["topic", "before", "after", "state"]);
    let state = if validate_only { "could be added" } else { "added" };
    table.row([grown.name.as_str().into(), before.into(), after.into(), state.into()]);
    common.output().show("topic.add-partitions", &grown, &[Block::Table(table)])?;
    Ok(Exit::Done)
}
