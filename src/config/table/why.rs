//! Why a setting that is read has no effect, and why that does no harm: a sentence for each family
//! of keys.

use crate::config::setting::Setting;

const ONE_NODE: &str = "one node has no other broker to talk to";
const QUORUM: &str = "one node is its own quorum";
const METADATA: &str = "the metadata log is kept whole until it has snapshots";
const TIER: &str = "there is no remote tier yet, and nothing is read from one or moved to it";
const SHARE: &str = "share groups are not served yet, and requests for them are refused";
const STREAMS: &str = "streams groups are not served yet, and requests for them are refused";
const CONSUMER: &str =
    "the newer group protocol is not served yet, and clients take the classic one";
const GROUPS: &str = "cores and their memory replace the group coordinator's threads and buffers";
const OFFSETS: &str = "not served yet";
const TRANSACTIONS: &str = "transactions are not served yet, and requests for them are refused";
const TLS: &str = "it goes with TLS, which is not served yet and refused where it is asked for";
const SASL: &str = "it goes with SASL, which is not served yet and refused where it is asked for";
const TOKENS: &str = "delegation tokens are not served yet, and none is accepted";
const COMPACTION: &str = "not served yet: records of compacted topics are all kept";
const QUOTAS: &str = "quotas are not served yet";
const JAVA: &str = "Java metrics are not kept, and Java classes are not run";
const FOLDERS: &str = "replicas are not moved between folders yet";
const LEADERS: &str = "one node leads all partitions";
const PLUGIN: &str = "Java classes are not run here, and every client is anonymous";

/// What a key begins with, and the reason; the longest that fits counts.
#[rustfmt::skip]
static FAMILIES: &[(&str, &str)] = &[
    ("replica.", ONE_NODE),
    ("num.replica.fetchers", ONE_NODE),
    ("follower.", ONE_NODE),
    ("follower.fetch.last.tiered.offset.enable", TIER),
    ("leader.replication.throttled.replicas", ONE_NODE),
    ("replication.quota.", ONE_NODE),
    ("request.timeout.ms", ONE_NODE),
    ("socket.connection.setup.", ONE_NODE),
    ("broker.heartbeat.", QUORUM),
    ("broker.session.", QUORUM),
    ("initial.broker.registration.", QUORUM),
    ("controller.", QUORUM),
    ("controlled.shutdown.enable", LEADERS),
    ("early.start.listeners", QUORUM),
    ("controller.quota.", QUOTAS),
    ("quota.", QUOTAS),
    ("metadata.", METADATA),
    ("metadata.log.dir", "the metadata log lies in the first folder of log.dirs, or in the one where it was before"),
    ("metadata.max.idle.interval.ms", QUORUM),
    ("unclean.leader.election.enable", LEADERS),
    ("auto.leader.rebalance.enable", LEADERS),
    ("leader.imbalance.", LEADERS),
    ("background.threads", "cores replace threads: see highwater.cores"),
    ("log.dir.failure.timeout.ms", QUORUM),
    ("cordoned.log.dirs", "not served yet: new partitions go to every folder"),
    ("num.replica.alter.log.dirs.threads", FOLDERS),
    ("alter.log.dirs.", FOLDERS),
    ("log.cleaner.", COMPACTION),
    ("delete.retention.ms", COMPACTION),
    ("max.compaction.lag.ms", COMPACTION),
    ("min.compaction.lag.ms", COMPACTION),
    ("min.cleanable.dirty.ratio", COMPACTION),
    ("log.local.", TIER),
    ("local.retention.", TIER),
    ("remote.", TIER),
    ("offset.metadata.max.bytes", OFFSETS),
    ("offsets.", OFFSETS),
    ("group.", OFFSETS),
    ("group.coordinator.", GROUPS),
    ("group.coordinator.rebalance.protocols", CONSUMER),
    ("group.consumer.", CONSUMER),
    ("group.share.", SHARE),
    ("group.streams.", STREAMS),
    ("share.", SHARE),
    ("transaction", TRANSACTIONS),
    ("add.partitions.to.txn.", TRANSACTIONS),
    ("delegation.token.", TOKENS),
    ("ssl.", TLS),
    ("sasl.", SASL),
    ("security.providers", TLS),
    ("connection.failed.authentication.delay.ms", SASL),
    ("principal.builder.class", PLUGIN),
    ("telemetry.", "metrics of clients are not collected yet"),
    ("metrics.", JAVA),
    ("metric.reporters", JAVA),
    ("kafka.metrics.", JAVA),
];

/// Why nothing follows from this setting: the family's reason, or what its text says after the first
/// sentence.
pub fn why(row: &Setting) -> &'static str {
    let family = FAMILIES.iter().filter(|(start, _)| row.key.starts_with(start));
    match family.max_by_key(|(start, _)| start.len()) {
        Some((_, reason)) => reason,
        None => row.doc.split_once(". ").map_or("", |(_, rest)| rest.trim_end_matches('.')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::setting::Disposition;
    use crate::config::table::{broker_settings, topic_settings};

    #[test]
    fn every_setting_that_has_no_effect_says_why() {
        for row in broker_settings().iter().chain(topic_settings()) {
            if let Disposition::Ignored(reason) | Disposition::Refused(reason) = row.disposition() {
                assert!(!reason.is_empty(), "{}", row.key);
            }
        }
    }

    #[test]
    fn every_family_has_a_member() {
        for (start, _) in FAMILIES {
            let mut rows = broker_settings().iter().chain(topic_settings());
            assert!(rows.any(|row| row.key.starts_with(start)), "{start}");
        }
    }
}
