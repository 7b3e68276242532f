//! `cuPointerGetAttribute` and its like: what memory an address is of.

use std::ffi::c_void;
use std::ptr;

use super::abi::Out;
use super::codes::{self, Outcome};
use super::device;
use super::handle::{Handle, Kind, RawHandle};
use super::memory::{Allocation, Home, Origin};
use super::state::{State, lock};

/// What an attribute says, in the type that C has for it.
enum Value {
    /// The documentation has a boolean, which a real driver was seen to write as 32 bits.
    Flag(bool),
    Int(i32),
    Number(u32),
    Wide(u64),
    Pointer(RawHandle),
    /// `CUDA_POINTER_ATTRIBUTE_P2P_TOKENS`
    Tokens([u64; 2]),
}

impl Value {
    /// # Safety
    ///
    /// `place` is valid for a value of the attribute's type.
    unsafe fn write(self, place: *mut c_void) {
        match self {
            // SAFETY: the caller's promise.
            Self::Flag(value) => unsafe { place.cast::<u32>().write_unaligned(value.into()) },
            // SAFETY: as above.
            Self::Int(value) => unsafe { place.cast::<i32>().write_unaligned(value) },
            // SAFETY: as above.
            Self::Number(value) => unsafe { place.cast::<u32>().write_unaligned(value) },
            // SAFETY: as above.
            Self::Wide(value) => unsafe { place.cast::<u64>().write_unaligned(value) },
            // SAFETY: as above.
            Self::Pointer(value) => unsafe { place.cast::<RawHandle>().write_unaligned(value) },
            // SAFETY: as above.
            Self::Tokens(value) => unsafe { place.cast::<[u64; 2]>().write_unaligned(value) },
        }
    }
}

/// The attributes, as C numbers them.
mod attribute {
    pub(super) const CONTEXT: u32 = 1;
    pub(super) const MEMORY_TYPE: u32 = 2;
    pub(super) const DEVICE_POINTER: u32 = 3;
    pub(super) const HOST_POINTER: u32 = 4;
    pub(super) const P2P_TOKENS: u32 = 5;
    pub(super) const SYNC_MEMOPS: u32 = 6;
    pub(super) const BUFFER_ID: u32 = 7;
    pub(super) const IS_MANAGED: u32 = 8;
    pub(super) const DEVICE_ORDINAL: u32 = 9;
    pub(super) const IS_LEGACY_IPC_CAPABLE: u32 = 10;
    pub(super) const RANGE_START: u32 = 11;
    pub(super) const RANGE_SIZE: u32 = 12;
    pub(super) const MAPPED: u32 = 13;
    pub(super) const ALLOWED_HANDLE_TYPES: u32 = 14;
    pub(super) const IS_RDMA_CAPABLE: u32 = 15;
    pub(super) const ACCESS_FLAGS: u32 = 16;
    pub(super) const POOL: u32 = 17;
    pub(super) const MAPPING_SIZE: u32 = 18;
    pub(super) const MAPPING_START: u32 = 19;
    pub(super) const MEMORY_BLOCK_ID: u32 = 20;
    pub(super) const IS_HW_DECOMPRESS_CAPABLE: u32 = 21;
}

const TYPE_HOST: u32 = 1;
const TYPE_DEVICE: u32 = 2;
const READ_AND_WRITE: u32 = 3;
/// No other device on the bus has any use for them here.
const NO_TOKENS: Value = Value::Tokens([0; 2]);
/// The device of an address that is none's.
const NO_DEVICE: i32 = -2;

/// What an attribute says of an address in an allocation that begins at `start`.
fn value(state: &State, attribute: u32, address: u64, start: u64, allocation: &Allocation) -> Outcome<Value> {
    let context = state.contexts.get(&allocation.context);
    Ok(match attribute {
        // Memory of a pool is the device's.
        attribute::CONTEXT => Value::Pointer(match (allocation.origin, context) {
            (Origin::Pool(_), _) | (_, None) => ptr::null_mut(),
            (_, Some(context)) => context.handle.raw(),
        }),
        attribute::MEMORY_TYPE => Value::Number(if allocation.is_page_locked() { TYPE_HOST } else { TYPE_DEVICE }),
        attribute::DEVICE_POINTER => Value::Wide(address),
        attribute::HOST_POINTER if allocation.home == Home::Host => Value::Wide(address),
        attribute::P2P_TOKENS if !allocation.is_page_locked() => NO_TOKENS,
        attribute::BUFFER_ID | attribute::MEMORY_BLOCK_ID => Value::Wide(allocation.id),
        attribute::IS_MANAGED => Value::Flag(allocation.origin == Origin::Managed),
        attribute::DEVICE_ORDINAL => Value::Int(match (allocation.home, context) {
            (Home::Device(index), _) => device::ordinal(index),
            (Home::Host, Some(context)) => device::ordinal(context.device),
            (Home::Host, None) => NO_DEVICE,
        }),
        attribute::IS_LEGACY_IPC_CAPABLE => Value::Flag(allocation.origin == Origin::Plain),
        attribute::SYNC_MEMOPS | attribute::IS_RDMA_CAPABLE | attribute::IS_HW_DECOMPRESS_CAPABLE => Value::Flag(false),
        attribute::RANGE_START | attribute::MAPPING_START => Value::Wide(start),
        attribute::RANGE_SIZE | attribute::MAPPING_SIZE => Value::Wide(allocation.bytes() as u64),
        attribute::MAPPED => Value::Flag(true),
        attribute::ALLOWED_HANDLE_TYPES => Value::Wide(0),
        attribute::ACCESS_FLAGS => Value::Number(READ_AND_WRITE),
        attribute::POOL => Value::Pointer(match allocation.origin {
            Origin::Pool(pool) => Handle::new(Kind::Pool, pool).raw(),
            _ => ptr::null_mut(),
        }),
        // Unknown, or not of this memory.
        _ => return Err(codes::INVALID_VALUE),
    })
}

/// What an attribute says of an address that is in no allocation, where several are asked for.
fn value_of_nothing(attribute: u32) -> Outcome<Value> {
    Ok(match attribute {
        attribute::CONTEXT | attribute::HOST_POINTER | attribute::POOL => Value::Pointer(ptr::null_mut()),
        attribute::MEMORY_TYPE | attribute::ACCESS_FLAGS => Value::Number(0),
        attribute::DEVICE_ORDINAL => Value::Int(NO_DEVICE),
        attribute::DEVICE_POINTER
        | attribute::BUFFER_ID
        | attribute::MEMORY_BLOCK_ID
        | attribute::RANGE_START
        | attribute::RANGE_SIZE
        | attribute::MAPPING_START
        | attribute::MAPPING_SIZE
        | attribute::ALLOWED_HANDLE_TYPES => Value::Wide(0),
        attribute::P2P_TOKENS => NO_TOKENS,
        attribute::IS_MANAGED
        | attribute::MAPPED
        | attribute::SYNC_MEMOPS
        | attribute::IS_LEGACY_IPC_CAPABLE
        | attribute::IS_RDMA_CAPABLE
        | attribute::IS_HW_DECOMPRESS_CAPABLE => Value::Flag(false),
        _ => return Err(codes::INVALID_VALUE),
    })
}

/// One attribute; an address that is in no allocation is an error.
///
/// # Safety
///
/// `place` is null or valid for a value of the attribute's type.
pub(super) unsafe fn attribute(place: *mut c_void, attribute: u32, address: u64) -> Outcome {
    if place.is_null() {
        return Err(codes::INVALID_VALUE);
    }
    let state = lock();
    let (start, allocation) = state.memory.around(address).ok_or(codes::INVALID_VALUE)?;
    let value = value(&state, attribute, address, start, allocation)?;
    // SAFETY: the caller's promise.
    unsafe { value.write(place) };
    Ok(())
}

/// Several attributes; an address that is in no allocation has zeros.
///
/// # Safety
///
/// `attributes` and `places` are null or arrays of `count`, each place valid for a value of its attribute's type.
pub(super) unsafe fn attributes(count: u32, attributes: *const u32, places: *const *mut c_void, address: u64) -> Outcome {
    if count == 0 || attributes.is_null() || places.is_null() {
        return Err(codes::INVALID_VALUE);
    }
    let state = lock();
    let found = state.memory.around(address);
    for index in 0..count as usize {
        // SAFETY: the array has that many.
        let attribute = unsafe { attributes.wrapping_add(index).read() };
        // SAFETY: as above.
        let place = unsafe { places.wrapping_add(index).read() };
        if place.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        let value = match found {
            // What is not there is no error here.
            Some((_, allocation)) if attribute == attribute::HOST_POINTER && allocation.home != Home::Host => Value::Wide(0),
            Some((start, allocation)) => value(&state, attribute, address, start, allocation)?,
            None => value_of_nothing(attribute)?,
        };
        // SAFETY: the caller's promise.
        unsafe { value.write(place) };
    }
    Ok(())
}

/// Where the allocation of an address begins, and its length.
pub(super) fn range(start: Option<Out<u64>>, bytes: Option<Out<usize>>, address: u64) -> Outcome {
    let state = lock();
    state.current()?;
    let (found, allocation) = state.memory.around(address).ok_or(codes::NOT_FOUND)?;
    if let Some(start) = start {
        start.set(found);
    }
    if let Some(bytes) = bytes {
        bytes.set(allocation.bytes());
    }
    Ok(())
}
