//! A simulated network: streams between sockets, cut into random chunks that arrive late but in
//! order; bounded buffers, half-close, resets, and hosts that cannot reach one another.
//!
//! ```text
//! sender --send_max--> [ transit ] --chunks, latency--> [ inbox ] --receive_max--> receiver
//! ```
//! Both queues live with the receiver; the sender's space is what `transit` has left.

use super::faults::NetworkFaults;
use crate::base::Random;
use crate::runtime::buffer::Pool;
use crate::runtime::op::{Op, Output};
use crate::runtime::socket::Socket;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that each of a stream's two queues holds unless the socket says otherwise.
const BUFFER_BYTES: usize = 64 * 1024;
const FIRST_PORT: u16 = 32_768;

/// The simulated end of a [`Socket`]: calls that are made without an operation reach the network
/// through a list, because a handle may be dropped anywhere.
#[derive(Debug)]
pub(in crate::runtime) struct SimSocket {
    pub(super) id: u64,
    pub(in crate::runtime) local: SocketAddr,
    calls: Arc<Mutex<Vec<SocketCall>>>,
}

#[derive(Clone, Copy, Debug)]
enum SocketCall {
    Close(u64),
    ShutDown(u64),
    Buffers { id: u64, send: Option<u32>, receive: Option<u32> },
}

impl SimSocket {
    fn call(&self, call: SocketCall) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    pub(in crate::runtime) fn shut_down(&self) {
        self.call(SocketCall::ShutDown(self.id));
    }

    pub(in crate::runtime) fn set_buffers(&self, send: Option<u32>, receive: Option<u32>) {
        self.call(SocketCall::Buffers { id: self.id, send, receive });
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        self.call(SocketCall::Close(self.id));
    }
}

#[derive(Debug)]
pub(super) enum NetJob {
    Accept { listener: u64 },
    Connect { socket: u64, address: SocketAddr },
    RecvPooled { socket: u64 },
    Recv { socket: u64, len: usize },
    Send { socket: u64, bytes: Vec<u8>, sent: usize },
    Poll { socket: u64, readable: bool },
}

impl NetJob {
    /// `None` for an operation that is not the network's.
    pub fn of(op: &Op) -> Option<Self> {
        Some(match op {
            Op::Accept { listener } => Self::Accept { listener: listener.sim().id },
            Op::Connect { socket, address } => {
                Self::Connect { socket: socket.sim().id, address: *address }
            }
            Op::RecvPooled { socket } => Self::RecvPooled { socket: socket.sim().id },
            Op::Recv { socket, start, end, .. } => {
                Self::Recv { socket: socket.sim().id, len: end - start }
            }
            Op::Send { socket, data, skip, .. } => {
                let bytes = data.to_vec().split_off(*skip);
                Self::Send { socket: socket.sim().id, bytes, sent: 0 }
            }
            Op::Poll { socket, readable } => {
                Self::Poll { socket: socket.sim().id, readable: *readable }
            }
            _ => return None,
        })
    }

    pub fn socket(&self) -> u64 {
        match self {
            Self::Accept { listener: id }
            | Self::Connect { socket: id, .. }
            | Self::RecvPooled { socket: id }
            | Self::Recv { socket: id, .. }
            | Self::Send { socket: id, .. }
            | Self::Poll { socket: id, .. } => *id,
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Accept { .. } => "accept",
            Self::Connect { .. } => "connect",
            Self::RecvPooled { .. } => "recv_pooled",
            Self::Recv { .. } => "recv",
            Self::Send { .. } => "send",
            Self::Poll { .. } => "poll",
        }
    }
}

/// What a network operation gave: its output, and bytes for its own buffer.
pub(super) type NetResult = io::Result<(Output, Vec<u8>)>;

pub(super) struct Network {
    sides: BTreeMap<u64, Side>,
    listeners: BTreeMap<SocketAddr, u64>,
    next_id: u64,
    next_port: u16,
    calls: Arc<Mutex<Vec<SocketCall>>>,
    /// Pairs of hosts that cannot reach one another, smaller number first.
    cuts: BTreeSet<(usize, usize)>,
    /// Sockets whose waiting operations should be tried again.
    pub changed: Vec<u64>,
    /// Sockets for which bytes (or an end) are under way and no arrival is planned.
    pub due: Vec<u64>,
}

enum Side {
    /// Made, not connected.
    Fresh {
        host: usize,
        local: SocketAddr,
        send_max: usize,
        receive_max: usize,
    },
    Listener {
        host: usize,
        backlog: VecDeque<(u64, SocketAddr)>,
        backlog_max: usize,
    },
    Stream(Stream),
}

/// One end of a connection, with what is on its way to it.
struct Stream {
    host: usize,
    peer: u64,
    /// Host of the peer, which may be gone.
    peer_host: usize,
    transit: VecDeque<u8>,
    inbox: VecDeque<u8>,
    end_sent: bool,
    end_arrived: bool,
    is_moving: bool,
    is_reset: bool,
    is_shut: bool,
    /// The peer's host lost power: nothing comes any more, not even an end.
    is_peer_lost: bool,
    send_max: usize,
    receive_max: usize,
}

fn error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

impl Network {
    pub fn new() -> Self {
        Self {
            sides: BTreeMap::new(),
            listeners: BTreeMap::new(),
            next_id: 1,
            next_port: FIRST_PORT,
            calls: Arc::default(),
            cuts: BTreeSet::new(),
            changed: Vec::new(),
            due: Vec::new(),
        }
    }

    pub fn listen(&mut self, host: usize, address: SocketAddr, backlog: u32) -> io::Result<Socket> {
        let mut local = address;
        if local.port() == 0 {
            local.set_port(self.port());
        }
        if self.listener(local).is_some() {
            return Err(error(libc::EADDRINUSE));
        }
        let backlog_max = backlog.max(1) as usize;
        let id = self.add(Side::Listener { host, backlog: VecDeque::new(), backlog_max });
        self.listeners.insert(local, id);
        Ok(self.handle(id, local))
    }

    /// A socket that is about to connect.
    pub fn socket(&mut self, host: usize, address: SocketAddr) -> Socket {
        let local = SocketAddr::new(address.ip(), self.port());
        let (send_max, receive_max) = (BUFFER_BYTES, BUFFER_BYTES);
        let id = self.add(Side::Fresh { host, local, send_max, receive_max });
        self.handle(id, local)
    }

    fn port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
        port
    }

    fn add(&mut self, side: Side) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.sides.insert(id, side);
        id
    }

    fn handle(&self, id: u64, local: SocketAddr) -> Socket {
        Socket::from_sim(SimSocket { id, local, calls: Arc::clone(&self.calls) })
    }

    /// The listener that a connection to `address` meets.
    fn listener(&self, address: SocketAddr) -> Option<u64> {
        let fits = |bound: &SocketAddr| {
            bound.port() == address.port()
                && (bound.ip() == address.ip()
                    || bound.ip().is_unspecified()
                    || address.ip().is_unspecified())
        };
        self.listeners.iter().find(|(bound, _)| fits(bound)).map(|(_, id)| *id)
    }

    /// Handles dropped and shut down since the last call take effect.
    pub fn settle_calls(&mut self) {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        for call in calls {
            match call {
                SocketCall::Close(id) => self.close(id),
                SocketCall::ShutDown(id) => self.shut_down(id),
                SocketCall::Buffers { id, send, receive } => self.set_buffers(id, send, receive),
            }
        }
    }

    fn set_buffers(&mut self, id: u64, send: Option<u32>, receive: Option<u32>) {
        if let Some(
            Side::Fresh { send_max, receive_max, .. }
            | Side::Stream(Stream { send_max, receive_max, .. }),
        ) = self.sides.get_mut(&id)
        {
            *send_max = send.map_or(*send_max, |bytes| bytes.max(1) as usize);
            *receive_max = receive.map_or(*receive_max, |bytes| bytes.max(1) as usize);
        }
    }

    fn close(&mut self, id: u64) {
        match self.sides.remove(&id) {
            Some(Side::Stream(stream)) => {
                // As TCP does: unread bytes turn the end into a reset.
                if stream.inbox.is_empty() && stream.transit.is_empty() {
                    self.send_end(stream.peer);
                } else {
                    self.reset(stream.peer);
                }
            }
            Some(Side::Listener { backlog, .. }) => {
                self.listeners.retain(|_, listener| *listener != id);
                for (stream, _) in backlog {
                    self.abandon(stream);
                }
            }
            Some(Side::Fresh { .. }) | None => {}
        }
    }

    /// Drops a connection that nobody accepted.
    fn abandon(&mut self, id: u64) {
        if let Some(Side::Stream(stream)) = self.sides.remove(&id) {
            self.reset(stream.peer);
        }
    }

    fn shut_down(&mut self, id: u64) {
        match self.sides.get_mut(&id) {
            Some(Side::Stream(stream)) => {
                stream.is_shut = true;
                let peer = stream.peer;
                self.send_end(peer);
            }
            Some(Side::Listener { backlog, .. }) => {
                let backlog = std::mem::take(backlog);
                for (stream, _) in backlog {
                    self.abandon(stream);
                }
                self.listeners.retain(|_, listener| *listener != id);
            }
            Some(Side::Fresh { .. }) | None => {}
        }
        self.changed.push(id);
    }

    fn send_end(&mut self, to: u64) {
        if let Some(Side::Stream(stream)) = self.sides.get_mut(&to) {
            stream.end_sent = true;
            self.due.push(to);
        }
    }

    fn reset(&mut self, id: u64) {
        if let Some(Side::Stream(stream)) = self.sides.get_mut(&id) {
            stream.is_reset = true;
            stream.transit.clear();
            stream.inbox.clear();
            self.changed.push(id);
        }
    }

    /// A host loses power: its sockets are gone, and nobody is told.
    pub fn crash(&mut self, host: usize) {
        let is_here = |side: &Side| match side {
            Side::Fresh { host: on, .. }
            | Side::Listener { host: on, .. }
            | Side::Stream(Stream { host: on, .. }) => *on == host,
        };
        self.sides.retain(|_, side| !is_here(side));
        let sides = &self.sides;
        self.listeners.retain(|_, listener| sides.contains_key(listener));
        for side in self.sides.values_mut() {
            if let Side::Stream(stream) = side
                && stream.peer_host == host
            {
                stream.is_peer_lost = true;
            }
        }
    }

    /// A host is back: it answers what it does not know with a reset.
    pub fn boot(&mut self, host: usize) {
        let lost = |(id, side): (&u64, &Side)| match side {
            Side::Stream(stream) if stream.is_peer_lost && stream.peer_host == host => Some(*id),
            _ => None,
        };
        let lost: Vec<u64> = self.sides.iter().filter_map(lost).collect();
        for id in lost {
            self.reset(id);
        }
    }

    /// Cuts or mends the way between two hosts.
    pub fn set_cut(&mut self, a: usize, b: usize, is_cut: bool) {
        let pair = (a.min(b), a.max(b));
        if is_cut {
            self.cuts.insert(pair);
        } else if self.cuts.remove(&pair) {
            self.due.extend(self.sides.keys());
        }
    }

    fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cuts.contains(&(a.min(b), a.max(b)))
    }

    /// Whether an arrival should be planned for this socket now; it is taken as planned.
    pub fn plan_arrival(&mut self, id: u64) -> bool {
        let Some(Side::Stream(stream)) = self.sides.get(&id) else { return false };
        let has_bytes = !stream.transit.is_empty() && stream.inbox.len() < stream.receive_max;
        let has_end = stream.transit.is_empty() && stream.end_sent && !stream.end_arrived;
        let plan = (has_bytes || has_end)
            && !stream.is_moving
            && !stream.is_reset
            && !self.is_cut(stream.host, stream.peer_host);
        if plan && let Some(Side::Stream(stream)) = self.sides.get_mut(&id) {
            stream.is_moving = true;
        }
        plan
    }

    /// A planned arrival: a chunk of what is under way, the end, or bad luck.
    pub fn arrive(&mut self, id: u64, faults: &NetworkFaults, random: &mut Random) {
        let Some(Side::Stream(stream)) = self.sides.get_mut(&id) else { return };
        stream.is_moving = false;
        let peer = stream.peer;
        if faults.reset.hit(random) {
            self.reset(id);
            self.reset(peer);
            return;
        }
        let room = stream.receive_max.saturating_sub(stream.inbox.len());
        let chunk = random.between(1, faults.chunk_max.max(1)) as usize;
        let count = chunk.min(room).min(stream.transit.len());
        stream.inbox.extend(stream.transit.drain(..count));
        if stream.transit.is_empty() && stream.end_sent {
            stream.end_arrived = true;
        }
        self.changed.extend([id, peer]);
        self.due.push(id);
    }

    /// Tries an operation: its result, or `None` while it must wait.
    pub fn attempt(
        &mut self,
        job: &mut NetJob,
        pool: &Pool,
        faults: &NetworkFaults,
        random: &mut Random,
    ) -> Option<NetResult> {
        let none = Vec::new();
        match job {
            NetJob::Accept { listener } => self.accept(*listener),
            NetJob::Connect { socket, address } => {
                Some(self.connect(*socket, *address).map(|()| (Output::None, none)))
            }
            NetJob::RecvPooled { socket } => self.receive_pooled(*socket, pool),
            NetJob::Recv { socket, len } => {
                let bytes = self.receive(*socket, *len)?;
                Some(bytes.map(|bytes| (Output::Count(bytes.len()), bytes)))
            }
            NetJob::Send { socket, bytes, sent } => {
                let is_short = faults.short_send.hit(random);
                match self.push(*socket, &bytes[*sent..]) {
                    Ok(count) => *sent += count,
                    Err(_) if *sent > 0 => return Some(Ok((Output::Count(*sent), none))),
                    Err(error) => return Some(Err(error)),
                }
                let is_done = *sent == bytes.len() || (is_short && *sent > 0);
                is_done.then_some(Ok((Output::Count(*sent), none)))
            }
            NetJob::Poll { socket, readable } => {
                self.is_ready(*socket, *readable).then_some(Ok((Output::None, none)))
            }
        }
    }

    fn accept(&mut self, listener: u64) -> Option<NetResult> {
        let is_bound = self.listeners.values().any(|id| *id == listener);
        let Some(Side::Listener { backlog, .. }) = self.sides.get_mut(&listener) else {
            return Some(Err(error(libc::EINVAL)));
        };
        let Some((id, peer)) = backlog.pop_front() else {
            return (!is_bound).then(|| Err(error(libc::EINVAL)));
        };
        let bound = self.listeners.iter().find(|(_, id)| **id == listener);
        let local = bound.map_or(peer, |(address, _)| *address);
        Some(Ok((Output::Accepted(self.handle(id, local), peer), Vec::new())))
    }

    fn connect(&mut self, socket: u64, address: SocketAddr) -> io::Result<()> {
        let Some(Side::Fresh { host, local, send_max, receive_max }) = self.sides.get(&socket)
        else {
            return Err(error(libc::EISCONN));
        };
        let (host, local, send_max, receive_max) = (*host, *local, *send_max, *receive_max);
        let listener = self.listener(address).ok_or_else(|| error(libc::ECONNREFUSED))?;
        let Some(Side::Listener { host: peer_host, backlog, backlog_max }) =
            self.sides.get(&listener)
        else {
            return Err(error(libc::ECONNREFUSED));
        };
        let peer_host = *peer_host;
        if self.is_cut(host, peer_host) || backlog.len() >= *backlog_max {
            return Err(error(libc::ETIMEDOUT));
        }
        let there = Stream::new(peer_host, socket, host, BUFFER_BYTES, BUFFER_BYTES);
        let peer = self.add(Side::Stream(there));
        let here = Stream::new(host, peer, peer_host, send_max, receive_max);
        self.sides.insert(socket, Side::Stream(here));
        if let Some(Side::Listener { backlog, .. }) = self.sides.get_mut(&listener) {
            backlog.push_back((peer, local));
        }
        self.changed.push(listener);
        Ok(())
    }

    fn receive_pooled(&mut self, socket: u64, pool: &Pool) -> Option<NetResult> {
        // The kernel picks a buffer before it looks for bytes.
        let Some(mut block) = pool.take() else { return Some(Err(error(libc::ENOBUFS))) };
        match self.receive(socket, block.capacity())? {
            Ok(bytes) if bytes.is_empty() => Some(Ok((Output::End, bytes))),
            Ok(bytes) => {
                block.as_mut_slice()[..bytes.len()].copy_from_slice(&bytes);
                Some(Ok((Output::Received(block.freeze(bytes.len())), Vec::new())))
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Bytes that are there, none at the end of the stream; `None` while neither is.
    pub fn receive(&mut self, socket: u64, len: usize) -> Option<io::Result<Vec<u8>>> {
        let Some(Side::Stream(stream)) = self.sides.get_mut(&socket) else {
            return Some(Err(error(libc::ENOTCONN)));
        };
        if stream.is_reset {
            return Some(Err(error(libc::ECONNRESET)));
        }
        let count = len.min(stream.inbox.len());
        if count == 0 && !stream.end_arrived && !stream.is_shut {
            return None;
        }
        let bytes = stream.inbox.drain(..count).collect();
        self.due.push(socket);
        Some(Ok(bytes))
    }

    /// Takes bytes to be sent: as many as there is space for.
    pub fn push(&mut self, socket: u64, bytes: &[u8]) -> io::Result<usize> {
        let Some(Side::Stream(stream)) = self.sides.get(&socket) else {
            return Err(error(libc::ENOTCONN));
        };
        if stream.is_reset {
            return Err(error(libc::ECONNRESET));
        }
        if stream.is_shut {
            return Err(error(libc::EPIPE));
        }
        let (peer, send_max, is_lost) = (stream.peer, stream.send_max, stream.is_peer_lost);
        let Some(Side::Stream(there)) = self.sides.get_mut(&peer) else {
            // A lost peer's silence looks like a full buffer; a closed one answers with a reset.
            return if is_lost { Ok(0) } else { Err(error(libc::EPIPE)) };
        };
        let count = bytes.len().min(send_max.saturating_sub(there.transit.len()));
        there.transit.extend(&bytes[..count]);
        self.due.push(peer);
        Ok(count)
    }

    fn is_ready(&self, socket: u64, readable: bool) -> bool {
        match self.sides.get(&socket) {
            Some(Side::Listener { backlog, .. }) => readable && !backlog.is_empty(),
            Some(Side::Stream(stream)) if stream.is_reset || stream.is_shut => true,
            Some(Side::Stream(stream)) if readable => {
                !stream.inbox.is_empty() || stream.end_arrived
            }
            Some(Side::Stream(stream)) => match self.sides.get(&stream.peer) {
                Some(Side::Stream(there)) => there.transit.len() < stream.send_max,
                _ => !stream.is_peer_lost,
            },
            Some(Side::Fresh { .. }) | None => true,
        }
    }
}

impl Stream {
    fn new(host: usize, peer: u64, peer_host: usize, send_max: usize, receive_max: usize) -> Self {
        Self {
            host,
            peer,
            peer_host,
            transit: VecDeque::new(),
            inbox: VecDeque::new(),
            end_sent: false,
            end_arrived: false,
            is_moving: false,
            is_reset: false,
            is_shut: false,
            is_peer_lost: false,
            send_max,
            receive_max,
        }
    }
}
