//! AlterConfigs and IncrementalAlterConfigs: settings of topics, of this broker, of all brokers and
//! of groups change. A resource changes as a whole or not at all.

use super::alter_error::AlterError;
use super::controller::Controller;
use super::plan::{Encoder, Plan, Records};
use super::stage::Stage;
use crate::config::table::{broker_setting, group_setting, topic_setting};
use crate::config::{
    DynamicLayer, ListChange, Setting, Texts, check_dynamic, check_group_overrides,
    check_topic_overrides,
};
use crate::model::{ResourceType, TopicName};
use crate::protocol::write;
use std::collections::{BTreeMap, BTreeSet};

/// What a client wants changed of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChanges<'a> {
    /// Kafka's number of it, not yet checked.
    pub resource_type: i8,
    pub resource_name: &'a str,
    pub changes: Vec<ConfigChange<'a>>,
}

/// One key, and what is done to its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigChange<'a> {
    pub key: &'a str,
    /// Kafka's number of it, not yet checked.
    pub operation: i8,
    pub value: Option<&'a str>,
}

/// What happens to the keys that a request does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unnamed {
    /// They stay: IncrementalAlterConfigs.
    Stay,
    /// They lose their values: AlterConfigs.
    Go,
}

/// What became of one resource of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterOutcome<'a> {
    pub resource_type: i8,
    pub resource_name: &'a str,
    pub result: Result<(), AlterError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Set,
    Delete,
    List(ListChange),
}

/// One resource's settings before and after.
struct Altered<'a> {
    resource_type: ResourceType,
    name: &'a str,
    before: Texts,
    after: Texts,
    /// Keys that the request names.
    named: BTreeSet<&'a str>,
}

impl Controller {
    /// Works a request out: one outcome a resource, in the order of the request.
    pub fn on_alter_configs<'a>(
        &self,
        resources: &[ConfigChanges<'a>],
        unnamed: Unnamed,
        validate_only: bool,
    ) -> Plan<Vec<AlterOutcome<'a>>> {
        let mut counts: BTreeMap<(i8, &str), u32> = BTreeMap::new();
        for resource in resources {
            *counts.entry((resource.resource_type, resource.resource_name)).or_default() += 1;
        }
        let mut encoder = Encoder::default();
        let mut outcome = Vec::with_capacity(resources.len());
        for resource in resources {
            let (resource_type, resource_name) = (resource.resource_type, resource.resource_name);
            let result = if counts[&(resource_type, resource_name)] > 1 {
                Err(AlterError::DuplicateResource)
            } else {
                self.alter(resource, unnamed).map(|altered| altered.encode(&mut encoder))
            };
            outcome.push(AlterOutcome { resource_type, resource_name, result });
        }
        let mut records = encoder.finish();
        if let Err(error) = self.check_alteration(&records) {
            records = Records::default();
            for one in outcome.iter_mut().filter(|o: &&mut AlterOutcome<'_>| o.result.is_ok()) {
                one.result = Err(error.clone());
            }
        }
        if validate_only {
            records = Records::default();
        }
        Plan { records, outcome }
    }

    /// Whether all of a request's changes can be together: a broker's setting may contradict what
    /// a topic sets itself.
    fn check_alteration(&self, records: &Records) -> Result<(), AlterError> {
        if records.is_too_large() {
            return Err(AlterError::BatchTooLarge);
        }
        let mut stage = Stage::new(self);
        records.iter().try_for_each(|value| stage.replay(value))?;
        stage.finish()?;
        Ok(())
    }

    fn alter<'a>(
        &self,
        resource: &ConfigChanges<'a>,
        unnamed: Unnamed,
    ) -> Result<Altered<'a>, AlterError> {
        let mut named = BTreeSet::new();
        if !resource.changes.iter().all(|change| named.insert(change.key)) {
            return Err(AlterError::DuplicateKeys);
        }
        let operation = |change: &ConfigChange<'_>| Operation::from_code(change.operation);
        let is_null = |change: &&ConfigChange<'_>| {
            change.value.is_none() && operation(change) != Some(Operation::Delete)
        };
        let nulls: Vec<_> =
            resource.changes.iter().filter(is_null).map(|change| change.key.to_owned()).collect();
        if !nulls.is_empty() {
            return Err(AlterError::NullValues(nulls));
        }
        let name = resource.resource_name;
        let code = resource.resource_type;
        let resource_type =
            ResourceType::from_code(code).ok_or(AlterError::UnknownResourceType(code))?;
        let before = self.configs_of(resource_type, name)?;
        let row = match resource_type {
            ResourceType::Topic => topic_setting,
            ResourceType::Group => group_setting,
            _ => broker_setting,
        };
        let mut after = match unnamed {
            Unnamed::Stay => before.clone(),
            Unnamed::Go => Texts::new(),
        };
        for change in &resource.changes {
            let operation =
                operation(change).ok_or(AlterError::UnknownOperation(change.operation))?;
            change.apply(operation, row(change.key), resource_type, &before, &mut after)?;
        }
        self.check_configs(resource_type, name, &after)?;
        Ok(Altered { resource_type, name, before, after, named })
    }

    /// What a resource sets now; for brokers, whether it is one that can be changed here.
    fn configs_of(&self, resource_type: ResourceType, name: &str) -> Result<Texts, AlterError> {
        let layers = self.image.layers();
        Ok(match resource_type {
            ResourceType::Topic => {
                self.image.topic(name).map(|topic| topic.overrides.clone()).unwrap_or_default()
            }
            ResourceType::Group => {
                self.image.group_config(name).map(|texts| (**texts).clone()).unwrap_or_default()
            }
            ResourceType::Broker if name.is_empty() => layers.dynamic_default.clone(),
            ResourceType::Broker => {
                let id: i32 =
                    name.parse().map_err(|_| AlterError::BrokerIsNoNumber(name.to_owned()))?;
                if id != self.node_id.0 {
                    let received = name.to_owned();
                    return Err(AlterError::OtherBroker { expected: self.node_id, received });
                }
                layers.dynamic_broker.clone()
            }
            ResourceType::BrokerLogger => return Err(AlterError::BrokerLogger),
            ResourceType::ClientMetrics => return Err(AlterError::NoClientMetrics),
        })
    }

    fn check_configs(
        &self,
        resource_type: ResourceType,
        name: &str,
        after: &Texts,
    ) -> Result<(), AlterError> {
        let given = || after.iter().map(|(key, value)| (key.as_str(), Some(value.as_str())));
        match resource_type {
            ResourceType::Topic => {
                if name.is_empty() {
                    return Err(AlterError::NoTopicName);
                }
                TopicName::parse(name)?;
                check_topic_overrides(given(), self.image.layers())?;
                if self.image.topic(name).is_none() {
                    return Err(AlterError::UnknownTopic(name.to_owned()));
                }
            }
            ResourceType::Group if name.is_empty() => return Err(AlterError::NoGroupName),
            ResourceType::Group => check_group_overrides(after, self.image.layers())?,
            _ if name.is_empty() => check_dynamic(after, DynamicLayer::Default)?,
            _ => check_dynamic(after, DynamicLayer::Broker)?,
        }
        Ok(())
    }
}

impl ConfigChange<'_> {
    fn apply(
        &self,
        operation: Operation,
        row: Option<&Setting>,
        resource_type: ResourceType,
        before: &Texts,
        after: &mut Texts,
    ) -> Result<(), AlterError> {
        let key = self.key.to_owned();
        let value = self.value.unwrap_or_default();
        match operation {
            Operation::Set => _ = after.insert(key, value.to_owned()),
            Operation::Delete => _ = after.remove(self.key),
            Operation::List(change) => {
                if row.is_none() && resource_type == ResourceType::Broker {
                    return Err(AlterError::NoBrokerConfig(key));
                }
                let Some(row) = row.filter(|row| row.is_list()) else {
                    return Err(AlterError::NoList { key, change, resource_type });
                };
                let current = before.get(self.key).map(String::as_str);
                after.insert(key, row.changed_list(current, change, value));
            }
        }
        Ok(())
    }
}

impl Altered<'_> {
    /// Records of what differs. A broker's are written although nothing does: it is how its files
    /// of keys are read again (KAFKA-14136).
    fn encode(self, encoder: &mut Encoder) {
        let is_broker = self.resource_type == ResourceType::Broker;
        let keys: BTreeSet<&str> =
            self.before.keys().chain(self.after.keys()).map(String::as_str).collect();
        let unset = self.named.iter().copied().filter(|_| is_broker);
        for key in keys.iter().copied().chain(unset.filter(|key| !keys.contains(key))) {
            let (before, after) = (self.before.get(key), self.after.get(key));
            if before != after || (is_broker && self.named.contains(key)) {
                encoder.push(write::ConfigRecord {
                    resource_type: self.resource_type.code(),
                    resource_name: self.name.into(),
                    name: key.into(),
                    value: after.map(Into::into),
                });
            }
        }
    }
}

impl Operation {
    /// Kafka's number.
    const fn from_code(code: i8) -> Option<Self> {
        Some(match code {
            0 => Self::Set,
            1 => Self::Delete,
            2 => Self::List(ListChange::Append),
            3 => Self::List(ListChange::Subtract),
            _ => return None,
        })
    }
}
