//! The smallest set of records that a start comes back to the committed state from.

use super::coordinator::Coordinator;
use super::record::{Change, Record};

impl Coordinator {
    /// For each group its last generation, then its offsets; and what is not ours, as it was. The
    /// offsets topic may be rewritten with these. Appends under way are not in it: they come after.
    pub fn live_records(&self) -> impl Iterator<Item = Record> {
        let foreign = self
            .foreign
            .iter()
            .map(|(key, value)| Record { key: key.clone(), value: Some(value.clone()) });
        let own = self.groups.values().flat_map(|group| {
            let generation = group
                .durable
                .iter()
                .map(|value| Change::Group { group: group.id.clone(), value: Some(value.clone()) });
            let offsets = group.offsets.iter().map(|(topic, partition, offset)| Change::Offset {
                group: group.id.clone(),
                topic: topic.clone(),
                partition,
                committed: Some(offset.clone()),
            });
            generation.chain(offsets).map(|change| change.to_record())
        });
        foreign.chain(own)
    }
}
