//! Whether this machine has a CUDA driver and a device to go with it.

use std::ffi::c_int;

use libloading::os::unix::{RTLD_LOCAL, RTLD_NOW};

use crate::shared_object::{address, dlopen};

/// By its versioned name only: `libcuda.so` would give that name to the real driver for good.
const VERSIONED: &str = "libcuda.so.1";

/// Number of devices of the real driver, or why it is of no use.
pub(crate) fn real_devices() -> Result<i32, String> {
    let library = dlopen(VERSIONED, RTLD_NOW | RTLD_LOCAL).map_err(|error| not_opened(&error))?;
    let functions = address(&library, c"cuInit").zip(address(&library, c"cuDeviceGetCount"));
    let (init, count) = functions.ok_or_else(|| format!("{VERSIONED} is not a CUDA driver"))?;
    // SAFETY: `cuInit` has this signature in every CUDA driver.
    let init: unsafe extern "C" fn(u32) -> u32 = unsafe { std::mem::transmute(init) };
    // SAFETY: `cuDeviceGetCount` has this signature in every CUDA driver.
    let count: unsafe extern "C" fn(*mut c_int) -> u32 = unsafe { std::mem::transmute(count) };

    // `cuInit` may start threads and set handlers, whatever it answers: the library must stay.
    std::mem::forget(library);
    // SAFETY: `cuInit` may be called at any time; the library is never closed.
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
    Ok(devices)
}

/// Where there is no such file, that is all there is to say. A file that cannot be loaded, or needs
/// another that is not there, is told in the loader's words.
fn not_opened(error: &str) -> String {
    const MISSING: &str = "cannot open shared object file: No such file or directory";
    let missing = error.strip_prefix(VERSIONED).and_then(|rest| rest.strip_prefix(": ")) == Some(MISSING);
    if missing { format!("no {VERSIONED}") } else { format!("{VERSIONED} cannot be opened: {error}") }
}
