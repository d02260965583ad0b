//! What the broker says that it serves, and how it refuses what it does not serve yet.

mod process;

use highwater::cli::client::{Acks, Client, produce_request};
use highwater::controller::{METADATA_VERSION, METADATA_VERSION_LEVEL};
use highwater::model::{ErrorCode, Offset};
use highwater::protocol::ApiKey;
use highwater::protocol::write::{
    ApiVersionsRequest, FindCoordinatorRequest, InitProducerIdRequest, ProduceRequest,
};
use highwater::record::BatchBuilder;
use process::{Broker, append, base_time, batch, build, producer_id};

const NO_TRANSACTIONS: &str = "transactions are not served yet";
/// `FindCoordinator.KeyType`.
const TRANSACTION: i8 = 1;
/// First version of Produce whose answer has words.
const MESSAGE_FROM: i16 = 8;

/// A feature and its levels: smallest, largest.
type Feature = (String, i16, i16);

/// Supported and finalized features in an ApiVersions answer, and the epoch of the latter.
fn features(client: &mut Client, version: i16) -> (Vec<Feature>, Vec<Feature>, i64) {
    let request = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1".into(),
    };
    let answer = client.connection().call(version, &request, &[]).unwrap();
    let view = answer.view();
    assert_eq!(view.error_code, 0, "version {version}");
    let supported = view.supported_features.iter();
    let finalized = view.finalized_features.iter();
    (
        supported.map(|one| (one.name.to_owned(), one.min_version, one.max_version)).collect(),
        finalized
            .map(|one| (one.name.to_owned(), one.min_version_level, one.max_version_level))
            .collect(),
        view.finalized_features_epoch,
    )
}

#[test]
fn features_that_are_not_built_are_at_level_0_and_old_clients_are_not_told_of_them() {
    let broker = Broker::start();
    let mut client = broker.client();
    let metadata = (METADATA_VERSION.to_owned(), METADATA_VERSION_LEVEL, METADATA_VERSION_LEVEL);
    for version in client.versions().common(ApiKey::ApiVersions).unwrap() {
        let (supported, finalized, epoch) = features(&mut client, version);
        if version < 3 {
            assert!(supported.is_empty() && finalized.is_empty(), "version {version}");
            continue;
        }
        // Finalized is what is in force: a feature that is not named is at level 0.
        assert_eq!(finalized, std::slice::from_ref(&metadata), "version {version}");
        assert!(epoch >= 0, "version {version}: the epoch is that of a log");
        assert!(supported.contains(&metadata), "version {version}");
        let unbuilt = ["group.version", "share.version", "streams.version", "transaction.version"];
        for name in unbuilt {
            let found = supported.iter().find(|(feature, ..)| feature == name);
            // KAFKA-17011: up to version 3 a smallest level of 0 cannot be read.
            let expected = (version >= 4).then(|| (name.to_owned(), 0, 0));
            assert_eq!(found, expected.as_ref(), "version {version}");
        }
        let is_readable = |(_, smallest, _): &Feature| version >= 4 || *smallest > 0;
        assert!(supported.iter().all(is_readable), "version {version}: {supported:?}");
    }
    assert!(client.versions().newest(ApiKey::ApiVersions).unwrap() >= 4);
}

#[test]
fn the_epoch_of_the_features_is_the_same_on_every_connection() {
    let broker = Broker::start();
    let epochs: Vec<i64> = (0..4).map(|_| features(&mut broker.client(), 4).2).collect();
    assert!(epochs.windows(2).all(|pair| pair[0] == pair[1]), "{epochs:?}");
}

#[test]
fn produce_is_advertised_from_0_and_served_from_3() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("advertised", 1, &[]), broker.client());
    // KAFKA-18659: a client that does not find version 0 takes the broker for an ancient one.
    assert_eq!(client.versions().of(ApiKey::Produce), Some(0..=13));
    for version in 0..3_i16 {
        let mut connection = broker.connection();
        let body = [0, 1, 0, 0, 0x75, 0x30, 0, 0, 0, 0];
        let head = [&0_i16.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1, 0, 0]];
        let frame = [head.concat(), body.to_vec()].concat();
        let size = (frame.len() as i32).to_be_bytes();
        connection.send_bytes(&[&size[..], &frame].concat()).unwrap();
        assert!(connection.receive_frame().is_err(), "version {version} ends the connection");
    }
    assert_eq!(append(&mut client, &topic, 0, &batch(&["still served"])), Offset::ZERO);
}

#[test]
fn nobody_coordinates_transactions_and_clients_are_told_why() {
    let broker = Broker::start();
    let mut client = broker.client();
    let refused = (ErrorCode::InvalidRequest.code(), Some(NO_TRANSACTIONS), -1, "", -1);
    for version in client.versions().common(ApiKey::FindCoordinator).unwrap() {
        if version == 0 {
            continue; // It asks for groups alone.
        }
        let request = FindCoordinatorRequest {
            key: "tx".into(),
            key_type: TRANSACTION,
            coordinator_keys: vec!["tx".into(), "other".into()],
        };
        let answer = client.connection().call(version, &request, &[]).unwrap();
        let view = answer.view();
        if version < 4 {
            let found = (view.error_code, view.error_message, view.node_id, view.host, view.port);
            assert_eq!(found, refused, "version {version}");
            continue;
        }
        let found = view.coordinators.iter();
        let keys: Vec<_> = found
            .map(|one| {
                let said = (one.error_code, one.error_message, one.node_id, one.host, one.port);
                assert_eq!(said, refused, "version {version}");
                one.key
            })
            .collect();
        assert_eq!(keys, ["tx", "other"]);
    }
}

#[test]
fn a_transactional_producer_gets_no_id_and_no_reason_to_try_again() {
    let broker = Broker::start();
    let mut client = broker.client();
    for version in client.versions().common(ApiKey::InitProducerId).unwrap() {
        for id in ["tx", ""] {
            let request = InitProducerIdRequest {
                transactional_id: Some(id.into()),
                transaction_timeout_ms: 60_000,
                ..InitProducerIdRequest::default()
            };
            let answer = client.connection().call(version, &request, &[]).unwrap();
            let view = answer.view();
            let found = (view.error_code, view.producer_id, view.producer_epoch);
            let code = ErrorCode::InvalidRequest;
            assert_eq!(found, (code.code(), -1, -1), "version {version}");
            assert!(!code.is_retriable(), "it would be asked for ever");
        }
    }
    producer_id(&mut client);
}

/// What a produce is answered with: code, words.
fn produce(
    client: &mut Client,
    version: i16,
    request: &ProduceRequest<'_>,
    records: &[u8],
) -> (ErrorCode, Option<String>) {
    let answer = client.connection().call(version, request, &[records]).unwrap();
    let topic = answer.view().responses.first().unwrap();
    let found = topic.partition_responses.first().unwrap();
    assert_eq!(found.base_offset == -1, found.error_code != 0);
    let words = found.error_message.map(str::to_owned);
    (ErrorCode::from_code(found.error_code).unwrap(), words)
}

#[test]
fn batches_of_transactions_are_refused_by_every_version_of_produce() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("transactions", 1, &[]), broker.client());
    let id = client.topic_id(&topic).unwrap();
    let producer = producer_id(&mut client);
    let of = |is_transactional, is_control| {
        let mut builder = BatchBuilder::new();
        builder.producer(producer.0, producer.1, 0);
        build(builder.transactional(is_transactional).control(is_control), &["x"], base_time())
    };
    let plain = batch(&["x"]);
    let (transactional, control, both) = (of(true, false), of(false, true), of(true, true));
    for version in client.versions().common(ApiKey::Produce).unwrap() {
        for (what, name, records, code) in [
            ("a request", Some("tx"), &plain, ErrorCode::InvalidRequest),
            ("a transaction's request", Some("tx"), &transactional, ErrorCode::InvalidRequest),
            ("a transactional batch", None, &transactional, ErrorCode::InvalidRequest),
            ("a control batch", None, &control, ErrorCode::InvalidRecord),
            ("a transaction's end", None, &both, ErrorCode::InvalidRecord),
        ] {
            let request = ProduceRequest {
                transactional_id: name.map(Into::into),
                ..produce_request(&topic, id, 0, Acks::All, records.len())
            };
            let (found, words) = produce(&mut client, version, &request, records);
            assert_eq!(found, code, "{what} in version {version}");
            if version >= MESSAGE_FROM && code == ErrorCode::InvalidRequest {
                assert_eq!(words.as_deref(), Some(NO_TRANSACTIONS), "{what}, version {version}");
            }
        }
    }
    assert_eq!(append(&mut client, &topic, 0, &plain), Offset::ZERO, "nothing was kept");
}
