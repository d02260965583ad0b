//! What a key means: a row of the table, also under a listener's prefix, or a word near one.

use super::relics::relic;
use super::setting::{Scope, Setting};
use super::table::{broker_setting, broker_settings, topic_setting, topic_settings};
use crate::base::nearest;

/// A key that the table knows.
pub(super) struct Known {
    pub row: &'static Setting,
    /// Whether it is about one listener (`listener.name.NAME.KEY`).
    pub is_listeners: bool,
}

/// What was probably meant by a key that nobody knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Near {
    Meant(&'static str),
    /// It is a topic's; the broker's setting that all topics follow, where there is one.
    OfTopic(Option<&'static str>),
}

/// The row of a key. SASL settings under a listener carry a mechanism before the key.
pub(super) fn known(key: &str) -> Option<Known> {
    if let Some(row) = broker_setting(key) {
        return Some(Known { row, is_listeners: false });
    }
    let (_, below) = key.strip_prefix("listener.name.")?.split_once('.')?;
    let row = broker_setting(below).or_else(|| {
        let mechanisms = below.match_indices('.').map(|(dot, _)| &below[dot + 1..]);
        mechanisms.filter(|rest| rest.starts_with("sasl.")).find_map(broker_setting)
    })?;
    Some(Known { row, is_listeners: true })
}

/// What was probably meant.
pub(super) fn near(key: &str) -> Option<Near> {
    if let Some(row) = topic_setting(key) {
        let Scope::Topic(synonyms) = row.scope else { return None };
        return Some(Near::OfTopic(synonyms.first().map(|synonym| synonym.key)));
    }
    let known = broker_settings().iter().chain(topic_settings()).map(|row| row.key);
    nearest(key, known).filter(|_| relic(key).is_none()).map(Near::Meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, row: Option<&str>, is_listeners: bool) {
        let found = known(key);
        assert_eq!(found.as_ref().map(|known| known.row.key), row, "{key}");
        assert!(found.is_none_or(|known| known.is_listeners == is_listeners), "{key}");
    }

    #[test]
    fn a_key_is_found_under_a_listener_and_a_mechanism() {
        check("num.partitions", Some("num.partitions"), false);
        check("listener.name.a.ssl.keystore.location", Some("ssl.keystore.location"), true);
        let scram = "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config";
        check(scram, Some("sasl.jaas.config"), true);
        check("listener.name.a.my.ssl.keystore.location", None, true);
        check("listener.name.a", None, true);
        check("my.plugin", None, false);
    }

    #[test]
    fn a_word_near_a_key_is_understood() {
        assert_eq!(near("num.partition"), Some(Near::Meant("num.partitions")));
        assert_eq!(near("retention.ms"), Some(Near::OfTopic(Some("log.retention.ms"))));
        assert_eq!(near("remote.storage.enable"), Some(Near::OfTopic(None)));
        assert_eq!(near("my.plugin"), None);
    }
}
