//! Whether this machine has a CUDA driver and a device to go with it.

use std::ffi::c_int;

use libloading::os::unix::{RTLD_LOCAL, RTLD_NOW};

use crate::shared_object::{address, dlopen};

/// Number of devices of the real driver, or why it is of no use.
pub(crate) fn real_devices() -> Result<i32, String> {
    const VERSIONED: &str = "libcuda.so.1";
    // By its versioned name only: `libcuda.so` would give that name to the real driver for good.
    let library = dlopen(VERSIONED, RTLD_NOW | RTLD_LOCAL).map_err(|_| format!("no {VERSIONED}"))?;
    let functions = address(&library, c"cuInit").zip(address(&library, c"cuDeviceGetCount"));
    let (init, count) = functions.ok_or_else(|| format!("{VERSIONED} is not a CUDA driver"))?;
    // SAFETY: `cuInit` has this signature in every CUDA driver.
    let init: unsafe extern "C" fn(u32) -> u32 = unsafe { std::mem::transmute(init) };
    // SAFETY: `cuDeviceGetCount` has this signature in every CUDA driver.
    let count: unsafe extern "C" fn(*mut c_int) -> u32 = unsafe { std::mem::transmute(count) };

    // SAFETY: `cuInit` may be called at any time; the library stays open during the call.
    let code = unsafe { init(0) };
    if code != 0 {
        return Err(format!("{VERSIONED} is there, cuInit answers {code}"));
    }
    let mut devices = 0;
    // SAFETY: the driver is initialised and `devices` outlives the call.
    let code = unsafe { count(&raw mut devices) };
    if code != 0 || devices < 1 {
        return Err(format!("{VERSIONED} is there, cuDeviceGetCount answers {code} and {devices} devices"));
    }
    // An initialised driver has threads and handlers of its own: it must stay.
    std::mem::forget(library);
    Ok(devices)
}
