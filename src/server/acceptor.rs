//! Accepts connections and deals them out: each core gets one in turn. One listener per address,
//! so that a port is never shared with another process by accident.

use crate::base::Instant;
use crate::broker::letter::Letter;
use crate::broker::{Listener, Shard};
use crate::runtime::Socket;
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// A listener that is bound, and what it tells its clients.
pub struct BoundListener {
    pub socket: Socket,
    pub bound: SocketAddr,
    pub facts: Listener,
}

/// Accepts of one listener that wait at the same time.
const ACCEPTS_AT_ONCE: usize = 16;
/// Between two tries while there are no descriptors.
const PAUSE: Duration = Duration::from_millis(100);

thread_local! {
    /// The core that gets the next connection; all listeners deal from here.
    static NEXT: Cell<usize> = const { Cell::new(0) };
    static WARNED_AT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Accepts on a listener for as long as the core runs. Several wait at once, so that a crowd that
/// comes back does not overflow the kernel's short queue, one connection per turn of the loop.
pub fn start(shard: &Rc<Shard>, listener: &Socket, index: u16) {
    for _ in 0..ACCEPTS_AT_ONCE {
        shard.core().spawn(accept(Rc::clone(shard), listener.clone(), index));
    }
}

async fn accept(shard: Rc<Shard>, listener: Socket, index: u16) {
    loop {
        match listener.accept(shard.core()).await {
            Ok((socket, peer)) => {
                let core = NEXT.with(|next| next.replace(next.get().wrapping_add(1)));
                if socket.set_up().is_err() {
                    continue; // it is gone already
                }
                let Some(fd) = socket.into_fd() else { continue };
                let letter = Letter::Connection { fd, peer, listener: index };
                shard.send(core % shard.core_count(), letter);
            }
            // That one client's trouble: a scanner or a health check that hung up at once.
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                warn(shard.core().now(), &error);
                // Connections wait in the backlog meanwhile.
                shard.core().sleep(PAUSE).await;
            }
        }
    }
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

/// Once a second for all that wait: most often no descriptor is left.
fn warn(now: Instant, error: &io::Error) {
    let is_due = WARNED_AT.with(|at| {
        let is_due = at.get().is_none_or(|at| now.since(at) >= Duration::from_secs(1));
        if is_due {
            at.set(Some(now));
        }
        is_due
    });
    if is_due {
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
}
