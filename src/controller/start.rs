//! Starting: the records that make a log a cluster's, and a broker's registration.

use super::broker::Registration;
use super::controller::Controller;
use super::plan::{BATCH_RECORDS_MAX, Encoder, Plan, Records};
use super::version::{METADATA_VERSION, METADATA_VERSION_LEVEL};
use crate::protocol::write;

/// `BrokerRegistrationChange.Fenced` of a broker that is fenced no more.
const UNFENCE: i8 = -1;
const PLAINTEXT: i16 = 0;

impl Controller {
    /// Works out what a starting node writes: on an empty log the finalized features, always its
    /// registration, which ends fenced and is unfenced at once, since one node waits for no other.
    ///
    /// The outcome is the broker's epoch. It is at least `epoch_min` (the end of the metadata log,
    /// as in Kafka) and greater than that of every process before.
    pub fn on_start(&self, registration: &Registration, epoch_min: i64) -> Plan<i64> {
        let before = self.image.brokers().get(&self.node_id).map(|broker| broker.epoch);
        let epoch = before.map_or(epoch_min, |before| epoch_min.max(before.saturating_add(1)));
        let mut encoder = Encoder::default();
        if !self.image.features().contains_key(METADATA_VERSION) {
            encoder.push(write::FeatureLevelRecord {
                name: METADATA_VERSION.into(),
                feature_level: METADATA_VERSION_LEVEL,
            });
        }
        encoder.push(self.registration_record(registration, epoch));
        encoder.push(write::BrokerRegistrationChangeRecord {
            broker_id: self.node_id.0,
            broker_epoch: epoch,
            fenced: UNFENCE,
            ..Default::default()
        });
        Plan { records: encoder.finish(), outcome: epoch }
    }

    /// Works out a new leader epoch for every partition: after a stop that was not clean, records
    /// that were read before may be lost, and other records will take their offsets. Clients tell
    /// the two apart by the epoch (KIP-320). Each batch stands for itself.
    pub fn on_unclean_restart(&self) -> Vec<Records> {
        let mut batches = Vec::new();
        let mut encoder = Encoder::default();
        for topic in self.image.topics() {
            for (index, partition) in (0..).zip(&topic.partitions) {
                let Some(leader) = partition.leader else { continue };
                encoder.push(write::PartitionChangeRecord {
                    partition_id: index,
                    topic_id: topic.id,
                    leader: leader.0,
                    ..Default::default()
                });
                if encoder.len() == BATCH_RECORDS_MAX {
                    batches.push(std::mem::take(&mut encoder).finish());
                }
            }
        }
        if encoder.len() > 0 {
            batches.push(encoder.finish());
        }
        batches
    }

    fn registration_record<'a>(
        &self,
        registration: &'a Registration,
        epoch: i64,
    ) -> write::RegisterBrokerRecord<'a> {
        let endpoint =
            |e: &'a super::broker::BrokerEndpoint| write::register_broker_record::BrokerEndpoint {
                name: e.listener.as_str().into(),
                host: e.host.as_str().into(),
                port: e.port,
                security_protocol: PLAINTEXT,
            };
        write::RegisterBrokerRecord {
            broker_id: self.node_id.0,
            incarnation_id: registration.incarnation,
            broker_epoch: epoch,
            end_points: registration.endpoints.iter().map(endpoint).collect(),
            features: vec![write::register_broker_record::BrokerFeature {
                name: METADATA_VERSION.into(),
                min_supported_version: METADATA_VERSION_LEVEL,
                max_supported_version: METADATA_VERSION_LEVEL,
            }],
            rack: registration.rack.as_deref().map(Into::into),
            fenced: true,
            log_dirs: registration.log_dirs.clone(),
            ..Default::default()
        }
    }
}
