//! AlterReplicaLogDirs (key 34): a partition may stay where it is. Moves between the directories of
//! a broker are not served yet, and refused.

use super::context::Context;
use super::describe_log_dirs::{all_sizes, all_sizes_cost};
use super::dispatch::Asked;
use super::error::ToCode;
use crate::model::TopicName;
use crate::protocol::message::write::alter_replica_log_dirs::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use crate::protocol::{Parse as _, read, write};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What a partition that is asked for may cost: its place, its answer.
const PARTITION_BYTES: usize = 128;

/// Why a replica does not move.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    #[error("this broker has no log directory {}", .0.display())]
    UnknownDirectory(Rc<Path>),
    #[error("this broker has no partition {topic}-{partition}")]
    UnknownPartition { topic: String, partition: i32 },
    #[error("{topic}-{partition} lies in {}; moves between log directories are not served yet", .from.display())]
    NotServed { topic: String, partition: i32, from: PathBuf },
}

/// Where to, by partition; the last that names a partition counts.
type Moves = BTreeMap<String, BTreeMap<i32, Rc<Path>>>;

/// Where the partitions lie.
type Places<'a> = BTreeMap<(&'a str, i32), &'a Path>;

/// What answering may cost.
pub fn cost(context: &Context, request: &read::AlterReplicaLogDirsRequest<'_>) -> usize {
    let topics = request.dirs.iter().flat_map(|dir| dir.topics.iter());
    let wanted: usize = topics.map(|topic| (topic.partitions.len() + 1) * PARTITION_BYTES).sum();
    wanted + all_sizes_cost(context)
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let wanted = asked.read(|body| {
        let request = read::AlterReplicaLogDirsRequest::parse(body, asked.version)?;
        let mut moves = Moves::new();
        for dir in request.dirs {
            let to: Rc<Path> = Path::new(dir.path).into();
            for topic in dir.topics {
                let partitions = moves.entry(topic.name.to_string()).or_default();
                partitions.extend(topic.partitions.iter().map(|p| (p, Rc::clone(&to))));
            }
        }
        Ok(moves)
    });
    let sizes = all_sizes(context).await;
    let places: Places<'_> = sizes
        .iter()
        .map(|size| ((size.topic.as_str(), size.partition), size.directory.as_path()))
        .collect();
    let mut is_told = false;
    let results = wanted.into_iter().map(|(topic, moves)| {
        let partitions = moves.into_iter().map(|(partition_index, to)| {
            let result = check(context, &places, (&topic, partition_index), &to);
            if let Err(error @ MoveError::NotServed { .. }) = &result
                && !std::mem::replace(&mut is_told, true)
            {
                // The answer has no room for words.
                tracing::warn!("a replica does not move to {}: {error}", to.display());
            }
            let error_code = result.err().map_or(0, |error| error.code().code());
            AlterReplicaLogDirPartitionResult { partition_index, error_code }
        });
        let partitions = partitions.collect();
        AlterReplicaLogDirTopicResult { topic_name: topic.into(), partitions }
    });
    asked.answer(&write::AlterReplicaLogDirsResponse {
        results: results.collect(),
        ..write::AlterReplicaLogDirsResponse::default()
    })
}

fn check(
    context: &Context,
    places: &Places<'_>,
    (topic, partition): (&str, i32),
    to: &Rc<Path>,
) -> Result<(), MoveError> {
    let is_it = |dir: &&PathBuf| std::path::absolute(dir).is_ok_and(|dir| *dir == **to);
    let dirs = &context.shard.facts.config.log_dirs;
    let to = dirs.iter().find(is_it).ok_or_else(|| MoveError::UnknownDirectory(Rc::clone(to)))?;
    match places.get(&(topic, partition)) {
        None => {
            let topic = TopicName::shown(topic).to_owned();
            Err(MoveError::UnknownPartition { topic, partition })
        }
        Some(from) if from == to => Ok(()),
        Some(from) => {
            let (topic, from) = (TopicName::shown(topic).to_owned(), from.to_path_buf());
            Err(MoveError::NotServed { topic, partition, from })
        }
    }
}
