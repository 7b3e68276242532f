//! How an event of each mode is made.

use super::flags::{Design, EventFlags};
use super::inner::Inner;
use super::mode::{Dynamic, Interprocess, Mode, Timed};
use super::{Event, EventOptions};
use crate::context::Context;
use crate::device::Device;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::handle::RawEvent;

impl Event {
    /// An event that orders work and takes no time stamps. Makes no driver call.
    ///
    /// ```
    /// use cuda_streams::Event;
    ///
    /// static READY: Event = Event::new();
    /// assert!(READY.query()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    #[doc(alias = "cuEventCreate")]
    pub const fn new() -> Self {
        EventOptions::new().build()
    }
}

impl Event<Timed> {
    /// An event that takes time stamps. Makes no driver call.
    ///
    /// Recording one costs about eight times as much as an untimed one.
    ///
    /// ```
    /// let start = cuda_streams::Event::timed();
    /// assert!(start.is_timed());
    /// ```
    #[must_use]
    #[doc(alias = "cuEventCreate")]
    pub const fn timed() -> Self {
        EventOptions::new().timed().build()
    }
}

impl Event<Interprocess> {
    /// An event that can be shared with other processes. Makes no driver call.
    ///
    /// ```
    /// let shared = cuda_streams::Event::interprocess();
    /// assert!(shared.is_interprocess() && !shared.is_timed());
    /// ```
    #[must_use]
    #[doc(alias = "cuEventCreate")]
    pub const fn interprocess() -> Self {
        EventOptions::new().interprocess().build()
    }
}

impl Event<Dynamic> {
    /// An event of the kind that `flags` say. Makes no driver call.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEventFlags`] for what every driver refuses.
    ///
    /// ```
    /// use cuda_streams::{Error, Event, EventFlags};
    ///
    /// let error = Event::with_flags(EventFlags::INTERPROCESS).unwrap_err();
    /// assert!(matches!(error, Error::InvalidEventFlags { .. }));
    /// ```
    pub fn with_flags(flags: EventFlags) -> Result<Self> {
        flags.validate()?;
        Ok(Self::from_inner(Inner::new(Design::of_flags(flags))))
    }

    /// The event with its kind in its type, if it takes time stamps.
    ///
    /// # Errors
    ///
    /// The event itself, if it takes none.
    ///
    /// ```
    /// use cuda_streams::{Event, EventFlags};
    ///
    /// let timed = Event::with_flags(EventFlags::empty())?.try_into_timed().unwrap();
    /// let untimed = Event::with_flags(EventFlags::DISABLE_TIMING)?.try_into_timed().unwrap_err();
    /// assert!(timed.is_timed() && !untimed.is_timed());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    pub fn try_into_timed(self) -> Result<Event<Timed>, Self> {
        if self.is_timed() { Ok(Event::from_inner(self.inner)) } else { Err(self) }
    }

    /// The event with its kind in its type, if it can be shared with other processes.
    ///
    /// # Errors
    ///
    /// The event itself, if it cannot.
    ///
    /// ```
    /// use cuda_streams::Event;
    ///
    /// let shared = Event::interprocess().into_dynamic().try_into_interprocess().unwrap();
    /// let untimed = Event::new().into_dynamic().try_into_interprocess().unwrap_err();
    /// assert!(shared.is_interprocess() && !untimed.is_interprocess());
    /// ```
    pub fn try_into_interprocess(self) -> Result<Event<Interprocess>, Self> {
        if self.is_interprocess() { Ok(Event::from_inner(self.inner)) } else { Err(self) }
    }
}

impl Device {
    /// An event that is there now, in the device's primary context, rather than at its first record: created, or an idle
    /// one (see [`Context::event_pool`]). For one that is at hand the driver is not asked whether the context still lives.
    ///
    /// # Errors
    ///
    /// Those of [`context`](Self::context); [`Error::Driver`] with `OUT_OF_MEMORY`.
    ///
    /// ```
    /// use cuda_streams::{Device, EventOptions, EventStatus};
    ///
    /// let device = Device::get(0)?;
    /// let event = device.event(EventOptions::new().timed())?;
    /// assert_eq!(event.device(), Some(device));
    /// assert_eq!(event.status()?, EventStatus::NotRecorded);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventCreate")]
    #[inline]
    pub fn event<M: Mode>(self, options: EventOptions<M>) -> Result<Event<M>> {
        let design = options.design();
        let at_hand = self.known_context().and_then(|context| Some((context, Inner::at_hand(context, design)?)));
        // Made here of both, or it would be passed through memory in parts.
        let (context, raw) = match at_hand {
            Some(event) => event,
            None => self.new_event(design)?,
        };
        Ok(Event::from_inner(Inner::holding(raw, context, design)))
    }

    #[cold]
    fn new_event(self, design: Design) -> Result<(Context, RawEvent)> {
        let context = self.context()?;
        Inner::obtained(context, design).map(|raw| (context, raw))
    }
}

impl Event {
    /// Created now, in this context.
    pub(crate) fn bound(context: Context) -> Result<Self> {
        Inner::bound(context, EventOptions::new().design()).map(Self::from_inner)
    }
}

impl Default for Event {
    /// [`Event::new`].
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Event<Timed> {
    /// [`Event::timed`].
    fn default() -> Self {
        Self::timed()
    }
}

impl Default for Event<Interprocess> {
    /// [`Event::interprocess`].
    fn default() -> Self {
        Self::interprocess()
    }
}
