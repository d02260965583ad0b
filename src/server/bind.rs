//! Listeners are bound before the cores run: what cannot be listened on ends the start, before a data
//! folder is touched. Names are resolved here too, where waiting harms nobody.

use super::crowd::Crowd;
use super::process::ServeError;
use crate::broker::Listener;
use crate::config::{BrokerConfig, Endpoint};
use crate::runtime::{Socket, clock};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// How long a port that is taken is asked for again.
const PORT_WAIT: Duration = Duration::from_secs(1);
const PORT_LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A listener that is bound, and what it tells its clients.
pub struct BoundListener {
    pub socket: Socket,
    pub bound: SocketAddr,
    pub facts: Listener,
    /// What is told cannot be resolved here.
    pub trouble: Option<String>,
}

/// Opens every listener; each port is ours alone.
pub fn all(config: &BrokerConfig) -> Result<Vec<BoundListener>, ServeError> {
    config.listeners.served.iter().map(|endpoint| one(config, endpoint)).collect()
}

/// The limits on who comes, for the addresses that the settings name.
pub fn crowd(config: &BrokerConfig) -> Result<Crowd, ServeError> {
    let limits = &config.connections_per_address;
    let mut of_addresses = BTreeMap::new();
    for (host, max) in &limits.of_hosts {
        let found = resolve_host(host, 0).map_err(|error| ServeError::Resolve {
            name: "max.connections.per.ip.overrides".into(),
            host: host.clone(),
            error,
        })?;
        of_addresses.extend(found.iter().map(|address| (address.ip().to_canonical(), *max)));
    }
    Ok(Crowd::new(limits.each, of_addresses, config.connection_rate_max))
}

fn one(config: &BrokerConfig, endpoint: &Endpoint) -> Result<BoundListener, ServeError> {
    let socket = open(config, endpoint)?;
    let bound = socket.local_address().map_err(|error| ServeError::Listen {
        name: endpoint.name.clone(),
        address: endpoint.to_string(),
        error,
    })?;
    let told = config.listeners.advertised.iter().find(|told| told.name == endpoint.name);
    let host = told.and_then(|told| told.host.clone());
    let port = told.map(|told| told.port).filter(|port| *port != 0).unwrap_or(bound.port());
    let resolved = host.as_ref().map_or(Ok(Vec::new()), |host| resolve_host(host, port));
    let trouble = resolved.as_ref().err().map(|error| {
        let host = host.as_deref().unwrap_or_default();
        format!("clients are told {host}, which cannot be resolved here: {error}")
    });
    let addresses = resolved.unwrap_or_default().into_iter().map(|found| found.ip().to_canonical());
    let facts = Listener {
        name: endpoint.name.clone(),
        advertised_host: host,
        advertised_port: port,
        advertised_addresses: addresses.collect(),
    };
    Ok(BoundListener { socket, bound, facts, trouble })
}

/// Every address of the machine is IPv6's with IPv4 in it, where there is IPv6: `localhost` is `::1`
/// for many clients.
fn open(config: &BrokerConfig, endpoint: &Endpoint) -> Result<Socket, ServeError> {
    if endpoint.host.is_none() {
        let everywhere: SocketAddr = (Ipv6Addr::UNSPECIFIED, endpoint.port).into();
        match listen(everywhere, config.socket_backlog) {
            Ok(socket) => return Ok(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(refused(endpoint, everywhere, error));
            }
            // No IPv6 on this machine.
            Err(_) => {}
        }
    }
    let address = resolve(endpoint)?;
    listen(address, config.socket_backlog).map_err(|error| refused(endpoint, address, error))
}

fn refused(endpoint: &Endpoint, address: SocketAddr, error: io::Error) -> ServeError {
    ServeError::Listen { name: endpoint.name.clone(), address: address.to_string(), error }
}

/// A port may be held for a moment by a process that is gone: the kernel takes a ring apart, and
/// lets go of the sockets in it, only after its process has ended. A broker that is started as
/// soon as it was killed must not fail over that.
fn listen(address: SocketAddr, backlog: u32) -> io::Result<Socket> {
    let give_up = clock::monotonic() + PORT_WAIT;
    loop {
        match Socket::listen(address, backlog) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && clock::monotonic() < give_up =>
            {
                std::thread::sleep(PORT_LOOK_AGAIN);
            }
            done => return done,
        }
    }
}

/// IPv4 first: many clients resolve names that way and are confused by the other.
fn resolve(endpoint: &Endpoint) -> Result<SocketAddr, ServeError> {
    let Some(host) = &endpoint.host else {
        return Ok((IpAddr::V4(Ipv4Addr::UNSPECIFIED), endpoint.port).into());
    };
    let fail = |error: String| ServeError::Resolve {
        name: endpoint.name.clone(),
        host: host.clone(),
        error,
    };
    let found = resolve_host(host, endpoint.port).map_err(fail)?;
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| fail("it has no address".into()))
}

fn resolve_host(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    (bare, port).to_socket_addrs().map(Iterator::collect).map_err(|error| error.to_string())
}
