//! Fetch sessions (KIP-227): what a fetcher said once need not be said again, and what it was told
//! once is not told again.
//!
//! Pure. A request passes through in four steps, of which the second may take long:
//!
//! 1. `SessionCache::begin` finds or closes the session that the request names, merges what the
//!    request changes, and gives a `SessionContext`.
//! 2. `SessionCache::entries` are the partitions to read, in the order in which to read them.
//! 3. `SessionCache::answer` is told what each partition had to say, and says whether that belongs
//!    into the answer.
//! 4. `SessionCache::finish` makes a new session where one was asked for and there is room, and
//!    gives the session id of the answer.
//!
//! Between the steps other requests may be served, also of the same session: the epoch tells.
//! Requests without a session keep their entries in memory that the caller lends and reuses.
//! An incremental request that changes no partition allocates nothing.
//!
//! One such cache a core. The cores share the space of session ids between them, so that a client
//! that comes back on another core is never taken for somebody else.

mod entries;
#[cfg(test)]
mod histories;
mod sessions;
mod shelf;
#[cfg(test)]
mod stories;

pub use entries::{Answered, EntryIndex, FetchEntries, FetchEntry, NewEntry, PartitionKey};
pub use sessions::{
    Answering, Finished, SessionCache, SessionContext, SessionError, SessionLimits, SessionRequest,
};
