//! Brokers as they registered themselves.

use crate::model::{NodeId, Uuid};
use std::collections::BTreeMap;

/// All registered brokers.
pub type Brokers = BTreeMap<NodeId, Broker>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Grows with every registration: an older process of the same broker is told apart by it.
    pub epoch: i64,
    pub registration: Registration,
    /// A fenced broker leads nothing and is told to no client.
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
}

/// What a starting broker says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Drawn at random by every process.
    pub incarnation: Uuid,
    pub endpoints: Vec<BrokerEndpoint>,
    pub rack: Option<String>,
    /// Ids of its log directories.
    pub log_dirs: Vec<Uuid>,
}

/// Where clients reach a broker. All endpoints speak plaintext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerEndpoint {
    pub listener: String,
    pub host: String,
    pub port: u16,
}

impl Broker {
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// The endpoint under a listener's name.
    pub fn endpoint(&self, listener: &str) -> Option<&BrokerEndpoint> {
        self.registration.endpoints.iter().find(|e| e.listener == listener)
    }
}
