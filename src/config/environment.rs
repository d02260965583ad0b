//! `KAFKA_*` variables as settings, by the rule of Apache's container image, so that a Compose file
//! works as it is: behind the prefix `_` is `.`, `__` is `_`, and `___` is `-`.

use super::properties::{Origin, Properties, PropertiesError, Property};
use std::ffi::{OsStr, OsString};

const PREFIX: &str = "KAFKA_";

/// Variables that the image's scripts read themselves: no settings, there or here.
const NOT_SETTINGS: &[(&str, &str)] = &[
    ("KAFKA_VERSION", ""),
    ("KAFKA_HEAP_OPTS", "There is no Java heap; highwater.memory bounds the memory."),
    ("KAFKA_JVM_PERFORMANCE_OPTS", "There is no Java machine to tune; see highwater.cores."),
    ("KAFKA_GC_LOG_OPTS", "There is no garbage collector."),
    ("KAFKA_OPTS", "There is no Java machine; give settings by file, KAFKA_* or --override."),
    ("KAFKA_JMX_OPTS", "There is no JMX."),
    ("KAFKA_JMX_HOSTNAME", "There is no JMX."),
    ("KAFKA_LOG4J_OPTS", LOG_LEVEL),
    ("KAFKA_LOG4J_ROOT_LOGLEVEL", LOG_LEVEL),
    ("KAFKA_LOG4J_LOGGERS", LOG_LEVEL),
    ("KAFKA_TOOLS_LOG4J_LOGLEVEL", LOG_LEVEL),
];
const LOG_LEVEL: &str = "Set HIGHWATER_LOG, as in HIGHWATER_LOG=info.";

/// What Kubernetes puts into the environment for a service that is called kafka.
const OF_A_SERVICE: &[&str] = &["KAFKA_PORT_", "KAFKA_SERVICE_"];

impl Properties {
    /// Adds the settings that these variables give; they win over what was there. The order of the
    /// variables does not matter.
    pub fn set_by_environment(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) {
        let is_ours = |name: &OsStr| name.as_encoded_bytes().starts_with(PREFIX.as_bytes());
        let mut ours: Vec<_> = variables.into_iter().filter(|(name, _)| is_ours(name)).collect();
        ours.sort();
        let mut of_a_service = Vec::new();
        let before = self.entries().len();
        for (name, value) in ours {
            let shown = name.to_string_lossy().into_owned();
            let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) else {
                self.add_fault(PropertiesError::VariableNotUtf8(shown));
                continue;
            };
            if let Some((_, advice)) = NOT_SETTINGS.iter().find(|(known, _)| *known == name) {
                if !advice.is_empty() && !value.is_empty() {
                    self.add_remark(format!("{name} is not read. {advice}"));
                }
            } else if is_of_a_service(&name, &value) {
                of_a_service.push(name);
            } else {
                let key = key_of(&name);
                self.push(Property { key, value, origin: Origin::Variable(name) });
            }
        }
        self.listen_where_advertised(before);
        if !of_a_service.is_empty() {
            self.add_remark(format!(
                "not read, set by Kubernetes for a service of this name: {} (enableServiceLinks: \
                 false keeps such variables away)",
                of_a_service.join(", ")
            ));
        }
    }

    /// The image listens on the ports that are advertised, where nothing says where to listen;
    /// `before` is the count of settings that are not of the environment.
    fn listen_where_advertised(&mut self, before: usize) {
        let is_given = |entry: &Property| entry.key == "listeners" && entry.origin != Origin::Ours;
        if self.entries().iter().any(is_given) {
            return;
        }
        let ours = &self.entries()[before..];
        let Some(advertised) = ours.iter().find(|entry| entry.key == "advertised.listeners") else {
            return;
        };
        let everywhere = |endpoint: &str| {
            let (name, address) = endpoint.split_once("://")?;
            let (_, port) = address.rsplit_once(':')?;
            Some(format!("{name}://0.0.0.0:{port}"))
        };
        let listeners: Option<Vec<_>> = advertised.value.split(',').map(everywhere).collect();
        // What is malformed is told of advertised.listeners.
        if let Some(listeners) = listeners {
            let (key, origin) = ("listeners".to_owned(), advertised.origin.clone());
            self.push(Property { key, value: listeners.join(","), origin });
        }
    }
}

/// The setting's key, step by step as the image makes it: what is odd there is odd here.
fn key_of(variable: &str) -> String {
    let key = variable.strip_prefix(PREFIX).unwrap_or(variable).to_lowercase();
    key.replace('_', ".").replace("...", "-").replace("..", "_")
}

/// Addresses of a service, which would otherwise be taken for the old setting `port`.
fn is_of_a_service(name: &str, value: &str) -> bool {
    let is_address = value.starts_with("tcp://") || value.starts_with("udp://");
    (name == "KAFKA_PORT" && is_address)
        || OF_A_SERVICE.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;

    fn read(variables: &[(&str, &str)]) -> Properties {
        let mut properties = Properties::default();
        properties
            .set_by_environment(variables.iter().map(|(name, value)| (name.into(), value.into())));
        properties
    }

    /// The keys were recorded from the class in Kafka 4.3.1 that the image runs.
    #[test]
    fn variables_become_keys_as_in_apaches_image() {
        for (variable, key) in [
            ("KAFKA_NUM_PARTITIONS", "num.partitions"),
            ("KAFKA_A_b__C___D", "a.b_c-d"),
            ("KAFKA_A____B", "a-.b"),
            ("KAFKA_A_____B", "a-_b"),
            ("KAFKA_X_KAFKA_Y", "x.kafka.y"),
            ("KAFKA_", ""),
            (
                "KAFKA_LISTENER_NAME_SASL__SSL_SCRAM___SHA___256_SASL_JAAS_CONFIG",
                "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config",
            ),
        ] {
            assert_eq!(key_of(variable), key, "{variable}");
        }
    }

    #[test]
    fn a_variable_wins_over_the_file_and_a_flag_over_both() {
        let mut properties = Properties::parse(b"num.partitions=1").unwrap();
        let variable = ("KAFKA_NUM_PARTITIONS".into(), "2".into());
        properties.set_by_environment([variable, ("OTHER".into(), "x".into())]);
        let counts = properties.get("num.partitions").unwrap();
        assert_eq!(counts.value, "2");
        assert_eq!(counts.origin.to_string(), "KAFKA_NUM_PARTITIONS");
        assert_eq!(properties.entries().len(), 2);
        properties.set_by("--override", "num.partitions", "3");
        assert_eq!(properties.get("num.partitions").unwrap().value, "3");
    }

    #[test]
    fn what_the_images_scripts_read_is_no_setting_and_is_answered() {
        let properties = read(&[("KAFKA_HEAP_OPTS", "-Xmx1G"), ("KAFKA_VERSION", "4.3.1")]);
        assert!(properties.entries().is_empty());
        let [remark] = properties.remarks() else { panic!("{:?}", properties.remarks()) };
        assert!(remark.starts_with("KAFKA_HEAP_OPTS is not read. There is no Java heap; highw"));
    }

    #[test]
    fn where_only_an_address_is_advertised_its_port_is_listened_on() {
        let advertised = ("KAFKA_ADVERTISED_LISTENERS", "A://a:1,B://[::1]:2");
        let value = |properties: &Properties| properties.get("listeners").unwrap().value.clone();
        assert_eq!(value(&read(&[advertised])), "A://0.0.0.0:1,B://0.0.0.0:2");
        let listeners = ("KAFKA_LISTENERS", "A://:3");
        assert_eq!(value(&read(&[advertised, listeners])), "A://:3");
        let mut of_file = Properties::parse(b"listeners=A://:4").unwrap();
        of_file.set_by_environment([(advertised.0.into(), advertised.1.into())]);
        assert_eq!(value(&of_file), "A://:4");
        assert!(read(&[("KAFKA_ADVERTISED_LISTENERS", "a")]).get("listeners").is_none());
    }

    #[test]
    fn a_kubernetes_service_called_kafka_sets_nothing() {
        let properties = read(&[
            ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
            ("KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1"),
            ("KAFKA_SERVICE_HOST", "10.0.0.1"),
        ]);
        assert!(properties.entries().is_empty());
        assert_eq!(properties.remarks().len(), 1);
        assert_eq!(read(&[("KAFKA_PORT", "9092")]).entries()[0].key, "port");
    }

    #[test]
    fn a_variable_that_is_not_utf8_is_a_fault_with_its_name() {
        let mut properties = Properties::default();
        properties.set_by_environment([("KAFKA_A".into(), OsString::from_vec(vec![0xff]))]);
        let fault = PropertiesError::VariableNotUtf8("KAFKA_A".into());
        assert_eq!(properties.faults(), [fault]);
    }
}
