//! The software driver as a part of this crate, bound at link time: for Miri and the sanitizers.

use std::ffi::{CStr, c_void};
use std::sync::OnceLock;

use crate::driver;
use crate::functions::ControlFunctions;

static CONTROL: OnceLock<Result<ControlFunctions, String>> = OnceLock::new();

/// There is nothing to open: the functions are in this crate.
pub(crate) fn open() -> Result<&'static ControlFunctions, String> {
    // SAFETY: these are the driver's functions, and the process has them to its end.
    CONTROL.get_or_init(|| unsafe { ControlFunctions::of_driver(driver::symbol) }).as_ref().map_err(Clone::clone)
}

/// There is no library.
pub(crate) fn image() -> Option<&'static [u8]> {
    None
}

/// The address of a driver function.
pub(crate) fn symbol(name: &CStr) -> Option<*const c_void> {
    driver::symbol(name.to_str().ok()?)
}
