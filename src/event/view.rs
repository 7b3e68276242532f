//! Borrowed views of events.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use super::inner::Inner;
use super::{EventStatus, describe, status};
use crate::error::Result;
use crate::handle::{AsStream, forward};

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
pub struct EventRef<'a>(&'a Inner);

impl<'a> EventRef<'a> {
    pub(super) fn new(inner: &'a Inner) -> Self {
        Self(inner)
    }

    /// See [`Event::record`](crate::Event::record).
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuEventRecord")]
    #[inline]
    pub fn record(self, stream: impl AsStream) -> Result<()> {
        self.0.record(stream.as_stream())
    }

    /// See [`Event::wait`](crate::Event::wait).
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuStreamWaitEvent")]
    #[inline]
    pub fn wait(self, stream: impl AsStream) -> Result<()> {
        self.0.wait(stream.as_stream())
    }

    /// See [`Event::query`](crate::Event::query).
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuEventQuery")]
    #[inline]
    pub fn query(self) -> Result<bool> {
        self.0.query()
    }

    /// See [`Event::status`](crate::Event::status).
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuEventQuery")]
    #[inline]
    pub fn status(self) -> Result<EventStatus> {
        status(self.0)
    }

    /// See [`Event::synchronize`](crate::Event::synchronize).
    ///
    /// # Errors
    ///
    /// The same.
    #[doc(alias = "cuEventSynchronize")]
    #[inline]
    pub fn synchronize(self) -> Result<()> {
        self.0.synchronize()
    }
}

impl fmt::Debug for EventRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(self.0, f.debug_struct("EventRef"))
    }
}

impl AsEvent for EventRef<'_> {
    fn as_event(&self) -> EventRef<'_> {
        *self
    }
}

forward!(AsEvent::as_event -> EventRef: &T, &mut T, Box<T>, Rc<T>, Arc<T>);
