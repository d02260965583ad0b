//! The load of groups: it makes idle groups (offsets and no members) and live ones (members that have
//! joined, with the dance that clients do), weighs the broker before and after each, and then sends
//! heartbeats, commits and fetches of offsets in turn, at moments that were fixed beforehand.
//!
//! ```text
//!   build (lines: a connection that waits for its answers) -> ops (frames of all members) -> drive -> report
//! ```
//!
//! Members that join wait for each other, and brokers may do one request of a connection at a time:
//! so every member that joins has a connection of its own, and some groups join at once.

mod build;
mod line;
mod ops;
mod report;
mod run;

pub use run::{GroupsArgs, run};
