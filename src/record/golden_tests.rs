//! Batches as Apache Kafka 4.3.1 writes them (made with its own `MemoryRecordsBuilder`), as base64.
//!
//! The data batches hold the same three records of producer 77, epoch 3, from sequence
//! 2147483646 on: "k1" at 1700000000000 with headers h="1" and h=null, no key at +5, an empty key
//! and no value at -1. The control batches hold one record each.

use super::control::{EndTxnMarker, LeaderChange};
use super::*;
use crate::base::{Pieces, crc32c};
use crate::model::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, Timestamp};
use base64::Engine as _;

const BATCHES: [(Codec, &str); 5] = [
    (
        Codec::None,
        "AAAAAAAAAAAAAACJ/////wKCxIcgAAAAAAACAAABi8/laAAAAAGLz+VoBQAAAAAAAABNAAN////+AAAAA1gAAAAEazE6\
         dmFsdWUgb25lIHZhbHVlIG9uZSB2YWx1ZSBvbmUEAmgCMQJoAUYACgIBOnZhbHVlIG9uZSB2YWx1ZSBvbmUgdmFsdWUg\
         dHdvAAwAAQQAAQA=",
    ),
    (
        Codec::Gzip,
        "AAAAAAAAAAAAAABz/////wIzOuUhAAEAAAACAAABi8/laAAAAAGLz+VoBQAAAAAAAABNAAN////+AAAAAx+LCAAAAAAA\
         AP+LYGBgYMk2tCpLzClNVcjPS1XAwmJhymAyZMpgdGPgYmLEo7SkPJ+Bh4GRhYGRAQAbRrA+WAAAAA==",
    ),
    (
        Codec::Snappy,
        "AAAAAAAAAAAAAAB5/////wKPh1NqAAIAAAACAAABi8/laAAAAAGLz+VoBQAAAAAAAABNAAN////+AAAAA4JTTkFQUFkA\
         AAAAAQAAAAEAAAA0WERYAAAABGsxOnZhbHVlIG9uZSBKCgAwBAJoAjECaAFGAAoCAWorACh0d28ADAABBAABAA==",
    ),
    (
        Codec::Lz4,
        "AAAAAAAAAAAAAAB0/////wINp5N2AAMAAAACAAABi8/laAAAAAGLz+VoBQAAAAAAAABNAAN////+AAAAAwQiTRhgQII0\
         AAAA/wNYAAAABGsxOnZhbHVlIG9uZSAKAADfBAJoAjECaAFGAAoCASsACLB0d28ADAABBAABAAAAAAA=",
    ),
    (
        Codec::Zstd,
        "AAAAAAAAAAAAAABx/////wIpBDqrAAQAAAACAAABi8/laAAAAAGLz+VoBQAAAAAAAABNAAN////+AAAAAyi1L/0AWKQB\
         AKQCWAAAAARrMTp2YWx1ZSBvbmUgBAJoAjECaAFGAAoCAXR3bwAMAAEEAAEAAgBOhV+TEgYBAAA=",
    ),
];

const MARKERS: [(bool, &str); 2] = [
    (
        false,
        "AAAAAAAAAAoAAABCAAAABALrwln9ADAAAAAAAAABi8/laAAAAAGLz+VoAAAAAAAAAAAJAAL/////AAAAASAAAAAIAAAA\
         AAwAAAAAAAYA",
    ),
    (
        true,
        "AAAAAAAAAAoAAABCAAAABAIf/I+1ADAAAAAAAAABi8/laAAAAAGLz+VoAAAAAAAAAAAJAAL/////AAAAASAAAAAIAAAA\
         AQwAAAAAAAYA",
    ),
];

const LEADER_CHANGE: &str = "AAAAAAAAAAAAAABPAAAAAQIRVOr5ACAAAAAAAAABi8/laAAAAAGLz+VoAP//////////////////AAAAAToAAAAIAAAAAiYA\
     AAAAAAECAAAAAQACAAAAAQAAAA==";

const BASE: Timestamp = Timestamp(1_700_000_000_000);

fn bytes(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

const RECORDS: [NewRecord<'_>; 3] = [
    NewRecord {
        timestamp: BASE,
        key: Some(b"k1"),
        value: Some(b"value one value one value one"),
        headers: &[("h", Some(b"1")), ("h", None)],
    },
    NewRecord {
        timestamp: Timestamp(BASE.0 + 5),
        key: None,
        value: Some(b"value one value one value two"),
        headers: &[],
    },
    NewRecord { timestamp: Timestamp(BASE.0 - 1), key: Some(b""), value: None, headers: &[] },
];

#[test]
fn kafkas_batches_of_every_codec_are_taken_and_read() {
    let rules = BatchRules { strict: true, ..BatchRules::default() };
    let (mut scratch, mut unpacking) = (Scratch::new(), Scratch::new());
    for (codec, text) in BATCHES {
        let bytes = bytes(text);
        let batch = validate(Pieces::one(&bytes), &rules, BASE, &mut scratch).unwrap();
        assert_eq!(batch.codec, codec);
        assert_eq!(batch.header.producer_id, ProducerId(77));
        assert_eq!(batch.header.producer_epoch, ProducerEpoch(3));
        assert_eq!((batch.header.last_sequence(), batch.header.next_sequence()), (0, 1));
        assert_eq!(batch.header.max_timestamp, Timestamp(BASE.0 + 5));
        let walked = batch.walked.unwrap();
        assert_eq!(
            (walked.max_timestamp, walked.max_timestamp_offset_delta),
            (Timestamp(BASE.0 + 5), 1)
        );
        let packed = Pieces::one(&bytes[HEADER_BYTES..]);
        let records: Vec<RecordView<'_>> =
            Records::new(unpacking.unpack(codec, packed, 1 << 16).unwrap())
                .map(Result::unwrap)
                .collect();
        assert_eq!(records.len(), RECORDS.len());
        for (record, sent) in records.iter().zip(RECORDS) {
            assert_eq!(record.timestamp_delta, sent.timestamp.0 - BASE.0);
            assert_eq!((record.key, record.value), (sent.key, sent.value));
            let headers: Vec<_> = record.headers().map(|h| (h.key, h.value)).collect();
            assert_eq!(headers, sent.headers);
        }
    }
}

#[test]
fn our_unpacked_batch_has_the_same_bytes_as_kafkas() {
    let mut builder = BatchBuilder::new();
    builder.producer(ProducerId(77), ProducerEpoch(3), 2_147_483_646);
    for record in &RECORDS {
        builder.push(record).unwrap();
    }
    let mut out = Vec::new();
    builder.finish(&mut out).unwrap();
    assert_eq!(out, bytes(BATCHES[0].1));
}

#[test]
fn our_control_batches_have_the_same_bytes_as_kafkas() {
    for (commit, text) in MARKERS {
        let mut builder = BatchBuilder::new();
        builder.at(Offset(10), LeaderEpoch(4));
        let marker = EndTxnMarker { commit, coordinator_epoch: 6 };
        marker.push(&mut builder, ProducerId(9), ProducerEpoch(2), BASE).unwrap();
        let mut out = Vec::new();
        builder.finish(&mut out).unwrap();
        assert_eq!(out, bytes(text));
    }
    let mut builder = BatchBuilder::new();
    builder.at(Offset(0), LeaderEpoch(1));
    let voters = [NodeId(1)];
    let change = LeaderChange { leader: NodeId(1), voters: &voters, granting: &voters };
    change.push(&mut builder, BASE).unwrap();
    let mut out = Vec::new();
    builder.finish(&mut out).unwrap();
    assert_eq!(out, bytes(LEADER_CHANGE));
}

#[test]
fn checksums_are_those_that_kafka_computed() {
    for (_, text) in BATCHES {
        let bytes = bytes(text);
        let header = BatchHeader::parse(Pieces::one(&bytes)).unwrap();
        assert_eq!(header.crc, crc32c::checksum(&bytes[CRC_FROM..]));
        assert_eq!(header.total_bytes(), bytes.len());
        assert_eq!(header.encode()[..], bytes[..HEADER_BYTES]);
    }
}
