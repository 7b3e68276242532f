//! Streams: queues of device work that run in order, and beside each other.

mod inner;
mod loans;
mod operations;
mod options;
mod pool;
mod properties;
mod raw;
mod view;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::event::{AsEvent, Event, EventOptions, Mode};
use crate::handle::{AsStream, StreamRef};
use inner::Inner;
#[cfg(feature = "cudarc-interop")]
pub(crate) use loans::Loan;
pub(crate) use operations::stream_operations;
pub use options::StreamOptions;
pub use pool::{PooledStream, StreamPool};

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
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "saves about 10 ns: a view that is passed on goes through memory")]
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
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "saves about 10 ns: a view that is passed on goes through memory")]
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
    /// [`Error::Capturing`] while this crate captures the stream; [`Error::ContextDestroyed`]; [`Error::Driver`], also
    /// with the error of earlier work: never reported as "not yet".
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

    /// Waits on the host until all work that is enqueued so far is done, but no longer than `limit`:
    /// `false` means that it is not done. Work that is enqueued meanwhile is not waited for.
    ///
    /// The driver has no such call, so this asks again and again, with pauses that grow to a millisecond:
    /// that much later than the work is done it may return. It waits for an event that it records, which on
    /// the legacy default stream makes later work of blocking streams wait for earlier work of others.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query), and those of [`record_event`](Self::record_event).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let stream = cuda_streams::Device::get(0)?.stream()?;
    /// if !stream.synchronize_timeout(Duration::from_secs(5))? {
    ///     eprintln!("the device is stuck");
    /// }
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamSynchronize")]
    pub fn synchronize_timeout(&self, limit: Duration) -> Result<bool> {
        self.as_stream().synchronize_timeout(limit)
    }

    /// Destroys the stream and tells how that went, which dropping does not. Work that is still
    /// queued is not waited for and runs to its end.
    ///
    /// # Errors
    ///
    /// * with the handle given back: [`Error::StreamShared`] while clones of it exist, or cudarc still
    ///   has the stream; [`Error::InHostFunction`]
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
        let mut inner = Arc::try_unwrap(self.0).map_err(|shared| (Some(Self(shared)), Error::StreamShared))?;
        match inner.destroy() {
            Err(error @ (Error::StreamShared | Error::InHostFunction)) => Err((Some(Self(Arc::new(inner))), error)),
            destroyed => {
                inner.take();
                destroyed.map_err(|error| (None, error))
            }
        }
    }
}

#[cfg(feature = "cudarc-interop")]
impl Stream {
    /// A share of it that another library has, see [`Loan`]: the one that `accept` takes, or else `new`.
    pub(crate) fn get_or_lend<L: Loan + Clone>(&self, accept: impl Fn(&L) -> bool, new: impl FnOnce() -> L) -> L {
        self.0.get_or_lend(accept, new)
    }
}

impl AsStream for Stream {
    #[inline]
    fn as_stream(&self) -> StreamRef<'_> {
        // SAFETY: the stream was created in this context, and lives while this handle does.
        unsafe { StreamRef::own(self.0.raw.cast(), self.0.context, &self.0.lent) }
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
