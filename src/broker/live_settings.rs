//! The broker's settings that change while it runs and that no topic follows.

use crate::config::table::broker_setting;
use crate::config::{BrokerConfig, Layers, Value};
use std::cell::Cell;
use std::time::Duration;

/// This core's copy of them.
#[derive(Debug)]
pub struct LiveSettings {
    connections_max: Cell<u32>,
    producer_id_expiration: Cell<Duration>,
}

impl LiveSettings {
    /// As the file sets them.
    pub fn new(config: &BrokerConfig) -> Self {
        Self {
            connections_max: Cell::new(config.connections_max),
            producer_id_expiration: Cell::new(config.producer_id_expiration),
        }
    }

    /// Takes what the metadata set; whether partitions must hear of it.
    pub fn follow(&self, layers: &Layers) -> bool {
        self.connections_max.set(number("max.connections", layers));
        let expiration = number::<u64>("producer.id.expiration.ms", layers);
        let expiration = Duration::from_millis(expiration);
        self.producer_id_expiration.replace(expiration) != expiration
    }

    /// Connections that may be open, over all cores.
    pub fn connections_max(&self) -> u32 {
        self.connections_max.get()
    }

    /// Silence after which an idempotent producer is forgotten.
    pub fn producer_id_expiration(&self) -> Duration {
        self.producer_id_expiration.get()
    }
}

/// Logs of one directory that are recovered at once: read at start only.
pub fn recovery_threads(layers: &Layers) -> usize {
    number("num.recovery.threads.per.data.dir", layers)
}

/// A number that the table bounds from below by 0 or more. What a change sets was checked before;
/// metadata of another origin may hold what cannot be, and its default counts then.
fn number<T: TryFrom<i64>>(key: &str, layers: &Layers) -> T {
    let row = broker_setting(key).expect("the keys read here are rows of the table");
    let value = layers.value(row).unwrap_or_else(|error| {
        tracing::error!("the metadata hold a setting that cannot be, its default counts: {error}");
        row.default_value()
    });
    let Value::Int(number) = value else { panic!("{key} is a number in the table") };
    T::try_from(number).unwrap_or_else(|_| panic!("{key} is bounded in the table"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Properties;

    #[test]
    fn what_the_metadata_set_counts_above_the_file() {
        let file = Properties::parse(b"max.connections=7").unwrap();
        let (config, _) = BrokerConfig::load(&file).unwrap();
        let live = LiveSettings::new(&config);
        let mut layers = config.layers.clone();
        assert!(!live.follow(&layers));
        assert_eq!(live.connections_max(), 7);
        layers.dynamic_default.insert("max.connections".into(), "5".into());
        layers.dynamic_broker.insert("producer.id.expiration.ms".into(), "1000".into());
        assert!(live.follow(&layers));
        assert_eq!(live.connections_max(), 5);
        assert_eq!(live.producer_id_expiration(), Duration::from_secs(1));
        layers.dynamic_default.clear();
        live.follow(&layers);
        assert_eq!(live.connections_max(), 7);
        layers.dynamic_default.insert("max.connections".into(), "many".into());
        live.follow(&layers);
        assert_eq!(live.connections_max(), 2_147_483_647, "the default");
    }
}
