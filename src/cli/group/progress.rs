//! Where a group is in each of its partitions: what it committed, where the logs begin and end, and
//! which member has them.

use crate::cli::client::{EARLIEST, LATEST};
use crate::cli::cluster::groups::GroupState;
use crate::cli::cluster::offsets::Place;
use crate::cli::cluster::{Cluster, TopicState};
use crate::cli::failure::Failure;
use crate::model::Offset;
use serde::Serialize;
use std::collections::BTreeSet;

/// A group in one partition.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    pub topic: String,
    pub partition: i32,
    /// None where nothing was committed.
    pub committed: Option<i64>,
    /// None where the topic is gone or has no leader.
    pub start: Option<i64>,
    pub end: Option<i64>,
    /// What is left to read; from where the log begins if nothing was committed.
    pub lag: Option<i64>,
    pub member: Option<String>,
    pub client: Option<String>,
    pub host: Option<String>,
}

impl Progress {
    pub fn place(&self) -> Place {
        (self.topic.clone(), self.partition)
    }

    /// Records that retention took before the group read them.
    pub fn lost(&self) -> i64 {
        match (self.committed, self.start) {
            (Some(committed), Some(start)) => (start - committed).max(0),
            _ => 0,
        }
    }
}

/// A group in every partition that it committed, or that a member has, or whose topic one wants.
pub fn of(cluster: &mut Cluster, group: &GroupState) -> Result<Vec<Progress>, Failure> {
    let committed = cluster.committed(&group.id)?;
    let mut places: BTreeSet<Place> = committed.keys().cloned().collect();
    places.extend(group.members.iter().flat_map(|member| member.partitions.iter().cloned()));
    let mut wanted: BTreeSet<&str> = places.iter().map(|(topic, _)| topic.as_str()).collect();
    wanted.extend(group.members.iter().flat_map(|m| m.topics.iter().map(String::as_str)));
    let topics = existing(cluster, &wanted)?;
    let is_wanted = |name: &String| group.members.iter().any(|m| m.topics.contains(name));
    for topic in topics.iter().filter(|topic| is_wanted(&topic.name)) {
        places.extend(topic.partitions.iter().map(|p| (topic.name.clone(), p.index)));
    }
    let starts = cluster.offsets(&topics, EARLIEST)?;
    let ends = cluster.offsets(&topics, LATEST)?;
    let progress = |place: Place| {
        let own = committed.get(&place).map(|committed| committed.offset);
        let start = starts.get(&place).map(|found| found.offset);
        let end = ends.get(&place).map(|found| found.offset);
        let from = own.or(start);
        let owner = group.owner(&place);
        Progress {
            committed: own.map(|offset| offset.0),
            start: start.map(|offset| offset.0),
            end: end.map(|offset| offset.0),
            lag: from.zip(end).map(|(Offset(from), Offset(end))| (end - from).max(0)),
            member: owner.map(|member| member.id.clone()),
            client: owner.map(|member| member.client_id.clone()),
            host: owner.map(|member| member.host.clone()),
            topic: place.0,
            partition: place.1,
        }
    };
    Ok(places.into_iter().map(progress).collect())
}

/// Those of the topics that exist: a group may have committed for one that was deleted.
pub fn existing(cluster: &mut Cluster, names: &BTreeSet<&str>) -> Result<Vec<TopicState>, Failure> {
    let mut topics = cluster.all_topics()?;
    topics.retain(|topic| names.contains(topic.name.as_str()));
    Ok(topics)
}
