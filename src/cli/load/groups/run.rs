//! The command line of `load groups`, and its run.

use super::build::{self, Member, Plan};
use super::line::Line;
use super::ops;
use super::report::{Report, Weights};
use crate::cli::client::Versions;
use crate::cli::load::args::{at_least_one, seconds};
use crate::cli::load::drive::{self, Pace, drive};
use crate::cli::load::error::LoadError;
use crate::cli::load::process;
use crate::cli::load::work;
use crate::runtime::machine::{self, Doorbell};
use crate::runtime::{Core, clock, sync};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Groups that are made before the broker is first weighed: every partition of the offsets topic is
/// in use then.
const FIRST_GROUPS: usize = 500;
/// A broker has this long to come to rest before it is weighed.
const REST: Duration = Duration::from_secs(2);
/// An answer with these fits what is read of it.
const OFFSETS_MAX: i32 = 16;

#[derive(Clone, Debug, clap::Args)]
pub struct GroupsArgs {
    /// The broker
    #[arg(long, default_value = "127.0.0.1:9092")]
    address: SocketAddr,
    /// Topic, made if need be; a new one if not given
    #[arg(long)]
    topic: Option<String>,
    /// Groups; as many are made that are idle
    #[arg(long, default_value_t = 1000)]
    groups: usize,
    /// Members of each group
    #[arg(long, default_value_t = 1)]
    members: usize,
    /// Partitions that each group commits (at most 16)
    #[arg(long, default_value_t = 4)]
    offsets: i32,
    /// Groups that join at once; each of their members has a connection
    #[arg(long, default_value_t = 64)]
    at_once: usize,
    /// Connections of heartbeats, commits and fetches
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Requests in flight on each of them
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Requests a second over all connections, each at a moment fixed beforehand: heartbeats, commits
    /// and fetches of offsets in turn
    #[arg(long, default_value_t = 3000.0)]
    rate: f64,
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    #[arg(long, default_value_t = 2.0)]
    warm_up_seconds: f64,
    /// Process whose memory and CPU time are counted: the broker
    #[arg(long)]
    pid: Option<u32>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// What was made, and what it took.
struct Built {
    members: Vec<Member>,
    join_time: Duration,
    weights: Option<Weights>,
}

/// Makes the groups, drives them, and prints what was measured.
pub fn run(args: &GroupsArgs) -> Result<(), LoadError> {
    let pace = args.checked()?;
    let stamp = clock::wall();
    let topic = args.topic.clone().unwrap_or_else(|| format!("load-groups-{stamp}"));
    let mut client = work::client(args.address)?;
    work::topic(&mut client, &topic, args.offsets)?;
    client.await_coordinator("load-groups", work::CALL_TIMEOUT)?;
    let versions = client.versions().clone();
    let plan = Plan { topic, offsets: args.offsets, member_count: args.members };
    let built = on_core({
        let (args, plan, versions) = (args.clone(), plan.clone(), versions.clone());
        async move |core: Core| build(&core, &args, &plan, &Rc::new(versions), stamp.0).await
    })?;
    let work = ops::work(args.address, &versions, &plan, &built.members, args.connections)?;
    let tally = drive(&work, pace)?;
    if tally.requests == 0 {
        return Err(LoadError::Nothing);
    }
    let title = format!(
        "groups: {} idle and {} live of {} members, {} offsets each, {} connections, {} requests/s",
        args.groups,
        args.groups,
        args.members,
        args.offsets,
        work.frames.len(),
        args.rate,
    );
    let report = Report {
        title,
        group_count: args.groups,
        join_count: built.members.len(),
        join_time: built.join_time,
        weights: built.weights,
        tally,
    };
    println!("{}", if args.json { report.json() } else { report.text() });
    drop(client);
    Ok(())
}

/// Runs one task on a reactor of its own on this thread.
fn on_core<T: 'static>(
    task: impl AsyncFnOnce(Core) -> Result<T, LoadError> + 'static,
) -> Result<T, LoadError> {
    let io = |source| LoadError::Io { during: "set up the load's ring", source };
    let doorbell = Arc::new(Doorbell::new().map_err(io)?);
    let core = machine::core_here(0, &drive::options(), doorbell).map_err(io)?;
    let done = Rc::new(RefCell::new(None));
    core.spawn({
        let (core, done) = (core.clone(), Rc::clone(&done));
        async move {
            let result = task(core.clone()).await;
            done.replace(Some(result));
            core.stop();
        }
    });
    core.run();
    done.take().expect("the core runs until the task has ended")
}

async fn build(
    core: &Core,
    args: &GroupsArgs,
    plan: &Plan,
    versions: &Rc<Versions>,
    stamp: i64,
) -> Result<Built, LoadError> {
    let line_count = args.at_once.min(args.groups) * args.members;
    let opened = (0..line_count).map(|_| Line::open(core, args.address, versions));
    let opened = sync::all(opened).await.into_iter();
    let mut lines = opened.collect::<Result<Vec<Line>, LoadError>>()?;
    let names = |kind: &str, count: usize| -> Vec<String> {
        (0..count).map(|index| format!("load-{kind}-{stamp}-{index}")).collect()
    };
    build::idle_groups(&mut lines, plan, &names("first", FIRST_GROUPS)).await?;
    let before = weigh(core, args.pid).await?;
    build::idle_groups(&mut lines, plan, &names("idle", args.groups)).await?;
    let with_idle = weigh(core, args.pid).await?;
    let began = clock::monotonic();
    let members = build::live_groups(&mut lines, plan, &names("live", args.groups)).await?;
    let join_time = clock::monotonic().since(began);
    let with_live = weigh(core, args.pid).await?;
    let weights = match (before, with_idle, with_live) {
        (Some(before), Some(with_idle), Some(with_live)) => {
            Some(Weights { before, with_idle, with_live })
        }
        _ => None,
    };
    Ok(Built { members, join_time, weights })
}

async fn weigh(core: &Core, pid: Option<u32>) -> Result<Option<u64>, LoadError> {
    let Some(pid) = pid else { return Ok(None) };
    core.sleep(REST).await;
    process::resident_bytes(pid).map(Some)
}

impl GroupsArgs {
    fn checked(&self) -> Result<Pace, LoadError> {
        at_least_one("groups", self.groups)?;
        at_least_one("members", self.members)?;
        at_least_one("at-once", self.at_once)?;
        at_least_one("connections", self.connections)?;
        let refused = |what, bound, found: String| Err(LoadError::Setting { what, bound, found });
        if !(1..=OFFSETS_MAX).contains(&self.offsets) {
            return refused("offsets", "from 1 to 16", self.offsets.to_string());
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return refused("rate", "above 0", self.rate.to_string());
        }
        Ok(Pace {
            in_flight: at_least_one("in-flight", self.in_flight)?,
            rate: Some(self.rate),
            warm_up: seconds("warm-up-seconds", self.warm_up_seconds)?,
            measured: seconds("seconds", self.seconds)?,
            pid: self.pid,
        })
    }
}
