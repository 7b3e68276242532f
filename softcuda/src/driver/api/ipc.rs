//! The functions for other processes.

use std::ffi::c_void;

use super::super::abi::{Argument, Out};
use super::super::calls::Function;
use super::super::codes::Code;
use super::super::entry::{self, driver_api};
use super::super::handle::{Handle, RawHandle};
use super::super::ipc_handle::IpcHandle;
use super::super::{ipc, ipc_memory};
use super::{Address, BEFORE_IPC};

driver_api! {
    OF_IPC from BEFORE_IPC.len();

    /// A handle by which other processes open an event.
    cuIpcGetEventHandle(handle: Out<IpcHandle>, event: Handle) => ipc::export(handle, event);

    /// Opens an event of another process.
    cuIpcOpenEventHandle(event: Option<Out<RawHandle>>, handle: IpcHandle) => ipc::import(event, &handle);

    /// A handle by which other processes open memory.
    cuIpcGetMemHandle(handle: Out<IpcHandle>, address: u64) => ipc_memory::export(handle, address);

    /// Opens memory of another process.
    cuIpcOpenMemHandle_v2(address: Option<Out<u64>>, handle: IpcHandle, flags: u32)
        => ipc_memory::import(address, &handle, flags);

    /// Closes memory of another process, after all work of its context.
    cuIpcCloseMemHandle(address: u64) => ipc_memory::close(address);
}
