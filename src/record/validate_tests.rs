//! What is taken and what is refused, and why; hostile bytes; the crate `kafka-protocol` as a second
//! opinion on the format.

use super::*;
use crate::base::Random;
use crate::record::batch::{Attributes, HEADER_BYTES};
use crate::record::build::batch_of;
use crate::record::{BatchBuilder, NewRecord, Packing, RecompressLimits, RecordField, recompress};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn check<'a>(bytes: &'a [u8], rules: &BatchRules) -> Result<ValidBatch<'a>, BatchError> {
    validate(Pieces::one(bytes), rules, NOW, &mut Scratch::new())
}

/// The batch with a changed header and a checksum that is true again.
fn with_header(bytes: &[u8], change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let mut header = BatchHeader::parse(Pieces::one(bytes)).unwrap();
    change(&mut header);
    header.crc = crc32c::checksum(&[&header.encode()[CRC_FROM..], &bytes[HEADER_BYTES..]].concat());
    [&header.encode()[..], &bytes[HEADER_BYTES..]].concat()
}

fn sample(codec: Codec) -> Vec<u8> {
    batch_of(codec, NOW.0, &["one", "two", "three"])
}

fn strict() -> BatchRules {
    BatchRules { strict: true, ..BatchRules::default() }
}

#[test]
fn good_batches_of_every_codec_are_taken_with_and_without_a_walk() {
    for codec in Codec::ALL {
        let bytes = sample(codec);
        let batch = check(&bytes, &BatchRules::default()).unwrap();
        assert_eq!((batch.codec, batch.walked, batch.recompress_to), (codec, None, None));
        assert_eq!(batch.header.record_count, 3);
        let walked = check(&bytes, &strict()).unwrap().walked.unwrap();
        assert_eq!(walked.reason, WalkReason::Strict);
        assert_eq!(walked.max_timestamp, Timestamp(NOW.0 + 2));
        assert_eq!(walked.max_timestamp_offset_delta, 2);
    }
}

#[test]
fn every_cut_into_pieces_gives_the_same_verdict() {
    for (codec, rules) in [
        (Codec::None, BatchRules::default()),
        (Codec::None, strict()),
        (Codec::Lz4, strict()),
        (Codec::Snappy, strict()),
    ] {
        let mut bytes = sample(codec);
        for damaged in [false, true] {
            if damaged {
                bytes[70] ^= 1;
            }
            let whole = check(&bytes, &rules).map(|batch| (batch.header, batch.walked));
            assert_eq!(whole.is_err(), damaged);
            for cut in 0..=bytes.len() {
                let parts = [&bytes[..cut], &bytes[cut..]];
                let pieces = Pieces::many(&parts);
                let verdict = validate(pieces, &rules, NOW, &mut Scratch::new());
                assert_eq!(verdict.map(|batch| (batch.header, batch.walked)), whole);
            }
        }
    }
}

#[test]
fn a_batch_that_ends_too_early_or_too_late_is_refused() {
    let bytes = sample(Codec::None);
    assert_eq!(check(&[], &strict()), Err(BatchError::NoBatch));
    for cut in 1..bytes.len() {
        let error = check(&bytes[..cut], &strict()).unwrap_err();
        if cut < HEADER_BYTES {
            assert_eq!(error, BatchError::Header(HeaderError::Short { bytes: cut }));
        } else {
            assert!(matches!(error, BatchError::Cut { .. }), "{error}");
        }
    }
    let two = [&bytes[..], &bytes].concat();
    assert_eq!(check(&two, &strict()), Err(BatchError::MoreThanOne { bytes: bytes.len() }));
    let trailing = [&bytes[..], &[0]].concat();
    assert_eq!(check(&trailing, &strict()), Err(BatchError::MoreThanOne { bytes: 1 }));
}

#[test]
fn every_flipped_bit_behind_the_head_is_seen() {
    let bytes = sample(Codec::None);
    for bit in CRC_FROM * 8..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(check(&damaged, &BatchRules::default()), Err(BatchError::Crc { .. })));
    }
}

#[test]
fn headers_that_claim_what_clients_may_not_are_refused() {
    let bytes = sample(Codec::None);
    let refused = |change: fn(&mut BatchHeader)| {
        check(&with_header(&bytes, change), &BatchRules::default()).unwrap_err()
    };
    let set = |header: &mut BatchHeader, bit: i16| header.attributes = Attributes(bit);
    assert_eq!(refused(|h| h.attributes = Attributes(0x20)), BatchError::Control);
    assert_eq!(refused(|h| h.attributes = Attributes(0x10)), BatchError::Transactional);
    assert_eq!(refused(|h| h.attributes = Attributes(0x40)), BatchError::DeleteHorizon);
    assert_eq!(refused(|h| h.attributes = Attributes(0x08)), BatchError::TimestampType);
    assert_eq!(
        refused(|h| h.attributes = Attributes(5)),
        BatchError::Codec(UnknownCodec { bits: 5 })
    );
    assert_eq!(
        refused(|h| h.base_offset = Offset(1)),
        BatchError::BaseOffset { base_offset: Offset(1) }
    );
    for (record_count, last_offset_delta) in
        [(0, -1), (3, 3), (2, 2), (-1, 2), (i32::MAX, 2), (i32::MIN, i32::MAX)]
    {
        let bytes = with_header(&bytes, |h| {
            h.record_count = record_count;
            h.last_offset_delta = last_offset_delta;
        });
        assert_eq!(
            check(&bytes, &BatchRules::default()),
            Err(BatchError::Count { record_count, last_offset_delta })
        );
    }
    // Unused attribute bits are kept, as Kafka keeps them.
    let unused = with_header(&bytes, |h| set(h, 0x80));
    assert!(check(&unused, &BatchRules::default()).is_ok());
}

#[test]
fn producer_fields_must_be_whole_where_there_is_a_producer() {
    let bytes = sample(Codec::None);
    for (id, epoch, base_sequence, taken) in [
        (-1, -1, -1, true),
        (-1, 0, 0, true), // as sarama and kafkajs send it
        (5, 0, 0, true),
        (5, 3, i32::MAX, true),
        (5, -1, 0, false),
        (5, 0, -1, false),
        (5, 0, i32::MIN, false),
        (-2, 0, 0, false),
    ] {
        let bytes = with_header(&bytes, |h| {
            h.producer_id = ProducerId(id);
            h.producer_epoch = ProducerEpoch(epoch);
            h.base_sequence = base_sequence;
        });
        let verdict = check(&bytes, &BatchRules::default());
        assert_eq!(verdict.is_ok(), taken, "{id} {epoch} {base_sequence}: {verdict:?}");
    }
}

#[test]
fn size_format_and_zstd_are_judged_before_the_checksum() {
    let bytes = sample(Codec::Zstd);
    let rules = BatchRules { batch_bytes_max: bytes.len(), ..BatchRules::default() };
    assert!(check(&bytes, &rules).is_ok());
    let small = BatchRules { batch_bytes_max: bytes.len() - 1, ..rules.clone() };
    let too_large = BatchError::TooLarge { bytes: bytes.len(), max: bytes.len() - 1 };
    assert_eq!(check(&bytes, &small), Err(too_large));
    let early = BatchRules { zstd_allowed: false, ..rules.clone() };
    assert_eq!(check(&bytes, &early), Err(BatchError::ZstdTooEarly));
    let mut old = bytes;
    old[16] = 1;
    assert_eq!(check(&old, &rules), Err(BatchError::Header(HeaderError::OldFormat { magic: 1 })));
}

#[test]
fn the_newest_time_of_the_header_must_be_within_the_bounds() {
    let rules = BatchRules {
        timestamp_before_max_ms: 1000,
        timestamp_after_max_ms: 500,
        ..BatchRules::default()
    };
    for (max_timestamp, taken) in
        [(-1000, true), (-1001, false), (500, true), (501, false), (0, true)]
    {
        let bytes = with_header(&sample(Codec::None), |h| {
            h.base_timestamp = Timestamp(NOW.0 - 2000);
            h.max_timestamp = Timestamp(NOW.0 + max_timestamp);
        });
        assert_eq!(check(&bytes, &rules).is_ok(), taken, "{max_timestamp}");
    }
    let insane = with_header(&sample(Codec::None), |h| h.max_timestamp = Timestamp(i64::MIN));
    assert!(matches!(check(&insane, &rules), Err(BatchError::Timestamp { .. })));
    let no_time = batch_of(Codec::None, -1, &["one"]);
    assert!(check(&no_time, &rules).is_ok());
    // The broker's own time replaces whatever the client said.
    let append = BatchRules { timestamp_type: TimestampType::LogAppendTime, ..rules };
    let batch = check(&insane, &append).unwrap();
    let stamp = batch.stamp(Offset(9), LeaderEpoch(1), append.timestamp_type, NOW);
    let stored = [stamp.bytes(), &stamp.rest(batch.bytes).to_vec()].concat();
    let header = BatchHeader::parse(Pieces::one(&stored)).unwrap();
    assert_eq!((header.max_timestamp, header.base_offset), (NOW, Offset(9)));
    assert_eq!(header.crc, crc32c::checksum(&stored[CRC_FROM..]));
}

#[test]
fn one_bad_record_is_named_by_its_index() {
    let rules = BatchRules { keys_required: true, timestamp_before_max_ms: 10, ..strict() };
    let build = |records: &[NewRecord<'_>]| {
        let mut builder = BatchBuilder::new();
        for record in records {
            builder.push(record).unwrap();
        }
        let mut out = Vec::new();
        builder.finish(&mut out).unwrap();
        out
    };
    let good = NewRecord { timestamp: NOW, key: Some(b"k"), ..NewRecord::default() };
    let keyless = NewRecord { key: None, ..good };
    let old = NewRecord { timestamp: Timestamp(NOW.0 - 11), ..good };
    assert_eq!(
        check(&build(&[good, keyless, good]), &rules),
        Err(BatchError::Record { index: 1, fault: RecordFault::NoKey })
    );
    assert!(matches!(
        check(&build(&[good, good, old]), &rules),
        Err(BatchError::Record { index: 2, fault: RecordFault::Timestamp { .. } })
    ));
    // Unwalked, the header does not show either.
    let lenient = BatchRules { timestamp_before_max_ms: 10, ..BatchRules::default() };
    assert!(check(&build(&[good, keyless, old]), &lenient).is_ok());
    assert_eq!(check(&build(&[good]), &rules).unwrap().walked.unwrap().reason, WalkReason::Keys);
}

#[test]
fn counts_that_differ_from_the_records_are_seen_by_a_walk() {
    for codec in Codec::ALL {
        let bytes = sample(codec);
        let more = with_header(&bytes, |h| (h.record_count, h.last_offset_delta) = (1000, 999));
        assert!(check(&more, &BatchRules::default()).is_ok());
        assert_eq!(
            check(&more, &strict()),
            Err(BatchError::Record { index: 3, fault: RecordFault::Missing })
        );
        let fewer = with_header(&bytes, |h| (h.record_count, h.last_offset_delta) = (2, 1));
        assert!(matches!(
            check(&fewer, &strict()),
            Err(BatchError::RecordsLeft { record_count: 2, .. })
        ));
    }
}

#[test]
fn a_malformed_record_is_named_with_its_field() {
    let mut bytes = sample(Codec::None);
    // The length of the second record.
    let first = bytes[HEADER_BYTES] as usize / 2 + 1;
    bytes[HEADER_BYTES + first] = 0x7e;
    let bytes = with_header(&bytes, |_| {});
    let error = check(&bytes, &strict()).unwrap_err();
    assert!(
        matches!(
            error,
            BatchError::Record {
                index: 1,
                fault: RecordFault::Malformed(
                    RecordError::Beyond { field: RecordField::Length, .. }
                        | RecordError::Unused { .. }
                )
            }
        ),
        "{error}"
    );
}

#[test]
fn a_header_without_its_newest_time_is_repaired() {
    let bytes = with_header(&sample(Codec::Gzip), |h| h.max_timestamp = Timestamp::NONE);
    let batch = check(&bytes, &BatchRules::default()).unwrap();
    assert_eq!(batch.walked.unwrap().reason, WalkReason::HeaderTime);
    let stamp = batch.stamp(Offset(5), LeaderEpoch(0), TimestampType::CreateTime, NOW);
    let stored = [stamp.bytes(), &stamp.rest(batch.bytes).to_vec()].concat();
    let header = BatchHeader::parse(Pieces::one(&stored)).unwrap();
    assert_eq!(header.max_timestamp, Timestamp(NOW.0 + 2));
    assert_eq!(header.crc, crc32c::checksum(&stored[CRC_FROM..]));
    let whole = check(&sample(Codec::Gzip), &strict()).unwrap().header;
    let head = whole.stamp(Offset(5), LeaderEpoch(0));
    assert!(matches!(head, Stamp::Head(_)));
}

#[test]
fn a_bomb_in_any_codec_is_refused_at_the_bound() {
    let zeros = "0".repeat(4 << 20);
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bytes = batch_of(codec, NOW.0, &[&zeros]);
        let limit = 1 << 20;
        let rules = BatchRules { unpacked_bytes_max: limit, ..strict() };
        let mut scratch = Scratch::new();
        let verdict = validate(Pieces::one(&bytes), &rules, NOW, &mut scratch);
        assert_eq!(verdict, Err(BatchError::Unpack(UnpackError::TooLarge { codec, limit })));
        assert!(scratch.held_bytes() <= limit);
        assert!(check(&bytes, &BatchRules::default()).is_ok(), "{codec} unwalked");
    }
}

#[test]
fn every_codec_becomes_every_other_with_the_same_records() {
    let limits = RecompressLimits { unpacked_bytes_max: 1 << 20, batch_bytes_max: 1 << 20 };
    let plain = sample(Codec::None)[HEADER_BYTES..].to_vec();
    for from in Codec::ALL {
        for wanted in Codec::ALL {
            let bytes = sample(from);
            let rules = BatchRules { codec_wanted: Some(wanted), ..BatchRules::default() };
            let mut scratch = Scratch::new();
            let batch = validate(Pieces::one(&bytes), &rules, NOW, &mut scratch).unwrap();
            assert_eq!(batch.recompress_to, (from != wanted).then_some(wanted));
            let (packing, mut out) = (Packing::of(wanted), Vec::new());
            recompress(&batch, packing, limits, Some(NOW), &mut scratch, &mut out).unwrap();
            let header = BatchHeader::parse(Pieces::one(&out)).unwrap();
            assert_eq!(header.attributes.codec(), Ok(wanted));
            assert_eq!(header.attributes.timestamp_type(), TimestampType::LogAppendTime);
            assert_eq!(header.max_timestamp, NOW);
            assert_eq!(header.crc, crc32c::checksum(&out[CRC_FROM..]));
            let packed = Pieces::one(&out[HEADER_BYTES..]);
            assert_eq!(scratch.unpack(wanted, packed, 1 << 20).unwrap(), plain);
        }
    }
    let bytes = sample(Codec::Zstd);
    let batch = check(&bytes, &BatchRules::default()).unwrap();
    let tight = RecompressLimits { batch_bytes_max: 80, ..limits };
    let mut out = vec![1];
    let error = recompress(&batch, Packing::default(), tight, None, &mut Scratch::new(), &mut out);
    assert!(matches!(error, Err(crate::record::BuildError::TooLarge { max: 80, .. })));
    assert_eq!(out, [1]);
}

#[test]
fn noise_with_a_true_checksum_never_panics() {
    let mut random = Random::new(42);
    let mut scratch = Scratch::new();
    let rules = BatchRules { unpacked_bytes_max: 1 << 16, keys_required: true, ..strict() };
    for round in 0..3000 {
        let mut records = vec![0; random.below(200) as usize];
        random.fill(&mut records);
        let mut bytes = [&sample(Codec::None)[..HEADER_BYTES], &records].concat();
        let batch_length = bytes.len() as i32 - 12;
        bytes[8..12].copy_from_slice(&batch_length.to_be_bytes());
        let bytes = with_header(&bytes, |h| {
            h.attributes = Attributes(random.below(5) as i16);
            if round % 2 == 0 {
                h.record_count = random.next_u64() as i32;
                h.last_offset_delta = h.record_count.wrapping_sub(1);
                h.base_timestamp = Timestamp(random.next_u64() as i64);
            }
        });
        assert!(validate(Pieces::one(&bytes), &rules, NOW, &mut scratch).is_err());
        assert!(scratch.held_bytes() <= 1 << 17);
    }
}

mod second_opinion {
    use super::*;
    use bytes::Bytes;
    use kafka_protocol::indexmap::IndexMap;
    use kafka_protocol::protocol::StrBytes;
    use kafka_protocol::records::{
        Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
        TimestampType as TheirTimestampType,
    };

    fn theirs(codec: Codec) -> Compression {
        match codec {
            Codec::None => Compression::None,
            Codec::Gzip => Compression::Gzip,
            Codec::Snappy => Compression::Snappy,
            Codec::Lz4 => Compression::Lz4,
            Codec::Zstd => Compression::Zstd,
        }
    }

    #[test]
    fn our_batches_are_read_by_another_implementation() {
        for codec in Codec::ALL {
            let long = "x".repeat(100_000);
            let mut bytes = Bytes::from(batch_of(codec, NOW.0, &["one", "", &long]));
            let set = RecordBatchDecoder::decode(&mut bytes).unwrap();
            assert_eq!(set.records.len(), 3);
            for (index, record) in set.records.iter().enumerate() {
                assert_eq!(record.offset, index as i64);
                assert_eq!(record.timestamp, NOW.0 + index as i64);
                assert_eq!(record.key.as_deref(), Some(&b"key"[..]));
            }
            assert_eq!(set.records[2].value.as_deref(), Some(long.as_bytes()));
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn batches_of_another_implementation_are_taken_and_read() {
        for codec in Codec::ALL {
            let records: Vec<Record> = (0..300).map(record).collect();
            let options = RecordEncodeOptions { version: 2, compression: theirs(codec) };
            let mut out = bytes::BytesMut::new();
            RecordBatchEncoder::encode(&mut out, &records, &options).unwrap();
            let batch = check(&out, &strict()).unwrap();
            assert_eq!(batch.codec, codec);
            assert_eq!(batch.header.producer_id, ProducerId(77));
            assert_eq!(batch.header.producer_epoch, ProducerEpoch(3));
            assert_eq!(batch.header.last_sequence(), 299);
            assert_eq!(batch.max_timestamp(), Timestamp(NOW.0 + 299));
            let mut scratch = Scratch::new();
            let packed = batch.bytes.split_at(HEADER_BYTES).1;
            let unpacked = scratch.unpack(codec, packed, 1 << 20).unwrap();
            for (ours, sent) in Records::new(unpacked).zip(&records) {
                let ours = ours.unwrap();
                assert_eq!(ours.key, sent.key.as_deref());
                assert_eq!(ours.value, sent.value.as_deref());
                let header = ours.headers().next().unwrap();
                assert_eq!((header.key, header.value), ("trace", Some(&b"abc"[..])));
            }
        }
    }

    fn record(index: i64) -> Record {
        let mut headers = IndexMap::new();
        headers.insert(StrBytes::from_static_str("trace"), Some(Bytes::from_static(b"abc")));
        Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: 77,
            producer_epoch: 3,
            timestamp_type: TheirTimestampType::Creation,
            offset: index,
            sequence: index as i32,
            timestamp: NOW.0 + index,
            key: (index % 3 != 0).then(|| Bytes::from(format!("key-{index}"))),
            value: Some(Bytes::from(format!("value {index}").repeat(20))),
            headers,
        }
    }
}
