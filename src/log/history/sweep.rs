//! Many histories, and what came of them: which seeds failed, what was done, and which rare paths
//! no seed has reached.

use super::kinds::Kind;
use super::life::Counts;
use super::lives::History;
use crate::log::planted::planting::Planted;
use crate::log::rare;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use crate::log::planted::Bug;
pub use crate::log::rare::Rare;

/// Operations on the log that each history has, at least.
pub const OPERATIONS_MIN: u64 = 1000;

/// One history, by what it is made from: the same again gives the same again.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    pub kind: Kind,
    pub number: u64,
    pub operations: u64,
    /// A mistake to be found.
    pub bug: Option<Bug>,
    /// Every completion is told on standard error.
    pub tells: bool,
}

/// What came of one history.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What was wrong, if something was.
    pub failure: Option<String>,
    pub counts: Counts,
    /// Operations of the disk that completed.
    pub completions: u64,
    /// Sum over all of them.
    pub trace: u64,
}

impl Seed {
    pub fn new(kind: Kind, number: u64) -> Self {
        Self { kind, number, operations: OPERATIONS_MIN, bug: None, tells: false }
    }

    pub fn run(&self) -> Ran {
        let _planted = self.bug.map(Planted::plant);
        let mut history = History::new(self.number, self.kind, self.tells);
        let ran = catch_unwind(AssertUnwindSafe(|| history.run(self.operations)));
        let counts = *history.counts.borrow();
        Ran {
            failure: ran.err().map(|panic| words(&*panic)),
            counts,
            completions: history.world.completions(),
            trace: history.world.trace(),
        }
    }
}

fn words(panic: &dyn std::any::Any) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").replace('\n', " ")
}

/// The sum over many histories.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    pub histories: u64,
    pub counts: Counts,
    pub completions: u64,
    /// Of the history that had fewest, where all did what was asked of them.
    pub operations_least: Option<u64>,
    /// Histories of kinds with crashes that had none.
    pub without_crash: u64,
    pub failures: Vec<Failure>,
    /// How often each rare path was taken, in the order of [`Rare::ALL`].
    pub rare: Vec<u64>,
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub kind: &'static str,
    pub seed: u64,
    pub reason: String,
}

impl Sum {
    /// Runs one more history.
    pub fn add(&mut self, seed: &Seed) {
        rare::counts::take();
        let ran = seed.run();
        let taken = rare::counts::take();
        self.rare.resize(taken.len(), 0);
        self.rare.iter_mut().zip(taken).for_each(|(sum, count)| *sum += count);
        self.histories += 1;
        self.completions += ran.completions;
        self.counts.add(&ran.counts);
        if let Some(reason) = ran.failure {
            let (kind, number) = (seed.kind.name, seed.number);
            self.failures.push(Failure { kind, seed: number, reason });
            return;
        }
        let operations = ran.counts.operations;
        let least = self.operations_least.map_or(operations, |least| least.min(operations));
        self.operations_least = Some(least);
        self.without_crash += u64::from(seed.kind.crashes() && ran.counts.crashes == 0);
    }

    /// Adds what another sweep has done.
    pub fn join(&mut self, other: &Self) {
        self.histories += other.histories;
        self.completions += other.completions;
        self.counts.add(&other.counts);
        let least = [self.operations_least, other.operations_least].into_iter().flatten().min();
        self.operations_least = least;
        self.without_crash += other.without_crash;
        self.failures.extend(other.failures.iter().cloned());
        self.rare.resize(Rare::ALL.len(), 0);
        self.rare.iter_mut().zip(&other.rare).for_each(|(sum, count)| *sum += count);
    }

    /// Rare paths that no history has taken.
    pub fn unreached(&self) -> Vec<Rare> {
        let count = |path: &Rare| self.rare.get(*path as usize).copied().unwrap_or_default();
        Rare::ALL.into_iter().filter(|path| count(path) == 0).collect()
    }
}
