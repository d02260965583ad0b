//! What a handler knows: its shard, and the connection that asks.

use super::fetch::FetchLane;
use crate::base::Instant;
use crate::broker::Shard;
use crate::protocol::ApiKey;
use crate::runtime::sync::Bell;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

/// Where clients are told to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

/// What a connection has asked so far: a client that only learns where the broker is goes on there.
#[derive(Debug, Default)]
pub struct Conduct {
    asked_at: Cell<Option<Instant>>,
    is_at_work: Cell<bool>,
}

/// One connection, as the handlers see it.
pub struct Context {
    pub shard: Rc<Shard>,
    pub peer: SocketAddr,
    /// What this connection's listener advertises.
    pub advertised: Endpoint,
    /// Rung when an answer may be ready.
    pub bell: Rc<Bell>,
    /// Software of the client, from ApiVersions 3 on (KIP-511): name and version.
    pub client: RefCell<Option<(String, String)>>,
    /// The connection's fetches, from the first one on.
    pub lane: RefCell<Option<Rc<FetchLane>>>,
    pub conduct: Conduct,
}

impl Conduct {
    pub(super) fn note(&self, api: ApiKey, now: impl FnOnce() -> Instant) {
        match api {
            ApiKey::ApiVersions => {}
            ApiKey::Metadata if self.asked_at.get().is_none() => self.asked_at.set(Some(now())),
            ApiKey::Metadata | ApiKey::FindCoordinator | ApiKey::DescribeCluster => {}
            _ => self.is_at_work.set(true),
        }
    }

    /// When metadata were asked for first, if nothing but addresses was.
    pub fn only_asked_at(&self) -> Option<Instant> {
        self.asked_at.get().filter(|_| !self.is_at_work.get())
    }
}

impl Context {
    pub fn new(shard: Rc<Shard>, peer: SocketAddr, advertised: Endpoint) -> Self {
        Self {
            shard,
            peer,
            advertised,
            bell: Rc::default(),
            client: RefCell::default(),
            lane: RefCell::default(),
            conduct: Conduct::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_only_asks_until_it_does_something_else() {
        let conduct = Conduct::default();
        conduct.note(ApiKey::ApiVersions, || Instant(1));
        assert_eq!(conduct.only_asked_at(), None);
        conduct.note(ApiKey::Metadata, || Instant(2));
        conduct.note(ApiKey::Metadata, || Instant(3));
        conduct.note(ApiKey::FindCoordinator, || Instant(4));
        assert_eq!(conduct.only_asked_at(), Some(Instant(2)));
        conduct.note(ApiKey::Produce, || Instant(5));
        assert_eq!(conduct.only_asked_at(), None);
    }
}
