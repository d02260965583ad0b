//! `highwater dump-log` of the whole process: what it prints, how it ends, and that a folder which a
//! broker holds is read without a word of damage.

mod process;

use process::{PATIENCE, Process, append, batch, free_address, highwater};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn dump(arguments: &[&str], path: &Path) -> Output {
    let mut command = highwater();
    command.arg("dump-log").args(arguments).arg(path).output().expect("the program starts")
}

fn status(output: &Output) -> i32 {
    output.status.code().expect("it ends by itself")
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("what it prints is UTF-8")
}

fn rows(output: &Output) -> Vec<Value> {
    let row = |line: &str| {
        let mut row: Value = serde_json::from_str(line).expect("a line is JSON");
        assert_eq!((row["_cmd"].as_str(), row["_v"].as_i64()), (Some("dump-log"), Some(1)));
        row["data"].take()
    };
    text(output).lines().map(row).collect()
}

/// A partition that Kafka wrote: `partition` after a clean stop, `crashed` while it ran.
fn kafkas(folder: &Path, which: &str) -> PathBuf {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/golden/kafka-partition.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).arg("-C").arg(folder);
    assert!(tar.status().expect("tar starts").success());
    folder.join(which).join("story-0")
}

fn log_of(partition: &Path) -> PathBuf {
    let mut logs: Vec<_> =
        std::fs::read_dir(partition).unwrap().map(|e| e.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|end| end == "log"));
    logs.sort();
    logs.remove(0)
}

#[test]
fn what_kafka_wrote_is_whole_and_told_as_it_lists_it() {
    let folder = tempfile::tempdir().unwrap();
    for which in ["partition", "crashed"] {
        let partition = kafkas(folder.path(), which);
        let verified = dump(&["--verify", "--deep"], &partition);
        assert_eq!(status(&verified), 0, "{}", text(&verified));
    }
    let partition = folder.path().join("partition/story-0");
    let listed = std::fs::read_to_string(folder.path().join("batches.tsv")).unwrap();
    let shown = rows(&dump(&["--format", "json"], &partition));
    let batches: Vec<_> = shown.iter().filter(|row| row["kind"] == "batch").collect();
    // Columns: file, position, bytes, first offset, and more.
    let of = |row: &&Value| {
        let file = Path::new(row["file"].as_str().unwrap()).file_name().unwrap().to_str().unwrap();
        let numbers = ["position", "size", "base_offset"].map(|field| row[field].to_string());
        format!("{file}\t{}", numbers.join("\t"))
    };
    let expected: Vec<_> = listed
        .lines()
        .map(|line| line.split('\t').take(4).collect::<Vec<_>>().join("\t"))
        .collect();
    assert_eq!(batches.iter().map(of).collect::<Vec<_>>(), expected);
    let records = rows(&dump(&["--format", "json", "--keys-values"], &partition));
    let listed = std::fs::read_to_string(folder.path().join("records.tsv")).unwrap();
    let count = records.iter().filter(|row| row["kind"] == "record").count();
    assert_eq!(count, listed.lines().count());
}

#[test]
fn damage_ends_with_nine_and_is_named_by_file_position_and_offset() {
    let folder = tempfile::tempdir().unwrap();
    let partition = kafkas(folder.path(), "partition");
    let log = log_of(&partition);
    let mut bytes = std::fs::read(&log).unwrap();
    let length = i32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
    let second = 12 + length;
    bytes[second + 70] ^= 4;
    std::fs::write(&log, &bytes).unwrap();
    let verified = dump(&["--verify", "--format", "json"], &partition);
    assert_eq!(status(&verified), 9);
    let rows = rows(&verified);
    let damage = rows.iter().find(|row| row["kind"] == "damage").unwrap();
    assert_eq!(damage["file"].as_str().map(Path::new), Some(&*log));
    assert_eq!(damage["position"].as_u64(), Some(second as u64));
    assert!(damage["offset"].as_i64().unwrap() > 0 && damage["reason"].as_str().is_some());
    let summary = rows.last().unwrap();
    assert_eq!(
        (summary["kind"].as_str(), summary["partitions"].as_u64()),
        (Some("summary"), Some(1))
    );
    assert_eq!(summary["damaged"].as_u64(), Some(rows.len() as u64 - 1));
    // It reads, and nothing else.
    assert_eq!(std::fs::read(&log).unwrap(), bytes);
    let shown = dump(&[], &log);
    assert!(text(&shown).contains("DAMAGED: its CRC-32C is not"));
    assert_eq!(status(&shown), 9);
}

#[test]
fn what_is_no_log_is_refused_with_words_and_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "x").unwrap();
    for (path, number, words) in [
        (file.clone(), 2, "is no file of a log: its name must end with .log"),
        (folder.path().join("gone"), 5, "cannot read"),
        (folder.path().to_path_buf(), 5, "has no partition's folder"),
    ] {
        let ended = dump(&[], &path);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(status(&ended), number, "{said}");
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(status(&dump(&["--verify", "--records"], &file)), 2);
}

#[test]
fn a_pipe_that_is_closed_is_a_quiet_end() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_of(&kafkas(folder.path(), "partition"));
    let program = highwater();
    let line = format!(
        "{} dump-log --deep {log} {log} {log} {log} | head -n 1; echo ${{PIPESTATUS[0]}}",
        program.get_program().display(),
        log = log.display()
    );
    let ended = Command::new("bash").args(["-c", &line]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    assert_eq!(text(&ended).lines().last(), Some("0"));
}

/// While producers write, while groups commit, after a kill, and after a stop.
#[test]
fn a_directory_in_use_is_whole_at_every_moment() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let small = ["--override", "log.segment.bytes=1048576"];
    let broker = Process::start_with(folder.path(), address, &small);
    let mut client = broker.client();
    client.create_topic("orders", 3, &[]).unwrap();
    client.await_topic("orders", PATIENCE).unwrap();
    let data = folder.path().join("data");
    let verify = |when: &str| {
        let verified = dump(&["--verify", "--deep"], &data);
        assert_eq!(status(&verified), 0, "{when}: {}", text(&verified));
        text(&verified)
    };
    let writer = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let value = "x".repeat(20_000);
            for index in 0..300 {
                append(&mut client, "orders", index % 3, &batch(&[&*value; 5]));
            }
        });
        while !writer.is_finished() {
            verify("while it is written");
        }
        writer.join()
    });
    writer.unwrap();
    verify("after the last acknowledgement");
    broker.kill();
    verify("after a kill");
    let broker = Process::start_with(folder.path(), address, &small);
    assert!(broker.stop().success());
    let told = verify("after a stop");
    assert!(told.contains(": whole ("), "{told}");
}
