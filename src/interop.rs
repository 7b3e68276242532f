//! cudarc's safe types as types of this crate.

use cudarc::driver::CudaStream;

use crate::handle::{AsStream, StreamRef};

/// A stream of cudarc is a stream here, without a wrapper: events are recorded on it, it waits for
/// events and streams, and it is waited for. It stays cudarc's; the borrow keeps it alive.
///
/// Its context must be the device's primary one, which is what `CudaContext::new` gives. Others
/// answer [`Error::ForeignContext`](crate::Error::ForeignContext), because cudarc destroys them from
/// safe code.
///
/// ```
/// use cuda_streams::{Device, Event};
/// use cudarc::driver::CudaContext;
///
/// let ours = Device::get(0)?.stream()?;
/// let theirs = CudaContext::new(0)?.new_stream()?;
/// let event = Event::new();
/// event.record(&theirs)?;
/// ours.wait_event(&event)?;
/// ours.wait_stream(&theirs)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl AsStream for CudaStream {
    fn as_stream(&self) -> StreamRef<'_> {
        let context = self.context();
        let device = u32::try_from(context.ordinal()).unwrap_or(u32::MAX);
        // SAFETY: cudarc keeps the stream, and the context that it was made in, alive while `self` is borrowed.
        unsafe { StreamRef::foreign(self.cu_stream().cast(), context.cu_ctx().cast(), device, context.is_primary()) }
    }
}
