//! `topic trim`: records before an offset or a time, deleted.

use crate::cli::client::{EARLIEST, LATEST};
use crate::cli::client_error::{ClientError, accepted};
use crate::cli::cluster::offsets::{Offsets, Place, leaders};
use crate::cli::cluster::{Cluster, TopicState};
use crate::cli::common::{Common, Consent};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::grammar::{self, GrammarError};
use crate::cli::output::{Block, Cell, Table};
use crate::cli::part::PartError;
use crate::model::Timestamp;
use crate::protocol::ApiKey;
use crate::protocol::write::DeleteRecordsRequest;
use crate::protocol::write::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use crate::runtime::clock;
use serde::Serialize;
use std::fmt::Write as _;

/// Delete the records before an offset or a time
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(value_name = "TOPIC")]
    topic: String,

    /// The first offset or moment that stays; `end` leaves nothing
    #[arg(long, value_name = "OFFSET|@TIME|end", value_parser = before, allow_hyphen_values = true)]
    before: Before,

    /// Only these partitions
    #[arg(short, long, value_name = "0,3", value_delimiter = ',')]
    partitions: Vec<i32>,
}

const EXAMPLES: &str = "\
The log's start moves up; whole segments before it leave the disk. What goes is shown first, and you
are asked; a script gives --yes.

Examples:
  highwater topic trim orders --before @-7d
  highwater topic trim orders --before @2026-11-01T10:00 --dry-run
  highwater topic trim orders --before 1200 -p 0 --yes

Options of every command: highwater --help";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Offset(i64),
    Moment(Timestamp),
    End,
}

#[derive(Serialize)]
struct Trimmed {
    topic: String,
    partition: i32,
    start_offset_before: i64,
    start_offset: i64,
    high_watermark: i64,
    /// Between the two starts; a compacted log has fewer.
    records: i64,
    trimmed: bool,
    error: Option<PartError>,
    #[serde(skip)]
    exit: Exit,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let mut cluster = common.connect()?;
    let mut topic = cluster.topic(&args.topic)?;
    choose(&mut topic, &args.partitions)?;
    let topics = [topic];
    let mut parts = plan(&mut cluster, &topics, args.before)?;
    if parts.iter().any(|part| part.records > 0) {
        let question = format!("Delete these records of {}?", args.topic);
        if common.agree(&words(&parts), &question)? == Consent::Given {
            trim(&mut cluster, &topics, &mut parts)?;
        }
    } else {
        common.output().note("nothing lies before: nothing was done");
    }
    let output = common.output();
    let mut table =
        Table::new(["partition", "start before", "start", "high watermark", "records", "state"]);
    for part in &parts {
        let state = match &part.error {
            Some(error) => {
                output.error(&format!("{}-{}: {}", part.topic, part.partition, error.message));
                error.code
            }
            None if part.records == 0 => "unchanged",
            None if part.trimmed => "deleted",
            None => "would be deleted",
        };
        table.row([
            part.partition.into(),
            part.start_offset_before.into(),
            part.start_offset.into(),
            part.high_watermark.into(),
            Cell::from(part.records),
            state.into(),
        ]);
    }
    output.show("topic.trim", &parts, &[Block::Table(table)])?;
    Ok(Exit::of_parts(parts.iter().map(|part| part.exit)))
}

/// Leaves the partitions that were named.
fn choose(topic: &mut TopicState, partitions: &[i32]) -> Result<(), Failure> {
    if partitions.is_empty() {
        return Ok(());
    }
    for wanted in partitions {
        if !topic.partitions.iter().any(|partition| partition.index == *wanted) {
            let name =
                format!("{} of {}, which has {}", wanted, topic.name, topic.partitions.len());
            return Err(Failure::Unknown { what: "partition", name, meant: None });
        }
    }
    topic.partitions.retain(|partition| partitions.contains(&partition.index));
    Ok(())
}

/// Where each partition would begin.
fn plan(
    cluster: &mut Cluster,
    topics: &[TopicState],
    before: Before,
) -> Result<Vec<Trimmed>, Failure> {
    let starts = cluster.offsets(topics, EARLIEST)?;
    let ends = cluster.offsets(topics, LATEST)?;
    let at = match before {
        Before::Moment(at) => Some(cluster.offsets(topics, at)?),
        Before::Offset(_) | Before::End => None,
    };
    let mut parts = Vec::new();
    for topic in topics {
        for partition in &topic.partitions {
            let place = (topic.name.clone(), partition.index);
            let of = |offsets: &Offsets| offsets.get(&place).map(|found| found.offset.0);
            let (Some(start), Some(end)) = (of(&starts), of(&ends)) else {
                let (topic, index) = &place;
                return Err(Failure::Conflict(format!("{topic}-{index} has no leader right now")));
            };
            let target = match before {
                Before::Offset(offset) if offset > end => {
                    return Err(Failure::Usage(format!(
                        "--before {offset}: {}-{} ends at {end}; name partitions with -p, or write end",
                        place.0, place.1
                    )));
                }
                Before::Offset(offset) => offset,
                // Nothing is as young as that: all of it is older.
                Before::Moment(_) => {
                    at.as_ref().and_then(of).filter(|offset| *offset >= 0).unwrap_or(end)
                }
                Before::End => end,
            };
            let target = target.max(start);
            parts.push(Trimmed {
                topic: place.0,
                partition: place.1,
                start_offset_before: start,
                start_offset: target,
                high_watermark: end,
                records: target - start,
                trimmed: false,
                error: None,
                exit: Exit::Done,
            });
        }
    }
    Ok(parts)
}

fn words(parts: &[Trimmed]) -> String {
    let all: i64 = parts.iter().map(|part| part.records).sum();
    let mut text = format!("This deletes {all} records, for good:");
    for part in parts.iter().filter(|part| part.records > 0) {
        let _ = write!(
            text,
            "\n  {}-{}: {} records, the log starts at {} instead of {}",
            part.topic, part.partition, part.records, part.start_offset, part.start_offset_before
        );
    }
    text
}

/// Asks each leader for its partitions.
fn trim(
    cluster: &mut Cluster,
    topics: &[TopicState],
    parts: &mut [Trimmed],
) -> Result<(), Failure> {
    for (leader, places) in leaders(topics) {
        cluster.change("the deletion", |cluster| send(cluster, leader, &places, parts))?;
    }
    Ok(())
}

fn send(
    cluster: &mut Cluster,
    leader: i32,
    places: &[Place],
    parts: &mut [Trimmed],
) -> Result<(), ClientError> {
    let of_part = |part: &Trimmed| DeleteRecordsPartition {
        partition_index: part.partition,
        offset: part.start_offset,
    };
    let is_of = |part: &Trimmed| {
        part.records > 0 && !part.trimmed && places.contains(&(part.topic.clone(), part.partition))
    };
    let wanted: Vec<_> = parts.iter().filter(|part| is_of(part)).map(of_part).collect();
    let Some(first) = parts.iter().find(|part| is_of(part)) else { return Ok(()) };
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic { name: first.topic.clone().into(), partitions: wanted }],
        timeout_ms: cluster.timeout_ms(),
    };
    let answer = cluster.node(leader)?.call(&request, &[])?;
    for topic in answer.view().topics {
        for found in topic.partitions {
            let about = format!("{}-{}", topic.name, found.partition_index);
            let part = parts
                .iter_mut()
                .find(|part| part.topic == topic.name && part.partition == found.partition_index);
            let Some(part) = part else { continue };
            match accepted(ApiKey::DeleteRecords, &about, found.error_code, None) {
                Ok(()) => (part.trimmed, part.start_offset) = (true, found.low_watermark),
                Err(error) => {
                    part.exit = Exit::of_client(&error);
                    part.error = Some(PartError::of(&error));
                }
            }
        }
    }
    Ok(())
}

fn before(text: &str) -> Result<Before, GrammarError> {
    match text {
        "end" => Ok(Before::End),
        _ if text.starts_with('@') => {
            let at = grammar::moment(text, clock::wall())?;
            // Below 0 are Kafka's names of places in a log.
            if at.0 < 0 {
                Err(GrammarError::Moment(text.to_owned()))
            } else {
                Ok(Before::Moment(at))
            }
        }
        _ => {
            let offset = text.parse().ok().filter(|offset| *offset >= 0);
            offset.map(Before::Offset).ok_or_else(|| GrammarError::Place(text.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_an_offset_a_moment_or_the_end() {
        assert_eq!(before("12"), Ok(Before::Offset(12)));
        assert_eq!(before("end"), Ok(Before::End));
        assert_eq!(before("@1000"), Ok(Before::Moment(Timestamp(1000))));
        for text in ["-1", "", "start", "@-9999w", "12x"] {
            assert!(before(text).is_err(), "{text}");
        }
    }
}
