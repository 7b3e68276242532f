//! Streams and events that all contenders use.

use std::error::Error;
use std::sync::Arc;

use cuda_streams::{Device, Event, EventOptions, Mode, Stream};
use cudarc::driver::{CudaContext, CudaEvent, CudaStream, sys};

/// A stream of this crate, as all contenders use it.
pub(crate) struct Lane {
    pub(crate) raw: sys::CUstream,
    /// Dropped before the stream that it borrows.
    pub(crate) cudarc: Arc<CudaStream>,
    pub(crate) stream: Stream,
}

// SAFETY: any thread may use and drop the stream's handle.
unsafe impl Send for Lane {}
// SAFETY: several threads may use it at once.
unsafe impl Sync for Lane {}

impl Lane {
    pub(crate) fn new(device: Device, context: &Arc<CudaContext>) -> Result<Self, Box<dyn Error>> {
        let stream = device.stream()?;
        let raw = stream.as_raw().cast();
        // SAFETY: the stream is of the device's primary context, which is cudarc's too, and dropped after the wrapper.
        let cudarc = unsafe { context.wrap_borrowed_stream(raw) };
        Ok(Self { raw, cudarc, stream })
    }
}

/// An event of this crate and one of cudarc's. The driver contender uses one of the two: calls on two
/// driver events may differ by more than what is measured here.
pub(crate) struct Events<M: Mode> {
    pub(crate) ours: Event<M>,
    pub(crate) raw: sys::CUevent,
    pub(crate) cudarc: CudaEvent,
}

// SAFETY: any thread may use and drop the event's handle.
unsafe impl<M: Mode> Send for Events<M> {}
// SAFETY: several threads may use it at once.
unsafe impl<M: Mode> Sync for Events<M> {}

impl<M: Mode> Events<M> {
    /// Events of which the driver contender uses ours: for what asks the driver in any case.
    pub(crate) fn new(device: Device, context: &Arc<CudaContext>, options: EventOptions<M>) -> Result<Self, Box<dyn Error>> {
        let events = Self::remembered(device, context, options)?;
        let raw = events.ours.as_raw().expect("created").cast();
        Ok(Self { raw, ..events })
    }

    /// Events of which the driver contender uses cudarc's. Ours is not lent, so that it remembers its
    /// completion.
    pub(crate) fn remembered(device: Device, context: &Arc<CudaContext>, options: EventOptions<M>) -> Result<Self, Box<dyn Error>> {
        use sys::CUevent_flags::{CU_EVENT_DEFAULT, CU_EVENT_DISABLE_TIMING};
        let ours = device.event(options)?;
        let cudarc = context.new_event(Some(if ours.is_timed() { CU_EVENT_DEFAULT } else { CU_EVENT_DISABLE_TIMING }))?;
        Ok(Self { ours, raw: cudarc.cu_event(), cudarc })
    }

    pub(crate) fn record(&self, lane: &Lane) {
        self.ours.record(&lane.stream).expect("recorded");
        self.cudarc.record(&lane.cudarc).expect("recorded");
    }
}
