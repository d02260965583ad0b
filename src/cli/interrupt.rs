//! Ctrl-C of commands that have something to finish before they end.

use super::failure::Failure;
use crate::runtime::machine;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Whether SIGINT or SIGTERM came. A second one ends the process at once.
#[derive(Debug)]
pub struct Interrupt {
    is_set: Arc<AtomicBool>,
    arrived: Receiver<()>,
}

impl Interrupt {
    /// From now on the signals are told here. Called before the command starts any thread.
    pub fn listen() -> Result<Self, Failure> {
        machine::hold_stop_signals();
        let is_set = Arc::new(AtomicBool::new(false));
        let (tell, arrived) = channel();
        let flag = Arc::clone(&is_set);
        let wait = move || {
            machine::wait_for_stop_signal();
            flag.store(true, Ordering::Relaxed);
            let _ = tell.send(());
        };
        match machine::start_aside("signals", wait) {
            Ok(_) => Ok(Self { is_set, arrived }),
            Err(source) => {
                Err(Failure::Io { during: "start to listen for Ctrl-C".to_owned(), source })
            }
        }
    }

    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    /// Waits for a span of time, or until the signal comes; whether it came.
    pub fn wait(&self, span: Duration) -> bool {
        match self.arrived.recv_timeout(span) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
            Err(RecvTimeoutError::Timeout) => self.is_set(),
        }
    }
}
