//! `topic create`.

use crate::cli::client_error::{ClientError, accepted};
use crate::cli::cluster::Cluster;
use crate::cli::cluster::configs::Scope;
use crate::cli::common::{Common, key_value};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Block, Table};
use crate::cli::part::PartError;
use crate::model::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::write::CreateTopicsRequest;
use crate::protocol::write::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use serde::Serialize;
use std::borrow::Cow;

/// Create topics
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(value_name = "TOPIC", required = true)]
    topics: Vec<String>,

    /// Partitions; without it as many as the broker's num.partitions says
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,

    /// Replicas of each partition; without it default.replication.factor of the broker
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replicas: Option<i16>,

    /// A setting of the topic; may be given more than once
    #[arg(long = "config", value_name = "KEY=VALUE", value_parser = key_value)]
    configs: Vec<(String, String)>,

    /// Brokers of each partition, its replicas separated by colons
    #[arg(long, value_name = "1:2,2:3", conflicts_with_all = ["partitions", "replicas"])]
    #[arg(value_parser = assignment)]
    assignment: Option<Assignment>,

    /// Only check whether they could be created
    #[arg(long)]
    validate_only: bool,

    /// A topic that exists already is no failure
    #[arg(long)]
    if_not_exists: bool,
}

const EXAMPLES: &str = "\
Examples:
  highwater topic create orders
  highwater topic create orders payments -p 6 -r 3 --config cleanup.policy=compact
  highwater topic create orders --assignment 1:2,2:3,3:1 --validate-only

Options of every command: highwater --help";

/// The brokers of each partition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Assignment(Vec<Vec<i32>>);

#[derive(Serialize)]
struct Created {
    name: String,
    id: Option<String>,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    created: bool,
    existed: bool,
    error: Option<PartError>,
    #[serde(skip)]
    exit: Exit,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let output = common.output();
    let mut cluster = common.connect()?;
    let validate_only = args.validate_only || common.is_dry_run();
    let created = cluster.change("the new topics", |cluster| send(cluster, args, validate_only))?;
    let mut table = Table::new(["topic", "partitions", "replicas", "id", "state"]);
    for topic in &created {
        let state = match &topic.error {
            Some(error) => {
                output.error(&format!("{}: {}", topic.name, error.message));
                error.code
            }
            None if topic.existed => "existed",
            None if validate_only => "could be created",
            None => "created",
        };
        table.row([
            topic.name.as_str().into(),
            topic.partitions.into(),
            topic.replication_factor.map(i32::from).into(),
            topic.id.clone().into(),
            state.into(),
        ]);
    }
    output.show("topic.create", &created, &[Block::Table(table)])?;
    Ok(Exit::of_parts(created.iter().map(|topic| topic.exit)))
}

fn send(
    cluster: &mut Cluster,
    args: &Args,
    validate_only: bool,
) -> Result<Vec<Created>, ClientError> {
    let config = |(key, value): &(String, String)| CreatableTopicConfig {
        name: Cow::Owned(key.clone()),
        value: Some(Cow::Owned(value.clone())),
    };
    let topic = |name: &String| CreatableTopic {
        name: Cow::Owned(name.clone()),
        // -1 is the broker's own default, and what an assignment wants here.
        num_partitions: args.partitions.unwrap_or(-1),
        replication_factor: args.replicas.unwrap_or(-1),
        assignments: args.assignment.as_ref().map(Assignment::wire).unwrap_or_default(),
        configs: args.configs.iter().map(config).collect(),
    };
    let request = CreateTopicsRequest {
        topics: args.topics.iter().map(topic).collect(),
        timeout_ms: cluster.timeout_ms(),
        validate_only,
    };
    let answer = cluster.controller()?.call(&request, &[])?;
    let mut created = Vec::new();
    for topic in answer.view().topics {
        let done =
            accepted(ApiKey::CreateTopics, topic.name, topic.error_code, topic.error_message);
        // The whole request is one for another controller; any other refusal is this topic's alone.
        let error = match done {
            Err(error) if error.code() == Some(ErrorCode::NotController) => return Err(error),
            done => done.err(),
        };
        let existed = error.as_ref().and_then(ClientError::code)
            == Some(ErrorCode::TopicAlreadyExists)
            && args.if_not_exists;
        let error = error.filter(|_| !existed);
        let meant = args.configs.iter().find_map(|(key, _)| {
            Scope::Topic(String::new()).meant(key).filter(|_| {
                error.as_ref().and_then(ClientError::code) == Some(ErrorCode::InvalidConfig)
            })
        });
        created.push(Created {
            name: topic.name.to_owned(),
            id: Some(topic.topic_id).filter(|id| !id.is_zero()).map(|id| id.to_string()),
            partitions: Some(topic.num_partitions).filter(|count| *count > 0),
            replication_factor: Some(topic.replication_factor).filter(|count| *count > 0),
            created: error.is_none() && !existed && !validate_only,
            existed,
            exit: error.as_ref().map_or(Exit::Done, Exit::of_client),
            error: error.map(|error| PartError::of(&error).meant(meant)),
        });
    }
    Ok(created)
}

impl Assignment {
    fn wire(&self) -> Vec<CreatableReplicaAssignment> {
        let one = |(index, brokers): (usize, &Vec<i32>)| CreatableReplicaAssignment {
            partition_index: index as i32,
            broker_ids: brokers.clone(),
        };
        self.0.iter().enumerate().map(one).collect()
    }
}

fn assignment(text: &str) -> Result<Assignment, String> {
    let bad = || {
        format!(
            "{text}: write the brokers of each partition, partitions separated by commas and \
             replicas by colons: 1:2,2:3 are two partitions with two replicas each"
        )
    };
    let mut partitions = Vec::new();
    for partition in text.split(',') {
        let mut brokers: Vec<i32> = Vec::new();
        for broker in partition.split(':') {
            let broker = broker.trim().parse().ok().filter(|id| *id >= 0).ok_or_else(bad)?;
            if brokers.contains(&broker) {
                return Err(format!("{text}: broker {broker} is named twice for one partition"));
            }
            brokers.push(broker);
        }
        partitions.push(brokers);
    }
    Ok(Assignment(partitions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_names_the_brokers_of_each_partition() {
        assert_eq!(assignment("1:2,2:3"), Ok(Assignment(vec![vec![1, 2], vec![2, 3]])));
        assert_eq!(assignment("1"), Ok(Assignment(vec![vec![1]])));
        for text in ["", "1:", "a", "1,,2", "-1", "1:1"] {
            assert!(assignment(text).is_err(), "{text}");
        }
    }
}
