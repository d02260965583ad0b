//! The histories.

use super::broker::{self, CLIENTS, DATA, HOST};
use super::model::Model;
use super::work::{PARTITIONS, TOPICS, Worker};
use crate::base::Random;
use crate::runtime::mailbox::mesh_in_sim;
use crate::runtime::sim::{Faults, World, WorldOptions};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

const GROUPS: [&str; 2] = ["a", "b"];
const CLEAN_MARKER: &str = ".kafka_cleanshutdown";
/// A clean stop takes no longer.
const STOP_MAX: Duration = Duration::from_secs(60);
/// Nor what the clients have to end and to compare.
const CHECK_MAX: Duration = Duration::from_secs(600);

/// How lives end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// By SIGKILL, and some by SIGTERM.
    Process,
    /// By a power cut.
    Power,
}

/// What a run has to show.
struct Shown {
    model: Model,
    trace: u64,
}

fn history(seed: u64, ends: Ends) -> Shown {
    let mut random = Random::new(seed);
    let options = WorldOptions { block_count: 64, ..WorldOptions::default() };
    let mut world = World::with(random.next_u64(), options);
    world.put_dir(HOST, DATA).unwrap();
    let mut faults = if random.chance(1, 2) { Faults::rough() } else { Faults::none() };
    // The broker goes on without a directory that has failed, which is another story.
    faults.disk = Faults::none().disk;
    faults.disk.latency = Faults::rough().disk.latency;
    world.set_faults(faults);
    let config = broker::config(ends == Ends::Power);
    let core_count = 1 + random.below(2) as usize;
    let model = Rc::new(RefCell::new(Model::default()));
    let done = start_clients(&mut world, &model, &mut random);
    for _ in 0..random.between(3, 8) {
        let shards = broker::start(&mut world, &config, core_count);
        world.run_completions(random.between(50, 4000));
        match ends {
            Ends::Power => world.crash(HOST),
            Ends::Process if random.chance(1, 3) => stop(&mut world, &shards),
            Ends::Process => world.kill(HOST),
        }
    }
    let _shards = broker::start(&mut world, &config, core_count);
    model.borrow_mut().is_over = true;
    let end = world.now() + CHECK_MAX;
    while !done.get() {
        assert!(world.now() < end, "seed {seed}: a client waits for ever");
        world.run_for(Duration::from_millis(100));
    }
    assert_eq!(world.findings(), [""; 0], "seed {seed}");
    let trace = world.trace();
    drop(world);
    Shown { model: model.take(), trace }
}

/// Starts the clients on their own host; the cell says when all have ended and everything was compared.
fn start_clients(
    world: &mut World,
    model: &Rc<RefCell<Model>>,
    random: &mut Random,
) -> Rc<Cell<bool>> {
    let done = Rc::new(Cell::new(false));
    let core = world.boot(CLIENTS, &mesh_in_sim::<()>(1, 0).1).remove(0);
    let worker = |random: &mut Random| Worker::new(&core, model, random.next_u64());
    let (mut maker, checker) = (worker(random), worker(random));
    let mut works: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    for topic in TOPICS {
        for partition in 0..PARTITIONS {
            works.push(Box::pin(worker(random).produce(topic, partition)));
            works.push(Box::pin(worker(random).read(topic, partition)));
        }
    }
    for group in GROUPS {
        works.push(Box::pin(worker(random).commit(group)));
    }
    works.push(Box::pin(worker(random).change_topics()));
    let ended = Rc::clone(&done);
    core.spawn(async move {
        maker.make_topics().await;
        crate::runtime::sync::all(works).await;
        checker.check_all().await;
        ended.set(true);
    });
    done
}

fn stop(world: &mut World, shards: &[Rc<crate::broker::Shard>]) {
    broker::ask_to_stop(shards);
    let end = world.now() + STOP_MAX;
    let has_stopped =
        |world: &World| world.names(HOST, DATA).unwrap().iter().any(|name| name == CLEAN_MARKER);
    // A start that is not over yet has nothing to close, and leaves no marker.
    while !has_stopped(world) && world.now() < end {
        world.run_for(Duration::from_millis(20));
    }
    world.run_for(Duration::from_millis(100));
    world.kill(HOST);
}

fn histories(ends: Ends) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match (number("HIGHWATER_SIM_SEED"), number("HIGHWATER_SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(12),
    };
    let count = seeds.end - seeds.start;
    let (mut appended, mut read, mut committed, mut changed) = (0, 0, 0, 0);
    for seed in seeds {
        let Model { appended: a, read: r, committed: c, changed: d, .. } =
            history(seed, ends).model;
        appended += a;
        read += r;
        committed += c;
        changed += d;
    }
    eprintln!(
        "{ends:?}: {count} histories, {appended} appends, {read} reads, {committed} commits, \
         {changed} changes of topics"
    );
    // A test that does nothing proves nothing.
    let least = 20 * count;
    assert!(count < 10 || [appended, read, committed, changed].iter().all(|done| *done > least));
}

#[test]
fn a_broker_that_is_killed_or_stopped_takes_back_nothing_that_it_answered() {
    histories(Ends::Process);
}

#[test]
fn a_broker_that_loses_its_power_takes_back_nothing_that_it_answered_after_a_sync() {
    histories(Ends::Power);
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for (seed, ends) in [(1, Ends::Process), (2, Ends::Power)] {
        assert_eq!(history(seed, ends).trace, history(seed, ends).trace);
    }
}
