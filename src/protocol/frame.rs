//! Frames and headers: what stands before every request and answer.
//!
//! ```text
//!   request   | size i32 | key i16 | version i16 | correlation i32 | client string | tags* | body
//!   answer    | size i32 | correlation i32 | tags** | body
//!
//!   *  from the API's first flexible version on; the client id keeps its two-byte length
//!   ** likewise, but never for ApiVersions: who asks for it does not know yet what we speak
//! ```
//!
//! The body cannot be found without knowing the API, whose first flexible version decides whether
//! tags follow. A key that nobody knows therefore ends the connection, as it does with Kafka. A
//! version that nobody knows does not: it counts as a later one, hence as flexible, and the
//! caller answers (ApiVersions in version 0) or refuses.

use super::error::ProtocolError;
use super::message::ApiKey;
use super::reader::Reader;
use super::writer::{FrameStart, Writer};

/// Bytes of the size before a frame.
pub const FRAME_SIZE_LEN: usize = 4;

/// Bytes of a frame that say which request it is: its size, key and version.
pub const FRAME_START_LEN: usize = 8;

/// Size of the frame that follows these four bytes, at most `size_max` (socket.request.max.bytes).
pub fn frame_size(size: [u8; FRAME_SIZE_LEN], size_max: usize) -> Result<usize, ProtocolError> {
    let size = i32::from_be_bytes(size);
    match usize::try_from(size) {
        Ok(bytes) if bytes <= size_max => Ok(bytes),
        _ => Err(ProtocolError::FrameSize { size, size_max }),
    }
}

/// Refuses a request by its start: what nobody could answer need not be received.
pub fn check_start(start: [u8; FRAME_START_LEN]) -> Result<(), ProtocolError> {
    let [.., k0, k1, v0, v1] = start;
    let (key, version) = (i16::from_be_bytes([k0, k1]), i16::from_be_bytes([v0, v1]));
    let api = ApiKey::from_key(key).ok_or(ProtocolError::ApiKey { key, version })?;
    // ApiVersions is answered in version 0, whatever version was asked for.
    if api.has_version(version) || api == ApiKey::ApiVersions {
        return Ok(());
    }
    Err(ProtocolError::Version { message: api.name(), version })
}

/// What stands before a request's body (header versions 1 and 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    pub api: ApiKey,
    /// As sent: not yet known to be one that we have.
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: Option<&'a str>,
}

impl<'a> RequestHeader<'a> {
    /// Reads the header and leaves the reader at the body.
    pub fn parse(reader: &mut Reader<'a>) -> Result<Self, ProtocolError> {
        // Version 0 without flexibility: the client id has a two-byte length in every header.
        *reader = reader.with_version(0, None);
        let key = reader.i16("RequestApiKey")?;
        let version = reader.i16("RequestApiVersion")?;
        let api = ApiKey::from_key(key).ok_or(ProtocolError::ApiKey { key, version })?;
        let correlation_id = reader.i32("CorrelationId")?;
        let client_id = reader.string_nullable("ClientId")?;
        if api.is_flexible(version) {
            *reader = reader.with_version(2, Some(2));
            reader.tags("RequestHeader", |_, _| Ok(false))?;
        }
        Ok(Self { api, version, correlation_id, client_id })
    }

    /// Whether the body can be parsed.
    pub fn is_supported(&self) -> bool {
        self.api.has_version(self.version)
    }

    /// Begins the frame of a request; the body follows, then `Writer::frame_end`.
    pub fn begin(&self, writer: &mut Writer) -> FrameStart {
        let frame = writer.frame_begin();
        writer.i16(self.api.key());
        writer.i16(self.version);
        writer.i32(self.correlation_id);
        writer.set_version(0, None);
        writer.string_nullable(self.client_id);
        if self.api.is_flexible(self.version) {
            writer.uvarint(0);
        }
        frame
    }
}

/// Whether answers to this version have a flexible header (version 1).
fn answer_has_tags(api: ApiKey, version: i16) -> bool {
    api != ApiKey::ApiVersions && api.is_flexible(version)
}

/// Begins the frame of an answer; the body follows, then `Writer::frame_end`.
pub fn answer_begin(
    writer: &mut Writer,
    api: ApiKey,
    version: i16,
    correlation_id: i32,
) -> FrameStart {
    let frame = writer.frame_begin();
    writer.i32(correlation_id);
    if answer_has_tags(api, version) {
        writer.uvarint(0);
    }
    frame
}

/// Reads an answer's header and leaves the reader at the body. Returns the correlation id.
pub fn answer_header(
    reader: &mut Reader<'_>,
    api: ApiKey,
    version: i16,
) -> Result<i32, ProtocolError> {
    let correlation_id = reader.i32("CorrelationId")?;
    if answer_has_tags(api, version) {
        *reader = reader.with_version(1, Some(1));
        reader.tags("ResponseHeader", |_, _| Ok(false))?;
    }
    Ok(correlation_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{Buf as _, Bytes, BytesMut};
    use kafka_protocol::messages as theirs;
    use kafka_protocol::protocol::{Decodable as _, Encodable as _, StrBytes};

    #[test]
    fn a_size_that_is_negative_or_beyond_the_limit_is_refused() {
        assert_eq!(frame_size([0, 0, 1, 0], 256), Ok(256));
        for size in [-1, i32::MIN, 257, i32::MAX] {
            let error = ProtocolError::FrameSize { size, size_max: 256 };
            assert_eq!(frame_size(size.to_be_bytes(), 256), Err(error));
        }
    }

    #[test]
    fn a_start_is_refused_for_what_the_whole_request_would_be() {
        let start = |key: i16, version: i16| {
            let mut start = [0; FRAME_START_LEN];
            start[4..6].copy_from_slice(&key.to_be_bytes());
            start[6..].copy_from_slice(&version.to_be_bytes());
            check_start(start)
        };
        for &api in ApiKey::ALL {
            for version in api.facts().versions.clone() {
                assert_eq!(start(api.key(), version), Ok(()));
            }
        }
        assert_eq!(start(ApiKey::ApiVersions.key(), 99), Ok(()));
        let error = ProtocolError::Version { message: "Produce", version: 99 };
        assert_eq!(start(0, 99), Err(error));
        let error = ProtocolError::ApiKey { key: 0x2f20, version: 0x4854 };
        assert_eq!(start(0x2f20, 0x4854), Err(error), "the path of an HTTP request");
    }

    #[test]
    fn request_headers_agree_with_another_implementation() {
        for &api in ApiKey::ALL {
            for version in api.facts().versions.clone() {
                for client_id in [None, Some(""), Some("rdkafka")] {
                    let header = RequestHeader { api, version, correlation_id: -7, client_id };
                    let mut writer = Writer::new();
                    let frame = header.begin(&mut writer);
                    writer.frame_end(frame);
                    let bytes = &writer.as_bytes()[FRAME_SIZE_LEN..];

                    let flexible = api.is_flexible(version);
                    let mut other = theirs::RequestHeader::default();
                    other.request_api_key = api.key();
                    other.request_api_version = version;
                    other.correlation_id = -7;
                    other.client_id = client_id.map(StrBytes::from_static_str);
                    let mut expected = BytesMut::new();
                    other.encode(&mut expected, if flexible { 2 } else { 1 }).unwrap();
                    assert_eq!(bytes, &expected[..]);

                    let mut reader = Reader::one(bytes);
                    assert_eq!(RequestHeader::parse(&mut reader), Ok(header));
                    assert_eq!(reader.left(), 0);
                }
            }
        }
    }

    #[test]
    fn header_versions_agree_with_another_implementation() {
        for &api in ApiKey::ALL {
            let other = theirs::ApiKey::try_from(api.key()).unwrap();
            let range = other.valid_versions();
            for version in
                api.facts().versions.clone().filter(|v| (range.min..=range.max).contains(v))
            {
                let flexible = i16::from(api.is_flexible(version));
                assert_eq!(
                    other.request_header_version(version),
                    1 + flexible,
                    "{api:?} {version}"
                );
                let mut writer = Writer::new();
                let frame = answer_begin(&mut writer, api, version, 9);
                writer.frame_end(frame);
                let mut bytes = Bytes::copy_from_slice(&writer.as_bytes()[FRAME_SIZE_LEN..]);
                let answer = answer_header(&mut Reader::one(&bytes.clone()), api, version);
                assert_eq!(answer, Ok(9));
                let header_version = other.response_header_version(version);
                theirs::ResponseHeader::decode(&mut bytes, header_version).unwrap();
                assert_eq!(bytes.remaining(), 0, "{api:?} {version}");
            }
        }
    }

    #[test]
    fn an_unknown_version_has_a_header_and_an_unknown_key_has_none() {
        let bytes = b"\0\x12\x7f\xff\0\0\0\x05\0\x01c\0body";
        let mut reader = Reader::one(bytes);
        let header = RequestHeader::parse(&mut reader).unwrap();
        assert_eq!((header.api, header.version), (ApiKey::ApiVersions, 0x7fff));
        assert_eq!((header.correlation_id, header.client_id), (5, Some("c")));
        assert!(!header.is_supported());
        assert_eq!(reader.left(), 4);

        let error =
            RequestHeader::parse(&mut Reader::one(b"\x7f\0\0\x03\0\0\0\0\0\0")).unwrap_err();
        assert_eq!(error, ProtocolError::ApiKey { key: 0x7f00, version: 3 });
    }

    #[test]
    fn produce_is_advertised_from_0_and_readable_from_3() {
        assert_eq!(ApiKey::Produce.facts().advertised, 0..=13);
        assert!(!ApiKey::Produce.has_version(2));
        assert_eq!(ApiKey::InitProducerId.facts().advertised, 0..=5);
        for &api in ApiKey::ALL {
            assert_eq!(ApiKey::from_key(api.key()), Some(api));
        }
    }
}
