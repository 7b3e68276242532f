//! Which context is current on a thread, asked of and told to the driver directly.

use std::ptr;

use cuda_streams::{Context, Device, RawContext};

use super::raw;

/// The context that is current on this thread, or null.
pub(crate) fn current() -> RawContext {
    let mut context = ptr::null_mut();
    // SAFETY: the out pointer is a live local.
    let code = unsafe { raw::cuCtxGetCurrent(&raw mut context) };
    assert_eq!(code, raw::SUCCESS);
    context
}

/// A context that is nobody's primary one, as an application has that does not use primary contexts.
#[derive(Debug)]
pub(crate) struct SecondContext(RawContext);

// SAFETY: the handle of a context may be used from any thread.
unsafe impl Send for SecondContext {}
// SAFETY: as above.
unsafe impl Sync for SecondContext {}

impl SecondContext {
    pub(crate) fn new(device: Device) -> Self {
        let mut context = ptr::null_mut();
        // SAFETY: the out pointer is a live local.
        let code = unsafe { raw::cuCtxCreate_v2(&raw mut context, 0, raw::device_number(device)) };
        assert_eq!(code, raw::SUCCESS, "a second context");
        assert!(!context.is_null());
        assert_eq!(pop(), context, "a new context is current");
        Self(context)
    }

    pub(crate) fn as_raw(&self) -> RawContext {
        self.0
    }

    /// Hands the context to somebody who destroys it.
    pub(crate) fn into_raw(self) -> RawContext {
        std::mem::ManuallyDrop::new(self).0
    }

    /// Runs `f` with the context current, and checks that it is so afterwards.
    pub(crate) fn with_current<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: the context is alive.
        let code = unsafe { raw::cuCtxPushCurrent_v2(self.0) };
        assert_eq!(code, raw::SUCCESS);
        let result = f();
        assert_eq!(pop(), self.0, "the current context is another than before");
        result
    }
}

impl Drop for SecondContext {
    fn drop(&mut self) {
        // SAFETY: it lives, and nothing is used of it afterwards.
        let context = unsafe { Context::from_raw(self.0) };
        // Or its idle events go with it, which is a leak to the software driver.
        let _ = context.and_then(Context::trim_events);
        // SAFETY: created here, and nobody uses it any more.
        let _ = unsafe { raw::cuCtxDestroy_v2(self.0) };
    }
}

/// Takes the current context off the stack in the other way; answers the driver's code.
pub(crate) fn clear() -> u32 {
    // SAFETY: null is no context.
    unsafe { raw::cuCtxSetCurrent(ptr::null_mut()) }
}

/// Changes what is current, if [`Context::with_current`](cuda_streams::Context::with_current) undoes it:
/// on a driver without ids it does not.
pub(crate) fn change() {
    if raw::has_ids() {
        clear();
    }
}

/// Takes the current context off the stack of this thread.
pub(crate) fn pop() -> RawContext {
    let mut popped = ptr::null_mut();
    // SAFETY: the out pointer is a live local.
    let code = unsafe { raw::cuCtxPopCurrent_v2(&raw mut popped) };
    assert_eq!(code, raw::SUCCESS);
    popped
}
