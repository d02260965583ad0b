//! `sim`: long runs of the simulations, with the feature of that name.

use crate::log::history::kinds::Kind;
use crate::log::history::sweep::{Bug, OPERATIONS_MIN, Rare, Seed, Sum};
use crate::runtime::{clock, machine};
use clap::Subcommand;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Failures that are told in full.
const FAILURES_TOLD: usize = 20;
/// Seeds that a thread takes at once.
const SEEDS_AT_ONCE: u64 = 16;

const LOG_EXAMPLES: &str = "\
Examples:
  highwater sim log --seeds 100000
  highwater sim log --kind power --seed 17
  highwater sim log --bugs --seeds 100";

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// One partition's log on a disk that fails, tears and forgets, against a model
    #[command(after_help = LOG_EXAMPLES)]
    Log(LogArgs),
}

#[derive(clap::Args, Debug)]
struct LogArgs {
    /// How many seeds of each kind of history
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This one alone, telling each completion
    #[arg(long)]
    seed: Option<u64>,
    /// Only histories of this kind: clean, kill, power, names, failing or rot
    #[arg(long, value_parser = parse_kind)]
    kind: Option<Kind>,
    /// Operations on the log that each history has, at least
    #[arg(long, default_value_t = OPERATIONS_MIN)]
    operations: u64,
    /// Fail if a rare path was not reached
    #[arg(long)]
    every_path: bool,
    /// Plant each known mistake and fail if the seeds do not find it
    #[arg(long)]
    bugs: bool,
}

fn parse_kind(name: &str) -> Result<Kind, String> {
    let names = || Kind::ALL.map(|kind| kind.name).join(", ");
    Kind::named(name).ok_or_else(|| format!("there are these kinds of histories: {}", names()))
}

/// Runs it; whether nothing was found.
pub fn run(args: &Args) -> io::Result<bool> {
    let What::Log(args) = &args.what;
    let seeds = args.seed.map_or(args.from..args.from + args.seeds, |seed| seed..seed + 1);
    let kinds = args.kind.map_or(Kind::ALL.to_vec(), |kind| vec![kind]);
    if args.bugs {
        return plant_each(args, &kinds, &seeds);
    }
    let mut all = Sum::default();
    for kind in kinds {
        println!("{}: {}", kind.name, kind.what);
        let before = clock::monotonic();
        let sum = sweep(args, kind, &seeds, None)?;
        tell(&sum, clock::monotonic().since(before).as_secs_f64());
        all.join(&sum);
    }
    println!("\nrare paths, and how often they were taken:");
    for (path, count) in Rare::ALL.iter().zip(&all.rare) {
        println!("{count:>12}  {}", path.what());
    }
    let unreached = all.unreached();
    for path in &unreached {
        println!("NOT REACHED   {}", path.what());
    }
    Ok(all.failures.is_empty() && (unreached.is_empty() || !args.every_path))
}

fn tell(sum: &Sum, seconds: f64) {
    let counts = &sum.counts;
    println!(
        "  {} histories in {seconds:.1} s: {} operations (at least {} each), {} lives, {} crashes \
         (none in {}), {} completions; {} failed",
        sum.histories,
        counts.operations,
        sum.operations_least.unwrap_or(0),
        counts.lives,
        counts.crashes,
        sum.without_crash,
        sum.completions,
        sum.failures.len()
    );
    for failure in sum.failures.iter().take(FAILURES_TOLD) {
        let (kind, seed) = (failure.kind, failure.seed);
        println!("  FAILED: sim log --kind {kind} --seed {seed}: {}", failure.reason);
    }
}

/// What the threads of a sweep share.
struct Work {
    chunks: VecDeque<std::ops::Range<u64>>,
    sum: Sum,
}

/// Histories that fail are caught: the sum is whole.
fn lock(work: &Mutex<Work>) -> std::sync::MutexGuard<'_, Work> {
    work.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seeds are dealt to as many threads as there are cores.
fn sweep(
    args: &LogArgs,
    kind: Kind,
    seeds: &std::ops::Range<u64>,
    bug: Option<Bug>,
) -> io::Result<Sum> {
    let chunks = seeds.clone().step_by(SEEDS_AT_ONCE as usize);
    let chunks = chunks.map(|from| from..seeds.end.min(from + SEEDS_AT_ONCE)).collect();
    let work = Arc::new(Mutex::new(Work { chunks, sum: Sum::default() }));
    let (tells, operations) = (args.seed.is_some(), args.operations);
    let threads = machine::allowed_cpus().into_iter().map(|cpu| {
        let work = Arc::clone(&work);
        machine::start_aside(&format!("sim-{cpu}"), move || {
            loop {
                let next = lock(&work).chunks.pop_front();
                let Some(chunk) = next else { return };
                let mut sum = Sum::default();
                for number in chunk {
                    sum.add(&Seed { kind, number, operations, bug, tells });
                }
                let mut work = lock(&work);
                work.sum.join(&sum);
                if bug.is_some() && !work.sum.failures.is_empty() {
                    work.chunks.clear();
                }
            }
        })
    });
    for thread in threads.collect::<io::Result<Vec<_>>>()? {
        if thread.join().is_err() {
            return Err(io::Error::other("a thread of the sweep panicked"));
        }
    }
    let mut sum = std::mem::take(&mut lock(&work).sum);
    sum.failures.sort_by_key(|failure| failure.seed);
    Ok(sum)
}

/// Each known mistake, until a seed finds it.
fn plant_each(args: &LogArgs, kinds: &[Kind], seeds: &std::ops::Range<u64>) -> io::Result<bool> {
    let mut is_each_found = true;
    for bug in Bug::ALL {
        let mut found = None;
        for kind in kinds {
            let sum = sweep(args, *kind, seeds, Some(bug))?;
            found = sum.failures.first().map(|failure| (failure.kind, failure.seed));
            if found.is_some() {
                break;
            }
        }
        is_each_found &= found.is_some();
        match found {
            Some((kind, seed)) => println!("found by {kind} {seed}: {}", bug.what()),
            None => println!("NOT FOUND: {}", bug.what()),
        }
    }
    Ok(is_each_found)
}
