//! Events: marks in the work of a stream, to order streams, to wait on the host, and to take time.

mod captures;
mod construct;
mod elapsed;
mod flags;
mod foreign;
mod idle;
mod inner;
mod interprocess;
mod mode;
mod options;
mod pool;
mod properties;
mod raw;
mod refused;
mod shares;
mod status;
mod supply;
mod view;
mod word;

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::device::Device;
use crate::driver::Answer;
use crate::error::{ContextMismatch, ContextName, Error, ErrorCode, Result};
use crate::handle::{AsStream, StreamIn};
use crate::poll;
pub use elapsed::{ElapsedTime, NegativeTime};
pub use flags::EventFlags;
pub use idle::EventPoolStats;
use inner::Inner;
pub use mode::{Dynamic, Interprocess, Mode, Timed, Untimed};
pub use options::EventOptions;
pub use status::EventStatus;
use status::status;
pub use view::{AsEvent, EventRef};

/// A mark in the work of a stream.
///
/// [`record`](Self::record) puts the mark behind everything that is enqueued on a stream so far.
/// Other streams can [wait](Self::wait) for it, the host can [`query`](Self::query) and
/// [`synchronize`](Self::synchronize), and two `Event<Timed>` give the time in between. Recording
/// again moves the mark; waits made before keep the old one.
///
/// Making one costs nothing: the driver's event is created at the first record, in the context of
/// the stream. From then on the event belongs to that context; streams of every device can wait for
/// it (for an [interprocess](Interprocess) one those of its context, and graphs everywhere). Dropping an event whose work is
/// pending is fine, and waits that are enqueued still hold.
///
/// All methods take `&self`, on any thread at any time; `Arc<Event>` shares one. An array of events
/// is `std::array::from_fn(|_| Event::new())`.
///
/// ```
/// use cuda_streams::{Device, Event};
///
/// let device = Device::get(0)?;
/// let (copy, compute) = (device.stream()?, device.stream()?);
/// let filled = Event::new();
/// // ... enqueue a copy on `copy`
/// filled.record(&copy)?;
/// compute.wait_event(&filled)?;
/// // ... enqueue what reads it on `compute`
/// compute.synchronize()?;
/// assert!(filled.query()?);
/// # Ok::<(), cuda_streams::Error>(())
/// ```
///
/// What an event can do is in its type. The time between untimed events does not compile:
///
/// ```compile_fail,E0599
/// use cuda_streams::Event;
///
/// Event::new().elapsed_time(&Event::new());
/// ```
///
/// nor does the time between a timed event and an untimed one:
///
/// ```compile_fail,E0308
/// use cuda_streams::Event;
///
/// Event::timed().elapsed_time(&Event::new());
/// ```
#[doc(alias = "CUevent")]
pub struct Event<M: Mode = Untimed> {
    inner: Inner,
    mode: PhantomData<fn() -> M>,
}

const _: () = assert!(size_of::<Event>() == 24);

impl<M: Mode> Event<M> {
    const fn from_inner(inner: Inner) -> Self {
        Self { inner, mode: PhantomData }
    }

    /// Puts the mark behind the work that is enqueued on the stream so far.
    ///
    /// The first record creates the driver's event, in the stream's context, and the event belongs to
    /// that context from then on, even where the driver then refuses the record.
    ///
    /// # Errors
    ///
    /// * [`Error::ContextMismatch`]: the event belongs to another context than the stream
    /// * [`Error::Capturing`]: on the legacy default stream, while this crate captures a blocking stream
    /// * [`Error::NotExternal`]: an interprocess event, on a stream that is being captured
    /// * [`Error::ContextDestroyed`], [`Error::ForeignContext`], [`Error::TwoDrivers`]
    /// * [`Error::Driver`], also with the error of earlier work; at the first record
    ///   `OUT_OF_MEMORY`
    ///
    /// ```
    /// use cuda_streams::{Device, Event};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let event = Event::new();
    /// event.record(&stream)?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventRecord")]
    #[inline]
    pub fn record(&self, stream: impl AsStream) -> Result<()> {
        self.inner.record(stream.as_stream())
    }

    /// Makes the stream wait for the mark: what is enqueued on it from now on runs after the work
    /// before the mark. The host does not wait. The stream may be of another context or device; for an
    /// interprocess event only where the wait becomes a node ([`external`](crate::EventOptions::external), in a capture).
    ///
    /// For an event that was never recorded this does nothing. Where it is known that the work is done, and the wait
    /// would change nothing, the driver is not called either. (With an [external](EventOptions::external) event it is asked in
    /// any case whether the stream is being captured.) [`Stream::wait_event`] is the same call and reads better.
    ///
    /// [`Stream::wait_event`]: crate::Stream::wait_event
    ///
    /// # Ordering
    ///
    /// The wait is for the last record that was made before it. Where another thread or, with an event
    /// that is [shared](Event::ipc_handle), another process records, a wait that comes before that
    /// `record` waits for the one before it, or for nothing, and no error says so: have the other side say
    /// when it has called `record`. Its work need not be done by then.
    ///
    /// # Errors
    ///
    /// * [`Error::Captured`]: last recorded inside a stream capture that has ended
    /// * [`Error::Capturing`]: this crate captures the stream, and the event was recorded outside and is not known to be
    ///   complete; or as for [`record`](Self::record)
    /// * [`Error::ContextMismatch`]: an interprocess event of another context than the stream, unless the wait is left out
    ///   because it would change nothing, or becomes a node. The driver is not asked: one (580.159.04) crashed. Let a stream of
    ///   the event's context wait for it, and this one [for that](crate::Stream::wait_stream).
    /// * [`Error::ContextDestroyed`], [`Error::ForeignContext`], [`Error::TwoDrivers`]: of a stream that has something to wait
    ///   for, which an event that was never recorded is not, unless it is external
    /// * [`Error::Driver`], also with the error of earlier work, where the driver is called
    ///
    /// ```
    /// use cuda_streams::{Device, Event};
    ///
    /// let device = Device::get(0)?;
    /// let (first, second) = (device.stream()?, device.stream()?);
    /// let event = Event::new();
    /// event.record(&first)?;
    /// event.wait(&second)?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuStreamWaitEvent")]
    #[inline]
    pub fn wait(&self, stream: impl AsStream) -> Result<()> {
        self.inner.wait(stream.as_stream())
    }

    /// Whether the work before the mark is done. True for an event that was never recorded. Does
    /// not wait.
    ///
    /// # Errors
    ///
    /// * [`Error::Captured`]: last recorded inside a stream capture
    /// * [`Error::ContextDestroyed`]; [`Error::Driver`], also with the error of earlier work: never
    ///   reported as "not yet"
    ///
    /// ```
    /// let event = cuda_streams::Event::new();
    /// assert!(event.query()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventQuery")]
    #[inline]
    pub fn query(&self) -> Result<bool> {
        self.inner.query()
    }

    /// Like [`query`](Self::query), and tells an event that was never recorded, or was captured,
    /// from one that is complete.
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; [`Error::Driver`], also with the error of earlier work.
    ///
    /// ```
    /// use cuda_streams::{Event, EventStatus};
    ///
    /// assert_eq!(Event::new().status()?, EventStatus::NotRecorded);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventQuery")]
    pub fn status(&self) -> Result<EventStatus> {
        status(&self.inner)
    }

    /// Waits on the host until the work before the mark is done. Returns at once for an event that
    /// was never recorded.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    ///
    /// ```
    /// use cuda_streams::{Device, Event};
    ///
    /// let stream = Device::get(0)?.stream()?;
    /// let event = Event::new();
    /// event.record(&stream)?;
    /// event.synchronize()?;
    /// assert!(event.query()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventSynchronize")]
    pub fn synchronize(&self) -> Result<()> {
        self.inner.synchronize()
    }

    /// Waits on the host until the work before the mark is done, but no longer than `limit`: `false`
    /// means that it is not done. True at once for an event that was never recorded.
    ///
    /// The driver has no such call, so this asks again and again, with pauses that grow to a millisecond:
    /// that much later than the work is done it may return.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    ///
    /// ```
    /// use std::time::Duration;
    /// use cuda_streams::Device;
    ///
    /// let event = Device::get(0)?.stream()?.record_event()?;
    /// assert!(event.synchronize_timeout(Duration::from_secs(5))?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventSynchronize")]
    pub fn synchronize_timeout(&self, limit: Duration) -> Result<bool> {
        poll::until(limit, || self.query())
    }

    /// Creates the driver's event now, in the device's primary context, instead of at the first
    /// record. Nothing if it is bound to that context already.
    ///
    /// # Errors
    ///
    /// [`Error::ContextMismatch`] if it is bound to another context, [`Error::ContextDestroyed`] if to
    /// one that is gone; those of [`Device::context`]; [`Error::Driver`] with `OUT_OF_MEMORY`.
    ///
    /// ```
    /// use cuda_streams::{Device, Event};
    ///
    /// let device = Device::get(0)?;
    /// let event = Event::new();
    /// event.bind(device)?;
    /// assert_eq!(event.device(), Some(device));
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventCreate")]
    pub fn bind(&self, device: Device) -> Result<()> {
        const CALL: &str = "cuEventCreate";
        if let Some(home) = self.context().filter(|home| home.device() != device) {
            let other = ContextName { device: device.ordinal(), id: None };
            home.alive()?;
            return Err(self.inner.mismatch(CALL, other, None));
        }
        self.inner.bind_to(device.context()?, CALL)
    }

    /// The event with its kind decided at run time.
    ///
    /// ```
    /// use cuda_streams::{Dynamic, Event};
    ///
    /// let events: Vec<Event<Dynamic>> = vec![Event::new().into_dynamic(), Event::timed().into_dynamic()];
    /// assert!(!events[0].is_timed() && events[1].is_timed());
    /// ```
    #[must_use]
    pub fn into_dynamic(self) -> Event<Dynamic> {
        Event::from_inner(self.inner)
    }

    /// Destroys the driver's event and tells how that went, which dropping does not. Pending work
    /// and waits that are enqueued are not affected. If a graph has a node of it, the driver's event is destroyed with
    /// the last such graph instead.
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers. The handle is gone in
    /// either case.
    ///
    /// ```
    /// use cuda_streams::{Device, Event};
    ///
    /// let event = Event::new();
    /// event.record(&Device::get(0)?.stream()?)?;
    /// event.destroy()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuEventDestroy")]
    pub fn destroy(mut self) -> Result<()> {
        self.inner.destroy()
    }
}

/// An event built and recorded in one step: for [`Stream::record_event`](crate::Stream::record_event).
#[inline(always)]
#[expect(clippy::inline_always, reason = "saves some 7 ns: the event is not passed through memory")]
pub(crate) fn recorded<M: Mode>(stream: impl AsStream, options: EventOptions<M>) -> Result<Event<M>> {
    let (stream, design) = (stream.as_stream(), options.design());
    let context = stream.context()?;
    Inner::recorded(stream.within(context), context, design).map(Event::from_inner)
}

/// Makes a stream wait for what is enqueued on another one so far. By their contexts, which `record_event` and `wait` would
/// ask for again.
#[inline]
pub(crate) fn wait_for_all(stream: StreamIn<'_>, other: StreamIn<'_>) -> Result<()> {
    Inner::wait_between(stream, other, EventOptions::new().design())
}

impl<M: Mode> AsEvent for Event<M> {
    #[inline]
    fn as_event(&self) -> EventRef<'_> {
        EventRef::new(&self.inner)
    }
}

impl<M: Mode> fmt::Debug for Event<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Event");
        fields.field("mode", &format_args!("{}", M::NAME));
        describe(&self.inner, fields)
    }
}

/// The fields that every kind of event shows. Makes no driver call.
fn describe(inner: &Inner, mut fields: fmt::DebugStruct<'_, '_>) -> fmt::Result {
    fields
        .field("device", &inner.home().map(|home| home.device().ordinal()))
        .field("flags", &inner.flags())
        .field("recorded", &inner.seen().is_recorded())
        .field("lent", &inner.is_lent())
        .finish()
}

/// The error for an answer that says that the event was recorded in a capture.
fn captured(answer: Answer) -> Option<Error> {
    match answer.code()? {
        code @ (ErrorCode::CAPTURED_EVENT | ErrorCode::INVALID_VALUE) => {
            answer.note();
            Some(Error::Captured { call: answer.call(), code: Some(code) })
        }
        _ => None,
    }
}

#[cold]
fn mismatch(call: &'static str, event: ContextName, other: ContextName, code: Option<ErrorCode>) -> Error {
    Error::ContextMismatch(Box::new(ContextMismatch { call, event, other, code }))
}
