//! `highwater group`: groups listed, described, explained, moved to other offsets, and deleted.
//!
//! `args` is what is parsed; `progress` puts together what coordinators and leaders say of a group's
//! partitions, and each command shows it its own way. All of them work on any Kafka.

mod args;
mod change;
mod progress;
mod seek;
mod show;
mod why;

pub use args::{Args, run};
