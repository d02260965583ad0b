//! The way to a coordinator and back: on this core by a call, to others by mail.

use super::ask::{Ask, CoordinatorError, GroupReply};
use super::host::Host;
use super::topic::Place;
use super::waiting::Asker;
use crate::base::FastMap;
use crate::broker::Shard;
use crate::broker::call::{Call, Reply};
use crate::broker::letter::Letter;
use crate::broker::partition::Partition;
use crate::controller::Topic;
use crate::group::{DeletedTopic, ListFilter, ListedGroup, Memory};
use crate::runtime::sync::{self, Gate, promise};
use std::rc::Rc;

/// The coordinators of one core.
#[derive(Default)]
pub struct Groups {
    pub(super) hosts: FastMap<Place, Rc<Host>>,
    /// Those with something to append, staged at the end of the turn.
    pub(super) dirty: Vec<Rc<Host>>,
    /// What all their groups hold.
    pub(super) memory: Rc<Memory>,
    /// One after the other loads.
    pub(super) load_gate: Rc<Gate>,
    /// One after the other is written anew.
    pub(super) rewrite_gate: Rc<Gate>,
}

impl Shard {
    /// Asks the coordinator at a place and waits for what it says, which may take as long as a
    /// rebalance.
    pub async fn ask_coordinator(self: &Rc<Self>, place: Place, ask: Ask) -> GroupReply {
        let owner = self.owner(place.topic, place.partition);
        let (promise, awaited) = promise();
        if owner == self.index() {
            self.coordinate(place, ask, Asker::Here(promise));
        } else {
            let (home, ticket) = (self.index() as u16, self.calls.borrow_mut().open(promise));
            let call = Box::new(Call::Group { place, ask });
            self.send(owner, Letter::Call { home, ticket, call });
        }
        match awaited.await {
            Some(Reply::Group(reply)) => reply,
            Some(_) => unreachable!("a coordinator gives a coordinator's reply"),
            None => Err(CoordinatorError::NotHere),
        }
    }

    /// Hands a request to a coordinator of this core.
    pub(in crate::broker) fn coordinate(self: &Rc<Self>, place: Place, ask: Ask, asker: Asker) {
        let host = self.groups.borrow().hosts.get(&place).cloned();
        match host {
            Some(host) => host.serve(self, ask, asker),
            None => asker.tell(self, Err(CoordinatorError::NotHere)),
        }
    }

    /// The groups of all cores that a filter lets through.
    pub async fn list_groups(
        self: &Rc<Self>,
        filter: &ListFilter,
    ) -> Result<Vec<ListedGroup>, CoordinatorError> {
        let calls =
            (0..self.core_count()).map(|core| self.call(core, Call::ListGroups(filter.clone())));
        let mut groups = Vec::new();
        for reply in sync::all(calls).await {
            match reply {
                Reply::Groups(listed) => groups.append(&mut listed?),
                _ => unreachable!("a list of groups was asked for"),
            }
        }
        Ok(groups)
    }

    pub(in crate::broker) fn list_groups_here(
        &self,
        filter: &ListFilter,
    ) -> Result<Vec<ListedGroup>, CoordinatorError> {
        let mut groups = Vec::new();
        for host in self.groups.borrow().hosts.values() {
            groups.append(&mut host.list(filter)?);
        }
        Ok(groups)
    }

    /// Groups that this core coordinates.
    pub(in crate::broker) fn group_count(&self) -> usize {
        self.groups.borrow().hosts.values().map(|host| host.group_count()).sum()
    }

    /// The hosts of this core.
    pub(in crate::broker) fn group_hosts(&self) -> Vec<Rc<Host>> {
        self.groups.borrow().hosts.values().cloned().collect()
    }

    /// A partition of the offsets topic was opened on this core: its coordinator loads.
    pub(in crate::broker) fn add_coordinator(self: &Rc<Self>, partition: &Rc<Partition>) {
        let place = Place { topic: partition.topic, partition: partition.index };
        let host = Host::new(Rc::clone(partition));
        let old = self.groups.borrow_mut().hosts.insert(place, Rc::clone(&host));
        assert!(old.is_none(), "a partition is opened once");
        host.load(self);
    }

    /// And now it goes.
    pub(in crate::broker) fn remove_coordinator(self: &Rc<Self>, place: Place) {
        let host = self.groups.borrow_mut().hosts.remove(&place);
        if let Some(host) = host {
            host.end(self);
        }
    }

    /// A topic is no more: no coordinator keeps what was committed of it.
    pub(in crate::broker) fn forget_offsets(self: &Rc<Self>, topic: &Topic) {
        let deleted = [DeletedTopic { name: topic.name.clone(), id: topic.id }];
        let hosts: Vec<_> = self.groups.borrow().hosts.values().cloned().collect();
        for host in hosts {
            host.forget_topics(self, &deleted);
        }
    }

    /// Stages what the coordinators want appended; called by the appender at the end of a turn.
    pub(in crate::broker) fn stage_groups(self: &Rc<Self>) {
        let mut dirty = std::mem::take(&mut self.groups.borrow_mut().dirty);
        for host in dirty.drain(..) {
            host.stage(self);
        }
        // Keeps the memory; staging may have marked some again.
        let mut groups = self.groups.borrow_mut();
        dirty.append(&mut groups.dirty);
        groups.dirty = dirty;
    }
}
