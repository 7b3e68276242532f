//! Memory of several processes.

mod support;

use cudarc::driver::result;
use cudarc::driver::sys::{CUdeviceptr, CUipcMemHandle, CUresult};
use support::context;
use support::peer::{Bytes, Link, close_memory, export_memory, import_memory, with_second};

fn allocate(bytes: usize) -> CUdeviceptr {
    // SAFETY: a context is current.
    unsafe { result::malloc_sync(bytes) }.expect("memory")
}

fn free(address: CUdeviceptr) {
    // SAFETY: allocated, and not used any more.
    unsafe { result::free_sync(address) }.expect("its end");
}

fn write(address: CUdeviceptr, bytes: &[u8]) {
    // SAFETY: the driver knows how much memory there is.
    unsafe { result::memcpy_htod_sync(address, bytes) }.expect("a copy");
}

fn read<const N: usize>(address: CUdeviceptr) -> [u8; N] {
    let mut bytes = [0; N];
    // SAFETY: the driver knows how much memory there is.
    unsafe { result::memcpy_dtoh_sync(&mut bytes, address) }.expect("a copy");
    bytes
}

/// The memory whose handle comes next.
fn import(link: &mut Link) -> CUdeviceptr {
    import_memory(CUipcMemHandle::parse(&link.hear())).expect("memory of the other process")
}

fn export(link: &mut Link, address: CUdeviceptr) {
    link.tell(&export_memory(address).expect("a handle").text());
}

#[test]
fn both_processes_have_the_same_bytes() {
    /// In the middle of a page, and of several.
    const SIZES: [usize; 3] = [100, 5000, 3 << 20];
    with_second(
        "both_processes_have_the_same_bytes",
        |link| {
            let _context = context(0);
            for bytes in SIZES {
                // The begin of a page is not the begin of this one.
                let (before, memory) = (allocate(300), allocate(bytes));
                write(memory, b"there");
                export(link, memory);
                link.expect("read and written");
                assert_eq!(&read(memory), b"there");
                assert_eq!(&read(memory + bytes as u64 - 4), b"back");
                free(memory);
                free(before);
            }
        },
        |link| {
            let _context = context(0);
            for bytes in SIZES {
                let memory = import(link);
                assert_eq!(&read(memory), b"there");
                write(memory + bytes as u64 - 4, b"back");
                assert_eq!(close_memory(memory), CUresult::CUDA_SUCCESS);
                link.tell("read and written");
            }
        },
    );
}
