//! The table of settings for people: every key with its type, default, what may be given, how it
//! changes, what follows from it, and its text.

use super::kind::Check;
use super::setting::{Disposition, Scope, Setting, Update};
use super::table::{broker_settings, group_settings, topic_settings};

/// One setting, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub key: &'static str,
    /// `broker`, `topic` or `group`.
    pub scope: &'static str,
    /// Kafka's name of the type.
    pub kind: &'static str,
    /// None where it is unset.
    pub default: Option<&'static str>,
    /// The values of its type that it may have.
    pub allowed: String,
    /// How it changes: `read-only` (at a start), `per-broker`, `cluster-wide`, `per-topic`,
    /// `per-group`.
    pub update: &'static str,
    pub is_sensitive: bool,
    pub disposition: Disposition,
    pub doc: &'static str,
}

/// All settings: the broker's, those of topics, those of groups, each in the order of their keys.
pub fn catalog() -> Vec<Listed> {
    rows().map(listed).collect()
}

/// The settings of this name, of the broker, of topics and of groups.
pub fn explain(key: &str) -> Vec<Listed> {
    rows().filter(|row| row.key == key).map(listed).collect()
}

fn rows() -> impl Iterator<Item = &'static Setting> {
    broker_settings().iter().chain(topic_settings()).chain(group_settings()).copied()
}

fn listed(row: &'static Setting) -> Listed {
    let (scope, update) = match row.scope {
        Scope::Broker(Update::ReadOnly) => ("broker", "read-only"),
        Scope::Broker(Update::PerBroker) => ("broker", "per-broker"),
        Scope::Broker(Update::ClusterWide) => ("broker", "cluster-wide"),
        Scope::Topic(_) => ("topic", "per-topic"),
        Scope::Group { .. } => ("group", "per-group"),
    };
    Listed {
        key: row.key,
        scope,
        kind: row.kind.name(),
        default: row.default,
        allowed: match row.check {
            Check::Any => String::new(),
            check => check.to_string(),
        },
        update,
        is_sensitive: row.is_sensitive(),
        disposition: row.disposition(),
        doc: row.doc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_listed_once_with_what_follows_from_it() {
        let all = catalog();
        let lengths = [broker_settings(), topic_settings(), group_settings()].map(<[_]>::len);
        assert_eq!(all.len(), lengths.iter().sum::<usize>());
        let find = |key: &str| all.iter().find(|listed| listed.key == key).unwrap();
        assert_eq!(find("num.partitions").disposition, Disposition::Live);
        assert!(matches!(find("num.io.threads").disposition, Disposition::Ignored(_)));
        assert!(matches!(find("authorizer.class.name").disposition, Disposition::Refused(_)));
        assert_eq!(find("log.segment.bytes").allowed, "1048576 or more");
        assert_eq!(find("log.segment.bytes").update, "cluster-wide");
    }

    #[test]
    fn a_name_of_a_broker_and_of_topics_is_explained_twice() {
        let scopes = |key| explain(key).iter().map(|listed| listed.scope).collect::<Vec<_>>();
        assert_eq!(scopes("compression.type"), ["broker", "topic"]);
        assert_eq!(scopes("nonsense"), Vec::<&str>::new());
    }
}
