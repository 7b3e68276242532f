//! Executable graphs.

use std::fmt;
use std::marker::PhantomData;
use std::ptr;

use super::{Contained, Foreign, RawGraphExec, Work};
use crate::context::{Context, Relaxed};
use crate::device::Device;
use crate::driver::{Answer, CUgraphExec, CUstream, Driver};
use crate::error::{Error, Result};
use crate::handle::{AsStream, Object};

/// What was made of a [`Graph`](super::Graph), to be launched on streams.
///
/// A launch behaves as one piece of work on its stream; a second launch waits for the first, on whatever stream. With
/// it runs everything in the graph, in the order that the graph says, as it was captured: the same addresses, the same
/// events.
///
/// Launching takes `&mut self`, because the driver does not synchronise calls on one executable graph. It may be dropped
/// while a launch is under way, which then runs to its end.
///
/// ```
/// use cuda_streams::{Device, Error, Event};
/// use std::sync::Arc;
///
/// let stream = Device::get(0)?.stream()?;
/// let done = Arc::new(Event::new());
/// let graph = stream.capture_events::<Error>(|scope| scope.record(&done))?;
/// let mut graph = graph.instantiate()?;
/// graph.launch(&stream)?;
/// done.synchronize()?;
/// # Ok::<(), Error>(())
/// ```
#[doc(alias = "CUgraphExec")]
pub struct GraphExec<W: Work = Foreign> {
    raw: CUgraphExec,
    context: Context,
    work: PhantomData<fn() -> W>,
}

// SAFETY: the driver asks that calls on it do not overlap, on whatever threads they are: they take `&mut self`. What it
// keeps may be sent, and is dropped elsewhere.
unsafe impl<W: Work> Send for GraphExec<W> {}
// SAFETY: with `&self` the driver is not called.
unsafe impl<W: Work> Sync for GraphExec<W> {}

impl GraphExec<Contained> {
    /// Enqueues the graph's work on the stream.
    ///
    /// # Errors
    ///
    /// * [`Error::Capturing`]: the stream is being captured
    /// * [`Error::ContextDestroyed`], [`Error::ForeignContext`], [`Error::TwoDrivers`]
    /// * [`Error::Driver`], also with the error of earlier work
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let graph = stream.capture_events::<Error>(|scope| scope.host_fn(|| println!("launched")))?;
    /// graph.instantiate()?.launch(&stream)?;
    /// stream.synchronize()?;
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphLaunch")]
    pub fn launch(&mut self, stream: impl AsStream) -> Result<()> {
        // SAFETY: what its nodes need it keeps alive itself.
        unsafe { self.run(stream) }
    }
}

impl GraphExec {
    /// Enqueues the graph's work on the stream.
    ///
    /// # Safety
    ///
    /// Everything that the captured work needs is there until it has run: the graph has addresses, and keeps nothing
    /// alive but what this crate put into it (events, host functions, what was
    /// [kept](crate::CaptureScope::keep)). Among that:
    ///
    /// * device memory, also of calls that are safe themselves: cudarc's `memset_zeros`, `memcpy_dtod` and the like can
    ///   be captured and their slices dropped
    /// * host memory of captured copies: cudarc's `memcpy_htod(&vec, …)` captures where the vector's elements are
    /// * modules of captured kernels, and events that were captured by others with the external flag
    ///
    /// And the work does not race with other work on that memory.
    ///
    /// # Errors
    ///
    /// Those of [`GraphExec::<Contained>::launch`](GraphExec#method.launch).
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let graph = stream.capture::<Error>(CaptureMode::default(), |scope| scope.host_fn(|| println!("launched")))?;
    /// // SAFETY: it holds nothing but the host function.
    /// let mut graph = unsafe { graph.instantiate() }?;
    /// // SAFETY: as above.
    /// unsafe { graph.launch(&stream) }?;
    /// stream.synchronize()?;
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphLaunch")]
    pub unsafe fn launch(&mut self, stream: impl AsStream) -> Result<()> {
        // SAFETY: the caller's contract.
        unsafe { self.run(stream) }
    }
}

impl<W: Work> GraphExec<W> {
    /// An executable graph of the driver's, which this destroys when it is dropped.
    pub(super) fn own(raw: CUgraphExec, context: Context) -> Self {
        Self { raw, context, work: PhantomData }
    }

    /// # Safety
    ///
    /// What the captured work needs is there until it has run.
    unsafe fn run(&mut self, stream: impl AsStream) -> Result<()> {
        let raw = self.raw;
        self.enqueue(stream, "cuGraphLaunch", |driver, stream| {
            // SAFETY: both are alive: their contexts are, `self` holds the one and the view borrows the other; `&mut self`
            // keeps other calls on it away. The caller vouches for what it holds.
            unsafe { driver.cuGraphLaunch(raw, stream) }
        })
    }

    /// Brings it to the device, as the first launch would otherwise do: so that one is no slower than the others.
    /// Enqueued on the stream.
    ///
    /// What the nodes refer to may be gone: the driver documents that nothing is executed, and was seen to upload a graph
    /// whose module was unloaded since (580.159.04).
    ///
    /// # Errors
    ///
    /// As [`launch`](GraphExec#method.launch).
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let mut graph = stream.capture_events::<Error>(|scope| scope.host_fn(|| ()))?.instantiate()?;
    /// graph.upload(&stream)?;
    /// graph.launch(&stream)?;
    /// # stream.synchronize()?;
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphUpload")]
    pub fn upload(&mut self, stream: impl AsStream) -> Result<()> {
        let raw = self.raw;
        let _current = self.context.enter()?;
        self.enqueue(stream, "cuGraphUpload", |driver, stream| {
            // SAFETY: as in `run`; nothing of what it holds runs, so what its nodes refer to is not needed.
            unsafe { driver.cuGraphUpload(raw, stream) }
        })
    }

    fn enqueue(&mut self, stream: impl AsStream, call: &'static str, f: impl FnOnce(&Driver, CUstream) -> Answer) -> Result<()> {
        self.context.alive()?;
        let stream = stream.as_stream();
        let context = stream.context()?;
        // A graph in a graph would outlive this one.
        if stream.capture_for(context, call)?.is_some() {
            return Err(Error::Capturing { call });
        }
        let _relaxed = Relaxed::beside_captures(context.driver());
        let answer = stream.call(context, f)?;
        context.check(answer)
    }

    /// The raw `CUgraphExec`, valid while this lives. It must not be destroyed; calls on it must not overlap with others.
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let graph = Device::get(0)?.stream()?.capture_events::<Error>(|_| Ok(()))?;
    /// assert!(!graph.instantiate()?.as_raw().is_null());
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn as_raw(&self) -> RawGraphExec {
        self.raw.cast()
    }

    /// The context that it was made in.
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let graph = stream.capture_events::<Error>(|_| Ok(()))?.instantiate()?;
    /// assert_eq!(graph.context(), stream.context());
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn context(&self) -> Context {
        self.context
    }

    /// The device of its context.
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let device = Device::get(0)?;
    /// let graph = device.stream()?.capture_events::<Error>(|_| Ok(()))?.instantiate()?;
    /// assert_eq!(graph.device(), device);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn device(&self) -> Device {
        self.context.device()
    }

    /// Destroys it and tells how that went, which dropping does not. A launch that is under way runs to its end.
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers; [`Error::InHostFunction`]: it is destroyed soon
    /// after. It is gone in each case.
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let graph = Device::get(0)?.stream()?.capture_events::<Error>(|_| Ok(()))?;
    /// graph.instantiate()?.destroy()?;
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphExecDestroy")]
    pub fn destroy(mut self) -> Result<()> {
        self.give_back()
    }

    fn give_back(&mut self) -> Result<()> {
        let raw = std::mem::replace(&mut self.raw, ptr::null_mut());
        if raw.is_null() {
            return Ok(());
        }
        // SAFETY: it is of this context, and was just taken out: nobody uses it from now on.
        unsafe { Object::GraphExec(raw).destroy(self.context) }
    }
}

impl<W: Work> Drop for GraphExec<W> {
    fn drop(&mut self) {
        // Nobody is there to be told; `destroy` tells.
        let _ = self.give_back();
    }
}

impl<W: Work> fmt::Debug for GraphExec<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphExec")
            .field("work", &format_args!("{}", W::NAME))
            .field("device", &self.device().ordinal())
            .finish_non_exhaustive()
    }
}
