//! OffsetCommit and OffsetFetch.

use super::answer::{Answer, CommitResult, FetchedOffset, FetchedTopic};
use super::command::{Commit, CommitPartition, Fetch, Now};
use super::coordinator::Coordinator;
use super::effect::{Effects, ReplyId};
use super::error::GroupError;
use super::group::{Group, State};
use super::inflight::Waiter;
use super::offsets::{CommittedOffset, OFFSET_BYTES, topic_bytes};
use super::record::Change;
use crate::limits::GROUPS_PER_COORDINATOR_MAX;
use crate::model::{LeaderEpoch, PartitionIndex, Timestamp, TopicId};

impl Coordinator {
    pub fn on_commit(&mut self, now: Now, commit: Commit, reply: ReplyId, effects: &mut Effects) {
        if let Err(error) = self.check_commit(now, &commit, effects) {
            return effects.reply(reply, Answer::Commit(Err(error)));
        }
        if let Err(error) = self.check_room(self.growth_by_commit(&commit)) {
            return effects.reply(reply, Answer::Commit(Err(error)));
        }
        if self.groups.get(&commit.group).is_some_and(|group| group.is_dying) {
            return self.inflight.wait_for_all(Waiter::Commit(reply, commit));
        }
        let (results, changes) = self.commit(now, commit);
        let answer = Answer::Commit(Ok(results));
        match self.inflight.append_all(changes, effects) {
            Some(token) => self.inflight.wait(token, Waiter::Reply(reply, answer)),
            None => effects.reply(reply, answer),
        }
    }

    /// Whether the sender may commit now. A member that does is alive.
    fn check_commit(
        &mut self,
        now: Now,
        commit: &Commit,
        effects: &mut Effects,
    ) -> Result<(), GroupError> {
        let count = self.groups.len();
        let (groups, mut turn) = self.split(now, effects);
        let Some(group) = groups.get_mut(&commit.group) else {
            if commit.generation >= 0 {
                return Err(GroupError::UnknownGroup { group: commit.group.clone() });
            }
            if count >= GROUPS_PER_COORDINATOR_MAX {
                return Err(GroupError::TooManyGroups { max: GROUPS_PER_COORDINATOR_MAX });
            }
            return Ok(());
        };
        group.check_commit(commit)?;
        let is_alive = matches!(group.state, State::Stable | State::Preparing);
        if let Some(member) = group.members.get_mut(&commit.member).filter(|_| is_alive) {
            turn.renew(&group.id, member);
        }
        Ok(())
    }

    /// What a commit adds to what is held: offsets that have a place only cost their texts.
    fn growth_by_commit(&self, commit: &Commit) -> usize {
        let group = self.groups.get(&commit.group);
        let own = if group.is_none() { Group::bytes_of(commit.group.as_str().len()) } else { 0 };
        let topics = commit.topics.iter().map(|topic| {
            let growth = |one: &CommitPartition| {
                let found = group.and_then(|group| group.offsets.get(&topic.name, one.partition));
                let before = found.map_or(0, |offset| OFFSET_BYTES + offset.metadata.len());
                (OFFSET_BYTES + one.metadata.len()).saturating_sub(before)
            };
            let is_known = group.is_some_and(|group| group.offsets.has_topic(&topic.name));
            let name = if is_known { 0 } else { topic_bytes(&topic.name) };
            name + topic.partitions.iter().map(growth).sum::<usize>()
        });
        own + topics.sum::<usize>()
    }

    /// What each partition is told, and what the log gets.
    fn commit(&self, now: Now, commit: Commit) -> (Vec<CommitResult>, Vec<Change>) {
        let max = self.settings.offset_metadata_len_max;
        // -1 would say "never" in the record; what is to be kept for less than no time is old now.
        let expiry = |ms: i64| Timestamp(now.timestamp.0.saturating_add(ms).max(0));
        let expires_at = commit.retention_ms.map(expiry);
        let (mut results, mut changes) = (Vec::with_capacity(commit.topics.len()), Vec::new());
        for topic in commit.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for CommitPartition { partition, offset, leader_epoch, metadata } in topic.partitions {
                let len = utf16_len(&metadata);
                if len > max {
                    partitions.push((partition, Err(GroupError::OffsetMetadata { len, max })));
                    continue;
                }
                partitions.push((partition, Ok(())));
                // The only record that says when an offset expires has no room for either.
                let (leader_epoch, topic_id) = match expires_at {
                    Some(_) => (LeaderEpoch::NONE, TopicId::ZERO),
                    None => (leader_epoch, topic.id),
                };
                let committed_at = now.timestamp;
                changes.push(Change::Offset {
                    group: commit.group.clone(),
                    topic: topic.name.clone(),
                    partition,
                    committed: Some(CommittedOffset {
                        offset,
                        leader_epoch,
                        metadata,
                        committed_at,
                        expires_at,
                        topic_id,
                    }),
                });
            }
            results.push(CommitResult { name: topic.name, id: topic.id, partitions });
        }
        (results, changes)
    }

    /// Offsets of one group. One that is not there has none, which is no error.
    pub fn on_fetch(&mut self, _: Now, fetch: Fetch, reply: ReplyId, effects: &mut Effects) {
        if fetch.require_stable && self.inflight.is_busy(&fetch.group) {
            return self.inflight.wait_for_all(Waiter::Fetch(reply, fetch));
        }
        let answer = self.fetch(fetch);
        effects.reply(reply, answer);
    }

    pub(super) fn fetch(&self, fetch: Fetch) -> Answer {
        let group = self.groups.get(&fetch.group);
        let topics = match (fetch.topics, group) {
            (None, None) => Vec::new(),
            (None, Some(group)) => group.all_offsets(),
            (Some(topics), _) => topics
                .into_iter()
                .map(|topic| {
                    let offset = |partition: PartitionIndex| {
                        let found = group?.offsets.get(&topic.name, partition)?;
                        found.belongs_to(topic.id).then(|| fetched(found))
                    };
                    let partitions =
                        topic.partitions.iter().map(|&index| (index, offset(index))).collect();
                    FetchedTopic { name: topic.name, id: topic.id, partitions }
                })
                .collect(),
        };
        Answer::Fetch(Ok(topics))
    }
}

impl Group {
    fn check_commit(&self, commit: &Commit) -> Result<(), GroupError> {
        // From an administrator or a consumer that assigns partitions to itself: while there are
        // no members.
        if commit.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        let Commit { member, instance, generation, .. } = commit;
        if *generation >= 0 || !member.is_empty() || instance.is_some() {
            self.check_member(member, instance.as_ref())?;
            self.check_generation(*generation)?;
        } else {
            return Err(GroupError::UnknownMember { member: member.clone() });
        }
        match self.state {
            // It knows the generation but not yet what it has been assigned.
            State::Completing => Err(GroupError::RebalanceInProgress),
            State::Empty | State::Preparing | State::Stable => Ok(()),
        }
    }

    fn all_offsets(&self) -> Vec<FetchedTopic> {
        self.offsets
            .topics()
            .map(|(name, partitions)| FetchedTopic {
                name: name.clone(),
                id: TopicId::ZERO,
                partitions: partitions
                    .iter()
                    .map(|(partition, offset)| (*partition, Some(fetched(offset))))
                    .collect(),
            })
            .collect()
    }
}

fn fetched(committed: &CommittedOffset) -> FetchedOffset {
    FetchedOffset {
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: committed.metadata.clone(),
    }
}

/// As Java counts, without counting where bytes already tell.
fn utf16_len(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}
