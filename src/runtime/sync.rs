//! Meeting points of tasks on one core: a bell, and a value that arrives once.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// A bell that one or more tasks wait for. A ring with nobody waiting is kept for the next.
#[derive(Default)]
pub struct Bell(RefCell<BellState>);

#[derive(Default)]
struct BellState {
    /// Nobody has heard the last ring yet.
    rung: bool,
    /// Counts them, so that each of those who waited hears one, whoever comes first.
    rings: u64,
    waiting: Vec<Waker>,
}

impl Bell {
    /// All who wait hear it.
    pub fn ring(&self) {
        let mut state = self.0.borrow_mut();
        state.rung = true;
        state.rings += 1;
        state.waiting.drain(..).for_each(Waker::wake);
    }

    /// Resolves at the next ring, or at once if one was kept.
    pub fn heard(&self) -> impl Future<Output = ()> + '_ {
        let mut since = None;
        std::future::poll_fn(move |context| {
            let mut state = self.0.borrow_mut();
            let rings = state.rings;
            if std::mem::take(&mut state.rung) || *since.get_or_insert(rings) != rings {
                return Poll::Ready(());
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                state.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
    }
}

/// A value that arrives once.
pub struct Promise<T>(Rc<RefCell<PromiseState<T>>>);

/// The other end: resolves to the value, or `None` if the promise was dropped unkept.
pub struct Awaited<T>(Rc<RefCell<PromiseState<T>>>);

struct PromiseState<T> {
    value: Option<T>,
    waker: Option<Waker>,
    gone: bool,
}

/// A promise and the future of its value.
pub fn promise<T>() -> (Promise<T>, Awaited<T>) {
    let state = Rc::new(RefCell::new(PromiseState { value: None, waker: None, gone: false }));
    (Promise(Rc::clone(&state)), Awaited(state))
}

impl<T> Promise<T> {
    pub fn keep(self, value: T) {
        self.0.borrow_mut().value = Some(value);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let mut state = self.0.borrow_mut();
        state.gone = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

impl<T> Future for Awaited<T> {
    type Output = Option<T>;

    fn poll(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Poll<Option<T>> {
        let mut state = self.0.borrow_mut();
        match state.value.take() {
            None if !state.gone => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
            value => Poll::Ready(value),
        }
    }
}

/// Runs two futures; gives what the first to finish gives, and drops the other.
pub async fn race<T>(a: impl Future<Output = T>, b: impl Future<Output = T>) -> T {
    let mut a = std::pin::pin!(a);
    let mut b = std::pin::pin!(b);
    std::future::poll_fn(|context| match a.as_mut().poll(context) {
        Poll::Pending => b.as_mut().poll(context),
        ready @ Poll::Ready(_) => ready,
    })
    .await
}

/// Lets one task in at a time, in some order.
#[derive(Default)]
pub struct Gate {
    is_taken: std::cell::Cell<bool>,
    bell: Bell,
}

/// Held while inside; leaving lets the next one in.
pub struct Inside<'a>(&'a Gate);

impl Gate {
    pub async fn enter(&self) -> Inside<'_> {
        while self.is_taken.replace(true) {
            self.bell.heard().await;
        }
        Inside(self)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.is_taken.set(false);
        self.0.bell.ring();
    }
}

/// Runs futures side by side; gives their values in the order of the futures.
pub async fn all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    let mut values: Vec<Option<T>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut is_pending = false;
        for (slot, value) in running.iter_mut().zip(&mut values) {
            let Some(future) = slot else { continue };
            match future.as_mut().poll(context) {
                Poll::Ready(ready) => (*slot, *value) = (None, Some(ready)),
                Poll::Pending => is_pending = true,
            }
        }
        if is_pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    values.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::pin::pin;
    use std::task::Context;

    fn is_ready(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn all_who_wait_hear_one_ring() {
        let bell = Bell::default();
        let (mut first, mut second) = (pin!(bell.heard()), pin!(bell.heard()));
        assert!(!is_ready(first.as_mut()) && !is_ready(second.as_mut()));
        bell.ring();
        assert!(is_ready(first.as_mut()) && is_ready(second.as_mut()));
        assert!(!is_ready(pin!(bell.heard())), "it was heard");
    }

    #[test]
    fn a_ring_that_nobody_waits_for_is_kept_for_one() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        assert!(is_ready(pin!(bell.heard())));
        assert!(!is_ready(pin!(bell.heard())));
    }

    #[test]
    fn who_went_away_takes_no_ring_along() {
        let bell = Bell::default();
        assert!(!is_ready(pin!(bell.heard())));
        bell.ring();
        assert!(is_ready(pin!(bell.heard())));
    }

    #[test]
    fn a_gate_lets_one_in_at_a_time() {
        let (gate, inside) = (Gate::default(), Cell::new(0));
        let enter = || async {
            let _inside = gate.enter().await;
            inside.set(inside.get() + 1);
            std::future::pending::<()>().await;
        };
        let (mut first, mut second) = (Box::pin(enter()), pin!(enter()));
        assert!(!is_ready(first.as_mut()) && !is_ready(second.as_mut()));
        assert_eq!(inside.get(), 1);
        drop(first);
        assert!(!is_ready(second.as_mut()));
        assert_eq!(inside.get(), 2);
    }
}
