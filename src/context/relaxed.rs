//! Calls that a stream capture would not survive, made all the same.

use std::ffi::c_uint;
use std::marker::PhantomData;

use crate::driver::Driver;
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
