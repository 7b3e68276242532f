//! Options of a stream.

#[cfg(doc)]
use super::Stream;
#[cfg(doc)]
use crate::context::Context;

/// How to make a stream.
///
/// ```
/// use cuda_streams::{Device, StreamOptions};
///
/// const URGENT: StreamOptions = StreamOptions::new().priority(i32::MIN);
/// let device = Device::get(0)?;
/// let stream = device.stream_with(URGENT)?;
/// assert_eq!(stream.priority(), *device.context()?.stream_priorities()?.start());
/// # Ok::<(), cuda_streams::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct StreamOptions {
    pub(super) priority: i32,
    pub(super) blocking: bool,
}

impl StreamOptions {
    /// Priority 0, not blocking.
    pub const fn new() -> Self {
        Self { priority: 0, blocking: false }
    }

    /// Numerically lower runs first. One out of range is mapped to the nearest that the device has,
    /// see [`Context::stream_priorities`]; [`Stream::priority`] tells which.
    #[doc(alias = "cuStreamCreateWithPriority")]
    pub const fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Whether the stream and the legacy default stream wait for each other. They do not by default.
    #[doc(alias = "CU_STREAM_NON_BLOCKING")]
    pub const fn blocking(mut self, blocking: bool) -> Self {
        self.blocking = blocking;
        self
    }
}
