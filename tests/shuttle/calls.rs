//! Calls of the driver that must succeed.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::ffi::c_void;
use std::ptr;

use shuttle::thread;

pub(crate) type Stream = *mut c_void;
pub(crate) type Event = *mut c_void;
pub(crate) type Context = *mut c_void;

/// A handle that threads share.
#[derive(Clone, Copy)]
pub(crate) struct Shared(pub(crate) *mut c_void);

// SAFETY: handles are numbers, which any thread may pass to the driver.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// One call of the driver, which must succeed.
macro_rules! call {
    ($function:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: the tests pass live handles and places.
        let code = unsafe { explore::driver::$function($($argument),*) };
        assert_eq!(code, explore::driver::codes::SUCCESS, stringify!($function));
    }};
}
pub(crate) use call;

/// The primary context of device 0, current on this thread.
pub(crate) fn context() -> Context {
    let mut context = ptr::null_mut();
    call!(cuDevicePrimaryCtxRetain(&raw mut context, 0));
    call!(cuCtxSetCurrent(context));
    context
}

/// Runs `f` on another thread, with the context current there.
pub(crate) fn with_context<T: Send + 'static>(context: Context, f: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    let context = Shared(context);
    thread::spawn(move || {
        let context = context;
        call!(cuCtxSetCurrent(context.0));
        f()
    })
}

pub(crate) fn stream(flags: u32) -> Stream {
    let mut stream = ptr::null_mut();
    call!(cuStreamCreate(&raw mut stream, flags));
    stream
}

pub(crate) fn event() -> Event {
    let mut event = ptr::null_mut();
    call!(cuEventCreate(&raw mut event, 2));
    event
}
