//! Events beside and inside captures: the long ways of record, wait and query.

use std::ffi::c_uint;

use super::flags::EventFlags;
use super::inner::Inner;
use super::shares::{self, Build};
use super::word::Seen;
use super::{Event, Mode};
use crate::context::{Context, Relaxed};
use crate::driver::{CUevent, CUgraph};
use crate::error::{Error, Result};
use crate::exceptions;
use crate::guard;
use crate::handle::{Capture, StreamIn, StreamRef};

/// Of a record and a wait: a node of the graph.
const EXTERNAL: c_uint = 1;

impl<M: Mode> Event<M> {
    /// The driver's event, which a graph is about to have a node of: both live on until that graph is gone. The graph is
    /// of this context, and the caller's alone, who gives it a number that no other graph has.
    pub(crate) fn share(&self, context: Context, call: &'static str, graph: (CUgraph, u64)) -> Result<CUevent> {
        self.inner.become_node_of(context, call, graph)
    }
}

impl Inner {
    /// A record while a capture of this crate is open, or of an external event.
    #[cold]
    pub(super) fn record_beside_captures(&self, stream: StreamIn<'_>) -> Result<()> {
        const CALL: &str = "cuEventRecord";
        let (context, stream) = (stream.context(), stream.view());
        let capture = stream.capture_for(context, CALL)?;
        if let Some(capture) = capture
            && self.is_external()
        {
            let (raw, home) = self.own_handle_or_bind(context, CALL)?;
            let is_kept = self.become_node((raw, home), capture);
            // SAFETY: both handles are alive, as in `record`.
            let answer = stream.call(context, |driver, stream| unsafe { driver.cuEventRecordWithFlags(raw, stream, EXTERNAL) })?;
            if !answer.is_ok() {
                return Err(self.refused(answer, context));
            }
            return became_node((raw, home), stream.within(context), capture, is_kept);
        }
        let raw = self.handle_or_bind(context, CALL)?;
        let record = || {
            // SAFETY: both handles are alive, as in `record`.
            let answer = stream.call(context, |driver, stream| unsafe { driver.cuEventRecord(raw, stream) })?;
            if answer.is_ok() { Ok(()) } else { Err(self.refused(answer, context)) }
        };
        match capture.and_then(|capture| capture.id) {
            Some(id) => self.word.record_captured_if(record, |mark| guard::recorded(mark, id)),
            None => self.word.record(record),
        }
    }

    /// A wait while a capture of this crate is open, or for an external event.
    #[cold]
    pub(super) fn wait_beside_captures(&self, stream: StreamIn<'_>) -> Result<()> {
        const CALL: &str = "cuStreamWaitEvent";
        let (context, stream) = (stream.context(), stream.view());
        let capture = stream.capture_for(context, CALL)?;
        if let Some(capture) = capture
            && self.is_external()
        {
            let (raw, home) = self.own_handle_or_bind(context, CALL)?;
            let is_kept = self.become_node((raw, home), capture);
            self.wait_with(raw, context, stream, EXTERNAL)?;
            return became_node((raw, home), stream.within(context), capture, is_kept);
        }
        let seen = self.seen();
        if self.is_never_recorded() {
            return Ok(());
        }
        let here = capture.and_then(|capture| capture.id);
        if !seen.is_captured() {
            // Work outside of the capture, for which a graph cannot wait; if it is done there is nothing to wait for. What
            // others have recorded may be in the capture, unless it is an interprocess event, which never is.
            if here.is_some_and(guard::is_ours) && (!self.is_lent() || self.flags().contains(EventFlags::INTERPROCESS)) {
                return if self.is_done(seen) { Ok(()) } else { Err(Error::Capturing { call: CALL }) };
            }
            if capture.is_none() && stream.handle_name() != 0 && self.is_done(seen) {
                return Ok(());
            }
        }
        let Some(raw) = self.handle_for_wait(context)? else { return Ok(()) };
        if seen.is_captured() {
            match (guard::capture_of(seen.mark()), here) {
                // That capture has ended, unless others have recorded the event since.
                (None, _) if !self.is_lent() => return Err(Error::Captured { call: CALL, code: None }),
                // Two captures would become one.
                (Some(there), Some(here)) if there != here => return Err(Error::Capturing { call: CALL }),
                // The legacy default stream cannot join.
                (Some(_), None) if stream.handle_name() == 0 => return Err(Error::Capturing { call: CALL }),
                (Some(there), None) => guard::joins(there, context.as_raw().addr()),
                _ => {}
            }
        }
        self.wait_with(raw, context, stream, 0)
    }

    fn wait_with(&self, raw: CUevent, context: Context, stream: StreamRef<'_>, flags: c_uint) -> Result<()> {
        // SAFETY: both handles are alive, as in `wait`; the flags are none, or a node in a capture.
        let answer = stream.call(context, |driver, stream| unsafe { driver.cuStreamWaitEvent(stream, raw, flags) })?;
        if answer.is_ok() { Ok(()) } else { Err(self.refused_or_captured(answer, context)) }
    }

    /// A query while a capture of this crate is open, or of an event that was recorded in one.
    #[cold]
    pub(super) fn query_beside_captures(&self, seen: Seen, before: u64) -> Result<bool> {
        let Some((raw, home)) = self.handle()? else { return Ok(true) };
        self.outside_its_capture(seen, "cuEventQuery")?;
        let _relaxed = Relaxed::beside_captures(home.driver());
        self.ask(raw, home, seen, before)
    }

    /// [`Error::Captured`] if it was recorded in a capture: the driver need not be asked, and asking would end the
    /// capture. Others that may have recorded it since are believed once that capture has ended.
    #[inline]
    pub(super) fn outside_its_capture(&self, seen: Seen, call: &'static str) -> Result<()> {
        if seen.is_captured() && (!self.is_lent() || guard::capture_of(seen.mark()).is_some()) {
            exceptions::check()?;
            return Err(Error::Captured { call, code: None });
        }
        Ok(())
    }

    /// A graph is about to have it as a node, that nobody else uses. It is of this context.
    pub(super) fn become_node_of(&self, context: Context, call: &'static str, (graph, build): (CUgraph, u64)) -> Result<CUevent> {
        let (raw, home) = self.own_handle_or_bind(context, call)?;
        if home != context {
            return Err(self.mismatch(call, context.name(), None));
        }
        self.set_lent();
        // SAFETY: the graph is the caller's alone; self holds the event, which is of this context.
        unsafe { shares::share(raw, context, graph, Build::Own(build)) }.map(|()| raw)
    }

    /// The graph under capture is about to have it as a node: it records the event with each launch, and the driver's
    /// event must be there. Whether the graph is to keep it.
    fn become_node(&self, (raw, home): (CUevent, Context), capture: Capture) -> bool {
        self.set_lent();
        capture.id.is_some_and(|id| shares::share_in_capture(raw, home, id))
    }
}

/// A node was made of an event of this context, in the capture that the stream was in before unless another thread has
/// replaced that meanwhile: then, or where nobody can tell, the event may be in a graph that does not keep it. Nor does that
/// of a capture of others, which they may end and destroy at any time: this thread must not touch it.
fn became_node((raw, home): (CUevent, Context), stream: StreamIn<'_>, before: Capture, is_kept: bool) -> Result<()> {
    if !is_kept {
        shares::keep_for_good(raw, home);
        return Ok(());
    }
    let now = stream.view().capture_for(stream.context(), "cuStreamGetCaptureInfo").map(|now| now.and_then(|now| now.id));
    if !now.as_ref().is_ok_and(|now| now.is_some() && *now == before.id) {
        shares::keep_for_good(raw, home);
    }
    now.map(drop)
}
