//! Idempotent producers: what is sent again is acknowledged with its old offset and not appended
//! again; what does not follow is refused.

mod process;

use highwater::cli::client::Acks;
use highwater::model::{ErrorCode, Offset, ProducerEpoch};
use highwater::protocol::ApiKey;
use highwater::protocol::write::InitProducerIdRequest;
use process::{Broker, append, batch, batch_by, producer_id, read_from, refused, values};

#[test]
fn producer_ids_are_new_each_time_and_begin_at_epoch_0() {
    let broker = Broker::start();
    let mut seen = Vec::new();
    producer_id(&mut broker.client());
    for _ in 0..3 {
        let mut client = broker.client();
        for version in client.versions().common(ApiKey::InitProducerId).unwrap() {
            let request = InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms: 60_000,
                ..InitProducerIdRequest::default()
            };
            let answer = client.connection().call(version, &request, &[]).unwrap();
            let view = answer.view();
            assert_eq!((view.error_code, view.producer_epoch), (0, 0), "version {version}");
            assert!(view.producer_id >= 0);
            seen.push(view.producer_id);
        }
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn a_batch_sent_again_has_its_old_offset_and_is_not_appended_again() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("again", 1, &[]), broker.client());
    let producer = producer_id(&mut client);
    append(&mut client, &topic, 0, &batch(&["of somebody else"]));
    let mut sent = vec!["of somebody else".to_owned()];
    let mut batches = Vec::new();
    for turn in 0..6 {
        let texts = [format!("{turn} a"), format!("{turn} b")];
        let bytes = batch_by(producer, turn * 2, &[&texts[0], &texts[1]]);
        let offset = append(&mut client, &topic, 0, &bytes);
        assert_eq!(offset, Offset(1 + i64::from(turn) * 2));
        batches.push((bytes, offset));
        sent.extend(texts);
    }
    // The last five are remembered, in any order.
    for index in [5, 1, 3, 5, 2, 4, 1] {
        let (bytes, offset) = &batches[index];
        assert_eq!(append(&mut client, &topic, 0, bytes), *offset, "batch {index}");
    }
    let forgotten = refused(client.produce(&topic, 0, Acks::All, &batches[0].0));
    assert!(
        [ErrorCode::OutOfOrderSequenceNumber, ErrorCode::DuplicateSequenceNumber]
            .contains(&forgotten),
        "{forgotten}"
    );
    assert_eq!(values(&read_from(&mut client, &topic, 0, Offset::ZERO)), sent);
}

#[test]
fn a_gap_in_the_sequence_is_refused_and_the_right_batch_still_taken() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("gap", 1, &[]), broker.client());
    let producer = producer_id(&mut client);
    append(&mut client, &topic, 0, &batch_by(producer, 0, &["0", "1"]));
    for sequence in [3, 1, 1000] {
        let gap = batch_by(producer, sequence, &["gap"]);
        let error = refused(client.produce(&topic, 0, Acks::All, &gap));
        assert_eq!(error, ErrorCode::OutOfOrderSequenceNumber, "sequence {sequence}");
    }
    assert_eq!(append(&mut client, &topic, 0, &batch_by(producer, 2, &["2"])), Offset(2));
    assert_eq!(values(&read_from(&mut client, &topic, 0, Offset::ZERO)), ["0", "1", "2"]);
}

#[test]
fn a_newer_epoch_begins_at_sequence_0_and_fences_the_older() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("epochs", 1, &[]), broker.client());
    let (id, epoch) = producer_id(&mut client);
    let newer = (id, ProducerEpoch(epoch.0 + 1));
    append(&mut client, &topic, 0, &batch_by((id, epoch), 0, &["old"]));
    let error = refused(client.produce(&topic, 0, Acks::All, &batch_by(newer, 5, &["x"])));
    assert_eq!(error, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(append(&mut client, &topic, 0, &batch_by(newer, 0, &["new"])), Offset(1));
    let old = batch_by((id, epoch), 1, &["too late"]);
    let error = refused(client.produce(&topic, 0, Acks::All, &old));
    assert_eq!(error, ErrorCode::InvalidProducerEpoch);
}

#[test]
fn sequences_are_of_a_partition_and_wrap_around_after_the_largest() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("partitions", 2, &[]), broker.client());
    let producer = producer_id(&mut client);
    for partition in 0..2 {
        let offset = append(&mut client, &topic, partition, &batch_by(producer, 0, &["0"]));
        assert_eq!(offset, Offset::ZERO);
    }
    // A producer that the partition does not know may begin anywhere.
    let (last, topic) = (i32::MAX, broker.topic("wraps", 1, &[]));
    append(&mut client, &topic, 0, &batch_by(producer, last - 1, &["a"]));
    append(&mut client, &topic, 0, &batch_by(producer, last, &["b", "c"]));
    assert_eq!(append(&mut client, &topic, 0, &batch_by(producer, 1, &["d"])), Offset(3));
}

#[test]
fn producer_fields_that_contradict_each_other_are_refused() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("fields", 1, &[]), broker.client());
    let (id, epoch) = producer_id(&mut client);
    // Kafka takes the second for an epoch that is merely old.
    for (epoch, sequence) in [(epoch, -1), (ProducerEpoch(-2), 0)] {
        let bytes = batch_by((id, epoch), sequence, &["x"]);
        let code = refused(client.produce(&topic, 0, Acks::All, &bytes));
        assert!(
            [ErrorCode::InvalidRecord, ErrorCode::InvalidProducerEpoch].contains(&code),
            "epoch {epoch}, sequence {sequence}: {code}"
        );
    }
    assert_eq!(append(&mut client, &topic, 0, &batch_by((id, epoch), 0, &["x"])), Offset::ZERO);
}
