//! The idle events that are kept for reuse: how many, and how to give them back.

use super::pool;
use crate::context::Context;
use crate::device::Device;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::exceptions;
use crate::handle::Object;

/// What became of the events of a context: of those that this crate creates and keeps for reuse. That is all but
/// interprocess ones; those whose handle others have had, and nodes of graphs, are counted, and destroyed at last. Of a context
/// that has died the counts may be gone: zeros then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventPoolStats {
    /// How many the driver has created: because none was idle, or because others were to have the handle, who must not
    /// see what its former owner has recorded.
    pub created: u64,
    /// How often an idle one was used again.
    pub reused: u64,
    /// How many are idle now: none of a context that has died.
    pub idle: usize,
}

impl EventPoolStats {
    /// The part of the events that were not created, from 0 to 1.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// let rate = device.context()?.event_pool().hit_rate();
    /// assert!((0.0..=1.0).contains(&rate));
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn hit_rate(self) -> f64 {
        if self.reused == 0 { 0.0 } else { self.reused as f64 / (self.reused + self.created) as f64 }
    }
}

impl Context {
    /// What became of its events. Makes no driver call.
    ///
    /// Dropping an event keeps the driver's for the next one, since creating and destroying take the driver's lock. There
    /// are never more of a kind than were in use at once, and those that threads have at hand (64 each).
    ///
    /// ```
    /// use cuda_streams::Device;
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let before = stream.context().event_pool();
    /// drop((stream.record_event()?, stream.record_event()?));
    /// drop(stream.record_event()?);
    /// let after = stream.context().event_pool();
    /// assert!(after.reused > before.reused && after.idle > 0);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn event_pool(self) -> EventPoolStats {
        // In a forked child another thread of the parent may have had the lock.
        if exceptions::is_forked() {
            return EventPoolStats::default();
        }
        self.forget_events_if_dead();
        let (created, reused, idle) = pool::counts(self.number());
        EventPoolStats { created, reused, idle }
    }

    fn forget_events_if_dead(self) {
        if self.has_died() && !exceptions::is_forked() {
            pool::forget(self.number());
        }
    }

    /// Destroys the idle events of this context, but for those that other threads have at hand; how many.
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]: what was idle is forgotten; [`Error::Driver`] as the driver answers: of those that it
    /// does not destroy nothing is known any more.
    ///
    /// ```
    /// use cuda_streams::Device;
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// drop(stream.record_event()?);
    /// assert!(stream.context().trim_events()? >= 1);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventDestroy")]
    pub fn trim_events(self) -> Result<usize> {
        self.verify().inspect_err(|_| self.forget_events_if_dead())?;
        let events = pool::clear(self.number());
        let mut result = Ok(events.len());
        for event in events {
            // SAFETY: an event of this context that nobody uses.
            let destroyed = unsafe { Object::Event(event.cast()).destroy(self) };
            result = result.and_then(|count| destroyed.map(|()| count));
        }
        result
    }
}

impl Device {
    /// Destroys the idle events of its primary context: see [`Context::trim_events`]. Where there is no context none is
    /// made.
    ///
    /// # Errors
    ///
    /// Those of [`Context::trim_events`], but for [`Error::ContextDestroyed`]: where the context has died there is none, and
    /// `Ok(0)` is the answer.
    ///
    /// ```
    /// let device = cuda_streams::Device::get(0)?;
    /// drop(device.stream()?.record_event()?);
    /// assert!(device.trim_events()? >= 1);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventDestroy")]
    pub fn trim_events(self) -> Result<usize> {
        self.context_if_retained()?.map_or(Ok(0), Context::trim_events)
    }
}
