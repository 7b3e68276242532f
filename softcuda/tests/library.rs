//! The driver is one library, whoever opens it and by whichever table.

use std::ffi::{CStr, c_void};

use libloading::os::unix::Library;

fn address(library: &Library, name: &CStr) -> *const c_void {
    // SAFETY: only the address is taken.
    let symbol = unsafe { library.get::<*const c_void>(name) };
    symbol.expect("an exported function").as_raw_ptr()
}

#[test]
fn libcuda_so_is_the_software_driver() {
    softcuda::install().expect("the software driver");
    // SAFETY: the library is open already.
    let opened = unsafe { Library::new("libcuda.so") }.expect("the name that cudarc opens first");
    for name in [c"cuInit", c"cuEventRecord", c"cuGraphLaunch"] {
        assert_eq!(softcuda::symbol(name), Some(address(&opened, name)), "{name:?}");
    }
    assert_eq!(softcuda::symbol(c"cuNoSuchFunction"), None);
}

#[test]
fn cudarc_calls_the_driver_that_counts() {
    softcuda::install().expect("the software driver");
    let before = softcuda::calls("cuDeviceGetCount");
    assert_eq!(cudarc::driver::CudaContext::device_count(), Ok(2));
    assert_eq!(softcuda::calls("cuDeviceGetCount"), before + 1);
}
