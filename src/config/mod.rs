//! Settings. One table ([`table`]) holds every key: type, default, bounds, who may change it, its
//! text, and whether it is served. All else derives from it.
//!
//! ```text
//! server.properties, KAFKA_*, flags -> Properties -> Layers -> BrokerConfig + Notices, or StartErrors
//! topic's overrides -> check_topic_overrides -> TopicConfig (what the data plane reads)
//! both              -> describe_* (what DescribeConfigs shows)
//! the table         -> catalog (what help and documents show)
//! ```
//!
//! Each of Kafka's settings is live, or ignored with a reason, or refused where to go on without it
//! would weaken safety ([`Disposition`]). What is set and has no effect is named in [`Notices`].
//!
//! Pure: files and the environment are read elsewhere.

mod broker;
mod catalog;
mod cores;
mod describe;
mod dynamic;
mod environment;
mod group;
mod groups;
mod keys;
mod kind;
mod layers;
mod listener;
mod notices;
mod properties;
mod reader;
mod relics;
mod setting;
mod start_error;
pub mod table;
mod topic;

pub use broker::{BrokerConfig, ConnectionLimits};
pub use catalog::{Listed, catalog, explain};
pub use cores::{AppendPath, Cores};
pub use describe::{
    Entry, SynonymEntry, describe_broker, describe_default_broker, describe_group, describe_topic,
};
pub use dynamic::{DynamicError, DynamicLayer, ListChange, check_dynamic};
pub use group::{GroupConfigError, check_group_overrides};
pub use groups::{GroupConfig, OffsetsTopicConfig};
pub use kind::{Check, Kind, Value, ValueError};
pub use layers::{Layers, Source, Texts};
pub use listener::{Endpoint, ListenerError, Listeners, SecurityProtocol};
pub use notices::Notices;
pub use properties::{Origin, Properties, PropertiesError, Property};
pub use setting::{Disposition, Scope, Setting, Status, Synonym, Update};
pub use start_error::{StartError, StartErrors};
pub use topic::{
    CleanupPolicy, CompactionConfig, Compression, TimestampType, TopicConfig, TopicConfigError,
    check_topic_overrides, topic_overrides_not_served,
};
