//! What any program could use: byte views, varints, seeded random, deadlines, maps with a fixed
//! hasher, the nearest of known words.
//!
//! Pure: no clock, disk, network, thread or task. Nothing in here knows Kafka.

pub mod counter;
pub mod crc32c;
pub mod deadline_heap;
pub mod map;
pub mod nearest;
pub mod pieces;
pub mod quoted;
pub mod random;
pub mod time;
pub mod varint;
pub mod xxh32;

pub use counter::Counter;
pub use deadline_heap::DeadlineHeap;
pub use map::{FastMap, FastSet};
pub use nearest::nearest;
pub use pieces::Pieces;
pub use quoted::Quoted;
pub use random::Random;
pub use time::Instant;
