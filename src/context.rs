//! Contexts: retained lazily, once a process, and never released.

mod record;

use std::ffi::{c_int, c_void};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

use once_cell::sync::OnceCell;

use crate::device::Device;
use crate::driver::{Answer, CUctx, Driver};
use crate::error::{ContextName, Error, ErrorCode, Result};
use record::Record;

/// A raw `CUcontext`.
pub type RawContext = *mut c_void;

/// A device's primary context, the one that the CUDA runtime, PyTorch and cudarc use too.
///
/// It comes into being with the first of these calls on its device, and lives until the process
/// ends: [`Device::context`], [`Device::stream`], [`Device::stream_with`], [`Device::event`],
/// [`Device::enable_peer_access`], [`Event::bind`](crate::Event::bind). No other call creates a
/// context, and none changes which context is current on the calling thread.
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
#[derive(Clone, Copy)]
pub struct Context(&'static Record);

/// The primary context of one device: at most one living record.
struct Primary {
    record: AtomicPtr<Record>,
    retaining: Mutex<()>,
}

impl Primary {
    fn of(device: Device) -> Result<&'static Self> {
        static PRIMARIES: OnceCell<Box<[Primary]>> = OnceCell::new();
        let primaries = PRIMARIES.get_or_try_init(|| {
            let new = |_| Self { record: AtomicPtr::new(ptr::null_mut()), retaining: Mutex::new(()) };
            Ok::<_, Error>(Device::all()?.map(new).collect())
        })?;
        Ok(&primaries[device.ordinal() as usize])
    }

    /// The record made last, of a life that may be over.
    #[inline]
    fn record(&self) -> Option<&'static Record> {
        // SAFETY: null, or a record, which is never freed; Acquire pairs with the store in `retain`.
        unsafe { self.record.load(Ordering::Acquire).as_ref() }
    }

    /// The record of the context's present life, as the driver says now.
    fn living(&self) -> Result<Option<&'static Record>> {
        let Some(record) = self.record() else { return Ok(None) };
        match record.verify() {
            Ok(()) => Ok(Some(record)),
            Err(Error::ContextDestroyed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    #[cold]
    fn retain(&self, device: Device) -> Result<&'static Record> {
        let _one_at_a_time = self.retaining.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = self.living()? {
            return Ok(record);
        }
        let driver = device.driver();
        let mut raw: CUctx = ptr::null_mut();
        // SAFETY: the out pointer is a live local.
        unsafe { driver.cuDevicePrimaryCtxRetain(&raw mut raw, device.raw()) }.ok()?;
        let interned = Record::intern(driver, raw, device);
        match interned {
            Ok(record) => self.record.store(ptr::from_ref(record).cast_mut(), Ordering::Release),
            // SAFETY: gives back what was just retained; nothing was created in it.
            Err(_) => drop(unsafe { driver.cuDevicePrimaryCtxRelease_v2(device.raw()) }.ok()),
        }
        interned
    }
}

impl Device {
    /// Its primary context, retained at the first call and never released.
    ///
    /// The first retain in a process takes about 100 ms; later calls about 20 ns. The current
    /// context of the thread stays what it was.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] if the driver cannot create it (`OUT_OF_MEMORY`, `DEVICE_UNAVAILABLE`, a
    /// sticky code after a device fault). A failure is not remembered.
    ///
    /// ```
    /// # let device = cuda_streams::Device::get(0)?;
    /// let context = device.context()?;
    /// assert!(device.is_active()?);
    /// # let _ = context;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuDevicePrimaryCtxRetain")]
    pub fn context(self) -> Result<Context> {
        let primary = Primary::of(self)?;
        let living = primary.living()?;
        living.map_or_else(|| primary.retain(self), Ok).map(Context)
    }

    /// Waits until all work of its primary context is done. Where nobody made the context there is
    /// none, and none is made.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`], also with the error of earlier work.
    ///
    /// ```
    /// cuda_streams::Device::get(0)?.synchronize()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuCtxSynchronize")]
    pub fn synchronize(self) -> Result<()> {
        if self.is_active()? { self.context()?.synchronize() } else { Ok(()) }
    }

    /// Lets work on this device reach `peer`'s memory directly. Enabling it twice is fine.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] with `PEER_ACCESS_UNSUPPORTED` where
    /// [`can_access_peer`](Self::can_access_peer) is false, `INVALID_DEVICE` for the device itself,
    /// `TOO_MANY_PEERS`; those of [`context`](Self::context) for both devices.
    ///
    /// ```no_run
    /// use cuda_streams::Device;
    ///
    /// let (a, b) = (Device::get(0)?, Device::get(1)?);
    /// if a.can_access_peer(b)? {
    ///     a.enable_peer_access(b)?;
    /// }
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuCtxEnablePeerAccess")]
    pub fn enable_peer_access(self, peer: Self) -> Result<()> {
        let (here, there) = (self.context()?, peer.context()?);
        let _current = here.enter()?;
        // SAFETY: both contexts were verified just now, and this crate never releases them.
        let answer = unsafe { self.driver().cuCtxEnablePeerAccess(there.0.raw(), 0) };
        if answer.code() == Some(ErrorCode::PEER_ACCESS_ALREADY_ENABLED) { Ok(()) } else { here.check(answer) }
    }
}

impl Context {
    /// The driver's id of it, unique in the process even where the raw handle recurs. `None` on
    /// drivers before 12.0.
    #[must_use]
    #[doc(alias = "cuCtxGetId")]
    pub fn id(self) -> Option<u64> {
        self.0.id()
    }

    /// Its device.
    #[must_use]
    pub fn device(self) -> Device {
        self.0.device()
    }

    /// The raw `CUcontext`. It must not be released or destroyed.
    #[must_use]
    pub fn as_raw(self) -> RawContext {
        self.0.raw().cast()
    }

    /// Runs `f` with this context current on the calling thread, for raw driver calls that need one.
    /// Afterwards, and if `f` panics, the thread's current context is what it was.
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
        let _current = self.enter()?;
        Ok(f())
    }

    /// Waits until all work of all its streams is done.
    ///
    /// # Errors
    ///
    /// [`Error::ContextDestroyed`]; [`Error::Driver`], also with the error of earlier work.
    ///
    /// ```
    /// cuda_streams::Device::get(0)?.context()?.synchronize()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuCtxSynchronize")]
    pub fn synchronize(self) -> Result<()> {
        let _current = self.enter()?;
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
        Current::push(self)
    }

    /// The context with this number, which an event holds in four bytes.
    #[inline]
    pub(crate) fn by_number(number: NonZeroU32) -> Self {
        Self(Record::by_number(number))
    }

    #[inline]
    pub(crate) fn number(self) -> NonZeroU32 {
        self.0.number()
    }

    #[inline]
    pub(crate) fn driver(self) -> &'static Driver {
        self.0.driver()
    }

    /// In an error message.
    pub(crate) fn name(self) -> ContextName {
        ContextName { device: self.device().ordinal(), id: self.id() }
    }

    /// `Err` if its handles must not be passed to the driver any more.
    #[inline]
    pub(crate) fn alive(self) -> Result<()> {
        self.0.alive()
    }

    /// Asks the driver whether this is still the same life of the context: before each creation.
    pub(crate) fn verify(self) -> Result<()> {
        self.0.verify()
    }

    /// The result of a call on a handle of this context; remembers its death.
    #[inline]
    pub(crate) fn check(self, answer: Answer) -> Result<()> {
        if answer.is_ok() { Ok(()) } else { Err(self.refused(answer)) }
    }

    /// The error for an answer that is not success.
    #[cold]
    pub(crate) fn refused(self, answer: Answer) -> Error {
        self.0.refused(answer)
    }

    /// `device`'s primary context if `raw` is it.
    ///
    /// Two contexts that live at the same time have two addresses. So equality proves more: that
    /// whoever made `raw` has loaded the same driver library as this crate.
    pub(crate) fn primary_with_raw(device: Device, raw: RawContext) -> Result<Option<Self>> {
        let is_raw = |context: &Self| context.as_raw() == raw;
        let known = Primary::of(device)?.record().filter(|record| record.is_alive()).map(Self);
        if let Some(context) = known.filter(is_raw) {
            return Ok(Some(context));
        }
        Ok(Some(device.context()?).filter(is_raw))
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.0, other.0)
    }
}

impl Eq for Context {}

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

/// A context that is current on this thread until this is dropped.
pub(crate) struct Current {
    driver: &'static Driver,
    /// What is current belongs to the thread.
    _thread: PhantomData<*const ()>,
}

impl Current {
    fn push(context: Context) -> Result<Self> {
        let driver = context.driver();
        // SAFETY: the caller saw the context alive.
        context.check(unsafe { driver.cuCtxPushCurrent_v2(context.0.raw()) })?;
        Ok(Self { driver, _thread: PhantomData })
    }

    /// Makes the context current for a call on the handles 0, 1 and 2, unless it is already.
    pub(crate) fn ensure(context: Context) -> Result<Option<Self>> {
        let mut now: CUctx = ptr::null_mut();
        // SAFETY: the out pointer is a live local.
        unsafe { context.driver().cuCtxGetCurrent(&raw mut now) }.ok()?;
        if now == context.0.raw() { Ok(None) } else { Self::push(context).map(Some) }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        let mut popped: CUctx = ptr::null_mut();
        // SAFETY: undoes this thread's push; the out pointer is a live local.
        let answer = unsafe { self.driver.cuCtxPopCurrent_v2(&raw mut popped) };
        // A refusal leaves nothing to undo, and a destructor must not fail.
        let _ = answer;
    }
}
