//! Event flags, and what else an event is made with.

use crate::error::{Error, Result};

bitflags::bitflags! {
    /// The driver's event flags, for events whose kind is decided at run time.
    ///
    /// ```
    /// use cuda_streams::{Event, EventFlags};
    ///
    /// let event = Event::with_flags(EventFlags::DISABLE_TIMING | EventFlags::BLOCKING_SYNC)?;
    /// assert!(event.is_blocking_sync() && !event.is_timed());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    #[doc(alias = "CUevent_flags")]
    pub struct EventFlags: u32 {
        /// A thread that synchronizes sleeps instead of spinning.
        #[doc(alias = "CU_EVENT_BLOCKING_SYNC")]
        const BLOCKING_SYNC = 1;
        /// The event takes no time stamps; recording it is about eight times cheaper.
        #[doc(alias = "CU_EVENT_DISABLE_TIMING")]
        const DISABLE_TIMING = 2;
        /// The event can be shared with other processes. Needs `DISABLE_TIMING`.
        #[doc(alias = "CU_EVENT_INTERPROCESS")]
        const INTERPROCESS = 4;
        const _ = !0;
    }
}

impl EventFlags {
    /// `Err` for what every driver refuses, which it would do far from here, at the first record.
    pub(super) fn validate(self) -> Result<()> {
        let known = Self::BLOCKING_SYNC.bits() | Self::DISABLE_TIMING.bits() | Self::INTERPROCESS.bits();
        let reason = if self.bits() & !known != 0 {
            "there are bits without a meaning"
        } else if self.contains(Self::INTERPROCESS) && !self.contains(Self::DISABLE_TIMING) {
            "INTERPROCESS needs DISABLE_TIMING"
        } else {
            return Ok(());
        };
        Err(Error::InvalidEventFlags { flags: self.bits(), reason })
    }
}

/// What an event is made with, whatever its mode.
#[derive(Clone, Copy)]
pub(crate) struct Design {
    pub(super) flags: EventFlags,
    pub(super) external: bool,
}

impl Design {
    /// An event of these flags that is not external.
    pub(super) const fn of_flags(flags: EventFlags) -> Self {
        Self { flags, external: false }
    }
}
