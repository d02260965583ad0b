//! `highwater dump-log`: what lies in a log's files, and whether it is whole; without a broker.
//!
//! ```text
//! paths -> targets (which files) -> walk (reads a file piece by piece) -> a Layout: text, rows, kafka
//!                                \-> verify (walks a partition as a whole) -> findings
//! ```
//!
//! Files are only read, with plain system calls: this also works where no ring is to be had, beside
//! a broker that has the folder open, and on files of any size and content. What is held of a file
//! is a window of it, at most one batch where records are shown, and an entry of each index. The
//! formats are parsed by the rooms that own them (`log`, `record`, `group`'s and the controller's
//! records by `protocol`); here is how they are read in turn, and how they are shown.

pub mod args;

mod contents;
mod error;
mod finding;
mod indexes;
mod json;
mod layout;
mod layout_kafka;
mod layout_rows;
mod layout_text;
mod segment_file;
mod targets;
mod verify;
mod verify_segment;
mod walk;

#[cfg(test)]
mod tests;

pub use args::{DumpLogArgs, run};
