//! The driver's stream that all handles of it share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::{mem, ptr};

use super::StreamOptions;
use crate::context::Context;
use crate::driver::CUstream;
use crate::error::Result;
use crate::exceptions;
use crate::handle::{Lent, Object, RawStream, StreamRef};
use crate::reaper;

/// The driver's stream with what is known of it from its creation.
pub(super) struct Inner {
    pub(super) raw: CUstream,
    pub(super) context: Context,
    pub(super) id: u64,
    pub(super) priority: i32,
    pub(super) blocking: bool,
    pub(super) lent: Lent,
}

// SAFETY: a stream handle may be used from any thread, says the driver; the rest is Send.
unsafe impl Send for Inner {}
// SAFETY: as above; nothing changes while it is shared.
unsafe impl Sync for Inner {}

impl Inner {
    pub(super) fn create(context: Context, options: StreamOptions) -> Result<Self> {
        let raw = create(context, options)?;
        // SAFETY: just created in this context.
        let view = unsafe { StreamRef::known(raw.cast(), context) };
        let described = describe(view, context, options.blocking, false);
        if described.is_err() {
            // SAFETY: just created in this context, and nobody else has the handle.
            let _ = unsafe { Object::Stream(raw).destroy(context) };
        }
        described
    }

    /// Takes over a stream that somebody else made.
    ///
    /// # Safety
    ///
    /// The stream lives, belongs to the context, and nobody else destroys it.
    pub(super) unsafe fn adopt(context: Context, raw: RawStream) -> Result<Self> {
        // SAFETY: the caller's contract.
        let view = unsafe { StreamRef::known(raw, context) };
        let blocking = view.is_blocking()?;
        describe(view, context, blocking, true)
    }

    /// The handle, which is the caller's from now on.
    pub(super) fn take(&mut self) -> CUstream {
        mem::replace(&mut self.raw, ptr::null_mut())
    }

    /// Destroys the stream, unless another library still has it, or no driver call is allowed here.
    pub(super) fn destroy(&self) -> Result<()> {
        exceptions::check()?;
        self.end_loans()?;
        // SAFETY: only `drop` and `Stream::destroy` call this, on the last handle, and never both; nobody has a loan.
        unsafe { Object::Stream(self.raw).destroy(self.context) }
    }
}

/// What is known of a stream that is not capturing.
fn describe(stream: StreamRef<'_>, context: Context, blocking: bool, is_lent: bool) -> Result<Inner> {
    let id = match stream.ask_id(context)? {
        Some(id) => id,
        None => next_number(),
    };
    let priority = stream.priority()?;
    Ok(Inner { raw: stream.as_raw().cast(), context, id, priority, blocking, lent: Lent::new(is_lent) })
}

/// For drivers that have no ids.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.raw.is_null() {
            return;
        }
        if exceptions::in_host_function() {
            // As a whole: what ends a loan may call the driver.
            let Self { raw, context, id, priority, blocking, .. } = *self;
            return reaper::drop_later(Self { raw, context, id, priority, blocking, lent: Lent::new(true) });
        }
        // Nobody is there to be told; `Stream::destroy` tells. A stream that is lent is leaked.
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
