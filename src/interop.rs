//! cudarc's safe types as types of this crate.

mod ipc_slice;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cudarc::driver::{CudaContext, CudaEvent, CudaStream, DriverError};

use crate::context::Context;
use crate::error::{Error, ErrorCode, Result};
use crate::event::{AsEvent, EventRef};
use crate::external::ExternalStream;
use crate::guard;
use crate::handle::{AsStream, ForeignHome, StreamRef};
use crate::stream::{Loan, Stream};
pub use ipc_slice::{IpcElement, IpcSlice};

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
        // SAFETY: cudarc keeps the stream, and the context that it was made in, alive while `self` is borrowed.
        unsafe { StreamRef::foreign(self.cu_stream().cast(), home(self.context())) }
    }
}

/// An event of cudarc is an event here, without a wrapper: streams wait for it, and record it. It stays
/// cudarc's; the borrow keeps it alive. Its context must be a primary one, as for streams.
///
/// ```
/// use cuda_streams::{AsEvent, Device};
/// use cudarc::driver::CudaContext;
///
/// let ours = Device::get(0)?.stream()?;
/// let event = CudaContext::new(0)?.new_stream()?.record_event(None)?;
/// ours.wait_event(&event)?;
/// event.as_event().synchronize()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl AsEvent for CudaEvent {
    fn as_event(&self) -> EventRef<'_> {
        // SAFETY: cudarc keeps the event, and the context that it was made in, alive while `self` is borrowed; it makes none for
        // other processes: that takes two flags, and cudarc passes one.
        unsafe { EventRef::of_other_crate(self.cu_event().cast(), home(self.context())) }
    }
}

/// A stream of cudarc, owned here with a share of it: for what needs a stream that can be stored, and for
/// [`ExternalStream::scope`]. Dropping the last share makes cudarc's context current, as cudarc does.
///
/// # Errors
///
/// [`Error::ForeignContext`](crate::Error::ForeignContext) and
/// [`Error::TwoDrivers`](crate::Error::TwoDrivers), as for a view of it.
///
/// ```
/// use cuda_streams::{Device, ExternalStream};
/// use cudarc::driver::CudaContext;
///
/// let ours = Device::get(0)?.stream()?;
/// let theirs = ExternalStream::try_from(CudaContext::new(0)?.new_stream()?)?;
/// ours.wait_stream(&theirs)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl TryFrom<Arc<CudaStream>> for ExternalStream<Arc<CudaStream>> {
    type Error = Error;

    fn try_from(stream: Arc<CudaStream>) -> Result<Self> {
        let (raw, context) = (stream.cu_stream().cast(), home(stream.context()).context()?);
        // SAFETY: the stream is of this context, and lives while its `Arc` does.
        Ok(unsafe { Self::known(raw, context, stream) })
    }
}

impl Stream {
    /// The stream under cudarc's safe layer: memory, copies and kernel launches of cudarc on a stream of
    /// this crate. Calling it again gives the same `Arc`.
    ///
    /// It takes *your* `CudaContext`, because cudarc orders only what it allocated in one: two of one
    /// device know nothing of each other's slices. cudarc starts to order slices between streams with the
    /// first stream that it makes itself. So the first call for a `CudaContext` makes one, keeps it and the
    /// `CudaContext` for good, and waits for the work of the context, since cudarc may not have recorded who
    /// used its slices until then.
    ///
    /// The order is cudarc's own, no better: it remembers the last reader of a slice, so that a write after
    /// reads on two streams waits for one of them.
    ///
    /// The driver's stream lives while anything of cudarc's uses it: if you drop the last `Stream` before,
    /// it is leaked. So drop cudarc's first; in a struct that is the field above.
    ///
    /// # In captures
    ///
    /// A call of cudarc's with a slice that was used before ends a [`capture`](Self::capture): the stream would wait for that
    /// use, which is outside (`STREAM_CAPTURE_ISOLATION`). It answers an error, and often the next call does too.
    ///
    /// So switch cudarc's event tracking off while its work is captured, by `disable_event_tracking`, which is `unsafe`:
    /// meanwhile it orders nothing in this `CudaContext`, on whatever thread, and what is allocated meanwhile it never orders.
    /// Also:
    ///
    /// * call `to_cudarc` before
    /// * make a `launch_builder` inside: with its arguments it takes their waits
    /// * order launches of the graph and other work on its slices yourself: cudarc does not know of the launches
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, Device};
    /// use cudarc::driver::CudaContext;
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let cudarc = CudaContext::new(0)?;
    /// let theirs = stream.to_cudarc(&cudarc)?;
    /// let mut slice = theirs.clone_htod(&[1, 2, 3])?;
    /// // SAFETY: nobody else uses this `CudaContext`, and the slice is used on this stream alone.
    /// unsafe { cudarc.disable_event_tracking() };
    /// let graph = stream.capture::<Box<dyn std::error::Error>>(CaptureMode::default(), |_| Ok(theirs.memset_zeros(&mut slice)?));
    /// // SAFETY: nothing was allocated meanwhile.
    /// unsafe { cudarc.enable_event_tracking() };
    /// // SAFETY: the slice is there until the launch is done.
    /// let mut graph = unsafe { graph?.instantiate() }?;
    /// // SAFETY: as above, and it is used on this stream alone.
    /// unsafe { graph.launch(&stream) }?;
    /// assert_eq!(theirs.clone_dtoh(&slice)?, [0; 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Error::ForeignContext`]: the `CudaContext` or the stream is not of a device's primary context
    /// * [`Error::DeviceMismatch`]: they are of two devices
    /// * [`Error::TrackingOff`]: cudarc would not order its slices
    /// * [`Error::Capturing`]: the first call for a `CudaContext`, which waits, during a capture of this crate
    /// * [`Error::TwoDrivers`], [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers
    ///
    /// ```
    /// use cuda_streams::Device;
    /// use cudarc::driver::CudaContext;
    ///
    /// let device = Device::get(0)?;
    /// let (first, second) = (device.stream()?, device.stream()?);
    /// let cudarc = CudaContext::new(0)?;
    /// let data = first.to_cudarc(&cudarc)?.clone_htod(&[1, 2, 3])?;
    /// // cudarc makes `second` wait for the copy.
    /// assert_eq!(second.to_cudarc(&cudarc)?.clone_dtoh(&data)?, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_cudarc(&self, cudarc: &Arc<CudaContext>) -> Result<Arc<CudaStream>> {
        let (ours, theirs) = (self.as_stream().context()?, home(cudarc).context()?);
        expect(theirs, ours)?;
        order_slices(theirs, cudarc)?;
        let is_theirs = |lent: &Lent| Arc::ptr_eq(lent.0.context(), cudarc);
        let lent = self.get_or_lend(is_theirs, || {
            // SAFETY: the stream is of this context and outlives the wrapper, since it is not destroyed before the
            // loan has ended; cudarc orders its slices between streams from now on.
            Lent(unsafe { cudarc.wrap_borrowed_stream(self.as_raw().cast()) })
        });
        Ok(lent.0)
    }
}

/// cudarc's handle of a stream of ours.
#[derive(Clone)]
struct Lent(Arc<CudaStream>);

impl Loan for Lent {
    fn end(self: Box<Self>) -> Option<Box<dyn Loan>> {
        // Not by counting: safe code may hold a `Weak` and make an `Arc` of it at any time.
        let shared = Arc::try_unwrap(self.0).err()?;
        Some(Box::new(Self(shared)))
    }
}

/// Makes cudarc order its slices between streams, for good.
fn order_slices(context: Context, cudarc: &Arc<CudaContext>) -> Result<()> {
    if !cudarc.is_event_tracking() {
        return Err(Error::TrackingOff);
    }
    if kept().iter().any(|stream| Arc::ptr_eq(stream.context(), cudarc)) {
        return Ok(());
    }
    // cudarc's first stream of a context waits for that context.
    guard::outside_captures(context.as_raw().addr(), "cuCtxSynchronize")?;
    // cudarc makes its context current and leaves it so, unless it is already.
    let _current = context.enter()?;
    let stream = cudarc.new_stream().map_err(|error| refused("CudaContext::new_stream", error, context))?;
    // cudarc waits only with the very first stream, and not where that came of `CudaStream::fork`. Others are not to
    // wait meanwhile, so `KEPT` is not locked.
    context.synchronize()?;
    kept().push(stream);
    Ok(())
}

/// `Err` if a stream is of another context than the one that is wanted.
fn expect(wanted: Context, actual: Context) -> Result<()> {
    if wanted == actual {
        return Ok(());
    }
    let (wanted, actual) = (wanted.device().ordinal(), actual.device().ordinal());
    Err(if wanted == actual { Error::ForeignContext { device: actual } } else { Error::DeviceMismatch { wanted, actual } })
}

/// An error of cudarc's, in a context.
fn refused(call: &'static str, error: DriverError, context: Context) -> Error {
    match ErrorCode::new(error.0 as u32) {
        Some(code) => Error::Driver { call, code },
        None => Error::ContextDestroyed { device: context.device().ordinal() },
    }
}

/// A stream of cudarc's own for each of its contexts, which orders slices while it has one. (Two, where two
/// threads were first.)
static KEPT: Mutex<Vec<Arc<CudaStream>>> = Mutex::new(Vec::new());

fn kept() -> MutexGuard<'static, Vec<Arc<CudaStream>>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where cudarc says that its objects live.
fn home(context: &CudaContext) -> ForeignHome {
    let device = u32::try_from(context.ordinal()).unwrap_or(u32::MAX);
    ForeignHome { context: context.cu_ctx().cast(), device, is_primary: context.is_primary() }
}
