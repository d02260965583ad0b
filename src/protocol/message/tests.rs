//! Every message in every version: there and back, in pieces, cut short, damaged, and compared
//! with another implementation.

use super::{Encode as _, Message, Parse as _, read, write};
use crate::base::Pieces;
use crate::protocol::random::{Random as _, Seed};
use crate::protocol::{ProtocolError, Reader, RecordsGap, Writer};
use bumpalo::Bump;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable as _, Encodable as _, Message as _};

const SEEDS: u64 = 12;
static RECORDS: [u8; 256] = [0xa5; 256];

/// Runs a check on every request and response, and on every record.
macro_rules! each {
    ($check:ident) => {
        each_api!($check);
        each!($check:
            RegisterBrokerRecord UnregisterBrokerRecord TopicRecord PartitionRecord ConfigRecord
            PartitionChangeRecord FenceBrokerRecord UnfenceBrokerRecord RemoveTopicRecord
            FeatureLevelRecord ProducerIdsRecord BrokerRegistrationChangeRecord NoOpRecord
            LeaderChangeMessage SnapshotHeaderRecord SnapshotFooterRecord KRaftVersionRecord
            VotersRecord BeginTransactionRecord EndTransactionRecord AbortTransactionRecord
            ClientQuotaRecord AccessControlEntryRecord RemoveAccessControlEntryRecord
            UserScramCredentialRecord RemoveUserScramCredentialRecord DelegationTokenRecord
            RemoveDelegationTokenRecord ClearElrRecord RegisterControllerRecord
            ZkMigrationStateRecord ConsumerProtocolSubscription ConsumerProtocolAssignment);
    };
    ($check:ident: $($name:ident)*) => { $($check!($name);)* };
}

macro_rules! each_api {
    ($check:ident) => {
        each!($check:
            ProduceRequest ProduceResponse FetchRequest FetchResponse ListOffsetsRequest
            ListOffsetsResponse MetadataRequest MetadataResponse FindCoordinatorRequest
            FindCoordinatorResponse ApiVersionsRequest ApiVersionsResponse CreateTopicsRequest
            CreateTopicsResponse DeleteTopicsRequest DeleteTopicsResponse InitProducerIdRequest
            InitProducerIdResponse OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse
            DescribeConfigsRequest DescribeConfigsResponse DescribeClusterRequest
            DescribeClusterResponse DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse
            SaslHandshakeRequest SaslHandshakeResponse DeleteRecordsRequest DeleteRecordsResponse
            DescribeAclsRequest DescribeAclsResponse CreateAclsRequest CreateAclsResponse
            DeleteAclsRequest DeleteAclsResponse AlterConfigsRequest AlterConfigsResponse
            AlterReplicaLogDirsRequest AlterReplicaLogDirsResponse DescribeLogDirsRequest
            DescribeLogDirsResponse CreatePartitionsRequest CreatePartitionsResponse
            ElectLeadersRequest ElectLeadersResponse IncrementalAlterConfigsRequest
            IncrementalAlterConfigsResponse AlterPartitionReassignmentsRequest
            AlterPartitionReassignmentsResponse ListPartitionReassignmentsRequest
            ListPartitionReassignmentsResponse DescribeClientQuotasRequest
            DescribeClientQuotasResponse AlterClientQuotasRequest AlterClientQuotasResponse
            DescribeUserScramCredentialsRequest DescribeUserScramCredentialsResponse
            DescribeQuorumRequest DescribeQuorumResponse UpdateFeaturesRequest
            UpdateFeaturesResponse DescribeProducersRequest DescribeProducersResponse
            DescribeTransactionsRequest DescribeTransactionsResponse ListTransactionsRequest
            ListTransactionsResponse ListConfigResourcesRequest ListConfigResourcesResponse
            OffsetCommitRequest OffsetCommitResponse OffsetFetchRequest OffsetFetchResponse
            JoinGroupRequest JoinGroupResponse HeartbeatRequest HeartbeatResponse
            LeaveGroupRequest LeaveGroupResponse SyncGroupRequest SyncGroupResponse
            DescribeGroupsRequest DescribeGroupsResponse ListGroupsRequest ListGroupsResponse
            DeleteGroupsRequest DeleteGroupsResponse OffsetDeleteRequest OffsetDeleteResponse);
    };
}

fn wire(writer: &Writer) -> Vec<u8> {
    writer.to_vec(|gap| &RECORDS[..gap.len])
}

/// The wire bytes of a random message.
macro_rules! random_wire {
    ($name:ident, $version:expr, $seed:expr) => {{
        let mut writer = Writer::new();
        write::$name::random(&mut Seed($seed), $version).encode($version, &mut writer);
        wire(&writer)
    }};
}

#[test]
fn a_message_comes_back_as_it_was_written() {
    macro_rules! check {
        ($name:ident) => {
            for version in <write::$name as Message>::VERSIONS {
                for seed in 0..SEEDS {
                    let told = format!("{} version {version} seed {seed}", stringify!($name));
                    let message = write::$name::random(&mut Seed(seed), version);
                    let mut writer = Writer::new();
                    message.encode(version, &mut writer);
                    let bytes = wire(&writer);
                    let view = read::$name::parse(Reader::one(&bytes), version).expect(&told);
                    let back = view.to_write();
                    // With records the tags differ: the view says where they lie.
                    if writer.gaps().is_empty() {
                        assert_eq!(back, message, "{told}");
                    }
                    let mut again = Writer::new();
                    back.encode(version, &mut again);
                    let lie = |gap: RecordsGap| &bytes[gap.tag..gap.tag + gap.len];
                    assert_eq!(again.to_vec(lie), bytes, "{told}");
                }
            }
        };
    }
    each!(check);
}

#[test]
fn every_api_agrees_with_another_implementation() {
    let mut compared = 0;
    macro_rules! check {
        ($name:ident) => {
            let known = theirs::$name::VERSIONS;
            for version in <write::$name as Message>::VERSIONS {
                if version < known.min || version > known.max {
                    continue;
                }
                for seed in 0..SEEDS {
                    let told = format!("{} version {version} seed {seed}", stringify!($name));
                    let bytes = random_wire!($name, version, seed);
                    let mut rest = Bytes::from(bytes.clone());
                    let other = theirs::$name::decode(&mut rest, version).expect(&told);
                    assert!(rest.is_empty(), "{told}");
                    let mut again = BytesMut::new();
                    other.encode(&mut again, version).expect(&told);
                    assert_eq!(&again[..], bytes, "{told}");
                    compared += 1;
                }
            }
        };
    }
    each_api!(check);
    assert!(compared > 150 * SEEDS, "{compared}");
}

#[test]
fn a_message_cut_at_any_byte_into_two_buffers_is_the_same() {
    macro_rules! check {
        ($name:ident) => {
            for version in <write::$name as Message>::VERSIONS {
                let bytes = random_wire!($name, version, 5);
                let whole = read::$name::parse(Reader::one(&bytes), version).unwrap();
                let mut arena = Bump::new();
                for cut in 0..=bytes.len() {
                    arena.reset();
                    let parts = [&bytes[..cut], &[], &bytes[cut..]];
                    let reader = Reader::new(Pieces::many(&parts), &arena);
                    let view = read::$name::parse(reader, version).unwrap();
                    assert_eq!(view, whole, "{} version {version} cut {cut}", stringify!($name));
                }
            }
        };
    }
    each!(check);
}

#[test]
fn a_message_in_pieces_of_one_byte_is_the_same() {
    macro_rules! check {
        ($name:ident) => {
            for version in <write::$name as Message>::VERSIONS {
                let bytes = random_wire!($name, version, 6);
                let parts: Vec<&[u8]> = bytes.chunks(1).collect();
                let arena = Bump::new();
                let view = read::$name::parse(Reader::new(Pieces::many(&parts), &arena), version);
                assert_eq!(view, read::$name::parse(Reader::one(&bytes), version));
            }
        };
    }
    each!(check);
}

#[test]
fn a_message_that_ends_early_is_refused_and_an_answer_that_ends_late_too() {
    macro_rules! check {
        ($name:ident) => {
            for version in <write::$name as Message>::VERSIONS {
                let mut bytes = random_wire!($name, version, 7);
                for end in 0..bytes.len() {
                    let view = read::$name::parse(Reader::one(&bytes[..end]), version);
                    assert!(view.is_err(), "{} version {version} end {end}", stringify!($name));
                }
                let at = bytes.len();
                bytes.push(0);
                let result = read::$name::parse(Reader::one(&bytes), version);
                let message = stringify!($name);
                // What follows a request is ignored, as Kafka does.
                let refusal = ProtocolError::Trailing { message, at, left: 1 };
                assert_eq!(result.err(), (!message.ends_with("Request")).then_some(refusal));
            }
        };
    }
    each!(check);
}

#[test]
fn a_damaged_message_is_refused_or_can_be_walked_whole() {
    let mut damage = Seed(1);
    macro_rules! check {
        ($name:ident) => {
            for version in <write::$name as Message>::VERSIONS {
                for seed in 0..SEEDS {
                    let mut bytes = random_wire!($name, version, seed);
                    if bytes.is_empty() {
                        continue;
                    }
                    for _ in 0..20 {
                        let at = damage.below(bytes.len());
                        let old = bytes[at];
                        bytes[at] = [0xff, 0x7f, 0x80, 0, damage.next() as u8][damage.below(5)];
                        if let Ok(view) = read::$name::parse(Reader::one(&bytes), version) {
                            let mut writer = Writer::new();
                            view.to_write().encode(version, &mut writer);
                        }
                        if damage.bool() {
                            bytes[at] = old;
                        }
                    }
                }
            }
        };
    }
    each!(check);
}

#[test]
fn random_bytes_are_refused_or_can_be_walked_whole() {
    let mut seed = Seed(2);
    macro_rules! check {
        ($name:ident) => {
            for version in <write::$name as Message>::VERSIONS {
                for _ in 0..50 {
                    let bytes: Vec<u8> =
                        (0..seed.below(64)).map(|_| seed.next() as u8 >> seed.below(8)).collect();
                    if let Ok(view) = read::$name::parse(Reader::one(&bytes), version) {
                        let _ = view.to_write();
                    }
                }
            }
        };
    }
    each!(check);
}

#[test]
fn a_version_that_does_not_exist_is_refused() {
    macro_rules! check {
        ($name:ident) => {
            let versions = <read::$name as Message>::VERSIONS;
            for version in [-1, versions.start() - 1, versions.end() + 1, i16::MAX] {
                let error = read::$name::parse(Reader::one(&[]), version).unwrap_err();
                assert_eq!(error, ProtocolError::Version { message: stringify!($name), version });
            }
        };
    }
    each!(check);
}

#[test]
fn a_count_that_lies_is_refused_before_anything_is_done() {
    // The 12 bytes that make another codec reserve gigabytes.
    let bytes = b"\xff\xff\0\x01\0\0\x75\x30\x7f\xff\xff\xff";
    let error = read::ProduceRequest::parse(Reader::one(bytes), 3).unwrap_err();
    let count = i32::MAX as usize;
    assert_eq!(error, ProtocolError::Count { field: "TopicData", at: 8, count, left: 0 });
    let error = read::MetadataRequest::parse(Reader::one(b"\x7f\xff\xff\xff"), 1).unwrap_err();
    assert_eq!(error, ProtocolError::Count { field: "Topics", at: 0, count, left: 0 });
}

#[test]
fn unknown_tags_are_skipped() {
    let mut bytes = random_wire!(ProduceRequest, 13, 3);
    let plain = bytes.clone();
    let expected = read::ProduceRequest::parse(Reader::one(&plain), 13).unwrap().to_write();
    assert_eq!(bytes.pop(), Some(0));
    bytes.extend(b"\x02\x05\x03abc\xff\x01\x00");
    let view = read::ProduceRequest::parse(Reader::one(&bytes), 13).unwrap();
    assert_eq!(view.to_write(), expected);
}

#[test]
fn records_are_found_in_the_frame_where_they_lie() {
    let records = Some(RecordsGap { len: 5, tag: 0 });
    let partition = write::produce::PartitionProduceData { records, ..Default::default() };
    let partition_data = vec![partition];
    let topic = write::produce::TopicProduceData { partition_data, ..Default::default() };
    let request = write::ProduceRequest { topic_data: vec![topic], ..Default::default() };
    let mut writer = Writer::new();
    request.encode(9, &mut writer);
    let bytes = writer.to_vec(|_| b"batch");
    let place = bytes.windows(5).position(|bytes| bytes == b"batch").unwrap();
    for cut in 0..=bytes.len() {
        let arena = Bump::new();
        let parts = [&bytes[..cut], &bytes[cut..]];
        let view = read::ProduceRequest::parse(Reader::new(Pieces::many(&parts), &arena), 9);
        let topic = view.unwrap().topic_data.first().unwrap();
        let records = topic.partition_data.first().unwrap().records.unwrap();
        assert_eq!((records.at, records.bytes.to_vec()), (place, b"batch".to_vec()));
    }
}

#[test]
fn an_old_version_carries_less_and_never_fails() {
    let topic = write::metadata::MetadataResponseTopic { name: None, ..Default::default() };
    let response = write::MetadataResponse { topics: vec![topic], ..Default::default() };
    for version in write::MetadataResponse::VERSIONS {
        let mut writer = Writer::new();
        response.encode(version, &mut writer);
        let view = read::MetadataResponse::parse(Reader::one(writer.as_bytes()), version).unwrap();
        let name = view.topics.first().unwrap().name;
        assert_eq!(name, if version >= 12 { None } else { Some("") });
    }
}
