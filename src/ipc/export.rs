//! Memory of devices, as others are told of it.

use std::ffi::c_uint;
use std::ptr;

use super::{IpcMemHandle, RawDevicePtr};
use crate::context::Current;
use crate::driver::{Answer, CUcontext, CUdeviceptr, CUipcMemHandle, Driver, driver};
#[cfg(doc)]
use crate::error::Error;
use crate::error::{IpcRefusal, Result};
#[cfg(doc)]
use crate::ipc::IpcMemory;
use crate::sharing::{self, Bytes};

impl IpcMemHandle {
    /// Exports memory that somebody else has allocated, by a pointer to anywhere in it: the handle is of the whole
    /// allocation, and does not hold where the pointer is in it. That is the second value, in bytes from the
    /// allocation's begin, which is where the address of an [`IpcMemory`] that opens the handle points to.
    ///
    /// Small allocations share blocks of 2 MiB; whoever opens one can reach the whole block.
    ///
    /// # Safety
    ///
    /// The pointer is into memory that lives, in a context that lives, and the memory is not freed while other processes
    /// have it open; whoever owns it knows that they use it.
    ///
    /// # Errors
    ///
    /// [`Error::IpcRefused`]: memory that cannot be exported, such as what is allocated in stream order (cudarc's,
    /// `cudaMallocAsync`) or opened from another process, and with `NOT_SUPPORTED` where devices share nothing;
    /// [`Error::Driver`] with `INVALID_VALUE` if the pointer is none.
    ///
    /// ```
    /// use cuda_streams::{Device, IpcMemHandle, IpcMemory};
    ///
    /// let memory = IpcMemory::new(Device::get(0)?, 1 << 20)?;
    /// // SAFETY: `memory` lives until the end, and no other process gets the handle.
    /// let (handle, offset) = unsafe { IpcMemHandle::export(memory.as_raw() + 256) }?;
    /// assert_eq!((handle, offset), (memory.ipc_handle()?, 256));
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "cuIpcGetMemHandle")]
    pub unsafe fn export(pointer: RawDevicePtr) -> Result<(Self, usize)> {
        let driver = driver()?;
        let context = context_of(driver, pointer)?;
        // Memory of a pool is of no context, and the driver refuses it whatever is current.
        // SAFETY: the context of the memory, which lives, says the caller.
        let _current = (!context.is_null()).then(|| unsafe { Current::push(driver, context) }).transpose()?;
        let handle = export(driver, pointer).map_err(|answer| sharing::refused(answer, IpcRefusal::NotExportable))?;
        let (start, _) = range(driver, pointer).map_err(Answer::error)?;
        // Within the allocation, so no more than its length.
        let offset = usize::try_from(pointer - start).unwrap_or(usize::MAX);
        Ok((Self::from_bytes(handle), offset))
    }
}

/// The handle of the allocation around an address of the current context; or what the driver answers otherwise.
pub(super) fn export(driver: &Driver, address: CUdeviceptr) -> std::result::Result<Bytes, Answer> {
    let mut handle = CUipcMemHandle { reserved: [0; 64] };
    // SAFETY: the out pointer is a live local; the driver refuses addresses that are none.
    let answer = unsafe { driver.cuIpcGetMemHandle(&raw mut handle, address) };
    if answer.is_ok() { Ok(sharing::from_c(handle.reserved)) } else { Err(answer) }
}

/// Where the allocation around an address of the current context begins, and its length in bytes; or what the driver
/// answers otherwise.
pub(super) fn range(driver: &Driver, address: CUdeviceptr) -> std::result::Result<(CUdeviceptr, usize), Answer> {
    let (mut start, mut bytes): (CUdeviceptr, usize) = (0, 0);
    // SAFETY: the out pointers are live locals; the driver refuses addresses that are none.
    let answer = unsafe { driver.cuMemGetAddressRange_v2(&raw mut start, &raw mut bytes, address) };
    if answer.is_ok() { Ok((start, bytes)) } else { Err(answer) }
}

/// The context that an address belongs to, null for none.
fn context_of(driver: &Driver, address: CUdeviceptr) -> Result<CUcontext> {
    const CONTEXT: c_uint = 1;
    let mut context: CUcontext = ptr::null_mut();
    // SAFETY: the out pointer is a live local as wide as this attribute.
    let answer = unsafe { driver.cuPointerGetAttribute((&raw mut context).cast(), CONTEXT, address) };
    answer.ok().map(|()| context)
}
