//! One row per API that is served. README's table is made from this.

use crate::protocol::ApiKey;
use std::fmt::Write as _;

/// How a request is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// Answered while it is read.
    AtOnce,
    /// A task of its own.
    Task,
    /// The hot road of produce.
    Produce,
    /// The hot road of fetch.
    Fetch,
    /// To the coordinator of a group.
    Group,
}

/// An API that works.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub api: ApiKey,
    pub road: Road,
    /// What of it is served, in a few words.
    pub what: &'static str,
}

/// Every API that is served and advertised, by key.
pub const ROWS: &[Row] = &[
    Row {
        api: ApiKey::Produce,
        road: Road::Produce,
        what: "acks 0, 1 and all; idempotent producers; no transactions yet",
    },
    Row {
        api: ApiKey::Fetch,
        road: Road::Fetch,
        what: "by name and id, long poll, sessions, both isolation levels",
    },
    Row {
        api: ApiKey::ListOffsets,
        road: Road::Task,
        what: "earliest, latest, by time, largest time; no tiers",
    },
    Row {
        api: ApiKey::Metadata,
        road: Road::Task,
        what: "by name and id; creates topics if allowed",
    },
    Row { api: ApiKey::OffsetCommit, road: Road::Group, what: "of members and standalone" },
    Row { api: ApiKey::OffsetFetch, road: Road::Group, what: "of several groups; no transactions" },
    Row {
        api: ApiKey::FindCoordinator,
        road: Road::Task,
        what: "names this node for groups; refuses transactions",
    },
    Row { api: ApiKey::JoinGroup, road: Road::Group, what: "classic groups, static members too" },
    Row { api: ApiKey::Heartbeat, road: Road::Group, what: "all of it" },
    Row { api: ApiKey::LeaveGroup, road: Road::Group, what: "all of it" },
    Row { api: ApiKey::SyncGroup, road: Road::Group, what: "all of it" },
    Row { api: ApiKey::DescribeGroups, road: Road::Group, what: "classic groups" },
    Row { api: ApiKey::ListGroups, road: Road::Group, what: "classic groups, by state and type" },
    Row {
        api: ApiKey::SaslHandshake,
        road: Road::AtOnce,
        what: "refused: every listener speaks plaintext",
    },
    Row { api: ApiKey::ApiVersions, road: Road::AtOnce, what: "all of it" },
    Row { api: ApiKey::CreateTopics, road: Road::Task, what: "on one node; validate-only too" },
    Row { api: ApiKey::DeleteTopics, road: Road::Task, what: "by name and id" },
    Row { api: ApiKey::DeleteRecords, road: Road::Task, what: "all of it" },
    Row { api: ApiKey::InitProducerId, road: Road::Task, what: "idempotent producers" },
    Row { api: ApiKey::OffsetForLeaderEpoch, road: Road::Task, what: "all of it" },
    Row { api: ApiKey::DescribeAcls, road: Road::AtOnce, what: "refused: there is no authorizer" },
    Row { api: ApiKey::CreateAcls, road: Road::AtOnce, what: "refused: there is no authorizer" },
    Row { api: ApiKey::DeleteAcls, road: Road::AtOnce, what: "refused: there is no authorizer" },
    Row {
        api: ApiKey::DescribeConfigs,
        road: Road::Task,
        what: "topics, this broker, all brokers, groups, the log",
    },
    Row {
        api: ApiKey::AlterConfigs,
        road: Road::Task,
        what: "topics, this broker, all brokers, groups",
    },
    Row {
        api: ApiKey::AlterReplicaLogDirs,
        road: Road::Task,
        what: "to where the replica is; moves are refused",
    },
    Row { api: ApiKey::DescribeLogDirs, road: Road::Task, what: "all of it" },
    Row { api: ApiKey::CreatePartitions, road: Road::Task, what: "all of it" },
    Row { api: ApiKey::DeleteGroups, road: Road::Group, what: "all of it" },
    Row { api: ApiKey::ElectLeaders, road: Road::AtOnce, what: "one node: no election is needed" },
    Row {
        api: ApiKey::IncrementalAlterConfigs,
        road: Road::Task,
        what: "topics, this broker, all brokers, groups",
    },
    Row {
        api: ApiKey::AlterPartitionReassignments,
        road: Road::AtOnce,
        what: "one node: replicas stay where they are",
    },
    Row { api: ApiKey::ListPartitionReassignments, road: Road::AtOnce, what: "one node: none" },
    Row { api: ApiKey::OffsetDelete, road: Road::Group, what: "all of it" },
    Row { api: ApiKey::DescribeClientQuotas, road: Road::AtOnce, what: "none yet" },
    Row {
        api: ApiKey::AlterClientQuotas,
        road: Road::AtOnce,
        what: "removes; to set one is refused",
    },
    Row { api: ApiKey::DescribeUserScramCredentials, road: Road::AtOnce, what: "none yet" },
    Row { api: ApiKey::DescribeQuorum, road: Road::Task, what: "this node, the one voter" },
    Row { api: ApiKey::UpdateFeatures, road: Road::AtOnce, what: "to the levels that are there" },
    Row { api: ApiKey::DescribeCluster, road: Road::AtOnce, what: "this broker; no controllers" },
    Row { api: ApiKey::DescribeProducers, road: Road::Task, what: "all of it" },
    Row { api: ApiKey::DescribeTransactions, road: Road::AtOnce, what: "none yet" },
    Row { api: ApiKey::ListTransactions, road: Road::AtOnce, what: "none yet" },
    Row { api: ApiKey::ListConfigResources, road: Road::AtOnce, what: "all of it" },
    Row { api: ApiKey::DescribeTopicPartitions, road: Road::AtOnce, what: "paged" },
];

/// The row of an API, if it is served.
pub fn row(api: ApiKey) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.api == api)
}

/// The table that README shows.
pub fn status_table() -> String {
    let mut table = String::from("| key | API | versions | what is served |\n|---|---|---|---|\n");
    for Row { api, what, .. } in ROWS {
        let facts = api.facts();
        let (first, last) = (facts.versions.start(), facts.advertised.end());
        let (key, name) = (api.key(), facts.name);
        let _ = writeln!(table, "| {key} | {name} | {first}-{last} | {what} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_each_api_has_one() {
        assert!(ROWS.windows(2).all(|pair| pair[0].api < pair[1].api));
    }

    #[test]
    fn readme_shows_this_table() {
        let readme = include_str!("../../README.md");
        assert!(readme.contains(&status_table()), "put this into README.md:\n{}", status_table());
    }
}
