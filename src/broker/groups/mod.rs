//! The hosts of the group coordinators: one for each partition of `__consumer_offsets`, on the core
//! that owns the partition.
//!
//! ```text
//!   api -> ask_coordinator -> (mail) -> Host::serve -> group::Coordinator -> Effects
//!                                                                  Reply  -> (mail) -> api
//!                                                                  Append -> gathered in a turn
//!   end of the turn: one batch -> the partition's appender -> committed -> on_committed -> Reply
//! ```
//!
//! A host loads its coordinator from the partition's log when the partition is opened; what is
//! asked before that is refused, and tried again by clients. It writes with the partition's
//! ordinary staged appends, so that the commits of a turn share a write (and a sync, where the
//! topic has a flush policy), and an answer leaves when its record is committed.
//!
//! The log is kept small by writing what lives anew once that is less than half (`rewrite`).

mod ask;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod expiry_tests;
mod host;
mod load;
mod rewrite;
mod road;
mod topic;
mod waiting;

pub use ask::{Ask, CoordinatorError, GroupReply, Told};
pub use host::Host;
pub use road::Groups;
pub use topic::{OffsetsTopicError, Place};
pub use waiting::Asker;
