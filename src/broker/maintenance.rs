//! What a shard does now and then: retention, and syncs that a topic's flush.ms asks for. One task
//! walks all partitions; none has a timer of its own.

use super::doing::Phase;
use super::shard::Shard;
use std::rc::Rc;

impl Shard {
    /// Applies retention every `log.retention.check.interval.ms`.
    pub async fn keep_retention(self: Rc<Self>) {
        let interval = self.facts.config.retention_check_interval;
        loop {
            self.core().sleep(interval).await;
            let partitions: Vec<_> = self.partitions.borrow().values().cloned().collect();
            for partition in partitions {
                self.doing_at(Phase::Retention, partition.topic, partition.index);
                partition.retain(&self).await;
            }
        }
    }

    /// Syncs what has waited longer than its topic's `flush.ms`.
    pub async fn keep_flushed(self: Rc<Self>) {
        loop {
            self.core().sleep(std::time::Duration::from_millis(500)).await;
            let now = self.core().now();
            let partitions: Vec<_> = self.partitions.borrow().values().cloned().collect();
            for partition in partitions {
                partition.sync_if_due(&self, now);
            }
        }
    }
}
