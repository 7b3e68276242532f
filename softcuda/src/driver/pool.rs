//! `cuMemPool*` and the pools of devices.

use std::ffi::c_void;

use super::abi::{In, Out};
use super::codes::{self, Outcome};
use super::device;
use super::handle::{Handle, Kind, RawHandle};
use super::managed::Location;
use super::pools::Pool;
use super::state::{State, lock};

/// What a pool is made by: `CUmemPoolProps`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Properties {
    allocation_type: u32,
    handle_types: u32,
    location: Location,
    _security: *mut c_void,
    limit: usize,
    _usage: u16,
    _reserved: [u8; 54],
}

const _: () = assert!(size_of::<Properties>() == 88, "as C declares it");

/// Who may reach the memory of a pool: `CUmemAccessDesc`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Access {
    location: Location,
    flags: u32,
}

const NO_ACCESS: u32 = 0;
const READ_ONLY: u32 = 1;
const READ_AND_WRITE: u32 = 3;
/// The only type of allocation: not moved once it is there.
const PINNED: u32 = 1;

/// The pool of a handle.
fn serial(pool: Handle) -> Outcome<u64> {
    pool.serial(Kind::Pool).ok_or(codes::INVALID_VALUE)
}

fn raw(pool: u64) -> RawHandle {
    Handle::new(Kind::Pool, pool).raw()
}

pub(super) fn default_of(out: Out<RawHandle>, ordinal: i32) -> Outcome {
    let device = device::index(ordinal)?;
    out.set(raw(lock().memory.pools.default_of(device)));
    Ok(())
}

/// The device of an ordinal that a real driver refuses like any other value.
fn device_at(ordinal: i32) -> Outcome<usize> {
    device::index(ordinal).map_err(|_| codes::INVALID_VALUE)
}

pub(super) fn current_of(out: Out<RawHandle>, ordinal: i32) -> Outcome {
    let device = device_at(ordinal)?;
    out.set(raw(lock().memory.pools.current_of(device)));
    Ok(())
}

pub(super) fn set_current(ordinal: i32, pool: Handle) -> Outcome {
    let device = device_at(ordinal)?;
    lock().memory.pools.set_current(device, serial(pool)?)
}

/// The ordinal of the device at a location, for allocations of a type that pools have.
pub(super) fn ordinal_at(location: In<Location>, allocation_type: u32) -> Outcome<i32> {
    if allocation_type == PINNED { location.get().device().map(device::ordinal) } else { Err(codes::INVALID_VALUE) }
}

pub(super) fn create(out: Out<RawHandle>, properties: In<Properties>) -> Outcome {
    let Properties { allocation_type, handle_types, location, limit, .. } = properties.get();
    if allocation_type != PINNED {
        return Err(codes::INVALID_VALUE);
    }
    if handle_types != 0 {
        // Nothing can be shared with other processes.
        return Err(codes::NOT_SUPPORTED);
    }
    let limit = (limit != 0).then_some(limit);
    out.set(raw(lock().memory.pools.create(location.device()?, limit)));
    Ok(())
}

pub(super) fn destroy(pool: Handle) -> Outcome {
    lock().memory.pools.destroy(serial(pool)?)
}

/// There is never anything to trim.
pub(super) fn trim(pool: Handle) -> Outcome {
    let mut state = lock();
    state.check_unsafe_call()?;
    state.memory.pools.get(serial(pool)?).map(drop)
}

/// The attributes, as C numbers them.
mod attribute {
    /// How freed memory may be used again.
    pub(super) const REUSE_BY_EVENTS: u32 = 1;
    pub(super) const REUSE_BY_ADDED_WAITS: u32 = 3;
    pub(super) const RELEASE_THRESHOLD: u32 = 4;
    pub(super) const RESERVED: u32 = 5;
    pub(super) const MOST_RESERVED: u32 = 6;
    pub(super) const USED: u32 = 7;
    pub(super) const MOST_USED: u32 = 8;
}

/// Changes an attribute.
///
/// # Safety
///
/// `value` is null or valid for reads of the attribute's type.
pub(super) unsafe fn set_attribute(pool: Handle, attribute: u32, value: *const c_void) -> Outcome {
    if value.is_null() {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    let pool = state.memory.pools.get_mut(serial(pool)?)?;
    match attribute {
        attribute::REUSE_BY_EVENTS..=attribute::REUSE_BY_ADDED_WAITS => {
            // SAFETY: the caller's promise: these have this type.
            let value = unsafe { value.cast::<i32>().read() };
            pool.reuse[(attribute - attribute::REUSE_BY_EVENTS) as usize] = i32::from(value != 0);
        }
        attribute::RELEASE_THRESHOLD => {
            // SAFETY: as above.
            pool.release_threshold = unsafe { value.cast::<u64>().read() };
        }
        attribute::MOST_RESERVED | attribute::MOST_USED => {
            // SAFETY: as above.
            let value = unsafe { value.cast::<u64>().read() };
            if value != 0 {
                return Err(codes::INVALID_VALUE);
            }
            pool.most_used = pool.used;
        }
        // What is in use cannot be set.
        _ => return Err(codes::INVALID_VALUE),
    }
    Ok(())
}

/// Reads an attribute.
///
/// # Safety
///
/// `value` is null or valid for writes of the attribute's type.
pub(super) unsafe fn get_attribute(pool: Handle, attribute: u32, value: *mut c_void) -> Outcome {
    if value.is_null() {
        return Err(codes::INVALID_VALUE);
    }
    let state = lock();
    let pool = state.memory.pools.get(serial(pool)?)?;
    let number = match attribute {
        attribute::REUSE_BY_EVENTS..=attribute::REUSE_BY_ADDED_WAITS => {
            let reuse = pool.reuse[(attribute - attribute::REUSE_BY_EVENTS) as usize];
            // SAFETY: the caller's promise: these have this type.
            unsafe { value.cast::<i32>().write(reuse) };
            return Ok(());
        }
        attribute::RELEASE_THRESHOLD => pool.release_threshold,
        // Nothing is reserved that is not used.
        attribute::RESERVED | attribute::USED => pool.used as u64,
        attribute::MOST_RESERVED | attribute::MOST_USED => pool.most_used as u64,
        _ => return Err(codes::INVALID_VALUE),
    };
    // SAFETY: as above.
    unsafe { value.cast::<u64>().write(number) };
    Ok(())
}

/// Lets devices reach the memory of a pool, or no more.
///
/// # Safety
///
/// `accesses` is null or an array of `count`.
pub(super) unsafe fn set_access(pool: Handle, accesses: *const Access, count: usize) -> Outcome {
    if accesses.is_null() && count != 0 {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    let pool = state.memory.pools.get_mut(serial(pool)?)?;
    let mut reached_by = pool.reached_by;
    for index in 0..count {
        // SAFETY: the array has that many.
        let Access { location, flags } = unsafe { accesses.wrapping_add(index).read() };
        let device = location.device()?;
        let reaches = match flags {
            NO_ACCESS => false,
            READ_ONLY => return Err(codes::NOT_SUPPORTED),
            READ_AND_WRITE => true,
            _ => return Err(codes::INVALID_VALUE),
        };
        if device == pool.device && !reaches {
            return Err(codes::INVALID_DEVICE);
        }
        reached_by[device] = reaches;
    }
    pool.reached_by = reached_by;
    Ok(())
}

pub(super) fn get_access(out: Out<u32>, pool: Handle, location: In<Location>) -> Outcome {
    let device = location.get().device()?;
    let state = lock();
    let reaches = find(&state, pool)?.reached_by[device];
    out.set(if reaches { READ_AND_WRITE } else { NO_ACCESS });
    Ok(())
}

fn find(state: &State, pool: Handle) -> Outcome<&Pool> {
    state.memory.pools.get(serial(pool)?)
}
