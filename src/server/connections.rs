//! The connections of one core.

use super::connection::Connection;
use crate::api::{Context, Endpoint};
use crate::broker::letter::Letter;
use crate::broker::{Above, Shard};
use crate::runtime::Socket;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};

/// What a core serves.
#[derive(Default)]
struct Connections {
    /// Connections keep themselves alive: one that has ended closes its socket at once.
    open: RefCell<Vec<Weak<Connection>>>,
    is_stopping: Cell<bool>,
}

/// Hangs the server under a shard: from now on it takes connections.
pub fn hang_under(shard: &Rc<Shard>) {
    let connections = Rc::new(Connections::default());
    let (weak, ours) = (Rc::downgrade(shard), Rc::clone(&connections));
    let stopping = Rc::downgrade(shard);
    let above = Above {
        connection: Box::new(move |fd, peer, listener| ours.add(&weak, fd, peer, listener)),
        close_connections: Box::new(move || connections.close_all()),
        stop: Box::new(move || {
            if let Some(shard) = stopping.upgrade() {
                let core = shard.core().clone();
                core.spawn(super::startup::stop(shard));
            }
        }),
    };
    keep(shard);
    assert!(shard.above.set(above).is_ok(), "a shard has one server");
}

impl Connections {
    fn add(&self, shard: &Weak<Shard>, fd: OwnedFd, peer: SocketAddr, listener: u16) {
        let Some(shard) = shard.upgrade().filter(|_| !self.is_stopping.get()) else { return };
        let config = &shard.facts.config;
        let socket = Socket::from_fd(fd);
        let mut open = self.open.borrow_mut();
        // Those that have ended leave here, so that the list is as long as what is open.
        if open.len() >= 2 * shard.connection_count.get() + 16 {
            open.retain(|connection| connection.strong_count() > 0);
        }
        let max = (config.connections_max as usize).div_ceil(shard.core_count());
        if shard.connection_count.get() >= max {
            shard.metrics().connections_refused.add(1);
            tracing::warn!(
                "refusing a connection from {peer}: {max} are open on this core \
                 (max.connections={})",
                config.connections_max
            );
            return;
        }
        let facts = &shard.facts.listeners[usize::from(listener)];
        let host = facts.advertised_host.clone();
        // Gone before it was served: nothing to tell anyone.
        let Ok(local) = socket.local_address() else { return };
        let advertised = Endpoint {
            host: host.unwrap_or_else(|| local.ip().to_string()),
            port: facts.advertised_port,
        };
        let (send, receive) = (config.socket_send_buffer_bytes, config.socket_receive_buffer_bytes);
        let is_set = |key| config.layers.file.contains_key(key);
        // Kafka's defaults of 100 KiB are small for today's links; only what is set is used.
        let send = send.filter(|_| is_set("socket.send.buffer.bytes"));
        let receive = receive.filter(|_| is_set("socket.receive.buffer.bytes"));
        if let Err(error) = socket.set_buffers(send, receive) {
            tracing::warn!("socket buffers of {peer} stay as they are: {error}");
        }
        let context = Context::new(Rc::clone(&shard), peer, advertised);
        open.push(Rc::downgrade(&Connection::start(socket, context)));
    }

    /// Closes all that are open, and takes no more.
    fn close_all(&self) {
        self.is_stopping.set(true);
        for connection in self.open.borrow_mut().drain(..).filter_map(|weak| weak.upgrade()) {
            connection.stop();
        }
    }
}

/// Starts what a core does now and then.
pub fn keep(shard: &Rc<Shard>) {
    shard.core().spawn(Rc::clone(shard).keep_retention());
    shard.core().spawn(Rc::clone(shard).keep_flushed());
    shard.core().spawn(Rc::clone(shard).keep_metrics());
}

/// Tells every core to end its loop.
pub fn halt_all(shard: &Shard) {
    for core in 0..shard.core_count() {
        shard.send(core, Letter::Halt);
    }
}
