//! Deleting topics, by name or by id.

use super::controller::Controller;
use super::plan::{BATCH_RECORDS_MAX, Encoder, Plan};
use super::topic::Topic;
use crate::model::TopicId;
use crate::protocol::write;
use std::collections::BTreeMap;

/// A topic that a client wants deleted: by its name, or by its id (zero is none).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteTarget<'a> {
    pub name: Option<&'a str>,
    pub id: TopicId,
}

/// What became of one topic of the request: under the name and id that are known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOutcome {
    pub name: Option<String>,
    pub id: TopicId,
    pub result: Result<(), DeleteError>,
}

/// Why a topic is not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteError {
    #[error("Topic deletion is disabled.")]
    Disabled,
    #[error("Neither topic name nor id were specified.")]
    NoName,
    #[error("You may not specify both topic name and topic id.")]
    NameAndId,
    #[error("Duplicate topic name.")]
    DuplicateName,
    #[error("Duplicate topic id.")]
    DuplicateId,
    #[error("The provided topic name maps to an ID that was already supplied.")]
    NameOfGivenId,
    #[error("This server does not host this topic-partition.")]
    UnknownName,
    #[error("This server does not host this topic ID.")]
    UnknownId,
    #[error("Unable to perform excessively large batch operation.")]
    BatchTooLarge,
}

impl Controller {
    /// Works a DeleteTopics request out. A topic that is named twice is answered once, as a
    /// mistake, and what names none each time; outcomes come in the order of the request.
    pub fn on_delete_topics(&self, targets: &[DeleteTarget<'_>]) -> Plan<Vec<DeleteOutcome>> {
        let mut given: BTreeMap<DeleteKey<'_>, Given> = BTreeMap::new();
        for target in targets {
            given.entry(DeleteKey::of(target)).or_default().count += 1;
        }
        let mut outcome = Vec::new();
        let mut encoder = Encoder::default();
        for target in targets {
            let key = DeleteKey::of(target);
            let found = self.find_target(target);
            let is_named =
                |topic: &Topic| given.contains_key(&DeleteKey::Name(topic.name.as_str()));
            let is_given_twice = match (key, found) {
                (DeleteKey::Name(_), Some(topic)) => given.contains_key(&DeleteKey::Id(topic.id)),
                (DeleteKey::Id(_), Some(topic)) => is_named(topic),
                _ => false,
            };
            let entry = given.get_mut(&key).expect("every key was counted");
            if std::mem::replace(&mut entry.is_answered, true) && key != DeleteKey::None {
                continue;
            }
            let count = entry.count;
            let result = match (key, found) {
                _ if !self.rules.delete_topics => Err(DeleteError::Disabled),
                (DeleteKey::None, _) => Err(DeleteError::NoName),
                (DeleteKey::Both(..), _) => Err(DeleteError::NameAndId),
                (DeleteKey::Name(_), _) if count > 1 => Err(DeleteError::DuplicateName),
                (DeleteKey::Id(_), _) if count > 1 => Err(DeleteError::DuplicateId),
                (DeleteKey::Name(_), None) => Err(DeleteError::UnknownName),
                (DeleteKey::Id(_), None) => Err(DeleteError::UnknownId),
                (DeleteKey::Name(_), Some(_)) if is_given_twice => Err(DeleteError::NameOfGivenId),
                // Answered under the name.
                (DeleteKey::Id(_), Some(_)) if is_given_twice => continue,
                _ if encoder.len() == BATCH_RECORDS_MAX => Err(DeleteError::BatchTooLarge),
                (_, Some(topic)) => {
                    encoder.push(write::RemoveTopicRecord { topic_id: topic.id });
                    Ok(())
                }
            };
            outcome.push(DeleteOutcome::of(target, found, result));
        }
        Plan { records: encoder.finish(), outcome }
    }

    fn find_target(&self, target: &DeleteTarget<'_>) -> Option<&Topic> {
        let found = match target.name {
            Some(name) => self.image.topic(name),
            None => self.image.topic_by_id(target.id),
        };
        found.map(AsRef::as_ref)
    }
}

impl DeleteOutcome {
    /// Name and id are completed where the topic was found; a mistaken request is answered under
    /// what it said.
    fn of(
        target: &DeleteTarget<'_>,
        found: Option<&Topic>,
        result: Result<(), DeleteError>,
    ) -> Self {
        let is_resolved = matches!(result, Ok(()) | Err(DeleteError::NameOfGivenId));
        match found.filter(|_| is_resolved) {
            Some(topic) => Self { name: Some(topic.name.to_string()), id: topic.id, result },
            None => Self { name: target.name.map(str::to_owned), id: target.id, result },
        }
    }
}

/// How often a key came, and whether it was answered.
#[derive(Default)]
struct Given {
    count: u32,
    is_answered: bool,
}

/// How a target names its topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum DeleteKey<'a> {
    None,
    Name(&'a str),
    Id(TopicId),
    Both(&'a str, TopicId),
}

impl<'a> DeleteKey<'a> {
    fn of(target: &DeleteTarget<'a>) -> Self {
        match target.name {
            None if target.id.is_zero() => Self::None,
            None => Self::Id(target.id),
            Some(name) if target.id.is_zero() => Self::Name(name),
            Some(name) => Self::Both(name, target.id),
        }
    }
}
