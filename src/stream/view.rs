//! The operations of a stream, on a borrowed view of one: whoever made it, they are these.

use std::time::Duration;

#[cfg(doc)]
use super::Stream;
use crate::context::{Context, Relaxed};
use crate::driver::{Answer, CUstream, Driver};
use crate::error::{ErrorCode, Result};
use crate::event::{self, AsEvent, Event, EventOptions, Mode};
use crate::exceptions;
use crate::guard;
use crate::handle::{AsStream, StreamRef};

impl StreamRef<'_> {
    /// See [`Stream::record`].
    ///
    /// # Errors
    ///
    /// The same.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "saves about 10 ns: a view that is passed on goes through memory")]
    #[doc(alias = "cuEventRecord")]
    pub fn record(self, event: impl AsEvent) -> Result<()> {
        event.as_event().record(self)
    }

    /// See [`Stream::record_event`].
    ///
    /// # Errors
    ///
    /// The same.
    #[inline]
    #[doc(alias = "cuEventRecord")]
    pub fn record_event(self) -> Result<Event> {
        self.record_event_with(EventOptions::new())
    }

    /// See [`Stream::record_event_with`].
    ///
    /// # Errors
    ///
    /// The same.
    #[inline]
    #[doc(alias = "cuEventRecord")]
    pub fn record_event_with<M: Mode>(self, options: EventOptions<M>) -> Result<Event<M>> {
        event::recorded(self, options)
    }

    /// See [`Stream::wait_event`].
    ///
    /// # Errors
    ///
    /// The same.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "saves about 10 ns: a view that is passed on goes through memory")]
    #[doc(alias = "cuStreamWaitEvent")]
    pub fn wait_event(self, event: impl AsEvent) -> Result<()> {
        event.as_event().wait(self)
    }

    /// See [`Stream::wait_stream`].
    ///
    /// # Errors
    ///
    /// The same.
    #[inline]
    #[doc(alias = "cuStreamWaitEvent")]
    pub fn wait_stream(self, other: impl AsStream) -> Result<()> {
        let other = other.as_stream();
        let (here, there) = (self.context()?, other.context()?);
        if here == there && self.has_handle_of(other) {
            return Ok(());
        }
        if exceptions::is_capturing() {
            self.within(here).may_wait_for(other.within(there))?;
        }
        event::wait_for_all(self.within(here), other.within(there))
    }

    /// See [`Stream::query`].
    ///
    /// # Errors
    ///
    /// The same, and those of [`context`](Self::context).
    #[inline]
    #[doc(alias = "cuStreamQuery")]
    pub fn query(self) -> Result<bool> {
        let context = self.context()?;
        // SAFETY: the stream is alive: its context is, and the view borrows it.
        let answer = self.ask(context, "cuStreamQuery", |driver, stream| unsafe { driver.cuStreamQuery(stream) })?;
        if answer.code() == Some(ErrorCode::NOT_READY) {
            return Ok(false);
        }
        context.check(answer).map(|()| true)
    }

    /// See [`Stream::synchronize`].
    ///
    /// # Errors
    ///
    /// The same, and those of [`context`](Self::context).
    #[doc(alias = "cuStreamSynchronize")]
    pub fn synchronize(self) -> Result<()> {
        let context = self.context()?;
        // SAFETY: the stream is alive: its context is, and the view borrows it.
        let answer = self.ask(context, "cuStreamSynchronize", |driver, stream| unsafe { driver.cuStreamSynchronize(stream) })?;
        context.check(answer)
    }

    /// Makes a call that ends a capture of the stream, and is unsafe during others.
    #[inline]
    fn ask(self, context: Context, call: &'static str, f: impl Fn(&Driver, CUstream) -> Answer) -> Result<Answer> {
        let before = guard::count_of_global();
        let _relaxed = if exceptions::is_capturing() { self.within(context).beside_captures(call)? } else { None };
        let answer = self.call(context, &f)?;
        match Relaxed::after(answer, context.driver(), before) {
            Some(_relaxed) => self.call(context, &f),
            None => Ok(answer),
        }
    }

    /// See [`Stream::synchronize_timeout`].
    ///
    /// # Errors
    ///
    /// The same, and those of [`context`](Self::context).
    #[doc(alias = "cuStreamSynchronize")]
    pub fn synchronize_timeout(self, limit: Duration) -> Result<bool> {
        if self.query()? {
            return Ok(true);
        }
        // Not the stream itself: what others enqueue meanwhile is not waited for.
        self.record_event()?.synchronize_timeout(limit)
    }
}
