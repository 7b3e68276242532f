//! Calls that a stream capture would not survive, made all the same.

use std::ffi::c_uint;
use std::marker::PhantomData;

use crate::driver::{Answer, Driver};
use crate::error::ErrorCode;
use crate::exceptions;
use crate::guard;

/// While this lives, calls of this thread that are unsafe during a capture neither fail because of one nor end
/// it. What they concern is not a part of any capture.
pub(crate) struct Relaxed {
    driver: &'static Driver,
    before: Option<c_uint>,
    /// The mode belongs to the thread.
    _thread: PhantomData<*const ()>,
}

impl Relaxed {
    /// Where a capture of this crate would end by such a call of this thread.
    #[inline]
    pub(crate) fn beside_captures(driver: &'static Driver) -> Option<Self> {
        if exceptions::is_capturing() { Self::if_needed(driver) } else { None }
    }

    /// Makes a call that is unsafe during a capture.
    pub(crate) fn around(driver: &'static Driver, call: impl Fn() -> Answer) -> Answer {
        let before = guard::count_of_global();
        let _relaxed = Self::beside_captures(driver);
        let answer = call();
        Self::after(answer, driver, before).map_or(answer, |_relaxed| call())
    }

    /// Where the driver has refused such a call because of a capture that another thread has begun since the
    /// [count](guard::count_of_global) was taken, `before` it was asked whether one is open: the call is to be made again,
    /// while this lives. (That capture has ended by it.)
    #[inline]
    pub(crate) fn after(answer: Answer, driver: &'static Driver, before: u64) -> Option<Self> {
        if answer.code() == Some(ErrorCode::STREAM_CAPTURE_UNSUPPORTED) { Self::overtaken(driver, before) } else { None }
    }

    #[cold]
    fn overtaken(driver: &'static Driver, before: u64) -> Option<Self> {
        (guard::count_of_global() != before).then(|| Self::enter(driver))
    }

    #[cold]
    fn if_needed(driver: &'static Driver) -> Option<Self> {
        guard::concerns_this_thread().then(|| Self::enter(driver))
    }

    pub(crate) fn enter(driver: &'static Driver) -> Self {
        const RELAXED: c_uint = 2;
        Self { driver, before: exchange(driver, RELAXED), _thread: PhantomData }
    }
}

impl Drop for Relaxed {
    fn drop(&mut self) {
        // A child that was forked meanwhile has nothing to restore.
        if let Some(before) = self.before
            && exceptions::check().is_ok()
        {
            exchange(self.driver, before);
        }
    }
}

/// Sets the thread's mode; the one before. `None` where the driver refuses: then it is as it was.
fn exchange(driver: &Driver, mut mode: c_uint) -> Option<c_uint> {
    // SAFETY: the pointer is a live local, and the mode is one of the driver's.
    unsafe { driver.cuThreadExchangeStreamCaptureMode(&raw mut mode) }.is_ok().then_some(mode)
}

#[cfg(all(test, not(softcuda_shuttle)))]
mod tests {
    use std::cell::Cell;
    use std::thread;

    use super::*;
    use crate::driver::driver;

    /// A call that is refused the first time, when `begin` was called on another thread; how it ends, and how often it was made.
    fn overtaken(begin: fn()) -> (Option<ErrorCode>, u32) {
        let driver = driver().unwrap();
        let calls = Cell::new(0);
        let call = || {
            calls.set(calls.get() + 1);
            let _refusal = (calls.get() == 1).then(|| {
                thread::spawn(begin).join().unwrap();
                softcuda::inject("cuDriverGetVersion", ErrorCode::STREAM_CAPTURE_UNSUPPORTED.get())
            });
            let mut version = 0;
            // SAFETY: the out pointer is a live local.
            unsafe { driver.cuDriverGetVersion(&raw mut version) }
        };
        (Relaxed::around(driver, call).code(), calls.get())
    }

    #[test]
    fn a_call_that_a_capture_of_all_threads_has_overtaken_is_made_again() {
        softcuda::install().unwrap();
        let refused = Some(ErrorCode::STREAM_CAPTURE_UNSUPPORTED);
        assert_eq!(overtaken(|| ()), (refused, 1), "by a capture of others");
        assert_eq!(overtaken(|| drop(guard::Open::begin(1, false))), (refused, 1));
        assert_eq!(overtaken(|| drop(guard::Open::begin(1, true))), (None, 2), "though it has ended");
        assert_eq!(overtaken(|| ()), (refused, 1), "by another one since");
    }
}
