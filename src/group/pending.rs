//! Ids that a group has given out and that nobody has joined with yet (KIP-394).

use super::deadlines::Alarm;
use super::ids::MemberId;
use std::collections::BTreeMap;

/// Each with the alarm of its patience.
#[derive(Debug, Default)]
pub(super) struct Pending {
    ids: BTreeMap<MemberId, Alarm>,
    bytes: usize,
}

/// An id is here and with its deadline.
fn bytes_of(id: &MemberId) -> usize {
    const ALARM: usize = 128;
    id.as_str().len() + size_of::<(MemberId, Alarm)>() + ALARM
}

impl Pending {
    /// The alarm of an id, which is given out if it was not.
    pub fn give_out(&mut self, id: &MemberId) -> &mut Alarm {
        let Self { ids, bytes } = self;
        ids.entry(id.clone()).or_insert_with(|| {
            *bytes += bytes_of(id);
            Alarm::default()
        })
    }

    pub fn remove(&mut self, id: &MemberId) -> Option<Alarm> {
        let alarm = self.ids.remove(id)?;
        self.bytes -= bytes_of(id);
        Some(alarm)
    }

    pub fn contains(&self, id: &MemberId) -> bool {
        self.ids.contains_key(id)
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// About.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub fn ids(&self) -> impl Iterator<Item = &MemberId> {
        self.ids.keys()
    }

    pub fn alarms(&mut self) -> impl Iterator<Item = &mut Alarm> {
        self.ids.values_mut()
    }

    #[cfg(test)]
    pub fn all_alarms(&self) -> impl Iterator<Item = &Alarm> {
        self.ids.values()
    }
}
