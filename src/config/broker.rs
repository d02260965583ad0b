//! The broker's settings as a whole: parsed from a file, checked against each other, typed.

use super::cores::{AppendPath, Cores};
use super::kind::Value;
use super::layers::{Layers, Texts};
use super::listener::{ListenerTexts, Listeners};
use super::notices::Notices;
use super::properties::Properties;
use super::start_error::StartError;
use super::table::{broker_setting, broker_settings};
use super::topic::TopicConfig;
use crate::model::NodeId;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What a broker without a file is: on this machine only, its data in a folder beside it.
const STANDALONE: &str = "\
node.id=1
process.roles=broker,controller
listeners=PLAINTEXT://127.0.0.1:9092
log.dirs=highwater-data
";

/// Everything that a broker reads of its settings at start.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    pub node_id: NodeId,
    pub listeners: Listeners,
    pub log_dirs: Vec<PathBuf>,

    pub num_partitions: u32,
    pub default_replication_factor: i32,
    pub auto_create_topics: bool,
    pub delete_topics: bool,
    /// What a topic has that sets nothing itself.
    pub topic_defaults: TopicConfig,

    pub request_bytes_max: u32,
    pub socket_send_buffer_bytes: Option<u32>,
    pub socket_receive_buffer_bytes: Option<u32>,
    pub socket_backlog: u32,
    pub connections_max: u32,
    pub connections_idle_max: Option<Duration>,
    pub queued_request_bytes_max: Option<u64>,
    pub fetch_bytes_max: u32,
    pub fetch_sessions_max: u32,
    pub describe_partitions_max: u32,

    pub recovery_threads_per_dir: u32,
    pub retention_check_interval: Duration,
    pub recovery_point_checkpoint_interval: Duration,
    pub start_offset_checkpoint_interval: Duration,
    pub producer_id_expiration: Duration,

    pub cores: Cores,
    pub spin_max: Duration,
    pub append_path: AppendPath,
    pub disabled_features: Vec<String>,
    pub strict_records: bool,
    pub memory_bytes: Option<u64>,
    pub metrics_listener: Option<SocketAddr>,

    /// The texts below: topics resolve against them, DescribeConfigs shows them.
    pub layers: Layers,
}

impl BrokerConfig {
    /// The settings of a broker that is started without a file, to be completed and loaded.
    pub fn standalone() -> Properties {
        Properties::parse(STANDALONE.as_bytes()).expect("our own text is in the syntax")
    }

    /// Checks and types what a file and the command line set. The notices are for the operator: what
    /// was read and has no effect.
    pub fn load(file: &Properties) -> Result<(Self, Notices), StartError> {
        check_values(file)?;
        let layers = Layers::of_file(file);
        let read = Reader { file, layers: &layers };
        read.check_roles()?;
        let listeners = read.listeners()?;
        let config = Self {
            node_id: read.node_id()?,
            log_dirs: read.log_dirs()?,
            num_partitions: read.size("num.partitions"),
            default_replication_factor: read.int("default.replication.factor") as i32,
            auto_create_topics: read.flag("auto.create.topics.enable"),
            delete_topics: read.flag("delete.topic.enable"),
            topic_defaults: read.topic_defaults()?,
            request_bytes_max: read.size("socket.request.max.bytes"),
            socket_send_buffer_bytes: read.size_if_positive("socket.send.buffer.bytes"),
            socket_receive_buffer_bytes: read.size_if_positive("socket.receive.buffer.bytes"),
            socket_backlog: read.size("socket.listen.backlog.size"),
            connections_max: read.size("max.connections"),
            connections_idle_max: u64::try_from(read.int("connections.max.idle.ms"))
                .ok()
                .map(Duration::from_millis),
            queued_request_bytes_max: read.queued_request_bytes_max()?,
            fetch_bytes_max: read.size("fetch.max.bytes"),
            fetch_sessions_max: read.size("max.incremental.fetch.session.cache.slots"),
            describe_partitions_max: read.size("max.request.partition.size.limit"),
            recovery_threads_per_dir: read.size("num.recovery.threads.per.data.dir"),
            retention_check_interval: read.time("log.retention.check.interval.ms"),
            recovery_point_checkpoint_interval: read
                .time("log.flush.offset.checkpoint.interval.ms"),
            start_offset_checkpoint_interval: read
                .time("log.flush.start.offset.checkpoint.interval.ms"),
            producer_id_expiration: read.time("producer.id.expiration.ms"),
            cores: read.cores()?,
            spin_max: Duration::from_micros(u64::from(read.size("highwater.spin.us.max"))),
            append_path: AppendPath::parse(&read.text("highwater.append.path")),
            disabled_features: read.list("highwater.disable.features"),
            strict_records: read.flag("highwater.strict.records"),
            memory_bytes: u64::try_from(read.int("highwater.memory")).ok().filter(|&b| b > 0),
            metrics_listener: read.metrics_listener()?,
            listeners,
            layers: layers.clone(),
        };
        let notices = Notices::of(file, &config);
        Ok((config, notices))
    }
}

/// Every known setting of the file has a value that it may have.
fn check_values(file: &Properties) -> Result<(), StartError> {
    for entry in file.entries() {
        if let Some(row) = broker_setting(&entry.key) {
            row.parse(&entry.value).map_err(|error| StartError::value(entry, row, error))?;
        }
    }
    Ok(())
}

/// Reads one value after another. All texts were checked, so the table's types hold.
struct Reader<'a> {
    file: &'a Properties,
    layers: &'a Layers,
}

impl Reader<'_> {
    fn value(&self, key: &str) -> Value {
        let row = broker_setting(key).expect("the keys read here are rows of the table");
        self.layers.value(row).expect("the file's values were checked before")
    }

    fn int(&self, key: &str) -> i64 {
        match self.value(key) {
            Value::Int(n) => n,
            other => panic!("{key} is a number in the table, not {other:?}"),
        }
    }

    /// A number that the table bounds from below by 0 or more, and from above by 32 bits.
    fn size(&self, key: &str) -> u32 {
        u32::try_from(self.int(key)).expect("the table bounds this key")
    }

    fn size_if_positive(&self, key: &str) -> Option<u32> {
        u32::try_from(self.int(key)).ok().filter(|&n| n > 0)
    }

    fn time(&self, key: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.int(key)).expect("the table bounds this key"))
    }

    fn flag(&self, key: &str) -> bool {
        self.value(key) == Value::Bool(true)
    }

    fn text(&self, key: &str) -> String {
        self.value(key).to_string()
    }

    fn list(&self, key: &str) -> Vec<String> {
        match self.value(key) {
            Value::List(entries) => entries,
            _ => Vec::new(),
        }
    }

    fn is_set(&self, key: &str) -> bool {
        self.layers.text(key).is_some()
    }

    fn line(&self, key: &str) -> Option<u32> {
        self.file.get(key).and_then(|entry| entry.line)
    }

    fn check_roles(&self) -> Result<(), StartError> {
        let roles = self.list("process.roles");
        let has = |role: &str| roles.iter().any(|r| r == role);
        if has("broker") && has("controller") {
            return Ok(());
        }
        let line = self.line("process.roles");
        Err(StartError::Roles { line, roles: self.text("process.roles") })
    }

    fn node_id(&self) -> Result<NodeId, StartError> {
        let (node, broker) = (self.int("node.id"), self.int("broker.id"));
        let is_broker_id_given = self.is_set("broker.id") && broker >= 0;
        if is_broker_id_given && self.is_set("node.id") && node != broker {
            let line = self.line("broker.id");
            return Err(StartError::NodeIds { line, node_id: node, broker_id: broker });
        }
        Ok(NodeId(if is_broker_id_given { broker } else { node } as i32))
    }

    fn log_dirs(&self) -> Result<Vec<PathBuf>, StartError> {
        let key = if self.is_set("log.dirs") { "log.dirs" } else { "log.dir" };
        let dirs: Vec<_> = self.list(key).into_iter().map(PathBuf::from).collect();
        if dirs.is_empty() {
            return Err(StartError::NoLogDir { line: self.line(key) });
        }
        Ok(dirs)
    }

    fn listeners(&self) -> Result<Listeners, StartError> {
        let advertised = self.list("advertised.listeners");
        let inter_broker = self.text("inter.broker.listener.name");
        let texts = ListenerTexts {
            listeners: &self.list("listeners"),
            advertised: Some(advertised.as_slice()),
            protocol_map: &self.text("listener.security.protocol.map"),
            controller_names: &self.list("controller.listener.names"),
            inter_broker: Some(inter_broker.as_str()),
        };
        Listeners::parse(&texts).map_err(|(key, error)| StartError::Listener {
            line: self.line(key),
            key,
            error,
        })
    }

    fn topic_defaults(&self) -> Result<TopicConfig, StartError> {
        // Ages below are bounded by Kafka outside its table.
        for (key, min) in [("log.roll.ms", 1), ("log.roll.jitter.ms", 0), ("log.retention.ms", -1)]
        {
            let value = self.value(key);
            let is_low = matches!(value, Value::Int(n) if n < min);
            if is_low || (key == "log.retention.ms" && value == Value::Int(0)) {
                let line = self.line(key);
                return Err(StartError::Age { line, key, value: value.to_string(), min });
            }
        }
        TopicConfig::resolve(&Texts::new(), self.layers).map_err(StartError::TopicDefaults)
    }

    fn queued_request_bytes_max(&self) -> Result<Option<u64>, StartError> {
        let key = "queued.max.request.bytes";
        let (queued, request) = (self.int(key), self.int("socket.request.max.bytes"));
        if queued > 0 && queued < request {
            return Err(StartError::QueueTooSmall { line: self.line(key), queued, request });
        }
        Ok(u64::try_from(queued).ok().filter(|&bytes| bytes > 0))
    }

    fn metrics_listener(&self) -> Result<Option<SocketAddr>, StartError> {
        let key = "highwater.metrics.listener";
        let text = self.text(key);
        match text.parse() {
            Ok(address) => Ok(Some(address)),
            Err(_) if text.is_empty() => Ok(None),
            Err(_) => Err(StartError::MetricsListener { line: self.line(key), value: text }),
        }
    }

    fn cores(&self) -> Result<Cores, StartError> {
        let text = self.text("highwater.cores");
        Cores::parse(&text)
            .ok_or(StartError::Cores { line: self.line("highwater.cores"), value: text })
    }
}

/// Whether a key is known: a row of the table, also under a listener's prefix.
pub(super) fn is_known(key: &str) -> bool {
    let without_listener = key
        .strip_prefix("listener.name.")
        .and_then(|rest| rest.split_once('.'))
        .map_or(key, |(_, key)| key);
    broker_setting(without_listener).is_some()
        // SASL settings under a listener carry a mechanism before the key.
        || (without_listener != key
            && broker_settings().iter().any(|row| without_listener.ends_with(row.key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str) -> Result<(BrokerConfig, Notices), StartError> {
        BrokerConfig::load(&Properties::parse(file.as_bytes()).unwrap())
    }

    fn check(file: &str, refusal: &str) {
        let text = load(file).unwrap_err().to_string();
        assert!(text.starts_with(refusal), "{text}");
    }

    /// The settings of the example that Kafka 4 ships for a combined node.
    const COMBINED: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

    #[test]
    fn kafkas_own_example_file_works() {
        let (config, notices) = load(COMBINED).unwrap();
        assert_eq!(config.node_id, NodeId(1));
        assert_eq!(config.log_dirs, [PathBuf::from("/tmp/kraft-combined-logs")]);
        assert_eq!(config.listeners.served.len(), 1);
        assert_eq!(config.listeners.advertised[0].to_string(), "PLAINTEXT://localhost:9092");
        assert_eq!(config.listeners.controller[0].to_string(), "CONTROLLER://:9093");
        assert_eq!(config.retention_check_interval, Duration::from_mins(5));
        assert_eq!(
            notices.lines(),
            [
                "read and not yet served: offsets.topic.replication.factor=1, \
             share.coordinator.state.topic.min.isr=1, \
             share.coordinator.state.topic.replication.factor=1, \
             transaction.state.log.min.isr=1, transaction.state.log.replication.factor=1",
                "read and without a meaning here: controller.quorum.bootstrap.servers=localhost:9093 \
             (Controllers to join through. One node is its own quorum.)",
                "not opened: controller listener CONTROLLER://:9093 (one node is its own quorum)",
            ]
        );
    }

    #[test]
    fn a_broker_without_a_file_is_for_this_machine_only() {
        let (config, notices) = BrokerConfig::load(&BrokerConfig::standalone()).unwrap();
        assert_eq!(config.listeners.served[0].to_string(), "PLAINTEXT://127.0.0.1:9092");
        assert_eq!(config.listeners.advertised, config.listeners.served);
        assert!(notices.lines().is_empty());
    }

    #[test]
    fn broker_id_is_node_id() {
        assert_eq!(load("broker.id=7").unwrap().0.node_id, NodeId(7));
        check("node.id=1\nbroker.id=7", "line 2: broker.id=7 and node.id=1 are two names of one");
    }

    #[test]
    fn a_refusal_says_where_what_why_and_how_to_fix_it() {
        assert_eq!(
            load("# x\nlog.segment.bytes=10\n").unwrap_err().to_string(),
            "line 2: Invalid value 10 for configuration log.segment.bytes: Value must be at least \
             1048576. What it is: Size at which a segment is rolled. Allowed: 1048576 or more; \
             without the line it is 1073741824."
        );
        check("process.roles=broker", "line 1: process.roles=broker: ");
        check("listeners=SSL://:9093", "line 1: listeners: SSL://:9093 speaks SSL");
        check("log.dirs=", "line 1: no folder for the data");
        check("highwater.cores=none", "line 1: highwater.cores=none");
        check("highwater.metrics.listener=9644", "line 1: highwater.metrics.listener=9644 is no");
        check("queued.max.request.bytes=5", "line 1: queued.max.request.bytes=5 is less");
        check("log.retention.ms=0", "line 1: log.retention.ms=0");
        check("log.roll.ms=0", "line 1: log.roll.ms=0");
    }

    #[test]
    fn what_has_no_effect_is_named() {
        let file = "log.cleaner.threads=1\nlog.cleaner.backoff.ms=1\nmy.key=1\nnum.partitions=2\n\
                    num.partitions=3\nlistener.name.a.ssl.keystore.location=/x\n\
                    ssl.keystore.password=secret";
        let (config, notices) = load(file).unwrap();
        assert_eq!(config.num_partitions, 3);
        assert_eq!(
            notices.lines(),
            [
                "read and not yet served: listener.name.a.ssl.keystore.location=/x, \
             log.cleaner.backoff.ms=1, ssl.keystore.password=[hidden]",
                "unknown, without effect: my.key (line 3)",
                "set more than once, the last counts: num.partitions",
            ]
        );
    }

    #[test]
    fn every_setting_of_the_table_can_be_set_to_its_default() {
        for row in broker_settings().iter().filter(|row| row.default.is_some()) {
            let file = format!("{}={}", row.key, row.default.unwrap());
            let known = ["node.id", "broker.id"].contains(&row.key);
            let (_, notices) = load(&file).unwrap_or_else(|error| panic!("{error}"));
            assert!(known || notices.lines().is_empty(), "{:?}", notices.lines());
        }
    }
}
