//! Contexts that somebody else made: second contexts, green contexts, and what is current.

use std::ptr;

use super::current::current;
use super::record::{Record, id_of};
use super::{Context, Current, RawContext};
use crate::device::Device;
use crate::driver::{CUcontext, CUdevice, CUstream, Driver, driver};
use crate::error::{Error, Result};
use crate::exceptions;

impl Context {
    /// A context that somebody else made: by `cuCtxCreate`, or as a green context. A primary context
    /// is retained and is then the same as [`Device::context`].
    ///
    /// Asking twice gives the same context, told by its handle *and* its id, since handles recur.
    /// (Drivers before 12.0 have no ids; there each call of this gives another `Context`, unequal to the
    /// others, and takes about 100 bytes for good.)
    ///
    /// # Safety
    ///
    /// `raw` is a living context of the driver that this crate uses. Unless it is a primary context,
    /// it lives until the process ends, or until [`retire`](Self::retire) was called and no call on
    /// anything that belongs to it is under way: nor a [capture](crate::Stream::capture), which its closure ends; nor what
    /// is given back soon after, on another thread: what was dropped inside a host function, and what graphs and host
    /// functions that are gone have held.
    ///
    /// # Errors
    ///
    /// [`Error::NullHandle`]; [`Error::DriverNotFound`]; [`Error::Driver`] as the driver answers.
    ///
    /// ```
    /// use cuda_streams::{Context, Device};
    ///
    /// let device = Device::get(0)?;
    /// let raw = device.context()?.as_raw();
    /// // SAFETY: the primary context.
    /// let context = unsafe { Context::from_raw(raw) }?;
    /// assert_eq!(context, device.context()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    pub unsafe fn from_raw(raw: RawContext) -> Result<Self> {
        if raw.is_null() {
            return Err(Error::NullHandle { what: "context" });
        }
        // SAFETY: the caller's contract.
        unsafe { Self::interned(driver()?, raw.cast()) }
    }

    /// Declares the context over, before whoever made it destroys it: events and streams of it answer
    /// [`Error::ContextDestroyed`] from now on wherever the driver would be asked, and are leaked, without a driver call.
    /// (What is known to be complete, or was never recorded, is so still.) Idle events are forgotten: call
    /// [`trim_events`](Self::trim_events) before, where they do not end with the context. A capture that is open ends with
    /// its closure all the same, since the driver has it still, and its graph is leaked.
    ///
    /// Of a primary context this is needed before somebody resets the device, once no call on anything that belongs to it
    /// is under way; [`Device::context`] then retains the next life. (In a [forked child](Error::ForkedChild) everything is
    /// over already, and this does nothing.)
    ///
    /// ```
    /// use cuda_streams::{Device, Error};
    ///
    /// let device = Device::get(0)?;
    /// let stream = device.stream()?;
    /// stream.context().retire();
    /// assert_eq!(stream.query(), Err(Error::ContextDestroyed { device: 0 }));
    /// assert!(device.stream()?.query()?);
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    pub fn retire(self) {
        if !exceptions::is_forked() {
            self.record().retire();
        }
    }

    /// The context with this handle.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](Self::from_raw).
    pub(crate) unsafe fn interned(driver: &'static Driver, raw: CUcontext) -> Result<Self> {
        let id = id_of(driver, raw).transpose()?;
        if let Some(known) = id.and_then(|id| Record::find(raw, id)) {
            return Ok(Self::of(known));
        }
        let device = {
            // SAFETY: it is alive, says the caller.
            let _current = unsafe { Current::push(driver, raw) }?;
            current_device(driver)?
        };
        match Self::primary_if(device, raw)? {
            Some(primary) => Ok(primary),
            None => Record::intern(driver, raw, device).map(Self::of),
        }
    }

    /// The context that the driver says a stream belongs to.
    ///
    /// # Safety
    ///
    /// The stream lives, and is none of the handles 0, 1, 2; of its context as for
    /// [`from_raw`](Self::from_raw).
    pub(crate) unsafe fn of_stream(stream: CUstream) -> Result<Self> {
        let driver = driver()?;
        let mut raw: CUcontext = ptr::null_mut();
        // SAFETY: the stream lives, says the caller; the out pointer is a live local.
        unsafe { driver.cuStreamGetCtx(stream, &raw mut raw) }.ok()?;
        // SAFETY: the context of a living stream; the caller vouches for the rest.
        unsafe { Self::interned(driver, raw) }
    }

    /// The calling thread's current context.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](Self::from_raw), of the context that is current.
    pub(crate) unsafe fn current() -> Result<Self> {
        let driver = driver()?;
        let raw = current(driver)?;
        if raw.is_null() {
            return Err(Error::NoCurrentDevice);
        }
        // SAFETY: the caller vouches for it.
        unsafe { Self::interned(driver, raw) }
    }

    /// The calling thread's current context, which must be its device's primary one.
    pub(crate) fn current_primary() -> Result<Self> {
        let (raw, device) = current_context_and_device()?;
        Self::primary_with_raw(device, raw.cast())?.ok_or(Error::ForeignContext { device: device.ordinal() })
    }
}

impl Device {
    /// The device of the calling thread's current context.
    pub(crate) fn of_current_context() -> Result<Self> {
        current_context_and_device().map(|(_, device)| device)
    }
}

fn current_context_and_device() -> Result<(CUcontext, Device)> {
    let driver = driver()?;
    let raw = current(driver)?;
    if raw.is_null() {
        return Err(Error::NoCurrentDevice);
    }
    // A context that was destroyed stays current where it was.
    id_of(driver, raw).transpose()?;
    Ok((raw, current_device(driver)?))
}

/// The device of the context that is current.
fn current_device(driver: &'static Driver) -> Result<Device> {
    let mut device: CUdevice = 0;
    // SAFETY: the out pointer is a live local.
    unsafe { driver.cuCtxGetDevice(&raw mut device) }.ok()?;
    Device::with_raw(device)
}
