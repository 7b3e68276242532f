//! Inside a capture.

use std::fmt;

use crate::context::Context;
use crate::error::{Error, ErrorCode, Result};
use crate::event::AsEvent;
use crate::guard;
use crate::handle::{AsStream, CaptureStatus, StreamRef};
use crate::host_fn::HostNode;
use crate::owners;

/// The stream that is being captured, inside of [`Stream::capture`](crate::Stream::capture): a stream to record on and
/// to wait with, and what else goes into the graph.
///
/// It stays on its thread, where the capture ends:
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<cuda_streams::CaptureScope<'static>>();
/// ```
///
/// and it cannot leave the capture:
///
/// ```compile_fail,E0521
/// use cuda_streams::{CaptureMode, CaptureScope, Device, Error};
///
/// let stream = Device::get(0)?.stream()?;
/// let mut kept = None;
/// stream.capture::<Error>(CaptureMode::default(), |scope| {
///     kept = Some(scope);
///     Ok(())
/// })?;
/// # Ok::<(), Error>(())
/// ```
pub struct CaptureScope<'s> {
    stream: StreamRef<'s>,
    context: Context,
    /// The driver's number of the capture.
    id: u64,
}

impl<'s> CaptureScope<'s> {
    pub(super) fn new(stream: StreamRef<'s>, context: Context, id: u64) -> Self {
        Self { stream, context, id }
    }

    /// See [`Stream::record`](crate::Stream::record). Streams that wait for the event join the capture.
    ///
    /// # Errors
    ///
    /// The same; [`Error::Driver`] with `STREAM_CAPTURE_INVALIDATED` where the capture is over already.
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, Device, Error, Event, EventStatus};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let event = Event::new();
    /// stream.capture::<Error>(CaptureMode::default(), |scope| scope.record(&event))?;
    /// assert_eq!(event.status()?, EventStatus::Captured);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuEventRecord")]
    pub fn record(&self, event: impl AsEvent) -> Result<()> {
        self.stream.record(event)
    }

    /// See [`Stream::wait_event`](crate::Stream::wait_event): for events that were recorded in this capture, are
    /// [`external`](crate::EventOptions::external), or are known to be complete.
    ///
    /// # Errors
    ///
    /// The same; [`Error::Capturing`] for other events.
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, Device, Error, EventOptions};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let ready = EventOptions::new().external(true).build();
    /// let graph = stream.capture::<Error>(CaptureMode::default(), |scope| scope.wait_event(&ready))?;
    /// assert_eq!(graph.node_count()?, 1);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuStreamWaitEvent")]
    pub fn wait_event(&self, event: impl AsEvent) -> Result<()> {
        self.stream.wait_event(event)
    }

    /// Joins a stream back: what is captured from now on runs after what was captured on `other` so far. Needed at the
    /// end for each stream that has joined the capture; that stays in it until it ends.
    ///
    /// # Errors
    ///
    /// [`Error::Capturing`] if `other` is not part of this capture; those of
    /// [`Stream::wait_stream`](crate::Stream::wait_stream).
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, Device, Error};
    ///
    /// let device = Device::get(0)?;
    /// let (stream, side) = (device.stream()?, device.stream()?);
    /// stream.capture::<Error>(CaptureMode::default(), |scope| {
    ///     side.wait_stream(scope)?;
    ///     // ... enqueue work on both
    ///     scope.wait_stream(&side)
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuStreamWaitEvent")]
    pub fn wait_stream(&self, other: impl AsStream) -> Result<()> {
        self.stream.wait_stream(other)
    }

    /// Whether the capture goes on or was invalidated.
    ///
    /// # Errors
    ///
    /// Those of [`StreamRef::capture_status`].
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, CaptureStatus, Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// stream.capture::<Error>(CaptureMode::default(), |scope| {
    ///     assert_eq!(scope.status()?, CaptureStatus::Active);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuStreamIsCapturing")]
    pub fn status(&self) -> Result<CaptureStatus> {
        self.stream.capture_status()
    }

    /// Keeps something until the graph, what was made of it, and its launches are gone: memory that captured work uses,
    /// a module. It is dropped on another thread then, soon after; or, if there is no graph because the capture was
    /// invalidated or a stream was not joined back, after that. Where somebody else ends the capture, so that the graph
    /// is theirs, or the context is destroyed before the graph, which is leaked then, it is kept for good.
    ///
    /// The graph gets it when the capture ends, which fails if the driver has no memory for that then.
    ///
    /// # Errors
    ///
    /// [`Error::CaptureInvalidated`], [`Error::CaptureEndedElsewhere`]: the capture is over already;
    /// [`Error::ContextDestroyed`]. The owner is dropped now.
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, Device, Error};
    /// use std::sync::Arc;
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let weights = Arc::new(vec![0_f32; 1024]);
    /// let graph = stream.capture::<Error>(CaptureMode::default(), |scope| scope.keep(weights.clone()))?;
    /// assert_eq!(Arc::strong_count(&weights), 2);
    /// # drop(graph);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphRetainUserObject")]
    pub fn keep(&self, owner: impl Send + 'static) -> Result<()> {
        let (refused, error) = match self.check_open() {
            Err(error) => (owner, error),
            Ok(()) => match guard::keep(self.id, owner) {
                Ok(()) => return Ok(()),
                Err(owner) => (owner, Error::CaptureEndedElsewhere { code: None }),
            },
        };
        owners::drop_now(self.context, refused);
        Err(error)
    }

    /// Has the driver call `function` with each launch of the graph, once what was captured so far has run; what is
    /// captured from now on runs after it. It is called on a thread of the driver's, one at a time in a context, and
    /// must not call the driver: this crate's calls answer [`Error::InHostFunction`] there. A panic goes to the panic
    /// hook and no further.
    ///
    /// The graph keeps it, as by [`keep`](Self::keep). But where the context is destroyed before the graph it is dropped when
    /// that is noticed, on another thread.
    ///
    /// # Errors
    ///
    /// Those of [`keep`](Self::keep); [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use cuda_streams::{CaptureMode, Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let count = Arc::new(AtomicU32::new(0));
    /// let counted = count.clone();
    /// let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
    ///     scope.host_fn(move || {
    ///         counted.fetch_add(1, Ordering::Relaxed);
    ///     })
    /// })?;
    /// // SAFETY: it holds nothing but the host function.
    /// let mut graph = unsafe { graph.instantiate() }?;
    /// for _ in 0..3 {
    ///     // SAFETY: as above.
    ///     unsafe { graph.launch(&stream) }?;
    /// }
    /// stream.synchronize()?;
    /// assert_eq!(count.load(Ordering::Relaxed), 3);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuLaunchHostFunc")]
    pub fn host_fn(&self, function: impl Fn() + Send + Sync + 'static) -> Result<()> {
        let node = HostNode::new(self.context, Box::new(function))?;
        let data = node.user_data();
        self.keep(node)?;
        let answer = self.stream.call(self.context, |driver, stream| {
            // SAFETY: the stream is alive: its context is, and the view borrows it. The function takes any number.
            unsafe { driver.cuLaunchHostFunc(stream, Some(HostNode::FUNCTION), data) }
        })?;
        self.context.check(answer)
    }

    /// The error that says how it has ended, if it has.
    fn check_open(&self) -> Result<()> {
        self.context.alive()?;
        match self.stream.capture_for(self.context, "cuStreamGetCaptureInfo")? {
            Some(now) if now.id == Some(self.id) => Ok(()),
            Some(now) if now.id.is_none() => Err(Error::CaptureInvalidated { by: None, code: ErrorCode::STREAM_CAPTURE_INVALIDATED }),
            _ => Err(Error::CaptureEndedElsewhere { code: None }),
        }
    }
}

/// The stream that is being captured.
impl AsStream for CaptureScope<'_> {
    fn as_stream(&self) -> StreamRef<'_> {
        self.stream
    }
}

impl fmt::Debug for CaptureScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureScope").field("stream", &self.stream).field("id", &self.id).finish_non_exhaustive()
    }
}
