//! Where a reader is in each of its partitions, and one round of fetching from there.

use super::aborted::Aborted;
use crate::base::crc32c;
use crate::cli::batches::{Record, read_batches};
use crate::cli::cluster::fetching::{FetchPlan, FetchedPart};
use crate::cli::cluster::offsets::{Place, leaders};
use crate::cli::cluster::{Cluster, TopicState};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::model::{ErrorCode, TopicId};
use crate::record::CRC_FROM;
use std::collections::BTreeMap;
use std::time::Duration;

/// A reader's place in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub next: i64,
    /// Reading is over there.
    pub end: Option<i64>,
}

impl Position {
    pub fn is_over(self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }
}

/// Records of a partition, in order.
#[derive(Debug)]
pub struct Chunk {
    pub place: Place,
    pub records: Vec<Record>,
    /// Where to read on when all of them are done.
    pub next: i64,
}

/// All partitions of a reader.
#[derive(Debug)]
pub struct Positions {
    pub of: BTreeMap<Place, Position>,
    topics: Vec<TopicState>,
    topic_ids: BTreeMap<String, TopicId>,
    read_committed: bool,
    /// The leader that is asked next.
    turn: usize,
    is_stale: bool,
}

impl Positions {
    pub fn new(read_committed: bool) -> Self {
        Self {
            of: BTreeMap::new(),
            topics: Vec::new(),
            topic_ids: BTreeMap::new(),
            read_committed,
            turn: 0,
            is_stale: true,
        }
    }

    /// Whether every partition has come to its end.
    pub fn is_over(&self) -> bool {
        self.of.values().all(|position| position.is_over())
    }

    /// Says anew which partitions are read.
    pub fn set(&mut self, of: BTreeMap<Place, Position>) {
        self.of = of;
        self.is_stale = true;
    }

    /// Asks one leader, and gives what came.
    pub fn poll(
        &mut self,
        cluster: &mut Cluster,
        wait: Duration,
        output: &Output,
    ) -> Result<Vec<Chunk>, Failure> {
        if self.is_stale {
            self.look_up(cluster)?;
        }
        let mut by_leader: Vec<(i32, Vec<(Place, i64)>)> = Vec::new();
        for (leader, places) in leaders(&self.topics) {
            let wanted: Vec<_> = places
                .into_iter()
                .filter_map(|place| Some((self.of.get(&place)?, place)))
                .filter(|(position, _)| !position.is_over())
                .map(|(position, place)| (place, position.next))
                .collect();
            if !wanted.is_empty() {
                by_leader.push((leader, wanted));
            }
        }
        if by_leader.is_empty() {
            // No leader right now, or nothing to read.
            std::thread::sleep(wait.min(Duration::from_millis(100)));
            self.is_stale = !self.of.is_empty() && !self.is_over();
            return Ok(Vec::new());
        }
        self.turn = (self.turn + 1) % by_leader.len();
        // With several leaders none may hold up the others for long.
        let max_wait = wait / u32::try_from(by_leader.len()).unwrap_or(u32::MAX);
        let (leader, wanted) = by_leader.swap_remove(self.turn);
        let (topic_ids, read_committed) = (&self.topic_ids, self.read_committed);
        let plan = FetchPlan { leader, wanted, topic_ids, max_wait, read_committed };
        let parts = match cluster.fetch(&plan) {
            Ok(parts) => parts,
            Err(error) if error.is_retriable() => {
                self.is_stale = true;
                // A broker that is gone for good is told after the command's timeout.
                cluster.read("fetch", Cluster::refresh)?;
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.into()),
        };
        let mut chunks = Vec::new();
        for part in parts {
            if let Some(chunk) = self.take(part, output)? {
                chunks.push(chunk);
            }
        }
        Ok(chunks)
    }

    /// Who leads what.
    fn look_up(&mut self, cluster: &mut Cluster) -> Result<(), Failure> {
        let mut names: Vec<&str> = self.of.keys().map(|(topic, _)| topic.as_str()).collect();
        names.dedup();
        self.topics = if names.is_empty() { Vec::new() } else { cluster.topics(&names)? };
        let id = |topic: &TopicState| Some((topic.name.clone(), topic.id?));
        self.topic_ids = self.topics.iter().filter_map(id).collect();
        self.is_stale = false;
        Ok(())
    }

    fn take(&mut self, part: FetchedPart, output: &Output) -> Result<Option<Chunk>, Failure> {
        let FetchedPart { place, error, readable_end, log_start, aborted, records } = part;
        let Some(position) = self.of.get_mut(&place) else { return Ok(None) };
        let name = format!("{}-{}", place.0, place.1);
        match error {
            None => {}
            Some(ErrorCode::OffsetOutOfRange) => {
                let next = log_start.max(0);
                output.note(&format!(
                    "{name}: offset {} is not there any more or not yet: reading on from {next}",
                    position.next
                ));
                position.next = next;
                return Ok(None);
            }
            Some(code) if code.is_retriable() => {
                self.is_stale = true;
                return Ok(None);
            }
            Some(code) => {
                return Err(Failure::Other {
                    exit: crate::cli::exit::Exit::of_code(code),
                    text: format!("{name}: {code}: {}", code.message()),
                });
            }
        }
        let _ = readable_end;
        let mut aborted = Aborted::new(aborted);
        let (first, end) = (position.next, position.end.unwrap_or(i64::MAX));
        let mut chunk = Chunk { place, records: Vec::new(), next: first };
        for batch in read_batches(&records)? {
            let computed = crc32c::checksum(&batch.bytes[CRC_FROM..]);
            if computed != batch.header.crc {
                let (offset, stored) = (batch.header.base_offset, batch.header.crc);
                return Err(Failure::Corrupt(format!(
                    "{name} offset {offset}: the batch's CRC-32C is {stored:#010x}, but its bytes give \
                     {computed:#010x}"
                )));
            }
            let is_shown = if self.read_committed {
                aborted.admit(&batch)
            } else {
                !batch.header.attributes.is_control()
            };
            chunk.next = batch.header.next_offset().0.max(chunk.next);
            if is_shown {
                let in_range = |r: &Record| (first..end).contains(&r.offset.0);
                chunk.records.extend(batch.records.into_iter().filter(in_range));
            }
        }
        Ok((chunk.next > first).then_some(chunk))
    }
}
