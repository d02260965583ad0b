//! DescribeLogDirs (key 35): what lies in this broker's directories, and the room that is left.

use super::context::Context;
use super::dispatch::Asked;
use super::error::ToCode as _;
use crate::broker::call::{Call, PartitionSize, Reply};
use crate::protocol::message::write::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use crate::protocol::{Parse as _, read, write};
use crate::runtime::probe::{VolumeSpace, volume_space};
use crate::runtime::sync;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a partition may cost: where it lies and how large it is, as its core says it; its answer.
const PARTITION_BYTES: usize = 256;
/// What a partition that is asked for may.
const WANTED_BYTES: usize = 64;

/// What stands for a number of bytes that is not known.
const UNKNOWN: i64 = -1;

/// What answering may cost.
pub fn cost(context: &Context, request: &read::DescribeLogDirsRequest<'_>) -> usize {
    let topics = request.topics.iter().flatten();
    let wanted: usize = topics.map(|topic| (topic.partitions.len() + 1) * WANTED_BYTES).sum();
    wanted + all_sizes_cost(context)
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let wanted: Option<BTreeMap<String, BTreeSet<i32>>> = asked.read(|body| {
        let request = read::DescribeLogDirsRequest::parse(body, asked.version)?;
        Ok(request.topics.map(|topics| {
            let mut wanted: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
            for topic in topics {
                wanted.entry(topic.topic.to_string()).or_default().extend(topic.partitions);
            }
            wanted
        }))
    });
    let is_wanted = |size: &PartitionSize| {
        let of = |wanted: &BTreeMap<String, BTreeSet<i32>>| {
            wanted.get(size.topic.as_str()).is_some_and(|indexes| indexes.contains(&size.partition))
        };
        wanted.as_ref().is_none_or(of)
    };
    let sizes = all_sizes(context).await;
    let dirs = &context.shard.facts.config.log_dirs;
    let results = dirs.iter().zip(spaces(context).await).map(|(dir, space)| {
        let there = sizes.iter().filter(|s| s.directory == *dir && is_wanted(s));
        describe(context, dir, space, there)
    });
    asked.answer(&write::DescribeLogDirsResponse {
        results: results.collect(),
        ..write::DescribeLogDirsResponse::default()
    })
}

/// What `all_sizes` may cost.
pub fn all_sizes_cost(context: &Context) -> usize {
    context.shard.image().partition_count() * PARTITION_BYTES
}

/// Sizes of all partitions of the broker, asked of every core.
pub async fn all_sizes(context: &Context) -> Vec<PartitionSize> {
    let shard = &context.shard;
    let replies =
        sync::all((0..shard.core_count()).map(|core| shard.call(core, Call::Sizes))).await;
    let lists = replies.into_iter().map(|reply| match reply {
        Reply::Sizes(sizes) => sizes,
        _ => unreachable!("a question for sizes has sizes in reply"),
    });
    lists.flatten().collect()
}

/// The room in the log directories, asked aside: a volume that does not answer must not hold the core.
async fn spaces(context: &Context) -> Vec<Option<VolumeSpace>> {
    let shard = &context.shard;
    let in_service = |dir: &PathBuf| shard.directory_failure(dir).is_none().then(|| dir.clone());
    let dirs: Vec<_> = shard.facts.config.log_dirs.iter().map(in_service).collect();
    let space = |dir: Option<PathBuf>| volume_space(&dir?).ok();
    shard.core().work_aside(move || dirs.into_iter().map(space).collect()).await
}

fn describe<'s>(
    context: &Context,
    dir: &Path,
    space: Option<VolumeSpace>,
    sizes: impl Iterator<Item = &'s PartitionSize>,
) -> DescribeLogDirsResult<'static> {
    let log_dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    let log_dir = log_dir.display().to_string().into();
    if let Some(error) = context.shard.directory_failure(dir) {
        let error_code = error.code().code();
        return DescribeLogDirsResult { error_code, log_dir, ..DescribeLogDirsResult::default() };
    }
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for size in sizes {
        topics.entry(size.topic.as_str()).or_default().push(DescribeLogDirsPartition {
            partition_index: size.partition,
            partition_size: size.bytes.try_into().unwrap_or(i64::MAX),
            // What is written is committed: no log is behind.
            offset_lag: 0,
            is_future_key: false,
        });
    }
    let bytes = |count: u64| count.try_into().unwrap_or(i64::MAX);
    DescribeLogDirsResult {
        error_code: 0,
        log_dir,
        topics: topics
            .into_iter()
            .map(|(name, mut partitions)| {
                partitions.sort_unstable_by_key(|partition| partition.partition_index);
                DescribeLogDirsTopic { name: name.to_owned().into(), partitions }
            })
            .collect(),
        total_bytes: space.map_or(UNKNOWN, |space| bytes(space.total)),
        usable_bytes: space.map_or(UNKNOWN, |space| bytes(space.usable)),
        is_cordoned: false,
    }
}
