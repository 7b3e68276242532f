//! The functions that control this driver. A real driver has none of them.

use std::ffi::{CStr, c_char, c_void};

use super::api::{Address, EXPORTS};
use super::history::Touch;
use super::objects::{Role, Serial};
use super::pace::Schedule;
use super::raw::{self, CONTROL_VERSION, RawKernel, RawReport};
use super::report::Report;
use super::scope::{PROCESS, ScopeId};
use super::state::lock;
use super::{calls, kernel, mode, pageable, profile, report, scope, thread, version, worker};

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
        pub(super) const EXPORTS_OF_CONTROL: &[(&str, Address)] =
            &[$((stringify!($name), Address($name as *const std::ffi::c_void))),+];
    };
}

control! {
    /// The version of this interface.
    fn softcuda_version() -> u32: VersionFn {
        CONTROL_VERSION
    }

    /// The calling thread's call of `call` that follows `after` others answers `code` and does
    /// nothing; any thread's of its scope if `in_scope`. A number for `softcuda_take_back`, 0 if there
    /// is no such function. `call` is a string.
    fn softcuda_inject(call: *const c_char, code: u32, after: u64, in_scope: bool) -> u64: InjectFn {
        // SAFETY: the caller passed a string.
        unsafe { index_of(call) }.map_or(0, |function| calls::inject(function, code, after, in_scope))
    }

    /// Forgets an injection, of the calling thread or of a scope.
    fn softcuda_take_back(injection: u64): TakeBackFn {
        calls::take_back(injection);
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

    /// How many objects of a kind a scope has, on a device or on all; the kinds are those of `raw.rs`.
    fn softcuda_live(kind: u32, scope: u64, device: u32) -> u64: LiveFn {
        let device = (device != raw::ALL_DEVICES).then_some(device as usize);
        live(kind, scope, device) as u64
    }

    /// Changes the mode to one of `raw.rs`. 1 if it is none of these.
    fn softcuda_set_mode(mode: u32) -> u32: SetModeFn {
        if mode::set(mode) { DONE } else { REFUSED }
    }

    /// Changes how pageable memory is copied to one of `raw.rs`. 1 if it is none of these.
    fn softcuda_set_pageable(setting: u32) -> u32: SetPageableFn {
        if pageable::set(setting) { DONE } else { REFUSED }
    }

    /// Changes the CUDA version and the kind of the devices to those of `raw.rs`; to be called before
    /// any driver function. 1 if one of them is none of these.
    fn softcuda_set_machine(version: u32, device: u32) -> u32: SetMachineFn {
        if version::set(version) && profile::set(device) { DONE } else { REFUSED }
    }

    /// A thread of the host reads, or writes, `bytes` at `start` itself, now. They are not touched here.
    fn softcuda_host_access(start: *const c_void, bytes: usize, writes: bool): HostAccessFn {
        let touch = if writes { Touch::Write } else { Touch::Read };
        // What a stream's work does is in the order of its stream.
        if !thread::is_worker() {
            lock().host_touches(start.addr() as u64, bytes, touch);
            report::print();
        }
    }

    /// How many different reports a scope has.
    fn softcuda_report_count(scope: u64) -> u64: ReportCountFn {
        report::count(scope) as u64
    }

    /// Writes the report `index` of a scope to `out`, and its text to `buffer`, at most `capacity` bytes
    /// of it, without a NUL. Answers the text's full length, 0 if there is none. `out` takes a report.
    fn softcuda_report(scope: u64, index: u64, out: *mut RawReport, buffer: *mut c_char, capacity: usize) -> usize: ReportFn {
        let Some(report) = usize::try_from(index).ok().and_then(|index| report::get(scope, index)) else {
            return 0;
        };
        let Report { topic, text, times } = report;
        // SAFETY: the caller passed room for it.
        unsafe { out.write(RawReport { topic, times }) };
        // SAFETY: the caller passed room for `capacity` bytes.
        unsafe { buffer.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len().min(capacity)) };
        text.len()
    }

    /// Forgets the first `count` reports of a scope.
    fn softcuda_forget_reports(scope: u64, count: u64): ForgetReportsFn {
        report::forget(scope, usize::try_from(count).unwrap_or(usize::MAX));
    }

    /// The calling thread's scope.
    fn softcuda_scope() -> u64: ScopeFn {
        scope::current()
    }

    /// Puts the calling thread into a new scope, whose number this is.
    fn softcuda_begin_scope() -> u64: BeginScopeFn {
        let before = scope::current();
        let scope = scope::begin();
        let mut state = lock();
        state.paces.begin(scope);
        state.order.begin_scope(scope, before);
        scope
    }

    /// Puts the calling thread into a scope. 1 if it has ended.
    fn softcuda_join_scope(scope: u64) -> u32: JoinScopeFn {
        let before = scope::current();
        if !scope::join(scope) {
            return REFUSED;
        }
        lock().order.hand_over(before, scope);
        DONE
    }

    /// Lets the threads of a scope know what those of another know by now; if that has ended, what the
    /// process's know. 1 if the first has ended.
    fn softcuda_learn_from(scope: u64, other: u64) -> u32: LearnFromFn {
        let mut state = lock();
        if !scope::lives(scope) {
            return REFUSED;
        }
        state.order.hand_over(other, scope);
        DONE
    }

    /// Takes the calling thread out of a scope, back to one that it was in before. The scope ends with
    /// the last of its threads: its work goes, its reports and injections are forgotten, and what is
    /// left of it is the process's.
    fn softcuda_leave_scope(scope: u64, back_to: u64): LeaveScopeFn {
        let mut state = lock();
        // With the state locked, or the last thread that leaves would take from another what that knows.
        let ends = scope::leave(scope, back_to);
        state.order.hand_over(scope, scope::current());
        if ends {
            calls::end_scope(scope);
            state.end_scope(scope);
            state.start_workers(0);
            drop(state);
            report::print();
            report::forget(scope, usize::MAX);
        }
    }

    /// Gives a scope a schedule of `raw.rs`. 1 if it is none of these.
    fn softcuda_set_schedule(scope: u64, schedule: u32, seed: u64) -> u32: SetScheduleFn {
        let Some(schedule) = Schedule::from_raw(schedule, seed) else { return REFUSED };
        let mut state = lock();
        // Or the environment's would come later.
        state.paces.begin(PROCESS);
        state.set_schedule(scope, schedule);
        state.start_workers(0);
        DONE
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

fn live(kind: u32, scope: ScopeId, device: Option<usize>) -> usize {
    if kind == raw::LIVE_THREADS {
        return worker::count(scope, device);
    }
    let state = lock();
    let is_counted =
        |owner: ScopeId, context: Serial| owner == scope && device.is_none_or(|device| state.device_of(context) == Some(device));
    match kind {
        // These are of no device.
        raw::LIVE_GRAPHS | raw::LIVE_EXECUTABLES | raw::LIVE_USER_OBJECTS if device.is_some() => 0,
        raw::LIVE_GRAPHS => state.count_graphs(scope),
        raw::LIVE_EXECUTABLES => state.count_executables(scope),
        raw::LIVE_USER_OBJECTS => state.count_user_objects(scope),
        raw::LIVE_STREAMS => {
            let created = state.streams.values().filter(|stream| !stream.destroyed && matches!(stream.role, Role::Created { .. }));
            created.filter(|stream| is_counted(stream.scope, stream.context)).count()
        }
        raw::LIVE_EVENTS => state.events.values().filter(|event| is_counted(event.scope, event.context)).count(),
        raw::LIVE_ALLOCATIONS => {
            let allocations = state.memory.allocations();
            allocations.filter(|allocation| is_counted(allocation.scope, allocation.context)).count()
        }
        raw::LIVE_CONTEXTS => {
            let primary = state.primaries.iter().filter_map(|primary| primary.context);
            primary.filter(|context| is_counted(state.contexts[context].scope, *context)).count()
        }
        _ => 0,
    }
}
