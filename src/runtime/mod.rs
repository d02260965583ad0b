//! One core's world: ring, executor, timers, buffers, files, sockets, cross-core mail, pinning.
//!
//! Hosted rooms hold a [`Core`] and ask it for everything: each request is an [`Op`] that goes to
//! the driver, the kernel's ring in production, two queues in the simulator. A turn of a core's
//! loop runs what is ready, gathers, submits with one system call, and wakes whoever's operation
//! completed. Buffers belong to their operation until it completes.
//!
//! `unsafe` lives in `ring`, `syscall`, `buffer`, `mailbox` and `machine` only.

pub mod buffer;
pub mod chain;
pub mod clock;
pub mod core;
pub mod doing;
pub mod file;
pub mod host;
pub mod log;
pub mod log_level;
pub mod machine;
pub mod mailbox;
pub mod op;
pub mod panics;
pub mod probe;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod socket;
pub mod sync;

mod driver;
mod executor;
mod log_line;
mod ring;
mod syscall;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod timer;
mod work;

pub use self::core::{BLOCK_BYTES, Core, RECEIVE_NOW_BLOCKS_MAX};
pub use buffer::{BlockMut, Gather, Pool, Slice};
pub use chain::Chain;
pub use file::File;
pub use host::Lock;
pub use op::{Advice, DirEntry, Open, Stat};
pub use ring::RingOptions;
pub use socket::{Received, Socket};
