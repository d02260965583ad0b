//! Appends on real file systems. `HIGHWATER_APPEND_DIRS` lists folders (separated by ':'), each on
//! a file system of its own, such as ext4 and XFS on loop mounts; without it the temporary folder
//! is used. What is shown: whatever way appends take, quiet files and files that others look at
//! included, every batch is there and the core is not kept waiting; and which way `auto` settles on.

use super::tests::{batch, dir_with, flush, spec, stage};
use super::*;
use crate::model::Offset;
use crate::runtime::{Core, testing};
use std::path::PathBuf;
use std::time::Duration;

const LOGS: usize = 1000;

fn for_each_file_system<F: Future<Output = ()> + 'static>(test: impl Fn(Core, PathBuf) -> F) {
    let listed = std::env::var("HIGHWATER_APPEND_DIRS").unwrap_or_default();
    let mut roots: Vec<PathBuf> =
        listed.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
    if roots.is_empty() {
        roots.push(std::env::temp_dir());
    }
    for root in roots {
        let folder = tempfile::tempdir_in(root).unwrap();
        let path = folder.path().to_path_buf();
        testing::run(testing::options(8, 64), |core| test(core, path));
    }
}

async fn open_many(core: &Core, dir: &std::rc::Rc<LogDir>, count: usize) -> Vec<Log> {
    let mut logs = Vec::new();
    for index in 0..count {
        let spec = LogSpec { folder: format!("t-{index}"), ..spec(0, false) };
        let opened = Log::open(core, dir.clone(), spec, LogConfig::default()).await;
        logs.push(opened.unwrap().0);
    }
    logs
}

/// One write per 10 ms over 1,000 files, with an `ls -l` between writes: on every file system each
/// of these is a file's first write in a tick.
#[test]
fn quiet_files_are_written_while_others_look_at_them() {
    for_each_file_system(|core, path| async move {
        let dir = dir_with(&path, AppendMode::Auto);
        let mut logs = open_many(&core, &dir, LOGS).await;
        for log in &mut logs {
            stage(log, &batch(1, 100, 1), 0);
            flush(&core, log).await.unwrap();
        }
        for round in 0..50 {
            let index = round * 37 % LOGS;
            for entry in std::fs::read_dir(path.join(format!("t-{index}"))).unwrap() {
                entry.unwrap().metadata().unwrap();
            }
            stage(&mut logs[index], &batch(1, 100, 2), 0);
            let Flush::Done(done) = logs[index].begin_flush(&core) else {
                panic!("a file's first write in a tick is inline")
            };
            done.unwrap();
            core.sleep(Duration::from_millis(10)).await;
        }
        let total: i64 = logs.iter().map(|log| log.log_end_offset().0).sum();
        assert_eq!(total, LOGS as i64 + 50);
        // The kernel may make anyone wait now and then; not as a habit.
        let stalls = core.counters().inline_stalls.get();
        assert!(stalls <= 5, "{stalls} inline calls took more than 5 ms");
    });
}

/// A busy file, long enough for `auto` to try the ring and settle.
#[test]
fn a_busy_file_is_written_whole_by_every_way() {
    for mode in [AppendMode::Auto, AppendMode::Inline, AppendMode::Ring] {
        for_each_file_system(move |core, path| async move {
            let dir = dir_with(&path, mode);
            let mut logs = open_many(&core, &dir, 1).await;
            // Keeps the core awake: completions are told apart by turns.
            let busy = core.clone();
            core.spawn(async move {
                loop {
                    busy.turn_end().await;
                    busy.sleep(Duration::ZERO).await;
                }
            });
            for time in 0..3000 {
                stage(&mut logs[0], &batch(1, 1000, time), 0);
                flush(&core, &mut logs[0]).await.unwrap();
            }
            assert_eq!(logs[0].log_end_offset(), Offset(3000));
            let (counts, words) = (dir.append_path.borrow().counts(), dir.describe_append_path());
            println!("{}: {words}; {counts:?}", path.display());
            match mode {
                AppendMode::Inline => assert_eq!(counts.ring_writes, 0),
                AppendMode::Ring => assert_eq!(counts.inline_writes, 0),
                AppendMode::Auto => assert!(counts.ring_writes > 0 && counts.inline_writes > 0),
            }
            let reopened = Log::open(
                &core,
                dir.clone(),
                LogSpec { folder: "t-0".into(), ..spec(0, false) },
                LogConfig::default(),
            );
            let (log, recovery) = reopened.await.unwrap();
            assert_eq!((recovery.findings, log.log_end_offset()), (vec![], Offset(3000)));
        });
    }
}
