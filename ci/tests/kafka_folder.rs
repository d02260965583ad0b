//! A partition folder as a real Kafka wrote it, put into our data folder: the broker serves every
//! batch and every record of it, and goes on where Kafka stopped.

mod process;

use highwater::base::crc32c;
use highwater::cli::batches::Batch;
use highwater::cli::client::{Client, EARLIEST, LATEST, MAX_TIMESTAMP};
use highwater::model::{Offset, Timestamp, TopicId, Uuid};
use process::{PATIENCE, Process, append, base_time, batch, batch_by, free_address, read_from};
use std::path::Path;
use std::process::Command;

const END: Offset = Offset(2115);

fn rows(lists: &Path, name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(lists.join(name)).unwrap();
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// A data folder with Kafka's files in place of ours: our own topic of the name, whose id its
/// folder must name (Kafka's names the id that the topic had there).
fn prepare(folder: &Path, kafkas: &str, lists: &Path) {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/golden/kafka-partition.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).arg("-C").arg(lists);
    assert!(tar.status().expect("tar starts").success());
    let broker = Process::start_in(folder, free_address());
    let mut client = broker.client();
    // The records are of 2023.
    let configs = [("segment.bytes", "1048576"), ("retention.ms", "-1")];
    let id = client.create_topic("story", 1, &configs).unwrap();
    client.await_topic("story", PATIENCE).unwrap();
    match kafkas {
        "crashed" => broker.kill(),
        _ => assert!(broker.stop().success()),
    }
    let ours = folder.join("data/story-0");
    assert!(!ours.exists(), "a partition without records has no folder yet");
    std::fs::rename(lists.join(kafkas).join("story-0"), &ours).unwrap();
    name_topic(&ours, id);
}

fn name_topic(folder: &Path, id: TopicId) {
    let path = folder.join("partition.metadata");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, _) = text.split_once("topic_id: ").expect("Kafka names the topic");
    std::fs::write(&path, format!("{head}topic_id: {id}\n")).unwrap();
}

fn check_batches(batches: &[Batch], rows: &[Vec<String>]) {
    assert_eq!(batches.len(), rows.len());
    for (batch, row) in batches.iter().zip(rows) {
        let header = &batch.header;
        let found = [
            batch.bytes.len().to_string(),
            header.base_offset.to_string(),
            header.last_offset().to_string(),
            batch.records.len().to_string(),
            header.attributes.codec().unwrap().to_string(),
            header.crc.to_string(),
            header.producer_id.to_string(),
            header.producer_epoch.to_string(),
            header.base_sequence.to_string(),
            header.max_timestamp.to_string(),
        ];
        assert_eq!(found, row[2..], "{row:?}");
    }
}

fn check_records(batches: &[Batch], rows: &[Vec<String>]) {
    let crc = |bytes: &Option<Vec<u8>>| {
        bytes.as_ref().map_or("-".to_owned(), |bytes| crc32c::checksum(bytes).to_string())
    };
    let records = batches.iter().flat_map(|batch| &batch.records);
    let found: Vec<Vec<String>> = records
        .map(|record| {
            let (offset, timestamp) = (record.offset.to_string(), record.timestamp.to_string());
            vec![offset, timestamp, crc(&record.key), crc(&record.value)]
        })
        .collect();
    assert_eq!(found, rows);
}

/// Every place and time that a client can ask for.
fn check_offsets(client: &mut Client, rows: &[Vec<String>]) {
    let mut place = |at| client.list_offset("story", 0, at).unwrap().offset;
    assert_eq!((place(EARLIEST), place(LATEST)), (Offset::ZERO, END));
    let number = |text: &String| text.parse::<i64>().unwrap();
    let listed: Vec<(i64, i64)> =
        rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect();
    for (_, time) in listed.iter().step_by(101) {
        let first = listed.iter().find(|(_, other)| other >= time).expect("itself");
        assert_eq!(place(Timestamp(*time)).0, first.0, "at or after {time}");
    }
    let largest = listed.iter().map(|(_, time)| *time).max().unwrap();
    let newest = listed.iter().find(|(_, time)| *time == largest).unwrap();
    assert_eq!(place(MAX_TIMESTAMP).0, newest.0);
}

fn check_served(broker: &Process, lists: &Path, end: Offset) {
    let mut client = broker.client();
    client.await_topic("story", PATIENCE).unwrap();
    let mut batches = read_from(&mut client, "story", 0, Offset::ZERO);
    batches.retain(|batch| batch.header.base_offset < END);
    check_batches(&batches, &rows(lists, "batches.tsv"));
    check_records(&batches, &rows(lists, "records.tsv"));
    // A fetch from the middle of a batch gives the whole batch.
    let middle = read_from(&mut client, "story", 0, Offset(1003));
    assert!(middle[0].header.base_offset < Offset(1003));
    assert_eq!(middle.last().unwrap().header.next_offset(), end);
}

fn serves(kafkas: &str) {
    let (folder, lists) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    prepare(folder.path(), kafkas, lists.path());
    let address = free_address();
    let broker = Process::start_in(folder.path(), address);
    check_served(&broker, lists.path(), END);
    let mut client = broker.client();
    client.await_topic("story", PATIENCE).unwrap();
    check_offsets(&mut client, &rows(lists.path(), "records.tsv"));
    assert_eq!(append(&mut client, "story", 0, &batch(&["ours"])), END);
    let producer = process::producer_id(&mut client);
    append(&mut client, "story", 0, &batch_by(producer, 0, &["ours too"]));
    let found = client.list_offset("story", 0, Timestamp(base_time())).unwrap();
    // One record of Kafka's has the time of the recording, which is before that of this test.
    assert_eq!(found.offset, END);
    broker.kill();
    let broker = Process::start_in(folder.path(), address);
    check_served(&broker, lists.path(), END.plus(2));
    broker.stop();
    let broker = Process::start_in(folder.path(), address);
    check_served(&broker, lists.path(), END.plus(2));
}

#[test]
fn a_folder_that_kafka_closed_is_served_and_goes_on() {
    serves("partition");
}

#[test]
fn a_folder_that_kafka_left_in_the_middle_of_its_work_is_served_and_goes_on() {
    serves("crashed");
}

#[test]
fn a_folder_of_another_topic_of_the_name_is_refused_by_name() {
    let (folder, lists) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    prepare(folder.path(), "partition", lists.path());
    name_topic(&folder.path().join("data/story-0"), Uuid([7; 16]));
    let mut broker = Process::attempt(folder.path(), free_address(), &[]);
    assert!(!broker.ended().success());
    let log = broker.log();
    for words in ["story-0", "partition.metadata", &Uuid([7; 16]).to_string()] {
        assert!(log.contains(words), "it names {words}:\n{log}");
    }
}
