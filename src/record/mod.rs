//! Record batches, format 2 ("magic 2"): the unit that producers send, logs keep and consumers
//! fetch, with the same bytes on the wire and on disk.
//!
//! ```text
//! 0            8          12          16   17    21    23       27       35       43       51
//! | baseOffset | length   | leaderEp. | 2  | crc | attr| lastOff| baseTs | maxTs  | prodId |
//! |            |          |           |    |     |     | Delta  |        |        |        |
//! 51      53      57      61
//! | epoch | baseSeq| count | records, compressed as one block if attributes say so ...
//! ```
//!
//! The broker keeps batches as they were sent. [`validate`] reads the header, the checksum and
//! nothing else, unless a topic's settings ask for the records; offset and leader epoch lie outside
//! the checksum, so an append puts a fresh head of 16 bytes before the rest of the received bytes.
//! Records are walked in place; compressed ones are unpacked into a buffer that is used again, whose
//! growth is bounded by the caller.
//!
//! Pure: bytes and `now` in, verdicts and bytes out.

pub mod batch;
pub mod build;
pub mod codec;
pub mod control;
pub mod validate;
pub mod walk;

mod lz4_frame;
mod pack;
mod unpack;
mod xerial;

pub use batch::{
    Attributes, BatchHeader, CRC_FROM, HEADER_BYTES, HeaderError, PREFIX_BYTES, Stamp,
    TimestampType,
};
pub use build::{BatchBuilder, BuildError, NewRecord, RecompressLimits, recompress};
pub use codec::{Codec, UnknownCodec};
pub use control::{ControlError, ControlType, EndTxnMarker, LeaderChange};
pub use pack::{PackError, Packing};
pub use unpack::{Scratch, UnpackError};
pub use validate::{BatchError, BatchRules, RecordFault, ValidBatch, WalkReason, Walked, validate};
pub use walk::{HeaderView, RecordError, RecordField, RecordView, Records};

#[cfg(test)]
mod golden_tests;
