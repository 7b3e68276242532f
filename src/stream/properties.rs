//! What is known of a stream of ours, and what the driver tells of any.

use std::ffi::{c_int, c_uint, c_ulonglong};

use super::Stream;
use crate::context::Context;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::handle::{AsStream, CaptureStatus, StreamRef};

impl Stream {
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

    /// Whether work that is enqueued on it goes into a graph instead of running. See
    /// [`StreamRef::is_capturing`].
    ///
    /// # Errors
    ///
    /// The same.
    ///
    /// ```
    /// assert!(!cuda_streams::Device::get(0)?.stream()?.is_capturing()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamIsCapturing")]
    pub fn is_capturing(&self) -> Result<bool> {
        self.as_stream().is_capturing()
    }

    /// Whether work that is enqueued on it runs, goes into a graph, or is refused. See
    /// [`StreamRef::capture_status`].
    ///
    /// # Errors
    ///
    /// The same.
    ///
    /// ```
    /// use cuda_streams::{CaptureStatus, Device};
    ///
    /// assert_eq!(Device::get(0)?.stream()?.capture_status()?, CaptureStatus::None);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamIsCapturing")]
    pub fn capture_status(&self) -> Result<CaptureStatus> {
        self.as_stream().capture_status()
    }
}

impl StreamRef<'_> {
    /// The device of its context.
    ///
    /// # Errors
    ///
    /// Those of [`context`](Self::context).
    pub fn device(self) -> Result<Device> {
        self.context().map(Context::device)
    }

    /// The driver's id of it, unique in the process. The legacy default stream of a context has one,
    /// and each thread's per-thread stream has one of its own.
    ///
    /// # Errors
    ///
    /// * [`Error::Capturing`] while the stream is captured: asking would end the capture; of the legacy default stream
    ///   while a blocking stream is
    /// * [`Error::MissingSymbol`] on drivers before 12.0
    /// * those of [`context`](Self::context); [`Error::Driver`] as the driver answers
    ///
    /// ```
    /// use cuda_streams::{AsStream, Device};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// assert_eq!(stream.as_stream().id()?, stream.id());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamGetId")]
    pub fn id(self) -> Result<u64> {
        const CALL: &str = "cuStreamGetId";
        let context = self.context_outside_capture(CALL)?;
        self.ask_id(context)?.ok_or(Error::MissingSymbol { symbol: CALL })
    }

    /// The driver's id of a stream that is not capturing; `None` where the driver has no ids.
    pub(super) fn ask_id(self, context: Context) -> Result<Option<u64>> {
        let mut id: c_ulonglong = 0;
        let answer = self.call(context, |driver, stream| {
            // SAFETY: the stream is alive: its context is, and the view borrows it; the out pointer is a live local.
            unsafe { driver.cuStreamGetId(stream, &raw mut id) }
        })?;
        answer.map(|answer| context.check(answer).map(|()| id)).transpose()
    }

    /// Its priority: numerically lower runs first.
    ///
    /// # Errors
    ///
    /// Those of [`context`](Self::context); [`Error::Driver`] as the driver answers.
    #[doc(alias = "cuStreamGetPriority")]
    pub fn priority(self) -> Result<i32> {
        let context = self.context()?;
        let mut priority: c_int = 0;
        let answer = self.call(context, |driver, stream| {
            // SAFETY: as in `ask_id`.
            unsafe { driver.cuStreamGetPriority(stream, &raw mut priority) }
        })?;
        context.check(answer).map(|()| priority)
    }

    /// Whether it and the legacy default stream wait for each other. True for the default streams.
    ///
    /// # Errors
    ///
    /// [`Error::Capturing`] as from [`id`](Self::id); those of [`priority`](Self::priority).
    #[doc(alias = "cuStreamGetFlags")]
    pub fn is_blocking(self) -> Result<bool> {
        const NON_BLOCKING: c_uint = 1;
        let context = self.context_outside_capture("cuStreamGetFlags")?;
        let mut flags: c_uint = 0;
        let answer = self.call(context, |driver, stream| {
            // SAFETY: as in `ask_id`.
            unsafe { driver.cuStreamGetFlags(stream, &raw mut flags) }
        })?;
        context.check(answer).map(|()| flags & NON_BLOCKING == 0)
    }

    /// Whether work that is enqueued on it goes into a graph instead of running: from the begin of a
    /// capture to its end, also where the capture was invalidated meanwhile.
    ///
    /// # Errors
    ///
    /// Those of [`context`](Self::context); [`Error::Driver`] with `STREAM_CAPTURE_IMPLICIT` for the
    /// legacy default stream while a blocking stream is captured.
    ///
    /// ```
    /// use cuda_streams::{AsStream, Device};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// assert!(!stream.as_stream().is_capturing()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamIsCapturing")]
    pub fn is_capturing(self) -> Result<bool> {
        self.capture_status().map(|status| status != CaptureStatus::None)
    }

    /// Whether work that is enqueued on it runs, goes into a graph, or is refused because the capture was
    /// invalidated and is not ended yet.
    ///
    /// # Errors
    ///
    /// Those of [`is_capturing`](Self::is_capturing).
    ///
    /// ```
    /// use cuda_streams::{AsStream, CaptureStatus, Device};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// assert_eq!(stream.as_stream().capture_status()?, CaptureStatus::None);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamIsCapturing")]
    pub fn capture_status(self) -> Result<CaptureStatus> {
        self.status_in(self.context()?)
    }

    /// Its context, for a call that would end a capture of it.
    fn context_outside_capture(self, call: &'static str) -> Result<Context> {
        let context = self.context()?;
        self.outside_capture(context, call).map(|()| context)
    }
}
