//! Streams that somebody else owns, and the driver's own default streams.

mod owner;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ptr;

use crate::context::Context;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::handle::{AsStream, HandleName, RawStream, StreamRef};
use crate::stream::stream_operations;
use owner::Owner;

/// A stream that somebody else owns: a `CUstream` from PyTorch, from C, from another crate. It is used
/// like a [`Stream`](crate::Stream) and never destroyed.
///
/// `O` is what keeps the owner alive: nothing (the caller vouches for it), a reference (the compiler
/// does), or an `Arc` (this does).
///
/// ```
/// use cuda_streams::{Device, Event, ExternalStream};
///
/// # let owner = Device::get(0)?.stream()?;
/// # let address = owner.as_raw().addr();
/// // From Python: `torch.cuda.current_stream().cuda_stream`, an integer.
/// let raw = std::ptr::with_exposed_provenance_mut(address);
/// // SAFETY: PyTorch keeps its streams for good.
/// let stream = unsafe { ExternalStream::from_raw(raw) }?;
/// let event = Event::new();
/// stream.record(&event)?;
/// # Ok::<(), cuda_streams::Error>(())
/// ```
///
/// With a borrowed owner it cannot outlive it:
///
/// ```compile_fail,E0505
/// use cuda_streams::{Device, ExternalStream};
///
/// let owner = Device::get(0)?.stream()?;
/// // SAFETY: the stream is borrowed from its owner.
/// let stream = unsafe { ExternalStream::with_owner(owner.as_raw(), &owner) }?;
/// drop(owner);
/// stream.synchronize()?;
/// # Ok::<(), cuda_streams::Error>(())
/// ```
///
/// The handles 0 and 1 mean the legacy default stream of a context, 2 means the per-thread default
/// stream *of the thread that makes the call*: so a call on an `ExternalStream` of handle 2 goes to
/// the calling thread's stream, also after this was sent to another thread.
/// [`Device::per_thread_stream`] stays on its thread.
///
/// Two are equal if they are of one stream (of one handle, for handle 2). `Debug`, `Eq` and `Hash` make
/// no driver call; [`id`](Self::id), [`priority`](Self::priority) and [`is_blocking`](Self::is_blocking)
/// do.
#[doc(alias = "CUstream")]
pub struct ExternalStream<O = ()> {
    raw: RawStream,
    context: Context,
    owner: Owner<O>,
}

// SAFETY: a stream handle may be used from any thread, says the driver; the owner may be sent.
unsafe impl<O: Send> Send for ExternalStream<O> {}
// SAFETY: as above; nothing changes while it is shared, and the owner may be shared.
unsafe impl<O: Sync> Sync for ExternalStream<O> {}

impl ExternalStream {
    /// A stream that somebody else keeps alive. Its device and context come from the driver; for the
    /// handles 0, 1 and 2 they are those that are current on the calling thread.
    ///
    /// # Safety
    ///
    /// As for [`with_owner`](Self::with_owner), where nobody but the caller sees to it that the stream
    /// lives.
    ///
    /// # Errors
    ///
    /// Those of [`with_owner`](Self::with_owner).
    ///
    /// ```
    /// use cuda_streams::{Device, ExternalStream};
    ///
    /// let owner = Device::get(0)?.stream()?;
    /// // SAFETY: `owner` lives until the end.
    /// let stream = unsafe { ExternalStream::from_raw(owner.as_raw()) }?;
    /// assert_eq!(stream.device(), owner.device());
    /// assert_eq!(stream.id()?, owner.id());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamGetCtx")]
    pub unsafe fn from_raw(raw: RawStream) -> Result<Self> {
        // SAFETY: the caller's contract.
        unsafe { Self::with_owner(raw, ()) }
    }

    /// As [`from_raw`](Self::from_raw), of this device: for the handles 0, 1 and 2 those of its primary
    /// context, for others a check.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](Self::from_raw); none of it is asked of the handles 0, 1 and 2.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceMismatch`] if the stream is of another device; those of
    /// [`Device::context`]; those of [`with_owner`](Self::with_owner).
    ///
    /// ```
    /// use std::ptr;
    /// use cuda_streams::{Device, ExternalStream};
    ///
    /// let device = Device::get(0)?;
    /// // SAFETY: handle 0, the legacy default stream.
    /// let stream = unsafe { ExternalStream::from_raw_on(device, ptr::null_mut()) }?;
    /// assert_eq!(stream, device.default_stream()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamGetCtx")]
    pub unsafe fn from_raw_on(device: Device, raw: RawStream) -> Result<Self> {
        if StreamRef::is_default_handle(raw) {
            return Ok(Self { raw, context: device.context()?, owner: Owner::new(()) });
        }
        // SAFETY: the caller's contract.
        let stream = unsafe { Self::from_raw(raw) }?;
        let (wanted, actual) = (device.ordinal(), stream.device().ordinal());
        if wanted == actual { Ok(stream) } else { Err(Error::DeviceMismatch { wanted, actual }) }
    }
}

impl<O> ExternalStream<O> {
    /// A stream with what keeps it alive: `&owner`, or an `Arc` of it.
    ///
    /// # Safety
    ///
    /// * `raw` is a stream of the driver that this crate uses, and lives while this does, and while
    ///   what [`Stream::current`](crate::Stream::current) gives in its [`scope`](Self::scope) does, which
    ///   holds a clone of `owner`. A reference or an `Arc` to its owner in `owner` sees to that.
    /// * Cloning `owner`, if it can be cloned, does not panic: what has left a scope would have nothing then
    ///   that keeps the stream alive.
    /// * Its context, unless it is a device's primary one, outlives every [`Event`](crate::Event) that
    ///   is recorded on the stream first, and every [`Context`] obtained from it; or the contract of
    ///   [`Context::from_raw`] is kept for it.
    ///
    /// # Errors
    ///
    /// * [`Error::NoCurrentDevice`]: handle 0, 1 or 2 where no context is current
    /// * [`Error::DriverNotFound`]; [`Error::Driver`] as the driver answers
    ///
    /// ```
    /// use std::sync::Arc;
    /// use cuda_streams::{Device, ExternalStream};
    ///
    /// let owner = Arc::new(Device::get(0)?.stream()?);
    /// // SAFETY: the stream lives as long as its owner, which is shared.
    /// let stream = unsafe { ExternalStream::with_owner(owner.as_raw(), owner.clone()) }?;
    /// drop(owner);
    /// stream.synchronize()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamGetCtx")]
    pub unsafe fn with_owner(raw: RawStream, owner: O) -> Result<Self> {
        let context = if StreamRef::is_default_handle(raw) {
            // SAFETY: the caller's contract.
            unsafe { Context::current() }
        } else {
            // SAFETY: the caller's contract.
            unsafe { Context::of_stream(raw.cast()) }
        }?;
        Ok(Self { raw, context, owner: Owner::new(owner) })
    }

    /// A stream of a known context.
    ///
    /// # Safety
    ///
    /// As for [`with_owner`](Self::with_owner), and the stream is of this context.
    #[cfg(feature = "cudarc-interop")]
    pub(crate) unsafe fn known(raw: RawStream, context: Context, owner: O) -> Self {
        Self { raw, context, owner: Owner::new(owner) }
    }

    /// What keeps it alive.
    ///
    /// ```
    /// use cuda_streams::{Device, ExternalStream};
    ///
    /// let owner = Device::get(0)?.stream()?;
    /// // SAFETY: the stream is borrowed from its owner.
    /// let stream = unsafe { ExternalStream::with_owner(owner.as_raw(), &owner) }?;
    /// assert_eq!(stream.owner().id(), owner.id());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn owner(&self) -> &O {
        &self.owner
    }

    /// Gives back what kept it alive.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use cuda_streams::{Device, ExternalStream};
    ///
    /// let owner = Arc::new(Device::get(0)?.stream()?);
    /// // SAFETY: the stream lives as long as its owner.
    /// let stream = unsafe { ExternalStream::with_owner(owner.as_raw(), owner) }?;
    /// let owner = stream.into_owner();
    /// owner.synchronize()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    pub fn into_owner(self) -> O {
        self.owner.into_inner()
    }

    /// The raw `CUstream`.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// assert!(device.default_stream()?.as_raw().is_null());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn as_raw(&self) -> RawStream {
        self.raw
    }

    /// Its context: the device's primary one, a second context, or a green one.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// assert_eq!(device.default_stream()?.context(), device.context()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    #[doc(alias = "cuStreamGetCtx")]
    pub fn context(&self) -> Context {
        self.context
    }

    /// Its device.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// assert_eq!(device.default_stream()?.device(), device);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn device(&self) -> Device {
        self.context.device()
    }
}

impl Device {
    /// The legacy default stream of its primary context, handle 0: PyTorch's default stream. It and
    /// every *blocking* stream of the context wait for each other.
    ///
    /// # Errors
    ///
    /// Those of [`context`](Self::context).
    ///
    /// ```
    /// use cuda_streams::{Device, Event};
    ///
    /// let device = Device::get(0)?;
    /// let stream = device.stream()?;
    /// stream.wait_stream(&device.default_stream()?)?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "CU_STREAM_LEGACY")]
    pub fn default_stream(self) -> Result<ExternalStream> {
        // SAFETY: the handle of a default stream, of which nothing is asked.
        unsafe { ExternalStream::from_raw_on(self, ptr::null_mut()) }
    }

    /// The calling thread's default stream in the primary context, handle 2: another stream on each
    /// thread, so that it cannot leave the thread.
    ///
    /// # Errors
    ///
    /// Those of [`context`](Self::context).
    ///
    /// ```
    /// let device = cuda_streams::Device::get(0)?;
    /// let stream = device.per_thread_stream()?;
    /// stream.record_event()?.synchronize()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    ///
    /// ```compile_fail,E0277
    /// let stream = cuda_streams::Device::get(0)?.per_thread_stream()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| stream.synchronize());
    /// });
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "CU_STREAM_PER_THREAD")]
    pub fn per_thread_stream(self) -> Result<StreamRef<'static>> {
        let context = self.context()?;
        // SAFETY: each thread has this stream as long as the context lives, and the view stays on the thread.
        Ok(unsafe { StreamRef::known(ptr::without_provenance_mut(2), context) })
    }
}

stream_operations!([O] ExternalStream<O>);

impl<O> AsStream for ExternalStream<O> {
    #[inline]
    fn as_stream(&self) -> StreamRef<'_> {
        // SAFETY: the driver has said that it is of this context; it lives while `self` does, by the contract of
        // `with_owner`, or for good.
        unsafe { StreamRef::known(self.raw, self.context) }
    }
}

impl<O, P> PartialEq<ExternalStream<P>> for ExternalStream<O> {
    fn eq(&self, other: &ExternalStream<P>) -> bool {
        self.as_stream() == other.as_stream()
    }
}

impl<O> Eq for ExternalStream<O> {}

impl<O> Hash for ExternalStream<O> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.context.hash(state);
        self.as_stream().handle_name().hash(state);
    }
}

impl<O> fmt::Debug for ExternalStream<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalStream")
            .field("device", &self.device().ordinal())
            .field("raw", &HandleName(self.raw))
            .finish_non_exhaustive()
    }
}
