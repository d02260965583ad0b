//! Finding a row of the table by its key.

use super::{cluster, network, node, own, remote, security, storage, topic};
use crate::config::setting::Setting;
use std::sync::LazyLock;

/// All settings of a broker, by key.
static BROKER: LazyLock<Vec<&'static Setting>> = LazyLock::new(|| {
    sorted(&[
        node::SETTINGS,
        network::SETTINGS,
        storage::SETTINGS,
        cluster::SETTINGS,
        security::SETTINGS,
        remote::SETTINGS,
        own::SETTINGS,
    ])
});

/// All settings of a topic, by key.
static TOPIC: LazyLock<Vec<&'static Setting>> = LazyLock::new(|| sorted(&[topic::SETTINGS]));

/// A broker's settings in the order of their keys.
pub fn broker_settings() -> &'static [&'static Setting] {
    &BROKER
}

/// A topic's settings in the order of their keys.
pub fn topic_settings() -> &'static [&'static Setting] {
    &TOPIC
}

pub fn broker_setting(key: &str) -> Option<&'static Setting> {
    find(&BROKER, key)
}

pub fn topic_setting(key: &str) -> Option<&'static Setting> {
    find(&TOPIC, key)
}

fn find(table: &[&'static Setting], key: &str) -> Option<&'static Setting> {
    let index = table.binary_search_by(|row| row.key.cmp(key)).ok()?;
    Some(table[index])
}

fn sorted(parts: &[&'static [Setting]]) -> Vec<&'static Setting> {
    let mut rows: Vec<&Setting> = parts.iter().copied().flatten().collect();
    rows.sort_by_key(|row| row.key);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::setting::Scope;

    #[test]
    fn every_key_is_there_once_and_its_default_is_allowed() {
        for table in [broker_settings(), topic_settings()] {
            for pair in table.windows(2) {
                assert!(pair[0].key < pair[1].key, "{} twice", pair[0].key);
            }
            for row in table {
                if let Some(text) = row.default {
                    row.parse(text).unwrap_or_else(|error| panic!("{error}"));
                }
                assert!(row.doc.ends_with('.'), "{}", row.key);
            }
        }
    }

    #[test]
    fn all_public_keys_of_kafka_are_known() {
        // Counted from the definitions of Kafka 4.3.1 (340 public broker keys); 36 topic keys are
        // its 33 public ones and 3 of the next version.
        let kafka = broker_settings().iter().filter(|row| !row.key.starts_with("highwater."));
        assert_eq!(kafka.count(), KAFKA_BROKER_KEYS);
        assert_eq!(topic_settings().len(), 36);
    }

    const KAFKA_BROKER_KEYS: usize = 340;

    #[test]
    fn what_a_topic_follows_is_a_broker_setting_of_the_same_type() {
        for row in topic_settings() {
            let Scope::Topic(synonyms) = row.scope else { panic!("{} is not a topic's", row.key) };
            for synonym in synonyms {
                let broker = broker_setting(synonym.key).expect(synonym.key);
                assert!(broker.kind == row.kind || synonym.factor != 1, "{}", synonym.key);
            }
            // An unset topic key and an unset broker key mean the same.
            if let Some(first) = synonyms.first().and_then(|s| broker_setting(s.key)) {
                assert!(first.default.is_none() || first.default == row.default, "{}", row.key);
            }
        }
    }
}
