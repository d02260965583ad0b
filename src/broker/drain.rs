//! The first part of a stop: what was begun is answered, nothing more is begun. Who waits for what may
//! come (a long poll, a rebalance) is answered now, with what there is, or with a code that makes it
//! ask elsewhere and come back.

use super::groups::Host;
use super::shard::Shard;
use crate::base::Instant;
use crate::limits::DRAIN_PATIENCE;
use std::rc::Rc;
use std::time::Duration;

impl Shard {
    /// Whether the broker stops.
    pub fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    pub(super) async fn drain(self: &Rc<Self>) {
        self.is_draining.set(true);
        self.fetchers.borrow().wake_all();
        let give_up = self.core().now() + DRAIN_PATIENCE;
        for host in self.group_hosts() {
            self.core().spawn(end_quietly(Rc::clone(self), host, give_up));
        }
        if let Some(above) = self.above.get() {
            (above.drain)().await;
        }
    }
}

/// Commits that are being written are answered; then members that wait for others are sent to look
/// for their coordinator again.
async fn end_quietly(shard: Rc<Shard>, host: Rc<Host>, give_up: Instant) {
    const LOOK_AGAIN: Duration = Duration::from_millis(1);
    while host.is_writing() && shard.core().now() < give_up {
        shard.core().sleep(LOOK_AGAIN).await;
    }
    if host.is_serving() {
        host.end(&shard);
    }
}
