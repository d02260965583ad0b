//! The connections of one core.

use super::acceptor::{Door, plain};
use super::connection::Connection;
use crate::api::{Context, Endpoint};
use crate::base::Instant;
use crate::broker::control::CONTROLLER_SHARD;
use crate::broker::letter::{DoorNote, Letter, Silent};
use crate::broker::told::Kind;
use crate::broker::{Above, Arrival, Listener, Shard};
use crate::limits::{DRAIN_PATIENCE, RETURN_PATIENCE, WATCHED_CONNECTIONS_MAX};
use crate::runtime::Socket;
use crate::runtime::sync::Bell;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// Between two looks at whether all connections have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What a core serves.
#[derive(Default)]
struct Connections {
    /// Connections keep themselves alive: one that has ended closes its socket at once.
    open: RefCell<Vec<Weak<Connection>>>,
    is_stopping: Cell<bool>,
    /// Those that are told another address than their own, until it is seen whether they go there.
    watched: RefCell<VecDeque<Watched>>,
    /// Rung when the first one is watched.
    watch_bell: Bell,
}

/// A connection whose client is expected elsewhere.
struct Watched {
    since: Instant,
    connection: Weak<Connection>,
    local: SocketAddr,
    listener: u16,
}

/// Hangs the server under a shard: from now on it takes connections. Gives the door, which is opened
/// on the core that accepts.
pub fn hang_under(shard: &Rc<Shard>) -> Rc<Door> {
    let connections = Rc::new(Connections::default());
    let door = Rc::<Door>::default();
    shard.core().spawn(Rc::clone(&connections).keep_watch(Rc::downgrade(shard)));
    let (weak, ours) = (Rc::downgrade(shard), Rc::clone(&connections));
    let (stopping, noted, drained) = (weak.clone(), weak.clone(), weak.clone());
    let (told, opened) = (Rc::clone(&door), Rc::clone(&door));
    let above = Above {
        connection: Box::new(move |socket, arrival| ours.add(&weak, socket, arrival)),
        door: Box::new(move |note| {
            if let Some(shard) = noted.upgrade() {
                told.on_note(&shard, note);
            }
        }),
        drain: Box::new(move || {
            let (connections, shard) = (Rc::clone(&connections), drained.upgrade());
            Box::pin(async move {
                if let Some(shard) = shard {
                    connections.drain(&shard).await;
                }
            })
        }),
        stop: Box::new(move || {
            if let Some(shard) = stopping.upgrade() {
                let core = shard.core().clone();
                core.spawn(super::startup::stop(shard, Rc::clone(&opened)));
            }
        }),
    };
    keep(shard);
    assert!(shard.above.set(above).is_ok(), "a shard has one server");
    door
}

impl Connections {
    fn add(&self, shard: &Weak<Shard>, socket: Socket, arrival: Arrival) {
        let Some(shard) = shard.upgrade() else { return };
        let is_served = !self.is_stopping.get() && self.serve(&shard, socket, arrival);
        if !is_served {
            tell_departure(&shard, arrival.peer);
        }
    }

    /// Serves a connection, if it may be and is still there.
    fn serve(&self, shard: &Rc<Shard>, socket: Socket, arrival: Arrival) -> bool {
        let Arrival { peer, listener } = arrival;
        let mut open = self.open.borrow_mut();
        // Those that have ended leave here, so that the list is as long as what is open.
        if open.len() >= 2 * shard.connection_count.get() + 16 {
            open.retain(|connection| connection.strong_count() > 0);
        }
        // Gone before it was served: nothing to tell anyone.
        let Ok(local) = socket.local_address().map(plain) else { return false };
        set_buffers(shard, &socket, peer);
        let facts = &shard.facts.listeners[usize::from(listener)];
        let advertised = Endpoint {
            host: facts.advertised_host.clone().unwrap_or_else(|| local.ip().to_string()),
            port: facts.advertised_port,
        };
        let context = Context::new(Rc::clone(shard), peer, advertised);
        let connection = Rc::downgrade(&Connection::start(socket, context));
        if !is_told_its_own(facts, local) {
            let (since, connection) = (shard.core().now(), connection.clone());
            self.watch(Watched { since, connection, local, listener });
        }
        open.push(connection);
        true
    }

    fn watch(&self, watched: Watched) {
        let mut queue = self.watched.borrow_mut();
        // A crowd of clients all tell the same: those at the front will do.
        if queue.len() < WATCHED_CONNECTIONS_MAX {
            queue.push_back(watched);
            self.watch_bell.ring();
        }
    }

    /// Looks at each watched connection once, when its client has had the time to go on.
    async fn keep_watch(self: Rc<Self>, shard: Weak<Shard>) {
        loop {
            let front = self.watched.borrow().front().map(|watched| watched.since);
            let Some(since) = front else {
                self.watch_bell.heard().await;
                continue;
            };
            let Some(core) = shard.upgrade().map(|shard| shard.core().clone()) else { return };
            core.sleep_until(since + RETURN_PATIENCE).await;
            let watched = self.watched.borrow_mut().pop_front();
            if let (Some(watched), Some(shard)) = (watched, shard.upgrade()) {
                watched.look(&shard);
            }
        }
    }

    /// Takes no more, and closes each that is open when what it has begun is answered; those that
    /// are not in time are named.
    async fn drain(&self, shard: &Shard) {
        self.is_stopping.set(true);
        let give_up = shard.core().now() + DRAIN_PATIENCE;
        let open = std::mem::take(&mut *self.open.borrow_mut());
        let open = || open.iter().filter_map(Weak::upgrade).filter(|one| !one.is_over());
        open().for_each(|connection| connection.drain());
        while shard.connection_count.get() > 0 && shard.core().now() < give_up {
            shard.core().sleep(LOOK_AGAIN).await;
        }
        for connection in open() {
            if shard.may_tell(Kind::Late) {
                connection.tell_late();
            }
            connection.stop();
        }
    }
}

impl Watched {
    /// Tells the core that accepts of a client that has learned where to go and says no more.
    fn look(&self, shard: &Shard) {
        let Some(connection) = self.connection.upgrade() else { return };
        let context = connection.context();
        if let Some(asked_at) = context.conduct.only_asked_at() {
            let silent = Silent {
                peer: context.peer,
                local: self.local,
                listener: self.listener,
                asked_at,
                client: context.client.borrow().clone(),
            };
            shard.send(CONTROLLER_SHARD, Letter::Door(Box::new(DoorNote::Silent(silent))));
        }
    }
}

/// Whether a client is told the address that it has come to.
fn is_told_its_own(listener: &Listener, local: SocketAddr) -> bool {
    listener.advertised_host.is_none()
        || (listener.advertised_port == local.port()
            && listener.advertised_addresses.contains(&local.ip()))
}

fn set_buffers(shard: &Shard, socket: &Socket, peer: SocketAddr) {
    let config = &shard.facts.config;
    let (send, receive) = (config.socket_send_buffer_bytes, config.socket_receive_buffer_bytes);
    let is_set = |key| config.layers.file.contains_key(key);
    // Kafka's defaults of 100 KiB are small for today's links; only what is set is used.
    let send = send.filter(|_| is_set("socket.send.buffer.bytes"));
    let receive = receive.filter(|_| is_set("socket.receive.buffer.bytes"));
    if let Err(error) = socket.set_buffers(send, receive)
        && shard.may_tell(Kind::Buffers)
    {
        tracing::warn!("socket buffers of {peer} stay as they are: {error}");
    }
}

/// A connection has ended.
pub fn tell_departure(shard: &Shard, peer: SocketAddr) {
    shard.send(CONTROLLER_SHARD, Letter::Door(Box::new(DoorNote::Departed(peer.ip()))));
}

/// Starts what a core does now and then.
pub fn keep(shard: &Rc<Shard>) {
    shard.core().spawn(Rc::clone(shard).keep_retention());
    shard.core().spawn(Rc::clone(shard).keep_flushed());
    shard.core().spawn(Rc::clone(shard).keep_metrics());
    shard.core().spawn(Rc::clone(shard).keep_told());
}

/// Tells every core to end its loop.
pub fn halt_all(shard: &Shard) {
    for core in 0..shard.core_count() {
        shard.send(core, Letter::Halt);
    }
}
