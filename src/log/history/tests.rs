//! Histories in `cargo test`.

use super::kinds::Kind;
use super::life::{Life, Plan};
use super::lives::History;
use super::model::End;
use super::sweep::{Bug, Seed, Sum};
use crate::log::LogConfig;
use crate::runtime::sim::{Call, Faults, Trap};
use std::rc::Rc;

/// Seeds that a mistake must be found with.
const BUG_SEEDS: u64 = 20;

/// Which seeds to run: `usual` many, or what the environment says.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match (number("HIGHWATER_SIM_SEED"), number("HIGHWATER_SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => 0..count,
        (None, None) => 0..usual,
    }
}

/// Runs a kind of history over many seeds; says which seed failed.
fn run(usual: u64, kind: Kind) -> Sum {
    let tells = std::env::var_os("HIGHWATER_SIM_SEED").is_some();
    let mut sum = Sum::default();
    for number in seeds(usual) {
        sum.add(&Seed { tells, ..Seed::new(kind, number) });
    }
    let failed = sum.failures.iter().map(|failure| {
        format!("\nHIGHWATER_SIM_SEED={} ({}): {}", failure.seed, failure.kind, failure.reason)
    });
    let failed: Vec<_> = failed.collect();
    assert!(failed.is_empty(), "{} histories failed:{}", failed.len(), failed.concat());
    assert_eq!(sum.without_crash, 0, "every history has a crash");
    sum
}

#[test]
fn a_log_that_is_closed_and_opened_again_holds_what_was_appended() {
    let counts = run(12, Kind::CLEAN).counts;
    assert!(counts.staged > 100 && counts.reads > 50 && counts.times > 10, "{counts:?}");
    assert!(counts.rolls > 10 && counts.removed > 2 && counts.duplicates > 10, "{counts:?}");
}

#[test]
fn a_killed_process_loses_nothing_that_was_written() {
    let counts = run(12, Kind::KILL).counts;
    assert!(counts.staged > 100 && counts.duplicates > 10, "{counts:?}");
}

#[test]
fn a_power_cut_loses_nothing_that_was_synced_and_shows_nothing_torn() {
    let counts = run(20, Kind::POWER).counts;
    assert!(counts.staged > 100 && counts.syncs > 50, "{counts:?}");
}

#[test]
fn a_power_cut_may_keep_any_of_the_names_that_were_not_synced() {
    let counts = run(20, Kind::NAMES).counts;
    assert!(counts.staged > 100 && counts.syncs > 50, "{counts:?}");
}

#[test]
fn a_failing_disk_costs_no_acknowledged_record() {
    let counts = run(20, Kind::FAILING).counts;
    assert!(counts.failures > 20 && counts.syncs > 20, "{counts:?}");
}

#[test]
fn rot_costs_only_the_batch_that_it_hit() {
    run(20, Kind::ROT);
}

#[test]
fn a_seed_gives_the_same_history_every_time() {
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let seed = Seed::new(kind, number as u64);
        let (one, two) = (seed.run(), seed.run());
        assert!(one.failure.is_none(), "{seed:?}: {:?}", one.failure);
        assert_eq!((one.trace, one.completions), (two.trace, two.completions), "{seed:?}");
        assert_eq!(one.counts, two.counts, "{seed:?}");
        let other = Seed { number: 1000 + number as u64, ..seed };
        assert_ne!(one.trace, other.run().trace, "another seed is another history");
    }
}

/// `sim log --bugs` plants all of them.
#[test]
fn mistakes_that_are_planted_are_found() {
    let bugs = [Bug::AckBeforeWrite, Bug::CheckpointNotSynced, Bug::ProducersNotReplayed];
    for (bug, kind) in bugs.into_iter().zip([Kind::KILL, Kind::POWER, Kind::KILL]) {
        let found = (0..BUG_SEEDS).find(|number| {
            let seed = Seed { bug: Some(bug), ..Seed::new(kind, *number) };
            seed.run().failure.is_some()
        });
        assert!(found.is_some(), "{BUG_SEEDS} seeds have not found that {}", bug.what());
    }
    assert!(Seed::new(Kind::KILL, 0).run().failure.is_none(), "it is taken out again");
}

#[test]
fn a_write_back_that_failed_is_not_forgotten() {
    for seed in seeds(3) {
        let kind =
            Kind { ends: &[End::Power], faults: |_| Faults::none(), may_fail: true, ..Kind::POWER };
        let mut history = History::new(seed, kind, false);
        let (call, name_end, error) = (Call::SyncRange, ".log".into(), libc::EIO);
        history.world.trap(0, Trap { call, name_end, skip: 0, error });
        let plan = Plan { config: LogConfig::default(), steps: 0, ..history.plan(true) };
        let (model, counts) = (Rc::clone(&history.model), Rc::clone(&history.counts));
        let core = history.world.core();
        let (inner, inner_core) = (core.clone(), core.clone());
        history.world.run(&core, async move {
            let life = Life::begin(inner, plan, model, counts, End::Birth).await.unwrap();
            life.append_much(5 << 20).await;
            inner_core.sleep(std::time::Duration::from_secs(1)).await;
            life.sync().await;
            assert!(life.failure.borrow().is_some(), "a sync after lost pages says so");
        });
        assert_eq!(history.world.trap_count(0), 0, "write-back was started");
        history.world.crash(0);
        let plan = history.plan(false);
        history.live(plan, End::Power, End::Clean);
    }
}
