//! Producer ids, in blocks: a broker gives ids of its block to producers and asks for another when
//! it is used up. An id is never given twice, also not after a crash.

use super::controller::Controller;
use super::plan::{Encoder, Plan, Records};
use crate::model::{NodeId, ProducerId};
use crate::protocol::write;

/// Ids in a block, as in Kafka.
pub const PRODUCER_ID_BLOCK_SIZE: i64 = 1000;

/// Ids that one broker may give out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    pub first: ProducerId,
    pub count: i64,
}

/// Why a broker gets no ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllocateError {
    #[error("Broker {0} is not registered.")]
    UnknownBroker(NodeId),
    #[error("Expected broker epoch {expected}, but got broker epoch {given}")]
    StaleBrokerEpoch { expected: i64, given: i64 },
    #[error(
        "Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit"
    )]
    Exhausted,
}

impl Controller {
    /// Works out a block of ids for a broker, which says its epoch so that an older process gets
    /// none.
    pub fn on_allocate_producer_ids(
        &self,
        node: NodeId,
        broker_epoch: i64,
    ) -> Plan<Result<ProducerIdBlock, AllocateError>> {
        match self.next_block(node, broker_epoch) {
            Err(error) => Plan { records: Records::default(), outcome: Err(error) },
            Ok(block) => {
                let mut encoder = Encoder::default();
                encoder.push(write::ProducerIdsRecord {
                    broker_id: node.0,
                    broker_epoch,
                    next_producer_id: block.first.0 + block.count,
                });
                Plan { records: encoder.finish(), outcome: Ok(block) }
            }
        }
    }

    fn next_block(&self, node: NodeId, given: i64) -> Result<ProducerIdBlock, AllocateError> {
        let broker = self.image.brokers().get(&node).ok_or(AllocateError::UnknownBroker(node))?;
        if broker.epoch != given {
            return Err(AllocateError::StaleBrokerEpoch { expected: broker.epoch, given });
        }
        let first = self.producer_id_next;
        let is_room = first.0 <= i64::MAX - PRODUCER_ID_BLOCK_SIZE;
        let block = ProducerIdBlock { first, count: PRODUCER_ID_BLOCK_SIZE };
        if is_room { Ok(block) } else { Err(AllocateError::Exhausted) }
    }
}
