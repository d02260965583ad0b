//! A client of a whole cluster: one connection to each broker that is needed, and the right broker
//! for each question.
//!
//! ```text
//! --brokers -> Address -> dial -> the first that answers -> Metadata -> leaders, controller, coordinators
//! ```
//!
//! It speaks to any Kafka from 2.1 on: with each broker in the newest versions that both have.
//! Questions are asked again while the broker says that this may help, with fresh metadata; what
//! changes something is not sent twice where it could have been done.

pub mod address;
pub mod configs;
pub mod dial;
pub mod fetching;
pub mod groups;
pub mod offsets;
pub mod routing;
pub mod topics;

pub use address::Address;
pub use routing::{Cluster, Node};
pub use topics::{PartitionState, TopicState};
