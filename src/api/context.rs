//! What a handler knows: its shard, and the connection that asks.

use super::fetch::FetchLane;
use crate::broker::Shard;
use crate::runtime::sync::Bell;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

/// Where clients are told to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
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
        }
    }
}
