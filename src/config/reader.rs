//! Reads the broker's settings one after another, and gathers what is wrong with them.
//!
//! Values are checked first, each by its row of the table. A value that is wrong is left out, so that
//! the others are checked too; what would be said of it in connection with others is not said.

use super::broker::ConnectionLimits;
use super::cores::Cores;
use super::keys::{Known, Near, known, near};
use super::kind::Value;
use super::layers::{Layers, Texts};
use super::listener::{ListenerTexts, Listeners};
use super::properties::{Origin, Properties, Property};
use super::relics::{Answer, relic};
use super::start_error::StartError;
use super::table::broker_setting;
use super::topic::TopicConfig;
use crate::model::NodeId;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Our own settings: nobody else's plugin has such a key, so an unknown one is a slip.
const OURS: &str = "highwater.";

/// Settings that make up the listeners.
const LISTENER_KEYS: [&str; 5] = [
    "listeners",
    "advertised.listeners",
    "listener.security.protocol.map",
    "controller.listener.names",
    "inter.broker.listener.name",
];

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Faults {
    errors: Vec<StartError>,
    /// Keys whose values are wrong.
    wrong: BTreeSet<String>,
}

impl Faults {
    /// Those of the file's lines.
    pub fn of_syntax(file: &Properties) -> Self {
        let errors = file.faults().iter().cloned().map(StartError::from).collect();
        Self { errors, wrong: BTreeSet::new() }
    }

    /// Checks each value that counts by itself; gives those that may be read.
    pub fn check_values(&mut self, file: &Properties) -> Layers {
        let mut layers = Layers::of_file(file);
        let texts = std::mem::take(&mut layers.file);
        for (key, text) in texts {
            let entry = file.get(&key).expect("the layer is made of the file's entries");
            match check_value(entry) {
                Ok(()) => _ = layers.file.insert(key, text),
                Err(error) => {
                    self.errors.push(error);
                    self.wrong.insert(key);
                }
            }
        }
        layers
    }

    pub fn wrong(&self) -> BTreeSet<String> {
        self.wrong.clone()
    }

    /// The value, or a note of what is wrong.
    pub fn take<T>(&mut self, result: Result<T, StartError>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }

    pub fn check_absent(&mut self, error: Option<StartError>) {
        self.errors.extend(error);
    }

    pub fn into_errors(self) -> Vec<StartError> {
        self.errors
    }
}

/// Whether one setting may have its value, whatever the others are.
fn check_value(entry: &Property) -> Result<(), StartError> {
    match known(&entry.key) {
        Some(Known { row, is_listeners }) => {
            let value =
                row.parse(&entry.value).map_err(|error| StartError::value(entry, row, error))?;
            if let Some(reason) = row.refusal(&value) {
                return Err(StartError::refused(entry, reason));
            }
            // A limit of one listener: the broker's own stands, and may be the looser one.
            if is_listeners && row.key.starts_with("max.connection") {
                return Err(StartError::refused(entry, LISTENER_LIMIT));
            }
            Ok(())
        }
        None => check_unknown(entry),
    }
}

const LISTENER_LIMIT: &str = "limits of single listeners are not served yet, and to leave one out \
     would let more in. Write the setting without the listener's prefix";

const NOBODY: &str = "nobody could connect. Write 1 or more, or name the addresses that may in \
     max.connections.per.ip.overrides";

fn check_unknown(entry: &Property) -> Result<(), StartError> {
    let is_false = entry.value.trim().eq_ignore_ascii_case("false");
    if let Some(relic) = relic(&entry.key) {
        return match relic.answer {
            Answer::Refused(reason) if !is_false => Err(StartError::refused(entry, reason)),
            _ => Ok(()),
        };
    }
    if !entry.key.starts_with(OURS) {
        return Ok(());
    }
    let (origin, key) = (entry.origin.clone(), entry.key.clone());
    let guess = match near(&key) {
        Some(Near::Meant(meant)) => format!("; did you mean {meant}?"),
        _ => String::new(),
    };
    Err(StartError::Unknown { origin, key, guess })
}

/// Reads one value after another. All texts were checked, so the table's types hold.
pub(super) struct Reader<'a> {
    file: &'a Properties,
    layers: &'a Layers,
    wrong: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a Properties, layers: &'a Layers, wrong: BTreeSet<String>) -> Self {
        Self { file, layers, wrong }
    }

    fn value(&self, key: &str) -> Value {
        let row = broker_setting(key).expect("the keys read here are rows of the table");
        self.layers.value(row).expect("the file's values were checked before")
    }

    pub fn int(&self, key: &str) -> i64 {
        match self.value(key) {
            Value::Int(n) => n,
            other => panic!("{key} is a number in the table, not {other:?}"),
        }
    }

    /// A number that the table bounds from below by 0 or more, and from above by 32 bits.
    pub fn size(&self, key: &str) -> u32 {
        u32::try_from(self.int(key)).expect("the table bounds this key")
    }

    pub fn size_if_positive(&self, key: &str) -> Option<u32> {
        u32::try_from(self.int(key)).ok().filter(|&n| n > 0)
    }

    /// A limit; the largest number is none.
    pub fn limit(&self, key: &str) -> Option<u32> {
        Some(self.size(key)).filter(|&n| n < i32::MAX as u32)
    }

    pub fn time(&self, key: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.int(key)).expect("the table bounds this key"))
    }

    /// A negative time is none.
    pub fn time_if_any(&self, key: &str) -> Option<Duration> {
        u64::try_from(self.int(key)).ok().map(Duration::from_millis)
    }

    pub fn flag(&self, key: &str) -> bool {
        self.value(key) == Value::Bool(true)
    }

    pub fn text(&self, key: &str) -> String {
        self.value(key).to_string()
    }

    pub fn list(&self, key: &str) -> Vec<String> {
        match self.value(key) {
            Value::List(entries) => entries,
            _ => Vec::new(),
        }
    }

    fn is_set(&self, key: &str) -> bool {
        self.layers.text(key).is_some()
    }

    fn is_wrong(&self, key: &str) -> bool {
        self.wrong.contains(key)
    }

    fn origin(&self, key: &str) -> Origin {
        self.file.get(key).map_or(Origin::Ours, |entry| entry.origin.clone())
    }

    pub fn roles(&self) -> Option<StartError> {
        let roles = self.list("process.roles");
        let has = |role: &str| roles.iter().any(|r| r == role);
        if self.is_wrong("process.roles") || (has("broker") && has("controller")) {
            return None;
        }
        let origin = self.origin("process.roles");
        Some(StartError::Roles { origin, roles: self.text("process.roles") })
    }

    /// Settings of one node of several would make several clusters.
    pub fn quorum(&self) -> Option<StartError> {
        ["controller.quorum.voters", "controller.quorum.bootstrap.servers"].into_iter().find_map(
            |key| {
                let is_several = self.list(key).len() > 1;
                let (origin, value) = (self.origin(key), self.text(key));
                is_several.then_some(StartError::Quorum { origin, key, value })
            },
        )
    }

    pub fn node_id(&self) -> Result<NodeId, StartError> {
        let (node, broker) = (self.int("node.id"), self.int("broker.id"));
        let is_broker_id_given = self.is_set("broker.id") && broker >= 0;
        if is_broker_id_given && self.is_set("node.id") && node != broker {
            let origin = self.origin("broker.id");
            return Err(StartError::NodeIds { origin, node_id: node, broker_id: broker });
        }
        Ok(NodeId(if is_broker_id_given { broker } else { node } as i32))
    }

    pub fn log_dirs(&self) -> Result<Vec<PathBuf>, StartError> {
        let key = if self.is_set("log.dirs") { "log.dirs" } else { "log.dir" };
        let dirs: Vec<_> = self.list(key).into_iter().map(PathBuf::from).collect();
        if dirs.is_empty() {
            return Err(StartError::NoLogDir { origin: self.origin(key) });
        }
        Ok(dirs)
    }

    pub fn listeners(&self, faults: &mut Faults) -> Option<Listeners> {
        if LISTENER_KEYS.iter().any(|key| self.is_wrong(key)) {
            return None;
        }
        let inter_broker = self.text("inter.broker.listener.name");
        let advertised = self.list("advertised.listeners");
        let texts = ListenerTexts {
            listeners: &self.list("listeners"),
            advertised: Some(advertised.as_slice()).filter(|_| self.is_set("advertised.listeners")),
            protocol_map: &self.text("listener.security.protocol.map"),
            controller_names: &self.list("controller.listener.names"),
            inter_broker: Some(inter_broker.as_str()),
        };
        match Listeners::parse(&texts) {
            Ok(listeners) => Some(listeners),
            Err(errors) => {
                let found = errors.into_iter().map(|(key, error)| {
                    let origin = self.origin(key);
                    StartError::Listener { origin, key, error }
                });
                faults.errors.extend(found);
                None
            }
        }
    }

    pub fn topic_defaults(&self, faults: &mut Faults) -> Option<TopicConfig> {
        // Ages below are bounded by Kafka outside its table.
        let ages = [("log.roll.ms", 1), ("log.roll.jitter.ms", 0), ("log.retention.ms", -1)];
        let mut is_right = true;
        for (key, min) in ages {
            let value = self.value(key);
            let is_low = matches!(value, Value::Int(n) if n < min);
            if is_low || (key == "log.retention.ms" && value == Value::Int(0)) {
                let (origin, value) = (self.origin(key), value.to_string());
                faults.errors.push(StartError::Age { origin, key, value, min });
                is_right = false;
            }
        }
        let resolved = TopicConfig::resolve(&Texts::new(), self.layers);
        // Said of an age that is wrong by itself it would be said twice.
        match resolved.map_err(StartError::TopicDefaults) {
            Err(_) if !is_right => None,
            resolved => faults.take(resolved),
        }
    }

    pub fn queued_request_bytes_max(&self) -> Result<Option<u64>, StartError> {
        let (queued_key, request_key) = ("queued.max.request.bytes", "socket.request.max.bytes");
        let (queued, request) = (self.int(queued_key), self.int(request_key));
        let is_known = !self.is_wrong(queued_key) && !self.is_wrong(request_key);
        if is_known && queued > 0 && queued < request {
            let origin = self.origin(queued_key);
            return Err(StartError::QueueTooSmall { origin, queued, request });
        }
        Ok(u64::try_from(queued).ok().filter(|&bytes| bytes > 0))
    }

    pub fn metrics_listener(&self) -> Result<Option<SocketAddr>, StartError> {
        let key = "highwater.metrics.listener";
        let value = self.text(key);
        match value.parse() {
            Ok(address) => Ok(Some(address)),
            Err(_) if value.is_empty() => Ok(None),
            Err(_) => Err(StartError::MetricsListener { origin: self.origin(key), value }),
        }
    }

    pub fn cores(&self) -> Result<Cores, StartError> {
        let value = self.text("highwater.cores");
        let origin = self.origin("highwater.cores");
        Cores::parse(&value).ok_or(StartError::Cores { origin, value })
    }

    pub fn connection_limits(&self) -> Result<ConnectionLimits, StartError> {
        let overrides = self.text("max.connections.per.ip.overrides");
        let mut of_hosts = Vec::new();
        for entry in overrides.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let limit = entry
                .rsplit_once(':')
                .and_then(|(host, count)| Some((host.trim(), count.trim().parse::<u32>().ok()?)));
            let Some((host, count)) = limit.filter(|(host, _)| !host.is_empty()) else {
                let origin = self.origin("max.connections.per.ip.overrides");
                return Err(StartError::Override { origin, entry: entry.to_owned() });
            };
            of_hosts.push((host.trim_matches(['[', ']']).to_owned(), count));
        }
        let each = self.limit("max.connections.per.ip");
        match self.file.get("max.connections.per.ip") {
            Some(entry) if each == Some(0) && of_hosts.is_empty() => {
                Err(StartError::refused(entry, NOBODY))
            }
            _ => Ok(ConnectionLimits { each, of_hosts }),
        }
    }
}
