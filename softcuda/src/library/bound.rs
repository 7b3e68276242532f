//! The software driver as a part of this crate, bound at link time: for Miri and the sanitizers.

use std::ffi::{CStr, c_void};
use std::sync::OnceLock;

use crate::driver;
use crate::functions::ControlFunctions;
use crate::options::Machine;

static CONTROL: OnceLock<Result<ControlFunctions, String>> = OnceLock::new();

/// There is nothing to open: the functions are in this crate.
pub(crate) fn open(machine: &Machine) -> Result<(), String> {
    let find = || {
        // SAFETY: these are the driver's functions, and the process has them to its end.
        let control = unsafe { ControlFunctions::of_driver(driver::symbol) }?;
        control.set_machine(machine)?;
        Ok(control)
    };
    CONTROL.get_or_init(find).as_ref().map(drop).map_err(Clone::clone)
}

/// The control functions.
pub(crate) fn opened() -> Option<&'static ControlFunctions> {
    CONTROL.get()?.as_ref().ok()
}

/// There is no library.
pub(crate) fn image() -> Option<&'static [u8]> {
    None
}

/// The address of a driver function.
pub(crate) fn symbol(name: &CStr) -> Option<*const c_void> {
    driver::symbol(name.to_str().ok()?)
}
