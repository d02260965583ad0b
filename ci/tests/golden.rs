//! What real clients and a real Kafka said to each other (`ci/golden`), read by our protocol room
//! and written again byte for byte: header and body, requests and answers, whole and in pieces.
//!
//! There is no list of exceptions: not one frame differs, down to the order of tagged fields.

#[path = "golden/frames.rs"]
mod frames;

use bumpalo::Bump;
use frames::{Exchange, Half, exchanges};
use highwater::base::Pieces;
use highwater::protocol::frame::{FRAME_SIZE_LEN, answer_begin, answer_header, frame_size};
use highwater::protocol::{
    ApiKey, Encode as _, Parse as _, ProtocolError, Reader, RequestHeader, Writer, read,
};
use std::collections::BTreeSet;

const SIZE_MAX: usize = 100 << 20;

/// What reading a frame and writing it again gave.
struct Again {
    header: String,
    bytes: Vec<u8>,
}

// --- there and back -----------------------------------------------------------------------------

/// Reads a frame from this reader and writes it again.
type Through = for<'a> fn(Reader<'a>, &[u8], i16) -> Result<Again, ProtocolError>;

/// The two functions of an API.
macro_rules! through {
    ($api:expr; $($key:ident: $request:ident $answer:ident,)*) => {
        match $api {$(
            ApiKey::$key => (
                (|mut reader, frame, _| {
                    let header = RequestHeader::parse(&mut reader)?;
                    let view = read::$request::parse(reader, header.version)?;
                    let mut writer = Writer::new();
                    let start = header.begin(&mut writer);
                    let message = view.to_write();
                    message.encode(header.version, &mut writer);
                    writer.frame_end(start);
                    // A gap is tagged with the place where its records came to lie.
                    let bytes = writer.to_vec(|gap| &frame[gap.tag..gap.tag + gap.len]);
                    Ok(Again { header: format!("{header:?}"), bytes })
                }) as Through,
                (|mut reader, frame, version| {
                    let correlation_id = answer_header(&mut reader, ApiKey::$key, version)?;
                    // Kafka answers a version that it does not know in version 0.
                    let shape = if ApiKey::$key.has_version(version) { version } else { 0 };
                    let view = read::$answer::parse(reader, shape)?;
                    let mut writer = Writer::new();
                    let start = answer_begin(&mut writer, ApiKey::$key, version, correlation_id);
                    let message = view.to_write();
                    message.encode(shape, &mut writer);
                    writer.frame_end(start);
                    let bytes = writer.to_vec(|gap| &frame[gap.tag..gap.tag + gap.len]);
                    Ok(Again { header: format!("{correlation_id}"), bytes })
                }) as Through,
            ),
        )*}
    };
}

fn through(api: ApiKey, half: Half) -> Through {
    let (request, answer) = highwater::for_each_api!(through; api);
    match half {
        Half::Request => request,
        Half::Answer => answer,
    }
}

/// The halves of an exchange that can be read: a request of an unknown version cannot.
fn halves(api: ApiKey, exchange: &Exchange) -> impl Iterator<Item = (Half, &[u8])> {
    let request = api.has_version(exchange.version).then_some(&exchange.request);
    let request = request.map(|frame| (Half::Request, &frame[..]));
    let answer = exchange.answer.as_ref().map(|frame| (Half::Answer, &frame[..]));
    request.into_iter().chain(answer)
}

/// The frame without its size, which must be right.
fn content<'a>(frame: &'a [u8], place: &str) -> &'a [u8] {
    let (size, content) = frame.split_first_chunk::<FRAME_SIZE_LEN>().expect(place);
    assert_eq!(frame_size(*size, SIZE_MAX), Ok(content.len()), "{place}");
    content
}

// --- tests --------------------------------------------------------------------------------------

#[test]
fn every_recorded_frame_is_read_and_written_again_byte_for_byte() {
    let (mut frame_count, mut failures) = (0, Vec::new());
    for (api, exchanges) in exchanges() {
        for exchange in &exchanges {
            for (half, frame) in halves(api, exchange) {
                frame_count += 1;
                let Exchange { place, client, version, .. } = exchange;
                let told = format!("{place} {half:?} version {version} of {client}");
                let inner = content(frame, &told);
                match through(api, half)(Reader::one(inner), inner, *version) {
                    Err(error) => failures.push(format!("{told}: {error}")),
                    Ok(again) if again.bytes != frame => {
                        let (ours, theirs) = (again.bytes.len(), frame.len());
                        let at = again.bytes.iter().zip(frame).position(|(a, b)| a != b);
                        let at = at.unwrap_or(ours.min(theirs));
                        failures.push(format!("{told}: {ours} bytes for {theirs}, equal to {at}"));
                    }
                    Ok(_) => {}
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} frames:\n{}", failures.len(), failures.join("\n"));
    assert!(frame_count > 500, "{frame_count} frames");
}

#[test]
fn every_recorded_frame_is_the_same_in_pieces() {
    let mut arena = Bump::new();
    for (api, exchanges) in exchanges() {
        for exchange in &exchanges {
            for (half, frame) in halves(api, exchange) {
                let told = format!("{} {half:?} version {}", exchange.place, exchange.version);
                let inner = content(frame, &told);
                let through = through(api, half);
                let whole = through(Reader::one(inner), inner, exchange.version).expect(&told);
                for size in [1, 7, 61, 1000] {
                    arena.reset();
                    let parts: Vec<&[u8]> = inner.chunks(size).collect();
                    let reader = Reader::new(Pieces::many(&parts), &arena);
                    let again = through(reader, inner, exchange.version).expect(&told);
                    assert!(again.bytes == whole.bytes, "{told} in pieces of {size}");
                    assert_eq!(again.header, whole.header, "{told} in pieces of {size}");
                }
            }
        }
    }
}

#[test]
fn the_headers_say_what_was_recorded() {
    let mut unknown_versions = 0;
    for (api, exchanges) in exchanges() {
        for exchange in &exchanges {
            let place = &exchange.place;
            let mut reader = Reader::one(content(&exchange.request, place));
            let header = RequestHeader::parse(&mut reader).expect(place);
            let recorded = (api, exchange.version, exchange.correlation_id);
            assert_eq!((header.api, header.version, header.correlation_id), recorded, "{place}");
            unknown_versions += usize::from(!header.is_supported());
            if let Some(answer) = &exchange.answer {
                let mut reader = Reader::one(content(answer, place));
                let found = answer_header(&mut reader, api, exchange.version);
                assert_eq!(found, Ok(exchange.correlation_id), "{place}");
            } else {
                assert_eq!(api, ApiKey::Produce, "{place}: only acks=0 has no answer");
            }
        }
    }
    assert!(unknown_versions > 0, "a version that Kafka does not know was asked for");
}

#[test]
fn every_version_of_every_api_is_recorded() {
    let recorded = exchanges();
    for &api in ApiKey::ALL {
        let facts = api.facts();
        let spoken: BTreeSet<i16> =
            recorded.get(&api).into_iter().flatten().map(|exchange| exchange.version).collect();
        let missing: Vec<i16> = facts
            .advertised
            .clone()
            .filter(|version| facts.versions.contains(version) && !spoken.contains(version))
            .collect();
        assert_eq!(missing, [0_i16; 0], "{api:?}: versions that nobody spoke");
    }
}
