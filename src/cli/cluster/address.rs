//! A broker's address as it is written: `host:port`, `host`, `[::1]:9092`, `PLAINTEXT://host:port`.

use std::fmt;

/// Where Kafka listens unless something else is said.
pub const PORT: u16 = 9092;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

/// Text that names no broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("{0} is no address of a broker. Write HOST:PORT, as 127.0.0.1:9092 or [::1]:9092")]
    Malformed(String),
    #[error("{0}: this client speaks PLAINTEXT only; TLS and SASL are not there yet")]
    Protocol(String),
}

impl Address {
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(text.to_owned());
        let plain = match text.split_once("://") {
            Some(("PLAINTEXT", rest)) => rest,
            Some(_) => return Err(AddressError::Protocol(text.to_owned())),
            None => text,
        };
        let (host, port) = if let Some(rest) = plain.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(malformed)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(malformed()),
            }
        } else {
            match plain.rsplit_once(':') {
                // Several colons without brackets are an IPv6 address without a port.
                Some((host, _)) if host.contains(':') => (plain, None),
                Some((host, port)) => (host, Some(port)),
                None => (plain, None),
            }
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|&port| port != 0).ok_or_else(malformed)?,
            None => PORT,
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(malformed());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, u16)>) {
        let found = Address::parse(text).ok();
        let expected = expected.map(|(host, port)| Address { host: host.into(), port });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn an_address_is_read_in_every_form() {
        check("a:1", Some(("a", 1)));
        check("a", Some(("a", 9092)));
        check("127.0.0.1:19092", Some(("127.0.0.1", 19092)));
        check("[::1]:1", Some(("::1", 1)));
        check("[::1]", Some(("::1", 9092)));
        check("::1", Some(("::1", 9092)));
        check("PLAINTEXT://a:1", Some(("a", 1)));
        for text in
            ["", ":1", "a:", "a:x", "a:0", "a:65536", "[::1", "[::1]x", "SSL://a:1", "a b:1"]
        {
            check(text, None);
        }
        assert_eq!(Address::parse("::1").unwrap().to_string(), "[::1]:9092");
    }
}
