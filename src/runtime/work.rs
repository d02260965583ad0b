//! Work that would hold a core too long: it is computed on a thread of its own kind, and the core
//! goes on. What it computes crosses in a cell of its own; the operation only says that it is done.

use super::core::Core;
use super::op::Op;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Compute = Box<dyn FnOnce() + Send>;

/// A computation, done once.
#[derive(Clone)]
pub struct Work(Arc<Mutex<Option<Compute>>>);

impl Work {
    fn new(work: impl FnOnce() + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(work)))))
    }

    pub(super) fn run(&self) {
        let work = lock(&self.0).take();
        if let Some(work) = work {
            work();
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Work")
    }
}

impl Core {
    /// Computes aside what would take milliseconds here; gives the value.
    pub async fn work_aside<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let place = Arc::new(Mutex::new(None));
        let out = Arc::clone(&place);
        let work = Work::new(move || {
            let value = compute();
            *lock(&out) = Some(value);
        });
        self.counters().works.add(1);
        drop(self.submit(Op::Work { work }).await);
        let value = lock(&place).take();
        value.expect("what is completed was computed")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
