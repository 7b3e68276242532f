//! Options of an event.

use std::fmt;
use std::marker::PhantomData;

use super::Event;
use super::flags::{Design, EventFlags};
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
    design: Design,
    mode: PhantomData<fn() -> M>,
}

impl EventOptions {
    /// An untimed event; a thread that synchronizes it spins.
    #[must_use]
    pub const fn new() -> Self {
        Self::of_mode(Design::of_flags(EventFlags::empty()))
    }

    /// With time stamps (no `CU_EVENT_DISABLE_TIMING`), for [`elapsed_time`](Event::elapsed_time).
    ///
    /// ```
    /// let start = cuda_streams::EventOptions::new().timed().build();
    /// assert!(start.is_timed());
    /// ```
    #[must_use]
    pub const fn timed(self) -> EventOptions<Timed> {
        EventOptions::of_mode(self.design)
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
        EventOptions::of_mode(self.design)
    }
}

impl<M: Mode> EventOptions<M> {
    const fn of_mode(design: Design) -> Self {
        let flags = design.flags.difference(EventFlags::DISABLE_TIMING).union(M::FLAGS);
        Self { design: Design { flags, ..design }, mode: PhantomData }
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
        let flags = self.design.flags;
        self.design.flags = if yes { flags.union(EventFlags::BLOCKING_SYNC) } else { flags.difference(EventFlags::BLOCKING_SYNC) };
        self
    }

    /// Whether records of it and waits for it become nodes of a graph (`true`) or edges (`false`, the default)
    /// where the stream is being captured, by whomever. Elsewhere they are what they always are.
    ///
    /// With each launch the nodes record the event, or wait for its last record then: so a graph is timed from
    /// within, and ordered with what is outside of it. Such a wait is made also before the first record. As with
    /// an event whose [raw handle](Event::as_raw) was given out, nothing is remembered of one that has nodes. It
    /// costs each record and wait a question to the driver, whether the stream is being captured (about 30 ns).
    ///
    /// The driver's event lives until the last graph with such a node is gone, and what was made of it. If the capture was
    /// not this crate's it lives as long as its context: who ends that capture may destroy the graph at any time, so
    /// this crate does not touch it.
    ///
    /// ```
    /// use cuda_streams::{CaptureMode, Device, Error, EventOptions};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let [start, end] = [(); 2].map(|()| EventOptions::new().timed().external(true).build());
    /// let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
    ///     scope.record(&start)?;
    ///     // ... enqueue work
    ///     scope.record(&end)
    /// })?;
    /// // SAFETY: it holds no work but the records.
    /// let mut graph = unsafe { graph.instantiate() }?;
    /// // SAFETY: as above.
    /// unsafe { graph.launch(&stream) }?;
    /// stream.synchronize()?;
    /// println!("{}", start.elapsed_time(&end)?);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    #[doc(alias = "CU_EVENT_RECORD_EXTERNAL")]
    #[doc(alias = "CU_EVENT_WAIT_EXTERNAL")]
    #[doc(alias = "cudaEventRecordExternal")]
    pub const fn external(mut self, yes: bool) -> Self {
        self.design.external = yes;
        self
    }

    /// The event, not bound to a device yet: the driver's event is created at the first record.
    #[must_use]
    pub const fn build(self) -> Event<M> {
        Event::from_inner(Inner::new(self.design))
    }

    pub(crate) const fn design(self) -> Design {
        self.design
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
            .field("blocking_sync", &self.design.flags.contains(EventFlags::BLOCKING_SYNC))
            .field("external", &self.design.external)
            .finish()
    }
}
