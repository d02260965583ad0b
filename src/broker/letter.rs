//! What cores write to each other. Small letters by value; what is large is behind a pointer.

use super::call::{Call, Reply};
use super::fetch::{Errand, Watch};
use super::produce::{AppendOutcome, AppendPart};
use crate::base::Instant;
use crate::runtime::Socket;
use std::net::{IpAddr, SocketAddr};

/// A request that waits at its home core: an index into one of the home shard's tables.
pub type Ticket = u32;

/// Mail between shards.
pub enum Letter {
    /// To the owner: append one partition's part of a produce request.
    Append(AppendPart),
    /// Home: how that went.
    Appended { ticket: Ticket, index: u32, outcome: AppendOutcome },
    /// To the owner: read these parts of a fetch, and tell the fetcher of later appends if asked.
    Read { home: u16, fetcher: Ticket, round: u32, errand: Errand },
    /// Home: what was read, in the order of the parts.
    ReadDone { fetcher: Ticket, round: u32, errand: Errand },
    /// Home: something was appended that a fetcher watches.
    Woken(Watch),
    /// To any core: do this and answer; everything that is not on the two hot roads.
    Call { home: u16, ticket: Ticket, call: Box<Call> },
    /// Home: the answer.
    Reply { ticket: Ticket, reply: Box<Reply> },
    /// To a core: serve this connection; the listener is an index into the broker's listeners. Its
    /// end is to be told to the core that accepts.
    Connection { socket: Socket, peer: SocketAddr, listener: u16 },
    /// To the core that accepts: something of a connection.
    Door(Box<DoorNote>),
    /// To the controller's core: the process was asked to stop.
    Stop,
    /// To every core: all is closed; end the loop.
    Halt,
}

/// What the core that accepts is told of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DoorNote {
    /// It has ended.
    Departed(IpAddr),
    Silent(Silent),
}

/// A connection that asked for metadata, was told another address than its own, and says no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    pub peer: SocketAddr,
    /// Where it came to.
    pub local: SocketAddr,
    pub listener: u16,
    pub asked_at: Instant,
    /// Its software, name and version, where it said so.
    pub client: Option<(String, String)>,
}
