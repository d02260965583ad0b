//! Leaving out what aborted transactions wrote: a fetch of committed records names them, and their
//! markers in the log end them.

use crate::cli::batches::Batch;
use crate::record::EndTxnMarker;
use std::collections::BTreeSet;

/// The aborted transactions of one fetched range: (first offset, producer id).
#[derive(Debug, Default)]
pub struct Aborted {
    /// By first offset, the last one first.
    to_come: Vec<(i64, i64)>,
    open: BTreeSet<i64>,
}

impl Aborted {
    pub fn new(mut transactions: Vec<(i64, i64)>) -> Self {
        transactions.sort_unstable_by(|a, b| b.cmp(a));
        Self { to_come: transactions, open: BTreeSet::new() }
    }

    /// Whether a batch's records are to be shown. To be asked of every batch in order.
    pub fn admit(&mut self, batch: &Batch) -> bool {
        let header = &batch.header;
        while let Some((first, producer)) = self.to_come.last().copied()
            && first <= header.last_offset().0
        {
            self.open.insert(producer);
            self.to_come.pop();
        }
        if header.attributes.is_control() {
            let is_abort = batch.records.iter().any(|record| {
                let marker = EndTxnMarker::parse(record.key.as_deref(), record.value.as_deref());
                matches!(marker, Ok(Some(marker)) if !marker.commit)
            });
            if is_abort {
                self.open.remove(&header.producer_id.0);
            }
            return false;
        }
        !(header.attributes.is_transactional() && self.open.contains(&header.producer_id.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::batches::read_batches;
    use crate::model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};
    use crate::record::{BatchBuilder, NewRecord};

    fn batch(offset: i64, producer: i64) -> Vec<u8> {
        let (mut builder, mut out) = (BatchBuilder::new(), Vec::new());
        builder.at(Offset(offset), LeaderEpoch(0));
        if producer >= 0 {
            builder.producer(ProducerId(producer), ProducerEpoch(0), 0).transactional(true);
        }
        let record = NewRecord { timestamp: Timestamp(1), value: Some(b"v"), ..Default::default() };
        builder.push(&record).unwrap();
        builder.finish(&mut out).unwrap();
        out
    }

    fn marker(offset: i64, producer: i64, commit: bool) -> Vec<u8> {
        let (mut builder, mut out) = (BatchBuilder::new(), Vec::new());
        builder.at(Offset(offset), LeaderEpoch(0));
        let marker = EndTxnMarker { commit, coordinator_epoch: 0 };
        marker.push(&mut builder, ProducerId(producer), ProducerEpoch(0), Timestamp(1)).unwrap();
        builder.finish(&mut out).unwrap();
        out
    }

    #[test]
    fn only_what_was_not_aborted_is_shown() {
        // Producer 1 aborts 0 and 2, then commits 6; producer 2 commits 1.
        let log = [
            batch(0, 1),
            batch(1, 2),
            batch(2, 1),
            batch(3, -1),
            marker(4, 1, false),
            marker(5, 2, true),
            batch(6, 1),
            marker(7, 1, true),
        ];
        let batches = read_batches(&log.concat()).unwrap();
        let mut aborted = Aborted::new(vec![(0, 1)]);
        let shown: Vec<_> =
            batches.iter().filter(|b| aborted.admit(b)).map(|b| b.header.base_offset.0).collect();
        assert_eq!(shown, [1, 3, 6]);
        let mut all = Aborted::default();
        assert_eq!(batches.iter().filter(|batch| all.admit(batch)).count(), 5);
    }
}
