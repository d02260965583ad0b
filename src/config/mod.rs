//! Settings. One table ([`table`]) holds every key: type, default, bounds, who may change it, its
//! text, and whether it is served. All else derives from it.
//!
//! ```text
//! server.properties -> Properties -> Layers -> BrokerConfig + Notices, or StartError
//! topic's overrides -> check_topic_overrides -> TopicConfig (what the data plane reads)
//! both              -> describe_* (what DescribeConfigs shows)
//! ```
//!
//! Pure: files are read elsewhere. What is set and has no effect is named in [`Notices`].

mod broker;
mod cores;
mod describe;
mod kind;
mod layers;
mod listener;
mod notices;
mod properties;
mod setting;
mod start_error;
pub mod table;
mod topic;

pub use broker::BrokerConfig;
pub use cores::{AppendPath, Cores};
pub use describe::{Entry, SynonymEntry, describe_broker, describe_topic};
pub use kind::{Check, Kind, Value, ValueError};
pub use layers::{Layers, Source, Texts};
pub use listener::{Endpoint, ListenerError, Listeners, SecurityProtocol};
pub use notices::Notices;
pub use properties::{Properties, PropertiesError, Property};
pub use setting::{Scope, Setting, Status, Synonym, Update};
pub use start_error::StartError;
pub use topic::{
    CleanupPolicy, CompactionConfig, Compression, TimestampType, TopicConfig, TopicConfigError,
    check_topic_overrides, topic_overrides_not_served,
};
