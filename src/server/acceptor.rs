//! The door: accepts connections and deals them out, each core gets one in turn. One listener per
//! address, so that a port is never shared with another process by accident.
//!
//! All listeners are accepted from on one core, which so knows who comes: limits of all connections,
//! per address and per second are kept here, and who was told where to go and never came is named.

use super::absent::Absent;
use super::crowd::Crowd;
use crate::broker::Shard;
use crate::broker::letter::{DoorNote, Letter};
use crate::broker::told::Kind;
use crate::limits::WRITE_PATIENCE;
use crate::runtime::Socket;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Accepts of one listener that wait at the same time.
const ACCEPTS_AT_ONCE: usize = 16;
/// Between two tries while there are no descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What the accepting core knows.
#[derive(Default)]
pub struct Door {
    /// The core that gets the next connection; all listeners deal from here.
    next: Cell<usize>,
    crowd: RefCell<Crowd>,
    absent: RefCell<Absent>,
    listeners: RefCell<Vec<Socket>>,
    is_closed: Cell<bool>,
}

impl Door {
    /// Sets the limits, before anybody comes.
    pub fn set_crowd(&self, crowd: Crowd) {
        self.crowd.replace(crowd);
    }

    /// Accepts on a listener for as long as the core runs. Several wait at once, so that a crowd that
    /// comes back does not overflow the kernel's short queue, one connection per turn of the loop.
    pub fn open(self: &Rc<Self>, shard: &Rc<Shard>, listener: &Socket, index: u16) {
        self.listeners.borrow_mut().push(listener.clone());
        for _ in 0..ACCEPTS_AT_ONCE {
            let accept = accept(Rc::clone(self), Rc::clone(shard), listener.clone(), index);
            shard.core().spawn(accept);
        }
    }

    /// Accepts nothing more: who comes from now on is refused by the kernel.
    pub fn close(&self) {
        self.is_closed.set(true);
        // Those who wait in `accept` are told.
        self.listeners.borrow_mut().drain(..).for_each(|listener| listener.shut_down());
    }

    /// What other cores tell of connections.
    pub fn on_note(&self, shard: &Shard, note: &DoorNote) {
        match note {
            DoorNote::Departed(peer) => self.crowd.borrow_mut().on_departure(*peer),
            DoorNote::Silent(silent) => {
                let listener = &shard.facts.listeners[usize::from(silent.listener)];
                let now = shard.core().now();
                if let Some(line) = self.absent.borrow_mut().on_silence(now, silent, listener) {
                    tracing::warn!("{line}");
                }
            }
        }
    }

    async fn admit(&self, shard: &Shard, socket: Socket, peer: SocketAddr, listener: u16) {
        let all_max = shard.live.connections_max();
        if let Err(full) = self.crowd.borrow_mut().on_arrival(peer.ip(), all_max) {
            shard.metrics().connections_refused.add(1);
            if shard.may_tell(Kind::Refused) {
                tracing::warn!("refusing a connection from {}: {full}", peer.ip());
            }
            return;
        }
        let now = shard.core().now();
        self.absent.borrow_mut().on_arrival(now, peer.ip());
        let delay = self.crowd.borrow_mut().delay(now);
        if !delay.is_zero() {
            shard.core().sleep(delay).await;
        }
        let set_up = socket.set_up().and_then(|()| socket.set_write_patience(WRITE_PATIENCE));
        if set_up.is_err() {
            // It is gone already.
            self.crowd.borrow_mut().on_departure(peer.ip());
            return;
        }
        let core = self.next.replace(self.next.get().wrapping_add(1)) % shard.core_count();
        shard.send(core, Letter::Connection { socket, peer, listener });
    }
}

async fn accept(door: Rc<Door>, shard: Rc<Shard>, listener: Socket, index: u16) {
    loop {
        let accepted = listener.accept(shard.core()).await;
        if door.is_closed.get() {
            return;
        }
        match accepted {
            Ok((socket, peer)) => door.admit(&shard, socket, plain(peer), index).await,
            // That one client's trouble: a scanner or a health check that hung up at once.
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tell_of_trouble(&shard, &error);
                // Connections wait in the backlog meanwhile.
                shard.core().sleep(PAUSE).await;
            }
        }
    }
}

/// An address as people write it: IPv4 that came over an IPv6 socket is IPv4.
pub fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether the connection was gone before it was accepted, which says nothing of the next one.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::NotConnected
            | Kind::TimedOut
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::Interrupted
    )
}

/// Most often no descriptor is left.
fn tell_of_trouble(shard: &Shard, error: &io::Error) {
    if shard.may_tell(Kind::NotAccepted) {
        tracing::warn!(
            "cannot accept connections: {error}; trying again every {PAUSE:?} \
             (if files ran out: raise LimitNOFILE or ulimit -n)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_hung_up_does_not_make_the_others_wait() {
        let of_the_peer = |number| is_of_the_peer(&io::Error::from_raw_os_error(number));
        // ENOTCONN, ECONNABORTED, ECONNRESET; EMFILE, ENFILE.
        assert!([107, 103, 104].into_iter().all(of_the_peer));
        assert!(![24, 23].into_iter().any(of_the_peer));
    }

    #[test]
    fn an_address_is_written_as_people_do() {
        for (seen, written) in [
            ("[::ffff:10.0.0.1]:9092", "10.0.0.1:9092"),
            ("[::1]:9092", "[::1]:9092"),
            ("10.0.0.1:9092", "10.0.0.1:9092"),
        ] {
            assert_eq!(plain(seen.parse().unwrap()).to_string(), written);
        }
    }
}
