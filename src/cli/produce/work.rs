//! The loop of a producer: gather records by partition, send what is full or has waited, tell what
//! was not taken.

use super::input::{Defaults, InputError, Outgoing, Shape, Source};
use super::partitioner::Partitioner;
use super::sender::{Sender, Undelivered};
use crate::cli::client::Acks;
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{Block, Output, visible};
use crate::record::Packing;
use crate::runtime::{clock, machine};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, BufReader, IsTerminal as _, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// A partition's records are sent when they have so many bytes, unpacked; all partitions' when
/// together they have the second number.
const BATCH_BYTES: usize = 512 << 10;
const GATHERED_BYTES: usize = 8 << 20;
/// Records that one group of the reading thread holds, and groups that may wait.
const GROUP_RECORDS: usize = 512;
const GROUP_BYTES: usize = 256 << 10;
const GROUPS_MAX: usize = 8;
/// How long a silent input is waited for before Ctrl-C is looked at.
const LOOK: Duration = Duration::from_millis(100);
const PROGRESS: Duration = Duration::from_secs(1);
/// Failed records that are told one by one.
const TOLD_MAX: u64 = 1000;

/// What is to be produced, and how.
#[derive(Clone, Debug)]
pub struct Job {
    pub topic: String,
    pub shape: Shape,
    pub defaults: Defaults,
    pub acks: Acks,
    pub packing: Packing,
    /// Records a second.
    pub rate: Option<u64>,
    /// No input: one record that says that the key is gone.
    pub is_one_tombstone: bool,
}

/// What the reading thread hands over.
enum Read {
    Records(Vec<Outgoing>),
    /// A record that is none; reading goes on.
    Bad(InputError),
    /// Reading is over.
    Broken(InputError),
}

#[derive(Serialize)]
struct Summary {
    topic: String,
    delivered: u64,
    failed: u64,
}

struct Producing {
    sender: Sender,
    partitioner: Partitioner,
    output: Output,
    gathered: BTreeMap<i32, (Vec<Outgoing>, usize)>,
    gathered_bytes: usize,
    failed: u64,
    exits: Option<Exit>,
    next_progress: crate::base::time::Instant,
    has_progress: bool,
}

/// Runs a job.
pub fn work(job: &Job, common: &Common) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen()?;
    let mut cluster = common.connect()?;
    let topic = cluster.topic(&job.topic)?;
    let output = common.output();
    let sender = Sender::new(cluster, topic, job.acks, job.packing)?;
    let count = sender.partition_count();
    if count == 0 {
        return Err(Failure::Usage(format!("{} has no partitions", job.topic)));
    }
    let mut producing = Producing {
        partitioner: Partitioner::new(count, clock::wall().0 as i32),
        sender,
        output,
        gathered: BTreeMap::new(),
        gathered_bytes: 0,
        failed: 0,
        exits: None,
        next_progress: clock::monotonic() + PROGRESS,
        has_progress: false,
    };
    let exit = if job.is_one_tombstone {
        let Defaults { key, headers, partition } = job.defaults.clone();
        let record = Outgoing { number: 1, key, headers, partition, ..Outgoing::default() };
        producing.add(record)?;
        producing.flush()?;
        Exit::Done
    } else {
        if io::stdin().is_terminal() {
            output.note("each line is a record; Ctrl-D ends the input");
        }
        let records = read_aside(job)?;
        producing.run(&records, job.rate, &interrupt)?
    };
    producing.finish(&job.topic, exit)
}

/// Reads standard input on a thread of its own: a pipe that is silent must not hold up what was read.
fn read_aside(job: &Job) -> Result<Receiver<Read>, Failure> {
    let (tell, told) = sync_channel(GROUPS_MAX);
    let (shape, defaults) = (job.shape.clone(), job.defaults.clone());
    let read = move || {
        let input = BufReader::with_capacity(GROUP_BYTES, io::stdin().lock());
        read_all(Source::new(input, shape, defaults), &tell);
    };
    match machine::start_aside("input", read) {
        Ok(_) => Ok(told),
        Err(source) => {
            Err(Failure::Io { during: "start to read standard input".to_owned(), source })
        }
    }
}

/// Hands over what was read whenever the next read may have to wait, or enough has come.
fn read_all<R: io::Read>(mut source: Source<BufReader<R>>, tell: &SyncSender<Read>) {
    let (mut group, mut bytes) = (Vec::new(), 0);
    loop {
        let (ends, read) = match source.next() {
            Ok(Some(record)) => {
                bytes += size(&record);
                group.push(record);
                (false, None)
            }
            Ok(None) => (true, None),
            Err(error @ InputError::Record { .. }) => (false, Some(Read::Bad(error))),
            Err(error) => (true, Some(Read::Broken(error))),
        };
        let is_full = group.len() >= GROUP_RECORDS || bytes >= GROUP_BYTES;
        let may_wait = source.input().buffer().is_empty();
        if !group.is_empty() && (ends || is_full || may_wait || read.is_some()) {
            bytes = 0;
            if tell.send(Read::Records(std::mem::take(&mut group))).is_err() {
                return;
            }
        }
        if let Some(read) = read
            && tell.send(read).is_err()
        {
            return;
        }
        if ends {
            return;
        }
    }
}

fn size(record: &Outgoing) -> usize {
    let bytes = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let headers = record.headers.iter().map(|(key, value)| key.len() + bytes(value) + 8);
    32 + bytes(&record.key) + bytes(&record.value) + headers.sum::<usize>()
}

impl Producing {
    fn run(
        &mut self,
        records: &Receiver<Read>,
        rate: Option<u64>,
        interrupt: &Interrupt,
    ) -> Result<Exit, Failure> {
        let begun = clock::monotonic();
        let mut paced: u64 = 0;
        loop {
            if interrupt.is_set() {
                self.flush()?;
                return Ok(Exit::Interrupted);
            }
            let read = if let Ok(read) = records.try_recv() {
                Ok(read)
            } else {
                // Nothing more is there right now: nothing waits for company.
                self.flush()?;
                records.recv_timeout(LOOK)
            };
            match read {
                Ok(Read::Records(group)) => {
                    for record in group {
                        if let Some(rate) = rate {
                            let ns = u128::from(paced) * 1_000_000_000 / u128::from(rate);
                            let due = begun + Duration::from_nanos(ns as u64);
                            if !self.wait_until(due, interrupt)? {
                                break;
                            }
                            paced += 1;
                        }
                        self.add(record)?;
                    }
                }
                Ok(Read::Bad(error)) => self.refuse(&error.to_string(), Exit::Usage),
                Ok(Read::Broken(error)) => {
                    self.flush()?;
                    self.refuse(&error.to_string(), Exit::Failed);
                    return Ok(Exit::Failed);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.flush()?;
                    return Ok(Exit::Done);
                }
            }
        }
    }

    /// Until a record's turn comes; false if Ctrl-C came first.
    fn wait_until(
        &mut self,
        due: crate::base::time::Instant,
        interrupt: &Interrupt,
    ) -> Result<bool, Failure> {
        loop {
            let left = due.since(clock::monotonic());
            if left.is_zero() {
                return Ok(true);
            }
            self.flush()?;
            if interrupt.is_set() {
                return Ok(false);
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    fn add(&mut self, record: Outgoing) -> Result<(), Failure> {
        let partition = match record.partition {
            Some(partition) => partition,
            None => self.partitioner.choose(record.key.as_deref()),
        };
        let count = self.sender.partition_count();
        if !(0..count).contains(&partition) {
            let reason =
                format!("there is no partition {partition}: the topic has {count}, from 0");
            self.tell(&[Undelivered { record, reason, code: None }]);
            self.exits = Some(merged(self.exits, Exit::NotFound));
            return Ok(());
        }
        let bytes = size(&record);
        let held = self.gathered.get(&partition).map_or(0, |(_, held)| *held);
        // A record that does not fit any more begins the next batch.
        if held > 0 && held + bytes > BATCH_BYTES {
            self.send(Some(partition))?;
        }
        let (records, held) = self.gathered.entry(partition).or_default();
        records.push(record);
        *held += bytes;
        self.gathered_bytes += bytes;
        if self.gathered_bytes >= GATHERED_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if self.gathered.is_empty() { Ok(()) } else { self.send(None) }
    }

    /// Sends what one partition, or every one, has gathered.
    fn send(&mut self, only: Option<i32>) -> Result<(), Failure> {
        let mut batches = Vec::new();
        let partitions: Vec<i32> = match only {
            Some(partition) => vec![partition],
            None => self.gathered.keys().copied().collect(),
        };
        for partition in partitions {
            if let Some((records, bytes)) = self.gathered.remove(&partition) {
                self.gathered_bytes -= bytes;
                self.partitioner.on_sent(partition);
                batches.push((partition, records));
            }
        }
        let failed = self.sender.send(batches)?;
        for one in &failed {
            let exit = one.code.map_or(Exit::TimedOut, Exit::of_code);
            self.exits = Some(merged(self.exits, exit));
        }
        self.tell(&failed);
        self.progress();
        Ok(())
    }

    fn tell(&mut self, failed: &[Undelivered]) {
        for one in failed {
            self.failed += 1;
            if self.failed > TOLD_MAX {
                continue;
            }
            let key = one.record.key.as_deref().map_or_else(String::new, |key| {
                let shown: String = String::from_utf8_lossy(key).chars().take(60).collect();
                format!(" (key {})", visible(&shown))
            });
            self.output.error(&format!("record {}{key}: {}", one.record.number, one.reason));
        }
    }

    /// What could not be read as a record.
    fn refuse(&mut self, text: &str, exit: Exit) {
        self.failed += 1;
        self.exits = Some(merged(self.exits, exit));
        if self.failed <= TOLD_MAX {
            self.output.error(text);
        }
    }

    fn progress(&mut self) {
        let now = clock::monotonic();
        if !self.output.shows_progress() || now < self.next_progress {
            return;
        }
        self.next_progress = now + PROGRESS;
        self.has_progress = true;
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r{} records", self.sender.delivered);
        let _ = err.flush();
    }

    fn finish(&mut self, topic: &str, exit: Exit) -> Result<Exit, Failure> {
        if self.has_progress {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
        let (delivered, failed) = (self.sender.delivered, self.failed);
        let told = format!("{delivered} records written to {topic}, {failed} failed");
        if failed > 0 || self.output.shows_progress() {
            self.output.note(&told);
        } else {
            self.output.detail(&told);
        }
        if self.output.is_json() {
            let summary = Summary { topic: topic.to_owned(), delivered, failed };
            self.output.show("produce", &summary, &[] as &[Block])?;
        }
        match (exit, self.exits) {
            (Exit::Interrupted, _) => Ok(Exit::Interrupted),
            (exit, None) => Ok(exit),
            // Some were taken: that is another thing than that none was.
            (_, Some(_)) if delivered > 0 => Ok(Exit::Failed),
            (_, Some(exit)) => Ok(exit),
        }
    }
}

/// One reason if all have the same.
fn merged(before: Option<Exit>, now: Exit) -> Exit {
    before.map_or(now, |before| if before == now { now } else { Exit::Failed })
}
