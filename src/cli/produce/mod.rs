//! `highwater produce`: records from standard input into a topic.
//!
//! ```text
//! stdin -> Source (its own thread: a pipe may be silent) -> groups of records -> Batches, by partition
//!                                                                            -> Sender: one request to
//!            what was refused, record by record <- split, tried again, or given up <- each leader
//! ```

mod args;
mod input;
mod partitioner;
mod sender;
mod work;

pub use args::{Args, run};
