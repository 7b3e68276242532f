//! What is particular to each mode: how an event of it is made, and the time between timed ones.

use super::core::Core;
use super::elapsed::{ElapsedTime, elapsed};
use super::flags::{Dynamic, EventFlags, Interprocess, SealedMode as _, Timed, Untimed};
use super::{Event, EventOptions};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;

impl Event {
    /// An event that orders work and takes no time stamps. Makes no driver call.
    #[must_use]
    pub const fn new() -> Self {
        EventOptions::new().build()
    }
}

impl Event<Timed> {
    /// An event that takes time stamps. Makes no driver call.
    ///
    /// Recording one costs about eight times as much as an untimed one.
    #[must_use]
    pub const fn timed() -> Self {
        EventOptions::new().timed().build()
    }

    /// The time from this event to `end`, as the device took it. Never waits.
    ///
    /// # Errors
    ///
    /// * [`Error::NotRecorded`], [`Error::NotComplete`]: which of the two
    /// * [`Error::ContextMismatch`]: events of two contexts have no common clock
    /// * [`Error::Rerecorded`]: another thread recorded one of them during the call
    /// * [`Error::Captured`]: last recorded inside a stream capture
    /// * [`Error::ContextDestroyed`], [`Error::Driver`]
    ///
    /// ```
    /// use cuda_streams::{Device, Event};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let (start, end) = (Event::timed(), Event::timed());
    /// start.record(&stream)?;
    /// // ... enqueue work
    /// end.record(&stream)?;
    /// end.synchronize()?;
    /// assert!(start.elapsed_time(&end)?.as_millis_f32() >= 0.0);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventElapsedTime")]
    #[inline]
    pub fn elapsed_time(&self, end: &Self) -> Result<ElapsedTime> {
        elapsed(&self.core, &end.core)
    }
}

impl Event<Interprocess> {
    /// An event that can be shared with other processes. Makes no driver call.
    #[must_use]
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
        Ok(Self::from_core(Core::new(flags)))
    }

    /// See [`Event::<Timed>::elapsed_time`](Event::elapsed_time).
    ///
    /// # Errors
    ///
    /// The same, and [`Error::Untimed`]: which of the two.
    #[doc(alias = "cuEventElapsedTime")]
    #[inline]
    pub fn elapsed_time(&self, end: &Self) -> Result<ElapsedTime> {
        elapsed(&self.core, &end.core)
    }

    /// The event with its kind in its type, if it takes time stamps.
    ///
    /// # Errors
    ///
    /// The event itself, if it takes none.
    pub fn try_into_timed(self) -> Result<Event<Timed>, Self> {
        if self.is_timed() { Ok(Event::from_core(self.core)) } else { Err(self) }
    }
}

macro_rules! defaults {
    ($($mode:ident)*) => {$(
        impl Default for Event<$mode> {
            /// Makes no driver call.
            fn default() -> Self {
                Self::from_core(Core::new($mode::FLAGS))
            }
        }
    )*};
}
defaults!(Untimed Timed Interprocess);
