//! What graphs of this crate's own operations are put together with.

use std::cell::RefCell;
use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::ptr;

use crate::context::Context;
use crate::driver::{Answer, CUDA_HOST_NODE_PARAMS, CUevent, CUgraph, CUgraphNode, Driver};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::event::{Event, Mode};
use crate::host_fn::HostNode;
use crate::user_object;

/// A branch of a graph that [`Stream::capture_events`](crate::Stream::capture_events) puts together: what is asked for on one runs in that order, and
/// beside other branches.
///
/// It stays with its graph: a branch of one cannot be joined with one of another.
///
/// ```compile_fail,E0521
/// use cuda_streams::{Device, Error};
///
/// let stream = Device::get(0)?.stream()?;
/// stream.capture_events::<Error>(|outer| {
///     stream.capture_events::<Error>(|inner| {
///         inner.join(outer.fork());
///         Ok(())
///     })?;
///     Ok(())
/// })?;
/// # Ok::<(), Error>(())
/// ```
///
/// and it cannot be kept:
///
/// ```compile_fail,E0521
/// use cuda_streams::{Device, Error};
///
/// let stream = Device::get(0)?.stream()?;
/// let mut kept = None;
/// stream.capture_events::<Error>(|scope| {
///     kept = Some(scope.fork());
///     Ok(())
/// })?;
/// # Ok::<(), Error>(())
/// ```
pub struct EventScope<'g> {
    graph: CUgraph,
    /// The number of the graph.
    build: u64,
    context: Context,
    /// What the next node runs after; nothing twice.
    last: RefCell<Vec<CUgraphNode>>,
    /// Of this graph and of no other: neither a longer nor a shorter lifetime will do.
    _graph: PhantomData<fn(&'g ()) -> &'g ()>,
}

impl EventScope<'_> {
    /// The beginning of a graph, which nobody else uses while this is there. `build` is a number that no other graph has.
    pub(super) fn new(graph: CUgraph, build: u64, context: Context) -> Self {
        Self { graph, build, context, last: RefCell::default(), _graph: PhantomData }
    }

    /// Each launch records the event here. It need not be [`external`](crate::EventOptions::external). From now on the
    /// driver is asked about it, as after [`as_raw`](Event::as_raw), and the driver's event lives until the graph and
    /// what was made of it are gone; the `Event` may be dropped before.
    ///
    /// # Errors
    ///
    /// [`Error::ContextMismatch`] for an event of another context; [`Error::ContextDestroyed`]; [`Error::Driver`] as the
    /// driver answers.
    ///
    /// ```
    /// use cuda_streams::{Device, Error, Event};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let event = Event::new();
    /// let graph = stream.capture_events::<Error>(|scope| scope.record(&event))?;
    /// graph.instantiate()?.launch(&stream)?;
    /// event.synchronize()?;
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphAddEventRecordNode")]
    pub fn record<M: Mode>(&self, event: &Event<M>) -> Result<()> {
        let raw = self.share(event, "cuGraphAddEventRecordNode")?;
        self.add(|driver, node, after, count| {
            // SAFETY: the graph is this scope's alone; event and nodes are alive, the out pointer is a live local.
            unsafe { driver.cuGraphAddEventRecordNode(node, self.graph, after, count, raw) }
        })
    }

    /// In each launch, what follows runs after the work before the event's last record then, if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`record`](Self::record).
    ///
    /// ```
    /// use cuda_streams::{Device, Error, Event};
    ///
    /// let device = Device::get(0)?;
    /// let (producer, stream) = (device.stream()?, device.stream()?);
    /// let ready = Event::new();
    /// let graph = stream.capture_events::<Error>(|scope| scope.wait_event(&ready))?;
    /// let mut graph = graph.instantiate()?;
    /// producer.record(&ready)?;
    /// // What is on `stream` after this runs after what is on `producer` so far.
    /// graph.launch(&stream)?;
    /// # stream.synchronize()?;
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphAddEventWaitNode")]
    pub fn wait_event<M: Mode>(&self, event: &Event<M>) -> Result<()> {
        let raw = self.share(event, "cuGraphAddEventWaitNode")?;
        self.add(|driver, node, after, count| {
            // SAFETY: as in `record`.
            unsafe { driver.cuGraphAddEventWaitNode(node, self.graph, after, count, raw) }
        })
    }

    /// Has the driver call `function` with each launch, here. See
    /// [`CaptureScope::host_fn`](crate::CaptureScope::host_fn).
    ///
    /// # Errors
    ///
    /// Those of [`keep`](Self::keep).
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
    #[doc(alias = "cuGraphAddHostNode")]
    pub fn host_fn(&self, function: impl Fn() + Send + Sync + 'static) -> Result<()> {
        let node = HostNode::new(self.context, Box::new(function))?;
        let user_data: *mut c_void = node.user_data();
        // SAFETY: as in `keep`.
        unsafe { user_object::attach(self.context, self.graph, node) }?;
        let parameters = CUDA_HOST_NODE_PARAMS { fn_: Some(HostNode::FUNCTION), userData: user_data };
        self.add(|driver, node, after, count| {
            // SAFETY: as in `record`; the parameters are a live local, and the function takes any number.
            unsafe { driver.cuGraphAddHostNode(node, self.graph, after, count, &raw const parameters) }
        })
    }

    /// Keeps something until the graph, what was made of it, and its launches are gone. It is dropped on another thread
    /// then, soon after; or never, where the context is destroyed before the graph, which is leaked then.
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers (`OUT_OF_MEMORY`). The owner is dropped now.
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    /// use std::sync::Arc;
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let owner = Arc::new(());
    /// let graph = stream.capture_events::<Error>(|scope| scope.keep(owner.clone()))?;
    /// assert_eq!(Arc::strong_count(&owner), 2);
    /// # drop(graph);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphRetainUserObject")]
    pub fn keep(&self, owner: impl Send + 'static) -> Result<()> {
        // SAFETY: the graph is this scope's alone, which stays on its thread.
        unsafe { user_object::attach(self.context, self.graph, owner) }
    }

    /// Another branch, from here: what is asked for on it runs after what was asked for on this one so far, and beside
    /// what follows. A branch that is not [joined](Self::join) ends with the launch.
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let graph = stream.capture_events::<Error>(|scope| {
    ///     scope.host_fn(|| println!("first"))?;
    ///     let branch = scope.fork();
    ///     scope.host_fn(|| println!("second or third"))?;
    ///     branch.host_fn(|| println!("third or second"))?;
    ///     scope.join(branch);
    ///     scope.host_fn(|| println!("last"))
    /// })?;
    /// assert_eq!((graph.node_count()?, graph.edge_count()?), (4, 4));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use = "a branch without anything on it changes nothing"]
    pub fn fork(&self) -> Self {
        Self { graph: self.graph, build: self.build, context: self.context, last: self.last.clone(), _graph: PhantomData }
    }

    /// What is asked for on this branch from now on runs after all that was asked for on the other.
    ///
    /// ```
    /// use cuda_streams::{Device, Error, Event};
    ///
    /// let (left, right, both) = (Event::new(), Event::new(), Event::new());
    /// let graph = Device::get(0)?.stream()?.capture_events::<Error>(|scope| {
    ///     let branch = scope.fork();
    ///     scope.record(&left)?;
    ///     branch.record(&right)?;
    ///     scope.join(branch);
    ///     scope.record(&both)
    /// })?;
    /// assert_eq!((graph.node_count()?, graph.edge_count()?), (3, 2));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn join(&self, branch: Self) {
        let mut last = self.last.borrow_mut();
        for node in branch.last.into_inner() {
            if !last.contains(&node) {
                last.push(node);
            }
        }
    }

    /// The driver's event, which is about to be a node.
    fn share<M: Mode>(&self, event: &Event<M>, call: &'static str) -> Result<CUevent> {
        event.share(self.context, call, (self.graph, self.build))
    }

    /// A node behind what is there so far.
    fn add(&self, add: impl FnOnce(&Driver, *mut CUgraphNode, *const CUgraphNode, usize) -> Answer) -> Result<()> {
        let _current = self.context.enter()?;
        let mut last = self.last.borrow_mut();
        let mut node: CUgraphNode = ptr::null_mut();
        let answer = add(self.context.driver(), &raw mut node, last.as_ptr(), last.len());
        self.context.check(answer)?;
        *last = vec![node];
        Ok(())
    }
}

impl fmt::Debug for EventScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventScope").field("device", &self.context.device().ordinal()).finish_non_exhaustive()
    }
}
