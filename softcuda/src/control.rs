//! Looking into the software driver and steering it, in tests.
//!
//! Everything here panics where the software driver does not run: a test that needs it cannot mean
//! anything on another one.

use std::ffi::CString;

use crate::choice::{Choice, choose, is_left_out};
use crate::functions::ControlFunctions;
use crate::library;
use crate::raw;
use crate::report::Report;
use crate::scope::Scope;

/// How the driver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// As a driver should.
    Full,
    /// Every call answers `CUDA_SUCCESS` and does nothing: a test that still passes tests nothing.
    Null,
    /// There is a driver but no device: `cuInit` answers `CUDA_ERROR_NO_DEVICE`.
    NoDevice,
    /// The library is the one that the CUDA toolkit has for linkers, without a driver behind it: every
    /// call answers `CUDA_ERROR_STUB_LIBRARY`.
    Stub,
    /// The library and the kernel module are of two versions, as between an update of the driver and the
    /// reboot: `cuInit` answers `CUDA_ERROR_SYSTEM_DRIVER_MISMATCH`.
    Mismatch,
}

/// What exists inside the driver, of what the threads of a [`Scope`] have created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Live {
    /// Streams that were created and not destroyed.
    pub streams: u64,
    /// Events that were created and not destroyed.
    pub events: u64,
    /// Allocations of device and pinned memory that were not freed.
    pub allocations: u64,
    /// Primary contexts that are retained.
    pub contexts: u64,
    /// Threads that do work. None is left when the driver has nothing to do.
    pub threads: u64,
}

/// Chooses how the driver answers, in all threads.
///
/// # Panics
///
/// If the software driver does not run.
pub fn set_mode(mode: Mode) {
    let number = match mode {
        Mode::Full => raw::MODE_FULL,
        Mode::Null => raw::MODE_NULL,
        Mode::NoDevice => raw::MODE_NO_DEVICE,
        Mode::Stub => raw::MODE_STUB,
        Mode::Mismatch => raw::MODE_MISMATCH,
    };
    // SAFETY: the function takes a number and may be called at any time.
    let refused = unsafe { (required().softcuda_set_mode)(number) };
    debug_assert_eq!(refused, 0, "both sides know the same modes: they have one control version");
}

/// How often this thread has called the driver function of that name, refused calls included. Calls
/// of functions that are not implemented are not counted. None if the driver was asked to lack it.
///
/// # Panics
///
/// If the driver has no such function, or if the software driver does not run.
#[must_use]
pub fn calls(call: &str) -> u64 {
    let driver = required();
    if is_left_out(call) {
        return 0;
    }
    let name = function_name(call);
    // SAFETY: the name is a C string and lives during the call.
    unsafe { (driver.softcuda_calls)(name.as_ptr()) }
}

/// How many driver calls this thread has made.
///
/// # Panics
///
/// If the software driver does not run.
#[must_use]
pub fn all_calls() -> u64 {
    // SAFETY: null asks for the sum over all functions.
    unsafe { (required().softcuda_calls)(std::ptr::null()) }
}

/// What exists now in the calling thread's [`Scope`].
///
/// # Panics
///
/// If the software driver does not run.
#[must_use]
pub fn live() -> Live {
    Scope::current().live()
}

/// What exists now in the calling thread's [`Scope`] on the device of that ordinal.
///
/// # Panics
///
/// If the software driver does not run.
#[must_use]
pub fn live_on(ordinal: u32) -> Live {
    live_in(Scope::current().number(), ordinal)
}

/// What a scope has on a device.
pub(crate) fn live_in(scope: u64, device: u32) -> Live {
    let driver = required();
    let count = |kind| {
        // SAFETY: the function takes numbers and may be called at any time.
        unsafe { (driver.softcuda_live)(kind, scope, device) }
    };
    Live {
        streams: count(raw::LIVE_STREAMS),
        events: count(raw::LIVE_EVENTS),
        allocations: count(raw::LIVE_ALLOCATIONS),
        contexts: count(raw::LIVE_CONTEXTS),
        threads: count(raw::LIVE_THREADS),
    }
}

/// What was reported in the calling thread's scope: stale handles, accesses outside of memory, kernels
/// without a twin. In order; what repeats is one report that says how often. The process's scope has all
/// that was reported in no other.
///
/// Each is also a line on the standard error output. With `SOFTCUDA_REPORTS=abort` the first one in the
/// process's scope ends the process.
///
/// # Panics
///
/// If the software driver does not run.
#[must_use]
pub fn reports() -> Vec<Report> {
    Scope::current().reports()
}

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
