//! A small wire-level load, cheaper than the brokers it measures: one thread, requests encoded
//! once, answers looked at only as far as their error code.
//!
//! ```text
//!   args --> work (topics, frames, how answers are read) --> drive (connections, clocks) --> report
//! ```
//!
//! Closed loop keeps a number of requests in flight and finds the most that a broker does. Open
//! loop sends at moments that were fixed beforehand and counts an answer's time from there, so
//! that a broker that stalls is charged for every request that it kept waiting.
//!
//! `groups` first makes its groups (real joins, over connections of their own), then drives them.

mod answers;
mod args;
mod drive;
mod error;
mod groups;
mod process;
mod report;
mod start;
mod work;

pub use args::{Args, run};
pub use error::LoadError;
