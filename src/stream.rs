//! Streams: queues of device work that run in order, and beside each other.

mod options;
mod view;

use std::ffi::{c_int, c_ulonglong};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::context::Context;
use crate::device::Device;
use crate::driver::CUstream;
use crate::error::{Error, Result};
use crate::event::{AsEvent, Event, EventOptions, Mode};
use crate::handle::{AsStream, Owned, RawStream, StreamRef};
pub use options::StreamOptions;

/// A stream: work that is enqueued on it runs on the device in order; work on other streams runs
/// beside it.
///
/// A cheap handle: cloning it shares the stream, which is destroyed with its last handle. Work that
/// is still queued then is not waited for and runs to its end. Two handles are equal if they are of
/// the same stream. `Debug`, `Eq` and `Hash` make no driver call.
///
/// ```
/// use cuda_streams::{Device, Event};
///
/// let stream = Device::get(0)?.stream()?;
/// let (start, end) = (Event::timed(), Event::timed());
/// stream.record(&start)?;
/// // ... enqueue work
/// stream.record(&end)?;
/// stream.synchronize()?;
/// println!("{}", start.elapsed_time(&end)?);
/// # Ok::<(), cuda_streams::Error>(())
/// ```
#[derive(Clone)]
#[doc(alias = "CUstream")]
pub struct Stream(Arc<Inner>);

struct Inner {
    raw: CUstream,
    context: Context,
    id: u64,
    priority: i32,
    blocking: bool,
}

// SAFETY: a stream handle may be used from any thread, says the driver; the rest is Send.
unsafe impl Send for Inner {}
// SAFETY: as above; nothing changes while it is shared.
unsafe impl Sync for Inner {}

impl Device {
    /// A new stream in the device's primary context: priority 0, independent of the default stream.
    ///
    /// # Errors
    ///
    /// Those of [`context`](Self::context); [`Error::Driver`] with `OUT_OF_MEMORY`.
    ///
    /// ```
    /// let stream = cuda_streams::Device::get(0)?.stream()?;
    /// assert!(stream.query()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamCreate")]
    pub fn stream(self) -> Result<Stream> {
        self.stream_with(StreamOptions::new())
    }

    /// A new stream in the device's primary context.
    ///
    /// # Errors
    ///
    /// Those of [`stream`](Self::stream).
    ///
    /// ```
    /// use cuda_streams::{Device, StreamOptions};
    ///
    /// let stream = Device::get(0)?.stream_with(StreamOptions::new().blocking(true))?;
    /// assert!(stream.is_blocking());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamCreateWithPriority")]
    pub fn stream_with(self, options: StreamOptions) -> Result<Stream> {
        Stream::create(self.context()?, options)
    }
}

impl Stream {
    fn create(context: Context, options: StreamOptions) -> Result<Self> {
        let mut raw: CUstream = ptr::null_mut();
        {
            let _current = context.enter()?;
            let flags = u32::from(!options.blocking);
            // SAFETY: the context is current, the out pointer is a live local.
            let answer = unsafe { context.driver().cuStreamCreateWithPriority(&raw mut raw, flags, options.priority) };
            context.check(answer)?;
        }
        // Owned from here on, so that a failure below destroys it.
        let mut inner = Inner { raw, context, id: 0, priority: 0, blocking: options.blocking };
        inner.id = id(context, raw)?;
        inner.priority = priority(context, raw)?;
        Ok(Self(Arc::new(inner)))
    }

    /// Puts the event behind the work that is enqueued so far. See [`Event::record`].
    ///
    /// # Errors
    ///
    /// Those of [`Event::record`].
    ///
    /// ```
    /// use cuda_streams::{Device, Event};
    ///
    /// let event = Event::new();
    /// Device::get(0)?.stream()?.record(&event)?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventRecord")]
    #[inline]
    pub fn record(&self, event: impl AsEvent) -> Result<()> {
        self.as_stream().record(event)
    }

    /// A new untimed event, recorded behind the work that is enqueued so far.
    ///
    /// # Errors
    ///
    /// Those of [`Event::record`].
    ///
    /// ```
    /// let event = cuda_streams::Device::get(0)?.stream()?.record_event()?;
    /// event.synchronize()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventRecord")]
    #[inline]
    pub fn record_event(&self) -> Result<Event> {
        self.as_stream().record_event()
    }

    /// A new event made with these options, recorded behind the work that is enqueued so far.
    ///
    /// # Errors
    ///
    /// Those of [`Event::record`].
    ///
    /// ```
    /// use cuda_streams::{Device, EventOptions};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let start = stream.record_event_with(EventOptions::new().timed())?;
    /// assert!(start.is_timed());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventRecord")]
    #[inline]
    pub fn record_event_with<M: Mode>(&self, options: EventOptions<M>) -> Result<Event<M>> {
        self.as_stream().record_event_with(options)
    }

    /// What is enqueued from now on runs after the work before the event's mark. The host does not
    /// wait. Does nothing for an event that was never recorded; a later record of the event does not
    /// change this wait.
    ///
    /// # Errors
    ///
    /// Those of [`Event::wait`].
    ///
    /// ```
    /// use cuda_streams::{Device, Event};
    ///
    /// let device = Device::get(0)?;
    /// let (first, second) = (device.stream()?, device.stream()?);
    /// let event = first.record_event()?;
    /// second.wait_event(&event)?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamWaitEvent")]
    #[inline]
    pub fn wait_event(&self, event: impl AsEvent) -> Result<()> {
        self.as_stream().wait_event(event)
    }

    /// What is enqueued from now on runs after the work that is enqueued on `other` so far. The host
    /// does not wait. Does nothing if both are the same stream.
    ///
    /// # Errors
    ///
    /// Those of [`Event::record`] on `other` and of [`Event::wait`].
    ///
    /// ```
    /// let device = cuda_streams::Device::get(0)?;
    /// let (first, second) = (device.stream()?, device.stream()?);
    /// second.wait_stream(&first)?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamWaitEvent")]
    #[inline]
    pub fn wait_stream(&self, other: impl AsStream) -> Result<()> {
        self.as_stream().wait_stream(other)
    }

    /// Whether all work that is enqueued is done. Does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; [`Error::Driver`], also with the error of earlier work: never
    /// reported as "not yet".
    ///
    /// ```
    /// assert!(cuda_streams::Device::get(0)?.stream()?.query()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamQuery")]
    #[inline]
    pub fn query(&self) -> Result<bool> {
        self.as_stream().query()
    }

    /// Waits on the host until all work that is enqueued is done.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    ///
    /// ```
    /// cuda_streams::Device::get(0)?.stream()?.synchronize()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamSynchronize")]
    pub fn synchronize(&self) -> Result<()> {
        self.as_stream().synchronize()
    }

    /// The driver's id of it: unique in the process, unlike the raw handle, which the driver gives to
    /// the next stream. On drivers before 12.0, which have no ids, a number of this crate's.
    #[must_use]
    #[doc(alias = "cuStreamGetId")]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Its priority: numerically lower runs first.
    #[must_use]
    #[doc(alias = "cuStreamGetPriority")]
    pub fn priority(&self) -> i32 {
        self.0.priority
    }

    /// Whether it and the legacy default stream wait for each other.
    #[must_use]
    #[doc(alias = "cuStreamGetFlags")]
    pub fn is_blocking(&self) -> bool {
        self.0.blocking
    }

    /// Its context.
    #[must_use]
    #[doc(alias = "cuStreamGetCtx")]
    pub fn context(&self) -> Context {
        self.0.context
    }

    /// Its device.
    #[must_use]
    pub fn device(&self) -> Device {
        self.0.context.device()
    }

    /// The raw `CUstream`, valid while a handle of this stream exists. It must not be destroyed.
    #[must_use]
    pub fn as_raw(&self) -> RawStream {
        self.0.raw.cast()
    }

    /// Destroys the stream and tells how that went, which dropping does not. Work that is still
    /// queued is not waited for and runs to its end.
    ///
    /// # Errors
    ///
    /// * with the handle given back: [`Error::StreamShared`] while clones of it exist
    /// * without it: [`Error::ContextDestroyed`], [`Error::Driver`] as the driver answers
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let clone = stream.clone();
    /// let (stream, error) = stream.destroy().unwrap_err();
    /// assert_eq!(error, Error::StreamShared);
    /// drop(clone);
    /// stream.unwrap().destroy().unwrap();
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamDestroy")]
    pub fn destroy(self) -> Result<(), (Option<Self>, Error)> {
        let inner = Arc::try_unwrap(self.0).map_err(|shared| (Some(Self(shared)), Error::StreamShared))?;
        ManuallyDrop::new(inner).destroy().map_err(|error| (None, error))
    }
}

impl Inner {
    fn destroy(&self) -> Result<()> {
        // SAFETY: only `drop` and `Stream::destroy` call this, on the last handle, and never both.
        unsafe { Owned::Stream(self.raw).destroy(self.context) }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody is there to be told; `Stream::destroy` tells.
        let _ = self.destroy();
    }
}

impl AsStream for Stream {
    #[inline]
    fn as_stream(&self) -> StreamRef<'_> {
        // SAFETY: the stream was created in this context, and lives while this handle does.
        unsafe { StreamRef::known(self.0.raw.cast(), self.0.context) }
    }
}

impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id && self.0.context == other.0.context
    }
}

impl Eq for Stream {}

impl Hash for Stream {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("device", &self.device().ordinal())
            .field("id", &self.0.id)
            .field("priority", &self.0.priority)
            .field("blocking", &self.0.blocking)
            .finish()
    }
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
