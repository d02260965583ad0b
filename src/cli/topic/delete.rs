//! `topic delete`.

use crate::cli::client::{EARLIEST, LATEST};
use crate::cli::client_error::{ClientError, accepted};
use crate::cli::cluster::{Cluster, TopicState};
use crate::cli::common::{Common, Consent};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::grammar::show_size;
use crate::cli::output::{Block, Cell, Table};
use crate::cli::part::PartError;
use crate::model::{ErrorCode, TopicId};
use crate::protocol::ApiKey;
use crate::protocol::write::DeleteTopicsRequest;
use crate::protocol::write::delete_topics::DeleteTopicState;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write as _;

/// Delete topics with their records
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(value_name = "TOPIC", required = true)]
    topics: Vec<String>,
}

const EXAMPLES: &str = "\
Partitions, records and bytes are shown first, and you are asked; a script gives --yes.

Examples:
  highwater topic delete orders
  highwater topic delete orders --dry-run
  highwater topic delete orders payments --yes

Options of every command: highwater --help";

/// First version of DeleteTopics that names topics by id.
const BY_ID_FROM: i16 = 6;

#[derive(Serialize)]
struct Doomed {
    name: String,
    id: Option<String>,
    partitions: usize,
    records: i64,
    /// Of all replicas.
    size_bytes: u64,
    deleted: bool,
    error: Option<PartError>,
    #[serde(skip)]
    exit: Exit,
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let mut cluster = common.connect()?;
    let topics = cluster.topics(&args.topics)?;
    let mut doomed = look(&mut cluster, &topics)?;
    let question = format!("Delete {}?", args.topics.join(", "));
    if common.agree(&plan(&doomed), &question)? == Consent::Given {
        cluster.change("the deletion", |cluster| send(cluster, &topics, &mut doomed))?;
    }
    let output = common.output();
    let mut table = Table::new(["topic", "partitions", "records", "size", "state"]);
    for topic in &doomed {
        let state = match &topic.error {
            Some(error) => {
                output.error(&format!("{}: {}", topic.name, error.message));
                error.code
            }
            None if topic.deleted => "deleted",
            None => "would be deleted",
        };
        table.row([
            topic.name.as_str().into(),
            topic.partitions.into(),
            topic.records.into(),
            Cell::Bytes(topic.size_bytes),
            state.into(),
        ]);
    }
    output.show("topic.delete", &doomed, &[Block::Table(table)])?;
    Ok(Exit::of_parts(doomed.iter().map(|topic| topic.exit)))
}

/// What goes with each topic.
fn look(cluster: &mut Cluster, topics: &[TopicState]) -> Result<Vec<Doomed>, Failure> {
    let starts = cluster.offsets(topics, EARLIEST)?;
    let ends = cluster.offsets(topics, LATEST)?;
    let files = cluster.replica_files(topics)?;
    let of_topic = |topic: &TopicState| {
        let count = |place| Some(ends.get(&place)?.offset.0 - starts.get(&place)?.offset.0);
        let places = topic.partitions.iter().map(|p| (topic.name.clone(), p.index));
        Doomed {
            name: topic.name.clone(),
            id: topic.id.map(|id| id.to_string()),
            partitions: topic.partitions.len(),
            records: places.filter_map(count).sum(),
            size_bytes: files.iter().filter(|f| f.topic == topic.name).map(|f| f.size_bytes).sum(),
            deleted: false,
            error: None,
            exit: Exit::Done,
        }
    };
    Ok(topics.iter().map(of_topic).collect())
}

fn plan(doomed: &[Doomed]) -> String {
    let mut text = "This deletes, for good:".to_owned();
    for topic in doomed {
        let (name, size) = (&topic.name, show_size(topic.size_bytes));
        let (partitions, records) = (topic.partitions, topic.records);
        let _ =
            write!(text, "\n  {name}: {partitions} partitions, {records} records, {size} on disk");
    }
    text
}

/// By id where the broker can: a topic made anew under the name meanwhile is not the one that was
/// agreed on.
fn send(
    cluster: &mut Cluster,
    topics: &[TopicState],
    doomed: &mut [Doomed],
) -> Result<(), ClientError> {
    let timeout_ms = cluster.timeout_ms();
    let client = cluster.controller()?;
    let is_by_id = client.versions().newest(ApiKey::DeleteTopics)? >= BY_ID_FROM;
    let state = |topic: &TopicState| match topic.id {
        Some(topic_id) => DeleteTopicState { name: None, topic_id },
        None => {
            DeleteTopicState { name: Some(Cow::Owned(topic.name.clone())), topic_id: TopicId::ZERO }
        }
    };
    let mut request = DeleteTopicsRequest { timeout_ms, ..DeleteTopicsRequest::default() };
    if is_by_id {
        request.topics = topics.iter().map(state).collect();
    } else {
        request.topic_names = topics.iter().map(|t| Cow::Owned(t.name.clone())).collect();
    }
    let answer = client.call(&request, &[])?;
    for found in answer.view().responses {
        let id = found.topic_id;
        let of = topics.iter().position(|topic| {
            found.name == Some(&topic.name) || topic.id.is_some_and(|own| own == id)
        });
        let Some(one) = of.and_then(|index| doomed.get_mut(index)) else { continue };
        let done = accepted(ApiKey::DeleteTopics, &one.name, found.error_code, found.error_message);
        match done {
            Ok(()) => one.deleted = true,
            Err(error) if error.code() == Some(ErrorCode::NotController) => return Err(error),
            Err(error) => {
                one.exit = Exit::of_client(&error);
                one.error = Some(PartError::of(&error));
            }
        }
    }
    for one in doomed.iter_mut().filter(|one| !one.deleted && one.error.is_none()) {
        let error = ClientError::Missing { api: ApiKey::DeleteTopics, about: one.name.clone() };
        (one.exit, one.error) = (Exit::Failed, Some(PartError::of(&error)));
    }
    Ok(())
}
