//! Graphs of this crate's own operations only, put together without a capture.
//!
//! A stream that is being captured can be reached by others: by a handle that cudarc has of it, or by a stream that
//! joins. So none is captured here, and nobody else can put anything into the graph.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Contained, EventScope, Graph};
use crate::context::Context;
use crate::current::CurrentStream;
use crate::driver::CUgraph;
use crate::error::{Error, Result};
use crate::external::ExternalStream;
use crate::handle::{AsStream, StreamRef};
use crate::reaper;
use crate::stream::Stream;

impl Stream {
    /// Calls `work`, and gives a graph of what it asks for, in that order: records, waits and host functions, as if they
    /// were captured from this stream. The graph keeps alive what it needs, so instantiating and launching it is safe.
    ///
    /// Nothing is enqueued on the stream; the graph is of its context, and can be launched on any stream.
    ///
    /// # Errors
    ///
    /// The error of `work`; [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// use cuda_streams::{Device, Error, Event};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let (start, end) = (Event::timed(), Event::timed());
    /// let graph = stream.capture_events::<Error>(|scope| {
    ///     scope.record(&start)?;
    ///     scope.host_fn(|| println!("in between"))?;
    ///     scope.record(&end)
    /// })?;
    /// graph.instantiate()?.launch(&stream)?;
    /// stream.synchronize()?;
    /// println!("{}", start.elapsed_time(&end)?);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// Work of others cannot be enqueued on the scope, which is no stream:
    ///
    /// ```compile_fail,E0277
    /// use cuda_streams::{AsStream, Device, Error, StreamRef};
    ///
    /// fn enqueue(stream: impl AsStream) {}
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// stream.capture_events::<Error>(|scope| {
    ///     enqueue(scope);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// nor do streams join by an event that is recorded in it, since it is recorded with each launch only:
    ///
    /// ```
    /// use cuda_streams::{Device, Error, Event};
    ///
    /// let device = Device::get(0)?;
    /// let (stream, other) = (device.stream()?, device.stream()?);
    /// let event = Event::new();
    /// let graph = stream.capture_events::<Error>(|scope| {
    ///     scope.record(&event)?;
    ///     other.wait_event(&event)?;
    ///     assert!(!other.is_capturing()?);
    ///     Ok(())
    /// })?;
    /// assert_eq!(graph.node_count()?, 1);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// cudarc's streams are reached as ever, and what is enqueued on them runs now and is not part of the graph. And what
    /// that is to keep must not be borrowed from a place that ends before:
    ///
    /// ```compile_fail,E0597
    /// use cuda_streams::{Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let mut graph = {
    ///     let count = std::sync::atomic::AtomicU32::new(0);
    ///     let counted = &count;
    ///     stream.capture_events::<Error>(|scope| scope.host_fn(move || drop(counted)))?
    /// };
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// nor stay on this thread:
    ///
    /// ```compile_fail,E0277
    /// use cuda_streams::{Device, Error};
    /// use std::rc::Rc;
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let graph = stream.capture_events::<Error>(|scope| scope.keep(Rc::new(1)))?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// ```compile_fail,E0277
    /// use cuda_streams::{Device, Error};
    /// use std::cell::Cell;
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let count = Cell::new(0);
    /// let graph = stream.capture_events::<Error>(|scope| scope.host_fn(move || count.set(1)))?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// A graph that was captured is no such graph:
    ///
    /// ```compile_fail,E0133
    /// use cuda_streams::{CaptureMode, Device, Error};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let graph = stream.capture::<Error>(CaptureMode::default(), |_| Ok(()))?;
    /// // SAFETY: it holds nothing.
    /// let mut graph = unsafe { graph.instantiate() }?;
    /// graph.launch(&stream)?;
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuGraphCreate")]
    pub fn capture_events<E: From<Error>>(
        &self,
        work: impl for<'g> FnOnce(&EventScope<'g>) -> Result<(), E>,
    ) -> Result<Graph<Contained>, E> {
        self.as_stream().capture_events(work)
    }
}

impl<O> ExternalStream<O> {
    /// See [`Stream::capture_events`].
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuGraphCreate")]
    pub fn capture_events<E: From<Error>>(
        &self,
        work: impl for<'g> FnOnce(&EventScope<'g>) -> Result<(), E>,
    ) -> Result<Graph<Contained>, E> {
        self.as_stream().capture_events(work)
    }
}

impl CurrentStream {
    /// See [`Stream::capture_events`].
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuGraphCreate")]
    pub fn capture_events<E: From<Error>>(
        &self,
        work: impl for<'g> FnOnce(&EventScope<'g>) -> Result<(), E>,
    ) -> Result<Graph<Contained>, E> {
        self.as_stream().capture_events(work)
    }
}

impl StreamRef<'_> {
    /// See [`Stream::capture_events`].
    ///
    /// # Errors
    ///
    /// The same, and those of [`context`](Self::context).
    #[doc(alias = "cuGraphCreate")]
    pub fn capture_events<E: From<Error>>(
        self,
        work: impl for<'g> FnOnce(&EventScope<'g>) -> Result<(), E>,
    ) -> Result<Graph<Contained>, E> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let context = self.context()?;
        reaper::drain();
        // Destroyed by whatever ends `work`.
        let graph = create(context)?;
        let build = NEXT.fetch_add(1, Ordering::Relaxed);
        work(&EventScope::new(graph.raw, build, context))?;
        Ok(graph)
    }
}

fn create(context: Context) -> Result<Graph<Contained>> {
    let _current = context.enter()?;
    let mut graph: CUgraph = ptr::null_mut();
    // SAFETY: the out pointer is a live local; flags must be 0.
    context.check(unsafe { context.driver().cuGraphCreate(&raw mut graph, 0) })?;
    if graph.is_null() { Err(Error::NullHandle { what: "graph" }) } else { Ok(Graph::own(graph, context)) }
}
