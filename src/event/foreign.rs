//! Events that somebody else owns.

use std::marker::PhantomData;

use super::{EventRef, captured, mismatch};
use crate::context::{Context, Relaxed};
use crate::driver::{CUevent, driver};
use crate::error::{Error, ErrorCode, Result};
use crate::exceptions;
use crate::handle::{ForeignHome, RawEvent, StreamRef};

/// A view of an event that this crate did not make: every call asks the driver.
#[derive(Clone, Copy)]
pub(super) struct Foreign<'a> {
    raw: CUevent,
    /// Where its owner says that it lives, to be compared with what this crate knows.
    home: Option<ForeignHome>,
    _event: PhantomData<&'a ()>,
}

// SAFETY: an event handle may be used from any thread, says the driver; so may that of a context.
unsafe impl Send for Foreign<'_> {}
// SAFETY: as above; nothing changes while it is shared.
unsafe impl Sync for Foreign<'_> {}

impl EventRef<'_> {
    /// A view of an event that somebody else owns, such as PyTorch's `event.cuda_event`. It is never
    /// destroyed. PyTorch's event is 0 before its first record, and every call on that answers
    /// [`Error::NullHandle`].
    ///
    /// # Safety
    ///
    /// * `raw` is null, or an event of the driver that this crate uses, which lives as long as the view
    ///   and its copies.
    /// * If it was created for other processes (`CU_EVENT_INTERPROCESS`, PyTorch's `interprocess=True`), no stream of another
    ///   context waits for it: 580.159.04 crashed where one of another device or of a second context did. The driver tells
    ///   nobody how an event was created.
    ///
    /// ```
    /// use cuda_streams::{Device, EventRef};
    ///
    /// let device = Device::get(0)?;
    /// let owner = device.stream()?.record_event()?;
    /// let raw = owner.as_raw().unwrap();
    /// // SAFETY: `owner` lives until the end.
    /// let event = unsafe { EventRef::from_raw(raw) };
    /// device.stream()?.wait_event(event)?;
    /// event.synchronize()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub unsafe fn from_raw(raw: RawEvent) -> Self {
        Self::foreign(Foreign { raw: raw.cast(), home: None, _event: PhantomData })
    }

    /// A view of an event of another crate, in a context that it names.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](Self::from_raw).
    #[cfg(feature = "cudarc-interop")]
    pub(crate) unsafe fn of_other_crate(raw: RawEvent, home: ForeignHome) -> Self {
        Self::foreign(Foreign { raw: raw.cast(), home: Some(home), _event: PhantomData })
    }
}

impl Foreign<'_> {
    pub(super) fn as_raw(self) -> RawEvent {
        self.raw.cast()
    }

    #[inline(never)]
    pub(super) fn record(self, stream: StreamRef<'_>) -> Result<()> {
        let home = self.home()?;
        let context = stream.context()?;
        not_implicit(stream, context, "cuEventRecord")?;
        // SAFETY: both handles are alive: the views borrow the objects.
        let answer = stream.call(context, |driver, stream| unsafe { driver.cuEventRecord(self.raw, stream) })?;
        match (answer.code(), home) {
            (code @ Some(ErrorCode::INVALID_HANDLE), Some(home)) if home != context => {
                Err(mismatch(answer.call(), home.name(), context.name(), code))
            }
            _ => context.check(answer),
        }
    }

    #[inline(never)]
    pub(super) fn wait(self, stream: StreamRef<'_>) -> Result<()> {
        self.home()?;
        let context = stream.context()?;
        not_implicit(stream, context, "cuStreamWaitEvent")?;
        // SAFETY: both handles are alive: the views borrow the objects; flags must be 0.
        let answer = stream.call(context, |driver, stream| unsafe { driver.cuStreamWaitEvent(stream, self.raw, 0) })?;
        captured(answer).map_or_else(|| context.check(answer), Err)
    }

    pub(super) fn query(self) -> Result<bool> {
        self.home()?;
        let driver = driver()?;
        // SAFETY: the handle is alive: the view borrows the event.
        let answer = Relaxed::around(driver, || unsafe { driver.cuEventQuery(self.raw) });
        if answer.code() == Some(ErrorCode::NOT_READY) {
            return Ok(false);
        }
        captured(answer).map_or_else(|| answer.ok(), Err).map(|()| true)
    }

    pub(super) fn synchronize(self) -> Result<()> {
        self.home()?;
        let driver = driver()?;
        // SAFETY: the handle is alive: the view borrows the event.
        let answer = Relaxed::around(driver, || unsafe { driver.cuEventSynchronize(self.raw) });
        captured(answer).map_or_else(|| answer.ok(), Err)
    }

    /// Its context, if its owner says which. Refuses a null handle.
    fn home(self) -> Result<Option<Context>> {
        if self.raw.is_null() {
            return Err(Error::NullHandle { what: "event" });
        }
        self.home.map(ForeignHome::context).transpose()
    }
}

/// [`Error::Capturing`] for the legacy default stream while a blocking stream is captured by this crate: the call would
/// end that capture.
#[inline]
fn not_implicit(stream: StreamRef<'_>, context: Context, call: &'static str) -> Result<()> {
    if exceptions::is_capturing() { stream.capture_for(context, call).map(drop) } else { Ok(()) }
}
