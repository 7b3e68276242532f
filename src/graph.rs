//! Graphs: work that is put together once, from the calls of a capture or event by event, and launched as often as
//! wanted.

mod capture;
mod event_scope;
mod events;
mod exec;
mod mode;
mod raw;
mod relaxed;
mod scope;
mod work;

use std::fmt;
use std::marker::PhantomData;
use std::ptr;

use crate::context::{Context, Relaxed};
use crate::device::Device;
use crate::driver::CUgraph;
use crate::error::{Error, Result};
use crate::handle::Object;
pub use event_scope::EventScope;
pub use exec::GraphExec;
pub use mode::CaptureMode;
pub use raw::{RawGraph, RawGraphExec};
pub use relaxed::relaxed_capture;
pub use scope::CaptureScope;
pub use work::{Contained, Foreign, Work};

/// Work that is put together and not run yet: [`instantiate`](#method.instantiate) makes something of it that can be
/// launched, again and again.
///
/// `W` is what it holds: [`Foreign`] work, from [`Stream::capture`](crate::Stream::capture), or [`Contained`] work only,
/// from [`Stream::capture_events`](crate::Stream::capture_events).
///
/// It can go to another thread. It cannot be shared: the driver does not synchronise calls on one graph, not even
/// those that only read.
///
/// ```
/// use cuda_streams::{CaptureMode, Device, Error};
///
/// let stream = Device::get(0)?.stream()?;
/// let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
///     scope.host_fn(|| println!("once for each launch"))
/// })?;
/// assert_eq!((graph.node_count()?, graph.edge_count()?), (1, 0));
/// // SAFETY: it holds nothing but the host function.
/// let mut graph = unsafe { graph.instantiate() }?;
/// for _ in 0..3 {
///     // SAFETY: as above.
///     unsafe { graph.launch(&stream) }?;
/// }
/// stream.synchronize()?;
/// # Ok::<(), Error>(())
/// ```
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<cuda_streams::Graph>();
/// ```
#[doc(alias = "CUgraph")]
pub struct Graph<W: Work = Foreign> {
    raw: CUgraph,
    context: Context,
    work: PhantomData<fn() -> W>,
}

// SAFETY: the driver asks that calls on a graph do not overlap, on whatever threads they are; it is not `Sync`. What
// the graph keeps may be sent, and is dropped elsewhere.
unsafe impl<W: Work> Send for Graph<W> {}

impl Graph<Contained> {
    /// Makes of it what can be launched. The graph stays as it is, and may be dropped.
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers (`OUT_OF_MEMORY`).
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let graph = stream.capture_events::<Error>(|scope| scope.host_fn(|| println!("launched")))?;
    /// let mut graph = graph.instantiate()?;
    /// graph.launch(&stream)?;
    /// stream.synchronize()?;
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphInstantiate")]
    pub fn instantiate(&self) -> Result<GraphExec<Contained>> {
        // SAFETY: what its nodes refer to it keeps alive itself.
        unsafe { self.make_executable() }
    }
}

impl Graph {
    /// Makes of it what can be launched. The graph stays as it is, and may be dropped.
    ///
    /// # Safety
    ///
    /// Everything that the nodes refer to, by handle or by address, is still there: the driver reads it. The graph keeps
    /// what this crate put into it (events, host functions, what was [kept](crate::CaptureScope::keep)); the rest is the
    /// caller's to keep:
    ///
    /// * modules and functions of captured kernels, also where the launch was cudarc's: it keeps a module no longer than
    ///   its own handles
    /// * events that others have captured with the external flag
    /// * memory, and whatever else others have put into the graph
    ///
    /// Where a module was unloaded, or such an event destroyed, the driver crashes (seen with 580.159.04).
    ///
    /// # Errors
    ///
    /// Those of [`Graph::<Contained>::instantiate`](Graph#method.instantiate).
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
    ///
    /// Safe code cannot:
    ///
    /// ```compile_fail,E0133
    /// use cuda_streams::{CaptureMode, Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let graph = stream.capture::<Error>(CaptureMode::default(), |_| Ok(()))?;
    /// graph.instantiate()?;
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphInstantiate")]
    pub unsafe fn instantiate(&self) -> Result<GraphExec> {
        // SAFETY: the caller's contract.
        unsafe { self.make_executable() }
    }
}

impl<W: Work> Graph<W> {
    /// A graph of the driver's, which this destroys when it is dropped.
    fn own(raw: CUgraph, context: Context) -> Self {
        Self { raw, context, work: PhantomData }
    }

    /// # Safety
    ///
    /// What the nodes refer to, by handle or by address, is there.
    unsafe fn make_executable(&self) -> Result<GraphExec<W>> {
        let context = self.context;
        let _current = context.enter()?;
        let mut exec = ptr::null_mut();
        let out = &raw mut exec;
        // SAFETY: a context is current, the out pointer is of a live local; the graph is alive, and no other call uses it:
        // `self` stays on one thread. The caller vouches for what its nodes refer to.
        let answer = Relaxed::around(context.driver(), || unsafe { context.driver().cuGraphInstantiateWithFlags(out, self.raw, 0) });
        context.check(answer)?;
        if exec.is_null() {
            return Err(Error::NullHandle { what: "executable graph" });
        }
        Ok(GraphExec::own(exec, context))
    }

    /// How many nodes it has. A record of an event is none, unless that is
    /// [`external`](crate::EventOptions::external): it tells the next nodes what they run after.
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
    ///     scope.host_fn(|| ())?;
    ///     scope.host_fn(|| ())
    /// })?;
    /// assert_eq!(graph.node_count()?, 2);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphGetNodes")]
    pub fn node_count(&self) -> Result<usize> {
        self.context.alive()?;
        let mut count = 0;
        // SAFETY: the graph is alive, as in `make_executable`; without a place for nodes they are counted.
        let answer = unsafe { self.context.driver().cuGraphGetNodes(self.raw, ptr::null_mut(), &raw mut count) };
        self.context.check(answer).map(|()| count)
    }

    /// How many edges it has: a node runs after another.
    ///
    /// # Errors
    ///
    /// Those of [`node_count`](Self::node_count); [`Error::Driver`] with `LOSSY_QUERY` where there are edges of kernels
    /// that start before others have ended.
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
    ///     scope.host_fn(|| ())?;
    ///     scope.host_fn(|| ())
    /// })?;
    /// assert_eq!(graph.edge_count()?, 1);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphGetEdges")]
    pub fn edge_count(&self) -> Result<usize> {
        self.context.alive()?;
        let (driver, none, mut count) = (self.context.driver(), ptr::null_mut(), 0);
        // SAFETY: the graph is alive, as in `make_executable`; without a place for edges they are counted.
        let answer = unsafe { driver.cuGraphGetEdges_v2(self.raw, none, none, ptr::null_mut(), &raw mut count) };
        let answer = match answer {
            Some(answer) => answer,
            // SAFETY: as above.
            None => unsafe { driver.cuGraphGetEdges(self.raw, none, none, &raw mut count) }
                .ok_or(Error::MissingSymbol { symbol: "cuGraphGetEdges" })?,
        };
        self.context.check(answer).map(|()| count)
    }

    /// Whether it has no nodes: nothing was captured, mostly by mistake. It can be launched all the same.
    ///
    /// # Errors
    ///
    /// Those of [`node_count`](Self::node_count).
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let graph = stream.capture::<Error>(CaptureMode::default(), |_| Ok(()))?;
    /// assert!(graph.is_empty()?);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn is_empty(&self) -> Result<bool> {
        self.node_count().map(|count| count == 0)
    }

    /// Another graph with the same nodes. What this one keeps alive the other does too.
    ///
    /// What the nodes refer to may be gone: the driver documents that it copies their parameters, and was seen to do no
    /// more where a module was unloaded or an event destroyed (580.159.04).
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers (`OUT_OF_MEMORY`).
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let graph = stream.capture::<Error>(CaptureMode::default(), |scope| scope.host_fn(|| ()))?;
    /// assert_eq!(graph.try_clone()?.node_count()?, 1);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphClone")]
    pub fn try_clone(&self) -> Result<Self> {
        self.context.alive()?;
        let mut clone = ptr::null_mut();
        // SAFETY: the out pointer is a live local; the graph is alive, as in `make_executable`. Parameters are copied, and
        // what they refer to is not read.
        let answer = unsafe { self.context.driver().cuGraphClone(&raw mut clone, self.raw) };
        self.context.check(answer)?;
        if clone.is_null() { Err(Error::NullHandle { what: "graph" }) } else { Ok(Self::own(clone, self.context)) }
    }

    /// The context of the stream that it was made with.
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let graph = stream.capture_events::<Error>(|_| Ok(()))?;
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
    /// let graph = device.stream()?.capture_events::<Error>(|_| Ok(()))?;
    /// assert_eq!(graph.device(), device);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn device(&self) -> Device {
        self.context.device()
    }

    /// Destroys it and tells how that went, which dropping does not. What was instantiated from it stays.
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers; [`Error::InHostFunction`]: it is destroyed soon
    /// after. It is gone in each case.
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// stream.capture_events::<Error>(|_| Ok(()))?.destroy()?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// A graph that is gone cannot be destroyed again:
    ///
    /// ```compile_fail,E0382
    /// use cuda_streams::{Device, Error};
    ///
    /// let graph = Device::get(0)?.stream()?.capture_events::<Error>(|_| Ok(()))?;
    /// graph.destroy()?;
    /// graph.destroy()?;
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphDestroy")]
    pub fn destroy(mut self) -> Result<()> {
        self.give_back()
    }

    fn give_back(&mut self) -> Result<()> {
        let raw = std::mem::replace(&mut self.raw, ptr::null_mut());
        if raw.is_null() {
            return Ok(());
        }
        // SAFETY: the graph is of this context, and was just taken out: nobody uses it from now on.
        unsafe { Object::Graph(raw).destroy(self.context) }
    }
}

impl<W: Work> Drop for Graph<W> {
    fn drop(&mut self) {
        // Nobody is there to be told; `destroy` tells.
        let _ = self.give_back();
    }
}

impl<W: Work> fmt::Debug for Graph<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("work", &format_args!("{}", W::NAME))
            .field("device", &self.device().ordinal())
            .finish_non_exhaustive()
    }
}
