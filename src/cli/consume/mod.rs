//! `highwater consume`: records of topics, from any place, by itself or as a member of a group.
//!
//! ```text
//! place (-o) or the group's commits -> Positions -> fetch -> batches -> aborted ones left out -> print
//!                                          ^                                                  |
//! member (-g): join, heartbeat, assign ----/                        commit after it is printed
//! ```

mod aborted;
mod args;
mod assign;
mod member;
mod place;
mod positions;
mod print;
mod work;

pub use args::{Args, run};
