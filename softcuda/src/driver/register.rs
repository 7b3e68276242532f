//! `cuMemHostRegister` and `cuMemHostUnregister`: page-locked memory that stays the caller's.

use std::ffi::c_void;
use std::ptr::NonNull;

use super::allocation::MAPPED;
use super::buffer::Buffer;
use super::checks::Waits;
use super::codes::{self, Outcome};
use super::memory::Origin;
use super::state::lock;
use super::worker;

const PORTABLE: u32 = 1;
const READ_ONLY: u32 = 8;

/// The memory is used in place, by work that is enqueued until it is unregistered.
pub(super) fn register(start: *mut c_void, bytes: usize, flags: u32) -> Outcome {
    // Registers of another device on the bus have a flag too, but there are none.
    if flags & !(PORTABLE | MAPPED | READ_ONLY) != 0 || bytes == 0 {
        return Err(codes::INVALID_VALUE);
    }
    let start = NonNull::new(start.cast()).ok_or(codes::INVALID_VALUE)?;
    let mut state = lock();
    let context = state.current()?;
    state.check_unsafe_call()?;
    if let Some(known) = state.memory.overlapping(start.addr().get() as u64, bytes) {
        let is_registered = matches!(known.origin, Origin::Registered(_));
        return Err(if is_registered { codes::HOST_MEMORY_ALREADY_REGISTERED } else { codes::INVALID_VALUE });
    }
    let buffer = Buffer::of_caller(start, bytes)?;
    // What a real driver was seen to tell of the flags.
    let told = flags & PORTABLE | MAPPED;
    state.memory.add_host(context, Origin::Registered(told), buffer);
    Ok(())
}

/// Waits for all work of the context: nobody but the caller keeps the memory for what is queued. No documentation
/// promises that, as for page-locked memory that is freed: who relies on it is reported.
pub(super) fn unregister(start: *mut c_void) -> Outcome {
    let start = NonNull::new(start).ok_or(codes::INVALID_VALUE)?;
    let address = start.addr().get() as u64;
    let mut state = lock();
    state.check_unsafe_call()?;
    let context = match state.memory.around(address) {
        Some((start, allocation)) if start == address && matches!(allocation.origin, Origin::Registered(_)) => allocation.context,
        // Inside registered memory, or not the caller's.
        Some(_) => return Err(codes::INVALID_VALUE),
        None => return Err(codes::HOST_MEMORY_NOT_REGISTERED),
    };
    let ends = state.ends_for_caller(context);
    worker::check_wait(&state, &ends)?;
    state.host_frees(address, Waits::Not);
    // No work may begin with it from now on.
    let allocation = state.memory.at(address).ok_or(codes::HOST_MEMORY_NOT_REGISTERED)?;
    allocation.freed = true;
    let id = allocation.id;
    // Not only until a fault: what runs may be at work on the caller's memory.
    let mut state = worker::wait_for(state, &ends)?;
    state.memory.remove_same(address, id);
    state.check()
}
