//! Finding a row of the table by its key.

use super::{cluster, group, network, node, own, remote, security, storage, topic};
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

/// All settings of a group, by key.
static GROUP: LazyLock<Vec<&'static Setting>> = LazyLock::new(|| sorted(&[group::SETTINGS]));

/// A broker's settings in the order of their keys.
pub fn broker_settings() -> &'static [&'static Setting] {
    &BROKER
}

/// A topic's settings in the order of their keys.
pub fn topic_settings() -> &'static [&'static Setting] {
    &TOPIC
}

/// A group's settings in the order of their keys.
pub fn group_settings() -> &'static [&'static Setting] {
    &GROUP
}

pub fn broker_setting(key: &str) -> Option<&'static Setting> {
    find(&BROKER, key)
}

pub fn topic_setting(key: &str) -> Option<&'static Setting> {
    find(&TOPIC, key)
}

pub fn group_setting(key: &str) -> Option<&'static Setting> {
    find(&GROUP, key)
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
    use crate::config::setting::{Scope, Update};

    #[test]
    fn every_key_is_there_once_and_its_default_is_allowed() {
        for table in [broker_settings(), topic_settings(), group_settings()] {
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

    /// Kafka's own list; see its head.
    const KAFKA: &str = include_str!("../../../ci/golden/kafka-settings.tsv");

    /// Defaults that are ours: what Kafka demands to be set has a value here.
    const OWN_DEFAULTS: &[&str] = &["node.id", "process.roles", "controller.listener.names"];

    fn kafkas() -> impl Iterator<Item = [&'static str; 6]> {
        let lines = KAFKA.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| {
            let cells: Vec<_> = line.split('\t').collect();
            cells.try_into().unwrap_or_else(|cells| panic!("six cells in {cells:?}"))
        })
    }

    #[test]
    fn every_public_setting_of_kafka_has_a_row_that_agrees_with_kafka() {
        for [scope, key, kind, default, _, update] in kafkas() {
            let is_topics = scope == "topic";
            let row = if is_topics { topic_setting(key) } else { broker_setting(key) };
            let row = row.unwrap_or_else(|| panic!("{scope} {key} has no row"));
            assert_eq!(row.kind.name(), kind, "{key}");
            if !OWN_DEFAULTS.contains(&key) {
                assert_eq!(row.default.unwrap_or("null"), default, "{key}");
            }
            let ours = match row.scope {
                Scope::Broker(Update::ReadOnly) => "read-only",
                Scope::Broker(Update::PerBroker) => "per-broker",
                Scope::Broker(Update::ClusterWide) => "cluster-wide",
                _ => "per-topic",
            };
            assert_eq!(ours, update, "{key}");
        }
    }

    #[test]
    fn what_kafka_does_not_have_is_ours() {
        let is_kafkas = |scope, key| kafkas().any(|row| row[0] == scope && row[1] == key);
        for row in broker_settings() {
            assert!(
                row.key.starts_with("highwater.") || is_kafkas("broker", row.key),
                "{}",
                row.key
            );
        }
        for row in topic_settings() {
            assert!(is_kafkas("topic", row.key), "{}", row.key);
        }
        let of = |scope| kafkas().filter(|row| row[0] == scope).count();
        assert_eq!((of("broker"), of("topic")), (340, 33));
    }

    #[test]
    fn what_a_group_follows_is_a_broker_setting_of_the_same_type_and_default() {
        for row in group_settings() {
            let Scope::Group { follows, bounds } = &row.scope else { panic!("{}", row.key) };
            if let Some(followed) = follows.map(|key| broker_setting(key).expect(key)) {
                assert_eq!((followed.kind, followed.default), (row.kind, row.default));
            }
            for bound in [bounds.min, bounds.max].into_iter().flatten() {
                assert!(broker_setting(bound).is_some(), "{bound}");
            }
        }
    }

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
