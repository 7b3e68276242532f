//! The functions that control this driver. A real driver has none of them.

use std::ffi::{CStr, c_char};

use super::api::EXPORTS;
use super::objects::Role;
use super::raw::{self, CONTROL_VERSION, RawKernel};
use super::state::lock;
use super::{calls, kernel, mode, pageable, report, worker};

/// What an unknown name, number or a taken kernel is answered with.
const REFUSED: u32 = 1;
const DONE: u32 = 0;

/// Declares control functions, each of the type that `raw.rs` has for it.
macro_rules! control {
    ($( $(#[doc = $doc:literal])+ fn $name:ident($($arg:ident: $type:ty),*) $(-> $answer:ty)?: $agreed:ident $body:block )+) => {
        $(
            $(#[doc = $doc])+
            ///
            /// # Safety
            ///
            /// Pointers are valid as the function says.
            #[cfg_attr(not(softcuda_linked), unsafe(no_mangle))]
            pub unsafe extern "C" fn $name($($arg: $type),*) $(-> $answer)? $body

            const _: raw::$agreed = $name;
        )+

        /// Every control function with its address.
        pub(super) const EXPORTS_OF_CONTROL: &[(&str, *const std::ffi::c_void)] =
            &[$((stringify!($name), $name as *const std::ffi::c_void)),+];
    };
}

control! {
    /// The version of this interface.
    fn softcuda_version() -> u32: VersionFn {
        CONTROL_VERSION
    }

    /// The calling thread's call of `call` that follows `after` others answers `code` and does
    /// nothing. 1 if there is no such function. `call` is a string.
    fn softcuda_inject(call: *const c_char, code: u32, after: u64) -> u32: InjectFn {
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
    fn softcuda_clear_injections(): ClearInjectionsFn {
        calls::clear_injections();
    }

    /// How many calls of `call`, a string, the calling thread has made; null stands for all.
    fn softcuda_calls(call: *const c_char) -> u64: CallsFn {
        if call.is_null() {
            return calls::made_in_all();
        }
        // SAFETY: the caller passed a string.
        unsafe { index_of(call) }.map_or(0, calls::made)
    }

    /// Registers the twin of a kernel. 1 if the name is taken by another. `kernel` is one that
    /// keeps what `raw.rs` asks for.
    fn softcuda_register_kernel(kernel: *const RawKernel) -> u32: RegisterKernelFn {
        // SAFETY: the caller passed a kernel.
        let kernel = unsafe { &*kernel };
        // SAFETY: which is valid and stays so.
        if unsafe { kernel::register(kernel) } { DONE } else { REFUSED }
    }

    /// How many objects of a kind this process has; the kinds are those of `raw.rs`.
    fn softcuda_live(kind: u32) -> u64: LiveFn {
        live(kind) as u64
    }

    /// Changes the mode to one of `raw.rs`. 1 if it is none of these.
    fn softcuda_set_mode(mode: u32) -> u32: SetModeFn {
        if mode::set(mode) { DONE } else { REFUSED }
    }

    /// Changes how pageable memory is copied to one of `raw.rs`. 1 if it is none of these.
    fn softcuda_set_pageable(setting: u32) -> u32: SetPageableFn {
        if pageable::set(setting) { DONE } else { REFUSED }
    }

    /// How many different reports there are.
    fn softcuda_report_count() -> u64: ReportCountFn {
        report::count() as u64
    }

    /// Writes the report `index` to `buffer`, at most `capacity` bytes of it, without a NUL.
    /// Answers its full length, 0 if there is none.
    fn softcuda_report(index: u64, buffer: *mut c_char, capacity: usize) -> usize: ReportFn {
        let Some(report) = usize::try_from(index).ok().and_then(report::get) else {
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
    if kind == raw::LIVE_THREADS {
        return worker::count();
    }
    let state = lock();
    match kind {
        raw::LIVE_STREAMS => {
            let created = state.streams.values().filter(|stream| !stream.destroyed);
            created.filter(|stream| matches!(stream.role, Role::Created { .. })).count()
        }
        raw::LIVE_EVENTS => state.events.len(),
        raw::LIVE_ALLOCATIONS => state.memory.count(),
        raw::LIVE_CONTEXTS => state.primaries.iter().filter(|primary| primary.context.is_some()).count(),
        _ => 0,
    }
}
