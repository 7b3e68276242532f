//! Events and memory that processes share.

mod event;
mod export;
mod handle;
mod memory;

pub use handle::{IpcEventHandle, IpcMemHandle};
pub use memory::IpcMemory;

/// A raw `CUdeviceptr`.
#[doc(alias = "CUdeviceptr")]
pub type RawDevicePtr = u64;
