//! Raw handles of streams: lent to others, given up to them, and taken over from them.

use std::sync::Arc;

use super::Stream;
use super::inner::Inner;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::handle::{AsStream, RawStream, StreamRef};

impl Stream {
    /// The raw `CUstream`, valid while a handle of this stream exists. It must not be destroyed.
    ///
    /// ```
    /// // cudarc on a stream of this crate.
    /// let stream = cuda_streams::Device::get(0)?.stream()?;
    /// let context = cudarc::driver::CudaContext::new(0)?;
    /// // SAFETY: the stream is of the device's primary context, which is cudarc's too, and outlives the wrapper.
    /// let theirs = unsafe { context.wrap_borrowed_stream(stream.as_raw().cast()) };
    /// theirs.synchronize()?;
    /// # drop(theirs);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_raw(&self) -> RawStream {
        self.as_stream().as_raw()
    }

    /// Takes over a stream that somebody else made: it is destroyed with the last handle.
    ///
    /// # Safety
    ///
    /// * `raw` is a stream of the driver that this crate uses, made by `cuStreamCreate` or given up by
    ///   [`try_into_raw`](Self::try_into_raw). It lives, nobody else destroys it, and nobody uses it after
    ///   the last handle is dropped.
    /// * Of its context as for [`Context::from_raw`].
    ///
    /// # Errors
    ///
    /// The stream stays the caller's.
    ///
    /// * [`Error::DefaultStream`]: handles 0, 1 and 2
    /// * [`Error::Capturing`]: the stream is being captured
    /// * [`Error::DriverNotFound`]; [`Error::Driver`] as the driver answers
    ///
    /// ```
    /// use cuda_streams::{Device, Stream};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let id = stream.id();
    /// let raw = stream.try_into_raw().unwrap();
    /// // SAFETY: given up just now.
    /// let stream = unsafe { Stream::from_raw(raw) }?;
    /// assert_eq!(stream.id(), id);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    pub unsafe fn from_raw(raw: RawStream) -> Result<Self> {
        if StreamRef::is_default_handle(raw) {
            return Err(Error::DefaultStream { handle: raw.addr() });
        }
        // SAFETY: the caller's contract, and none of the handles 0, 1, 2.
        let context = unsafe { Context::of_stream(raw.cast()) }?;
        // SAFETY: the caller's contract, and the driver has just named the context.
        let inner = unsafe { Inner::adopt(context, raw) }?;
        Ok(Self(Arc::new(inner)))
    }

    /// Gives the stream up: whoever has the raw `CUstream` then destroys it with `cuStreamDestroy`, or
    /// hands it to [`from_raw`](Self::from_raw). Where its context is gone, so is the stream, and the raw
    /// handle must not be used.
    ///
    /// # Errors
    ///
    /// The handle itself, while clones of it exist or cudarc still has the stream; inside a
    /// [host function](Error::InHostFunction) and in a [forked child](Error::ForkedChild) while it has any stream of this
    /// process.
    ///
    /// ```
    /// let stream = cuda_streams::Device::get(0)?.stream()?;
    /// let clone = stream.clone();
    /// let stream = stream.try_into_raw().unwrap_err();
    /// drop(clone);
    /// let raw = stream.try_into_raw().unwrap();
    /// # // SAFETY: given up just now.
    /// # drop(unsafe { cuda_streams::Stream::from_raw(raw) }?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    pub fn try_into_raw(self) -> Result<RawStream, Self> {
        let mut inner = Arc::try_unwrap(self.0).map_err(Self)?;
        if inner.end_loans().is_err() {
            return Err(Self(Arc::new(inner)));
        }
        Ok(inner.take().cast())
    }
}
