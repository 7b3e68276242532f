//! Streams: queues of device work that run in order, and beside each other.

mod inner;
mod options;
mod view;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem::ManuallyDrop;
use std::sync::Arc;

use crate::context::Context;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::event::{AsEvent, Event, EventOptions, Mode};
use crate::handle::{AsStream, RawStream, StreamRef};
use inner::Inner;
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
        Inner::create(self.context()?, options).map(|inner| Stream(Arc::new(inner)))
    }
}

impl Stream {
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
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// assert_ne!(device.stream()?.id(), device.stream()?.id());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    #[doc(alias = "cuStreamGetId")]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Its priority: numerically lower runs first.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// assert_eq!(device.stream()?.priority(), 0);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    #[doc(alias = "cuStreamGetPriority")]
    pub fn priority(&self) -> i32 {
        self.0.priority
    }

    /// Whether it and the legacy default stream wait for each other.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// assert!(!device.stream()?.is_blocking());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    #[doc(alias = "cuStreamGetFlags")]
    pub fn is_blocking(&self) -> bool {
        self.0.blocking
    }

    /// Its context.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// assert_eq!(device.stream()?.context(), device.context()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    #[doc(alias = "cuStreamGetCtx")]
    pub fn context(&self) -> Context {
        self.0.context
    }

    /// Its device.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// assert_eq!(device.stream()?.device(), device);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn device(&self) -> Device {
        self.0.context.device()
    }

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
