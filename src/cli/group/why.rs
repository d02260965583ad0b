//! `group why`: in words, why a group does not progress. From what any Kafka tells: its state, its
//! members, their partitions, what it committed, and where the logs begin and end.

use super::progress::{self, Progress};
use crate::cli::cluster::groups::GroupState;
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::grammar;
use crate::cli::output::{Block, Cell, Table};
use crate::runtime::clock;
use serde::Serialize;
use std::fmt::Write as _;
use std::time::Duration;

/// Say in words why a group does not progress
///
/// Looks twice, a moment apart, to tell a group that is behind from one that stands still.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  highwater group why billing
  highwater group why billing --over 10s

Options of every command: highwater --help")]
pub struct Args {
    #[arg(value_name = "GROUP")]
    group: String,

    /// Time between the two looks
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = grammar::span)]
    over: Duration,
}

/// One thing that was found, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Reason {
    /// `ok`, `note` or `problem`.
    level: &'static str,
    what: String,
    advice: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    group: String,
    state: String,
    members: usize,
    lag: i64,
    progresses: bool,
    reasons: Vec<Reason>,
    partitions: Vec<Progress>,
}

pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let mut cluster = common.connect()?;
    let before = cluster.group(&args.group)?;
    let first = progress::of(&mut cluster, &before)?;
    let is_over = first.iter().all(|one| one.lag == Some(0)) && before.state == "Stable";
    if !is_over && !before.is_empty() {
        let until = clock::monotonic() + args.over;
        while clock::monotonic() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let group = cluster.group(&args.group)?;
    let second = progress::of(&mut cluster, &group)?;
    let reasons = reasons(&group, &first, &second);
    let answer = Answer {
        group: group.id.clone(),
        state: group.state.clone(),
        members: group.members.len(),
        lag: second.iter().filter_map(|one| one.lag).sum(),
        progresses: moved(&first, &second) > 0,
        reasons,
        partitions: second,
    };
    let mut words = String::new();
    for reason in &answer.reasons {
        let mark = match reason.level {
            "problem" => "!",
            "note" => "-",
            _ => "=",
        };
        let _ = writeln!(words, "{mark} {}", reason.what);
        if let Some(advice) = &reason.advice {
            let _ = writeln!(words, "    {advice}");
        }
    }
    let mut table = Table::new(["topic", "partition", "committed", "end", "lag", "member"]);
    for one in answer.partitions.iter().filter(|one| one.lag != Some(0)) {
        table.row([
            one.topic.as_str().into(),
            one.partition.into(),
            one.committed.into(),
            one.end.into(),
            one.lag.into(),
            one.member.clone().map_or(Cell::Missing, Into::into),
        ]);
    }
    let mut blocks = vec![Block::Words(words.trim_end().to_owned())];
    if !table.rows.is_empty() {
        blocks.push(Block::Table(table));
    }
    common.output().show("group.why", &answer, &blocks)?;
    Ok(Exit::Done)
}

/// Offsets committed between two looks.
fn moved(first: &[Progress], second: &[Progress]) -> i64 {
    let before = |place| first.iter().find(|one| one.place() == place)?.committed;
    second
        .iter()
        .filter_map(|one| Some((one.committed? - before(one.place()).unwrap_or(0)).max(0)))
        .sum()
}

/// What is to be said, the worst first.
fn reasons(group: &GroupState, first: &[Progress], second: &[Progress]) -> Vec<Reason> {
    let mut found = Vec::new();
    let lag: i64 = second.iter().filter_map(|one| one.lag).sum();
    of_state(group, lag, &mut found);
    of_members(group, second, &mut found);
    of_partitions(second, &mut found);
    of_movement(group, first, second, lag, &mut found);
    found.sort_by_key(|reason| match reason.level {
        "problem" => 0,
        "note" => 1,
        _ => 2,
    });
    found
}

fn problem(what: String, advice: &str) -> Reason {
    Reason { level: "problem", what, advice: Some(advice.to_owned()) }
}

fn note(what: String, advice: Option<&str>) -> Reason {
    Reason { level: "note", what, advice: advice.map(str::to_owned) }
}

fn of_state(group: &GroupState, lag: i64, found: &mut Vec<Reason>) {
    match group.state.as_str() {
        "Empty" | "Dead" if lag > 0 => found.push(problem(
            format!("nobody is in the group: it has no members, and {lag} records wait"),
            "start its consumers; if they run, compare their group.id and bootstrap.servers",
        )),
        "Empty" | "Dead" => {
            found.push(note("nobody is in the group, and nothing waits for it".to_owned(), None));
        }
        "PreparingRebalance" => found.push(problem(
            format!(
                "the group is rebalancing: the coordinator waits for members to join again, of which \
                 it knows {}",
                group.members.len()
            ),
            "a member that is slow in its poll loop holds up all others until max.poll.interval.ms \
             (its rebalance timeout) is over; look for the one that is busy",
        )),
        "CompletingRebalance" => found.push(problem(
            "the group is rebalancing: all have joined, and wait for the leader's assignment"
                .to_owned(),
            "the leader computes it, or has died: then its session timeout must pass",
        )),
        _ => {}
    }
}

fn of_members(group: &GroupState, partitions: &[Progress], found: &mut Vec<Reason>) {
    if group.state != "Stable" || group.protocol_type != "consumer" {
        return;
    }
    let idle: Vec<_> = group.members.iter().filter(|m| m.partitions.is_empty()).collect();
    if !idle.is_empty() {
        let names: Vec<_> = idle.iter().map(|member| member.id.as_str()).collect();
        let (count, all) = (partitions.len(), group.members.len());
        let what =
            format!("{} of {all} members have no partitions: {}", names.len(), names.join(", "));
        let advice = if all > count {
            "there are more members than partitions: more partitions, or fewer members"
        } else {
            "they want other topics than there are, or the assignor gave them none"
        };
        found.push(note(what, Some(advice)));
    }
    let is_theirs = |one: &&Progress| {
        one.member.is_none()
            && group.members.iter().any(|member| member.topics.contains(&one.topic))
    };
    let orphans: Vec<_> = partitions
        .iter()
        .filter(is_theirs)
        .map(|p| format!("{}-{}", p.topic, p.partition))
        .collect();
    if !orphans.is_empty() {
        found.push(problem(
            format!("no member has {}", orphans.join(", ")),
            "the assignor left them out: a cooperative rebalance is under way, or partitions were \
             added a moment ago (clients see them after metadata.max.age.ms)",
        ));
    }
}

fn of_partitions(partitions: &[Progress], found: &mut Vec<Reason>) {
    for one in partitions {
        let place = format!("{}-{}", one.topic, one.partition);
        if one.end.is_none() {
            found.push(problem(
                format!("{place} has no leader, or its topic was deleted"),
                "highwater topic describe tells which; delete-offsets forgets a topic that is gone",
            ));
        }
        let lost = one.lost();
        if lost > 0 {
            found.push(problem(
                format!(
                    "{place}: {lost} records were removed before the group read them: it committed \
                     {}, and the log begins at {}",
                    one.committed.unwrap_or_default(),
                    one.start.unwrap_or_default()
                ),
                "its consumers go where auto.offset.reset says; retention.ms and retention.bytes say \
                 how long records stay",
            ));
        }
        if let (Some(committed), Some(end)) = (one.committed, one.end)
            && committed > end
        {
            found.push(problem(
                format!("{place}: the group committed {committed}, and the log ends at {end}"),
                "the topic was made anew or lost records; seek the group to a place that exists",
            ));
        }
    }
}

fn of_movement(
    group: &GroupState,
    first: &[Progress],
    second: &[Progress],
    lag: i64,
    found: &mut Vec<Reason>,
) {
    if group.state != "Stable" {
        return;
    }
    let moved = moved(first, second);
    let written: i64 = second
        .iter()
        .filter_map(|one| {
            let before = first.iter().find(|other| other.place() == one.place())?;
            Some(one.end? - before.end?)
        })
        .sum();
    if lag == 0 {
        let what = "the group has read all there is".to_owned();
        found.push(Reason { level: "ok", what, advice: None });
    } else if moved == 0 {
        found.push(problem(
            format!("the group stands still: {lag} records wait, and nothing was committed meanwhile"),
            "its members are alive (they send heartbeats) but do not commit: a handler that hangs, a \
             record that fails again and again, or commits that are made by hand and never come",
        ));
    } else if moved < written {
        found.push(problem(
            format!(
                "the group falls behind: {moved} records committed, {written} written meanwhile"
            ),
            "it needs more members (up to one a partition), or faster ones",
        ));
    } else {
        let what = format!("the group progresses: {moved} records committed meanwhile, {lag} wait");
        found.push(Reason { level: "ok", what, advice: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::cluster::groups::Member;

    fn group(state: &str, members: &[&[i32]]) -> GroupState {
        let member = |(index, partitions): (usize, &&[i32])| Member {
            id: format!("m{index}"),
            instance_id: None,
            client_id: "c".into(),
            host: "/h".into(),
            topics: vec!["t".into()],
            partitions: partitions.iter().map(|p| ("t".to_owned(), *p)).collect(),
        };
        GroupState {
            id: "g".into(),
            coordinator: 0,
            state: state.into(),
            protocol_type: "consumer".into(),
            protocol: "range".into(),
            members: members.iter().enumerate().map(member).collect(),
        }
    }

    fn at(
        partition: i32,
        committed: Option<i64>,
        (start, end): (i64, i64),
        member: bool,
    ) -> Progress {
        let lag = Some((end - committed.unwrap_or(start)).max(0));
        let member = member.then(|| "m0".to_owned());
        Progress {
            topic: "t".into(),
            partition,
            committed,
            start: Some(start),
            end: Some(end),
            lag,
            member,
            client: None,
            host: None,
        }
    }

    fn check(group: &GroupState, first: &[Progress], second: &[Progress], expected: &[&str]) {
        let found = reasons(group, first, second);
        let told: Vec<_> = found.iter().map(|reason| reason.what.as_str()).collect();
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.contains(expected), "{told} has no {expected}");
        }
    }

    #[test]
    fn each_reason_has_its_words() {
        let waits = [at(0, Some(5), (0, 9), false)];
        check(
            &group("Empty", &[]),
            &waits,
            &waits,
            &["nobody is in the group: it has no members, and 4"],
        );
        let rebalancing = group("PreparingRebalance", &[&[]]);
        check(
            &rebalancing,
            &waits,
            &waits,
            &["waits for members to join again, of which it knows 1"],
        );
        let stable = group("Stable", &[&[0], &[]]);
        let still = [at(0, Some(5), (0, 9), true)];
        check(
            &stable,
            &still,
            &still,
            &["stands still: 4 records", "1 of 2 members have no partitions: m1"],
        );
        let one = group("Stable", &[&[0]]);
        let (behind, later) = ([at(0, Some(5), (0, 9), true)], [at(0, Some(6), (0, 19), true)]);
        check(&one, &behind, &later, &["falls behind: 1 records committed, 10 written"]);
        let done = [at(0, Some(9), (0, 9), true)];
        check(&one, &behind, &done, &["has read all there is"]);
        let lost = [at(0, Some(5), (7, 9), true)];
        check(&one, &lost, &lost, &["2 records were removed before", "stands still"]);
        let orphan = [at(0, Some(9), (0, 9), true), at(1, None, (0, 0), false)];
        check(&one, &orphan, &orphan, &["no member has t-1", "has read all there is"]);
        let ahead = [at(0, Some(19), (0, 9), true)];
        check(&one, &ahead, &ahead, &["committed 19, and the log ends at 9", "has read all"]);
    }
}
