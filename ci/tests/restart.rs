//! Stopped or killed and started again: everything that was acknowledged is there.

mod process;

use highwater::cli::client::{Acks, Client, FetchLimits, fetch_request, produce_request};
use highwater::model::{ErrorCode, Offset, TopicId};
use highwater::protocol::ApiKey;
use highwater::protocol::write::ProduceRequest;
use highwater::record::Codec;
use process::{
    PATIENCE, Process, append, base_time, batch, batch_by, batch_of, free_address, producer_id,
    read_from, refused, values,
};
use std::path::Path;
use std::time::Duration;

const PARTITIONS: i32 = 4;

/// What a test has seen acknowledged, by partition.
#[derive(Default)]
struct Acknowledged([Vec<String>; PARTITIONS as usize]);

impl Acknowledged {
    fn append(&mut self, client: &mut Client, topic: &str, partition: i32, text: &str) {
        let ours = &mut self.0[partition as usize];
        let bytes = batch_of(&[text], base_time(), Codec::ALL[ours.len() % 5]);
        let offset = append(client, topic, partition, &bytes);
        assert_eq!(offset, Offset(ours.len() as i64));
        ours.push(text.to_owned());
    }

    fn check(&self, client: &mut Client, topic: &str) {
        for (partition, expected) in self.0.iter().enumerate() {
            let read = read_from(client, topic, partition as i32, Offset::ZERO);
            assert_eq!(values(&read), *expected, "partition {partition}");
        }
    }
}

#[test]
fn a_stop_loses_nothing_and_ends_well() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let mut seen = Acknowledged::default();
    let mut id = TopicId::ZERO;
    for round in 0..3 {
        let broker = Process::start_in(folder.path(), address);
        let mut client = broker.client();
        if round == 0 {
            id = client.create_topic("kept", PARTITIONS, &[]).unwrap();
        }
        assert_eq!(client.await_topic("kept", PATIENCE).unwrap().id, id, "round {round}");
        seen.check(&mut client, "kept");
        for turn in 0..20 {
            seen.append(&mut client, "kept", turn % PARTITIONS, &format!("{round} {turn}"));
        }
        let status = broker.stop();
        // A JVM that was asked to stop ends with 128 + 15 after it has done so.
        assert!(status.success() || status.code() == Some(143), "{status}");
    }
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let mut seen = Acknowledged::default();
    for round in 0..3 {
        let broker = Process::start_in(folder.path(), address);
        let mut client = broker.client();
        if round == 0 {
            client.create_topic("kept", PARTITIONS, &[]).unwrap();
        }
        client.await_topic("kept", PATIENCE).unwrap();
        seen.check(&mut client, "kept");
        for turn in 0..20 {
            seen.append(&mut client, "kept", turn % PARTITIONS, &format!("{round} {turn}"));
        }
        broker.kill();
    }
    let broker = Process::start_in(folder.path(), address);
    broker.client().await_topic("kept", PATIENCE).unwrap();
    seen.check(&mut broker.client(), "kept");
}

/// Sends requests ahead, takes some answers, kills the broker, takes what answers are left. Gives
/// the values that were acknowledged, in order; all that were sent are `"{round}-{0..}"`.
fn killed_under_load(broker: Process, round: usize, sent_count: usize) -> Vec<String> {
    let mut client = broker.client();
    client.await_topic("loaded", PATIENCE).unwrap();
    let id = client.topic_id("loaded").unwrap();
    let version = client.versions().newest(ApiKey::Produce).unwrap();
    let connection = client.connection();
    for number in 0..sent_count {
        let batch = batch(&[&format!("{round}-{number}")]);
        let request = produce_request("loaded", id, 0, Acks::All, batch.len());
        connection.send(version, &request, &[&batch]).unwrap();
    }
    let (mut acknowledged, mut broker) = (Vec::new(), Some(broker));
    loop {
        if acknowledged.len() == sent_count / 4
            && let Some(broker) = broker.take()
        {
            broker.kill();
        }
        if acknowledged.len() == sent_count {
            return acknowledged;
        }
        let Ok(answer) = connection.receive::<ProduceRequest<'_>>() else { return acknowledged };
        let topics = answer.view().responses;
        let found = topics.first().unwrap().partition_responses.first().unwrap();
        assert_eq!(found.error_code, 0);
        acknowledged.push(format!("{round}-{}", acknowledged.len()));
    }
}

#[test]
fn a_kill_under_load_keeps_what_was_acknowledged_in_order_and_offsets_dense() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let mut before: Vec<String> = Vec::new();
    for round in 0..3 {
        let broker = Process::start_in(folder.path(), address);
        if round == 0 {
            broker.client().create_topic("loaded", 1, &[]).unwrap();
        }
        let acknowledged = killed_under_load(broker, round, 400);
        let broker = Process::start_in(folder.path(), address);
        let mut client = broker.client();
        client.await_topic("loaded", PATIENCE).unwrap();
        let read = values(&read_from(&mut client, "loaded", 0, Offset::ZERO));
        assert_eq!(read[..before.len()], before, "what earlier rounds found is unchanged");
        let new = &read[before.len()..];
        assert!(new.len() >= acknowledged.len(), "{} of {}", new.len(), acknowledged.len());
        // Requests without an answer may have been carried out too: in order, none left out.
        let expected: Vec<String> =
            (0..new.len()).map(|number| format!("{round}-{number}")).collect();
        assert_eq!(new, expected);
        let next = append(&mut client, "loaded", 0, &batch(&["after"]));
        assert_eq!(next, Offset(read.len() as i64));
        before = [read, vec!["after".to_owned()]].concat();
        broker.kill();
    }
}

#[test]
fn what_an_idempotent_producer_sends_again_after_a_restart_is_known() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let broker = Process::start_in(folder.path(), address);
    let mut client = broker.client();
    client.create_topic("idempotent", 1, &[]).unwrap();
    client.await_topic("idempotent", PATIENCE).unwrap();
    let producer = producer_id(&mut client);
    let batches: Vec<Vec<u8>> =
        (0..3).map(|number| batch_by(producer, number, &[&number.to_string()])).collect();
    for batch in &batches {
        append(&mut client, "idempotent", 0, batch);
    }
    let again = |broker: Process| {
        let mut client = broker.client();
        client.await_topic("idempotent", PATIENCE).unwrap();
        // Kafka's snapshots of producers hold the last batch of each, so that is what is known.
        assert_eq!(append(&mut client, "idempotent", 0, &batches[2]), Offset(2));
        let gap = batch_by(producer, 9, &["gap"]);
        let error = refused(client.produce("idempotent", 0, Acks::All, &gap));
        assert_eq!(error, ErrorCode::OutOfOrderSequenceNumber);
        assert_ne!(producer_id(&mut client).0, producer.0, "ids are not given twice");
        broker
    };
    broker.kill();
    again(Process::start_in(folder.path(), address)).stop();
    again(Process::start_in(folder.path(), address)).kill();
}

#[test]
fn topics_are_what_they_were_and_deleted_ones_stay_away() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let broker = Process::start_in(folder.path(), address);
    let mut client = broker.client();
    let configs = [("max.message.bytes", "1000")];
    let id = client.create_topic("small", 3, &configs).unwrap();
    client.create_topic("deleted", 1, &[]).unwrap();
    client.await_topic("deleted", PATIENCE).unwrap();
    append(&mut client, "deleted", 0, &batch(&["x"]));
    client.delete_topic("deleted").unwrap();
    broker.kill();
    for _ in 0..2 {
        let broker = Process::start_in(folder.path(), address);
        let mut client = broker.client();
        let topic = client.await_topic("small", PATIENCE).unwrap();
        assert_eq!((topic.id, topic.partition_count), (id, 3));
        let large = batch(&["x".repeat(2000).as_str()]);
        let error = refused(client.produce("small", 2, Acks::All, &large));
        assert_eq!(error, ErrorCode::MessageTooLarge, "its settings are kept");
        let error = refused(client.topic("deleted", false));
        assert_eq!(error, ErrorCode::UnknownTopicOrPartition);
        broker.stop();
    }
    let broker = Process::start_in(folder.path(), address);
    let mut client = broker.client();
    client.create_topic("deleted", 1, &[]).unwrap();
    client.await_topic("deleted", PATIENCE).unwrap();
    assert!(read_from(&mut client, "deleted", 0, Offset::ZERO).is_empty());
}

#[test]
fn a_broker_stops_although_clients_wait_for_it() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let broker = Process::start_in(folder.path(), address);
    let mut client = broker.client();
    let id = client.create_topic("waited", 1, &[]).unwrap();
    client.await_topic("waited", PATIENCE).unwrap();
    let limits = FetchLimits { max_wait: Duration::from_secs(600), ..FetchLimits::default() };
    let request = fetch_request("waited", id, 0, Offset::ZERO, limits);
    let version = client.versions().newest(ApiKey::Fetch).unwrap();
    client.connection().send(version, &request, &[]).unwrap();
    let idle = broker.client();
    broker.stop();
    drop(idle);
}

#[test]
fn a_folder_that_belongs_to_no_topic_is_put_aside_and_never_read_as_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let process = Process::start_in(folder.path(), address);
    let mut client = process.client();
    client.create_topic("old", 1, &[]).unwrap();
    client.await_topic("old", PATIENCE).unwrap();
    for value in ["one", "two", "three"] {
        append(&mut client, "old", 0, &batch(&[value]));
    }
    assert!(process.stop().success());
    // As a crash in the middle of a deletion leaves it: a folder, and no topic of its name.
    let data = folder.path().join("data");
    std::fs::create_dir(data.join("new-0")).unwrap();
    for entry in std::fs::read_dir(data.join("old-0")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), data.join("new-0").join(entry.file_name())).unwrap();
    }
    let process = Process::start_in(folder.path(), address);
    let names = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name());
    let strays: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with("-stray")).collect();
    assert_eq!(strays.len(), 1, "{strays:?}");
    let mut client = process.client();
    client.create_topic("new", 1, &[]).unwrap();
    client.await_topic("new", PATIENCE).unwrap();
    append(&mut client, "new", 0, &batch(&["its own"]));
    process.kill();
    let process = Process::start_in(folder.path(), address);
    let mut client = process.client();
    assert_eq!(values(&read_from(&mut client, "new", 0, Offset::ZERO)), ["its own"]);
    assert_eq!(values(&read_from(&mut client, "old", 0, Offset::ZERO)).len(), 3);
}

#[test]
fn a_new_data_folder_before_the_old_one_does_not_make_the_topics_go() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let process = Process::start_in(folder.path(), address);
    let mut client = process.client();
    client.create_topic("kept", 1, &[]).unwrap();
    client.await_topic("kept", PATIENCE).unwrap();
    append(&mut client, "kept", 0, &batch(&["still here"]));
    assert!(process.stop().success());
    let (new, old) = (folder.path().join("another"), folder.path().join("data"));
    let dirs = format!("log.dirs={},{}", new.display(), old.display());
    let process = Process::attempt(folder.path(), address, &["--override", &dirs]).ready();
    let mut client = process.client();
    assert_eq!(values(&read_from(&mut client, "kept", 0, Offset::ZERO)), ["still here"]);
}

/// The lines of a checkpoint file that speak of a topic.
fn lines_of(folder: &Path, file: &str, topic: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("data").join(file)).unwrap();
    let is_of = |line: &&str| line.split(' ').next() == Some(topic);
    text.lines().filter(is_of).map(str::to_owned).collect()
}

#[test]
fn checkpoints_do_not_name_a_topic_whose_deletion_was_answered() {
    const FILES: [&str; 2] = ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"];
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let names: Vec<String> = (0..10).map(|index| format!("gone-{index}")).collect();
    let broker = Process::start_in(folder.path(), address);
    let mut client = broker.client();
    for name in &names {
        client.create_topic(name, 1, &[]).unwrap();
        client.await_topic(name, PATIENCE).unwrap();
        append(&mut client, name, 0, &batch(&["one", "two"]));
    }
    assert!(broker.stop().success());
    for file in FILES {
        assert_eq!(lines_of(folder.path(), file, "gone-0"), ["gone-0 0 2"]);
    }
    let broker = Process::start_in(folder.path(), address);
    let mut client = broker.client();
    for name in &names {
        client.delete_topic(name).unwrap();
        for file in FILES {
            assert_eq!(lines_of(folder.path(), file, name), [""; 0], "{file}");
        }
    }
    broker.kill();
    // As a kill in the middle of a deletion leaves it.
    let file = folder.path().join("data").join(FILES[0]);
    std::fs::write(&file, "0\n1\ngone-0 0 2\n").unwrap();
    let _broker = Process::start_in(folder.path(), address);
    assert_eq!(lines_of(folder.path(), FILES[0], "gone-0"), [""; 0]);
    assert_eq!(lines_of(folder.path(), FILES[0], "__cluster_metadata").len(), 1);
}

#[test]
fn damaged_metadata_are_refused_by_name_and_left_as_they_are() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    for is_killed in [false, true] {
        let broker = Process::start_in(folder.path(), address);
        let mut client = broker.client();
        for name in ["one", "two", "three"] {
            if client.topic(name, false).is_err() {
                client.create_topic(name, 1, &[]).unwrap();
            }
        }
        if is_killed {
            broker.kill();
        } else {
            assert!(broker.stop().success());
        }
        let log = folder.path().join("data/__cluster_metadata-0/00000000000000000000.log");
        let whole = std::fs::read(&log).unwrap();
        let mut rotten = whole.clone();
        rotten[whole.len() / 3] ^= 0x20;
        std::fs::write(&log, &rotten).unwrap();
        for _ in 0..2 {
            let mut broker = Process::attempt(folder.path(), address, &[]);
            assert!(!broker.ended().success(), "{}", broker.log());
            let said = broker.log();
            for word in ["00000000000000000000.log", "damaged at position", "offset", "fix: "] {
                assert!(said.contains(word), "it says '{word}':\n{said}");
            }
        }
        assert!(std::fs::read(&log).unwrap() == rotten, "the file is left as it is");
        std::fs::write(&log, &whole).unwrap();
        let broker = Process::start_in(folder.path(), address);
        for name in ["one", "two", "three"] {
            broker.client().await_topic(name, PATIENCE).unwrap();
        }
        broker.kill();
    }
}

#[test]
fn a_checkpoint_that_makes_no_sense_costs_a_scan_and_no_start() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let broker = Process::start_in(folder.path(), address);
    let mut client = broker.client();
    client.create_topic("kept", 1, &[]).unwrap();
    client.await_topic("kept", PATIENCE).unwrap();
    append(&mut client, "kept", 0, &batch(&["one", "two"]));
    broker.kill();
    for file in ["recovery-point-offset-checkpoint", "log-start-offset-checkpoint"] {
        for bytes in [&b"0\n9\nkept 0"[..], b"", b"\xff\xfe"] {
            std::fs::write(folder.path().join("data").join(file), bytes).unwrap();
            let broker = Process::start_in(folder.path(), address);
            assert!(broker.log().contains(file), "{}", broker.log());
            let read = read_from(&mut broker.client(), "kept", 0, Offset::ZERO);
            assert_eq!(values(&read), ["one", "two"]);
            broker.kill();
        }
    }
}
