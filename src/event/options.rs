//! Options of an event.

use std::fmt;
use std::marker::PhantomData;

use super::Event;
use super::flags::EventFlags;
use super::inner::Inner;
use super::mode::{Interprocess, Mode, Timed, Untimed};

/// Options of an event; [`build`](Self::build) makes one without a driver call.
///
/// Timed and interprocess exclude each other, so asking for both does not compile:
///
/// ```compile_fail,E0599
/// cuda_streams::EventOptions::new().timed().interprocess();
/// ```
///
/// ```
/// use cuda_streams::{Event, EventOptions, Timed};
///
/// const TIMED: EventOptions<Timed> = EventOptions::new().timed().blocking_sync(true);
/// static START: Event<Timed> = TIMED.build();
/// assert!(START.is_timed() && START.is_blocking_sync());
/// ```
pub struct EventOptions<M: Mode = Untimed> {
    flags: EventFlags,
    mode: PhantomData<fn() -> M>,
}

impl EventOptions {
    /// An untimed event; a thread that synchronizes it spins.
    #[must_use]
    pub const fn new() -> Self {
        Self::of_mode(EventFlags::empty())
    }

    /// With time stamps (no `CU_EVENT_DISABLE_TIMING`), for [`elapsed_time`](Event::elapsed_time).
    ///
    /// ```
    /// let start = cuda_streams::EventOptions::new().timed().build();
    /// assert!(start.is_timed());
    /// ```
    #[must_use]
    pub const fn timed(self) -> EventOptions<Timed> {
        EventOptions::of_mode(self.flags)
    }

    /// For sharing with other processes.
    ///
    /// ```
    /// let shared = cuda_streams::EventOptions::new().interprocess().build();
    /// assert!(shared.is_interprocess());
    /// ```
    #[must_use]
    #[doc(alias = "CU_EVENT_INTERPROCESS")]
    pub const fn interprocess(self) -> EventOptions<Interprocess> {
        EventOptions::of_mode(self.flags)
    }
}

impl<M: Mode> EventOptions<M> {
    const fn of_mode(flags: EventFlags) -> Self {
        Self { flags: flags.difference(EventFlags::DISABLE_TIMING).union(M::FLAGS), mode: PhantomData }
    }

    /// Whether a thread in [`synchronize`](Event::synchronize) sleeps (`true`) or spins (`false`,
    /// the default: about 6 µs against 21 µs after a short kernel). Nothing else is affected.
    ///
    /// ```
    /// let done = cuda_streams::EventOptions::new().blocking_sync(true).build();
    /// assert!(done.is_blocking_sync());
    /// ```
    #[must_use]
    #[doc(alias = "CU_EVENT_BLOCKING_SYNC")]
    pub const fn blocking_sync(mut self, yes: bool) -> Self {
        self.flags = if yes { self.flags.union(EventFlags::BLOCKING_SYNC) } else { self.flags.difference(EventFlags::BLOCKING_SYNC) };
        self
    }

    /// The event, not bound to a device yet: the driver's event is created at the first record.
    #[must_use]
    pub const fn build(self) -> Event<M> {
        Event::from_inner(Inner::new(self.flags))
    }

    pub(crate) const fn flags(self) -> EventFlags {
        self.flags
    }
}

// By hand: deriving would ask the same of `M`.
impl<M: Mode> Clone for EventOptions<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Mode> Copy for EventOptions<M> {}

impl Default for EventOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Mode> fmt::Debug for EventOptions<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventOptions")
            .field("mode", &format_args!("{}", M::NAME))
            .field("blocking_sync", &self.flags.contains(EventFlags::BLOCKING_SYNC))
            .finish()
    }
}
