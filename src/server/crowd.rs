//! How many connections may come in: so many at a time, so many of them from one address, so many in
//! a second. Pure.

use crate::base::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// What a burst may bring at once: the connections of this long.
const BURST: Duration = Duration::from_secs(1);
/// Between two connections where none is wanted.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// The connections that are open and the pace of new ones.
#[derive(Debug, Default)]
pub struct Crowd {
    /// Most from one address; none is no limit.
    each: Option<u32>,
    of_addresses: BTreeMap<IpAddr, u32>,
    /// Open, of all addresses.
    all_open: u32,
    /// Open, of those addresses that have a limit. Peers choose the keys: no hash map.
    open: BTreeMap<IpAddr, u32>,
    /// Between two new connections.
    interval: Option<Duration>,
    /// When the connection would come that keeps the pace exactly.
    due: Instant,
}

/// As many connections are open as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("{max} are open (max.connections)")]
    All { max: u32 },
    #[error("{max} are open from there (max.connections.per.ip and its overrides)")]
    Address { max: u32 },
}

impl Crowd {
    pub fn new(
        each: Option<u32>,
        of_addresses: BTreeMap<IpAddr, u32>,
        rate_max: Option<u32>,
    ) -> Self {
        let interval =
            |rate| if rate == 0 { NEVER } else { Duration::from_secs(1).div_f64(f64::from(rate)) };
        let interval = rate_max.map(interval);
        Self { each, of_addresses, interval, ..Self::default() }
    }

    fn limit(&self, peer: IpAddr) -> Option<u32> {
        self.of_addresses.get(&peer).copied().or(self.each)
    }

    /// A connection has come, and at most so many of all may be open; it is counted until it leaves.
    pub fn on_arrival(&mut self, peer: IpAddr, all_max: u32) -> Result<(), Full> {
        if self.all_open >= all_max {
            return Err(Full::All { max: all_max });
        }
        if let Some(max) = self.limit(peer) {
            let open = self.open.get(&peer).copied().unwrap_or(0);
            if open >= max {
                return Err(Full::Address { max });
            }
            self.open.insert(peer, open + 1);
        }
        self.all_open += 1;
        Ok(())
    }

    /// A connection that was let in has ended.
    pub fn on_departure(&mut self, peer: IpAddr) {
        self.all_open = self.all_open.checked_sub(1).expect("who leaves has come");
        match self.open.get_mut(&peer) {
            Some(open) if *open > 1 => *open -= 1,
            Some(_) => _ = self.open.remove(&peer),
            None => {}
        }
    }

    /// How long a connection that has come waits to be served, so that the pace is kept.
    pub fn delay(&mut self, now: Instant) -> Duration {
        let Some(interval) = self.interval else { return Duration::ZERO };
        let due = self.due.max(now);
        self.due = due + interval;
        due.since(now + BURST.saturating_sub(interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const MANY: u32 = u32::MAX;

    #[test]
    fn an_address_has_at_most_its_limit_and_others_theirs() {
        let (a, b) = (address("10.0.0.1"), address("::1"));
        let mut crowd = Crowd::new(Some(2), [(b, 1)].into(), None);
        let mut come = |peer| crowd.on_arrival(peer, MANY);
        assert_eq!([come(a), come(a)], [Ok(()), Ok(())]);
        assert_eq!(come(a), Err(Full::Address { max: 2 }));
        assert_eq!([come(b), come(b)], [Ok(()), Err(Full::Address { max: 1 })]);
        crowd.on_departure(a);
        assert_eq!(crowd.on_arrival(a, MANY), Ok(()));
        for peer in [a, a, b] {
            crowd.on_departure(peer);
        }
        assert!(crowd.open.is_empty(), "who is gone is not remembered");
    }

    #[test]
    fn an_address_without_connections_is_not_remembered_where_none_is_allowed() {
        let mut crowd = Crowd::new(Some(0), BTreeMap::new(), None);
        let peer = address("10.0.0.1");
        assert_eq!(crowd.on_arrival(peer, MANY), Err(Full::Address { max: 0 }));
        assert!(crowd.open.is_empty());
    }

    #[test]
    fn all_together_have_at_most_what_counts_when_one_comes() {
        let mut crowd = Crowd::new(Some(2), BTreeMap::new(), None);
        let peers = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(address);
        assert_eq!([0, 1].map(|n| crowd.on_arrival(peers[n], 2)), [Ok(()); 2]);
        let full = crowd.on_arrival(peers[2], 2);
        assert_eq!(full, Err(Full::All { max: 2 }));
        assert_eq!(full.unwrap_err().to_string(), "2 are open (max.connections)");
        assert_eq!(crowd.on_arrival(peers[2], 3), Ok(()), "the setting was raised");
        crowd.on_departure(peers[0]);
        assert!(crowd.on_arrival(peers[0], 2).is_err(), "and lowered: who is there stays");
    }

    #[test]
    fn addresses_without_a_limit_are_not_remembered() {
        let mut crowd = Crowd::default();
        let peer = address("10.0.0.1");
        assert_eq!(crowd.on_arrival(peer, MANY), Ok(()));
        assert!(crowd.open.is_empty());
        assert_eq!(crowd.delay(Instant(5)), Duration::ZERO);
        crowd.on_departure(peer);
        assert_eq!(crowd.all_open, 0);
    }

    #[test]
    fn new_connections_keep_the_pace_after_a_burst() {
        let mut crowd = Crowd::new(None, BTreeMap::new(), Some(10));
        let start = Instant(1_000_000_000_000);
        let delays: Vec<u128> = (0..12).map(|_| crowd.delay(start).as_millis()).collect();
        assert_eq!(delays, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200]);
        let later = start + Duration::from_secs(100);
        assert_eq!(crowd.delay(later), Duration::ZERO);
        let mut closed = Crowd::new(None, BTreeMap::new(), Some(0));
        closed.delay(start);
        assert!(closed.delay(start) > Duration::from_secs(3_600_000));
    }
}
