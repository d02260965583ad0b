//! Connecting to a broker by name, with every step kept for who must find out why it failed.

use super::address::Address;
use crate::cli::client::Client;
use crate::cli::client_error::ClientError;
use crate::cli::connect_error::{Attempt, ConnectError};
use std::net::ToSocketAddrs as _;
use std::time::Duration;

/// A client of the first of these addresses that answers.
pub fn first(
    what: impl Into<String>,
    addresses: &[Address],
    timeout: Duration,
) -> Result<Client, Box<ConnectError>> {
    let mut attempts = Vec::new();
    for address in addresses {
        match attempt(address, timeout) {
            Ok(client) => return Ok(client),
            Err(failed) => attempts.push(*failed),
        }
    }
    Err(Box::new(ConnectError { what: what.into(), attempts }))
}

fn attempt(address: &Address, timeout: Duration) -> Result<Client, Box<Attempt>> {
    let mut attempt = Box::new(Attempt {
        address: address.to_string(),
        dns: Ok(Vec::new()),
        tcp: Vec::new(),
        api_versions: None,
    });
    let found = match (address.host.as_str(), address.port).to_socket_addrs() {
        Ok(found) => found.collect::<Vec<_>>(),
        Err(error) => {
            attempt.dns = Err(error);
            return Err(attempt);
        }
    };
    attempt.dns = Ok(found.clone());
    for socket in found {
        match Client::connect(socket, timeout) {
            Ok(client) => return Ok(client),
            Err(error) if is_of_tcp(&error) => attempt.tcp.push((socket, Some(error))),
            Err(error) => {
                attempt.tcp.push((socket, None));
                attempt.api_versions = Some(error);
                return Err(attempt);
            }
        }
    }
    Err(attempt)
}

fn is_of_tcp(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Io { during: "connect", .. } | ClientError::TimedOut { during: "connect", .. }
    )
}
