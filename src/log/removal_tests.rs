//! Files that go while others want them: retention, removals, and readers that come too late.

use super::tests::{batch, flush, range, stage};
use super::*;
use crate::model::{Offset, Timestamp, Uuid};
use crate::runtime::Core;
use crate::runtime::sim::{Call, Trap, World};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

const FOLDER: &str = "/data/t-0";

fn world(seed: u64) -> World {
    let world = World::new(seed);
    world.put_dir(0, "/data").unwrap();
    world
}

fn dir() -> Rc<LogDir> {
    super::tests::dir(Path::new("/data"))
}

fn spec(topic: u8) -> LogSpec {
    LogSpec { topic_id: Uuid([topic; 16]), ..super::tests::spec(0, false) }
}

/// Each batch has a segment of its own; only the last one is kept by retention.
fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 300,
        // Times are to be learned; none is too old.
        retention_ms: i64::MAX,
        retention_bytes: 250,
        file_delete_delay: Duration::from_millis(1),
        ..LogConfig::default()
    }
}

async fn append(core: &Core, log: &mut Log, count: i64) {
    for time in 0..count {
        stage(log, &batch(1, 200, 1000 + time), 0);
        flush(core, log).await.unwrap();
    }
}

async fn written(core: &Core, dir: &Rc<LogDir>, count: i64) -> Log {
    let (mut log, _) = Log::open(core, Rc::clone(dir), spec(1), config()).await.unwrap();
    append(core, &mut log, count).await;
    log.durability.until_sealed(dir).await;
    log
}

/// A log whose segments' files are not open.
async fn reopened(core: &Core, dir: &Rc<LogDir>, count: i64) -> Log {
    drop(written(core, dir, count).await);
    let mut spec = spec(1);
    spec.recovery_point = Offset(count - 1);
    Log::open(core, Rc::clone(dir), spec, config()).await.unwrap().0
}

fn logs(world: &World) -> Vec<String> {
    let mut names = world.names(0, FOLDER).unwrap();
    names.retain(|name| name.strip_suffix(".log").is_some());
    names
}

#[test]
fn nothing_is_retained_of_a_log_that_was_removed() {
    let mut world = world(1);
    let core = world.core();
    world.run(&core.clone(), async move {
        let mut log = written(&core, &dir(), 5).await;
        let job = log.remove_job();
        let end = log.log_end_offset();
        assert!(log.retain(&core, end).is_none());
        job.run(&core).await.unwrap();
        assert!(log.retain(&core, end).is_none());
    });
}

#[test]
fn what_retention_takes_of_a_removed_log_is_not_its_successors() {
    for seed in 0..40 {
        let mut world = world(seed);
        let core = world.core();
        world.run(&core.clone(), async move {
            let dir = dir();
            let mut log = written(&core, &dir, 6).await;
            let end = log.log_end_offset();
            let retention = log.retain(&core, end).expect("five segments are too much");
            let (bell, core_) = (Rc::new(crate::runtime::sync::Bell::default()), core.clone());
            let ended = Rc::clone(&bell);
            core.spawn(async move {
                retention.run(&core_).await.unwrap();
                ended.ring();
            });
            core.sleep(Duration::from_micros(seed * 500)).await;
            log.remove_job().run(&core).await.unwrap();
            let mut next = Log::create(Rc::clone(&dir), spec(2), config());
            append(&core, &mut next, 6).await;
            bell.heard().await;
            core.sleep(Duration::from_secs(1)).await;
            next.durability.until_sealed(&dir).await;
            assert!(dir.failure().is_none());
        });
        assert_eq!(logs(&world).len(), 6, "seed {seed}");
    }
}

#[test]
fn a_removal_is_durable_when_it_is_told() {
    for seed in 0..20 {
        let mut world = world(seed);
        let core = world.core();
        world.run(&core.clone(), async move {
            let mut log = written(&core, &dir(), 3).await;
            log.sync_job().run(&core).await.unwrap();
            log.remove_job().run(&core).await.unwrap();
        });
        world.crash(0);
        assert!(world.names(0, FOLDER).is_err(), "seed {seed}: the folder is back");
    }
}

#[test]
fn a_removal_that_fails_takes_the_directory_out_of_service() {
    let mut world = world(1);
    let trap = Trap { call: Call::Rename, name_end: "-delete".into(), skip: 0, error: libc::EIO };
    world.trap(0, trap);
    let core = world.core();
    world.run(&core.clone(), async move {
        let dir = dir();
        let mut log = written(&core, &dir, 3).await;
        assert!(log.remove_job().run(&core).await.is_err());
        assert!(dir.failure().is_some(), "a successor would find the old files");
    });
    assert_eq!(world.trap_count(0), 0);
}

#[test]
fn a_reader_that_comes_after_retention_makes_no_file() {
    let mut world = world(1);
    let core = world.core();
    world.run(&core.clone(), async move {
        let mut log = reopened(&core, &dir(), 6).await;
        let read = log.read_job(&range(0, 1000));
        let by_time = log.time_job(Timestamp(0), Offset(6));
        let largest = log.max_time_job(Offset(6));
        let end = log.log_end_offset();
        log.retain(&core, end).expect("times are to be learned").run(&core).await.unwrap();
        let job = log.retain(&core, end);
        if let Some(job) = job {
            job.run(&core).await.unwrap();
        }
        assert_eq!(log.log_start_offset(), Offset(5));
        assert!(matches!(read.run(&core).await, Ok(Read::Empty)));
        assert_eq!(by_time.run(&core).await.unwrap().unwrap().offset, Offset(5));
        assert_eq!(largest.run(&core).await.unwrap().unwrap().offset, Offset(5));
    });
    assert_eq!(logs(&world), ["00000000000000000005.log"]);
}

#[test]
fn retention_goes_on_where_a_segments_file_is_gone() {
    let mut world = world(1);
    let core = world.core();
    world.run(&core.clone(), async move {
        let mut log = reopened(&core, &dir(), 6).await;
        let path = names::path(Path::new(FOLDER), Offset(2), names::Kind::Log);
        core.unlink(&path).await.unwrap();
        let end = log.log_end_offset();
        for _ in 0..2 {
            if let Some(job) = log.retain(&core, end) {
                job.run(&core).await.unwrap();
            }
        }
        assert_eq!(log.log_start_offset(), Offset(5));
    });
    assert_eq!(logs(&world), ["00000000000000000005.log"]);
}
