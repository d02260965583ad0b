//! `highwater topic`: topics listed, described, made, changed, trimmed, and deleted.
//!
//! `args` is what is parsed; then a file for each question or change. All of them work on any Kafka.
//! What destroys records shows how many first, and asks.

mod acknowledgement;
mod add_partitions;
mod alter;
mod args;
mod create;
mod delete;
mod describe;
mod list;
mod trim;

pub use args::{Args, run};
