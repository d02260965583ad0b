//! Why bytes from outside are refused.
//!
//! Every refusal names the field in Kafka's words and the byte at which it begins, so that a line
//! in the log and a capture of the wire can be laid side by side. Nothing here allocates: a flood
//! of bad frames costs no memory.

/// A message that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("{field} at byte {at} needs {needed} bytes, {left} are left")]
    Truncated { field: &'static str, at: usize, needed: usize, left: usize },
    #[error("{field} at byte {at} has the impossible length {length}")]
    Length { field: &'static str, at: usize, length: i64 },
    #[error("{field} at byte {at} announces {count} elements, {left} bytes are left")]
    Count { field: &'static str, at: usize, count: usize, left: usize },
    #[error(
        "{field} at byte {at} has {count} elements, {left} more are allowed in all arrays together"
    )]
    Elements { field: &'static str, at: usize, count: usize, left: u32 },
    #[error("{field} at byte {at} is null where this version allows none")]
    Null { field: &'static str, at: usize },
    #[error("{field} at byte {at} is not UTF-8")]
    Utf8 { field: &'static str, at: usize },
    #[error("{field} at byte {at} is a varint that does not end within its width")]
    Varint { field: &'static str, at: usize },
    #[error("tagged field {field} at byte {at} leaves {left} of its announced bytes unread")]
    Tag { field: &'static str, at: usize, left: usize },
    #[error("{message} ends at byte {at}, {left} bytes follow")]
    Trailing { message: &'static str, at: usize, left: usize },
    #[error("{message} has no version {version}")]
    Version { message: &'static str, version: i16 },
    #[error("no API has the key {key} (version {version})")]
    ApiKey { key: i16, version: i16 },
    #[error("no metadata record has the key {key} (version {version})")]
    RecordKey { key: u32, version: u32 },
    #[error("a metadata record has frame version {version}, 1 is known")]
    RecordFrame { version: u32 },
    #[error("a frame announces {size} bytes, {size_max} are allowed")]
    FrameSize { size: i32, size_max: usize },
}
