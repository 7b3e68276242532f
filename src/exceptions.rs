//! What keeps a call from going straight to the driver: asked by each, so all of it is one word, which is nearly
//! always zero.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use crate::error::{Error, ErrorCode, Result};
use crate::sync::{AtomicU64, global, thread_local};

global! {
    /// [`FORKED`], [`EXITED`], how often [`HOST_FUNCTION`] holds at this moment in any thread, and how often [`CAPTURING`].
    static EXCEPTIONS: AtomicU64 = AtomicU64::new(0);
}

/// This process was forked from one that used the driver.
const FORKED: u64 = 1;
/// This process exits: the driver ends, or has ended.
const EXITED: u64 = 1 << 1;
/// A thread is inside a function that the driver calls. Counted in the bits up to the upper half.
const HOST_FUNCTION: u64 = 1 << 2;
/// A capture of this crate is open. Counted in the upper half.
const CAPTURING: u64 = 1 << 32;
/// Where that is counted: all else concerns [`check`].
const CAPTURES: u64 = u64::MAX << 32;

thread_local! {
    /// How many functions that the driver has called this thread is inside of. Without a destructor, so that it is
    /// there in those of other thread-local values.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread may call the driver: [`Error::ForkedChild`] if not in this process,
/// [`Error::InHostFunction`] if not here; what the driver would answer, if it has ended.
///
/// Inline to the end: a call here, even one that is never made, costs its callers a register on the way that is
/// always taken.
#[inline]
pub(crate) fn check() -> Result<()> {
    let exceptions = EXCEPTIONS.load(Ordering::Relaxed) & !CAPTURES;
    if exceptions == 0 {
        Ok(())
    } else if exceptions & FORKED != 0 {
        Err(Error::ForkedChild)
    } else if exceptions & EXITED != 0 {
        Err(Error::Driver { call: "exit", code: ErrorCode::DEINITIALIZED })
    } else if INSIDE.get() != 0 {
        Err(Error::InHostFunction)
    } else {
        Ok(())
    }
}

/// Whether [`check`] has nothing to look at: then it allows all.
#[inline]
pub(crate) fn is_none() -> bool {
    EXCEPTIONS.load(Ordering::Relaxed) & !CAPTURES == 0
}

/// Whether this is a child of a process that used the driver.
#[inline]
pub(crate) fn is_forked() -> bool {
    EXCEPTIONS.load(Ordering::Relaxed) & FORKED != 0
}

/// From now on this is such a child. Does what a signal handler may.
#[cfg_attr(not(all(unix, not(miri))), expect(dead_code, reason = "there are no children"))]
pub(crate) fn forked() {
    EXCEPTIONS.fetch_or(FORKED, Ordering::Relaxed);
}

/// From now on no call reaches the driver.
#[cfg_attr(not(all(unix, not(miri))), expect(dead_code, reason = "nobody says when it exits"))]
pub(crate) fn exited() {
    EXCEPTIONS.fetch_or(EXITED, Ordering::Relaxed);
}

/// Whether this thread is inside a function that the driver has called. Not in a forked child, whatever it was forked
/// inside of: there is no driver, nor a thread that would do later what is not allowed here.
#[inline]
pub(crate) fn in_host_function() -> bool {
    let exceptions = EXCEPTIONS.load(Ordering::Relaxed) & !CAPTURES;
    exceptions != 0 && exceptions & FORKED == 0 && INSIDE.get() != 0
}

/// A function that the driver has called runs on this thread until this is dropped.
pub(crate) struct HostFunction(PhantomData<*const ()>);

impl HostFunction {
    pub(crate) fn enter() -> Self {
        INSIDE.set(INSIDE.get() + 1);
        // Before what the thread does next, which is enough: no other thread's calls change.
        EXCEPTIONS.fetch_add(HOST_FUNCTION, Ordering::Relaxed);
        Self(PhantomData)
    }
}

impl Drop for HostFunction {
    fn drop(&mut self) {
        EXCEPTIONS.fetch_sub(HOST_FUNCTION, Ordering::Relaxed);
        INSIDE.set(INSIDE.get() - 1);
    }
}

/// Whether a capture of this crate is open, on whichever thread.
#[inline]
pub(crate) fn is_capturing() -> bool {
    EXCEPTIONS.load(Ordering::Relaxed) & CAPTURES != 0
}

/// A capture of this crate is open until this is dropped.
pub(crate) struct Capturing(());

impl Capturing {
    pub(crate) fn begin() -> Self {
        // Whoever learns of the capture sees that one is open.
        EXCEPTIONS.fetch_add(CAPTURING, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Capturing {
    fn drop(&mut self) {
        EXCEPTIONS.fetch_sub(CAPTURING, Ordering::SeqCst);
    }
}

#[cfg(all(test, not(softcuda_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_inside_a_host_function_is_refused() {
        let outer = HostFunction::enter();
        let inner = HostFunction::enter();
        assert_eq!(check(), Err(Error::InHostFunction));
        assert!(in_host_function());
        std::thread::spawn(|| assert!(check().is_ok() && !in_host_function())).join().unwrap();
        drop(inner);
        assert_eq!(check(), Err(Error::InHostFunction), "still inside the outer one");
        drop(outer);
        assert!(check().is_ok() && !in_host_function());
    }

    #[test]
    fn a_capture_refuses_nothing_by_itself() {
        let captures = [Capturing::begin(), Capturing::begin()];
        assert!(is_capturing());
        assert_eq!(check(), Ok(()));
        let _inside = HostFunction::enter();
        assert_eq!(check(), Err(Error::InHostFunction));
        drop(captures);
        assert!(!is_capturing());
        assert_eq!(check(), Err(Error::InHostFunction));
    }
}
