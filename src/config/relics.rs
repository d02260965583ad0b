//! Settings that Kafka once had, that its plugins have, or that are internal to it: no rows of the
//! table, and each is answered with a sentence on what to do instead.

/// A setting that is not in the table and still known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relic {
    /// The key; with a `.` at its end all keys below it.
    key: &'static str,
    pub answer: Answer,
}

/// What is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing is lost by leaving it unread; what to do instead.
    Unread(&'static str),
    /// To leave it unread would open what it closes, unless it is `false`; what to write instead.
    Refused(&'static str),
}

use Answer::{Refused, Unread};

const ZOOKEEPER: &str = "there is no ZooKeeper: the metadata are in the data folder. Remove the \
     line; topics of a ZooKeeper cluster are made anew, or copied by a mirror";
const MIGRATION: &str = "there is no migration from ZooKeeper. Migrate with Kafka 3.9 first, then \
     start with its KRaft settings";
const FORMAT: &str = "records are stored as the newest clients write them, and older formats are not \
     written any more. Remove the line";
const VERSIONS: &str = "one node has no other broker to agree on a version with. Remove the line";
const ENCODER: &str = "no passwords are stored, so none are encoded. Remove the line";
const QUOTA: &str = "quotas are set while the broker runs, for users and client ids (kafka-configs \
     --entity-type clients). Remove the line";
const INTERNAL: &str = "a switch inside Kafka's code, without a counterpart here. Remove the line";
const STOP: &str = "one node hands nothing over when it stops. Remove the line";
const AUTHORIZER: &str = "a setting of an authorizer, and none is served yet: everyone who reaches a \
     listener may do everything";
const THROTTLE: &str = "nothing is replicated or moved between folders yet. Kafka sets it while a \
     broker runs, not in a file: remove the line";
const TIER: &str = "a setting of the remote tier's plugins; there is no remote tier yet, and nothing \
     is read from one or moved to it";
const ADDRESS: &str = "replaced by listeners, without which the broker would listen on every address. \
     Write listeners=PLAINTEXT://HOST:PORT";
const TOLD: &str = "replaced by advertised.listeners, without which clients are told another address. \
     Write advertised.listeners=PLAINTEXT://HOST:PORT";

#[rustfmt::skip]
static RELICS: &[Relic] = &[
    Relic { key: "zookeeper.metadata.migration.", answer: Refused(MIGRATION) },
    Relic { key: "zookeeper.", answer: Unread(ZOOKEEPER) },
    Relic { key: "enable.zookeeper", answer: Unread(ZOOKEEPER) },
    Relic { key: "zk.", answer: Unread(ZOOKEEPER) },
    Relic { key: "host.name", answer: Refused(ADDRESS) },
    Relic { key: "port", answer: Refused(ADDRESS) },
    Relic { key: "advertised.host.name", answer: Refused(TOLD) },
    Relic { key: "advertised.port", answer: Refused(TOLD) },
    Relic { key: "brokerid", answer: Refused("the name of Kafka 0.7. Write node.id=...") },
    Relic { key: "broker.id.generation.enable", answer: Unread("ids are not generated. Write node.id=...") },
    Relic { key: "reserved.broker.max.id", answer: Unread("ids are not generated. Write node.id=...") },
    Relic { key: "control.plane.listener.name", answer: Unread("there is no ZooKeeper-era controller to hear. Remove the line") },
    Relic { key: "inter.broker.protocol.version", answer: Unread(VERSIONS) },
    Relic { key: "log.message.format.version", answer: Unread(FORMAT) },
    Relic { key: "message.format.version", answer: Unread(FORMAT) },
    Relic { key: "log.message.downconversion.enable", answer: Unread(FORMAT) },
    Relic { key: "log.message.timestamp.difference.max.ms", answer: Refused(
        "replaced by two settings. Write log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms") },
    Relic { key: "offsets.commit.required.acks", answer: Unread("commits always wait for all in-sync replicas. Remove the line") },
    Relic { key: "quota.producer.default", answer: Refused(QUOTA) },
    Relic { key: "quota.consumer.default", answer: Refused(QUOTA) },
    Relic { key: "delegation.token.master.key", answer: Unread("renamed to delegation.token.secret.key; delegation tokens are not served yet") },
    Relic { key: "password.encoder.", answer: Unread(ENCODER) },
    Relic { key: "controlled.shutdown.max.retries", answer: Unread(STOP) },
    Relic { key: "controlled.shutdown.retry.backoff.ms", answer: Unread(STOP) },
    Relic { key: "leader.imbalance.per.broker.percentage", answer: Unread("one node leads all partitions. Remove the line") },
    Relic { key: "leader.replication.throttled.rate", answer: Unread(THROTTLE) },
    Relic { key: "follower.replication.throttled.rate", answer: Unread(THROTTLE) },
    Relic { key: "replica.alter.log.dirs.io.max.bytes.per.second", answer: Unread(THROTTLE) },
    Relic { key: "producer_byte_rate", answer: Unread(QUOTA) },
    Relic { key: "consumer_byte_rate", answer: Unread(QUOTA) },
    Relic { key: "request_percentage", answer: Unread(QUOTA) },
    Relic { key: "controller_mutation_rate", answer: Unread(QUOTA) },
    Relic { key: "connection_creation_rate", answer: Unread(QUOTA) },
    Relic { key: "remote.log.metadata.topic.", answer: Unread(TIER) },
    Relic { key: "remote.log.metadata.consume.wait.ms", answer: Unread(TIER) },
    Relic { key: "remote.log.metadata.initialization.", answer: Unread(TIER) },
    Relic { key: "rlmm.config.", answer: Unread(TIER) },
    Relic { key: "rsm.config.", answer: Unread(TIER) },
    Relic { key: "super.users", answer: Unread(AUTHORIZER) },
    Relic { key: "allow.everyone.if.no.acl.found", answer: Unread(AUTHORIZER) },
    Relic { key: "group.coordinator.new.enable", answer: Unread(INTERNAL) },
    Relic { key: "internal.metadata.", answer: Unread(INTERNAL) },
    Relic { key: "controller.performance.always.log.threshold.ms", answer: Unread(INTERNAL) },
    Relic { key: "controller.performance.sample.period.ms", answer: Unread(INTERNAL) },
    Relic { key: "group.consumer.regex.refresh.interval.ms", answer: Unread(INTERNAL) },
    Relic { key: "group.share.initialize.retry.interval.ms", answer: Unread(INTERNAL) },
    Relic { key: "group.share.persister.class.name", answer: Unread(INTERNAL) },
    Relic { key: "log.initial.task.delay.ms", answer: Unread(INTERNAL) },
    Relic { key: "producer.id.expiration.check.interval.ms", answer: Unread(INTERNAL) },
    Relic { key: "remote.log.index.file.cache.ttl.ms", answer: Unread(INTERNAL) },
    Relic { key: "remote.log.manager.task.retry.backoff.max.ms", answer: Unread(INTERNAL) },
    Relic { key: "remote.log.manager.task.retry.backoff.ms", answer: Unread(INTERNAL) },
    Relic { key: "remote.log.manager.task.retry.jitter", answer: Unread(INTERNAL) },
    Relic { key: "server.max.startup.time.ms", answer: Unread(INTERNAL) },
    Relic { key: "share.coordinator.cold.partition.snapshot.interval.ms", answer: Unread(INTERNAL) },
    Relic { key: "share.coordinator.state.topic.prune.interval.ms", answer: Unread(INTERNAL) },
    Relic { key: "unclean.leader.election.interval.ms", answer: Unread(INTERNAL) },
    Relic { key: "unstable.api.versions.enable", answer: Unread(INTERNAL) },
    Relic { key: "unstable.feature.versions.enable", answer: Unread(INTERNAL) },
];

/// What is known of a key that is not in the table.
pub fn relic(key: &str) -> Option<&'static Relic> {
    RELICS.iter().find(|relic| match relic.key.strip_suffix('.') {
        Some(_) => key.starts_with(relic.key),
        None => key == relic.key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::broker_setting;

    #[test]
    fn a_relic_is_no_row_of_the_table_and_is_found() {
        for known in RELICS {
            assert!(broker_setting(known.key).is_none(), "{}", known.key);
            let below = format!("{}x", known.key);
            let key = if known.key.ends_with('.') { &below } else { known.key };
            assert_eq!(relic(key), Some(known), "{key} is found, and nothing before it");
        }
        assert_eq!(relic("zookeeper"), None);
    }

    /// Kafka's public settings that are in no file of its own: of plugins and authorizers, and of
    /// quotas, which are set while a broker runs. With the 340 of the broker they are 357.
    #[test]
    fn the_public_settings_outside_of_the_brokers_table_are_answered() {
        let outside = [
            "leader.replication.throttled.rate",
            "follower.replication.throttled.rate",
            "replica.alter.log.dirs.io.max.bytes.per.second",
            "producer_byte_rate",
            "consumer_byte_rate",
            "request_percentage",
            "controller_mutation_rate",
            "connection_creation_rate",
            "remote.log.metadata.topic.replication.factor",
            "remote.log.metadata.topic.num.partitions",
            "remote.log.metadata.topic.retention.ms",
            "remote.log.metadata.topic.min.isr",
            "remote.log.metadata.consume.wait.ms",
            "remote.log.metadata.initialization.retry.max.timeout.ms",
            "remote.log.metadata.initialization.retry.interval.ms",
            "super.users",
            "allow.everyone.if.no.acl.found",
        ];
        for key in outside {
            assert!(relic(key).is_some() && broker_setting(key).is_none(), "{key}");
        }
    }

    #[test]
    fn what_closes_something_is_not_left_unread() {
        for key in ["host.name", "port", "quota.producer.default"] {
            assert!(matches!(relic(key).unwrap().answer, Refused(_)), "{key}");
        }
    }
}
