//! Systems that the software driver does not support: the crate compiles, opening the driver fails.

use std::ffi::{CStr, c_void};

use crate::functions::ControlFunctions;
use crate::options::Machine;

const REASON: &str = "the software driver runs on Linux with glibc only; set SOFTCUDA=real or SOFTCUDA=none";

/// Always an error.
pub(crate) fn open(_machine: &Machine) -> Result<(), String> {
    Err(REASON.to_owned())
}

/// Always `None`.
pub(crate) fn opened() -> Option<&'static ControlFunctions> {
    None
}

/// Always `None`.
pub(crate) fn symbol(_name: &CStr) -> Option<*const c_void> {
    None
}

/// Always `None`.
pub(crate) fn image() -> Option<&'static [u8]> {
    None
}
