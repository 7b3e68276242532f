//! Raw handles of events: lent to others, given up to them, and taken over from them.

use super::inner::Inner;
use super::mode::Mode;
use super::{Event, EventOptions};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::exceptions;
use crate::handle::RawEvent;

impl<M: Mode> Event<M> {
    /// The raw `CUevent`, valid while this event lives; `None` while it is not bound to a context. An event that was never
    /// recorded, and has one that was used before, gets a new one here: `None` where none can be had (the driver refuses,
    /// the context is gone, inside a host function, in a forked child).
    ///
    /// Where the driver has refused the first record, the raw event may be one that was used before.
    ///
    /// Whoever has it may record the event, so from now on this crate asks the driver each time
    /// instead of answering from what it remembers. It must not be destroyed.
    ///
    /// ```
    /// let event = cuda_streams::Device::get(0)?.stream()?.record_event()?;
    /// assert!(event.as_raw().is_some());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn as_raw(&self) -> Option<RawEvent> {
        self.inner.lend()
    }

    /// Gives the driver's event up: whoever has the raw `CUevent` then destroys it with `cuEventDestroy`, or hands it to
    /// [`from_raw`](Self::from_raw). `None` where [`as_raw`](Self::as_raw) is. Where its context is gone, so is the event,
    /// and the handle must not be used. If a graph has a node of it, it must not be destroyed before that graph is gone, and
    /// what was made of it.
    ///
    /// ```
    /// use cuda_streams::{Device, Event, EventOptions};
    ///
    /// let event = Device::get(0)?.stream()?.record_event()?;
    /// let context = event.context().unwrap();
    /// let raw = event.into_raw().unwrap();
    /// // SAFETY: given up just now; an untimed event of this context.
    /// let event = unsafe { Event::from_raw(context, raw, EventOptions::new()) }?;
    /// event.synchronize()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use = "the driver's event is the caller's to destroy"]
    pub fn into_raw(mut self) -> Option<RawEvent> {
        let raw = self.inner.lend()?;
        self.inner.take();
        Some(raw)
    }

    /// Takes over an event that somebody else made: it is destroyed when this is dropped. Since others
    /// may have recorded it, nothing of it is known without the driver, as after
    /// [`as_raw`](Self::as_raw).
    ///
    /// # Safety
    ///
    /// `raw` is an event that lives, was created in this context with the flags of `options`, and that
    /// nobody else destroys; nobody uses it after this is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::NullHandle`].
    ///
    /// ```
    /// use cuda_streams::{Device, Event, EventOptions};
    ///
    /// let device = Device::get(0)?;
    /// let timed = EventOptions::new().timed();
    /// let raw = device.event(timed)?.into_raw().unwrap();
    /// // SAFETY: given up just now, and made with these options in this context.
    /// let event = unsafe { Event::from_raw(device.context()?, raw, timed) }?;
    /// event.record(&device.stream()?)?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    pub unsafe fn from_raw(context: Context, raw: RawEvent, options: EventOptions<M>) -> Result<Self> {
        if raw.is_null() {
            return Err(Error::NullHandle { what: "event" });
        }
        exceptions::check()?;
        Ok(Self::from_inner(Inner::adopted(raw, context, options.design())))
    }
}
