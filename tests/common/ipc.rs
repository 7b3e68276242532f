//! What the public calls of `calls.rs` share, or fail to open.

use std::sync::Arc;

use cuda_streams::{Device, Error, Event, IpcEventHandle, IpcMemHandle, IpcMemory, IpcSlice, Result};
use cudarc::driver::CudaStream;

/// Fails to open 64 zeros, as it is to be.
pub(crate) fn nobodys_event(device: Device, blocking: bool) -> Result<()> {
    let handle = IpcEventHandle::from_bytes([0; 64]);
    to_be_refused(device, || {
        if blocking {
            // SAFETY: refused.
            unsafe { Event::from_ipc_handle_with(device, handle, blocking) }.map(drop)
        } else {
            // SAFETY: refused.
            unsafe { Event::from_ipc_handle(device, handle) }.map(drop)
        }
    })
}

pub(crate) fn nobodys_memory(device: Device) -> Result<()> {
    let handle = IpcMemHandle::from_bytes([0; 64]);
    to_be_refused(device, || {
        // SAFETY: refused.
        unsafe { IpcMemory::open(device, handle) }.map(drop)
    })
}

/// Miri lets no structure of cudarc's be passed as one of the software driver's, which is what a handle is for
/// those who open it.
fn to_be_refused(device: Device, open: impl FnOnce() -> Result<()>) -> Result<()> {
    if cfg!(miri) {
        return device.context().map(drop);
    }
    match open() {
        Ok(()) => panic!("nothing is opened"),
        Err(Error::IpcRefused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(crate) fn exported(memory: &IpcMemory) -> Result<(IpcMemHandle, usize)> {
    // SAFETY: the memory lives during the call, and no other process gets the handle.
    unsafe { IpcMemHandle::export(memory.as_raw()) }
}

pub(crate) fn nothing_exported() -> Result<(IpcMemHandle, usize)> {
    // SAFETY: no memory is there, which the driver notices.
    unsafe { IpcMemHandle::export(0x10) }
}

/// New memory, as cudarc's.
pub(crate) fn sliced(device: Device, stream: &Arc<CudaStream>, len: usize) -> Result<IpcSlice<u8>> {
    IpcMemory::new(device, 1)?.into_cudarc(stream, len).map_err(|(_, error)| error)
}
