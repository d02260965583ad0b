//! The loop of a consumer: fetch, print, commit, until something ends it.

use super::assign::Assignor;
use super::member::{Beat, Member};
use super::place::Place as Where;
use super::positions::{Position, Positions};
use super::print::Printer;
use crate::cli::cluster::offsets::Place;
use crate::cli::cluster::{Cluster, TopicState};
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{Output, print_bytes};
use crate::model::Offset;
use crate::runtime::clock;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a broker may wait for records before it answers.
const WAIT: Duration = Duration::from_millis(500);
/// Between two commits of a group.
const COMMIT: Duration = Duration::from_secs(5);
/// Bytes that are gathered before they are printed.
const PRINT_BYTES: usize = 1 << 20;

/// What is to be consumed, and how.
#[derive(Clone, Debug)]
pub struct Job {
    pub topics: Vec<String>,
    pub group: Option<(String, Assignor)>,
    pub from: Where,
    pub to: Option<Where>,
    pub partitions: Vec<i32>,
    pub count: Option<u64>,
    pub printer: Printer,
    pub read_committed: bool,
}

struct Consumer<'a> {
    job: &'a Job,
    cluster: Cluster,
    output: Output,
    positions: Positions,
    left: u64,
    out: Vec<u8>,
    /// What has been printed and not been committed.
    to_commit: BTreeMap<Place, Offset>,
}

/// Runs a job.
pub fn work(job: &Job, common: &Common) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen()?;
    let mut cluster = common.connect()?;
    let topics = cluster.topics(&job.topics)?;
    let mut consumer = Consumer {
        job,
        cluster,
        output: common.output(),
        positions: Positions::new(job.read_committed),
        left: job.count.unwrap_or(u64::MAX),
        out: Vec::new(),
        to_commit: BTreeMap::new(),
    };
    match &job.group {
        None => {
            let wanted = consumer.partitions(&topics)?;
            let positions = consumer.begin(&wanted)?;
            consumer.positions.set(positions);
            consumer.alone(&interrupt)
        }
        Some((group, assignor)) => {
            let member = Member::new(group, &job.topics, *assignor);
            consumer.in_group(member, &interrupt)
        }
    }
}

impl Consumer<'_> {
    /// Partitions that are asked for; one that does not exist is refused.
    fn partitions(&self, topics: &[TopicState]) -> Result<BTreeSet<Place>, Failure> {
        let mut places = BTreeSet::new();
        for topic in topics {
            let all: BTreeSet<i32> = topic.partitions.iter().map(|p| p.index).collect();
            let asked = &self.job.partitions;
            if let Some(missing) = asked.iter().find(|index| !all.contains(index)) {
                let (name, count) = (&topic.name, all.len());
                return Err(Failure::Other {
                    exit: Exit::NotFound,
                    text: format!("{name} has no partition {missing}: it has {count}, from 0"),
                });
            }
            let is_asked = |index: &i32| asked.is_empty() || asked.contains(index);
            places
                .extend(all.into_iter().filter(is_asked).map(|index| (topic.name.clone(), index)));
        }
        Ok(places)
    }

    /// Where reading begins and ends in these partitions, by the command's own words.
    fn begin(&mut self, wanted: &BTreeSet<Place>) -> Result<BTreeMap<Place, Position>, Failure> {
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut names: Vec<&str> = wanted.iter().map(|(topic, _)| topic.as_str()).collect();
        names.dedup();
        let mut topics = self.cluster.topics(&names)?;
        for topic in &mut topics {
            let name = topic.name.clone();
            topic.partitions.retain(|p| wanted.contains(&(name.clone(), p.index)));
        }
        // The end first: what is appended meanwhile lies beyond it.
        let ends = match self.job.to {
            Some(to) => to.offsets(&mut self.cluster, &topics)?,
            None => BTreeMap::new(),
        };
        let starts = self.job.from.offsets(&mut self.cluster, &topics)?;
        let position = |(place, next): (Place, i64)| {
            let end = ends.get(&place).copied();
            (place, Position { next, end })
        };
        Ok(starts.into_iter().map(position).collect())
    }

    fn alone(&mut self, interrupt: &Interrupt) -> Result<Exit, Failure> {
        loop {
            if interrupt.is_set() {
                return Ok(Exit::Interrupted);
            }
            if self.positions.is_over() || self.left == 0 {
                return Ok(Exit::Done);
            }
            self.round()?;
        }
    }

    /// Fetches once and prints.
    fn round(&mut self) -> Result<(), Failure> {
        let chunks = self.positions.poll(&mut self.cluster, WAIT, &self.output)?;
        for chunk in chunks {
            let (topic, partition) = (&chunk.place.0, chunk.place.1);
            let mut next = chunk.next;
            for record in &chunk.records {
                if self.left == 0 {
                    next = record.offset.0;
                    break;
                }
                self.left -= 1;
                self.job.printer.write(topic, partition, record, &mut self.out);
                if self.out.len() >= PRINT_BYTES {
                    self.flush()?;
                }
            }
            self.flush()?;
            if let Some(position) = self.positions.of.get_mut(&chunk.place) {
                position.next = position.next.max(next);
                self.to_commit.insert(chunk.place, Offset(position.next));
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if self.out.is_empty() {
            return Ok(());
        }
        let printed = print_bytes(&self.out);
        self.out.clear();
        printed
    }

    // --- in a group ------------------------------------------------------------------------------

    fn in_group(&mut self, mut member: Member, interrupt: &Interrupt) -> Result<Exit, Failure> {
        let ended = self.follow_group(&mut member, interrupt);
        // Whatever ended it: what was printed is committed, and the others need not wait.
        let committed = self.commit(&mut member);
        member.leave(&mut self.cluster);
        let exit = ended?;
        committed?;
        Ok(exit)
    }

    fn follow_group(
        &mut self,
        member: &mut Member,
        interrupt: &Interrupt,
    ) -> Result<Exit, Failure> {
        self.rejoin(member)?;
        let mut commit_at = clock::monotonic() + COMMIT;
        loop {
            if interrupt.is_set() {
                return Ok(Exit::Interrupted);
            }
            if (self.job.to.is_some() && self.positions.is_over()) || self.left == 0 {
                return Ok(Exit::Done);
            }
            if member.beat(&mut self.cluster)? == Beat::Rejoin {
                self.rejoin(member)?;
            }
            self.round()?;
            if clock::monotonic() >= commit_at {
                self.commit(member)?;
                commit_at = clock::monotonic() + COMMIT;
            }
        }
    }

    fn commit(&mut self, member: &mut Member) -> Result<(), Failure> {
        let offsets = std::mem::take(&mut self.to_commit);
        if !member.commit(&mut self.cluster, &offsets)? {
            self.output.detail("a commit came too late: its partitions went to others");
        }
        Ok(())
    }

    /// Joins, and goes to where the group is in the partitions that it is given.
    fn rejoin(&mut self, member: &mut Member) -> Result<(), Failure> {
        self.commit(member)?;
        let kept: BTreeMap<Place, Position> =
            if member.is_cooperative() { self.positions.of.clone() } else { BTreeMap::new() };
        member.join(&mut self.cluster, &self.output)?;
        let (group, _) = self.job.group.as_ref().expect("only a group is joined");
        let committed = self.cluster.committed(group)?;
        let mut positions = self.begin(&member.assigned)?;
        for (place, position) in &mut positions {
            if let Some(kept) = kept.get(place) {
                *position = *kept;
            } else if let Some(committed) = committed.get(place) {
                position.next = committed.offset.0;
            } else {
                // Where the group began is its word too: who comes next must not choose anew.
                self.to_commit.insert(place.clone(), Offset(position.next));
            }
        }
        self.positions.set(positions);
        Ok(())
    }
}
