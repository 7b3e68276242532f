//! Contexts: what a device's streams and events live in.

mod current;
mod foreign;
mod primary;
mod record;
mod relaxed;

use std::ffi::{c_int, c_void};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use crate::device::Device;
use crate::driver::{Answer, CUcontext, Driver};
use crate::error::{ContextName, Error, ErrorCode, Result};
use crate::exceptions;
use crate::guard;
pub(crate) use current::{Current, Restore};
use record::{Record, id_of};
pub(crate) use relaxed::Relaxed;

/// A raw `CUcontext`.
#[doc(alias = "CUcontext")]
pub type RawContext = *mut c_void;

/// A context: what streams and events belong to.
///
/// Mostly it is a device's primary context, the one that the CUDA runtime, PyTorch and cudarc use too.
/// That comes into being with the first of these calls on its device, and lives until the process ends:
/// [`Device::context`], [`Device::stream`], [`Device::stream_with`], [`Device::stream_pool`], [`Device::event`],
/// [`Device::default_stream`], [`Device::per_thread_stream`], [`ExternalStream::from_raw_on`] with one of the
/// handles 0, 1, 2, [`Device::enable_peer_access`] (of both devices), [`Event::bind`], [`Event::ipc_handle`],
/// [`Event::from_ipc_handle`] and [`from_ipc_handle_with`](crate::Event::from_ipc_handle_with), [`IpcMemory::new`],
/// [`IpcMemory::open`], and [`Device::current_stream`] where no scope is open. No other call creates a context,
/// and none changes which context is current on the calling thread. (A call on a stream of cudarc retains the
/// context that cudarc made; [`Device::synchronize`] holds one that somebody made, for the call. Dropping
/// cudarc's own objects, and so an `ExternalStream` that holds the last share of one, makes their context
/// current, as cudarc does.)
///
/// [`ExternalStream::from_raw_on`]: crate::ExternalStream::from_raw_on
/// [`Event::bind`]: crate::Event::bind
/// [`Event::ipc_handle`]: crate::Event::ipc_handle
/// [`Event::from_ipc_handle`]: crate::Event::from_ipc_handle
/// [`IpcMemory::new`]: crate::IpcMemory::new
/// [`IpcMemory::open`]: crate::IpcMemory::open
///
/// Others come from [`from_raw`](Self::from_raw), and with an [`ExternalStream`](crate::ExternalStream)
/// of theirs.
///
/// ```
/// use cuda_streams::Device;
///
/// let device = Device::get(0)?;
/// let context = device.context()?;
/// assert_eq!(context, device.context()?);
/// assert_eq!(context.device(), device);
/// # Ok::<(), cuda_streams::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[doc(alias = "CUcontext")]
pub struct Context {
    /// A record, which is never freed. Not a reference: a key of a map must not seem to change with
    /// the flag in the record.
    record: NonNull<Record>,
}

// SAFETY: as a reference to a record would be.
unsafe impl Send for Context {}
// SAFETY: as a reference to a record would be.
unsafe impl Sync for Context {}

impl Context {
    /// The driver's id of it, unique in the process even where the raw handle recurs. `None` on
    /// drivers before 12.0.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// assert_eq!(device.context()?.id(), device.stream()?.context().id());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    #[doc(alias = "cuCtxGetId")]
    pub fn id(self) -> Option<u64> {
        self.record().id
    }

    /// Its device.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// assert_eq!(device.context()?.device(), device);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    #[doc(alias = "cuCtxGetDevice")]
    pub fn device(self) -> Device {
        self.record().device
    }

    /// The raw `CUcontext`: of a primary context valid until the process ends unless somebody resets the
    /// device. It must not be released or destroyed.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// assert!(!device.context()?.as_raw().is_null());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn as_raw(self) -> RawContext {
        self.record().raw.cast()
    }

    /// Runs `f` with this context current on the calling thread, for raw driver calls that need one.
    /// Afterwards, and if `f` panics, the thread's current context is what it was, whatever `f` did
    /// to it. (Not where `f` destroyed that context; and drivers before 12.0 cannot tell, so that there
    /// `f` itself must leave what it found.)
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// # let context = cuda_streams::Device::get(0)?.context()?;
    /// let answer = context.with_current(|| 42)?;
    /// assert_eq!(answer, 42);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuCtxPushCurrent")]
    #[doc(alias = "cuCtxPopCurrent")]
    pub fn with_current<R>(self, f: impl FnOnce() -> R) -> Result<R> {
        self.alive()?;
        let _restore = Restore::new(self.driver())?;
        let _current = self.enter()?;
        Ok(f())
    }

    /// Waits until all work of all its streams is done.
    ///
    /// # Errors
    ///
    /// [`Error::Capturing`] while this crate captures a stream of it, on whatever thread; [`Error::ContextDestroyed`];
    /// [`Error::Driver`], also with the error of earlier work.
    ///
    /// ```
    /// cuda_streams::Device::get(0)?.context()?.synchronize()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuCtxSynchronize")]
    pub fn synchronize(self) -> Result<()> {
        guard::outside_captures(self.as_raw().addr(), "cuCtxSynchronize")?;
        let _current = self.enter()?;
        let _relaxed = Relaxed::beside_captures(self.driver());
        // SAFETY: the context is current.
        self.check(unsafe { self.driver().cuCtxSynchronize() })
    }

    /// The priorities that streams of it can have: the numerically lowest is the greatest. `-5..=0`
    /// on an H200; `0..=0` where the device has none.
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// # let context = cuda_streams::Device::get(0)?.context()?;
    /// assert!(context.stream_priorities()?.contains(&0));
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuCtxGetStreamPriorityRange")]
    pub fn stream_priorities(self) -> Result<RangeInclusive<i32>> {
        let _current = self.enter()?;
        let (mut least, mut greatest): (c_int, c_int) = (0, 0);
        // SAFETY: the context is current, the out pointers are live locals.
        let answer = unsafe { self.driver().cuCtxGetStreamPriorityRange(&raw mut least, &raw mut greatest) };
        self.check(answer)?;
        Ok(greatest..=least)
    }

    /// Makes it current until the guard is dropped, once the driver has said that it still lives.
    pub(crate) fn enter(self) -> Result<Current> {
        self.verify()?;
        // SAFETY: alive, as the driver said just now.
        unsafe { Current::push(self.driver(), self.raw()) }
    }

    /// The context with this number, which an event holds in four bytes.
    #[inline]
    pub(crate) fn by_number(number: NonZeroU32) -> Self {
        Self::of(Record::by_number(number))
    }

    #[inline]
    fn of(record: &'static Record) -> Self {
        Self { record: NonNull::from(record) }
    }

    #[inline]
    fn record(self) -> &'static Record {
        // SAFETY: made from a record, which is never freed.
        unsafe { self.record.as_ref() }
    }

    #[inline]
    pub(crate) fn number(self) -> NonZeroU32 {
        self.record().number
    }

    #[inline]
    pub(crate) fn driver(self) -> &'static Driver {
        self.record().driver
    }

    fn raw(self) -> CUcontext {
        self.record().raw
    }

    /// In an error message.
    pub(crate) fn name(self) -> ContextName {
        ContextName { device: self.device().ordinal(), id: self.id() }
    }

    /// `Err` if its handles must not be passed to the driver any more, or not in this process.
    #[inline]
    pub(crate) fn alive(self) -> Result<()> {
        exceptions::check()?;
        if self.has_died() { Err(self.destroyed()) } else { Ok(()) }
    }

    /// Whether it is known to be dead.
    #[inline]
    pub(crate) fn has_died(self) -> bool {
        !self.record().alive.load(Ordering::Relaxed)
    }

    /// Asks the driver whether this is still the same life of the context: before each creation and
    /// destruction, and where a refusal may mean that it is not.
    pub(crate) fn verify(self) -> Result<()> {
        self.alive()?;
        match id_of(self.driver(), self.raw()) {
            Some(Ok(id)) if Some(id) == self.id() => Ok(()),
            id => self.verify_by(id),
        }
    }

    #[cold]
    fn verify_by(self, id: Option<Result<u64>>) -> Result<()> {
        match id {
            Some(Ok(id)) if Some(id) != self.id() => Err(self.died()),
            Some(Err(Error::Driver { code: ErrorCode::CONTEXT_IS_DESTROYED | ErrorCode::INVALID_CONTEXT, .. })) => Err(self.died()),
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Whether the driver has it still: also where it is only declared over, by [`retire`](Self::retire). Without ids it
    /// does unless it said otherwise, since this is a part of a call, for which whoever ends it waits
    /// ([`from_raw`](Self::from_raw)).
    pub(crate) fn is_in_driver(self) -> bool {
        if self.record().is_gone.load(Ordering::Acquire) {
            return false;
        }
        match id_of(self.driver(), self.raw()) {
            Some(id) => id.is_ok_and(|id| Some(id) == self.id()),
            None => true,
        }
    }

    /// The result of a call on a handle of this context.
    #[inline]
    pub(crate) fn check(self, answer: Answer) -> Result<()> {
        if answer.is_ok() { Ok(()) } else { Err(self.refused(answer)) }
    }

    /// The error for an answer that is not success: the context's death, if that is the reason.
    #[cold]
    pub(crate) fn refused(self, answer: Answer) -> Error {
        match answer.code() {
            // Without ids there is no asking back.
            Some(ErrorCode::CONTEXT_IS_DESTROYED) if self.id().is_none() => self.died(),
            Some(ErrorCode::CONTEXT_IS_DESTROYED | ErrorCode::INVALID_CONTEXT | ErrorCode::INVALID_HANDLE) => match self.verify() {
                Err(destroyed @ Error::ContextDestroyed { .. }) => destroyed,
                _ => answer.error(),
            },
            _ => answer.error(),
        }
    }

    #[cold]
    fn died(self) -> Error {
        self.record().is_gone.store(true, Ordering::Release);
        self.record().alive.store(false, Ordering::Release);
        self.destroyed()
    }

    #[cold]
    pub(crate) fn destroyed(self) -> Error {
        Error::ContextDestroyed { device: self.device().ordinal() }
    }
}

impl Hash for Context {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number().hash(state);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("device", &self.device().ordinal()).field("id", &self.id()).finish()
    }
}
