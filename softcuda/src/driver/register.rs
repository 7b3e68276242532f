//! `cuMemHostRegister` and `cuMemHostUnregister`: page-locked memory that stays the caller's.

use std::ffi::c_void;
use std::ptr::NonNull;

use super::buffer::Buffer;
use super::checks::Waits;
use super::codes::{self, Outcome};
use super::memory::Origin;
use super::state::lock;
use super::worker;

/// Portable, mapped, read-only for the device: the first two are true of all page-locked memory here.
const FLAGS: u32 = 0xb;
/// Memory of another device on the bus, which there is none of.
const IO_MEMORY: u32 = 4;

/// The memory is used in place, by work that is enqueued until it is unregistered.
pub(super) fn register(start: *mut c_void, bytes: usize, flags: u32) -> Outcome {
    if flags & IO_MEMORY != 0 {
        return Err(codes::NOT_SUPPORTED);
    }
    if flags & !FLAGS != 0 || bytes == 0 {
        return Err(codes::INVALID_VALUE);
    }
    let start = NonNull::new(start.cast()).ok_or(codes::INVALID_VALUE)?;
    let mut state = lock();
    let context = state.current()?;
    if state.memory.overlaps(start.addr().get() as u64, bytes) {
        return Err(codes::HOST_MEMORY_ALREADY_REGISTERED);
    }
    let buffer = Buffer::of_caller(start, bytes)?;
    state.memory.add_host(context, Origin::Registered(flags), buffer);
    Ok(())
}

/// Waits for all work of the context: nobody but the caller keeps the memory for what is queued.
pub(super) fn unregister(start: *mut c_void) -> Outcome {
    let start = NonNull::new(start).ok_or(codes::INVALID_VALUE)?;
    let address = start.addr().get() as u64;
    let mut state = lock();
    let allocation = state.memory.at(address).filter(|allocation| matches!(allocation.origin, Origin::Registered(_)) && !allocation.freed);
    let context = allocation.ok_or(codes::HOST_MEMORY_NOT_REGISTERED)?.context;
    let ends = state.ends_of(context);
    worker::check_wait(&state, &ends)?;
    state.host_frees(address, Waits::ForAll);
    // No work may begin with it from now on.
    if let Some(allocation) = state.memory.at(address) {
        allocation.freed = true;
    }
    // Not only until a fault: what runs may be at work on the caller's memory.
    let mut state = worker::wait_for(state, &ends)?;
    state.memory.remove(address);
    state.check()
}
