//! What crosses the boundary between the driver library and its control API.
//!
//! Compiled twice in an ordinary build, once into the library and once into the crate that loads it:
//! plain C layout, no allocation changes sides.

use std::ffi::{c_char, c_void};

/// Changes whenever something in this file changes; both sides compare it when the library is opened.
pub const CONTROL_VERSION: u32 = 6;

/// A mode: the driver works.
pub const MODE_FULL: u32 = 0;
/// A mode: every call answers success and does nothing. What still passes then tests nothing.
pub const MODE_NULL: u32 = 1;
/// A mode: a driver on a machine without devices.
pub const MODE_NO_DEVICE: u32 = 2;

/// A mode: the stub library that the toolkit has for linkers. Every call says so.
pub const MODE_STUB: u32 = 3;
/// A mode: a library that does not belong to the kernel module, as between an update and the reboot.
pub const MODE_MISMATCH: u32 = 4;

/// The modes as `SOFTCUDA_MODE` names them. The first stands for a variable that is not set.
pub const MODES: [(&str, u32); 5] =
    [("full", MODE_FULL), ("null", MODE_NULL), ("no-device", MODE_NO_DEVICE), ("stub", MODE_STUB), ("mismatch", MODE_MISMATCH)];

/// The CUDA versions as `SOFTCUDA_VERSION` names them and as `cuDriverGetVersion` answers. The first
/// stands for a variable that is not set.
pub const VERSIONS: [(&str, u32); 5] = [("13.0", 13000), ("12.8", 12080), ("12.0", 12000), ("11.4", 11040), ("10.2", 10020)];

/// A kind of device: NVIDIA H200.
pub const DEVICE_H200: u32 = 0;
/// A kind of device: Tesla V100 SXM2.
pub const DEVICE_V100: u32 = 1;

/// The kinds of devices as `SOFTCUDA_DEVICE` names them. The first stands for a variable that is not set.
pub const DEVICES: [(&str, u32); 2] = [("h200", DEVICE_H200), ("v100", DEVICE_V100)];

/// A schedule: work goes as soon as it may.
pub const SCHEDULE_PLAIN: u32 = 0;
/// A schedule: work goes when somebody waits for it.
pub const SCHEDULE_LAZY: u32 = 1;
/// A schedule: chance decides, begun from a seed.
pub const SCHEDULE_SEEDED: u32 = 2;

/// What `SOFTCUDA_SCHEDULE` may be.
pub const SCHEDULES: &str = "plain, lazy, seeded:N";

/// The schedule, and its seed, that `SOFTCUDA_SCHEDULE` names.
#[must_use]
pub fn schedule_named(name: &str) -> Option<(u32, u64)> {
    match name {
        "plain" => Some((SCHEDULE_PLAIN, 0)),
        "lazy" => Some((SCHEDULE_LAZY, 0)),
        _ => Some((SCHEDULE_SEEDED, name.strip_prefix("seeded:")?.parse().ok()?)),
    }
}

/// What `SOFTCUDA_REPORTS` may be: whether the first report ends the process.
pub const REPORTS: [(&str, u32); 2] = [("print", 0), ("abort", 1)];

/// The scope of every thread that is in no other.
pub const PROCESS_SCOPE: u64 = 0;

/// Stands for every device where one could be named.
pub const ALL_DEVICES: u32 = u32::MAX;

/// How pageable memory is copied: read at the call, written before it returns.
pub const PAGEABLE_OBSERVED: u32 = 0;
/// How pageable memory is copied: when the copy's turn comes, wherever the documentation allows that.
pub const PAGEABLE_ASYNC: u32 = 1;

/// The two as `SOFTCUDA_PAGEABLE` names them.
pub const PAGEABLES: [(&str, u32); 2] = [("observed", PAGEABLE_OBSERVED), ("async", PAGEABLE_ASYNC)];

/// A kind of what is counted: streams that were created and not destroyed.
pub const LIVE_STREAMS: u32 = 0;
/// A kind of what is counted: events.
pub const LIVE_EVENTS: u32 = 1;
/// A kind of what is counted: allocations of device and page-locked memory.
pub const LIVE_ALLOCATIONS: u32 = 2;
/// A kind of what is counted: active primary contexts.
pub const LIVE_CONTEXTS: u32 = 3;
/// A kind of what is counted: worker threads.
pub const LIVE_THREADS: u32 = 4;
/// A kind of what is counted: graphs that were captured or created.
pub const LIVE_GRAPHS: u32 = 5;
/// A kind of what is counted: executable graphs.
pub const LIVE_EXECUTABLES: u32 = 6;
/// A kind of what is counted: user objects.
pub const LIVE_USER_OBJECTS: u32 = 7;

/// The class of a kernel parameter, as far as a PTX `.param` declaration tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum ParamKind {
    /// `.u8`, `.s8`, `.b8`
    Int8,
    /// `.u16`, `.s16`, `.b16`
    Int16,
    /// `.u32`, `.s32`, `.b32`
    Int32,
    /// `.u64`, `.s64`, `.b64` that is not a pointer
    Int64,
    /// `.f32`
    F32,
    /// `.f64`
    F64,
    /// `.u64`, `.s64`, `.b64` that holds an address
    Pointer,
}

/// What a kernel does with the memory behind a pointer parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum AccessKind {
    /// Reads it.
    Read,
    /// Writes it without reading what was there.
    Write,
    /// Reads and writes it.
    ReadWrite,
    /// Reads and writes it atomically, beside others that do so too.
    Atomic,
    /// Atomically, and waits until others have written: what follows may be ordered after them.
    Awaited,
}

/// One range that a launch touches: `bytes` from the address in parameter `param`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RawAccess {
    /// Index of the pointer parameter.
    pub param: usize,
    /// Length in bytes.
    pub bytes: usize,
    /// What is done with it.
    pub kind: AccessKind,
}

/// A declared range that the driver has found in memory.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RawRange {
    /// As declared.
    pub access: RawAccess,
    /// Where it begins in host memory. Not to be read if it has no bytes.
    pub start: *mut u8,
}

/// A launch as a twin sees it. Valid during the call only.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RawLaunch {
    /// Blocks in x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y, z.
    pub block: [u32; 3],
    /// Dynamic shared memory in bytes.
    pub shared_bytes: u32,
    /// Number of parameters.
    pub param_count: usize,
    /// The parameters' values, zero-extended; pointers are device addresses.
    pub params: *const u64,
    /// Number of declared ranges. None in the call that declares.
    pub range_count: usize,
    /// What was declared when the launch was made, kept alive by the driver while the twin runs.
    pub ranges: *const RawRange,
}

/// Declares the ranges of a launch, at most one for each parameter: writes them to `out`, which has
/// room for that many, and answers how many there are. Called once, when the launch is made.
pub type DeclareFn = unsafe extern "C" fn(user: *const c_void, launch: *const RawLaunch, out: *mut RawAccess) -> usize;

/// What a [`DeclareFn`] answers when it fails. The launch is a fault when its turn comes.
pub const DECLARE_FAILED: usize = usize::MAX;

/// Runs the whole grid. Zero, or the result code that the launch ends in (a sticky fault).
pub type RunFn = unsafe extern "C" fn(user: *const c_void, launch: *const RawLaunch) -> u32;

/// A kernel twin. `user` lives until the process ends.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RawKernel {
    /// The PTX entry's name.
    pub name: *const c_char,
    /// Number of parameters.
    pub param_count: usize,
    /// Their kinds, in order.
    pub params: *const ParamKind,
    /// Passed to the two functions below.
    pub user: *const c_void,
    /// Tells what a launch touches.
    pub declare: DeclareFn,
    /// Runs a launch.
    pub run: RunFn,
}

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum Topic {
    /// Two accesses to the same memory, one of them a write, that nothing orders.
    Race,
    /// Memory that is not there: never allocated, or freed.
    Memory,
    /// A handle of something that was destroyed, or never was.
    Handle,
    /// A context, or a scope, that ended with objects in it.
    Leak,
    /// A kernel that failed.
    Fault,
    /// A call that waits where waiting may never end.
    Misuse,
    /// Something that this driver does not do.
    Unsupported,
    /// An error of this driver.
    Bug,
}

/// A report, but for its text.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RawReport {
    /// What it is about.
    pub topic: Topic,
    /// How often it was made.
    pub times: u64,
}

/// `softcuda_version`
pub type VersionFn = unsafe extern "C" fn() -> u32;
/// `softcuda_inject`
pub type InjectFn = unsafe extern "C" fn(call: *const c_char, code: u32, after: u64, in_scope: bool) -> u64;
/// `softcuda_take_back`
pub type TakeBackFn = unsafe extern "C" fn(injection: u64);
/// `softcuda_calls`
pub type CallsFn = unsafe extern "C" fn(call: *const c_char) -> u64;
/// `softcuda_register_kernel`
pub type RegisterKernelFn = unsafe extern "C" fn(kernel: *const RawKernel) -> u32;
/// `softcuda_live`
pub type LiveFn = unsafe extern "C" fn(kind: u32, scope: u64, device: u32) -> u64;
/// `softcuda_set_mode`
pub type SetModeFn = unsafe extern "C" fn(mode: u32) -> u32;
/// `softcuda_set_machine`
pub type SetMachineFn = unsafe extern "C" fn(version: u32, device: u32) -> u32;
/// `softcuda_host_access`
pub type HostAccessFn = unsafe extern "C" fn(start: *const c_void, bytes: usize, writes: bool);
/// `softcuda_set_pageable`
pub type SetPageableFn = unsafe extern "C" fn(setting: u32) -> u32;
/// `softcuda_report_count`
pub type ReportCountFn = unsafe extern "C" fn(scope: u64) -> u64;
/// `softcuda_report`
pub type ReportFn = unsafe extern "C" fn(scope: u64, index: u64, report: *mut RawReport, buffer: *mut c_char, capacity: usize) -> usize;
/// `softcuda_forget_reports`
pub type ForgetReportsFn = unsafe extern "C" fn(scope: u64, count: u64);
/// `softcuda_scope`
pub type ScopeFn = unsafe extern "C" fn() -> u64;
/// `softcuda_begin_scope`
pub type BeginScopeFn = unsafe extern "C" fn() -> u64;
/// `softcuda_join_scope`
pub type JoinScopeFn = unsafe extern "C" fn(scope: u64) -> u32;
/// `softcuda_learn_from`
pub type LearnFromFn = unsafe extern "C" fn(scope: u64, other: u64) -> u32;
/// `softcuda_leave_scope`
pub type LeaveScopeFn = unsafe extern "C" fn(scope: u64, back_to: u64);
/// `softcuda_set_schedule`
pub type SetScheduleFn = unsafe extern "C" fn(scope: u64, schedule: u32, seed: u64) -> u32;
