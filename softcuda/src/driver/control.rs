//! The functions that control this driver. A real driver has none of them.

use std::ffi::{CStr, c_char};

use super::api::EXPORTS;
use super::objects::Role;
use super::raw::{CONTROL_VERSION, RawKernel};
use super::state::lock;
use super::{calls, kernel, mode, report, worker};

/// What an unknown name, number or a taken kernel is answered with.
const REFUSED: u32 = 1;
const DONE: u32 = 0;

/// Declares control functions.
macro_rules! control {
    ($( $(#[doc = $doc:literal])+ fn $name:ident($($arg:ident: $type:ty),*) $(-> $answer:ty)? $body:block )+) => {
        $(
            $(#[doc = $doc])+
            ///
            /// # Safety
            ///
            /// Pointers are valid as the function says.
            #[cfg_attr(not(softcuda_linked), unsafe(no_mangle))]
            pub unsafe extern "C" fn $name($($arg: $type),*) $(-> $answer)? $body
        )+

        /// Every control function with its address.
        pub(super) const EXPORTS_OF_CONTROL: &[(&str, *const std::ffi::c_void)] =
            &[$((stringify!($name), $name as *const std::ffi::c_void)),+];
    };
}

control! {
    /// The version of this interface.
    fn softcuda_version() -> u32 {
        CONTROL_VERSION
    }

    /// The calling thread's call of `call` that follows `after` others answers `code` and does
    /// nothing. 1 if there is no such function. `call` is a string.
    fn softcuda_inject(call: *const c_char, code: u32, after: u64) -> u32 {
        // SAFETY: the caller passed a string.
        match unsafe { index_of(call) } {
            Some(function) => {
                calls::inject(function, code, after);
                DONE
            }
            None => REFUSED,
        }
    }

    /// Forgets the calling thread's injections.
    fn softcuda_clear_injections() {
        calls::clear_injections();
    }

    /// How many calls of `call`, a string, the calling thread has made; null stands for all.
    fn softcuda_calls(call: *const c_char) -> u64 {
        if call.is_null() {
            return calls::made_in_all();
        }
        // SAFETY: the caller passed a string.
        unsafe { index_of(call) }.map_or(0, calls::made)
    }

    /// Registers the twin of a kernel. 1 if the name is taken by another. `kernel` is one that
    /// keeps what `raw.rs` asks for.
    fn softcuda_register_kernel(kernel: *const RawKernel) -> u32 {
        // SAFETY: the caller passed a kernel.
        let kernel = unsafe { &*kernel };
        // SAFETY: which is valid and stays so.
        if unsafe { kernel::register(kernel) } { DONE } else { REFUSED }
    }

    /// How many streams (0), events (1), allocations (2), active primary contexts (3) or threads
    /// (4) this process has.
    fn softcuda_live(kind: u32) -> u64 {
        live(kind) as u64
    }

    /// Changes the mode: 0 full, 1 null, 2 no device. 1 if it is none of these.
    fn softcuda_set_mode(mode: u32) -> u32 {
        if mode::set(mode) { DONE } else { REFUSED }
    }

    /// How many reports there are.
    fn softcuda_report_count() -> u64 {
        report::all().len() as u64
    }

    /// Writes the report `index` to `buffer`, at most `capacity` bytes of it, without a NUL.
    /// Answers its full length, 0 if there is none.
    fn softcuda_report(index: u64, buffer: *mut c_char, capacity: usize) -> usize {
        let reports = report::all();
        let Some(report) = usize::try_from(index).ok().and_then(|index| reports.get(index)) else {
            return 0;
        };
        // SAFETY: the caller passed room for `capacity` bytes.
        unsafe { buffer.cast::<u8>().copy_from_nonoverlapping(report.as_ptr(), report.len().min(capacity)) };
        report.len()
    }
}

/// The place of a driver function in the table.
///
/// # Safety
///
/// `name` is a string.
unsafe fn index_of(name: *const c_char) -> Option<usize> {
    // SAFETY: the same promise.
    let name = unsafe { CStr::from_ptr(name) };
    EXPORTS.iter().position(|(known, _)| known.as_bytes() == name.to_bytes())
}

fn live(kind: u32) -> usize {
    const THREADS: u32 = 4;
    if kind == THREADS {
        return worker::count();
    }
    let state = lock();
    match kind {
        0 => {
            let created = state.streams.values().filter(|stream| !stream.destroyed);
            created.filter(|stream| matches!(stream.role, Role::Created { .. })).count()
        }
        1 => state.events.len(),
        2 => state.memory.count(),
        3 => state.primaries.iter().filter(|primary| primary.context.is_some()).count(),
        _ => 0,
    }
}
