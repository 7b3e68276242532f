//! Memory that two processes use.

use cudarc::driver::sys::{self, CUdeviceptr, CUipcMemHandle, CUresult};
use cudarc::driver::{CudaStream, result};

use super::peer::{Bytes as _, Link, export_memory, import_memory};

pub(crate) fn allocate(bytes: usize) -> CUdeviceptr {
    // SAFETY: a context is current.
    unsafe { result::malloc_sync(bytes) }.expect("memory")
}

pub(crate) fn try_free(address: CUdeviceptr) -> CUresult {
    // SAFETY: the driver judges the address.
    unsafe { sys::cuMemFree_v2(address) }
}

pub(crate) fn free(address: CUdeviceptr) {
    try_free(address).result().expect("its end");
}

pub(crate) fn write(address: CUdeviceptr, bytes: &[u8]) {
    // SAFETY: the driver knows how much memory there is.
    unsafe { result::memcpy_htod_sync(address, bytes) }.expect("a copy");
}

pub(crate) fn read<const N: usize>(address: CUdeviceptr) -> [u8; N] {
    let mut bytes = [0; N];
    // SAFETY: the driver knows how much memory there is.
    unsafe { result::memcpy_dtoh_sync(&mut bytes, address) }.expect("a copy");
    bytes
}

/// The memory whose handle comes next.
pub(crate) fn import(link: &mut Link) -> CUdeviceptr {
    import_memory(CUipcMemHandle::parse(&link.hear())).expect("memory of the other process")
}

pub(crate) fn export(link: &mut Link, address: CUdeviceptr) {
    link.tell(&export_memory(address).expect("a handle").text());
}

/// Work of a stream that writes memory.
pub(crate) fn set(address: CUdeviceptr, bytes: usize, stream: &CudaStream) {
    // SAFETY: the driver knows how much memory there is, and keeps it for the work.
    unsafe { sys::cuMemsetD8Async(address, 1, bytes, stream.cu_stream()) }.result().expect("a memset");
}
