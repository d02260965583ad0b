//! Histories.

use super::files;
use super::life::{Counts, DIR, Life, Plan, config, fetch, open, read};
use super::model::{End, Model};
use crate::base::Random;
use crate::log::{AppendMode, LogConfig, LogError, Read, ReadRange};
use crate::model::Offset;
use crate::runtime::Core;
use crate::runtime::sim::{Call, Faults, Odds, Trap, World};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Which seeds to run: `usual` many, or what the environment says.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match (number("HIGHWATER_SIM_SEED"), number("HIGHWATER_SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => 0..count,
        (None, None) => 0..usual,
    }
}

/// What kinds of ends and faults a history has.
#[derive(Clone, Copy, Debug)]
struct Kind {
    ends: &'static [End],
    faults: fn(&mut Random) -> Faults,
    may_fail: bool,
}

struct History {
    world: World,
    random: Random,
    kind: Kind,
    model: Rc<RefCell<Model>>,
    counts: Counts,
}

impl History {
    fn new(seed: u64, kind: Kind) -> Self {
        let mut random = Random::new(seed);
        let world = World::new(random.next_u64());
        if std::env::var_os("HIGHWATER_SIM_SEED").is_some() {
            world.narrate();
        }
        world.put_dir(0, DIR).unwrap();
        Self { world, random, kind, model: Rc::default(), counts: Counts::default() }
    }

    /// Several lives, one after the other; the last one is smooth and ends cleanly.
    fn run(&mut self) {
        let mut how = End::Birth;
        for _ in 0..self.random.between(2, 6) {
            let end = *self.random.pick(self.kind.ends).unwrap();
            self.world.set_faults((self.kind.faults)(&mut self.random));
            let plan = self.plan(self.kind.may_fail);
            how = self.live(plan, how, end);
        }
        self.world.set_faults(Faults::rough());
        let plan = self.plan(false);
        how = self.live(plan, how, End::Clean);
        assert_eq!(how, End::Clean);
        assert_eq!(self.world.findings(), [""; 0], "what must never happen");
    }

    fn plan(&mut self, may_fail: bool) -> Plan {
        let random = &mut self.random;
        let modes = [AppendMode::Auto, AppendMode::Inline, AppendMode::Ring];
        Plan {
            seed: random.next_u64(),
            steps: random.between(5, 120),
            mode: *random.pick(&modes).unwrap(),
            config: config(random),
            may_fail,
            long_pauses: random.chance(1, 3),
        }
    }

    /// One life; how it really ended.
    fn live(&mut self, plan: Plan, how: End, end: End) -> End {
        let core = self.world.core();
        let cut_after = self.random.between(1, 40 + 6 * plan.steps);
        let done = Rc::new(RefCell::new(None));
        let counts = Rc::new(RefCell::new(Counts::default()));
        let (place, sums) = (Rc::clone(&done), Rc::clone(&counts));
        let is_open = Rc::new(Cell::new(false));
        let flag = Rc::clone(&is_open);
        let (may_fail, model) = (plan.may_fail, Rc::clone(&self.model));
        let inner = core.clone();
        core.spawn(async move {
            let result = live(inner, plan, model, how, (&flag, &sums)).await;
            if let Err(error) = &result {
                assert!(may_fail, "a smooth life failed: {error}");
            }
            *place.borrow_mut() = Some(result.is_ok());
        });
        if end == End::Clean {
            self.world.run_until(|| done.borrow().is_some());
            assert!(done.borrow().is_some(), "the life waits for something that never comes");
        } else {
            self.world.run_completions(cut_after);
        }
        self.add(*counts.borrow());
        drop(core);
        if *done.borrow() == Some(true) {
            // A machine may well lose its power after a clean end.
            if self.random.chance(1, 2) {
                self.world.crash(0);
            } else {
                self.world.kill(0);
            }
            files::check(&self.world, &self.model.borrow(), self.kind.may_fail);
            return End::Clean;
        }
        // After a failed fsync the page cache shows what the disk does not have, and no process
        // can tell: only a machine that starts anew can be held to anything.
        if end == End::Kill && !self.kind.may_fail {
            self.world.kill(0);
            // One that never got to compare what a power cut left has not changed that.
            return if how == End::Power && !is_open.get() { how } else { End::Kill };
        }
        self.world.crash(0);
        End::Power
    }

    fn add(&mut self, one: Counts) {
        let sum = &mut self.counts;
        sum.staged += one.staged;
        sum.duplicates += one.duplicates;
        sum.syncs += one.syncs;
        sum.reads += one.reads;
        sum.times += one.times;
        sum.rolls += one.rolls;
        sum.removed += one.removed;
        sum.failures += one.failures;
    }
}

async fn live(
    core: Core,
    plan: Plan,
    model: Rc<RefCell<Model>>,
    how: End,
    (is_open, sums): (&Cell<bool>, &RefCell<Counts>),
) -> Result<(), LogError> {
    let life = Life::begin(core, plan, model, how).await?;
    is_open.set(true);
    life.work().await;
    *sums.borrow_mut() = *life.counts.borrow();
    if let Some(reason) = life.failure.borrow().clone() {
        return Err(LogError::corrupt(std::path::Path::new(DIR), reason));
    }
    life.end().await
}

/// Runs a kind of history over many seeds; says which seed failed.
fn run(usual: u64, kind: Kind) -> Counts {
    let mut sum = Counts::default();
    let mut failed = Vec::new();
    for seed in seeds(usual) {
        let run = std::panic::AssertUnwindSafe(|| {
            let mut history = History::new(seed, kind);
            history.run();
            history.counts
        });
        match std::panic::catch_unwind(run) {
            Ok(counts) => {
                sum.staged += counts.staged;
                sum.duplicates += counts.duplicates;
                sum.syncs += counts.syncs;
                sum.reads += counts.reads;
                sum.times += counts.times;
                sum.rolls += counts.rolls;
                sum.removed += counts.removed;
                sum.failures += counts.failures;
            }
            Err(panic) => failed.push(format!("\nHIGHWATER_SIM_SEED={seed}: {}", text(&*panic))),
        }
    }
    assert!(failed.is_empty(), "{} histories failed:{}", failed.len(), failed.concat());
    sum
}

fn text(panic: &dyn std::any::Any) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?").replace('\n', " ")
}

fn rough(_: &mut Random) -> Faults {
    Faults::rough()
}

#[test]
fn a_log_that_is_closed_and_opened_again_holds_what_was_appended() {
    let kind = Kind { ends: &[End::Clean], faults: rough, may_fail: false };
    let counts = run(12, kind);
    assert!(counts.staged > 100 && counts.reads > 50 && counts.times > 10, "{counts:?}");
    assert!(counts.rolls > 10 && counts.removed > 2 && counts.duplicates > 10, "{counts:?}");
}

#[test]
fn a_killed_process_loses_nothing_that_was_written() {
    let kind = Kind { ends: &[End::Kill, End::Clean], faults: rough, may_fail: false };
    let counts = run(12, kind);
    assert!(counts.staged > 100 && counts.duplicates > 10, "{counts:?}");
}

#[test]
fn a_power_cut_loses_nothing_that_was_synced_and_shows_nothing_torn() {
    let kind = Kind { ends: &[End::Power, End::Kill, End::Clean], faults: rough, may_fail: false };
    let counts = run(40, kind);
    assert!(counts.staged > 100 && counts.syncs > 50, "{counts:?}");
}

/// A power cut keeps any of the names that no sync has covered.
fn shuffled(_: &mut Random) -> Faults {
    let mut faults = Faults::rough();
    faults.disk.names_any_order = true;
    faults
}

#[test]
fn a_power_cut_may_keep_any_of_the_names_that_were_not_synced() {
    let ends = &[End::Power, End::Kill, End::Clean];
    let counts = run(40, Kind { ends, faults: shuffled, may_fail: false });
    assert!(counts.staged > 100 && counts.syncs > 50, "{counts:?}");
}

#[test]
fn a_failing_disk_costs_no_acknowledged_record() {
    let faults = |random: &mut Random| {
        let mut faults = Faults::rough();
        let mut odds =
            |most: u64| Odds(if random.chance(1, 3) { random.below(most) as u16 } else { 0 });
        faults.disk.write_error = odds(200);
        faults.disk.sync_error = odds(300);
        faults.disk.name_error = odds(100);
        faults.disk.read_error = odds(100);
        faults.disk.names_any_order = random.chance(1, 2);
        if random.chance(1, 4) {
            faults.disk.capacity = Some(random.between(2_000, 60_000));
        }
        faults
    };
    let ends = &[End::Power, End::Kill, End::Clean];
    let counts = run(40, Kind { ends, faults, may_fail: true });
    assert!(counts.failures > 20 && counts.syncs > 20, "{counts:?}");
}

#[test]
fn rot_costs_only_the_batch_that_it_hit() {
    let kind = Kind { ends: &[End::Clean], faults: rough, may_fail: false };
    for seed in seeds(40) {
        let mut history = History::new(seed, kind);
        history.run();
        let model = history.model.borrow().clone();
        let Some(hit) = history.random.pick(model.from(model.start)).cloned() else { continue };
        let (path, position) = files::place(&history.world, &model, hit.base);
        // Half of it hits the header, whose first bytes no checksum covers.
        let last = if history.random.chance(1, 2) { 26 } else { hit.bytes.len() as u64 - 1 };
        let at = position + history.random.between(0, last);
        history.world.rot(0, &path, at, 1 << history.random.below(8)).unwrap();
        if history.random.chance(1, 2) {
            // Without its marker the end was not clean: the last segment is scanned.
            let core = history.world.core();
            let inner = core.clone();
            let marker = std::path::Path::new(DIR).join(".kafka_cleanshutdown");
            history.world.run(&core, async move { inner.unlink(&marker).await.unwrap() });
        }
        let plan = history.plan(false);
        let core = history.world.core();
        history.world.run(&core, read_around(core.clone(), plan, model, hit.base));
    }
}

/// Every batch but the one at `hit` is read as it was; that one is read, or said to be damaged.
async fn read_around(core: Core, plan: Plan, model: Model, hit: i64) {
    let (log, _) = open(&core, &plan).await.unwrap();
    let log = RefCell::new(log);
    assert_eq!(log.borrow().log_end_offset().0, model.end(), "nothing is cut");
    for batch in model.from(model.start) {
        let range = ReadRange {
            from: Offset(batch.base.max(model.start)),
            upper: Offset(model.end()),
            bytes_max: batch.bytes.len(),
            one_batch_at_least: true,
        };
        match read(&core, &log, &range).await {
            Ok(Read::Span(span)) if batch.base != hit => {
                let bytes = fetch(&core, &span).await.unwrap();
                assert!(bytes == batch.bytes, "{range:?} gave other bytes");
            }
            Ok(Read::Span(_)) | Err(LogError::Damaged { .. }) if batch.base == hit => {}
            other => panic!("{range:?}, with damage at {hit}, gave {other:?}"),
        }
    }
}

#[test]
fn a_write_back_that_failed_is_not_forgotten() {
    for seed in seeds(3) {
        let kind = Kind { ends: &[End::Power], faults: |_| Faults::none(), may_fail: true };
        let mut history = History::new(seed, kind);
        let (call, name_end, error) = (Call::SyncRange, ".log".into(), libc::EIO);
        history.world.trap(0, Trap { call, name_end, skip: 0, error });
        let plan = Plan { config: LogConfig::default(), steps: 0, ..history.plan(true) };
        let model = Rc::clone(&history.model);
        let core = history.world.core();
        let (inner, inner_core) = (core.clone(), core.clone());
        history.world.run(&core, async move {
            let life = Life::begin(inner, plan, model, End::Birth).await.unwrap();
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
