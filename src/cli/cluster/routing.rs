//! Which broker is asked: any, one by id, the controller, a leader, a coordinator; and when again.

use super::address::Address;
use super::dial;
use crate::cli::client::Client;
use crate::cli::client_error::{ClientError, accepted};
use crate::cli::connect_error::ConnectError;
use crate::cli::connection::Answer;
use crate::cli::failure::Failure;
use crate::model::ErrorCode;
use crate::protocol::write::{FindCoordinatorRequest, MetadataRequest};
use crate::protocol::{ApiKey, Request};
use crate::runtime::clock;
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two questions to a broker that is not ready.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// FindCoordinator asks for several from here on.
const SEVERAL_COORDINATORS_FROM: i16 = 4;

/// A broker as the cluster tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: i32,
    pub address: Address,
    pub rack: Option<String>,
}

/// Connections to the brokers of one cluster.
#[derive(Debug)]
pub struct Cluster {
    seeds: Vec<Address>,
    timeout: Duration,
    /// To whichever address answered first.
    seed: Option<Client>,
    clients: BTreeMap<i32, Client>,
    nodes: BTreeMap<i32, Node>,
    controller_id: i32,
    cluster_id: Option<String>,
}

/// What a call does, and so whether it may be sent again after the connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Reads,
    Changes,
}

impl Cluster {
    /// Connects to the first of the addresses that answers, and learns of the others.
    pub fn connect(seeds: &[Address], timeout: Duration) -> Result<Self, Failure> {
        let mut cluster = Self {
            seeds: seeds.to_vec(),
            timeout,
            seed: Some(dial::first("a broker", seeds, timeout)?),
            clients: BTreeMap::new(),
            nodes: BTreeMap::new(),
            controller_id: -1,
            cluster_id: None,
        };
        cluster.read("the brokers of the cluster", Self::refresh)?;
        Ok(cluster)
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// For requests that carry a timeout of their own.
    pub fn timeout_ms(&self) -> i32 {
        i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX)
    }

    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    pub fn controller_id(&self) -> i32 {
        self.controller_id
    }

    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    // --- when again ------------------------------------------------------------------------------

    /// Asks until there is an answer that asking again would not better, or the time is over.
    pub fn read<T>(
        &mut self,
        what: &str,
        ask: impl FnMut(&mut Self) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        self.again(Effect::Reads, what, ask)
    }

    /// The same for what changes something: after a lost connection nothing is sent again, for it
    /// may have been done.
    pub fn change<T>(
        &mut self,
        what: &str,
        ask: impl FnMut(&mut Self) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        self.again(Effect::Changes, what, ask)
    }

    fn again<T>(
        &mut self,
        effect: Effect,
        what: &str,
        mut ask: impl FnMut(&mut Self) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let give_up = clock::monotonic() + self.timeout;
        loop {
            let error = match ask(self) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if error.is_closed() {
                self.forget_connections();
            }
            if !may_ask_again(&error, effect) {
                return Err(error.into());
            }
            if clock::monotonic() >= give_up {
                let (what, timeout) = (what.to_owned(), self.timeout);
                return Err(Failure::TimedOut { what, timeout, last: error });
            }
            std::thread::sleep(ASK_AGAIN);
            // If this fails too, the next turn says why.
            let _ = self.refresh();
        }
    }

    fn forget_connections(&mut self) {
        self.seed = None;
        self.clients.clear();
    }

    // --- whom ------------------------------------------------------------------------------------

    /// A broker that is connected already, or the first that answers.
    pub fn any(&mut self) -> Result<&mut Client, ClientError> {
        if self.seed.is_none() {
            self.seed = Some(dial::first("a broker", &self.seeds, self.timeout)?);
        }
        Ok(self.seed.as_mut().expect("it was just connected"))
    }

    /// The broker of this id.
    pub fn node(&mut self, id: i32) -> Result<&mut Client, ClientError> {
        if !self.clients.contains_key(&id) {
            let node = self.nodes.get(&id).ok_or(ClientError::UnknownNode { id })?;
            let what = format!("broker {id}, which the cluster says is at {}", node.address);
            let client = dial::first(what, std::slice::from_ref(&node.address), self.timeout)?;
            self.clients.insert(id, client);
        }
        Ok(self.clients.get_mut(&id).expect("it was just connected"))
    }

    /// The broker that changes of the cluster go to.
    pub fn controller(&mut self) -> Result<&mut Client, ClientError> {
        match self.controller_id {
            // Brokers of today pass such requests on to the controller, which clients do not see.
            id if id < 0 || !self.nodes.contains_key(&id) => self.any(),
            id => self.node(id),
        }
    }

    /// Calls any broker.
    pub fn call<R: Request>(&mut self, request: &R) -> Result<Answer<R>, ClientError> {
        self.any()?.call(request, &[])
    }

    /// The id of the broker that coordinates a group.
    pub fn coordinator(&mut self, group: &str) -> Result<i32, ClientError> {
        let client = self.any()?;
        let version = client.versions().newest(ApiKey::FindCoordinator)?;
        let mut request = FindCoordinatorRequest::default();
        if version >= SEVERAL_COORDINATORS_FROM {
            request.coordinator_keys = vec![group.into()];
        } else {
            request.key = group.into();
        }
        let answer = client.call(&request, &[])?;
        let view = answer.view();
        let (code, message, node) = match view.coordinators.first() {
            Some(one) => {
                (one.error_code, one.error_message, Some((one.node_id, one.host, one.port)))
            }
            None => {
                (view.error_code, view.error_message, Some((view.node_id, view.host, view.port)))
            }
        };
        accepted(ApiKey::FindCoordinator, group, code, message)?;
        let missing =
            || ClientError::Missing { api: ApiKey::FindCoordinator, about: group.to_owned() };
        let (id, host, port) = node.ok_or_else(missing)?;
        let port = u16::try_from(port).map_err(|_| missing())?;
        let address = Address { host: host.to_owned(), port };
        self.nodes.entry(id).or_insert_with(|| Node { id, address, rack: None });
        Ok(id)
    }

    // --- what there is ---------------------------------------------------------------------------

    /// Learns anew which brokers there are.
    pub fn refresh(&mut self) -> Result<(), ClientError> {
        let request = MetadataRequest {
            topics: Some(Vec::new()),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let answer = self.call(&request)?;
        let view = answer.view();
        accepted(ApiKey::Metadata, "the cluster", view.error_code, None)?;
        self.learn(&view);
        if self.nodes.is_empty() {
            return Err(ClientError::Refused {
                api: ApiKey::Metadata,
                about: "the cluster".to_owned(),
                code: ErrorCode::BrokerNotAvailable,
                message: Some("no broker is listed".to_owned()),
            });
        }
        Ok(())
    }

    /// Takes over what an answer to Metadata says of brokers.
    pub(super) fn learn(&mut self, view: &crate::protocol::read::MetadataResponse<'_>) {
        let mut nodes = BTreeMap::new();
        for broker in view.brokers {
            // A port that is none cannot be dialled: such a broker is not there for us.
            let Ok(port) = u16::try_from(broker.port) else { continue };
            let address = Address { host: broker.host.to_owned(), port };
            let rack = broker.rack.map(str::to_owned);
            nodes.insert(broker.node_id, Node { id: broker.node_id, address, rack });
        }
        self.clients.retain(|id, _| {
            nodes.get(id).map(|node| &node.address) == self.nodes.get(id).map(|node| &node.address)
        });
        self.nodes = nodes;
        self.controller_id = view.controller_id;
        self.cluster_id = view.cluster_id.map(str::to_owned);
    }
}

/// Whether the same question may be answered better in a moment.
fn may_ask_again(error: &ClientError, effect: Effect) -> bool {
    match error {
        // Kafka's clients wait for a topic to appear; who asks by hand wants to be told.
        ClientError::Refused {
            code: ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId,
            ..
        } => false,
        // A corrupt batch stays one, and what took too long may be done by now.
        ClientError::Refused {
            code: ErrorCode::CorruptMessage | ErrorCode::RequestTimedOut,
            ..
        } => false,
        ClientError::Refused { code, .. } => code.is_retriable(),
        ClientError::UnknownNode { .. } => true,
        error => effect == Effect::Reads && error.is_closed(),
    }
}

impl From<Box<ConnectError>> for ClientError {
    fn from(error: Box<ConnectError>) -> Self {
        Self::Connect(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: ErrorCode) -> ClientError {
        ClientError::Refused { api: ApiKey::Metadata, about: "t".into(), code, message: None }
    }

    #[test]
    fn what_changes_something_is_not_sent_again_over_a_new_connection() {
        assert!(may_ask_again(&ClientError::Closed, Effect::Reads));
        assert!(!may_ask_again(&ClientError::Closed, Effect::Changes));
        for effect in [Effect::Reads, Effect::Changes] {
            assert!(may_ask_again(&refused(ErrorCode::NotController), effect));
            assert!(may_ask_again(&refused(ErrorCode::NotLeaderOrFollower), effect));
            assert!(!may_ask_again(&refused(ErrorCode::UnknownTopicOrPartition), effect));
            assert!(!may_ask_again(&refused(ErrorCode::InvalidConfig), effect));
        }
    }
}
