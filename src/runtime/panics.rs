//! What a panic may end.
//!
//! A panic while bytes from outside are decoded or validated ends the connection that they came on:
//! that code reads what it is given and changes nothing else, so that nothing is half done. Every
//! other panic is a broken belief about our own state: the whole process ends with the reason, and
//! recovers when it is started again. Never does a part of it go on without another.

use super::log;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Panics in a fence that get a line of their own; a client that has found one may send it for ever.
const TOLD_MAX: u64 = 100;
/// Letters of a message that are told: it may quote what it stumbled upon.
const MESSAGE_LETTERS_MAX: usize = 120;

/// Panics that a fence has caught, in this process.
static CAUGHT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_FENCED: Cell<bool> = const { Cell::new(false) };
    /// Where and why the panic was that is being caught.
    static REASON: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic that was caught.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker's own code failed on it ({0}); please report this")]
pub struct Panicked(String);

/// Does what may be given up whole: it reads what came from outside, and changes nothing that
/// anybody else sees.
pub fn fence<R>(work: impl FnOnce() -> R) -> Result<R, Panicked> {
    let was_fenced = IS_FENCED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    IS_FENCED.set(was_fenced);
    result.map_err(|payload| {
        CAUGHT.fetch_add(1, Ordering::Relaxed);
        // Where nobody has told us to look, the payload is all there is.
        let reason = REASON.take().unwrap_or_else(|| message(&*payload));
        Panicked(reason)
    })
}

/// Panics that were caught since the process began.
pub fn caught_count() -> u64 {
    CAUGHT.load(Ordering::Relaxed)
}

/// From now on a panic outside of a fence, on whatever thread, ends the process with a reason and
/// an abort. Once, by whoever runs a broker.
pub fn end_process_on_panic() {
    std::panic::set_hook(Box::new(on_panic));
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let place =
        info.location().map_or_else(String::new, |at| format!("{}:{}: ", at.file(), at.line()));
    let reason = place + &message(info.payload());
    // A thread that is ending has no fence any more.
    if IS_FENCED.try_with(Cell::get).unwrap_or(false) {
        if CAUGHT.load(Ordering::Relaxed) < TOLD_MAX {
            tracing::error!("a request could not be worked on, its connection ends: {reason}");
        }
        let _ = REASON.try_with(|slot| *slot.borrow_mut() = Some(reason));
        return;
    }
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("without a name");
    tracing::error!(
        "thread {name} has panicked: {reason}\n  the process ends here, and recovers what was \
         acknowledged when it starts again; please report this"
    );
    log::end();
    std::process::abort();
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    text.chars().take(MESSAGE_LETTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_gives_the_value_or_the_reason_and_can_be_used_again() {
        assert_eq!(fence(|| 7), Ok(7));
        for _ in 0..3 {
            let before = caught_count();
            let error = fence(|| -> u8 { panic!("of {} letters", 5) }).unwrap_err();
            assert!(error.to_string().contains("of 5 letters"), "{error}");
            assert!(caught_count() > before);
        }
        assert!(!IS_FENCED.get());
        // One within another gives up only what is inside.
        let outer = fence(|| (fence(|| -> u8 { panic!("inner") }).is_err(), IS_FENCED.get()));
        assert_eq!(outer, Ok((true, true)));
    }

    #[test]
    fn a_message_is_cut() {
        let long = "é".repeat(10_000);
        let error = fence(|| -> u8 { panic!("{long}") }).unwrap_err();
        assert!(error.to_string().chars().count() < MESSAGE_LETTERS_MAX + 100);
    }
}
