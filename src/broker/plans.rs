//! From the body of an admin request to the controller's plan for it.

use super::control::Outcome;
use crate::controller::{
    AlterOutcome, ConfigChange, ConfigChanges, Controller, GrowTarget, Plan, Records, Unnamed,
};
use crate::protocol::{Parse as _, Reader, read};

/// The number of IncrementalAlterConfigs' SET.
const SET: i8 = 0;

pub fn create_partitions(
    machine: &Controller,
    body: Reader<'_>,
    version: i16,
) -> (Records, Outcome) {
    let request =
        read::CreatePartitionsRequest::parse(body, version).expect("it was parsed before");
    let targets: Vec<_> = request.topics.iter().map(|topic| GrowTarget::from(&topic)).collect();
    let Plan { records, outcome } = machine.on_create_partitions(&targets, request.validate_only);
    let owned = outcome.into_iter().map(|outcome| (outcome.name.to_owned(), outcome.result));
    (records, Outcome::Grown(owned.collect()))
}

pub fn alter_configs(machine: &Controller, body: Reader<'_>, version: i16) -> (Records, Outcome) {
    let request = read::AlterConfigsRequest::parse(body, version).expect("it was parsed before");
    let resources: Vec<_> = request
        .resources
        .iter()
        .map(|resource| ConfigChanges {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            changes: resource
                .configs
                .iter()
                .map(|c| ConfigChange { key: c.name, operation: SET, value: c.value })
                .collect(),
        })
        .collect();
    altered(machine.on_alter_configs(&resources, Unnamed::Go, request.validate_only))
}

pub fn incremental_alter_configs(
    machine: &Controller,
    body: Reader<'_>,
    version: i16,
) -> (Records, Outcome) {
    let request =
        read::IncrementalAlterConfigsRequest::parse(body, version).expect("it was parsed before");
    let resources: Vec<_> = request
        .resources
        .iter()
        .map(|resource| ConfigChanges {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            changes: resource
                .configs
                .iter()
                .map(|config| ConfigChange {
                    key: config.name,
                    operation: config.config_operation,
                    value: config.value,
                })
                .collect(),
        })
        .collect();
    altered(machine.on_alter_configs(&resources, Unnamed::Stay, request.validate_only))
}

fn altered(plan: Plan<Vec<AlterOutcome<'_>>>) -> (Records, Outcome) {
    let owned = plan
        .outcome
        .into_iter()
        .map(|outcome| (outcome.resource_type, outcome.resource_name.to_owned(), outcome.result));
    (plan.records, Outcome::Altered(owned.collect()))
}
