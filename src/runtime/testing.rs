//! Runs async tests on a core of their own, for the rooms above.

use super::core::Core;
use super::machine::{self, Doorbell, MachineOptions};
use super::ring::RingOptions;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn options(receive_blocks: u16, block_count: u32) -> MachineOptions {
    MachineOptions {
        cpus: vec![None],
        ring: RingOptions {
            spin_max: Duration::ZERO,
            receive_blocks,
            receive_block_bytes: 4096,
            no_iowait: true,
        },
        block_count,
    }
}

/// Runs one async test on a core of its own.
pub(crate) fn run<F: Future<Output = ()> + 'static>(
    options: MachineOptions,
    test: impl FnOnce(Core) -> F,
) {
    let core = machine::core_here(0, &options, Arc::new(Doorbell::new().unwrap())).unwrap();
    let finished = Rc::new(RefCell::new(false));
    let (inner, flag) = (core.clone(), Rc::clone(&finished));
    let body = test(core.clone());
    core.spawn(async move {
        body.await;
        *flag.borrow_mut() = true;
        inner.stop();
    });
    core.run();
    assert!(*finished.borrow(), "the core stopped before its test had finished");
}
