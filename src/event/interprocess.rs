//! Events that processes share.

use std::ptr;

use super::Event;
use super::flags::Design;
use super::inner::Inner;
use super::mode::Interprocess;
use crate::context::{Context, Relaxed};
use crate::driver::{CUevent, CUipcEventHandle};
use crate::error::{IpcKind, IpcRefusal, Result};
use crate::sharing::{self, Bytes, Origin};

impl Event<Interprocess> {
    /// The handle for other processes. An event that is not bound yet is created in the context that `home`
    /// gives.
    pub(crate) fn export(&self, home: impl FnOnce() -> Result<Context>) -> Result<Bytes> {
        const CALL: &str = "cuIpcGetEventHandle";
        let (raw, context) = if let Some(bound) = self.inner.handle()? {
            bound
        } else {
            let context = home()?;
            let bind = |context| self.inner.own_handle_or_bind(context, CALL);
            // Where another thread binds it elsewhere meanwhile, there.
            bind(context).or_else(|error| match self.inner.home() {
                Some(home) if home != context => bind(home),
                _ => Err(error),
            })?
        };
        let export = || {
            let _current = context.enter()?;
            let mut handle = CUipcEventHandle { reserved: [0; 64] };
            // SAFETY: the event is alive: its context is, and self holds it. The out pointer is a live local.
            let answer = unsafe { context.driver().cuIpcGetEventHandle(&raw mut handle, raw) };
            if !answer.is_ok() {
                return Err(sharing::refused_in(context, answer, IpcRefusal::NotExportable));
            }
            let handle = sharing::from_c(handle.reserved);
            self.inner.keep_ipc_handle(raw, context, handle, Origin::Exported);
            Ok(handle)
        };
        sharing::known_or_exported(|| self.inner.ipc_handle(), export)
    }

    /// The event that another process has exported.
    ///
    /// # Safety
    ///
    /// As for `from_ipc_handle`.
    pub(crate) unsafe fn open(context: Context, handle: Bytes, design: Design) -> Result<Self> {
        sharing::check_foreign(&handle, IpcKind::Event)?;
        let _current = context.enter()?;
        let _relaxed = Relaxed::enter(context.driver());
        let mut raw: CUevent = ptr::null_mut();
        let argument = CUipcEventHandle { reserved: sharing::to_c(&handle) };
        // SAFETY: a context is current, the out pointer is a live local; the caller vouches for the handle.
        let answer = unsafe { context.driver().cuIpcOpenEventHandle(&raw mut raw, argument) };
        if !answer.is_ok() {
            return Err(sharing::not_opened(context, answer, IpcKind::Event));
        }
        let inner = Inner::adopted(raw.cast(), context, design);
        inner.keep_ipc_handle(raw, context, handle, Origin::Imported);
        Ok(Self::from_inner(inner))
    }
}

#[cfg(all(test, not(any(miri, softcuda_shuttle))))]
pub(super) mod tests {
    use std::ffi::{c_int, c_uint};
    use std::mem;

    use super::*;
    use crate::device::Device;
    use crate::driver::{CUcontext, CUdevice, driver};

    /// A context of this device beside the primary one, for good.
    pub(in crate::event) fn another_context(device: Device) -> Context {
        type Create = unsafe extern "C" fn(*mut CUcontext, c_uint, CUdevice) -> c_int;
        let create = softcuda::symbol(c"cuCtxCreate_v2").unwrap();
        // SAFETY: the driver's function has this type.
        let create: Create = unsafe { mem::transmute(create) };
        let (mut made, mut popped): (CUcontext, CUcontext) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the out pointer is a live local.
        assert_eq!(unsafe { create(&raw mut made, 0, device.raw()) }, 0);
        // SAFETY: undoes the push of the creation; the out pointer is a live local.
        assert!(unsafe { driver().unwrap().cuCtxPopCurrent_v2(&raw mut popped) }.is_ok());
        // SAFETY: it lives until the process ends.
        unsafe { Context::from_raw(made.cast()) }.unwrap()
    }

    /// As if by another thread, between the look at the event and its creation.
    #[test]
    fn an_event_that_is_bound_elsewhere_meanwhile_is_exported_there() {
        softcuda::install().unwrap();
        let device = Device::get(0).unwrap();
        let (primary, other) = (device.context().unwrap(), another_context(device));
        let event = Event::interprocess();
        let bind_elsewhere = || event.inner.bind_to(other, "cuEventCreate").map(|()| primary);
        let handle = event.export(bind_elsewhere).unwrap();
        assert_eq!((event.context(), event.inner.ipc_handle()), (Some(other), Some(handle)));
        drop(event);
        assert_eq!(sharing::check_foreign(&handle, IpcKind::Event), Ok(()), "it is forgotten");
    }
}
