//! `group seek`: what a group would commit at another place, shown as a plan, and committed.

use super::change::refuse_members;
use super::progress::existing;
use crate::cli::client::{EARLIEST, LATEST};
use crate::cli::cluster::offsets::Place;
use crate::cli::cluster::{Cluster, TopicState};
use crate::cli::common::{Common, Consent};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::grammar;
use crate::cli::output::{Block, Table};
use crate::model::{Offset, Timestamp};
use crate::runtime::clock;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Move a group that nobody is in to other offsets
///
/// The plan is shown first and nothing is changed without consent (--yes). An offset outside of a
/// log becomes its nearest end.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  highwater group seek billing --to start --dry-run
  highwater group seek billing --to @-2h --topic orders --yes
  highwater group seek billing --to -100 --topic orders:3 --yes

Options of every command: highwater --help")]
pub struct Args {
    #[arg(value_name = "GROUP")]
    group: String,

    /// start, end, @TIME, an offset, or +N and -N records from what is committed
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    to: String,

    /// Only this topic or partition; may be given more than once; else all that the group committed
    #[arg(long = "topic", value_name = "TOPIC[:PARTITION]")]
    topics: Vec<String>,
}

/// A place in a log, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Start,
    End,
    Time(Timestamp),
    Offset(i64),
    By(i64),
}

#[derive(Serialize)]
struct Move {
    topic: String,
    partition: i32,
    from: Option<i64>,
    to: i64,
    /// Why `to` is not just what was asked for.
    note: Option<&'static str>,
    error: Option<String>,
}

pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let target = Target::parse(&args.to)?;
    let mut cluster = common.connect()?;
    if let Some(group) = existing_group(&mut cluster, args)? {
        refuse_members(&group, "moving it")?;
    }
    let committed: BTreeMap<Place, i64> = cluster
        .committed(&args.group)?
        .into_iter()
        .map(|(place, committed)| (place, committed.offset.0))
        .collect();
    let topics = wanted(&mut cluster, args, &committed)?;
    let mut moves = plan(&mut cluster, target, &topics, &committed)?;
    let mut table = Table::new(["topic", "partition", "from", "to", "by", "note"]);
    for one in &moves {
        table.row([
            one.topic.as_str().into(),
            one.partition.into(),
            one.from.into(),
            one.to.into(),
            one.from.map(|from| one.to - from).into(),
            one.note.map(str::to_owned).into(),
        ]);
    }
    let output = common.output();
    let count = moves.iter().filter(|one| one.from != Some(one.to)).count();
    let told = format!("group {} is moved in {count} partitions", args.group);
    if common.is_dry_run() {
        output.show("group.seek", &moves, &[Block::Table(table)])?;
        common.agree(&told, "")?;
        return Ok(Exit::Done);
    }
    let question = format!("Move group {}?", args.group);
    let plan_text = format!("{told}:\n{}", lines(&moves));
    if common.agree(&plan_text, &question)? == Consent::PlanOnly {
        return Ok(Exit::Done);
    }
    let offsets: BTreeMap<Place, Offset> =
        moves.iter().map(|m| ((m.topic.clone(), m.partition), Offset(m.to))).collect();
    let results =
        cluster.change(&args.group, |cluster| cluster.commit(&args.group, ("", -1), &offsets))?;
    for (place, refused) in &results {
        let own = moves.iter_mut().find(|one| (&one.topic, one.partition) == (&place.0, place.1));
        if let (Some(own), Some(code)) = (own, refused) {
            own.error = Some(format!("{code}: {}", code.message()));
        }
    }
    output.show("group.seek", &moves, &[Block::Table(table)])?;
    Ok(Exit::of_parts(results.iter().map(|(_, refused)| refused.map_or(Exit::Done, Exit::of_code))))
}

fn lines(moves: &[Move]) -> String {
    let line = |one: &Move| {
        let from = one.from.map_or("nothing".to_owned(), |from| from.to_string());
        format!("  {}-{}: {from} -> {}", one.topic, one.partition, one.to)
    };
    moves.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The group, if there is one. A group that does not exist yet may be given a place to begin at.
fn existing_group(
    cluster: &mut Cluster,
    args: &Args,
) -> Result<Option<crate::cli::cluster::groups::GroupState>, Failure> {
    match cluster.group(&args.group) {
        Ok(group) => Ok(Some(group)),
        Err(Failure::Unknown { .. }) if !args.topics.is_empty() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Partitions that are to be moved.
fn wanted(
    cluster: &mut Cluster,
    args: &Args,
    committed: &BTreeMap<Place, i64>,
) -> Result<Vec<TopicState>, Failure> {
    if args.topics.is_empty() {
        let names: BTreeSet<&str> = committed.keys().map(|(topic, _)| topic.as_str()).collect();
        let mut topics = existing(cluster, &names)?;
        for topic in &mut topics {
            let name = topic.name.clone();
            topic.partitions.retain(|p| committed.contains_key(&(name.clone(), p.index)));
        }
        return Ok(topics);
    }
    let mut topics: Vec<TopicState> = Vec::new();
    for word in &args.topics {
        let (name, partition) = match word.rsplit_once(':') {
            None => (word.as_str(), None),
            Some((name, index)) => {
                let index = index.parse::<i32>().map_err(|_| {
                    Failure::Usage(format!("--topic {word}: write TOPIC or TOPIC:PARTITION"))
                })?;
                (name, Some(index))
            }
        };
        let mut topic = cluster.topic(name)?;
        if let Some(index) = partition {
            topic.partitions.retain(|partition| partition.index == index);
            if topic.partitions.is_empty() {
                let place = format!("{name}-{index}");
                return Err(Failure::Unknown { what: "partition", name: place, meant: None });
            }
        }
        match topics.iter_mut().find(|other| other.name == topic.name) {
            Some(other) => other.partitions.extend(topic.partitions),
            None => topics.push(topic),
        }
    }
    Ok(topics)
}

/// Where each partition goes.
fn plan(
    cluster: &mut Cluster,
    target: Target,
    topics: &[TopicState],
    committed: &BTreeMap<Place, i64>,
) -> Result<Vec<Move>, Failure> {
    let starts = cluster.offsets(topics, EARLIEST)?;
    let ends = cluster.offsets(topics, LATEST)?;
    let times = match target {
        Target::Time(at) => cluster.offsets(topics, at)?,
        _ => BTreeMap::new(),
    };
    let mut moves = Vec::new();
    for (place, end) in ends {
        let (end, start) = (end.offset.0, starts.get(&place).map_or(0, |found| found.offset.0));
        let from = committed.get(&place).copied();
        let (asked, mut note) = match target {
            Target::Start => (start, None),
            Target::End => (end, None),
            Target::Offset(offset) => (offset, None),
            // No record is that new: -1.
            Target::Time(_) => match times.get(&place).map_or(-1, |found| found.offset.0) {
                -1 => (end, Some("no record is as new: its end")),
                offset => (offset, None),
            },
            Target::By(count) => match from {
                Some(from) => (from.saturating_add(count), None),
                None => {
                    (start.saturating_add(count.max(0)), Some("nothing committed: from its start"))
                }
            },
        };
        let to = asked.clamp(start, end);
        if to != asked {
            note = Some(if to == start { "before its start" } else { "beyond its end" });
        }
        moves.push(Move { topic: place.0, partition: place.1, from, to, note, error: None });
    }
    if moves.is_empty() {
        return Err(Failure::Usage(
            "there is nothing to move: the group committed nothing, or its topics are gone; \
             --topic names where it is to begin"
                .to_owned(),
        ));
    }
    Ok(moves)
}

impl Target {
    fn parse(text: &str) -> Result<Self, Failure> {
        let bad = || {
            Failure::Usage(format!(
                "--to {text}: write start, end, @TIME, an offset, or +N or -N records"
            ))
        };
        match text {
            "start" | "earliest" | "beginning" => return Ok(Self::Start),
            "end" | "latest" => return Ok(Self::End),
            _ => {}
        }
        if text.starts_with('@') {
            return Ok(Self::Time(grammar::moment(text, clock::wall())?));
        }
        let number: i64 = text.parse().map_err(|_| bad())?;
        Ok(if text.starts_with(['+', '-']) { Self::By(number) } else { Self::Offset(number) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_from_distances() {
        assert_eq!(Target::parse("5").unwrap(), Target::Offset(5));
        assert_eq!(Target::parse("+5").unwrap(), Target::By(5));
        assert_eq!(Target::parse("-5").unwrap(), Target::By(-5));
        assert_eq!(Target::parse("start").unwrap(), Target::Start);
        assert_eq!(Target::parse("@7").unwrap(), Target::Time(Timestamp(7)));
        for bad in ["", "x", "5x", "@x", "+"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }
}
