//! One member of a group.

use super::command::{Join, Protocol};
use super::deadlines::Alarm;
use super::effect::ReplyId;
use super::ids::{InstanceId, MemberId};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Member {
    pub id: MemberId,
    pub instance: Option<InstanceId>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    /// In the order of its preference; no name twice.
    pub protocols: Vec<Protocol>,
    pub assignment: Arc<[u8]>,
    /// Its JoinGroup, while that waits for the others.
    pub joining: Option<ReplyId>,
    /// Its SyncGroup, while that waits for the leader's.
    pub syncing: Option<ReplyId>,
    /// Has never come out of a join phase: it has no id to send heartbeats with.
    pub is_new: bool,
    pub alarm: Alarm,
}

impl Member {
    pub fn new(id: MemberId, join: &Join) -> Self {
        Self {
            id,
            instance: join.instance.clone(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            protocols: join.protocols.clone(),
            assignment: Arc::default(),
            joining: None,
            syncing: None,
            is_new: true,
            alarm: Alarm::default(),
        }
    }

    pub fn session_timeout(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.session_timeout_ms).unwrap_or(0))
    }

    pub fn rebalance_timeout(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.rebalance_timeout_ms).unwrap_or(0))
    }

    /// Bytes of it, about; assignments are counted with the group's generation.
    pub fn bytes(&self) -> usize {
        // Its places in maps, in the list of protocols and among the deadlines.
        const PLACES: usize = 256;
        let texts = [self.id.as_str(), &self.client_id, &self.client_host];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        let instance = self.instance.as_ref().map_or(0, |instance| instance.as_str().len());
        size_of::<Self>() + PLACES + texts + instance + protocols_bytes(&self.protocols)
    }

    /// What it says of itself in the group's protocol; empty where it does not know it.
    pub fn metadata(&self, protocol: &str) -> &[u8] {
        let found = self.protocols.iter().find(|known| &*known.name == protocol);
        found.map_or(&[], |known| &known.metadata)
    }

    /// The same to keep, without a copy.
    pub fn shared_metadata(&self, protocol: &str) -> Arc<[u8]> {
        let found = self.protocols.iter().find(|known| &*known.name == protocol);
        found.map_or_else(Arc::default, |known| known.metadata.clone())
    }

    /// A member that waits for others is not silent. A new one may be gone: nothing else would tell.
    pub fn is_excused(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }
}

/// Bytes of what a member says of itself, about.
pub(super) fn protocols_bytes(protocols: &[Protocol]) -> usize {
    // The counts of two shared texts.
    const EACH: usize = size_of::<Protocol>() + 32;
    protocols.iter().map(|one| EACH + one.name.len() + one.metadata.len()).sum()
}
