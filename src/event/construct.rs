//! How an event of each mode is made.

use super::flags::EventFlags;
use super::inner::Inner;
use super::mode::{Dynamic, Interprocess, Timed};
use super::{Event, EventOptions};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;

impl Event {
    /// An event that orders work and takes no time stamps. Makes no driver call.
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
    #[must_use]
    #[doc(alias = "cuEventCreate")]
    pub const fn timed() -> Self {
        EventOptions::new().timed().build()
    }
}

impl Event<Interprocess> {
    /// An event that can be shared with other processes. Makes no driver call.
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
        Ok(Self::from_core(Inner::new(flags)))
    }

    /// The event with its kind in its type, if it takes time stamps.
    ///
    /// # Errors
    ///
    /// The event itself, if it takes none.
    pub fn try_into_timed(self) -> Result<Event<Timed>, Self> {
        if self.is_timed() { Ok(Event::from_core(self.inner)) } else { Err(self) }
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
