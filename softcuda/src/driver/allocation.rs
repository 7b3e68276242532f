//! `cuMemAlloc*`, `cuMemFree*` and `cuMemHost*`: memory of devices and page-locked memory.

use std::ffi::c_void;

use super::abi::Out;
use super::buffer::Buffer;
use super::checks::Waits;
use super::codes::{self, Outcome};
use super::freed::Freed;
use super::handle::{Handle, Kind};
use super::memory::{Allocation, Origin};
use super::objects::{Serial, Work};
use super::raw::Topic;
use super::state::{Locked, State, lock};
use super::{device, report, worker};

pub(super) fn allocate(out: Option<Out<u64>>, bytes: usize) -> Outcome {
    let mut state = lock();
    let context = state.current()?;
    state.check_unsafe_call()?;
    let out = out.ok_or(codes::INVALID_VALUE)?;
    out.set(device_memory(state, context, None, bytes)?);
    Ok(())
}

/// Memory of a context's device, or of a pool. It is filled without the lock, which other threads need meanwhile.
fn device_memory(state: Locked, context: Serial, pool: Option<u64>, bytes: usize) -> Outcome<u64> {
    let device = match pool {
        Some(pool) => state.memory.pools.get(pool)?.device,
        None => state.contexts[&context].device,
    };
    let check_room = |state: &State| {
        pool.map_or(Ok(()), |pool| state.memory.pools.check_room(pool, bytes))?;
        state.memory.check_room(device, bytes)
    };
    check_room(&state)?;
    drop(state);
    // What a pool has is no other process's.
    let buffer = if pool.is_some() { Buffer::of_device(bytes) } else { Buffer::of_device_for_all(device, bytes) }?;
    let mut state = lock();
    state.check_again(context)?;
    check_room(&state)?;
    Ok(match pool {
        Some(pool) => state.memory.add_to_pool(context, device, pool, buffer),
        None => state.memory.add(context, device, buffer),
    })
}

/// Waits for all work of the context, as a real driver does, and frees. For memory of a pool that is not
/// documented: it is freed at once.
pub(super) fn free(address: u64) -> Outcome {
    let mut state = lock();
    state.check()?;
    state.check_unsafe_call()?;
    if address == 0 {
        return Ok(());
    }
    let is_freed_here = |allocation: &&mut Allocation| allocation.is_live_on_device() || allocation.is_live_and_managed();
    let allocation = state.memory.at(address).filter(is_freed_here);
    let (context, origin) = match allocation {
        Some(allocation) => (allocation.context, allocation.origin),
        None => return Err(not_allocated(&state.freed, address)),
    };
    if matches!(origin, Origin::Pool(_)) {
        state.host_frees(address, Waits::Not);
        state.memory.remove(address);
        return Ok(());
    }
    free_after_all_work(state, context, address, Waits::ForAll)
}

/// Waits for all work of a context and frees memory of it. After a fault it stays with its context.
pub(super) fn free_after_all_work(mut state: Locked, context: Serial, address: u64, waits: Waits) -> Outcome {
    let ends = state.ends_for_caller(context);
    worker::check_wait(&state, &ends)?;
    state.host_frees(address, waits);
    // No work may begin with it from now on.
    let Some(allocation) = state.memory.at(address) else { return Ok(()) };
    allocation.freed = true;
    let id = allocation.id;
    worker::wait_unless_faulted(state, &ends)?.memory.remove_same(address, id);
    Ok(())
}

/// The memory of a device that begins at `address` and can be freed.
fn device_allocation(state: &mut State, address: u64) -> Outcome<&mut Allocation> {
    let freed = &state.freed;
    let allocation = state.memory.at(address).filter(|allocation| allocation.is_live_on_device());
    allocation.ok_or_else(|| not_allocated(freed, address))
}

pub(super) fn not_allocated(freed: &Freed, address: u64) -> codes::Code {
    let freed = freed.describe(address);
    report::add(Topic::Memory, format_args!("no live allocation begins at {address:#x}{freed}"));
    codes::INVALID_VALUE
}

/// The memory is there at once; the order of its use is the caller's, as with a real pool.
pub(super) fn allocate_ordered(out: Out<u64>, bytes: usize, stream: Handle) -> Outcome {
    let mut state = lock();
    let stream = state.stream_not_captured(stream)?;
    state.check_unsafe_call()?;
    let context = state.streams[&stream].context;
    let device = state.contexts[&context].device;
    let pool = state.memory.pools.current_of(device);
    allocate_in_order(out, bytes, state, stream, pool)
}

/// The same, from a pool that the caller names.
pub(super) fn allocate_from(out: Out<u64>, bytes: usize, pool: Handle, stream: Handle) -> Outcome {
    let mut state = lock();
    let stream = state.stream_not_captured(stream)?;
    state.check_unsafe_call()?;
    let pool = pool.serial(Kind::Pool).ok_or(codes::INVALID_VALUE)?;
    state.memory.pools.get(pool)?;
    allocate_in_order(out, bytes, state, stream, pool)
}

fn allocate_in_order(out: Out<u64>, bytes: usize, state: Locked, stream: Serial, pool: u64) -> Outcome {
    // Other than a plain allocation, one of nothing is allowed.
    if bytes == 0 {
        out.set(0);
        return Ok(());
    }
    let context = state.owner(state.streams[&stream].context);
    let address = device_memory(state, context, Some(pool), bytes)?;
    lock().allocates(stream, address, bytes);
    out.set(address);
    Ok(())
}

pub(super) fn free_ordered(address: u64, stream: Handle) -> Outcome {
    let mut state = lock();
    let stream = state.stream_for_work(stream)?;
    if state.is_capturing(stream) {
        // No node has allocated it.
        return Err(codes::INVALID_VALUE);
    }
    state.check_unsafe_call()?;
    if address == 0 {
        return Ok(());
    }
    if state.memory.at(address).is_some_and(|allocation| allocation.is_live_and_managed()) {
        return Err(codes::NOT_SUPPORTED);
    }
    device_allocation(&mut state, address)?;
    state.frees(stream, address);
    device_allocation(&mut state, address)?.freed = true;
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

/// The flag of page-locked memory that devices reach, which all is here.
pub(super) const MAPPED: u32 = 2;

pub(super) fn allocate_host(out: Option<Out<*mut c_void>>, bytes: usize, flags: u32) -> Outcome {
    const PORTABLE: u32 = 1;
    const WRITE_COMBINED: u32 = 4;
    let mut state = lock();
    let context = state.current()?;
    state.check_unsafe_call()?;
    drop(state);
    if flags & !(PORTABLE | MAPPED | WRITE_COMBINED) != 0 {
        return Err(codes::INVALID_VALUE);
    }
    let out = out.ok_or(codes::INVALID_VALUE)?;
    if bytes == 0 {
        out.set(std::ptr::null_mut());
        return Ok(());
    }
    // Filled without the lock.
    let buffer = Buffer::of_host(bytes)?;
    let mut state = lock();
    state.check_again(context)?;
    // A real driver was seen to tell of portable memory only if it is write-combined.
    let told = MAPPED | if flags & WRITE_COMBINED != 0 { flags } else { 0 };
    out.set(state.memory.add_host(context, Origin::Pinned(told), buffer).cast());
    Ok(())
}

/// The flags that memory of the host has for devices.
pub(super) fn host_flags(out: Out<u32>, start: *mut c_void) -> Outcome {
    let state = lock();
    state.current()?;
    let (_, allocation) = state.memory.around(start.addr() as u64).ok_or(codes::INVALID_VALUE)?;
    let flags = match allocation.origin {
        Origin::Pinned(flags) | Origin::Registered(flags) => flags,
        // Which a real driver was seen to answer, too.
        Origin::Managed => MAPPED,
        Origin::Plain | Origin::Pool(_) | Origin::Imported(_) => return Err(codes::INVALID_VALUE),
    };
    state.check()?;
    out.set(flags);
    Ok(())
}

/// Waits for all work of the context, as a real driver was seen to. No documentation promises that: who
/// relies on it is reported.
pub(super) fn free_host(start: *mut c_void) -> Outcome {
    let mut state = lock();
    state.check()?;
    state.check_unsafe_call()?;
    if start.is_null() {
        return Ok(());
    }
    let address = start.addr() as u64;
    let allocation = state.memory.at(address).filter(|allocation| matches!(allocation.origin, Origin::Pinned(_)) && !allocation.freed);
    let context = match allocation {
        Some(allocation) => allocation.context,
        None => return Err(not_allocated(&state.freed, address)),
    };
    free_after_all_work(state, context, address, Waits::Not)
}

pub(super) fn device_pointer(out: Out<u64>, start: *mut c_void, flags: u32) -> Outcome {
    if flags != 0 {
        return Err(codes::INVALID_VALUE);
    }
    let state = lock();
    state.current()?;
    let address = start.addr() as u64;
    let (_, allocation) = state.memory.around(address).ok_or_else(|| not_allocated(&state.freed, address))?;
    if !allocation.is_page_locked() {
        return Err(codes::INVALID_VALUE);
    }
    // One address space: what the host calls it, the device calls it.
    out.set(address);
    Ok(())
}
