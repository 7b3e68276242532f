//! `cuMemcpy*` and `cuMemset*`.
//!
//! Page-locked memory is copied in stream order. Pageable memory is read at the call, and written
//! before the call returns: that is how a real driver was seen to behave.

use std::ffi::c_void;

use super::clock::Moment;
use super::codes::{self, Outcome};
use super::handle::Handle;
use super::history::Touch;
use super::job::{CallerMemory, Job, Pattern, Place};
use super::memory::{self, Buffer, Home, Span};
use super::objects::{Point, Serial, Work};
use super::raw::Topic;
use super::state::{State, lock};
use super::{report, worker};

/// Memory of the host that a caller named: readable, or writable, as the call needs it.
#[derive(Clone, Copy)]
pub(super) struct HostMemory {
    start: *mut u8,
    bytes: usize,
}

impl HostMemory {
    /// `bytes` at `start`.
    ///
    /// # Safety
    ///
    /// They are valid during the call, and if they are page-locked until the copy is done.
    pub(super) unsafe fn new(start: *const c_void, bytes: usize) -> Self {
        Self { start: start.cast_mut().cast(), bytes }
    }

    fn address(self) -> u64 {
        self.start.addr() as u64
    }

    /// The page-locked memory that it is, if it is all in one allocation.
    fn locked(self, state: &State) -> Option<Span> {
        let (allocation, span) = state.memory.span(self.address(), self.bytes)?;
        (allocation.home == Home::Host).then_some(span)
    }

    fn check(self) -> Outcome {
        if self.start.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        if memory::is_device_address(self.address()) {
            report::add(Topic::Memory, format_args!("{:?} is an address of a device, not of the host", self.start));
            return Err(codes::INVALID_VALUE);
        }
        Ok(())
    }

    /// A copy of the bytes, made now.
    fn read(self) -> Outcome<Span> {
        let copy = Span::whole(Buffer::unfilled(self.bytes, align_of::<u64>())?);
        // SAFETY: the caller's bytes are valid now, and the copy is as long and nobody else's.
        unsafe { copy.start().copy_from_nonoverlapping(self.start, self.bytes) };
        Ok(copy)
    }
}

/// The device memory at `address`, or a report.
fn device_memory(state: &State, address: u64, bytes: usize) -> Outcome<Span> {
    let found = state.memory.span(address, bytes).map(|(_, span)| span);
    found.ok_or_else(|| {
        let freed = state.freed.describe(address);
        report::add(Topic::Memory, format_args!("{bytes} bytes at {address:#x} are not all in one live allocation{freed}"));
        codes::INVALID_VALUE
    })
}

/// A copy that was enqueued.
struct Enqueued {
    context: Serial,
    end: Point,
    moment: Option<Moment>,
}

impl Enqueued {
    /// Waits for it, and for nothing that was enqueued later.
    fn finish(self) -> Outcome {
        worker::finish(lock(), self.context, &[self.end], &self.moment.into())
    }
}

pub(super) fn to_device(target: u64, source: HostMemory, stream: Handle) -> Outcome {
    enqueue_to_device(target, source, stream).map(drop)
}

/// On the legacy stream; returns when it is done.
pub(super) fn to_device_and_wait(target: u64, source: HostMemory) -> Outcome {
    worker::may_wait()?;
    enqueue_to_device(target, source, Handle::NULL)?.map_or(Ok(()), Enqueued::finish)
}

/// Nothing is enqueued for no bytes.
fn enqueue_to_device(target: u64, source: HostMemory, stream: Handle) -> Outcome<Option<Enqueued>> {
    let mut state = lock();
    let stream = state.stream(stream)?;
    if source.bytes == 0 {
        return Ok(None);
    }
    source.check()?;
    let context = state.streams[&stream].context;
    let to = device_memory(&state, target, source.bytes)?;
    let from = if let Some(span) = source.locked(&state) {
        state.touches(stream, source.address(), source.bytes, Touch::Read, None);
        span
    } else {
        state.host_touches(source.address(), source.bytes, Touch::Read);
        // Read without the lock, which other threads need.
        drop(state);
        let copy = source.read()?;
        state = lock();
        copy
    };
    state.touches(stream, target, source.bytes, Touch::Write, None);
    let copy = Job::Copy { from: Place::Known(from), to: Place::Known(to), bytes: source.bytes };
    let end = state.submit(stream, None, Work::Run(copy));
    Ok(Some(Enqueued { context, end, moment: state.order.moment(stream) }))
}

/// Returns when it is done if the target is pageable.
pub(super) fn to_host(target: HostMemory, source: u64, stream: Handle) -> Outcome {
    enqueue_to_host(target, source, stream).map(drop)
}

/// On the legacy stream; returns when it is done.
pub(super) fn to_host_and_wait(target: HostMemory, source: u64) -> Outcome {
    worker::may_wait()?;
    enqueue_to_host(target, source, Handle::NULL)?.map_or(Ok(()), Enqueued::finish)
}

fn enqueue_to_host(target: HostMemory, source: u64, stream: Handle) -> Outcome<Option<Enqueued>> {
    let mut state = lock();
    let stream = state.stream(stream)?;
    if target.bytes == 0 {
        return Ok(None);
    }
    target.check()?;
    let context = state.streams[&stream].context;
    let from = Place::Known(device_memory(&state, source, target.bytes)?);
    if let Some(span) = target.locked(&state) {
        state.touches(stream, source, target.bytes, Touch::Read, None);
        state.touches(stream, target.address(), target.bytes, Touch::Write, None);
        let end = state.submit(stream, None, Work::Run(Job::Copy { from, to: Place::Known(span), bytes: target.bytes }));
        return Ok(Some(Enqueued { context, end, moment: state.order.moment(stream) }));
    }
    worker::may_wait()?;
    state.touches(stream, source, target.bytes, Touch::Read, None);
    state.touches_pageable(stream, target.address(), target.bytes, Touch::Write);
    let to = Place::Waiting(CallerMemory(target.start));
    let end = state.submit(stream, None, Work::Run(Job::Copy { from, to, bytes: target.bytes }));
    let moment = state.order.moment(stream);
    // Not only until a fault: the copy may be at work on the caller's memory.
    let mut state = worker::wait_for(state, &[end])?;
    state.check(context)?;
    state.learns(&moment.clone().into());
    Ok(Some(Enqueued { context, end, moment }))
}

pub(super) fn on_device(target: u64, source: u64, bytes: usize, stream: Handle) -> Outcome {
    let mut state = lock();
    let stream = state.stream(stream)?;
    if bytes == 0 {
        return Ok(());
    }
    let from = Place::Known(device_memory(&state, source, bytes)?);
    let to = Place::Known(device_memory(&state, target, bytes)?);
    state.touches(stream, source, bytes, Touch::Read, None);
    state.touches(stream, target, bytes, Touch::Write, None);
    state.submit(stream, None, Work::Run(Job::Copy { from, to, bytes }));
    Ok(())
}

pub(super) fn fill(target: u64, pattern: Pattern, count: usize, stream: Handle) -> Outcome {
    let size = pattern.size();
    let bytes = count.checked_mul(size).ok_or(codes::INVALID_VALUE)?;
    let mut state = lock();
    let stream = state.stream(stream)?;
    if bytes == 0 {
        return Ok(());
    }
    if !target.is_multiple_of(size as u64) {
        return Err(codes::INVALID_VALUE);
    }
    let memory = device_memory(&state, target, bytes)?;
    state.touches(stream, target, bytes, Touch::Write, None);
    state.submit(stream, None, Work::Run(Job::Fill { target: memory, pattern }));
    Ok(())
}
