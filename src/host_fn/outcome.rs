//! What becomes of something that runs elsewhere, and who waits for it.

use std::mem;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A place for a result: filled once, by whoever has it first, and taken once.
pub(super) struct Outcome<R> {
    state: Mutex<State<R>>,
    filled: Condvar,
}

enum State<R> {
    Pending(Option<Waker>),
    /// Nobody wants it.
    Detached,
    Filled(R),
    Taken,
}

impl<R> Outcome<R> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::Pending(None)), filled: Condvar::new() }
    }

    /// Not in a forked child: another thread of its parent may have held the lock.
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills it and wakes who waits. Gives the result back if nobody wants it.
    pub(super) fn fill(&self, result: R) -> Option<R> {
        let mut state = self.lock();
        let State::Pending(waker) = &mut *state else { return Some(result) };
        let waker = waker.take();
        *state = State::Filled(result);
        drop(state);
        self.filled.notify_all();
        // Not under the lock: it may be anybody's.
        waker.into_iter().for_each(Waker::wake);
        None
    }

    pub(super) fn is_pending(&self) -> bool {
        matches!(*self.lock(), State::Pending(_))
    }

    /// Waits until it is filled, and no longer than about so long; whether it is pending still.
    pub(super) fn wait(&self, limit: Duration) -> bool {
        let state = self.lock();
        if !matches!(*state, State::Pending(_)) {
            return false;
        }
        let (state, _) = self.filled.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner);
        matches!(*state, State::Pending(_))
    }

    /// The result; `None` if there is none any more. Otherwise the waker is woken with it.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Option<R>> {
        let mut state = self.lock();
        let State::Pending(last) = &mut *state else {
            drop(state);
            return Poll::Ready(self.take());
        };
        if !last.as_ref().is_some_and(|last| last.will_wake(waker)) {
            let last = last.replace(waker.clone());
            // Not under the lock: it may be anybody's.
            drop(state);
            drop(last);
        }
        Poll::Pending
    }

    /// The result, if there is one still.
    pub(super) fn take(&self) -> Option<R> {
        let mut state = self.lock();
        match &*state {
            State::Filled(_) => match mem::replace(&mut *state, State::Taken) {
                State::Filled(result) => Some(result),
                _ => None,
            },
            _ => None,
        }
    }

    /// Nobody wants the result any more: it is given back, if there is one.
    pub(super) fn detach(&self) -> Option<R> {
        let before = mem::replace(&mut *self.lock(), State::Detached);
        match before {
            State::Filled(result) => Some(result),
            // A waker is dropped here, not under the lock.
            _ => None,
        }
    }
}

#[cfg(all(test, not(softcuda_shuttle)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_is_filled_once_and_taken_once() {
        let outcome = Outcome::new();
        assert!(outcome.is_pending() && outcome.take().is_none());
        assert_eq!((outcome.fill(1), outcome.fill(2)), (None, Some(2)));
        assert_eq!((outcome.take(), outcome.take(), outcome.fill(3)), (Some(1), None, Some(3)));
        assert_eq!(outcome.poll(Waker::noop()), Poll::Ready(None));
    }

    #[test]
    fn the_last_waker_is_woken_once() {
        let (outcome, [first, last]) = (Outcome::new(), std::array::from_fn(|_| Arc::new(Count::default())));
        for waker in [&first, &last, &last] {
            assert!(outcome.poll(&Waker::from(waker.clone())).is_pending());
        }
        assert_eq!(Arc::strong_count(&first), 1, "which is not kept");
        outcome.fill(7);
        assert_eq!([&first, &last].map(|count| count.0.load(Ordering::Relaxed)), [0, 1]);
        assert_eq!(outcome.poll(Waker::noop()), Poll::Ready(Some(7)));
    }

    #[test]
    fn what_nobody_wants_is_given_back() {
        let outcome = Outcome::new();
        assert!(outcome.detach().is_none());
        assert_eq!(outcome.fill(1), Some(1));
        let outcome = Outcome::new();
        outcome.fill(2);
        assert_eq!(outcome.detach(), Some(2));
    }

    #[test]
    fn a_wait_ends_with_the_result_or_with_its_time() {
        let outcome = Outcome::new();
        assert!(outcome.wait(Duration::from_micros(1)));
        std::thread::scope(|scope| {
            scope.spawn(|| outcome.fill(()));
            while outcome.wait(Duration::MAX) {}
        });
        assert!(!outcome.wait(Duration::MAX));
    }
}
