//! `highwater topic`: topics listed, described, made, changed, and deleted.
//!
//! `args` is what is parsed; a file for each question or change. All of them work on any Kafka.

mod args;
mod list;

pub use args::{Args, run};
