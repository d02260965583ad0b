//! The command line of `load`, and its run.

use super::drive::{Pace, Tally, drive};
use super::error::LoadError;
use super::groups::{self, GroupsArgs};
use super::report::Report;
use super::start::{self, Starts};
use super::work::{self, Batch, Shape, Work};
use crate::cli::client::Acks;
use crate::runtime::clock;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Load a broker over the wire, from one thread, and print what it does.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Scenario {
    /// Batches of records, one batch a request
    Produce {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        shape: ShapeArgs,
        /// 0 is refused: without answers there is nothing to measure
        #[arg(long, default_value = "all", value_parser = ["1", "all"])]
        acks: String,
    },
    /// Tiny requests: one record of 100 bytes each, on many connections
    Tiny {
        #[command(flatten)]
        common: Common,
        #[arg(long, default_value_t = 100)]
        record_bytes: usize,
    },
    /// Reads of a topic that was just written; the records are dropped unseen
    Fetch {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        shape: ShapeArgs,
        /// Bytes that a fetch asks for
        #[arg(long, default_value_t = 1024 * 1024)]
        fetch_bytes: i32,
        /// Bytes that an empty topic is filled with
        #[arg(long, default_value_t = 64 * 1024 * 1024)]
        fill_bytes: usize,
    },
    /// Consumer groups: joins a second, memory for each, and response times of heartbeats, commits
    /// and fetches of offsets at a fixed rate
    Groups(GroupsArgs),
    /// Time from exec to the first acknowledged record, the topic's creation included
    Start {
        /// Where the broker will listen
        #[arg(long, default_value = "127.0.0.1:9092")]
        address: SocketAddr,
        /// The folder of the broker; it must not exist: it is made and removed for each start
        #[arg(long)]
        folder: PathBuf,
        /// Shell command before each start, not timed
        #[arg(long)]
        prepare: Option<String>,
        #[arg(long, default_value_t = 9)]
        turns: usize,
        #[arg(long, default_value_t = 60.0)]
        serve_within_s: f64,
        /// Print one line of JSON
        #[arg(long)]
        json: bool,
        /// The broker's program and arguments; {folder}, {address} and {port} are filled in
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

#[derive(Clone, Debug, clap::Args)]
struct Common {
    /// The broker
    #[arg(long, default_value = "127.0.0.1:9092")]
    address: SocketAddr,
    /// Topic, made if need be; a new one if not given
    #[arg(long)]
    topic: Option<String>,
    /// Partitions of a topic that is made
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// Connections (tiny: 16, else 4)
    #[arg(long)]
    connections: Option<usize>,
    /// Requests in flight on each connection (fetch: 2, else 5)
    #[arg(long)]
    in_flight: Option<usize>,
    /// Open loop: requests a second over all connections, each at a moment fixed beforehand
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    #[arg(long, default_value_t = 2.0)]
    warm_up_seconds: f64,
    /// Process whose CPU time is counted: the broker
    #[arg(long)]
    pid: Option<u32>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, clap::Args)]
struct ShapeArgs {
    /// Bytes of a record's value
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// Most bytes of a batch
    #[arg(long, default_value_t = 16 * 1024)]
    batch_bytes: usize,
}

/// Runs a load and prints what it measured.
pub fn run(args: &Args) -> Result<(), LoadError> {
    match &args.scenario {
        Scenario::Produce { common, shape, acks } => {
            let acks = if acks == "all" { Acks::All } else { Acks::Leader };
            produce("produce", common, shape.checked()?, acks)
        }
        Scenario::Tiny { common, record_bytes } => {
            let shape = ShapeArgs { record_bytes: *record_bytes, batch_bytes: 1 };
            produce("tiny", common, shape.checked()?, Acks::All)
        }
        Scenario::Fetch { common, shape, fetch_bytes, fill_bytes } => {
            fetch(common, shape.checked()?, *fetch_bytes, *fill_bytes)
        }
        Scenario::Groups(args) => groups::run(args),
        Scenario::Start { address, folder, prepare, turns, serve_within_s, json, command } => {
            let starts = Starts {
                address: *address,
                folder: folder.clone(),
                prepare: prepare.clone(),
                command: command.clone(),
                turns: at_least_one("turns", *turns)?,
                serve_within: seconds("serve-within-s", *serve_within_s)?,
            };
            start(&starts, *json)
        }
    }
}

fn produce(name: &str, common: &Common, shape: Shape, acks: Acks) -> Result<(), LoadError> {
    let defaults = if name == "tiny" { (16, 5) } else { (4, 5) };
    let (connections, pace) = common.checked(defaults)?;
    let topic = common.topic_name(name);
    let (work, batch) = work::produce(
        common.address,
        &topic,
        common.partitions,
        connections,
        pace.in_flight,
        acks,
        shape,
    )?;
    let tally = drive(&work, pace)?;
    let bytes = tally.requests as f64 * batch.bytes.len() as f64;
    print(name, (&work, &batch), common, pace, tally, bytes)
}

fn fetch(
    common: &Common,
    shape: Shape,
    fetch_bytes: i32,
    fill_bytes: usize,
) -> Result<(), LoadError> {
    let (connections, pace) = common.checked((4, 2))?;
    if fetch_bytes < 1 {
        let (what, bound) = ("fetch-bytes", "at least 1");
        return Err(LoadError::Setting { what, bound, found: fetch_bytes.to_string() });
    }
    let reads = work::Reads { connections, in_flight: pace.in_flight, fetch_bytes, fill_bytes };
    let topic = common.topic_name("fetch");
    let (work, batch) = work::fetch(common.address, &topic, common.partitions, reads, shape)?;
    let tally = drive(&work, pace)?;
    let bytes = tally.records_bytes as f64;
    print("fetch", (&work, &batch), common, pace, tally, bytes)
}

fn print(
    name: &str,
    (work, batch): (&Work, &Batch),
    common: &Common,
    pace: Pace,
    tally: Tally,
    bytes: f64,
) -> Result<(), LoadError> {
    if tally.requests == 0 {
        return Err(LoadError::Nothing);
    }
    let loop_text = pace.rate.map_or("closed loop".to_owned(), |rate| format!("{rate} requests/s"));
    let title = format!(
        "{name}: batches of {} records in {} bytes, {} connections, {} in flight, {loop_text}",
        batch.record_count,
        batch.bytes.len(),
        work.frames.len(),
        pace.in_flight,
    );
    let records = bytes / batch.bytes.len() as f64 * batch.record_count as f64;
    let report = Report { title, records, bytes, tally, is_open_loop: pace.rate.is_some() };
    println!("{}", if common.json { report.json() } else { report.text() });
    Ok(())
}

fn start(starts: &Starts, json: bool) -> Result<(), LoadError> {
    let mut times: Vec<f64> =
        start::measure(starts)?.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let (median, first, last) = (times[times.len() / 2], times[0], times[times.len() - 1]);
    if json {
        println!(
            r#"{{"start_ms":{median:.2},"start_min_ms":{first:.2},"start_max_ms":{last:.2}}}"#
        );
    } else {
        println!(
            "start to first acknowledged record: median {median:.1} ms of {} starts \
             ({first:.1} to {last:.1})",
            times.len()
        );
    }
    Ok(())
}

impl Common {
    fn checked(
        &self,
        (connections, in_flight): (usize, usize),
    ) -> Result<(usize, Pace), LoadError> {
        let connections = at_least_one("connections", self.connections.unwrap_or(connections))?;
        if let Some(rate) = self.rate
            && !(rate.is_finite() && rate > 0.0)
        {
            let (what, bound) = ("rate", "above 0");
            return Err(LoadError::Setting { what, bound, found: rate.to_string() });
        }
        let pace = Pace {
            in_flight: at_least_one("in-flight", self.in_flight.unwrap_or(in_flight))?,
            rate: self.rate,
            warm_up: seconds("warm-up-seconds", self.warm_up_seconds)?,
            measured: seconds("seconds", self.seconds)?,
            pid: self.pid,
        };
        Ok((connections, pace))
    }

    fn topic_name(&self, scenario: &str) -> String {
        let fresh = || format!("load-{scenario}-{}", clock::wall());
        self.topic.clone().unwrap_or_else(fresh)
    }
}

impl ShapeArgs {
    fn checked(&self) -> Result<Shape, LoadError> {
        const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;
        if self.record_bytes > RECORD_BYTES_MAX || self.batch_bytes > RECORD_BYTES_MAX {
            return Err(LoadError::Setting {
                what: "record-bytes and batch-bytes",
                bound: "at most 64 MiB",
                found: format!("{} and {}", self.record_bytes, self.batch_bytes),
            });
        }
        Ok(Shape { record_bytes: self.record_bytes, batch_bytes: self.batch_bytes })
    }
}

pub(super) fn at_least_one(what: &'static str, found: usize) -> Result<usize, LoadError> {
    if found > 0 {
        return Ok(found);
    }
    Err(LoadError::Setting { what, bound: "at least 1", found: found.to_string() })
}

pub(super) fn seconds(what: &'static str, found: f64) -> Result<Duration, LoadError> {
    let bound = "a number of seconds up to a day";
    match Duration::try_from_secs_f64(found) {
        Ok(span) if span <= Duration::from_secs(86_400) => Ok(span),
        _ => Err(LoadError::Setting { what, bound, found: found.to_string() }),
    }
}
