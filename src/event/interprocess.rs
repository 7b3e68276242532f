//! Events that processes share.

use std::ptr;

use super::Event;
use super::flags::Design;
use super::inner::Inner;
use super::mode::Interprocess;
use crate::context::Context;
use crate::driver::{CUevent, CUipcEventHandle};
use crate::error::{Error, IpcKind, IpcRefusal, Result};
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
            (self.inner.own_handle_or_bind(context, CALL)?, context)
        };
        let _one_at_a_time = sharing::exporting();
        if let Some(handle) = self.inner.ipc_handle() {
            return Ok(handle);
        }
        let _current = context.enter()?;
        let mut handle = CUipcEventHandle { reserved: [0; 64] };
        // SAFETY: the event is alive: its context is, and self holds it. The out pointer is a live local.
        let answer = unsafe { context.driver().cuIpcGetEventHandle(&raw mut handle, raw) };
        if !answer.is_ok() {
            return Err(match context.refused(answer) {
                gone @ Error::ContextDestroyed { .. } => gone,
                _ => sharing::refused(answer, IpcRefusal::NotExportable),
            });
        }
        let handle = sharing::from_c(handle.reserved);
        self.inner.keep_ipc_handle(raw, context, handle, Origin::Exported);
        Ok(handle)
    }

    /// The event that another process has exported.
    ///
    /// # Safety
    ///
    /// As for `from_ipc_handle`.
    pub(crate) unsafe fn open(context: Context, handle: Bytes, design: Design) -> Result<Self> {
        sharing::check_foreign(&handle, IpcKind::Event)?;
        let _current = context.enter()?;
        let mut raw: CUevent = ptr::null_mut();
        let argument = CUipcEventHandle { reserved: sharing::to_c(&handle) };
        // SAFETY: a context is current, the out pointer is a live local; the caller vouches for the handle.
        let answer = unsafe { context.driver().cuIpcOpenEventHandle(&raw mut raw, argument) };
        if !answer.is_ok() {
            return Err(sharing::not_opened(answer, IpcKind::Event));
        }
        let inner = Inner::adopted(raw.cast(), context, design);
        inner.keep_ipc_handle(raw, context, handle, Origin::Imported);
        Ok(Self::from_inner(inner))
    }
}
