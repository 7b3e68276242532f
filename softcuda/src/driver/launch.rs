//! `cuLaunchKernel`: parameters are copied and pointers are looked up at the call.

use std::ffi::c_void;
use std::sync::Arc;

use super::codes::{self, Code, Outcome};
use super::handle::Handle;
use super::history::Touch;
use super::job::Job;
use super::kernel::{self, PendingLaunch, Range, Registration, Shape};
use super::node::{Kernel, NodeWork};
use super::objects::{Serial, Work};
use super::ptx::Entry;
use super::raw::{AccessKind, RawAccess, Topic};
use super::state::{State, lock};
use super::{profile, ptx, report};

/// What a launch is asked for, parameters aside.
#[derive(Clone, Copy)]
pub(super) struct Config {
    pub(super) function: Handle,
    pub(super) grid: [u32; 3],
    pub(super) block: [u32; 3],
    pub(super) shared_bytes: u32,
    pub(super) stream: Handle,
}

impl Config {
    fn check(self) -> Outcome {
        let within = |size: [u32; 3], limit: [u32; 3]| size.iter().zip(limit).all(|(size, limit)| (1..=limit).contains(size));
        let threads: u64 = self.block.into_iter().map(u64::from).product();
        let fits = within(self.grid, profile::MAX_GRID)
            && within(self.block, profile::MAX_BLOCK)
            && threads <= u64::from(profile::MAX_BLOCK_THREADS)
            && self.shared_bytes <= profile::MAX_SHARED_BYTES;
        if fits { Ok(()) } else { Err(codes::INVALID_VALUE) }
    }
}

/// Launches a kernel.
///
/// # Safety
///
/// `params` is null or an array of pointers, one to the value of each parameter that the kernel's
/// PTX declares.
pub(super) unsafe fn launch(config: Config, params: *mut *mut c_void, extra: *mut *mut c_void) -> Outcome {
    if !extra.is_null() {
        return Err(codes::NOT_SUPPORTED);
    }
    let (stream, twin, entry, module) = resolve(config)?;
    config.check()?;
    // SAFETY: the same promise; `twin` takes what the PTX declares.
    let params = unsafe { read_params(&twin, params) }?;
    let Config { grid, block, shared_bytes, .. } = config;
    let shape = Shape { grid, block, shared_bytes, params };
    // The twin's code runs without the lock.
    let declared = kernel::declare(&twin, &shape);
    let mut state = lock();
    if state.is_capturing(stream) {
        let kernel = Arc::new(Kernel { entry, twin, module, shape, declared });
        state.captures_work(stream, || NodeWork::Kernel(kernel));
        return Ok(());
    }
    submit(&mut state, stream, entry, twin, shape, declared.as_deref());
    Ok(())
}

/// Enqueues a launch, of which the twin has declared what it touches.
pub(super) fn submit(
    state: &mut State,
    stream: Serial,
    entry: Arc<Entry>,
    twin: Registration,
    shape: Shape,
    declared: Option<&[RawAccess]>,
) {
    let Some(context) = state.streams.get(&stream).map(|this| state.owner(this.context)) else { return };
    let ranges = match declared {
        Some(accesses) => locate(state, context, &entry, &shape, accesses),
        None => Err(Fault::undeclared(&entry)),
    };
    let work = match ranges {
        Ok(ranges) => {
            touch(state, stream, &entry, &shape, &ranges);
            Work::Run(Job::Kernel(Box::new(PendingLaunch { entry, twin, shape, ranges })))
        }
        Err(fault) => {
            report::add(Topic::Fault, fault.why);
            Work::Fault(fault.code)
        }
    };
    state.submit(stream, None, work);
}

/// The stream, and the kernel with the module that it is of.
fn resolve(config: Config) -> Outcome<(Serial, Registration, Arc<Entry>, Serial)> {
    let mut state = lock();
    let stream = state.stream_for_work(config.stream)?;
    let function = state.function(config.function)?;
    let context = state.owner(state.streams[&stream].context);
    if function.context != context {
        return Err(codes::INVALID_HANDLE);
    }
    Ok((stream, function.twin.clone(), Arc::clone(&function.entry), function.module))
}

/// The values of the parameters, zero-extended.
///
/// # Safety
///
/// As for `launch`.
unsafe fn read_params(twin: &Registration, params: *mut *mut c_void) -> Outcome<Vec<u64>> {
    if params.is_null() && !twin.params.is_empty() {
        return Err(codes::INVALID_VALUE);
    }
    let mut values = Vec::with_capacity(twin.params.len());
    for (index, kind) in twin.params.iter().enumerate() {
        // SAFETY: the array has a pointer for each parameter.
        let value = unsafe { params.wrapping_add(index).read() };
        if value.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        let mut bytes = [0; size_of::<u64>()];
        // SAFETY: the pointer is to a value of this parameter's size, which is at most eight bytes.
        unsafe { bytes.as_mut_ptr().copy_from_nonoverlapping(value.cast(), ptx::size(*kind)) };
        values.push(u64::from_le_bytes(bytes));
    }
    Ok(values)
}

/// What a launch does instead of running, when its turn comes.
struct Fault {
    code: Code,
    why: String,
}

impl Fault {
    fn undeclared(entry: &Entry) -> Self {
        let why = format!("the twin of kernel `{}` failed to declare what a launch touches", entry.name);
        Self { code: codes::LAUNCH_FAILED, why }
    }

    fn unreachable(state: &State, entry: &Entry, access: &RawAccess, address: u64) -> Self {
        let RawAccess { param, bytes, .. } = access;
        let why = format!(
            "kernel `{}` touches {bytes} bytes at {address:#x} by parameter {param}, which are not all \
             in one live allocation that its device may reach{freed}",
            entry.name,
            freed = state.freed.describe(address)
        );
        Self { code: codes::ILLEGAL_ADDRESS, why }
    }
}

/// The memory of each declared range, or which of them faults.
fn locate(state: &State, context: Serial, entry: &Entry, shape: &Shape, accesses: &[RawAccess]) -> Result<Vec<Range>, Fault> {
    let memory = |access: &RawAccess| {
        if access.bytes == 0 {
            return Ok(None);
        }
        let address = shape.params[access.param];
        let found = state.memory.span(address, access.bytes);
        let reached = found.filter(|(allocation, _)| state.is_reachable(context, allocation));
        reached.map(|(_, span)| Some(span)).ok_or_else(|| Fault::unreachable(state, entry, access, address))
    };
    accesses.iter().map(|access| Ok(Range { access: *access, memory: memory(access)? })).collect()
}

/// Takes note of what a launch touches, and whether it may wait for somebody who cannot be seen.
fn touch(state: &mut State, stream: Serial, entry: &Arc<Entry>, shape: &Shape, ranges: &[Range]) {
    if ranges.iter().any(|range| range.access.kind == AccessKind::Awaited) {
        state.waits_unseen(stream);
    }
    for RawAccess { param, bytes, kind } in ranges.iter().map(|range| range.access).filter(|access| access.bytes > 0) {
        let touch = match kind {
            AccessKind::Read => Touch::Read,
            AccessKind::Write | AccessKind::ReadWrite => Touch::Write,
            AccessKind::Atomic | AccessKind::Awaited => Touch::Atomic,
        };
        state.touches(stream, shape.params[param], bytes, touch, Some(entry));
    }
}
