//! A number that one thread changes and any thread may read, such as a metric of a core: relaxed,
//! and without the bus lock that several writers would need.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts up, or shows a level. Only one thread may change it.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn add(&self, count: u64) {
        self.set(self.get().wrapping_add(count));
    }

    pub fn sub(&self, count: u64) {
        self.set(self.get().wrapping_sub(count));
    }
}
