//! Every message in every version: there and back, in pieces, cut short, damaged, and compared
//! with another implementation.

use super::{Encode as _, Message, Parse as _, read, write};
use crate::base::Pieces;
use crate::protocol::random::{Random as _, Seed};
use crate::protocol::watch::{Form, Place, places};
use crate::protocol::{ProtocolError, Reader, RecordsGap, Writer};
use bumpalo::Bump;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable as _, Encodable as _, Message as _};
use std::collections::{BTreeMap, BTreeSet};

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
            ZkMigrationStateRecord ConsumerProtocolSubscription ConsumerProtocolAssignment
            GroupMetadataKey GroupMetadataValue OffsetCommitKey OffsetCommitValue);
    };
    ($check:ident: $($name:ident)*) => { $($check!($name);)* };
}

macro_rules! each_api {
    ($check:ident) => { crate::for_each_api!(each_half; $check); };
}

macro_rules! each_half {
    ($check:ident; $($key:ident: $request:ident $answer:ident,)*) => {
        $($check!($request); $check!($answer);)*
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

/// The message with this count or length made another in every way that cannot be true.
fn lies(place: Place, bytes: &[u8]) -> Vec<Vec<u8>> {
    let varint_len = |at: usize| 1 + bytes[at..].iter().take_while(|byte| **byte > 0x7f).count();
    let len = match place.form {
        Form::Short => 2,
        Form::Long => 4,
        Form::Compact | Form::Plain => varint_len(place.at),
    };
    let left = bytes.len() - place.at - len;
    let mut lies: Vec<Vec<u8>> = match place.form {
        Form::Short => {
            let beyond = i16::try_from(left + 1).unwrap_or(i16::MAX);
            [i16::MIN, -2, beyond, i16::MAX].iter().map(|lie| lie.to_be_bytes().into()).collect()
        }
        Form::Long => {
            let beyond = left as i32 + 1;
            [i32::MIN, -2, beyond, i32::MAX].iter().map(|lie| lie.to_be_bytes().into()).collect()
        }
        // The longest, two without an end, and one byte more than is left.
        Form::Compact | Form::Plain => {
            let beyond = left as u32 + 1 + u32::from(place.form == Form::Compact);
            let mut writer = Writer::new();
            writer.uvarint(beyond);
            let longest = vec![0xff, 0xff, 0xff, 0xff, 0x0f];
            vec![longest, vec![0xff; 9], vec![0x80; 9], writer.as_bytes().to_vec()]
        }
    };
    for lie in &mut lies {
        let rest = lie.split_off(0);
        lie.extend_from_slice(&bytes[..place.at]);
        lie.extend(rest);
        lie.extend_from_slice(&bytes[place.at + len..]);
    }
    lies
}

/// Names of the arrays of each message file: `Topics []CreatableTopic`.
fn arrays_of_schemas() -> BTreeMap<String, BTreeSet<String>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/protocol/schema");
    let mut arrays = BTreeMap::<String, BTreeSet<String>>::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "wire") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let mut message = String::new();
        for line in text.lines() {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["api" | "record", _, name, ..] | ["message", name, ..] => message = name.into(),
                [field, kind, ..] if kind.starts_with("[]") && !field.starts_with('#') => {
                    arrays.entry(message.clone()).or_default().insert(field.into());
                }
                _ => {}
            }
        }
    }
    arrays
}

#[test]
fn every_count_and_length_of_every_message_may_not_lie() {
    let mut seen = BTreeMap::<&str, BTreeSet<&str>>::new();
    let mut count = 0;
    macro_rules! check {
        ($name:ident) => {
            for version in <write::$name as Message>::VERSIONS {
                for seed in 0..SEEDS {
                    let bytes = random_wire!($name, version, seed);
                    let found = places(|| {
                        read::$name::parse(Reader::one(&bytes), version).unwrap();
                    });
                    for place in found {
                        let name = stringify!($name);
                        let api = name.trim_end_matches("Request").trim_end_matches("Response");
                        seen.entry(api).or_default().insert(place.field);
                        for lie in lies(place, &bytes) {
                            let result = read::$name::parse(Reader::one(&lie), version);
                            assert!(result.is_err(), "{name} version {version}: {place:?} {lie:?}");
                            count += 1;
                        }
                    }
                }
            }
        };
    }
    each!(check);
    assert!(count > 100_000, "{count}");
    for (message, arrays) in arrays_of_schemas() {
        let seen = seen.get(message.as_str()).cloned().unwrap_or_default();
        let missing: Vec<_> = arrays.iter().filter(|name| !seen.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "{message}: no count of {missing:?} was tried");
    }
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
