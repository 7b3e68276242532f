//! Primary contexts: one a device, retained lazily, once a process, and never released.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

use once_cell::sync::OnceCell;

use super::record::Record;
use super::{Context, Current, RawContext, Relaxed};
use crate::device::Device;
use crate::driver::CUcontext;
use crate::error::{Error, ErrorCode, Result};
use crate::exceptions;

/// Of each device.
static PRIMARIES: OnceCell<Box<[Primary]>> = OnceCell::new();

/// The primary context of one device: at most one living record.
struct Primary {
    record: AtomicPtr<Record>,
    retaining: Mutex<()>,
}

impl Primary {
    fn of(device: Device) -> Result<&'static Self> {
        exceptions::check()?;
        let primaries = PRIMARIES.get_or_try_init(|| {
            let new = |_| Self { record: AtomicPtr::new(ptr::null_mut()), retaining: Mutex::new(()) };
            Ok::<_, Error>(Device::all()?.map(new).collect())
        })?;
        Ok(&primaries[device.ordinal() as usize])
    }

    /// The context retained last.
    #[inline]
    fn last(&self) -> Option<Context> {
        // SAFETY: null, or a record, which is never freed; Acquire pairs with the store in `retain`.
        let record = unsafe { self.record.load(Ordering::Acquire).as_ref() };
        record.map(Context::of)
    }

    /// The context of this device that was retained last. Asks nothing.
    #[inline]
    fn last_of(device: Device) -> Option<Context> {
        PRIMARIES.get()?.get(device.ordinal() as usize)?.last()
    }

    /// The context retained last, unless it is known that this life is over.
    #[inline]
    fn known(&self) -> Option<Context> {
        self.last().filter(|context| context.alive().is_ok())
    }

    /// The context of the present life, as the driver says now.
    fn living(&self) -> Result<Option<Context>> {
        let Some(context) = self.known() else { return Ok(None) };
        match context.verify() {
            Ok(()) => Ok(Some(context)),
            Err(Error::ContextDestroyed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The context, retained now unless it is already, and given back if `accept` refuses its handle.
    #[cold]
    fn retain(&self, device: Device, accept: impl FnOnce(CUcontext) -> Result<()>) -> Result<Context> {
        let _one_at_a_time = self.retaining.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = self.living()? {
            return accept(context.raw()).map(|()| context);
        }
        let raw = retain(device)?;
        let interned = accept(raw).and_then(|()| Record::intern(device.driver(), raw, device));
        match interned {
            Ok(record) => self.record.store(ptr::from_ref(record).cast_mut(), Ordering::Release),
            Err(_) => release(device),
        }
        interned.map(Context::of)
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
        living.map_or_else(|| primary.retain(self, |_| Ok(())), Ok)
    }

    /// Its primary context, if it was retained and nothing is against its use; the driver is not asked whether it lives.
    #[inline]
    pub(crate) fn known_context(self) -> Option<Context> {
        let context = Primary::last_of(self)?;
        (exceptions::is_none() && !context.has_died()).then_some(context)
    }

    /// Its primary context, if it was retained and lives.
    pub(crate) fn context_if_retained(self) -> Result<Option<Context>> {
        Primary::of(self)?.living()
    }

    /// Waits until all work of its primary context is done. Where nobody made the context there is
    /// none, and none is made.
    ///
    /// # Errors
    ///
    /// As [`Context::synchronize`].
    ///
    /// ```
    /// cuda_streams::Device::get(0)?.synchronize()?;
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuCtxSynchronize")]
    pub fn synchronize(self) -> Result<()> {
        if let Some(context) = self.context_if_retained()? {
            return context.synchronize();
        }
        if !self.is_active()? {
            return Ok(());
        }
        // Somebody else's: theirs to keep, so only held for the call.
        let raw = retain(self)?;
        // SAFETY: retained just now.
        let current = unsafe { Current::push(self.driver(), raw) };
        let result = current.and_then(|_current| {
            let _relaxed = Relaxed::beside_captures(self.driver());
            // SAFETY: a context is current.
            unsafe { self.driver().cuCtxSynchronize() }.ok()
        });
        release(self);
        result
    }

    /// Lets work on this device reach `peer`'s memory directly. Enabling it twice is fine.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] with `PEER_ACCESS_UNSUPPORTED` where
    /// [`can_access_peer`](Self::can_access_peer) is false, for the device itself too,
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
        let _relaxed = Relaxed::beside_captures(self.driver());
        // SAFETY: both contexts were verified just now, and this crate never releases them.
        let answer = unsafe { self.driver().cuCtxEnablePeerAccess(there.raw(), 0) };
        match answer.code() {
            None | Some(ErrorCode::PEER_ACCESS_ALREADY_ENABLED) => Ok(()),
            Some(_) => there.verify().and(here.check(answer)),
        }
    }
}

impl Context {
    /// Whether it is the primary context that this crate has retained last of its device.
    pub(crate) fn is_primary(self) -> bool {
        Primary::last_of(self.device()) == Some(self)
    }

    /// `device`'s primary context, if it lives and this is its handle. Creates none.
    pub(super) fn primary_if(device: Device, raw: CUcontext) -> Result<Option<Self>> {
        if !device.is_active()? {
            return Ok(None);
        }
        let accept = |retained| if retained == raw { Ok(()) } else { Err(Error::ForeignContext { device: device.ordinal() }) };
        match Primary::of(device)?.retain(device, accept) {
            Ok(context) => Ok(Some(context)),
            Err(Error::ForeignContext { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `device`'s primary context, if that is what `raw` is. Creates none.
    ///
    /// `raw` is a living primary context, and two contexts that live at the same time have two
    /// addresses. So equality proves that whoever made `raw` has loaded the same driver library as
    /// this crate; and where nobody made one in this library, there is nothing to be equal to.
    pub(crate) fn primary_with_raw(device: Device, raw: RawContext) -> Result<Option<Self>> {
        let is_raw = |context: &Self| context.as_raw() == raw;
        let primary = Primary::of(device)?;
        if let Some(context) = primary.known().filter(is_raw) {
            return Ok(Some(context));
        }
        if let Some(context) = Self::primary_if(device, raw.cast())? {
            return Ok(Some(context));
        }
        // Not another library's, if it was this one's before a reset.
        match primary.last().filter(is_raw) {
            Some(context) => context.alive().map(|()| None),
            None => Ok(None),
        }
    }
}

fn retain(device: Device) -> Result<CUcontext> {
    let mut raw: CUcontext = ptr::null_mut();
    // SAFETY: the out pointer is a live local.
    unsafe { device.driver().cuDevicePrimaryCtxRetain(&raw mut raw, device.raw()) }.ok()?;
    Ok(raw)
}

/// Gives back what was just retained.
fn release(device: Device) {
    // SAFETY: undoes a retain of this file, whose context nothing of this crate was created in.
    let answer = unsafe { device.driver().cuDevicePrimaryCtxRelease_v2(device.raw()) };
    // Refused, the context stays a little longer than needed.
    let _ = answer;
}
