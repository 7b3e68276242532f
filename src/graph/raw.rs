//! Raw handles of graphs: lent to others, given up to them, and taken over from them.

use std::ffi::c_void;
use std::ptr;

use super::{Foreign, Graph, Work};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::exceptions;

/// A raw `CUgraph`.
#[doc(alias = "CUgraph")]
pub type RawGraph = *mut c_void;

/// A raw `CUgraphExec`.
#[doc(alias = "CUgraphExec")]
pub type RawGraphExec = *mut c_void;

impl<W: Work> Graph<W> {
    /// The raw `CUgraph`, valid while this lives. It must not be destroyed; calls on it must not overlap with others.
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let graph = Device::get(0)?.stream()?.capture_events::<Error>(|_| Ok(()))?;
    /// assert!(!graph.as_raw().is_null());
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn as_raw(&self) -> RawGraph {
        self.raw.cast()
    }

    /// Gives it up: whoever has the raw `CUgraph` then destroys it with `cuGraphDestroy`, or hands it to
    /// [`from_raw`](Graph::from_raw). Where its context is gone the raw handle must not be used.
    ///
    /// ```
    /// use cuda_streams::{Device, Error, Graph};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let raw = stream.capture_events::<Error>(|scope| scope.host_fn(|| ()))?.into_raw();
    /// // SAFETY: given up just now, of a stream of this context.
    /// let graph = unsafe { Graph::from_raw(stream.context(), raw) }?;
    /// assert_eq!(graph.node_count()?, 1);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use = "the driver's graph is the caller's to destroy"]
    pub fn into_raw(mut self) -> RawGraph {
        std::mem::replace(&mut self.raw, ptr::null_mut()).cast()
    }
}

impl Graph {
    /// Takes over a graph that somebody else made: it is destroyed when this is dropped.
    ///
    /// # Safety
    ///
    /// `raw` is a graph of the driver that this crate uses. It lives, what it needs is of this context, nobody else
    /// destroys it, and no call on it of somebody else overlaps with those of this. What its nodes refer to is needed
    /// later, when it is [instantiated](Graph#method.instantiate-1) and launched.
    ///
    /// # Errors
    ///
    /// [`Error::NullHandle`]; [`Error::ForkedChild`], [`Error::InHostFunction`]: it stays the caller's.
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, Device, Error, Graph};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let raw = stream.capture::<Error>(CaptureMode::default(), |_| Ok(()))?.into_raw();
    /// // SAFETY: given up just now, of a stream of this context.
    /// let graph = unsafe { Graph::from_raw(stream.context(), raw) }?;
    /// graph.destroy()?;
    /// # Ok::<(), Error>(())
    /// ```
    pub unsafe fn from_raw(context: Context, raw: RawGraph) -> Result<Graph<Foreign>> {
        if raw.is_null() {
            return Err(Error::NullHandle { what: "graph" });
        }
        exceptions::check()?;
        Ok(Self::own(raw.cast(), context))
    }
}
