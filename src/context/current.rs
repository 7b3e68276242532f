//! Which context is current on the calling thread, for a while.

use std::marker::PhantomData;
use std::ptr;

use super::Context;
use super::record::id_of;
use crate::driver::{CUcontext, Driver};
use crate::error::Result;
use crate::exceptions;

/// A context that is current on this thread until this is dropped.
pub(crate) struct Current {
    driver: &'static Driver,
    /// What is current belongs to the thread.
    _thread: PhantomData<*const ()>,
}

impl Current {
    /// Makes a context current.
    ///
    /// # Safety
    ///
    /// It is a context of this driver, and alive.
    pub(crate) unsafe fn push(driver: &'static Driver, raw: CUcontext) -> Result<Self> {
        // SAFETY: the caller's contract.
        unsafe { driver.cuCtxPushCurrent_v2(raw) }.ok()?;
        Ok(Self { driver, _thread: PhantomData })
    }

    /// Makes the context current for a call on the handles 0, 1 and 2, unless it is already.
    pub(crate) fn ensure(context: Context) -> Result<Option<Self>> {
        if current(context.driver())? == context.raw() {
            return Ok(None);
        }
        // SAFETY: nobody ends it while a call on its streams is under way, which this is a part of (`Context::from_raw`).
        unsafe { Self::push(context.driver(), context.raw()) }.map(Some)
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        // The push was the parent's, where this was forked meanwhile.
        if exceptions::is_forked() {
            return;
        }
        let mut popped: CUcontext = ptr::null_mut();
        // SAFETY: undoes this thread's push; the out pointer is a live local.
        let answer = unsafe { self.driver.cuCtxPopCurrent_v2(&raw mut popped) };
        // A refusal leaves nothing to undo, and a destructor must not fail.
        let _ = answer;
    }
}

/// Around a user's code, which may push, pop, set and destroy contexts itself: when this is dropped,
/// what was current before is current again, if the driver can tell that it still lives.
pub(crate) struct Restore {
    driver: &'static Driver,
    before: CUcontext,
    /// Tells whether that context still lives; `None` on drivers without ids, and if it is gone already.
    id: Option<u64>,
}

impl Restore {
    pub(crate) fn new(driver: &'static Driver) -> Result<Self> {
        let before = current(driver)?;
        Ok(Self { driver, before, id: id(driver, before) })
    }

    /// Safe code can destroy a context (cudarc's drop does), so without an id there is no knowing.
    fn may_restore(&self) -> bool {
        self.before.is_null() || self.id.is_some() && id(self.driver, self.before) == self.id
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        // A child that was forked meanwhile has nothing to restore.
        if !exceptions::is_forked() && current(self.driver).is_ok_and(|now| now != self.before) && self.may_restore() {
            // SAFETY: null, or a context that lives: the driver has just answered its id.
            let answer = unsafe { self.driver.cuCtxSetCurrent(self.before) };
            // As above.
            let _ = answer;
        }
    }
}

/// The id of a living context; `None` for none, and where the driver has no ids.
fn id(driver: &Driver, context: CUcontext) -> Option<u64> {
    if context.is_null() { None } else { id_of(driver, context)?.ok() }
}

/// The thread's current context; null where there is none.
pub(super) fn current(driver: &Driver) -> Result<CUcontext> {
    let mut now: CUcontext = ptr::null_mut();
    // SAFETY: the out pointer is a live local.
    unsafe { driver.cuCtxGetCurrent(&raw mut now) }.ok()?;
    Ok(now)
}
