//! `group delete` and `delete-offsets`.

use crate::cli::cluster::groups::GroupState;
use crate::cli::common::{Common, Consent};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Block, Cell, Table};
use crate::model::ErrorCode;
use serde::Serialize;

/// Delete groups with all that they committed
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  highwater group delete billing --dry-run
  highwater group delete billing reports --yes

Options of every command: highwater --help")]
pub struct DeleteArgs {
    #[arg(value_name = "GROUP", required = true)]
    groups: Vec<String>,
}

/// Forget what a group committed for a topic
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  highwater group delete-offsets billing old-orders --yes
  highwater group delete-offsets billing orders -p 0,3 --dry-run

Options of every command: highwater --help")]
pub struct DeleteOffsetsArgs {
    #[arg(value_name = "GROUP")]
    group: String,

    #[arg(value_name = "TOPIC")]
    topic: String,

    /// Only these partitions
    #[arg(short, long, value_delimiter = ',', value_name = "N")]
    partitions: Vec<i32>,
}

#[derive(Serialize)]
struct Deleted {
    group: String,
    offsets: usize,
    error: Option<String>,
}

/// That a group with members is not touched, and what would be needed.
pub fn refuse_members(group: &GroupState, what: &str) -> Result<(), Failure> {
    if group.is_empty() {
        return Ok(());
    }
    let (id, state, count) = (&group.id, &group.state, group.members.len());
    let who: Vec<_> =
        group.members.iter().map(|m| format!("{} at {}", m.client_id, m.host)).collect();
    Err(Failure::Conflict(format!(
        "group {id} is {state} with {count} members ({}): {what} while they run would be undone by \
         their next commit. Stop them first",
        who.join(", ")
    )))
}

pub fn delete(args: &DeleteArgs, common: &Common) -> Result<Exit, Failure> {
    let mut cluster = common.connect()?;
    let mut plan = Vec::new();
    for name in &args.groups {
        let group = cluster.group(name)?;
        refuse_members(&group, "deleting it")?;
        plan.push((name.clone(), cluster.committed(name)?.len()));
    }
    let lines: Vec<_> = plan
        .iter()
        .map(|(name, count)| format!("  group {name} with its offsets of {count} partitions"))
        .collect();
    let told = format!("to be deleted:\n{}", lines.join("\n"));
    if common.agree(&told, "Delete them?")? == Consent::PlanOnly {
        return Ok(Exit::Done);
    }
    let (mut rows, mut exits) = (Vec::new(), Vec::new());
    for (group, offsets) in plan {
        let done = cluster.change(&group, |cluster| cluster.delete_group(&group));
        exits.push(done.as_ref().map_or_else(Failure::exit, |()| Exit::Done));
        rows.push(Deleted { group, offsets, error: done.err().map(|error| error.to_string()) });
    }
    let mut table = Table::new(["group", "offsets", "result"]);
    for row in &rows {
        let result = row.error.as_deref().unwrap_or("deleted");
        table.row([row.group.as_str().into(), row.offsets.into(), result.into()]);
    }
    common.output().show("group.delete", &rows, &[Block::Table(table)])?;
    Ok(Exit::of_parts(exits))
}

#[derive(Serialize)]
struct Forgotten {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    error: Option<String>,
}

pub fn delete_offsets(args: &DeleteOffsetsArgs, common: &Common) -> Result<Exit, Failure> {
    let mut cluster = common.connect()?;
    let group = cluster.group(&args.group)?;
    let committed = cluster.committed(&args.group)?;
    let is_wanted =
        |partition: i32| args.partitions.is_empty() || args.partitions.contains(&partition);
    let partitions: Vec<i32> = committed
        .keys()
        .filter(|(topic, partition)| *topic == args.topic && is_wanted(*partition))
        .map(|(_, partition)| *partition)
        .collect();
    if partitions.is_empty() {
        let topics: Vec<_> = committed.keys().map(|(topic, _)| topic.as_str()).collect();
        return Err(Failure::unknown("committed offset for topic", &args.topic, topics));
    }
    let (name, topic) = (&args.group, &args.topic);
    let told = format!(
        "to be forgotten: what group {name} committed for {topic}, partitions {partitions:?}"
    );
    if common.agree(&told, "Forget them?")? == Consent::PlanOnly {
        return Ok(Exit::Done);
    }
    let results =
        cluster.change(name, |cluster| cluster.delete_offsets(name, topic, &partitions))?;
    let mut table = Table::new(["topic", "partition", "committed", "result"]);
    let mut rows = Vec::new();
    for (place, refused) in &results {
        let offset = committed.get(place).map(|committed| committed.offset.0);
        let result = refused.map(explain);
        let shown: Cell = result.clone().unwrap_or_else(|| "forgotten".to_owned()).into();
        table.row([place.0.as_str().into(), place.1.into(), offset.into(), shown]);
        rows.push(Forgotten {
            topic: place.0.clone(),
            partition: place.1,
            committed: offset,
            error: result,
        });
    }
    common.output().show("group.delete-offsets", &rows, &[Block::Table(table)])?;
    let _ = group;
    Ok(Exit::of_parts(results.iter().map(|(_, refused)| refused.map_or(Exit::Done, Exit::of_code))))
}

fn explain(code: ErrorCode) -> String {
    match code {
        ErrorCode::GroupSubscribedToTopic => {
            format!("{code}: a member reads this topic; stop it first")
        }
        code => format!("{code}: {}", code.message()),
    }
}
