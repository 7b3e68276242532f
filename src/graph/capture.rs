//! Captures: what is enqueued on a stream becomes a graph instead of running.

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

use super::{CaptureMode, CaptureScope, Graph};
use crate::context::Context;
use crate::current::CurrentStream;
use crate::driver::{CUgraph, Watch};
use crate::error::{Error, ErrorCode, Result};
use crate::exceptions;
use crate::external::ExternalStream;
use crate::guard::{self, Kept};
use crate::handle::{AsStream, StreamRef};
use crate::owners;
use crate::reaper;
use crate::stream::Stream;
use crate::user_object;

impl Stream {
    /// Calls `work`, and gives a graph of what it enqueues on this stream, and on streams that join: nothing of it runs
    /// before the graph is [launched](super::GraphExec::launch).
    ///
    /// A stream joins by waiting for an event that was recorded in the capture: from then on work on it goes into the graph
    /// too, until the capture ends. It must be joined back behind the last of that work, by a wait of the captured stream
    /// for it, [`CaptureScope::wait_stream`].
    ///
    /// The capture ends with `work`, also if that returns an error or panics, and the streams run work again.
    ///
    /// # What is allowed meanwhile
    ///
    /// A query, a wait on the host, an allocation, a free can end a capture without a word ([`CaptureMode`]). This crate's
    /// calls do not: what has nothing to do with the capture is done as ever, and what would end it is refused, with
    /// [`Error::Capturing`], before the driver sees it:
    ///
    /// * [`query`](Self::query) and [`synchronize`](Self::synchronize) of a captured stream, a launch of a graph on it
    /// * [`Device::synchronize`](crate::Device::synchronize) and [`Context::synchronize`]
    /// * a wait of a captured stream for an event that was recorded outside, unless it is known to be complete:
    ///   [`Event::synchronize`](crate::Event::synchronize) it first, or make it
    ///   [`external`](crate::EventOptions::external). Of an interprocess event that others know of nothing is known; let the
    ///   stream wait for it before the launch, or [`capture_events`](Self::capture_events) do so
    /// * a record on the legacy default stream, or a wait there, while a blocking stream is captured, and its wait for an
    ///   event of any capture
    ///
    /// Of events that others may record nobody knows whether that was in the capture: of those that are not this crate's
    /// ([`EventRef::from_raw`](crate::EventRef::from_raw), cudarc's), and of this crate's that others have had
    /// ([`Event::as_raw`](crate::Event::as_raw), in a graph) and that are no interprocess ones. The driver is asked, which ends
    /// the capture: by a query if they were recorded in it, by a wait if they were not.
    ///
    /// cudarc, where it orders its slices between streams, has a stream wait for what used a slice before: its work is
    /// captured with its event tracking off, see `Stream::to_cudarc`.
    ///
    /// An event that was recorded in a capture stands for no work: for the host it is
    /// [`Captured`](crate::EventStatus::Captured) until it is recorded again.
    ///
    /// A call of another thread for the captured stream itself that had begun before the capture, such as
    /// [`query`](Self::query) or [`synchronize`](Self::synchronize), may end it all the same. And where others end the
    /// capture inside `work`, and begin another one on the same stream, which is invalidated, nobody can tell that from this
    /// capture: it is ended, and what this one was to keep is dropped, though the graph of others may name it.
    ///
    /// # What the graph needs
    ///
    /// It has handles and addresses of what others have enqueued: modules and functions of kernels, events that they have
    /// captured with the external flag, memory. These are to be there when the graph is
    /// [instantiated](Graph#method.instantiate-1), and until a [launch](super::GraphExec#method.launch-1) has run, and so
    /// both are `unsafe`. See to it by [`CaptureScope::keep`].
    ///
    /// # Errors
    ///
    /// The error of `work`; otherwise
    ///
    /// * [`Error::CaptureInvalidated`]: a call has ended it; it says by which call, if this crate made it on this thread
    /// * [`Error::CaptureUnjoined`]: a stream has joined, and was not joined back, or has captured something since
    /// * [`Error::CaptureEndedElsewhere`]: somebody else has ended it; what its graph was to keep (owners, functions, events
    ///   with nodes) is kept for good, since nobody tells when that is gone
    /// * [`Error::Driver`] with `ILLEGAL_STATE` if the stream is being captured already, with
    ///   `STREAM_CAPTURE_UNSUPPORTED` for the legacy default stream
    /// * [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers, also if it has no memory for what is
    ///   [kept](CaptureScope::keep)
    ///
    /// # Panics
    ///
    /// If `work` does, once the capture has ended.
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, Device, Error, Event};
    ///
    /// let device = Device::get(0)?;
    /// let (stream, side) = (device.stream()?, device.stream()?);
    /// let begun = Event::new();
    /// let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
    ///     scope.record(&begun)?;
    ///     // The other stream joins: its work is part of the graph, beside that of this one ...
    ///     side.wait_event(&begun)?;
    ///     // ... enqueue work on `stream` and on `side` ...
    ///     // ... until it is joined back.
    ///     scope.wait_stream(&side)
    /// })?;
    /// // SAFETY: it holds no work.
    /// let mut graph = unsafe { graph.instantiate() }?;
    /// for _ in 0..1000 {
    ///     // SAFETY: as above.
    ///     unsafe { graph.launch(&stream) }?;
    /// }
    /// stream.synchronize()?;
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "cuStreamBeginCapture")]
    #[doc(alias = "cuStreamEndCapture")]
    pub fn capture<E: From<Error>>(&self, mode: CaptureMode, work: impl FnOnce(&CaptureScope<'_>) -> Result<(), E>) -> Result<Graph, E> {
        self.as_stream().capture(mode, work)
    }
}

impl<O> ExternalStream<O> {
    /// See [`Stream::capture`].
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuStreamBeginCapture")]
    pub fn capture<E: From<Error>>(&self, mode: CaptureMode, work: impl FnOnce(&CaptureScope<'_>) -> Result<(), E>) -> Result<Graph, E> {
        self.as_stream().capture(mode, work)
    }
}

impl CurrentStream {
    /// See [`Stream::capture`].
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuStreamBeginCapture")]
    pub fn capture<E: From<Error>>(&self, mode: CaptureMode, work: impl FnOnce(&CaptureScope<'_>) -> Result<(), E>) -> Result<Graph, E> {
        self.as_stream().capture(mode, work)
    }
}

impl StreamRef<'_> {
    /// See [`Stream::capture`].
    ///
    /// # Errors
    ///
    /// The same, and those of [`context`](Self::context).
    #[doc(alias = "cuStreamBeginCapture")]
    pub fn capture<E: From<Error>>(self, mode: CaptureMode, work: impl FnOnce(&CaptureScope<'_>) -> Result<(), E>) -> Result<Graph, E> {
        let running = Running::begin(self, mode)?;
        let scope = CaptureScope::new(self, running.context, running.id);
        let done = catch_unwind(AssertUnwindSafe(|| work(&scope)));
        let ended = running.end();
        match done {
            Ok(done) => {
                done?;
                Ok(ended?)
            }
            Err(panic) => {
                drop(ended);
                resume_unwind(panic)
            }
        }
    }
}

/// A capture that has begun, until its [`end`](Self::end).
struct Running<'s> {
    stream: StreamRef<'s>,
    context: Context,
    /// The driver's number of it.
    id: u64,
    open: guard::Open,
    _watch: Watch,
}

impl<'s> Running<'s> {
    fn begin(stream: StreamRef<'s>, mode: CaptureMode) -> Result<Self> {
        const CALL: &str = "cuStreamBeginCapture_v2";
        let context = stream.context()?;
        reaper::drain();
        // Before the driver begins it: from then on other calls must know.
        let open = guard::Open::begin(context.as_raw().addr(), mode == CaptureMode::Global);
        let watch = Watch::begin();
        let answer = stream.call(context, |driver, stream| {
            // SAFETY: the stream is alive: its context is, and the view borrows it; the mode is one of the driver's.
            unsafe { driver.cuStreamBeginCapture_v2(stream, mode.bits()) }
        })?;
        context.check(answer)?;
        match stream.capture_for(context, CALL).map(|capture| capture.and_then(|capture| capture.id)) {
            Ok(Some(id)) => {
                open.begun(id);
                Ok(Self { stream, context, id, open, _watch: watch })
            }
            unknown => {
                let ended = end(stream, context);
                unknown.and(ended).and(Err(Error::CaptureEndedElsewhere { code: None }))
            }
        }
    }

    /// Ends it, if it is still there to be ended.
    fn end(self) -> Result<Graph> {
        // A forked child has no capture.
        exceptions::check()?;
        if self.context.has_died() {
            self.end_retired();
            return Err(self.context.destroyed());
        }
        match self.is_open() {
            Ok(false) => Err(Error::CaptureEndedElsewhere { code: None }),
            Ok(true) => match self.end_now() {
                // It may be open still, and nobody else ends it.
                Err(error @ Error::Driver { .. }) if self.is_open() == Ok(true) => self.end_now().and(Err(error)),
                ended => ended,
            },
            Err(error) => self.end_now().and(Err(error)),
        }
    }

    /// Ends it where the context is over. One that is gone has no capture, one that was only retired has it still.
    fn end_retired(&self) {
        if self.context.is_in_driver() && self.is_open() != Ok(false) {
            self.open.ends();
            // The graph is leaked with its context, and what it was to keep is kept for good.
            let ended = end(self.stream, self.context);
            drop(ended);
        }
    }

    fn end_now(&self) -> Result<Graph> {
        self.open.ends();
        let ended = end(self.stream, self.context);
        match ended {
            Ok(graph) => return self.attach_to(graph),
            Err(Error::CaptureInvalidated { .. } | Error::CaptureUnjoined) => self.drop_kept(self.open.take_kept()),
            // The graph, with the events and functions in it, may be somebody's: what it needs is kept for good.
            Err(_) => {}
        }
        ended
    }

    /// Gives the graph what it is to keep, or destroys it.
    fn attach_to(&self, graph: Graph) -> Result<Graph> {
        let mut list = self.open.take_kept().into_iter();
        while let Some(kept) = list.next() {
            // SAFETY: the graph is this thread's alone, since the capture has ended.
            if let Err((kept, error)) = unsafe { user_object::attach_or_return(self.context, graph.raw, kept) } {
                drop(graph);
                self.drop_kept(iter::once(kept).chain(list));
                return Err(error);
            }
        }
        Ok(graph)
    }

    /// There is no graph that could need it.
    fn drop_kept(&self, kept: impl IntoIterator<Item = Kept>) {
        kept.into_iter().for_each(|kept| owners::drop_later(self.context, kept));
    }

    /// Whether the stream is in it still, and in none of somebody else's.
    fn is_open(&self) -> Result<bool> {
        let now = self.stream.capture_for(self.context, "cuStreamEndCapture")?;
        Ok(now.is_some_and(|now| now.id.is_none_or(|id| id == self.id)))
    }
}

/// Ends the capture of a stream.
fn end(stream: StreamRef<'_>, context: Context) -> Result<Graph> {
    let mut graph: CUgraph = ptr::null_mut();
    let answer = stream.call(context, |driver, stream| {
        // SAFETY: the stream is alive, as in `begin`; the out pointer is a live local.
        unsafe { driver.cuStreamEndCapture(stream, &raw mut graph) }
    })?;
    match answer.code() {
        None if graph.is_null() => Err(Error::NullHandle { what: "graph" }),
        None => Ok(Graph::own(graph, context)),
        Some(code @ ErrorCode::STREAM_CAPTURE_INVALIDATED) => Err(match Watch::seen() {
            Some((call, code)) => Error::CaptureInvalidated { by: Some(call), code },
            None => Error::CaptureInvalidated { by: None, code },
        }),
        Some(ErrorCode::STREAM_CAPTURE_UNJOINED) => Err(Error::CaptureUnjoined),
        Some(code @ (ErrorCode::STREAM_CAPTURE_UNMATCHED | ErrorCode::STREAM_CAPTURE_WRONG_THREAD | ErrorCode::ILLEGAL_STATE)) => {
            Err(Error::CaptureEndedElsewhere { code: Some(code) })
        }
        Some(_) => Err(context.refused(answer)),
    }
}
