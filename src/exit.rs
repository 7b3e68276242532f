//! The end of the process: when it exits, the threads of this crate stop before the driver ends, and no call reaches it from
//! then on.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::exceptions;

struct Work {
    state: Mutex<State>,
    ended: Condvar,
}

struct State {
    /// How many are at work.
    count: usize,
    is_exiting: bool,
}

static WORK: Work = Work::new();

std::thread_local! {
    /// How often this thread is at work: one piece of it may do another. Without a destructor, since it is asked after those
    /// have run.
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// A thread of this crate is at work, and may call the driver until this is dropped.
pub(crate) struct AtWork {
    work: &'static Work,
    _thread: PhantomData<*const ()>,
}

impl AtWork {
    /// `None` when the process exits, or was forked from another: there is nothing more to be done.
    pub(crate) fn begin() -> Option<Self> {
        if exceptions::is_forked() { None } else { WORK.begin() }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        HERE.set(HERE.get() - 1);
        // The work may have forked.
        if exceptions::is_forked() {
            return;
        }
        self.work.lock().count -= 1;
        self.work.ended.notify_all();
    }
}

impl Work {
    const fn new() -> Self {
        Self { state: Mutex::new(State { count: 0, is_exiting: false }), ended: Condvar::new() }
    }

    /// Not in a forked child: another thread of its parent may have held the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&'static self) -> Option<AtWork> {
        let mut state = self.lock();
        if state.is_exiting {
            return None;
        }
        state.count += 1;
        HERE.set(HERE.get() + 1);
        Some(AtWork { work: self, _thread: PhantomData })
    }

    /// Nobody begins any more; waits for those that are at work, and no longer than so long. Whether none is.
    #[cfg_attr(not(all(unix, not(miri))), cfg_attr(not(test), expect(dead_code, reason = "nobody says when it exits")))]
    fn end(&self, patience: Duration) -> bool {
        let mut state = self.lock();
        state.is_exiting = true;
        // Who exits from inside of its work does not wait for itself.
        let others = |state: &mut State| state.count > HERE.get();
        let (_state, waited) = self.ended.wait_timeout_while(state, patience, others).unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out()
    }
}

/// From now on the end of the process is noticed. To be called once, when the driver is initialised: handlers run in the
/// reverse order of their registration, so this one before those that the driver has registered by then.
#[cfg(all(unix, not(miri)))]
pub(crate) fn watch() {
    /// Whoever exits waits for what is under way, but not for ever: it may wait for them.
    const PATIENCE: Duration = Duration::from_secs(1);

    extern "C" fn at_exit() {
        if !exceptions::is_forked() {
            WORK.end(PATIENCE);
            exceptions::exited();
        }
    }

    // SAFETY: the handler is a function of this library, which takes its handlers along if it is unloaded.
    let refused = unsafe { libc::atexit(at_exit) };
    if refused != 0 {
        // The process exits already; or there is no memory for it, and what is given up is leaked.
        WORK.end(Duration::ZERO);
    }
}

/// The end is not noticed: elsewhere the threads have ended when handlers run.
#[cfg(not(all(unix, not(miri))))]
pub(crate) fn watch() {}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    fn work() -> &'static Work {
        Box::leak(Box::new(Work::new()))
    }

    #[test]
    fn nobody_begins_once_it_has_ended() {
        let work = work();
        drop(work.begin().unwrap());
        assert!(work.end(Duration::ZERO));
        assert!(work.begin().is_none());
    }

    #[test]
    fn who_is_at_work_is_waited_for() {
        let work = work();
        let (tell, told) = channel();
        let (release, released) = channel::<()>();
        thread::spawn(move || {
            let at_work = work.begin().unwrap();
            tell.send(()).unwrap();
            released.recv().unwrap_err();
            drop(at_work);
        });
        told.recv().unwrap();
        assert!(!work.end(Duration::from_millis(1)), "it is at work");
        drop(release);
        assert!(work.end(LONG));
    }

    #[test]
    fn who_exits_at_work_does_not_wait_for_itself() {
        let work = work();
        let _at_work = [work.begin().unwrap(), work.begin().unwrap()];
        assert!(work.end(LONG));
    }
}
