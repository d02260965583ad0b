//! Opening after crashes, rot, lost and foreign files.

use super::tests::{bases, batch, batch_of, flush, forget, open, range, read, run, spec, stage};
use super::*;
use crate::model::Offset;
use crate::runtime::Core;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of a batch of one record with a value of 200 bytes.
const BATCH: u64 = 61 + 209;

fn segment(path: &Path, base: u64) -> PathBuf {
    path.join(format!("t-0/{base:020}.log"))
}

/// A log of `count` batches of one record each; gives its folder as a crash of the process left it.
async fn written(core: &Core, path: &Path, count: i64, config: &LogConfig) {
    let (mut log, _) = open(core, path, &spec(0, false), config).await;
    for time in 0..count {
        stage(&mut log, &batch(1, 200, time), 0);
    }
    flush(core, &mut log).await.unwrap();
    assert_eq!(log.size_bytes(), BATCH * count as u64);
    forget(log).await;
}

fn garble(path: &Path, at: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

async fn append_works(core: &Core, log: &mut Log) {
    let end = log.log_end_offset().0;
    stage(log, &batch(1, 200, 99), 0);
    flush(core, log).await.unwrap();
    assert_eq!(log.log_end_offset(), Offset(end + 1));
    assert_eq!(bases(core, log, &range(end, 1)).await, [end]);
}

#[test]
fn every_torn_tail_is_cut_at_the_last_whole_batch() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        written(&core, folder.path(), 3, &config).await;
        let path = segment(folder.path(), 0);
        let whole = fs::read(&path).unwrap();
        for len in (2 * BATCH + 1..3 * BATCH).step_by(7) {
            fs::write(&path, &whole[..len as usize]).unwrap();
            let (mut log, recovery) = open(&core, folder.path(), &spec(0, false), &config).await;
            let expected = Finding::TailCut {
                segment: Offset(0),
                position: 2 * BATCH,
                bytes: len - 2 * BATCH,
                log_end_offset: Offset(2),
            };
            assert_eq!(recovery.findings, [expected]);
            assert_eq!(fs::metadata(&path).unwrap().len(), 2 * BATCH);
            append_works(&core, &mut log).await;
        }
    });
}

#[test]
fn the_index_files_that_recovery_leaves_know_the_largest_time() {
    run(|core, folder| async move {
        // The next append rolls, and its machine goes down before the segment is sealed.
        let config = LogConfig { segment_bytes: 3 * BATCH, ..LogConfig::default() };
        written(&core, folder.path(), 3, &config).await;
        let (log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        forget(log).await;
        let times = fs::read(folder.path().join(format!("t-0/{:020}.timeindex", 0))).unwrap();
        assert_eq!(times.last_chunk::<12>(), Some(&[0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2]));
    });
}

#[test]
fn zeroes_after_a_crash_are_a_torn_tail() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        written(&core, folder.path(), 3, &config).await;
        let path = segment(folder.path(), 0);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(3 * BATCH + 100_000).unwrap();
        let (mut log, recovery) = open(&core, folder.path(), &spec(0, false), &config).await;
        assert!(matches!(recovery.findings[..], [Finding::TailCut { bytes: 100_000, .. }]));
        assert_eq!(log.log_end_offset(), Offset(3));
        append_works(&core, &mut log).await;
    });
}

#[test]
fn whole_batches_after_unsynced_damage_are_kept_aside() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: BATCH * 4, ..LogConfig::default() };
        written(&core, folder.path(), 10, &config).await;
        let path = segment(folder.path(), 0);
        let whole = fs::read(&path).unwrap();
        garble(&path, BATCH + 100, b"rot");
        let (mut log, recovery) = open(&core, folder.path(), &spec(0, false), &config).await;
        assert_eq!(log.log_end_offset(), Offset(1));
        let kept = format!("{:020}.log.cut-{BATCH}", 0);
        let found: Vec<_> = recovery
            .findings
            .iter()
            .map(|finding| match finding {
                Finding::CutKept { segment, bytes, kept_in, .. } => {
                    (segment.0, *bytes, kept_in.clone())
                }
                other => panic!("{other}"),
            })
            .collect();
        // What comes after goes first: a crash in between finds the damage again.
        assert_eq!((found[0].0, found[0].1), (8, BATCH * 2));
        assert_eq!(found[1], (4, BATCH * 4, format!("{:020}.log.cut-0", 4)));
        assert_eq!(found[2], (0, BATCH * 3, kept.clone()));
        let cut = fs::read(folder.path().join("t-0").join(kept)).unwrap();
        assert_eq!(cut[BATCH as usize..], whole[2 * BATCH as usize..]);
        append_works(&core, &mut log).await;
        forget(log).await;
        let (log, recovery) = open(&core, folder.path(), &spec(0, false), &config).await;
        assert_eq!((recovery.findings, log.log_end_offset()), (vec![], Offset(2)));
    });
}

#[test]
fn rot_below_the_recovery_point_is_set_aside_and_nothing_is_cut() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        written(&core, folder.path(), 10, &config).await;
        let path = segment(folder.path(), 0);
        garble(&path, 3 * BATCH + 100, b"rot");
        garble(&path, 6 * BATCH, &[0xff; 80]);
        let (mut log, recovery) = open(&core, folder.path(), &spec(10, false), &config).await;
        let ranges: Vec<_> = recovery
            .findings
            .iter()
            .map(|finding| match finding {
                Finding::Quarantined { from, to, .. } => (from.0, to.0),
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(ranges, [(3, 4), (6, 7)]);
        assert_eq!(fs::metadata(&path).unwrap().len(), 10 * BATCH);
        for round in 0..2 {
            assert_eq!(log.log_end_offset(), Offset(10 + round));
            assert_eq!(bases(&core, &log, &range(0, 1 << 20)).await, [0, 1, 2]);
            let error = read(&core, &log, &range(3, 1 << 20)).await.unwrap_err();
            assert!(matches!(error, LogError::Damaged { from: Offset(3), to: Offset(4), .. }));
            assert_eq!(bases(&core, &log, &range(4, 1 << 20)).await, [4, 5]);
            assert_eq!(bases(&core, &log, &range(7, 1 << 20)).await[..3], [7, 8, 9]);
            append_works(&core, &mut log).await;
        }
    });
}

/// Bits of a header that no checksum covers, and one of the count that everybody walks by.
const UNCOVERED: [(u64, u8); 9] =
    [(0, 64), (5, 1), (7, 8), (9, 1), (11, 4), (11, 64), (15, 2), (16, 1), (26, 16)];

#[test]
fn rot_in_the_part_of_a_header_without_checksum_costs_that_batch_alone() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: BATCH * 4, ..LogConfig::default() };
        written(&core, folder.path(), 10, &config).await;
        for (at, bit) in UNCOVERED {
            for offset in [4, 5, 7] {
                let path = segment(folder.path(), 4);
                let whole = fs::read(&path).unwrap();
                let place = (offset - 4) as u64 * BATCH + at;
                garble(&path, place, &[whole[place as usize] ^ bit]);
                let (log, recovery) = open(&core, folder.path(), &spec(10, true), &config).await;
                assert!(recovery.findings.iter().all(|finding| !finding.is_loud()));
                let error = read(&core, &log, &range(offset, 1)).await.unwrap_err();
                let expected = (Offset(offset), Offset(offset + 1));
                let LogError::Damaged { from, to, .. } = error else { panic!("{error}") };
                assert_eq!((from, to), expected, "bit {bit} of byte {at} at offset {offset}");
                let before: Vec<i64> = (4..offset).collect();
                if offset > 4 {
                    assert_eq!(bases(&core, &log, &range(4, 1 << 20)).await, before);
                }
                if offset < 7 {
                    let after: Vec<i64> = (offset + 1..8).collect();
                    assert_eq!(bases(&core, &log, &range(offset + 1, 1 << 20)).await, after);
                }
                assert_eq!(bases(&core, &log, &range(8, 1 << 20)).await, [8, 9]);
                forget(log).await;
                fs::write(&path, whole).unwrap();
            }
        }
    });
}

#[test]
fn a_wrong_header_below_the_recovery_point_is_named_and_nothing_is_cut() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        written(&core, folder.path(), 10, &config).await;
        let path = segment(folder.path(), 0);
        let whole = fs::read(&path).unwrap();
        for (at, bit) in UNCOVERED {
            for offset in [0, 3, 9] {
                let place = offset as u64 * BATCH + at;
                garble(&path, place, &[whole[place as usize] ^ bit]);
                let (log, recovery) = open(&core, folder.path(), &spec(10, false), &config).await;
                let expected = (Offset(offset), Offset(offset + 1));
                assert!(
                    matches!(recovery.findings[..], [Finding::Quarantined { from, to, .. }]
                        if (from, to) == expected),
                    "bit {bit} of byte {at} at offset {offset}: {:?}",
                    recovery.findings
                );
                assert_eq!(log.log_end_offset(), Offset(10));
                assert_eq!(fs::metadata(&path).unwrap().len(), 10 * BATCH);
                assert_eq!(log.latest_epoch(), super::tests::EPOCH);
                forget(log).await;
                fs::write(&path, &whole).unwrap();
            }
        }
    });
}

#[test]
fn a_wrong_offset_above_the_recovery_point_costs_no_batch_its_copy() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        written(&core, folder.path(), 10, &config).await;
        let path = segment(folder.path(), 0);
        garble(&path, 3 * BATCH + 5, &[1]);
        let whole = fs::read(&path).unwrap();
        let (log, recovery) = open(&core, folder.path(), &spec(0, false), &config).await;
        let [Finding::CutKept { bytes, log_end_offset: Offset(3), kept_in, .. }] =
            &recovery.findings[..]
        else {
            panic!("{:?}", recovery.findings)
        };
        assert_eq!((*bytes, log.log_end_offset()), (7 * BATCH, Offset(3)));
        let kept = fs::read(folder.path().join("t-0").join(kept_in)).unwrap();
        assert_eq!(kept, whole[3 * BATCH as usize..]);
    });
}

#[test]
fn a_synced_end_that_is_gone_is_set_aside_and_the_log_goes_on_after_it() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        written(&core, folder.path(), 10, &config).await;
        let path = segment(folder.path(), 0);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(4 * BATCH + 9).unwrap();
        let (mut log, recovery) = open(&core, folder.path(), &spec(10, false), &config).await;
        assert!(matches!(
            recovery.findings[..],
            [Finding::Quarantined { from: Offset(4), to: Offset(10), .. }]
        ));
        for round in 0..2 {
            assert_eq!(log.log_end_offset(), Offset(10 + round));
            let error = read(&core, &log, &range(5, 100)).await.unwrap_err();
            assert!(matches!(error, LogError::Damaged { .. }), "{error}");
            append_works(&core, &mut log).await;
            assert_eq!(
                (log.segment_count(), fs::metadata(&path).unwrap().len()),
                (2, 4 * BATCH + 9)
            );
            forget(log).await;
            log = open(&core, folder.path(), &spec(10 + round, false), &config).await.0;
        }
    });
}

#[test]
fn a_segment_that_lost_its_end_between_batches_ends_the_log() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: BATCH * 4, ..LogConfig::default() };
        written(&core, folder.path(), 10, &config).await;
        let path = segment(folder.path(), 4);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(2 * BATCH).unwrap();
        let (mut log, recovery) = open(&core, folder.path(), &spec(5, false), &config).await;
        assert!(matches!(
            &recovery.findings[..],
            [Finding::CutKept { segment: Offset(8), log_end_offset: Offset(6), .. }]
        ));
        assert_eq!((log.log_end_offset(), log.segment_count()), (Offset(6), 2));
        append_works(&core, &mut log).await;
    });
}

#[test]
fn a_log_that_went_on_at_its_start_offset_is_whole() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        written(&core, folder.path(), 4, &config).await;
        // The start was moved to 6 and checkpointed; a power cut took what was there above 4.
        let spec = LogSpec { log_start_offset: Offset(6), ..spec(4, false) };
        for end in 6..9 {
            let (mut log, recovery) = open(&core, folder.path(), &spec, &config).await;
            assert_eq!((recovery.findings, log.log_end_offset()), (vec![], Offset(end)));
            append_works(&core, &mut log).await;
            forget(log).await;
        }
    });
}

#[test]
fn a_synced_hole_between_segments_is_set_aside_but_in_a_compacted_log() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: BATCH * 4, ..LogConfig::default() };
        written(&core, folder.path(), 10, &config).await;
        let path = segment(folder.path(), 4);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(2 * BATCH).unwrap();
        let compacted = LogConfig { is_compacted: true, is_deleted: false, ..config.clone() };
        let (log, recovery) = open(&core, folder.path(), &spec(7, false), &compacted).await;
        assert_eq!(recovery.findings, []);
        assert_eq!(bases(&core, &log, &range(6, 1)).await, [8]);
        forget(log).await;
        let (log, recovery) = open(&core, folder.path(), &spec(7, false), &config).await;
        assert!(matches!(
            recovery.findings[..],
            [Finding::Quarantined { from: Offset(6), to: Offset(8), .. }]
        ));
        let error = read(&core, &log, &range(6, 1)).await.unwrap_err();
        assert!(matches!(error, LogError::Damaged { from: Offset(6), to: Offset(8), .. }));
        assert_eq!(bases(&core, &log, &range(8, 1 << 20)).await, [8, 9]);
        assert_eq!(bases(&core, &log, &range(4, 1 << 20)).await, [4, 5]);
    });
}

#[test]
fn a_clean_marker_is_not_believed_where_the_end_is_gone() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        written(&core, folder.path(), 10, &config).await;
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        log.close_job().run(&core).await.unwrap();
        forget(log).await;
        let path = segment(folder.path(), 0);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(4 * BATCH).unwrap();
        let (mut log, recovery) = open(&core, folder.path(), &spec(10, true), &config).await;
        assert!(matches!(
            recovery.findings[..],
            [Finding::Quarantined { from: Offset(4), to: Offset(10), .. }]
        ));
        assert_eq!(log.log_end_offset(), Offset(10));
        assert!(read(&core, &log, &range(4, 1)).await.is_err());
        append_works(&core, &mut log).await;
        assert_eq!(log.segment_count(), 2);
    });
}

#[test]
fn offsets_that_were_synced_are_not_used_again_when_the_folder_is_lost() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        written(&core, folder.path(), 10, &config).await;
        fs::remove_dir_all(folder.path().join("t-0")).unwrap();
        let (mut log, _) = open(&core, folder.path(), &spec(10, false), &config).await;
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(10), Offset(10)));
        append_works(&core, &mut log).await;
    });
}

#[test]
fn rot_that_nobody_knew_of_is_found_by_the_reader() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: BATCH * 4, ..LogConfig::default() };
        written(&core, folder.path(), 10, &config).await;
        garble(&segment(folder.path(), 0), 2 * BATCH, &[0; 61]);
        let (log, recovery) = open(&core, folder.path(), &spec(10, true), &config).await;
        // The last segment had not been closed: its index is missing, and that is all.
        assert_eq!(recovery.findings, [Finding::IndexRebuilt { segment: Offset(8) }]);
        let error = read(&core, &log, &range(2, 1)).await.unwrap_err();
        assert!(matches!(error, LogError::Damaged { from: Offset(2), to: Offset(3), .. }));
        assert_eq!(bases(&core, &log, &range(3, 1 << 20)).await, [3]);
        // The span before it was found reached into the damage; now it ends there.
        assert_eq!(bases(&core, &log, &range(0, 1 << 20)).await, [0, 1]);
    });
}

#[test]
fn a_clean_end_is_opened_without_a_scan_and_with_its_producers() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: 4000, ..LogConfig::default() };
        let now = core.wall().0;
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        for sequence in 0..50 {
            stage(&mut log, &batch_of(1, 200, now + i64::from(sequence), Some((5, sequence))), now);
            flush(&core, &mut log).await.unwrap();
        }
        log.close_job().run(&core).await.unwrap();
        assert_eq!(log.recovery_point(), Offset(50));
        forget(log).await;
        let (mut log, recovery) = open(&core, folder.path(), &spec(50, true), &config).await;
        assert!(recovery.bytes_scanned <= 4000 && recovery.findings.is_empty());
        assert_eq!(log.log_end_offset(), Offset(50));
        let again = stage(&mut log, &batch_of(1, 200, now, Some((5, 49))), now);
        assert!(matches!(again, Staged::Duplicate(first) if first.base_offset == Offset(49)));
        for from in 0..50 {
            assert_eq!(bases(&core, &log, &range(from, 1)).await, [from]);
        }
        append_works(&core, &mut log).await;
    });
}

#[test]
fn lost_and_damaged_indexes_are_built_again() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: 60_000, ..LogConfig::default() };
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        for time in 0..600 {
            stage(&mut log, &batch(1, 200, time), 0);
        }
        flush(&core, &mut log).await.unwrap();
        log.close_job().run(&core).await.unwrap();
        let files: Vec<PathBuf> = fs::read_dir(folder.path().join("t-0"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "index" || end == "timeindex"))
            .collect();
        assert_eq!(files.len(), 6);
        let good: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();
        let spoil: [fn(&Path); 3] = [
            |path| fs::remove_file(path).unwrap(),
            |path| fs::write(path, [1, 2, 3]).unwrap(),
            |path| fs::write(path, vec![0xff; 240]).unwrap(),
        ];
        for spoil in spoil {
            forget(log).await;
            for path in &files {
                spoil(path);
            }
            log = open(&core, folder.path(), &spec(600, true), &config).await.0;
            for from in [0, 17, 250, 599] {
                assert_eq!(bases(&core, &log, &range(from, 1)).await, [from]);
            }
            log.close_job().run(&core).await.unwrap();
            for (path, good) in files.iter().zip(&good) {
                assert_eq!(&fs::read(path).unwrap(), good, "{}", path.display());
            }
        }
    });
}

#[test]
fn leftovers_are_removed_and_foreign_files_left_alone() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        written(&core, folder.path(), 3, &config).await;
        let home = folder.path().join("t-0");
        let name = |end: &str| home.join(format!("{:020}{end}", 0));
        for end in [".log.deleted", ".index.cleaned", ".timeindex.swap"] {
            fs::write(name(end), b"x").unwrap();
        }
        fs::write(home.join("00000000000000000007.index"), b"orphan").unwrap();
        fs::write(home.join("notes.txt"), b"mine").unwrap();
        // Kafka's indexes of an active segment are preallocated with zeroes.
        fs::write(name(".index"), vec![0; 10 << 20]).unwrap();
        fs::write(name(".timeindex"), vec![0; 10_485_756]).unwrap();
        let (mut log, recovery) = open(&core, folder.path(), &spec(0, false), &config).await;
        let unknown = Finding::UnknownFile { name: "notes.txt".into() };
        assert_eq!(recovery.findings, [unknown]);
        assert_eq!(log.log_end_offset(), Offset(3));
        append_works(&core, &mut log).await;
        let mut left: Vec<String> = fs::read_dir(&home)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort_unstable();
        // Indexes are there when they are complete: the segment has grown.
        assert_eq!(left.len(), 4, "{left:?}");
    });
}

#[test]
fn a_finished_compaction_takes_its_place() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: BATCH * 2, ..LogConfig::default() };
        written(&core, folder.path(), 6, &config).await;
        let home = folder.path().join("t-0");
        // Segments 0 and 2 were compacted into one that holds the batches 1 and 3.
        let (first, second) = (segment(folder.path(), 0), segment(folder.path(), 2));
        let (one, two) = (fs::read(&first).unwrap(), fs::read(&second).unwrap());
        let compacted = [&one[BATCH as usize..], &two[BATCH as usize..]].concat();
        fs::write(home.join(format!("{:020}.log.swap", 0)), &compacted).unwrap();
        let (log, _) = open(&core, folder.path(), &spec(6, true), &config).await;
        assert_eq!((log.segment_count(), log.log_end_offset()), (2, Offset(6)));
        assert_eq!(bases(&core, &log, &range(0, 1 << 20)).await, [1, 3]);
        assert_eq!(bases(&core, &log, &range(2, 1 << 20)).await, [3]);
        assert_eq!(bases(&core, &log, &range(4, 1 << 20)).await, [4, 5]);
    });
}

#[test]
fn a_folder_of_another_topic_of_the_same_name_is_refused() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        written(&core, folder.path(), 3, &config).await;
        let other = LogSpec { topic_id: crate::model::Uuid([1; 16]), ..spec(0, false) };
        let opened = Log::open(&core, super::tests::dir(folder.path()), other, config).await;
        assert!(matches!(opened, Err(LogError::Corrupt { .. })));
    });
}

#[test]
fn a_bad_snapshot_or_epoch_file_is_made_again_from_the_log() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: 1000, ..LogConfig::default() };
        let now = core.wall().0;
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        for sequence in 0..12 {
            stage(&mut log, &batch_of(1, 200, now, Some((5, sequence))), now);
        }
        flush(&core, &mut log).await.unwrap();
        log.close_job().run(&core).await.unwrap();
        forget(log).await;
        for entry in fs::read_dir(folder.path().join("t-0")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "snapshot") {
                fs::write(&path, b"garbage").unwrap();
            }
        }
        fs::write(folder.path().join("t-0/leader-epoch-checkpoint"), b"garbage").unwrap();
        let (mut log, recovery) = open(&core, folder.path(), &spec(0, false), &config).await;
        let unusable = |f: &Finding| matches!(f, Finding::Unusable { .. });
        assert!(recovery.findings.iter().all(unusable) && !recovery.findings.is_empty());
        assert_eq!(log.end_offset_for_epoch(super::tests::EPOCH).unwrap().1, Offset(12));
        let again = stage(&mut log, &batch_of(1, 200, now, Some((5, 8))), now);
        assert!(matches!(again, Staged::Duplicate(first) if first.base_offset == Offset(8)));
    });
}

#[test]
fn what_a_cut_kept_is_not_overwritten_by_the_next() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: BATCH * 4, ..LogConfig::default() };
        let mut kept = Vec::new();
        for round in 0..3 {
            // The same damage at the same place, in other records each time.
            let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
            for time in log.log_end_offset().0..6 {
                stage(&mut log, &batch(1, 200, 100 * round + time), 0);
            }
            flush(&core, &mut log).await.unwrap();
            forget(log).await;
            garble(&segment(folder.path(), 0), BATCH + 100, b"rot");
            let (log, recovery) = open(&core, folder.path(), &spec(0, false), &config).await;
            assert_eq!(log.log_end_offset(), Offset(1));
            kept.extend(recovery.findings.into_iter().map(|finding| match finding {
                Finding::CutKept { kept_in, .. } => kept_in,
                other => panic!("{other}"),
            }));
            forget(log).await;
        }
        let names: std::collections::BTreeSet<_> = kept.iter().collect();
        assert_eq!(names.len(), 6, "{kept:?}");
        for name in names {
            assert!(folder.path().join("t-0").join(name).exists(), "{name}");
        }
        let (_, recovery) = open(&core, folder.path(), &spec(0, false), &config).await;
        assert_eq!(recovery.findings, [], "kept files are known by their names");
    });
}

/// Opens a log that must lose nothing: it is refused by file and position, and left as it is.
async fn check_refused(core: &Core, path: &Path, spec: LogSpec, config: &LogConfig, at: u64) {
    let spec = LogSpec { refuses_damage: true, ..spec };
    let folder = path.join("t-0");
    let list = || {
        let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = names.map(|path| (fs::read(&path).unwrap(), path)).collect();
        files.sort_by(|a, b| a.1.cmp(&b.1));
        files
    };
    let before = list();
    for _ in 0..2 {
        let dir = super::tests::dir(path);
        let refused = Log::open(core, dir, spec.clone(), config.clone()).await.err();
        let text = refused.expect("the damage is refused").to_string();
        assert!(text.contains(&format!("position {at}, where offset")), "{text}");
        assert!(text.contains("t-0/") && text.contains("fix: "), "{text}");
    }
    assert!(list() == before, "a log that is refused is left as it is");
}

#[test]
fn a_log_that_must_lose_nothing_is_refused_when_it_has() {
    run(|core, folder| async move {
        let path = folder.path();
        let config = LogConfig { segment_bytes: BATCH * 4, ..LogConfig::default() };
        written(&core, path, 10, &config).await;
        // Above the recovery point whole batches follow, in the same file or in the next one.
        for (base, batch, synced) in [(0, 1, 0), (0, 3, 0), (0, 1, 3), (8, 1, 10)] {
            let whole = fs::read(segment(path, base)).unwrap();
            garble(&segment(path, base), batch * BATCH + 100, b"rot");
            check_refused(&core, path, spec(synced, false), &config, batch * BATCH).await;
            fs::write(segment(path, base), &whole).unwrap();
        }
        // What was synced is not there.
        let last = fs::read(segment(path, 8)).unwrap();
        fs::write(segment(path, 8), &last[..BATCH as usize]).unwrap();
        check_refused(&core, path, spec(10, false), &config, BATCH).await;
        // A torn tail that nobody was promised is cut as ever.
        let spec = LogSpec { refuses_damage: true, ..spec(9, false) };
        fs::write(segment(path, 8), &last[..BATCH as usize + 50]).unwrap();
        let (mut log, recovery) = open(&core, path, &spec, &config).await;
        assert!(matches!(recovery.findings[..], [Finding::TailCut { bytes: 50, .. }]));
        append_works(&core, &mut log).await;
    });
}
