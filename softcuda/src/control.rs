//! Looking into the software driver and steering it, in tests.
//!
//! Everything here panics where the software driver does not run: a test that needs it cannot mean
//! anything on another one.

use crate::choice::is_left_out;
use crate::live::{Live, live_in};
use crate::raw;
use crate::report::Report;
use crate::scope::Scope;
use crate::software::{function_name, required};

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
