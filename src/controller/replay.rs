//! From records to what they describe. What a record can say and is not served is refused, so that
//! nothing of the cluster's state is lost in silence.

use super::apply_error::ApplyError;
use super::broker::{Broker, BrokerEndpoint, Registration};
use super::topic::{NodeIds, PartitionInfo};
use crate::model::{LeaderEpoch, NodeId};
use crate::protocol::{Array, read};

/// A change of a partition that leaves its leader.
const LEADER_UNCHANGED: i32 = -2;
/// A change of a partition that leaves its recovery state.
const RECOVERY_UNCHANGED: i8 = -1;
/// The state of a leader that is not recovering from an unclean election.
const RECOVERED: i8 = 0;
const PLAINTEXT: i16 = 0;

pub(super) fn partition(record: &read::PartitionRecord<'_>) -> Result<PartitionInfo, ApplyError> {
    refuse_reassignment(&record.removing_replicas, &record.adding_replicas)?;
    refuse_elr(record.eligible_leader_replicas, record.last_known_elr)?;
    refuse_recovery(record.leader_recovery_state != RECOVERED)?;
    Ok(PartitionInfo {
        replicas: nodes(&record.replicas),
        isr: nodes(&record.isr),
        leader: leader(record.leader),
        leader_epoch: LeaderEpoch(record.leader_epoch),
        partition_epoch: record.partition_epoch,
        directories: record.directories.iter().collect(),
    })
}

pub(super) fn change_partition(
    partition: &mut PartitionInfo,
    record: &read::PartitionChangeRecord<'_>,
) -> Result<(), ApplyError> {
    let none = Array::default();
    let (removing, adding) = (record.removing_replicas, record.adding_replicas);
    refuse_reassignment(&removing.unwrap_or(none), &adding.unwrap_or(none))?;
    refuse_elr(record.eligible_leader_replicas, record.last_known_elr)?;
    refuse_recovery(![RECOVERED, RECOVERY_UNCHANGED].contains(&record.leader_recovery_state))?;
    if let Some(replicas) = record.replicas {
        partition.replicas = nodes(&replicas);
    }
    if let Some(isr) = record.isr {
        partition.isr = nodes(&isr);
    }
    if let Some(directories) = record.directories {
        partition.directories = directories.iter().collect();
    }
    // Naming a leader begins a new epoch, also if it is the same one.
    if record.leader != LEADER_UNCHANGED {
        partition.leader = leader(record.leader);
        partition.leader_epoch = LeaderEpoch(partition.leader_epoch.0.saturating_add(1));
    }
    partition.partition_epoch = partition.partition_epoch.saturating_add(1);
    Ok(())
}

pub(super) fn broker(record: &read::RegisterBrokerRecord<'_>) -> Result<Broker, ApplyError> {
    if record.is_migrating_zk_broker {
        return Err(ApplyError::NotServed("a broker that migrates from ZooKeeper"));
    }
    refuse_cordoned(record.cordoned_log_dirs)?;
    if record.end_points.iter().any(|e| e.security_protocol != PLAINTEXT) {
        return Err(ApplyError::NotServed("a listener that does not speak plaintext"));
    }
    let endpoint = |e: read::register_broker_record::BrokerEndpoint<'_>| BrokerEndpoint {
        listener: e.name.to_owned(),
        host: e.host.to_owned(),
        port: e.port,
    };
    Ok(Broker {
        epoch: record.broker_epoch,
        registration: Registration {
            incarnation: record.incarnation_id,
            endpoints: record.end_points.iter().map(endpoint).collect(),
            rack: record.rack.map(str::to_owned),
            log_dirs: record.log_dirs.iter().collect(),
        },
        fenced: record.fenced,
        in_controlled_shutdown: record.in_controlled_shutdown,
    })
}

pub(super) fn change_registration(
    broker: &mut Broker,
    record: &read::BrokerRegistrationChangeRecord<'_>,
) -> Result<(), ApplyError> {
    refuse_cordoned(record.cordoned_log_dirs)?;
    match record.fenced {
        1 => broker.fenced = true,
        0 => {}
        -1 => broker.fenced = false,
        _ => return Err(ApplyError::NotServed("an unknown change of fencing")),
    }
    match record.in_controlled_shutdown {
        1 => broker.in_controlled_shutdown = true,
        0 => {}
        _ => return Err(ApplyError::NotServed("an unknown change of the controlled shutdown")),
    }
    if !record.log_dirs.is_empty() {
        broker.registration.log_dirs = record.log_dirs.iter().collect();
    }
    Ok(())
}

fn nodes(ids: &Array<'_, i32>) -> NodeIds {
    ids.iter().map(NodeId).collect()
}

fn leader(id: i32) -> Option<NodeId> {
    (id >= 0).then_some(NodeId(id))
}

fn refuse_reassignment(
    removing: &Array<'_, i32>,
    adding: &Array<'_, i32>,
) -> Result<(), ApplyError> {
    let is_reassigned = !removing.is_empty() || !adding.is_empty();
    refuse(is_reassigned, "a partition that is being reassigned")
}

fn refuse_elr(
    eligible: Option<Array<'_, i32>>,
    last_known: Option<Array<'_, i32>>,
) -> Result<(), ApplyError> {
    let is_there = |ids: Option<Array<'_, i32>>| ids.is_some_and(|ids| !ids.is_empty());
    refuse(is_there(eligible) || is_there(last_known), "eligible leader replicas")
}

fn refuse_recovery(is_recovering: bool) -> Result<(), ApplyError> {
    refuse(is_recovering, "a leader that recovers from an unclean election")
}

fn refuse_cordoned(dirs: Option<Array<'_, crate::model::Uuid>>) -> Result<(), ApplyError> {
    refuse(dirs.is_some_and(|dirs| !dirs.is_empty()), "cordoned log directories")
}

fn refuse(is_there: bool, what: &'static str) -> Result<(), ApplyError> {
    if is_there { Err(ApplyError::NotServed(what)) } else { Ok(()) }
}
