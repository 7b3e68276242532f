//! The software driver's own functions, where that driver runs.

use std::ffi::CString;

use crate::choice::{Choice, choose, is_left_out};
use crate::functions::ControlFunctions;
use crate::library;

/// The control functions, if the software driver runs.
pub(crate) fn software() -> Option<&'static ControlFunctions> {
    match choose() {
        Ok(Choice::Software) => library::opened(),
        Ok(Choice::Real | Choice::Nothing) | Err(_) => None,
    }
}

/// The control functions, for what makes no sense without them.
pub(crate) fn required() -> &'static ControlFunctions {
    software().unwrap_or_else(|| {
        let found = choose().map_or_else(|error| error, |choice| format!("this is the {choice}"));
        panic!("this needs the software driver (SOFTCUDA=soft): {found}")
    })
}

/// The name of a driver function that exists.
pub(crate) fn function_name(call: &str) -> CString {
    CString::new(call)
        .ok()
        .filter(|name| !is_left_out(call) && library::symbol(name).is_some())
        .unwrap_or_else(|| panic!("the software driver has no function {call:?}"))
}
