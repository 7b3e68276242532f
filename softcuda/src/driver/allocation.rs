//! `cuMemAlloc*`, `cuMemFree*` and `cuMemHost*`: memory of devices and page-locked memory.

use std::ffi::c_void;

use super::abi::Out;
use super::codes::{self, Outcome};
use super::handle::Handle;
use super::memory::{Buffer, Home};
use super::objects::{Serial, Work};
use super::raw::Topic;
use super::state::{Locked, State, lock};
use super::{device, report, worker};

pub(super) fn allocate(out: Out<u64>, bytes: usize) -> Outcome {
    let state = lock();
    let context = state.current()?;
    out.set(device_memory(state, context, bytes)?);
    Ok(())
}

/// Memory of a context's device. It is filled without the lock, which other threads need meanwhile.
fn device_memory(state: Locked, context: Serial, bytes: usize) -> Outcome<u64> {
    let device = state.contexts[&context].device;
    state.memory.check_room(device, bytes)?;
    drop(state);
    let buffer = Buffer::of_device(bytes)?;
    let mut state = lock();
    state.check_again(context)?;
    state.memory.check_room(device, bytes)?;
    Ok(state.memory.add(context, device, buffer))
}

/// Waits for all work of the context, as a real driver does, and frees.
pub(super) fn free(address: u64) -> Outcome {
    let mut state = lock();
    if address == 0 {
        return Ok(());
    }
    let allocation = state.memory.at(address).filter(|allocation| allocation.is_live_on_device());
    let context = allocation.ok_or_else(|| not_allocated(address))?.context;
    let ends = state.ends_for_caller(context);
    worker::check_wait(&state, &ends)?;
    // No work may begin with it from now on.
    if let Some(allocation) = state.memory.at(address) {
        allocation.freed = true;
    }
    worker::wait_unless_faulted(state, context, &ends)?.memory.remove(address);
    Ok(())
}

fn not_allocated(address: u64) -> codes::Code {
    report::add(Topic::Memory, format_args!("no allocation begins at {address:#x}, or it is freed already"));
    codes::INVALID_VALUE
}

/// The memory is there at once; the order of its use is the caller's, as with a real pool.
pub(super) fn allocate_ordered(out: Out<u64>, bytes: usize, stream: Handle) -> Outcome {
    let mut state = lock();
    let stream = state.stream(stream)?;
    let context = state.streams[&stream].context;
    out.set(match bytes {
        // Other than a plain allocation, one of nothing is allowed.
        0 => 0,
        _ => device_memory(state, context, bytes)?,
    });
    Ok(())
}

pub(super) fn free_ordered(address: u64, stream: Handle) -> Outcome {
    let mut state = lock();
    let stream = state.stream(stream)?;
    if address == 0 {
        return Ok(());
    }
    let allocation = state.memory.at(address).filter(|allocation| allocation.is_live_on_device());
    allocation.ok_or_else(|| not_allocated(address))?.freed = true;
    state.submit(stream, None, Work::Free(address));
    Ok(())
}

pub(super) fn info(free: Option<Out<usize>>, total: Option<Out<usize>>) -> Outcome {
    let state = lock();
    let context = state.current()?;
    if let Some(free) = free {
        free.set(state.memory.free_bytes(state.contexts[&context].device));
    }
    if let Some(total) = total {
        total.set(device::MEMORY);
    }
    Ok(())
}

pub(super) fn allocate_host(out: Out<*mut c_void>, bytes: usize, flags: u32) -> Outcome {
    /// Portable, mapped, write-combined: each is true of all page-locked memory here, or no matter.
    const FLAGS: u32 = 0x7;
    if flags & !FLAGS != 0 {
        return Err(codes::INVALID_VALUE);
    }
    let context = lock().current()?;
    if bytes == 0 {
        out.set(std::ptr::null_mut());
        return Ok(());
    }
    // Filled without the lock.
    let buffer = Buffer::of_host(bytes)?;
    let mut state = lock();
    state.check_again(context)?;
    out.set(state.memory.add_host(context, buffer).cast());
    Ok(())
}

/// Queued work that touches the memory keeps it; the caller may not.
pub(super) fn free_host(start: *mut c_void) -> Outcome {
    if start.is_null() {
        return Ok(());
    }
    let mut state = lock();
    let address = host_allocation(&mut state, start)?;
    state.memory.remove(address);
    Ok(())
}

pub(super) fn device_pointer(out: Out<u64>, start: *mut c_void, flags: u32) -> Outcome {
    if flags != 0 {
        return Err(codes::INVALID_VALUE);
    }
    let state = lock();
    state.current()?;
    let address = start.addr() as u64;
    let (allocation, _) = state.memory.span(address, 1).ok_or_else(|| not_allocated(address))?;
    if allocation.home != Home::Host {
        return Err(codes::INVALID_VALUE);
    }
    // One address space: what the host calls it, the device calls it.
    out.set(address);
    Ok(())
}

/// The address of page-locked memory that begins at `start`.
fn host_allocation(state: &mut State, start: *mut c_void) -> Outcome<u64> {
    let address = start.addr() as u64;
    match state.memory.at(address) {
        Some(allocation) if allocation.home == Home::Host => Ok(address),
        _ => Err(not_allocated(address)),
    }
}
