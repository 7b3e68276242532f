//! The driver's stream that all handles of it share.

use std::ffi::{c_int, c_ulonglong};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::StreamOptions;
use crate::context::Context;
use crate::driver::CUstream;
use crate::error::Result;
use crate::handle::Object;

/// The driver's stream with what is known of it from its creation.
pub(super) struct Inner {
    pub(super) raw: CUstream,
    pub(super) context: Context,
    pub(super) id: u64,
    pub(super) priority: i32,
    pub(super) blocking: bool,
}

// SAFETY: a stream handle may be used from any thread, says the driver; the rest is Send.
unsafe impl Send for Inner {}
// SAFETY: as above; nothing changes while it is shared.
unsafe impl Sync for Inner {}

impl Inner {
    pub(super) fn create(context: Context, options: StreamOptions) -> Result<Self> {
        let raw = create(context, options)?;
        let known = id(context, raw).and_then(|id| Ok((id, priority(context, raw)?)));
        match known {
            Ok((id, priority)) => Ok(Self { raw, context, id, priority, blocking: options.blocking }),
            Err(error) => {
                // SAFETY: just created in this context, and nobody else has the handle.
                let _ = unsafe { Object::Stream(raw).destroy(context) };
                Err(error)
            }
        }
    }

    pub(super) fn destroy(&self) -> Result<()> {
        // SAFETY: only `drop` and `Stream::destroy` call this, on the last handle, and never both.
        unsafe { Object::Stream(self.raw).destroy(self.context) }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody is there to be told; `Stream::destroy` tells.
        let _ = self.destroy();
    }
}

/// A new driver stream.
fn create(context: Context, options: StreamOptions) -> Result<CUstream> {
    let _current = context.enter()?;
    let mut raw: CUstream = ptr::null_mut();
    let flags = u32::from(!options.blocking);
    // SAFETY: the context is current, the out pointer is a live local.
    let answer = unsafe { context.driver().cuStreamCreateWithPriority(&raw mut raw, flags, options.priority) };
    context.check(answer)?;
    Ok(raw)
}

/// The driver's id of a stream, or the next of our own numbers on a driver that has none.
fn id(context: Context, raw: CUstream) -> Result<u64> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id: c_ulonglong = 0;
    // SAFETY: the stream is alive, the out pointer is a live local.
    match unsafe { context.driver().cuStreamGetId(raw, &raw mut id) } {
        Some(answer) => context.check(answer).map(|()| id),
        None => Ok(NEXT.fetch_add(1, Ordering::Relaxed)),
    }
}

/// The priority that the driver gave it.
fn priority(context: Context, raw: CUstream) -> Result<i32> {
    let mut priority: c_int = 0;
    // SAFETY: the stream is alive, the out pointer is a live local.
    let answer = unsafe { context.driver().cuStreamGetPriority(raw, &raw mut priority) };
    context.check(answer).map(|()| priority)
}
