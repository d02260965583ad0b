//! What a coordinator is asked by the API, maybe from another core, and what comes back.

use crate::group::{
    Answer, Commit, DeleteOffsets, DescribedGroup, Fetch, GroupId, Heartbeat, Join, Leave, Sync,
};

/// One request to one coordinator, whose groups it names.
#[derive(Debug)]
pub enum Ask {
    Join(Join),
    Sync(Sync),
    Heartbeat(Heartbeat),
    Leave(Leave),
    Commit(Commit),
    Fetch(Fetch),
    DeleteOffsets(DeleteOffsets),
    DeleteGroups(Vec<GroupId>),
    Describe(Vec<GroupId>),
}

/// What the coordinator says.
#[derive(Debug)]
pub enum Told {
    Answer(Answer),
    /// In the order of the request; `None` where there is no such group.
    Described(Vec<(GroupId, Option<DescribedGroup>)>),
}

/// What comes back.
pub type GroupReply = Result<Told, CoordinatorError>;

/// Why a coordinator was not asked at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoordinatorError {
    #[error("this broker does not coordinate the group")]
    NotHere,
    #[error("the coordinator of the group still reads its log")]
    Loading,
    #[error("{max} requests wait for the coordinator of the group: no more are taken")]
    Busy { max: usize },
}
