//! Borrowed views of events.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::foreign::Foreign;
use super::inner::Inner;
use super::status::{from_query, status};
use super::{EventStatus, describe};
use crate::error::Result;
use crate::handle::{AsStream, RawEvent, forward};
use crate::poll;

/// Something that is an event: an [`Event`](crate::Event) of any mode, and every reference and smart
/// pointer to one.
///
/// ```
/// use cuda_streams::{AsEvent, Device, Event};
///
/// fn finish(marks: &[&dyn AsEvent]) -> cuda_streams::Result<()> {
///     marks.iter().try_for_each(|mark| mark.as_event().synchronize())
/// }
///
/// let (order, time) = (Event::new(), Event::timed());
/// let stream = Device::get(0)?.stream()?;
/// order.record(&stream)?;
/// time.record(&stream)?;
/// finish(&[&order, &time])?;
/// # Ok::<(), cuda_streams::Error>(())
/// ```
pub trait AsEvent {
    /// A view of the event.
    fn as_event(&self) -> EventRef<'_>;
}

/// A borrowed view of an event of any mode, `Copy`.
///
/// It cannot outlive the event:
///
/// ```compile_fail,E0597
/// use cuda_streams::{AsEvent, Event};
///
/// let view = {
///     let event = Event::new();
///     event.as_event()
/// };
/// view.synchronize()?;
/// # Ok::<(), cuda_streams::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct EventRef<'a>(Kind<'a>);

#[derive(Clone, Copy)]
enum Kind<'a> {
    /// The whole event, not its handle: what it remembers holds here too.
    Ours(&'a Inner),
    /// Of which nothing is remembered.
    Foreign(Foreign<'a>),
}

impl<'a> EventRef<'a> {
    #[inline]
    pub(super) fn new(inner: &'a Inner) -> Self {
        Self(Kind::Ours(inner))
    }

    pub(super) fn foreign(event: Foreign<'a>) -> Self {
        Self(Kind::Foreign(event))
    }

    /// The raw `CUevent`; `None` for an event of this crate that is not bound to a context. See
    /// [`Event::as_raw`](crate::Event::as_raw).
    #[must_use]
    pub fn as_raw(self) -> Option<RawEvent> {
        match self.0 {
            Kind::Ours(event) => event.lend(),
            Kind::Foreign(event) => Some(event.as_raw()),
        }
    }

    /// See [`Event::record`](crate::Event::record).
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuEventRecord")]
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "which kind it is then is known at compile time")]
    pub fn record(self, stream: impl AsStream) -> Result<()> {
        match self.0 {
            Kind::Ours(event) => event.record(stream.as_stream()),
            Kind::Foreign(event) => event.record(stream.as_stream()),
        }
    }

    /// See [`Event::wait`](crate::Event::wait).
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuStreamWaitEvent")]
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "which kind it is then is known at compile time")]
    pub fn wait(self, stream: impl AsStream) -> Result<()> {
        match self.0 {
            Kind::Ours(event) => event.wait(stream.as_stream()),
            Kind::Foreign(event) => event.wait(stream.as_stream()),
        }
    }

    /// See [`Event::query`](crate::Event::query).
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuEventQuery")]
    #[inline]
    pub fn query(self) -> Result<bool> {
        match self.0 {
            Kind::Ours(event) => event.query(),
            Kind::Foreign(event) => event.query(),
        }
    }

    /// See [`Event::status`](crate::Event::status).
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuEventQuery")]
    #[inline]
    pub fn status(self) -> Result<EventStatus> {
        match self.0 {
            Kind::Ours(event) => status(event),
            Kind::Foreign(event) => from_query(event.query()),
        }
    }

    /// See [`Event::synchronize`](crate::Event::synchronize).
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuEventSynchronize")]
    #[inline]
    pub fn synchronize(self) -> Result<()> {
        match self.0 {
            Kind::Ours(event) => event.synchronize(),
            Kind::Foreign(event) => event.synchronize(),
        }
    }

    /// See [`Event::synchronize_timeout`](crate::Event::synchronize_timeout).
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuEventSynchronize")]
    pub fn synchronize_timeout(self, limit: Duration) -> Result<bool> {
        poll::until(limit, || self.query())
    }
}

impl fmt::Debug for EventRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Ours(event) => describe(event, f.debug_struct("EventRef")),
            Kind::Foreign(event) => f.debug_struct("EventRef").field("raw", &event.as_raw()).finish(),
        }
    }
}

impl AsEvent for EventRef<'_> {
    fn as_event(&self) -> EventRef<'_> {
        *self
    }
}

forward!(AsEvent::as_event -> EventRef: &T, &mut T, Box<T>, Rc<T>, Arc<T>);
