//! What crosses the boundary between the driver library and its control API.
//!
//! Compiled twice in an ordinary build, once into the library and once into the crate that loads it:
//! plain C layout, no allocation changes sides.

use std::ffi::{c_char, c_void};

/// Changes whenever something in this file changes; both sides compare it when the library is opened.
pub const CONTROL_VERSION: u32 = 4;

/// A mode: the driver works.
pub const MODE_FULL: u32 = 0;
/// A mode: every call answers success and does nothing. What still passes then tests nothing.
pub const MODE_NULL: u32 = 1;
/// A mode: a driver on a machine without devices.
pub const MODE_NO_DEVICE: u32 = 2;

/// The modes as `SOFTCUDA_MODE` names them.
pub const MODES: [(&str, u32); 3] = [("full", MODE_FULL), ("null", MODE_NULL), ("no-device", MODE_NO_DEVICE)];

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
    /// A context that ended with objects in it.
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

/// `softcuda_version`
pub type VersionFn = unsafe extern "C" fn() -> u32;
/// `softcuda_inject`
pub type InjectFn = unsafe extern "C" fn(call: *const c_char, code: u32, after: u64) -> u32;
/// `softcuda_clear_injections`
pub type ClearInjectionsFn = unsafe extern "C" fn();
/// `softcuda_calls`
pub type CallsFn = unsafe extern "C" fn(call: *const c_char) -> u64;
/// `softcuda_register_kernel`
pub type RegisterKernelFn = unsafe extern "C" fn(kernel: *const RawKernel) -> u32;
/// `softcuda_live`
pub type LiveFn = unsafe extern "C" fn(kind: u32) -> u64;
/// `softcuda_set_mode`
pub type SetModeFn = unsafe extern "C" fn(mode: u32) -> u32;
/// `softcuda_set_pageable`
pub type SetPageableFn = unsafe extern "C" fn(setting: u32) -> u32;
/// `softcuda_report_count`
pub type ReportCountFn = unsafe extern "C" fn() -> u64;
/// `softcuda_report`
pub type ReportFn = unsafe extern "C" fn(index: u64, buffer: *mut c_char, capacity: usize) -> usize;
