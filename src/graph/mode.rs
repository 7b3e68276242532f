//! Which calls beside a capture would end it.

use std::ffi::c_uint;

/// Which calls beside a capture the driver takes for a mistake, and ends the capture for: those that could read what
/// the capture leaves undone, such as a query of any event, an allocation, or a free (cudarc's slices are freed as they are
/// dropped).
///
/// This crate makes its own such calls in a way that the capture survives, so this matters for others': cudarc's,
/// PyTorch's, C. In every mode a wait for the whole context that another thread has begun ends it,
/// [`Context::synchronize`](crate::Context::synchronize) too if it was called before the capture began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[doc(alias = "CUstreamCaptureMode")]
pub enum CaptureMode {
    /// Of every thread (but one that is inside [`relaxed_capture`](crate::relaxed_capture)), while the capture is open;
    /// also a call of this crate that has begun before the capture, on another thread.
    #[doc(alias = "CU_STREAM_CAPTURE_MODE_GLOBAL")]
    Global,
    /// Of the thread of the capture.
    #[default]
    #[doc(alias = "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL")]
    ThreadLocal,
    /// None, unless they concern the streams and events of the capture themselves.
    #[doc(alias = "CU_STREAM_CAPTURE_MODE_RELAXED")]
    Relaxed,
}

impl CaptureMode {
    pub(super) const fn bits(self) -> c_uint {
        match self {
            Self::Global => 0,
            Self::ThreadLocal => 1,
            Self::Relaxed => 2,
        }
    }
}
