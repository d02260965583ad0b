//! ListGroups and DescribeGroups.

use super::answer::{DescribedGroup, DescribedMember, ListedGroup};
use super::command::ListFilter;
use super::coordinator::Coordinator;
use super::group::State;
use std::sync::Arc;

/// Kafka's name of the type of all groups here.
const CLASSIC: &str = "classic";

impl Coordinator {
    /// All groups that the filter lets through, by id.
    pub fn list(&self, filter: &ListFilter) -> Vec<ListedGroup> {
        let is_type = filter.types.is_empty()
            || filter.types.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(CLASSIC));
        let is_state = |state: State| {
            filter.states.is_empty()
                || filter.states.iter().any(|name| name.trim().eq_ignore_ascii_case(state.name()))
        };
        let groups = self.groups.values().filter(|group| is_type && is_state(group.state));
        let listed = groups.map(|group| ListedGroup {
            group: group.id.clone(),
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            state: group.state.name(),
            group_type: CLASSIC,
        });
        listed.collect()
    }

    pub fn describe(&self, group: &str) -> Option<DescribedGroup> {
        let group = self.groups.get(group)?;
        let protocol = group.protocol.clone().filter(|_| group.state == State::Stable);
        let members = group.members.values().map(|member| DescribedMember {
            member: member.id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: protocol
                .as_deref()
                .map_or_else(Arc::default, |name| member.shared_metadata(name)),
            assignment: member.assignment.clone(),
        });
        Some(DescribedGroup {
            group: group.id.clone(),
            state: group.state.name(),
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            members: members.collect(),
            protocol: protocol.unwrap_or_default(),
        })
    }
}
