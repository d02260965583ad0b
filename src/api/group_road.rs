//! The road of the group APIs. A request is read at once into what its coordinator is asked: a
//! member that waits for a rebalance holds none of its connection's buffers, and what comes behind
//! it on the connection is worked on meanwhile.

use super::context::Context;
use super::decode::{Unreadable, decode};
use super::dispatch::encode;
use super::pending::{Later, Pending};
use super::{
    delete_groups, describe_groups, heartbeat, join_group, leave_group, list_groups, offset_commit,
    offset_delete, offset_fetch, sync_group,
};
use crate::broker::Shard;
use crate::broker::groups::{Ask, CoordinatorError, Place, Told};
use crate::group::{Answer, GroupId};
use crate::model::{ErrorCode, TopicId};
use crate::protocol::{ApiKey, Encode, Reader, RequestHeader};
use crate::runtime::sync;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Who asks, and how the answer is to be encoded.
pub struct Asking {
    context: Rc<Context>,
    pub version: i16,
    api: ApiKey,
    correlation_id: i32,
}

/// What a request may cost: what is kept of it, and its answer. Of an answer that grows with the
/// groups that there are, and not with the request, a few may be on their way.
pub fn cost(api: ApiKey, request_bytes: usize) -> usize {
    const KEPT_AND_ANSWERED: usize = 4;
    const LARGE_ANSWER_BYTES: usize = 2 << 20;
    let is_large = matches!(api, ApiKey::ListGroups | ApiKey::DescribeGroups | ApiKey::OffsetFetch);
    KEPT_AND_ANSWERED * request_bytes + if is_large { LARGE_ANSWER_BYTES } else { 0 }
}

/// Begins a request of a group API.
pub fn begin(
    context: &Rc<Context>,
    header: &RequestHeader<'_>,
    body: Reader<'_>,
) -> Result<Pending, Unreadable> {
    let asking = Asking {
        context: Rc::clone(context),
        version: header.version,
        api: header.api,
        correlation_id: header.correlation_id,
    };
    // A fence around each decoder, not around what its task does with a core.
    macro_rules! begun {
        ($($key:ident: $file:ident($($more:expr)?),)*) => {
            match header.api {
                $(ApiKey::$key => {
                    later(context, header.api, decode(|| $file::begin(asking, $($more,)? body))?)
                })*
                _ => unreachable!("the registry says who takes this road"),
            }
        };
    }
    Ok(begun! {
        OffsetCommit: offset_commit(),
        OffsetFetch: offset_fetch(),
        JoinGroup: join_group(header.client_id.unwrap_or_default()),
        Heartbeat: heartbeat(),
        LeaveGroup: leave_group(),
        SyncGroup: sync_group(),
        DescribeGroups: describe_groups(),
        ListGroups: list_groups(),
        DeleteGroups: delete_groups(),
        OffsetDelete: offset_delete(),
    })
}

fn later(
    context: &Rc<Context>,
    api: ApiKey,
    answer: impl Future<Output = Vec<u8>> + 'static,
) -> Pending {
    let later = Rc::new(Later::default());
    let (later_, bell) = (Rc::clone(&later), Rc::clone(&context.bell));
    let shard = Rc::clone(&context.shard);
    context.shard.core().spawn(async move {
        later_.set(shard.doing_request(api.key(), answer).await);
        bell.ring();
    });
    Pending::Later(later)
}

impl Asking {
    pub fn shard(&self) -> &Rc<Shard> {
        &self.context.shard
    }

    /// As Kafka shows where a member runs.
    pub fn client_host(&self) -> String {
        format!("/{}", self.context.peer.ip())
    }

    /// Asks the coordinator of a group.
    pub async fn ask(&self, group: &str, ask: Ask) -> Result<Answer, CoordinatorError> {
        let place = self.shard().place_of_group(group).ok_or(CoordinatorError::NotHere)?;
        match self.shard().ask_coordinator(place, ask).await? {
            Told::Answer(answer) => Ok(answer),
            Told::Described(_) => unreachable!("a description has a road of its own"),
        }
    }

    /// Asks the coordinators of several groups, each for all of its own. Gives what each said with
    /// the groups that it was asked for; those without a coordinator are asked nowhere.
    pub async fn ask_each(
        &self,
        groups: Vec<GroupId>,
        ask: impl Fn(Vec<GroupId>) -> Ask,
    ) -> Vec<(Vec<GroupId>, Result<Told, CoordinatorError>)> {
        let mut by_place: BTreeMap<Option<Place>, Vec<GroupId>> = BTreeMap::new();
        for group in groups {
            let place = self.shard().place_of_group(group.as_str());
            by_place.entry(place).or_default().push(group);
        }
        let asked = by_place.into_iter().map(|(place, groups)| {
            let ask = ask(groups.clone());
            async move {
                let told = match place {
                    Some(place) => self.shard().ask_coordinator(place, ask).await,
                    None => Err(CoordinatorError::NotHere),
                };
                (groups, told)
            }
        });
        sync::all(asked).await
    }

    /// The whole frame of an answer.
    pub fn answer(&self, body: &impl Encode) -> Vec<u8> {
        encode(self.api, self.version, self.correlation_id, body)
    }

    /// The id of a topic; zero where there is none of this name.
    pub fn topic_id(&self, name: &str) -> TopicId {
        self.shard().image().topic(name).map_or(TopicId::ZERO, |topic| topic.id)
    }

    /// Whether a topic has a partition.
    pub fn has_partition(&self, name: &str, partition: i32) -> bool {
        let image = self.shard().image();
        let topic = image.topic(name);
        let is_below = |count: usize| usize::try_from(partition).is_ok_and(|index| index < count);
        topic.is_some_and(|topic| is_below(topic.partitions.len()))
    }
}

/// The code of a result.
pub fn code<E: super::error::ToCode>(result: &Result<(), E>) -> i16 {
    result.as_ref().err().map_or(ErrorCode::None, super::error::ToCode::code).code()
}
