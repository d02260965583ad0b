//! Clients that ask where the broker is and never come there: they were told an address that they
//! cannot reach. They say nothing of it, so the broker does. Pure.
//!
//! A client that was told where it already is has come. Another one opens a connection to what it was
//! told, soon after; if its address does not, and what it has says nothing more, it is absent. Many
//! clients behind one address count as one, so that a doubt is not told.

use crate::base::{Instant, Quoted};
use crate::broker::Listener;
use crate::broker::letter::Silent;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// Connections that are remembered: an absence among older ones cannot be known.
const ARRIVALS_MAX: usize = 4096;
/// Addresses that are remembered to have been told.
const TOLD_MAX: usize = 64;
/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Between two lines about one address.
const SAME_EVERY: Duration = Duration::from_secs(600);

/// Who has come lately, and of whom it was told that they do not.
#[derive(Debug, Default)]
pub struct Absent {
    arrivals: VecDeque<(IpAddr, Instant)>,
    told: VecDeque<(IpAddr, Instant)>,
    /// Absences since the last line that were not told.
    untold: u64,
}

impl Absent {
    /// A connection was accepted.
    pub fn on_arrival(&mut self, now: Instant, peer: IpAddr) {
        push(&mut self.arrivals, ARRIVALS_MAX, (peer, now));
    }

    /// A connection asked for metadata and says nothing more; gives the line for the log.
    pub fn on_silence(
        &mut self,
        now: Instant,
        silent: &Silent,
        listener: &Listener,
    ) -> Option<String> {
        let peer = silent.peer.ip();
        if !self.is_absent(peer, silent.asked_at) {
            return None;
        }
        let is_told = |&(ip, at): &(IpAddr, Instant)| ip == peer && now.since(at) < SAME_EVERY;
        let is_soon = self.told.back().is_some_and(|&(_, at)| now.since(at) < LINE_EVERY);
        if is_soon || self.told.iter().any(is_told) {
            self.untold += 1;
            return None;
        }
        push(&mut self.told, TOLD_MAX, (peer, now));
        let others = match std::mem::take(&mut self.untold) {
            0 => String::new(),
            count => format!(" (and {count} more times since the last such line)"),
        };
        Some(line(now, silent, listener) + &others)
    }

    /// Whether an address has not come again. What was forgotten may have been it.
    fn is_absent(&self, peer: IpAddr, asked_at: Instant) -> bool {
        let is_known = self.arrivals.len() < ARRIVALS_MAX
            || self.arrivals.front().is_some_and(|&(_, at)| at <= asked_at);
        is_known && !self.arrivals.iter().any(|&(ip, at)| ip == peer && at > asked_at)
    }
}

fn push<T>(queue: &mut VecDeque<T>, max: usize, entry: T) {
    if queue.len() == max {
        queue.pop_front();
    }
    queue.push_back(entry);
}

/// What happened, what was seen, why it matters, and what fixes it.
fn line(now: Instant, silent: &Silent, listener: &Listener) -> String {
    let client = silent
        .client
        .as_ref()
        .map_or(String::new(), |(name, v)| format!(" ({} {})", Quoted(name), Quoted(v)));
    let (name, host) = (&listener.name, listener.advertised_host.as_deref().unwrap_or_default());
    format!(
        "a client was told an address that it seems not to reach: {}{client} came to {name} at {}, \
         was told {host}:{}, and did not come there in {} s. Clients go on to the address that they \
         are told. Set advertised.listeners={name}://HOST:PORT to what {} can reach, or remove \
         advertised.listeners: then each client is told the address that it came to",
        silent.peer.ip(),
        silent.local,
        listener.advertised_port,
        now.since(silent.asked_at).as_secs(),
        silent.peer.ip(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([172, 18, 0, last])
    }

    fn silent(last: u8, asked_at: Instant) -> Silent {
        Silent {
            peer: (ip(last), 40000).into(),
            local: ([172, 18, 0, 2], 9092).into(),
            listener: 0,
            asked_at,
            client: Some(("librdkafka".into(), "2.0".into())),
        }
    }

    fn listener() -> Listener {
        Listener {
            name: "PLAINTEXT".into(),
            advertised_host: Some("localhost".into()),
            advertised_port: 9092,
            advertised_addresses: vec![IpAddr::from([127, 0, 0, 1])],
        }
    }

    #[test]
    fn who_does_not_come_again_is_named_with_what_it_was_told() {
        let mut absent = Absent::default();
        absent.on_arrival(Instant(1), ip(4));
        absent.on_arrival(Instant(9), ip(5));
        let now = Instant(2) + 12 * SECOND;
        let line = absent.on_silence(now, &silent(4, Instant(2)), &listener()).unwrap();
        for words in [
            "172.18.0.4 (librdkafka 2.0) came to PLAINTEXT at 172.18.0.2:9092",
            "was told localhost:9092",
            "in 12 s",
            "advertised.listeners=PLAINTEXT://HOST:PORT",
        ] {
            assert!(line.contains(words), "{words}: {line}");
        }
    }

    #[test]
    fn who_comes_again_is_not_named() {
        let mut absent = Absent::default();
        absent.on_arrival(Instant(1), ip(4));
        absent.on_arrival(Instant(3), ip(4));
        let now = Instant(2) + 12 * SECOND;
        assert_eq!(absent.on_silence(now, &silent(4, Instant(2)), &listener()), None);
    }

    #[test]
    fn what_cannot_be_known_is_not_told() {
        let mut absent = Absent::default();
        for at in 0..=ARRIVALS_MAX as u64 {
            absent.on_arrival(Instant(10 + at), ip(9));
        }
        assert_eq!(absent.arrivals.len(), ARRIVALS_MAX);
        assert_eq!(absent.on_silence(Instant(99), &silent(4, Instant(10)), &listener()), None);
        assert!(absent.on_silence(Instant(99), &silent(4, Instant(11)), &listener()).is_some());
    }

    #[test]
    fn lines_are_few_however_many_are_absent() {
        let mut absent = Absent::default();
        let mut lines = Vec::new();
        // An hour of 50 addresses, one after the other, again and again.
        for step in 0..3600 {
            let now = Instant(1) + step * SECOND;
            let last = (step % 50) as u8;
            lines.extend(absent.on_silence(now, &silent(last, Instant(0)), &listener()));
        }
        assert!((50..=360).contains(&lines.len()), "{}", lines.len());
        assert!(lines[1].ends_with("(and 9 more times since the last such line)"), "{}", lines[1]);
        assert!(absent.told.len() <= TOLD_MAX);
    }
}
