//! Why no broker could be reached: what was tried at each address, step by step.

use super::client_error::ClientError;
use crate::protocol::ProtocolError;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// No address of several led to a broker.
#[derive(Debug)]
pub struct ConnectError {
    /// What was to be reached, as `a broker`.
    pub what: String,
    pub attempts: Vec<Attempt>,
}

/// How far an attempt came: name, TCP, ApiVersions.
#[derive(Debug)]
pub struct Attempt {
    /// As it was written, `host:port`.
    pub address: String,
    pub dns: Result<Vec<SocketAddr>, io::Error>,
    /// Of each address of the name until one worked: None is a connection.
    pub tcp: Vec<(SocketAddr, Option<ClientError>)>,
    /// What became of the first request, where there was a connection.
    pub api_versions: Option<ClientError>,
}

impl std::error::Error for ConnectError {}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to {}", self.what)?;
        self.attempts.iter().try_for_each(|attempt| write!(f, "\n  {attempt}"))?;
        match self.attempts.iter().find_map(Attempt::advice) {
            Some(advice) => write!(f, "\n{advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: DNS ", self.address)?;
        match &self.dns {
            Err(error) => return write!(f, "failed ({error})"),
            Ok(found) => {
                let found: Vec<_> = found.iter().map(|address| address.ip().to_string()).collect();
                write!(f, "{}", found.join(", "))?;
            }
        }
        for (address, failed) in &self.tcp {
            match failed {
                None => write!(f, "; TCP {address} connected")?,
                Some(error) => write!(f, "; TCP {address} failed ({})", cause(error))?,
            }
        }
        match &self.api_versions {
            None => Ok(()),
            Some(error) => write!(f, "; ApiVersions failed ({error})"),
        }
    }
}

impl Attempt {
    /// What probably helps.
    fn advice(&self) -> Option<String> {
        let address = &self.address;
        if self.dns.is_err() {
            return Some(format!(
                "The name of {address} is not known here. Give --brokers (or HIGHWATER_BROKERS) an \
                 address of this network; what a broker tells of itself is its advertised.listeners."
            ));
        }
        match &self.api_versions {
            Some(ClientError::Protocol(ProtocolError::FrameSize { .. })) => Some(format!(
                "What answers at {address} does not speak Kafka's protocol in plain text: another \
                 server, or a listener with TLS, which this client does not speak yet."
            )),
            Some(ClientError::Closed | ClientError::Io { .. }) => Some(format!(
                "{address} closed the connection at the first request: a listener with TLS or SASL, \
                 which this client does not speak yet, or a limit on connections."
            )),
            Some(_) => None,
            None => Some(format!(
                "Nothing listens at {address}, or a firewall is between. `highwater serve` starts a \
                 broker at 127.0.0.1:9092; --brokers (or HIGHWATER_BROKERS) names another one."
            )),
        }
    }
}

/// Without what the step's name says already.
fn cause(error: &ClientError) -> String {
    match error {
        ClientError::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_told_in_their_order() {
        let address: SocketAddr = ([127, 0, 0, 1], 9).into();
        let refused = || ClientError::Io {
            during: "connect",
            source: io::ErrorKind::ConnectionRefused.into(),
        };
        let attempt = Attempt {
            address: "localhost:9".into(),
            dns: Ok(vec![address]),
            tcp: vec![(address, Some(refused()))],
            api_versions: None,
        };
        let text = attempt.to_string();
        assert_eq!(text, "localhost:9: DNS 127.0.0.1; TCP 127.0.0.1:9 failed (connection refused)");
        let closed = Attempt {
            address: "a:9".into(),
            dns: Ok(vec![address]),
            tcp: vec![(address, None)],
            api_versions: Some(ClientError::Closed),
        };
        let error = ConnectError { what: "a broker".into(), attempts: vec![attempt, closed] };
        let text = error.to_string();
        let ends =
            "TCP 127.0.0.1:9 connected; ApiVersions failed (the broker closed the connection)";
        assert!(text.contains(ends), "{text}");
        assert!(text.contains("Nothing listens at localhost:9"), "{text}");
    }
}
