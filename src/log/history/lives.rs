//! A history: the lives of one log, one after the other, on one simulated disk.

use super::files;
use super::kinds::Kind;
use super::life::{Counts, DIR, Life, Plan, config, fetch, open, read};
use super::model::{End, Model};
use crate::base::Random;
use crate::log::{AppendMode, LogError, Read, ReadRange};
use crate::model::Offset;
use crate::runtime::Core;
use crate::runtime::sim::{Faults, World};
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;

/// Lives of a history in which hardly anything can be done: the disk is full from the beginning.
const LIVES_MAX: u64 = 100;

pub struct History {
    pub world: World,
    pub random: Random,
    kind: Kind,
    pub model: Rc<RefCell<Model>>,
    pub counts: Rc<RefCell<Counts>>,
    /// Tells what happens, on standard error.
    tells: bool,
}

impl History {
    pub fn new(seed: u64, kind: Kind, tells: bool) -> Self {
        let mut random = Random::new(seed);
        let world = World::new(random.next_u64());
        if tells {
            world.narrate();
        }
        world.put_dir(0, DIR).expect("an empty disk takes a directory");
        Self { world, random, kind, model: Rc::default(), counts: Rc::default(), tells }
    }

    /// Lives until there were so many operations, and a crash where the kind has some; the last
    /// life is smooth and ends cleanly.
    pub fn run(&mut self, operations: u64) {
        let mut how = End::Birth;
        while self.is_short_of(operations) {
            let end = *self.random.pick(self.kind.ends).expect("a kind has ends");
            self.world.set_faults((self.kind.faults)(&mut self.random));
            let plan = self.plan(self.kind.may_fail);
            how = self.live(plan, how, end);
        }
        self.world.set_faults(Faults::rough());
        let plan = self.plan(false);
        how = self.live(plan, how, End::Clean);
        assert_eq!(how, End::Clean);
        assert_eq!(self.world.findings(), [""; 0], "what must never happen");
        if self.kind.rots {
            self.rot();
        }
    }

    fn is_short_of(&self, operations: u64) -> bool {
        let counts = self.counts.borrow();
        let is_short = counts.lives < 2
            || counts.operations < operations
            || (self.kind.crashes() && counts.crashes == 0);
        is_short && counts.lives < LIVES_MAX
    }

    pub fn plan(&mut self, may_fail: bool) -> Plan {
        let random = &mut self.random;
        let modes = [AppendMode::Auto, AppendMode::Inline, AppendMode::Ring];
        Plan {
            seed: random.next_u64(),
            steps: random.between(5, 240),
            mode: *random.pick(&modes).expect("there are some"),
            config: config(random),
            may_fail,
            long_pauses: random.chance(1, 3),
            tells: self.tells,
            open_segments: if random.chance(1, 2) { random.between(0, 4) as usize } else { 512 },
        }
    }

    /// One life; how it really ended.
    pub fn live(&mut self, plan: Plan, how: End, end: End) -> End {
        let core = self.world.core();
        let cut_after = self.random.between(1, 40 + 6 * plan.steps);
        let done = Rc::new(Cell::new(None));
        let is_open = Rc::new(Cell::new(false));
        let (place, flag) = (Rc::clone(&done), Rc::clone(&is_open));
        let (model, counts) = (Rc::clone(&self.model), Rc::clone(&self.counts));
        let (may_fail, inner) = (plan.may_fail, core.clone());
        core.spawn(async move {
            let result = live(inner, plan, model, counts, how, &flag).await;
            if let Err(error) = &result {
                assert!(may_fail, "a smooth life failed: {error}");
            }
            place.set(Some(result.is_ok()));
        });
        if end == End::Clean {
            self.world.run_until(|| done.get().is_some());
            assert!(done.get().is_some(), "the life waits for something that never comes");
        } else {
            self.world.run_completions(cut_after);
        }
        drop(core);
        self.counts.borrow_mut().lives += 1;
        let ended = self.end(done.get() == Some(true), end);
        // One that never got to compare what a power cut left has not changed that.
        if ended == End::Kill && how == End::Power && !is_open.get() { how } else { ended }
    }

    fn end(&mut self, is_clean: bool, wanted: End) -> End {
        if is_clean {
            // A machine may well lose its power after a clean end.
            if self.random.chance(1, 2) {
                self.world.crash(0);
            } else {
                self.world.kill(0);
            }
            files::check(&self.world, &self.model.borrow(), self.kind.may_fail);
            return End::Clean;
        }
        self.counts.borrow_mut().crashes += 1;
        // After a failed fsync the page cache shows what the disk does not have, and no process
        // can tell: only a machine that starts anew can be held to anything.
        if wanted == End::Kill && !self.kind.may_fail {
            self.world.kill(0);
            return End::Kill;
        }
        self.world.crash(0);
        End::Power
    }

    /// Bits of one batch turn; everything else is read as it was.
    fn rot(&mut self) {
        let model = self.model.borrow().clone();
        let Some(hit) = self.random.pick(model.from(model.start)).cloned() else { return };
        let (path, position) = files::place(&self.world, &model, hit.base);
        // Half of it hits the header, whose first bytes no checksum covers.
        let last = if self.random.chance(1, 2) { 26 } else { hit.bytes.len() as u64 - 1 };
        let at = position + self.random.between(0, last);
        self.world.rot(0, &path, at, 1 << self.random.below(8)).expect("the file is there");
        if self.random.chance(1, 2) {
            // Without its marker the end was not clean: the last segment is scanned.
            let core = self.world.core();
            let inner = core.clone();
            let marker = Path::new(DIR).join(".kafka_cleanshutdown");
            let unlinked = self.world.run(&core, async move { inner.unlink(&marker).await });
            unlinked.expect("a clean end leaves its marker");
        }
        let plan = self.plan(false);
        let core = self.world.core();
        self.world.run(&core, read_around(core.clone(), plan, model, hit.base));
    }
}

async fn live(
    core: Core,
    plan: Plan,
    model: Rc<RefCell<Model>>,
    counts: Rc<RefCell<Counts>>,
    how: End,
    is_open: &Cell<bool>,
) -> Result<(), LogError> {
    let life = Life::begin(core, plan, model, counts, how).await?;
    is_open.set(true);
    life.work().await;
    if let Some(reason) = life.failure.borrow().clone() {
        return Err(LogError::corrupt(Path::new(DIR), reason));
    }
    life.end().await
}

/// Every batch but the one at `hit` is read as it was; that one is read, or said to be damaged.
async fn read_around(core: Core, plan: Plan, model: Model, hit: i64) {
    let (log, _) = open(&core, &plan).await.expect("rot keeps no log from being opened");
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
                let bytes = fetch(&core, &span).await.expect("a smooth disk");
                assert!(bytes == batch.bytes, "{range:?} gave other bytes");
            }
            Ok(Read::Span(_)) | Err(LogError::Damaged { .. }) if batch.base == hit => {}
            other => panic!("{range:?}, with damage at {hit}, gave {other:?}"),
        }
    }
}
