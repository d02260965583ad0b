//! Which of a broker's settings can change while it runs, and how a list is appended to.

use super::kind::{Kind, ValueError};
use super::layers::Texts;
use super::setting::{Scope, Setting, Update};
use super::table::broker_setting;

/// Settings that Kafka changes for all brokers while they run, and that the door reads when it opens.
const AT_START: [&str; 3] =
    ["max.connection.creation.rate", "max.connections.per.ip", "max.connections.per.ip.overrides"];

/// Which layer is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynamicLayer {
    /// One broker's own.
    Broker,
    /// That of all brokers.
    Default,
}

/// Why a broker cannot take these settings while it runs. The texts are Kafka's in substance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DynamicError {
    #[error("Unknown broker config name: {}", .0.join(", "))]
    Unknown(Vec<String>),
    #[error("Cannot update these configs dynamically: {}", java_set(.0))]
    ReadOnly(Vec<String>),
    #[error(
        "These security configs can be dynamically updated only per-listener using the listener \
         prefix: {}",
        java_set(.0)
    )]
    ListenerOnly(Vec<String>),
    #[error(
        "Cannot update these configs at default cluster level, broker id must be specified: {}",
        java_set(.0)
    )]
    PerBroker(Vec<String>),
    /// Kafka would; here it takes a restart.
    #[error(
        "These configs take effect with a restart only, set them in the broker's file: {}",
        java_set(.0)
    )]
    RestartOnly(Vec<String>),
    #[error("Nothing but the default of {key} is accepted: {reason}.")]
    Refused { key: String, reason: &'static str },
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// What a list setting becomes when values are added or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListChange {
    Append,
    Subtract,
}

/// Checks all that a dynamic layer will hold.
pub fn check_dynamic(texts: &Texts, layer: DynamicLayer) -> Result<(), DynamicError> {
    let named = |is_wrong: &dyn Fn(&str) -> bool| -> Vec<String> {
        texts.keys().filter(|key| is_wrong(key)).cloned().collect()
    };
    let refuse = |names: Vec<String>, error: fn(Vec<String>) -> DynamicError| match names {
        names if names.is_empty() => Ok(()),
        names => Err(error(names)),
    };
    let update = |key: &str| match broker_setting(key).map(|row| &row.scope) {
        Some(Scope::Broker(update)) => Some(*update),
        _ => None,
    };
    // Listeners of their own settings come with TLS and SASL.
    let for_listener = |key: &str| key.starts_with("listener.name.");
    refuse(named(&|key| update(key) == Some(Update::ReadOnly)), DynamicError::ReadOnly)?;
    refuse(named(&is_security), DynamicError::ListenerOnly)?;
    refuse(named(&|k| update(k).is_none() && !for_listener(k)), DynamicError::Unknown)?;
    for (key, text) in texts {
        let Some(row) = broker_setting(key) else { continue };
        let value = row.parse(text)?;
        if let Some(reason) = row.refusal(&value) {
            return Err(DynamicError::Refused { key: key.clone(), reason });
        }
    }
    if layer == DynamicLayer::Default {
        let per_broker = |key: &str| update(key) == Some(Update::PerBroker) || for_listener(key);
        refuse(named(&per_broker), DynamicError::PerBroker)?;
    }
    let at_start = |key: &str| {
        update(key) == Some(Update::PerBroker) || for_listener(key) || AT_START.contains(&key)
    };
    refuse(named(&at_start), DynamicError::RestartOnly)
}

/// Keys that Kafka changes for one listener at a time only.
fn is_security(key: &str) -> bool {
    key.starts_with("ssl.")
        && broker_setting(key)
            .is_some_and(|row| matches!(row.scope, Scope::Broker(Update::PerBroker)))
}

impl Setting {
    pub fn is_list(&self) -> bool {
        self.kind == Kind::List
    }

    /// The text of a list after a change; `current` is what is set, which begins with the default
    /// where nothing is.
    pub fn changed_list(&self, current: Option<&str>, change: ListChange, given: &str) -> String {
        let current = current.or(self.default).unwrap_or_default();
        let mut entries: Vec<&str> = current.split(',').filter(|e| !e.is_empty()).collect();
        for value in given.split(',') {
            let place = entries.iter().position(|entry| *entry == value);
            match (change, place) {
                (ListChange::Append, None) => entries.push(value),
                (ListChange::Subtract, Some(place)) => _ = entries.remove(place),
                _ => {}
            }
        }
        entries.join(",")
    }
}

/// Names as Java prints a set of them.
fn java_set(names: &[String]) -> String {
    format!("[{}]", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::setting::Disposition;
    use crate::config::table::{broker_settings, topic_setting, topic_settings};

    fn check(pairs: &[(&str, &str)], layer: DynamicLayer) -> String {
        let texts = pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        check_dynamic(&texts, layer).map_or_else(|error| error.to_string(), |()| "ok".into())
    }

    #[test]
    fn only_what_can_change_while_the_broker_runs_is_taken() {
        use DynamicLayer::{Broker, Default};
        assert_eq!(check(&[("log.retention.ms", "5")], Broker), "ok");
        assert_eq!(check(&[("log.retention.ms", "5")], Default), "ok");
        let refused = check(&[("node.id", "5"), ("log.retention.ms", "5")], Broker);
        assert_eq!(refused, "Cannot update these configs dynamically: [node.id]");
        let refused = check(&[("ssl.keystore.location", "/x")], Broker);
        assert!(refused.contains("only per-listener"), "{refused}");
        let refused = check(&[("listeners", "PLAINTEXT://:1")], Default);
        assert!(refused.contains("broker id must be specified: [listeners]"), "{refused}");
        let refused = check(&[("listeners", "PLAINTEXT://:1")], Broker);
        assert!(refused.contains("with a restart only"), "{refused}");
        let refused = check(&[("max.connections.per.ip", "7")], Default);
        assert!(refused.contains("with a restart only"), "{refused}");
        let refused = check(&[("config.providers", "vault")], Default);
        assert!(refused.starts_with("Nothing but the default of config.providers"), "{refused}");
        assert_eq!(check(&[("foo.bar", "1")], Broker), "Unknown broker config name: foo.bar");
        let refused = check(&[("log.retention.ms", "x")], Broker);
        assert!(refused.starts_with("Invalid value x for configuration log.retention.ms"));
    }

    #[test]
    fn what_is_taken_is_followed_by_topics_or_by_the_cores() {
        // broker/live_settings.
        let cores =
            ["max.connections", "num.recovery.threads.per.data.dir", "producer.id.expiration.ms"];
        let by_topic = |key: &str| {
            topic_settings().iter().any(|row| match row.scope {
                Scope::Topic(synonyms) => synonyms.iter().any(|synonym| synonym.key == key),
                _ => false,
            })
        };
        for row in broker_settings() {
            let is_taken = matches!(row.scope, Scope::Broker(Update::ClusterWide))
                && row.disposition() == Disposition::Live
                && !AT_START.contains(&row.key);
            assert!(!is_taken || by_topic(row.key) || cores.contains(&row.key), "{}", row.key);
        }
    }

    #[test]
    fn a_list_grows_and_shrinks_from_its_default() {
        let row = topic_setting("cleanup.policy").unwrap();
        let check = |current, change, given: &str| row.changed_list(current, change, given);
        assert_eq!(check(None, ListChange::Append, "compact"), "delete,compact");
        assert_eq!(check(Some("compact"), ListChange::Append, "compact,delete"), "compact,delete");
        assert_eq!(check(Some("compact"), ListChange::Subtract, "compact"), "");
        assert_eq!(check(Some(""), ListChange::Subtract, "compact"), "");
        assert_eq!(check(Some(""), ListChange::Append, "compact"), "compact");
    }
}
