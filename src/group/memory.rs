//! What the groups of a core take, about, so that no client can make a coordinator grow without
//! bound: ids, members, what they say of themselves, and offsets all cost something.
//!
//! A group counts what it holds as it changes, and its charge follows after each command and each
//! record. What is asked for beyond the bound is refused; what is there already goes on: members of
//! known groups rejoin, and offsets that have a place are committed again.

use super::group::Group;
use crate::limits::GROUP_BYTES_PER_CORE_MAX;
use std::cell::Cell;
use std::rc::Rc;

/// Of all coordinators of one core together.
#[derive(Debug)]
pub struct Memory {
    held: Cell<usize>,
    max: usize,
}

/// What one group is charged with; it goes with the group.
#[derive(Debug, Default)]
pub(super) struct Charge {
    memory: Option<Rc<Memory>>,
    bytes: usize,
}

impl Memory {
    pub fn new(max: usize) -> Self {
        Self { held: Cell::new(0), max }
    }

    /// Bytes that all groups hold, about.
    pub fn held(&self) -> usize {
        self.held.get()
    }

    pub fn max(&self) -> usize {
        self.max
    }

    /// Whether so much more may be held. Nothing more always may.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        bytes == 0 || self.held.get().saturating_add(bytes) <= self.max
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(GROUP_BYTES_PER_CORE_MAX)
    }
}

impl Charge {
    fn set(&mut self, memory: &Rc<Memory>, bytes: usize) {
        memory.held.set(memory.held.get() - self.bytes + bytes);
        self.bytes = bytes;
        self.memory.get_or_insert_with(|| Rc::clone(memory));
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(memory) = &self.memory {
            memory.held.set(memory.held.get() - self.bytes);
        }
    }
}

impl Group {
    /// Charges what the group holds now.
    pub fn recharge(&mut self, memory: &Rc<Memory>) {
        let bytes = self.bytes();
        self.charge.set(memory, bytes);
    }

    /// Bytes of the group, about: what the allocator adds is not counted.
    pub fn bytes(&self) -> usize {
        // Assignments lie in the last generation and with the members.
        let durable = self.durable.as_ref().map_or(0, |value| 2 * value.len());
        Self::bytes_of(self.id.as_str().len())
            + self.offsets.bytes()
            + self.members_bytes
            + self.pending.bytes()
            + durable
    }

    /// A group that has nothing but its id.
    pub const fn bytes_of(id_len: usize) -> usize {
        // The id is in the map and in the group; a map's leaf is half empty.
        const PLACE: usize = 64;
        size_of::<Self>() + PLACE + id_len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_follows_its_group_and_goes_with_it() {
        let memory = Rc::new(Memory::new(100));
        assert!(memory.has_room(100) && !memory.has_room(101));
        let (mut first, mut second) = (Charge::default(), Charge::default());
        first.set(&memory, 60);
        second.set(&memory, 50);
        assert_eq!(memory.held(), 110);
        assert!(memory.has_room(0) && !memory.has_room(1));
        first.set(&memory, 20);
        drop(second);
        assert_eq!(memory.held(), 20);
    }
}
