//! Settings of topics, brokers and groups: asked for and changed.

use super::routing::Cluster;
use crate::base::nearest;
use crate::cli::client::Client;
use crate::cli::client_error::{ClientError, accepted};
use crate::cli::failure::Failure;
use crate::config::catalog;
use crate::model::{ErrorCode, ResourceType};
use crate::protocol::ApiKey;
use crate::protocol::read::describe_configs::DescribeConfigsResourceResult;
use crate::protocol::write::describe_configs::DescribeConfigsResource;
use crate::protocol::write::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use crate::protocol::write::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;

/// What has settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All brokers.
    Cluster,
    Broker(i32),
    Topic(String),
    Group(String),
}

/// A setting as a broker tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigEntry {
    pub name: String,
    /// None for null, and for secrets.
    pub value: Option<String>,
    pub source: &'static str,
    /// The value where nothing is set, as far as it is known.
    pub default: Option<String>,
    pub read_only: bool,
    pub sensitive: bool,
    /// Every layer that has a value, the one that counts first.
    pub layers: Vec<Layer>,
}

/// A layer's value, under the name that the setting has there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    pub name: String,
    pub value: Option<String>,
    pub source: &'static str,
}

/// One change of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Set(String, String),
    Unset(String),
}

/// Kafka's source of what nobody set.
pub const DEFAULT: &str = "default";

impl Scope {
    fn kind(&self) -> ResourceType {
        match self {
            Self::Cluster | Self::Broker(_) => ResourceType::Broker,
            Self::Topic(_) => ResourceType::Topic,
            Self::Group(_) => ResourceType::Group,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Cluster => String::new(),
            Self::Broker(id) => id.to_string(),
            Self::Topic(name) | Self::Group(name) => name.clone(),
        }
    }

    /// The word for it in the table of settings.
    pub const fn of_catalog(&self) -> &'static str {
        match self {
            Self::Cluster | Self::Broker(_) => "broker",
            Self::Topic(_) => "topic",
            Self::Group(_) => "group",
        }
    }

    /// The setting that was probably meant by a key that is none of this scope.
    pub fn meant(&self, key: &str) -> Option<String> {
        let scope = self.of_catalog();
        let all = catalog();
        let known = || all.iter().filter(|one| one.scope == scope).map(|one| one.key);
        if known().any(|name| name == key) {
            return None;
        }
        nearest(key, known()).map(str::to_owned)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("all brokers"),
            Self::Broker(id) => write!(f, "broker {id}"),
            Self::Topic(name) => write!(f, "topic {name}"),
            Self::Group(name) => write!(f, "group {name}"),
        }
    }
}

impl Change {
    pub fn key(&self) -> &str {
        match self {
            Self::Set(key, _) | Self::Unset(key) => key,
        }
    }

    /// Kafka's number of it.
    const fn operation(&self) -> i8 {
        match self {
            Self::Set(..) => 0,
            Self::Unset(_) => 1,
        }
    }
}

impl Cluster {
    /// The settings of something in the order of their names.
    pub fn configs(&mut self, scope: &Scope) -> Result<Vec<ConfigEntry>, Failure> {
        let what = format!("the settings of {scope}");
        match self.read(&what, |cluster| cluster.ask_configs(scope)) {
            Err(Failure::Client(error)) => Err(self.config_failure(scope, error)),
            done => done,
        }
    }

    /// Changes settings, or only checks whether they could be changed.
    pub fn alter_configs(
        &mut self,
        scope: &Scope,
        changes: &[Change],
        validate_only: bool,
    ) -> Result<(), Failure> {
        let what = format!("the settings of {scope}");
        let done =
            self.change(&what, |cluster| cluster.send_changes(scope, changes, validate_only));
        match done {
            Err(Failure::Client(error)) => Err(self.change_failure(scope, changes, error)),
            done => done,
        }
    }

    fn ask_configs(&mut self, scope: &Scope) -> Result<Vec<ConfigEntry>, ClientError> {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: scope.kind().code(),
                resource_name: scope.name().into(),
                configuration_keys: None,
            }],
            include_synonyms: true,
            include_documentation: false,
        };
        let answer = self.of_scope(scope)?.call(&request, &[])?;
        let about = scope.to_string();
        let missing =
            || ClientError::Missing { api: ApiKey::DescribeConfigs, about: about.clone() };
        let found = answer.view().results.first().ok_or_else(missing)?;
        accepted(ApiKey::DescribeConfigs, &about, found.error_code, found.error_message)?;
        let mut entries: Vec<_> = found.configs.iter().map(|one| entry(&one, scope)).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn send_changes(
        &mut self,
        scope: &Scope,
        changes: &[Change],
        validate_only: bool,
    ) -> Result<(), ClientError> {
        let config = |change: &Change| AlterableConfig {
            name: Cow::Owned(change.key().to_owned()),
            config_operation: change.operation(),
            value: match change {
                Change::Set(_, value) => Some(Cow::Owned(value.clone())),
                Change::Unset(_) => None,
            },
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: scope.kind().code(),
                resource_name: scope.name().into(),
                configs: changes.iter().map(config).collect(),
            }],
            validate_only,
        };
        let answer = self.of_scope(scope)?.call(&request, &[])?;
        let about = scope.to_string();
        let missing =
            || ClientError::Missing { api: ApiKey::IncrementalAlterConfigs, about: about.clone() };
        let found = answer.view().responses.first().ok_or_else(missing)?;
        accepted(ApiKey::IncrementalAlterConfigs, &about, found.error_code, found.error_message)
    }

    /// A broker answers for itself; for all else any does.
    fn of_scope(&mut self, scope: &Scope) -> Result<&mut Client, ClientError> {
        match scope {
            Scope::Broker(id) => self.node(*id),
            Scope::Cluster | Scope::Topic(_) | Scope::Group(_) => self.any(),
        }
    }

    fn config_failure(&mut self, scope: &Scope, error: ClientError) -> Failure {
        match (error.code(), scope) {
            (Some(ErrorCode::UnknownTopicOrPartition), Scope::Topic(name)) => self.no_topic(name),
            _ => error.into(),
        }
    }

    fn change_failure(&mut self, scope: &Scope, changes: &[Change], error: ClientError) -> Failure {
        let meant = changes.iter().find_map(|change| scope.meant(change.key()));
        match (error.code(), meant) {
            (Some(ErrorCode::InvalidConfig | ErrorCode::InvalidRequest), Some(meant)) => {
                Failure::Usage(format!("{error}; did you mean {meant}?"))
            }
            _ => self.config_failure(scope, error),
        }
    }
}

fn entry(found: &DescribeConfigsResourceResult<'_>, scope: &Scope) -> ConfigEntry {
    let layers: Vec<_> = found
        .synonyms
        .iter()
        .map(|synonym| Layer {
            name: synonym.name.to_owned(),
            value: synonym.value.map(str::to_owned),
            source: source_name(synonym.source),
        })
        .collect();
    let of_layer = layers.iter().find(|layer| layer.source == DEFAULT);
    let of_catalog = || {
        let all = catalog();
        let row =
            all.iter().find(|row| row.scope == scope.of_catalog() && row.key == found.name)?;
        row.default.map(str::to_owned)
    };
    ConfigEntry {
        name: found.name.to_owned(),
        value: found.value.map(str::to_owned),
        source: source_name(found.config_source),
        default: of_layer.map_or_else(of_catalog, |layer| layer.value.clone()),
        read_only: found.read_only,
        sensitive: found.is_sensitive,
        layers,
    }
}

/// Where a value comes from, by Kafka's number of it.
const fn source_name(code: i8) -> &'static str {
    match code {
        1 => "topic",
        2 => "broker",
        3 => "cluster",
        4 => "file",
        5 => DEFAULT,
        6 => "logger",
        7 => "client-metrics",
        8 => "group",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_a_key_is_understood_within_its_scope() {
        let topic = Scope::Topic("t".into());
        assert_eq!(topic.meant("retention.mss").as_deref(), Some("retention.ms"));
        assert_eq!(topic.meant("retention.ms"), None);
        assert_eq!(topic.meant("num.partition"), None);
        assert_eq!(Scope::Cluster.meant("num.partition").as_deref(), Some("num.partitions"));
    }
}
