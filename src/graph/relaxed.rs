//! Calls beside captures of others.

use crate::context::Relaxed;
use crate::driver::driver;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;

/// Calls `f` so that what this thread does in it ends no capture of other threads, and none of its own, as queries,
/// allocations, frees and waits otherwise would: for a thread beside captures that others have begun in
/// [global mode](crate::CaptureMode::Global), as PyTorch does. Beside captures of this crate its calls do so by
/// themselves.
///
/// What concerns the capture itself ends it all the same: a question about its streams and events, a wait for its whole
/// context.
///
/// # Errors
///
/// Without calling `f`: [`Error::DriverNotFound`]; [`Error::ForkedChild`], [`Error::InHostFunction`]; [`Error::Driver`] as the
/// driver answers where it is initialised, or with `OUT_OF_MEMORY` of `pthread_atfork` before.
///
/// ```
/// use cuda_streams::{Device, relaxed_capture};
///
/// let stream = Device::get(0)?.stream()?;
/// relaxed_capture(|| stream.synchronize())??;
/// # Ok::<(), cuda_streams::Error>(())
/// ```
#[doc(alias = "cuThreadExchangeStreamCaptureMode")]
pub fn relaxed_capture<R>(f: impl FnOnce() -> R) -> Result<R> {
    let _relaxed = Relaxed::enter(driver()?);
    Ok(f())
}
