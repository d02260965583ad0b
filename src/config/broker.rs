//! The broker's settings as a whole: parsed from a file, checked against each other, typed.

use super::cores::{AppendPath, Cores};
use super::groups::GroupConfig;
use super::layers::Layers;
use super::listener::Listeners;
use super::notices::Notices;
use super::properties::{Origin, Properties, Property};
use super::reader::{Faults, Reader};
use super::start_error::StartErrors;
use super::topic::TopicConfig;
use crate::model::NodeId;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What a broker without a file is: on this machine only, its data in a folder beside it.
const STANDALONE: [(&str, &str); 2] =
    [("listeners", "PLAINTEXT://127.0.0.1:9092"), ("log.dirs", "highwater-data")];

/// Everything that a broker reads of its settings at start.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    pub node_id: NodeId,
    pub rack: Option<String>,
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
    pub connections_per_address: ConnectionLimits,
    /// New connections in a second, where they are limited.
    pub connection_rate_max: Option<u32>,
    pub connections_idle_max: Option<Duration>,
    pub queued_request_bytes_max: Option<u64>,
    pub fetch_bytes_max: u32,
    pub fetch_sessions_max: u32,
    pub describe_partitions_max: u32,

    pub retention_check_interval: Duration,
    pub recovery_point_checkpoint_interval: Duration,
    pub start_offset_checkpoint_interval: Duration,
    pub producer_id_expiration: Duration,

    pub groups: GroupConfig,

    pub cores: Cores,
    pub spin_max: Duration,
    pub append_path: AppendPath,
    pub disabled_features: Vec<String>,
    pub strict_records: bool,
    pub memory_bytes: Option<u64>,
    pub metrics_listener: Option<SocketAddr>,
    /// The log is JSON for tools, not text for people.
    pub log_as_json: bool,

    /// The texts below: topics resolve against them, DescribeConfigs shows them.
    pub layers: Layers,
}

/// Most connections at a time from one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// None is no limit.
    pub each: Option<u32>,
    /// Other limits for some hosts, by name or address.
    pub of_hosts: Vec<(String, u32)>,
}

impl BrokerConfig {
    /// The settings of a broker that is started without a file, to be completed and loaded.
    pub fn standalone() -> Properties {
        let mut properties = Properties::default();
        for (key, value) in STANDALONE {
            let (key, value) = (key.to_owned(), value.to_owned());
            properties.push(Property { key, value, origin: Origin::Ours });
        }
        properties
    }

    /// Checks and types what a file, the environment and the command line set. The notices are for
    /// the operator: what was read and has no effect. The error has all that is wrong.
    pub fn load(file: &Properties) -> Result<(Self, Notices), StartErrors> {
        let mut faults = Faults::of_syntax(file);
        let layers = faults.check_values(file);
        let read = Reader::new(file, &layers, faults.wrong());
        faults.check_absent(read.roles());
        faults.check_absent(read.quorum());
        let node_id = faults.take(read.node_id());
        let log_dirs = faults.take(read.log_dirs());
        let topic_defaults = read.topic_defaults(&mut faults);
        let queued_request_bytes_max = faults.take(read.queued_request_bytes_max());
        let cores = faults.take(read.cores());
        let connections_per_address = faults.take(read.connection_limits());
        let metrics_listener = faults.take(read.metrics_listener());
        let listeners = read.listeners(&mut faults);
        if let Some(errors) = StartErrors::of(faults.into_errors()) {
            return Err(errors);
        }
        let mut told = layers.clone();
        // As in Kafka, the old name of the id has its value where only the new one is set.
        if let Some(id) = layers.file.get("node.id").cloned() {
            told.file.entry("broker.id".into()).or_insert(id);
        }
        let right = "what had no fault is there";
        let config = Self {
            node_id: node_id.expect(right),
            rack: Some(read.text("broker.rack")).filter(|rack| !rack.is_empty()),
            log_dirs: log_dirs.expect(right),
            topic_defaults: topic_defaults.expect(right),
            queued_request_bytes_max: queued_request_bytes_max.expect(right),
            cores: cores.expect(right),
            connections_per_address: connections_per_address.expect(right),
            listeners: listeners.expect(right),
            num_partitions: read.size("num.partitions"),
            default_replication_factor: read.int("default.replication.factor") as i32,
            auto_create_topics: read.flag("auto.create.topics.enable"),
            delete_topics: read.flag("delete.topic.enable"),
            request_bytes_max: read.size("socket.request.max.bytes"),
            socket_send_buffer_bytes: read.size_if_positive("socket.send.buffer.bytes"),
            socket_receive_buffer_bytes: read.size_if_positive("socket.receive.buffer.bytes"),
            socket_backlog: read.size("socket.listen.backlog.size"),
            connections_max: read.size("max.connections"),
            connection_rate_max: read.limit("max.connection.creation.rate"),
            connections_idle_max: read.time_if_any("connections.max.idle.ms"),
            fetch_bytes_max: read.size("fetch.max.bytes"),
            fetch_sessions_max: read.size("max.incremental.fetch.session.cache.slots"),
            describe_partitions_max: read.size("max.request.partition.size.limit"),
            retention_check_interval: read.time("log.retention.check.interval.ms"),
            recovery_point_checkpoint_interval: read
                .time("log.flush.offset.checkpoint.interval.ms"),
            start_offset_checkpoint_interval: read
                .time("log.flush.start.offset.checkpoint.interval.ms"),
            producer_id_expiration: read.time("producer.id.expiration.ms"),
            groups: GroupConfig::load(|key| read.int(key)),
            spin_max: Duration::from_micros(u64::from(read.size("highwater.spin.us.max"))),
            append_path: AppendPath::parse(&read.text("highwater.append.path")),
            disabled_features: read.list("highwater.disable.features"),
            strict_records: read.flag("highwater.strict.records"),
            memory_bytes: u64::try_from(read.int("highwater.memory")).ok().filter(|&b| b > 0),
            metrics_listener: metrics_listener.expect(right),
            log_as_json: read.text("highwater.log.format") == "json",
            layers: told,
        };
        let notices = Notices::of(file, &config);
        Ok((config, notices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::broker_settings;
    use std::collections::BTreeMap;

    fn load(file: &str) -> Result<(BrokerConfig, Notices), StartErrors> {
        BrokerConfig::load(&Properties::parse(file.as_bytes()).unwrap())
    }

    /// The refusals of a file, each of which begins with these words.
    fn check(file: &str, refusals: &[&str]) {
        let found = load(file).unwrap_err();
        let texts: Vec<_> = found.all().iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), refusals.len(), "{texts:#?}");
        for (text, refusal) in texts.iter().zip(refusals) {
            assert!(text.starts_with(refusal), "{text}");
        }
    }

    /// What an operator is told of a file, other than of settings that are ignored.
    fn told(file: &str) -> Vec<String> {
        let (_, notices) = load(file).unwrap();
        Notices { ignored: BTreeMap::new(), ..notices }.lines()
    }

    /// The reason for which a setting is ignored.
    fn ignored(file: &str) -> Vec<(&'static str, Vec<String>)> {
        load(file).unwrap().1.ignored.into_iter().collect()
    }

    #[test]
    fn kafkas_own_file_works_unchanged() {
        let file = include_str!("../../ci/golden/server.properties");
        let (config, notices) = load(file).unwrap();
        assert_eq!(config.node_id, NodeId(1));
        assert_eq!(config.log_dirs, [PathBuf::from("/tmp/kraft-combined-logs")]);
        assert_eq!(config.listeners.served.len(), 1);
        assert_eq!(config.listeners.advertised[0].to_string(), "PLAINTEXT://localhost:9092");
        assert_eq!(config.listeners.controller[0].to_string(), "CONTROLLER://:9093");
        assert_eq!(config.retention_check_interval, Duration::from_mins(5));
        let lines = notices.lines();
        let quorum = "without effect: controller.quorum.bootstrap.servers=localhost:9093 (one node \
                      is its own quorum)";
        assert!(lines.iter().any(|line| line == quorum), "{lines:#?}");
        let closed =
            "not opened: controller listener CONTROLLER://:9093 (one node is its own quorum)";
        assert_eq!(told(file), [closed]);
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
        let file = "broker.id=7";
        assert_eq!(load(file).unwrap().0.node_id, NodeId(7));
        assert_eq!(
            told(file),
            ["broker.id (line 1): the older name of node.id, and taken as that"]
        );
        check(
            "node.id=1\nbroker.id=7",
            &["line 2: broker.id=7 and node.id=1 are two names of one"],
        );
        let mut bare = BrokerConfig::standalone();
        bare.set_by_environment([("KAFKA_BROKER_ID".into(), "7".into())]);
        assert_eq!(BrokerConfig::load(&bare).unwrap().0.node_id, NodeId(7));
    }

    #[test]
    fn a_refusal_says_where_what_why_and_how_to_fix_it() {
        assert_eq!(
            load("# x\nlog.segment.bytes=10\n").unwrap_err().to_string(),
            "line 2: Invalid value 10 for configuration log.segment.bytes: Value must be at least \
             1048576. What it is: Size at which a segment is rolled. Allowed: 1048576 or more; \
             without the line it is 1073741824."
        );
        check("process.roles=broker", &["line 1: process.roles=broker: "]);
        check("listeners=SSL://:9093", &["line 1: listeners: SSL://:9093 speaks SSL"]);
        check("log.dirs=", &["line 1: no folder for the data"]);
        check("highwater.cores=none", &["line 1: highwater.cores=none"]);
        let metrics = "line 1: highwater.metrics.listener=9644 is no";
        check("highwater.metrics.listener=9644", &[metrics]);
        check("queued.max.request.bytes=5", &["line 1: queued.max.request.bytes=5 is less"]);
        check("log.retention.ms=0", &["line 1: log.retention.ms=0"]);
        check("log.roll.ms=0", &["line 1: log.roll.ms=0"]);
        check("max.connections.per.ip=0", &["line 1: max.connections.per.ip=0: nobody could"]);
        assert!(load("max.connections.per.ip=0\nmax.connections.per.ip.overrides=a:1").is_ok());
        check("max.connections.per.ip.overrides=a:1,b", &["line 1: max.connections.per.ip.overr"]);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() {
        let file = "num.partitions=many\n=x\nlisteners=SSL://:1,nonsense\na=\\u1\n\
                    log.roll.ms=0\nauthorizer.class.name=a.B\nport=9092\nhighwater.corse=1\n\
                    num.io.threads=0";
        let mut properties = Properties::parse(file.as_bytes()).unwrap();
        properties.set_by_environment([("KAFKA_NODE_ID".into(), "x".into())]);
        properties.set_by("--override", "log.dirs", "");
        let errors = BrokerConfig::load(&properties).unwrap_err();
        let text = errors.to_string();
        let lines: Vec<_> = text.lines().collect();
        let starts = [
            "12 settings cannot be as they are:",
            "  line 1: Invalid value many for configuration num.partitions",
            "  line 2 has a value and no key before it",
            "  line 3: listeners: 'nonsense' is not an address",
            "  line 3: listeners: SSL://:1 speaks SSL",
            "  line 4: a \\u needs",
            "  line 5: log.roll.ms=0",
            "  line 6: authorizer.class.name=a.B: no authorizer is served yet",
            "  line 7: port=9092: replaced by listeners",
            "  line 8: highwater.corse is no setting of this broker; did you mean highwater.cores?",
            "  line 9: Invalid value 0 for configuration num.io.threads",
            "  KAFKA_NODE_ID: Invalid value x for configuration node.id",
            "  --override: no folder for the data",
        ];
        assert_eq!(lines.len(), starts.len(), "{text}");
        for (line, start) in lines.iter().zip(starts) {
            assert!(line.starts_with(start), "{line} is not {start}");
        }
    }

    #[test]
    fn a_value_that_is_overridden_need_not_be_right() {
        let mut properties = Properties::parse(b"num.partitions=many").unwrap();
        properties.set("num.partitions", "3");
        assert_eq!(BrokerConfig::load(&properties).unwrap().0.num_partitions, 3);
    }

    #[test]
    fn a_word_near_an_allowed_one_is_guessed() {
        let text = load("compression.type=zstdd").unwrap_err().to_string();
        assert!(text.contains("(did you mean zstd?)"), "{text}");
    }

    #[test]
    fn what_would_weaken_safety_is_refused_with_the_reason() {
        for (line, reason) in [
            ("ssl.keystore.location=/x", "TLS is not served yet"),
            ("ssl.client.auth=required", "TLS is not served yet"),
            ("listener.name.a.ssl.truststore.location=/x", "TLS is not served yet"),
            ("sasl.enabled.mechanisms=PLAIN", "SASL is not served yet"),
            ("listener.name.a.plain.sasl.jaas.config=x", "SASL is not served yet"),
            ("authorizer.class.name=a.B", "no authorizer is served yet"),
            ("create.topic.policy.class.name=a.B", "Java classes are not run here"),
            ("config.providers=file", "variables in values are not replaced"),
            ("remote.log.storage.system.enable=true", "no remote tier is served yet"),
            ("host.name=127.0.0.1", "replaced by listeners"),
            ("listener.name.a.max.connections=5", "limits of single listeners"),
            ("controller.quorum.voters=1@a:1,2@b:1", "names more than this node"),
        ] {
            let text = load(line).unwrap_err().to_string();
            assert!(text.starts_with("line 1: ") && text.contains(reason), "{text}");
        }
        // Set to nothing, or to the default, they ask for nothing.
        for line in ["ssl.keystore.location=", "ssl.client.auth=none", "authorizer.class.name="] {
            assert!(load(line).is_ok(), "{line}");
        }
        let secret = load("ssl.key.password=hunter2").unwrap_err().to_string();
        assert!(!secret.contains("hunter2"), "{secret}");
    }

    #[test]
    fn what_has_no_effect_is_named_with_the_reason() {
        let file = "num.partitions=2\nmy.key=1\nlog.retention.hour=1\nretention.ms=1\n\
                    num.partitions=3\nzookeeper.connect=h:1\ninter.broker.protocol.version=3.9";
        assert_eq!(load(file).unwrap().0.num_partitions, 3);
        let lines = told(file);
        assert_eq!(
            lines[..2],
            [
                "unknown, without effect: log.retention.hour (line 3; did you mean \
                 log.retention.hours?), my.key (line 2), retention.ms (line 4; a topic's setting, \
                 which for all topics is log.retention.ms)",
                "set more than once, the last counts: num.partitions",
            ]
        );
        assert!(lines[2].starts_with("inter.broker.protocol.version (line 7): one node has no"));
        assert!(lines[3].starts_with("zookeeper.connect (line 6): there is no ZooKeeper"));
        assert_eq!(lines.len(), 4);
        let threads = ("Cores replace them: see highwater.cores", vec!["num.io.threads=5".into()]);
        assert_eq!(ignored("num.io.threads=5"), [threads]);
        let [(reason, found)] = ignored("ssl.keystore.type=PEM").try_into().unwrap();
        assert!(reason.starts_with("it goes with TLS"), "{reason}");
        assert_eq!(found, ["ssl.keystore.type=PEM"]);
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
