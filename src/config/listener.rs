//! Listeners: where the broker listens and what it tells clients, in Kafka's notation
//! (`NAME://host:port`).

use std::collections::BTreeMap;
use std::fmt;

/// An address with a name. An empty host means every address (to listen) or the one that the client
/// has come to (to tell it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub name: String,
    pub host: Option<String>,
    /// 0 lets the kernel choose.
    pub port: u16,
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityProtocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

/// All listeners of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// To be opened; all speak plaintext.
    pub served: Vec<Endpoint>,
    /// What clients are told, one for each served listener that is advertised. Without a host each
    /// client is told the address that it has come to.
    pub advertised: Vec<Endpoint>,
    /// Controller listeners of a combined node: one node talks to no other, so they stay closed.
    pub controller: Vec<Endpoint>,
    /// Name of the listener that brokers use among themselves.
    pub inter_broker: String,
}

/// Why listeners cannot be as written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenerError {
    #[error("'{0}' is not an address; write NAME://host:port, as in PLAINTEXT://0.0.0.0:9092")]
    Malformed(String),
    #[error("'{0}' maps no listener to a protocol; write NAME:PROTOCOL, as in INTERNAL:PLAINTEXT")]
    MalformedMap(String),
    #[error("the name {0} is there twice; give each listener a name of its own")]
    DoubleName(String),
    #[error("{first} and {second} have the same port; give each listener a port of its own")]
    DoublePort { first: String, second: String },
    #[error(
        "no protocol is known for the name {0}; add {0}:PLAINTEXT to listener.security.protocol.map"
    )]
    NoProtocol(String),
    #[error(
        "{listener} speaks {protocol}, which is not served yet; clients would get no answer. \
         Remove the listener, or make it PLAINTEXT on an address that only trusted clients reach"
    )]
    NotServed { listener: String, protocol: SecurityProtocol },
    #[error("no listener is left for clients: all of them are in controller.listener.names")]
    NoneLeft,
    #[error("no listener for clients is among them; clients would not know where to go")]
    NoneAdvertised,
    #[error("the name {name} is not among the listeners ({})", .known.join(", "))]
    UnknownName { name: String, known: Vec<String> },
    #[error(
        "{0} is no address that a client could reach. Write a name or an address of this machine, \
         or remove advertised.listeners: then each client is told the address that it came to"
    )]
    NotRoutable(String),
}

/// The settings that make up the listeners, as written.
pub(super) struct ListenerTexts<'a> {
    pub listeners: &'a [String],
    pub advertised: Option<&'a [String]>,
    pub protocol_map: &'a str,
    pub controller_names: &'a [String],
    pub inter_broker: Option<&'a str>,
}

/// What is wrong with listeners, each with the key that it is about.
pub(super) type ListenerErrors = Vec<(&'static str, ListenerError)>;

impl Listeners {
    /// Parses and checks all listeners.
    pub(super) fn parse(texts: &ListenerTexts<'_>) -> Result<Self, ListenerErrors> {
        let mut errors = ListenerErrors::new();
        let all = keep(&mut errors, "listeners", parse_endpoints(texts.listeners));
        keep(&mut errors, "listeners", check_ports(&all));
        let protocols =
            keep(&mut errors, "listener.security.protocol.map", Protocols::parse(texts));
        let is_controller =
            |e: &Endpoint| texts.controller_names.iter().any(|n| n.eq_ignore_ascii_case(&e.name));
        let (controller, served): (Vec<_>, Vec<_>) = all.iter().cloned().partition(is_controller);
        if served.is_empty() && errors.is_empty() {
            errors.push(("listeners", ListenerError::NoneLeft));
        }
        let required = served.iter().filter_map(|e| protocols.require_plaintext(e).err()).collect();
        keep(&mut errors, "listeners", ((), required));
        if !errors.is_empty() {
            // What follows is about these listeners, and would be said twice.
            return Err(errors);
        }
        let advertised =
            keep(&mut errors, "advertised.listeners", advertised(texts, &all, &served));
        let inter_broker = inter_broker(texts, &served)
            .map_err(|error| errors.push(("inter.broker.listener.name", error)));
        match inter_broker {
            Ok(inter_broker) if errors.is_empty() => {
                Ok(Self { served, advertised, controller, inter_broker })
            }
            _ => Err(errors),
        }
    }
}

/// Notes what is wrong with what a key says, and goes on with the rest.
fn keep<T>(errors: &mut ListenerErrors, key: &'static str, found: (T, Vec<ListenerError>)) -> T {
    errors.extend(found.1.into_iter().map(|error| (key, error)));
    found.0
}

impl Endpoint {
    pub fn parse(text: &str) -> Result<Self, ListenerError> {
        let malformed = || ListenerError::Malformed(text.to_owned());
        let (name, address) = text.split_once("://").ok_or_else(malformed)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(malformed)?;
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.strip_suffix(']').ok_or_else(malformed)?,
            None => host,
        };
        let is_host_byte =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'%' | b'.' | b'_' | b':');
        if name.is_empty() || name.contains(',') || !host.bytes().all(is_host_byte) {
            return Err(malformed());
        }
        Ok(Self {
            name: name.to_ascii_uppercase(),
            host: Some(host.to_owned()).filter(|h| !h.is_empty()),
            port: port.parse().map_err(|_| malformed())?,
        })
    }

    /// Whether the host stands for every address of the machine.
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host.as_deref(), None | Some("0.0.0.0" | "::"))
    }

    fn is_v6(&self) -> bool {
        self.host.as_deref().is_some_and(|h| h.parse::<std::net::Ipv6Addr>().is_ok())
    }

    fn is_v4(&self) -> bool {
        self.host.as_deref().is_some_and(|h| h.parse::<std::net::Ipv4Addr>().is_ok())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().unwrap_or("");
        if host.contains(':') {
            write!(f, "{}://[{host}]:{}", self.name, self.port)
        } else {
            write!(f, "{}://{host}:{}", self.name, self.port)
        }
    }
}

impl SecurityProtocol {
    fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => Self::Plaintext,
            "SSL" => Self::Ssl,
            "SASL_PLAINTEXT" => Self::SaslPlaintext,
            "SASL_SSL" => Self::SaslSsl,
            _ => return None,
        })
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        })
    }
}

/// Which listener name speaks what.
struct Protocols(BTreeMap<String, SecurityProtocol>);

impl Protocols {
    fn parse(texts: &ListenerTexts<'_>) -> (Self, Vec<ListenerError>) {
        let (mut map, mut errors) = (BTreeMap::new(), Vec::new());
        for pair in texts.protocol_map.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let parsed = pair.split_once(':').and_then(|(name, protocol)| {
                Some((name.trim().to_ascii_uppercase(), SecurityProtocol::parse(protocol.trim())?))
            });
            match parsed {
                None => errors.push(ListenerError::MalformedMap(pair.to_owned())),
                Some((name, _)) if map.contains_key(&name) => {
                    errors.push(ListenerError::DoubleName(name));
                }
                Some((name, protocol)) => _ = map.insert(name, protocol),
            }
        }
        (Self(map), errors)
    }

    fn require_plaintext(&self, endpoint: &Endpoint) -> Result<(), ListenerError> {
        match self.0.get(&endpoint.name) {
            Some(SecurityProtocol::Plaintext) => Ok(()),
            Some(&protocol) => {
                Err(ListenerError::NotServed { listener: endpoint.to_string(), protocol })
            }
            None => Err(ListenerError::NoProtocol(endpoint.name.clone())),
        }
    }
}

fn parse_endpoints(texts: &[String]) -> (Vec<Endpoint>, Vec<ListenerError>) {
    let (mut endpoints, mut errors) = (Vec::<Endpoint>::new(), Vec::new());
    for text in texts {
        match Endpoint::parse(text) {
            Err(error) => errors.push(error),
            Ok(new) if endpoints.iter().any(|e| e.name == new.name && !are_v4_and_v6(e, &new)) => {
                errors.push(ListenerError::DoubleName(new.name));
            }
            Ok(new) => endpoints.push(new),
        }
    }
    (endpoints, errors)
}

/// Two listeners may share a port if one is IPv4 and the other IPv6.
fn check_ports(endpoints: &[Endpoint]) -> ((), Vec<ListenerError>) {
    let mut errors = Vec::new();
    for (index, second) in endpoints.iter().enumerate() {
        let same = |first: &&Endpoint| {
            first.port != 0 && first.port == second.port && !are_v4_and_v6(first, second)
        };
        if let Some(first) = endpoints[..index].iter().find(same) {
            let (first, second) = (first.to_string(), second.to_string());
            errors.push(ListenerError::DoublePort { first, second });
        }
    }
    ((), errors)
}

fn are_v4_and_v6(a: &Endpoint, b: &Endpoint) -> bool {
    (a.is_v4() && b.is_v6()) || (a.is_v6() && b.is_v4())
}

fn advertised(
    texts: &ListenerTexts<'_>,
    all: &[Endpoint],
    served: &[Endpoint],
) -> (Vec<Endpoint>, Vec<ListenerError>) {
    let Some(given) = texts.advertised.filter(|given| !given.is_empty()) else {
        return (served.iter().map(advertised_of).collect(), Vec::new());
    };
    let (given, mut errors) = parse_endpoints(given);
    let is_controllers =
        |name: &str| texts.controller_names.iter().any(|n| n.eq_ignore_ascii_case(name));
    for endpoint in &given {
        // Those of the controller stay closed, whether they are listed or not.
        if !is_controllers(&endpoint.name) {
            errors.extend(require_known(&endpoint.name, all).err());
        }
        if endpoint.host.is_some() && endpoint.is_wildcard() {
            errors.push(ListenerError::NotRoutable(endpoint.to_string()));
        }
    }
    let is_served = |e: &Endpoint| served.iter().any(|s| s.name == e.name);
    let advertised: Vec<_> = given.into_iter().filter(is_served).collect();
    if advertised.is_empty() && errors.is_empty() {
        errors.push(ListenerError::NoneAdvertised);
    }
    (advertised, errors)
}

/// What is told of a listener that advertises nothing else: its host, or where that stands for every
/// address, the one that the client has come to.
fn advertised_of(endpoint: &Endpoint) -> Endpoint {
    let host = endpoint.host.clone().filter(|_| !endpoint.is_wildcard());
    Endpoint { host, ..endpoint.clone() }
}

fn inter_broker(texts: &ListenerTexts<'_>, served: &[Endpoint]) -> Result<String, ListenerError> {
    match texts.inter_broker.filter(|name| !name.is_empty()) {
        Some(name) => {
            let name = name.to_ascii_uppercase();
            require_known(&name, served)?;
            Ok(name)
        }
        None => Ok(served[0].name.clone()),
    }
}

fn require_known(name: &str, among: &[Endpoint]) -> Result<(), ListenerError> {
    if among.iter().any(|e| e.name == name) {
        return Ok(());
    }
    let known = among.iter().map(|e| e.name.clone()).collect();
    Err(ListenerError::UnknownName { name: name.to_owned(), known })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT,\
                       INNER:PLAINTEXT,outer:plaintext";

    fn parse(listeners: &str, advertised: Option<&str>) -> Result<Listeners, ListenerErrors> {
        let split = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let (listeners, advertised) = (split(listeners), advertised.map(split));
        Listeners::parse(&ListenerTexts {
            listeners: &listeners,
            advertised: advertised.as_deref(),
            protocol_map: MAP,
            controller_names: &["CONTROLLER".to_owned()],
            inter_broker: None,
        })
    }

    fn check(listeners: &str, advertised: Option<&str>, refusal: &str) {
        let errors = parse(listeners, advertised).unwrap_err();
        let [(key, error)] = errors.as_slice() else { panic!("one of {errors:?}") };
        let text = format!("{key}: {error}");
        assert!(text.starts_with(refusal), "{text}");
    }

    #[test]
    fn a_combined_node_opens_its_clients_listener_and_keeps_the_controllers_closed() {
        let found = parse(
            "PLAINTEXT://:9092,CONTROLLER://:9093",
            Some("PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
        )
        .unwrap();
        assert_eq!(found.served, [Endpoint::parse("PLAINTEXT://:9092").unwrap()]);
        assert_eq!(found.advertised, [Endpoint::parse("PLAINTEXT://localhost:9092").unwrap()]);
        assert_eq!(found.controller, [Endpoint::parse("controller://:9093").unwrap()]);
        assert_eq!(found.inter_broker, "PLAINTEXT");
        // As where a flag gives other listeners than the file.
        let told = Some("PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093");
        assert!(parse("PLAINTEXT://:9092", told).is_ok());
    }

    #[test]
    fn addresses_read_and_print_alike() {
        for text in ["A://:0", "A_B://[::1]:9092", "A://h.example-x:65535", "A://10.0.0.1:1"] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), text);
        }
        for text in
            ["9092", "A://h", "://h:1", "A://h:65536", "A://h:-1", "A://[::1:1", "A://h h:1"]
        {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_name() {
        check("SSL://:9093", None, "listeners: SSL://:9093 speaks SSL, which is not served yet");
        check("MINE://:1", None, "listeners: no protocol is known for the name MINE");
        check("CONTROLLER://:1", None, "listeners: no listener is left for clients");
        check("PLAINTEXT://:1,CONTROLLER://:1", None, "listeners: PLAINTEXT://:1 and CONTROLLER");
        check(
            "PLAINTEXT://:1,PLAINTEXT://:2",
            None,
            "listeners: the name PLAINTEXT is there twice",
        );
        check(
            "PLAINTEXT://:1",
            Some("PLAINTEXT://0.0.0.0:1"),
            "advertised.listeners: PLAINTEXT://0.0.0.0:1 is no",
        );
        check(
            "PLAINTEXT://:1,CONTROLLER://:2",
            Some("CONTROLLER://h:2"),
            "advertised.listeners: no listener for clients",
        );
        check("PLAINTEXT://:1", Some("X://h:1"), "advertised.listeners: the name X is not among");
    }

    #[test]
    fn all_that_is_wrong_with_listeners_is_told_at_once() {
        let errors = parse("SSL://:1,nonsense,SASL_SSL://:2,PLAINTEXT://:2", None).unwrap_err();
        assert_eq!(errors.len(), 4, "{errors:?}");
        let told = Some("PLAINTEXT://0.0.0.0:1,X://h:1,nonsense");
        assert_eq!(parse("PLAINTEXT://:1", told).unwrap_err().len(), 3);
    }

    #[test]
    fn a_listener_on_every_address_tells_each_client_the_one_it_came_to() {
        for every in ["A://:1", "A://0.0.0.0:1", "A://[::]:1"] {
            let listeners = every.replace('A', "PLAINTEXT");
            let found = parse(&listeners, None).unwrap();
            assert_eq!(found.advertised[0].host, None, "{every}");
            assert_eq!(found.served[0].to_string(), listeners);
        }
        let one = parse("PLAINTEXT://10.0.0.1:1", None).unwrap();
        assert_eq!(one.advertised, one.served);
    }

    #[test]
    fn each_listener_has_what_is_told_of_it() {
        let found = parse(
            "PLAINTEXT://:1,inner://10.0.0.1:2,outer://:3",
            Some("INNER://h.inner:2,OUTER://h.outer:9"),
        );
        let found = found.unwrap();
        let told: Vec<_> = found.advertised.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["INNER://h.inner:2", "OUTER://h.outer:9"]);
        assert_eq!(found.served.len(), 3);
    }

    #[test]
    fn one_port_may_serve_both_families() {
        let both = parse("PLAINTEXT://127.0.0.1:1,CONTROLLER://[::1]:1", None);
        assert!(both.is_ok());
    }
}
