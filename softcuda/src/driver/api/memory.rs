//! The functions for memory.

use std::ffi::c_void;

use super::super::abi::{Argument, In, Out};
use super::super::calls::Function;
use super::super::codes::Code;
use super::super::entry::{self, driver_api};
use super::super::handle::{Handle, RawHandle};
use super::super::job::Pattern;
use super::super::managed::{Location, Place};
use super::super::pool::Properties;
use super::super::side::{HostMemory, Side};
use super::super::{allocation, copy, managed, peer_copy, pointer, pool, register};
use super::{Address, OTHERS};

driver_api! {
    OF_MEMORY from OTHERS.len();

    // Allocations.

    /// Allocates memory of the current context's device.
    cuMemAlloc_v2(address: Option<Out<u64>>, bytes: usize) => allocation::allocate(address, bytes);

    /// Frees memory, after all work of its context.
    cuMemFree_v2(address: u64) => allocation::free(address);

    /// Allocates memory in stream order.
    cuMemAllocAsync(address: Out<u64>, bytes: usize, stream: Handle)
        => allocation::allocate_ordered(address, bytes, stream);

    /// Frees memory in stream order.
    cuMemFreeAsync(address: u64, stream: Handle) => allocation::free_ordered(address, stream);

    /// Free and total memory of the current context's device.
    cuMemGetInfo_v2(free: Option<Out<usize>>, total: Option<Out<usize>>)
        => allocation::info(free, total);

    /// What an address is of.
    cuPointerGetAttribute(value: *mut c_void, attribute: u32, address: u64) => {
        // SAFETY: the caller passed a place for a value of the attribute's type.
        unsafe { pointer::attribute(value, attribute, address) }
    };

    /// What an address is of, in several respects.
    cuPointerGetAttributes(count: u32, attributes: *mut c_void, values: *mut *mut c_void, address: u64) => {
        // SAFETY: the caller passed so many attributes, and a place for each.
        unsafe { pointer::attributes(count, attributes.cast_const().cast(), values.cast_const(), address) }
    };

    /// The start and the length of an address's allocation.
    cuMemGetAddressRange_v2(start: Option<Out<u64>>, bytes: Option<Out<usize>>, address: u64)
        => pointer::range(start, bytes, address);

    // Pools.

    /// The pool that a device came with.
    cuDeviceGetDefaultMemPool(pool: Out<RawHandle>, device: i32) => pool::default_of(pool, device);

    /// The pool that a device allocates from in stream order.
    cuDeviceGetMemPool(pool: Out<RawHandle>, device: i32) => pool::current_of(pool, device);

    /// Lets a device allocate from a pool.
    cuDeviceSetMemPool(device: i32, pool: Handle) => pool::set_current(device, pool);

    /// The pool that a device came with.
    cuMemGetDefaultMemPool(pool: Out<RawHandle>, location: In<Location>, allocation_type: u32)
        => pool::default_of(pool, pool::ordinal_at(location, allocation_type)?);

    /// The pool that a device allocates from in stream order.
    cuMemGetMemPool(pool: Out<RawHandle>, location: In<Location>, allocation_type: u32)
        => pool::current_of(pool, pool::ordinal_at(location, allocation_type)?);

    /// Lets a device allocate from a pool.
    cuMemSetMemPool(location: In<Location>, allocation_type: u32, pool: Handle)
        => pool::set_current(pool::ordinal_at(location, allocation_type)?, pool);

    /// Creates a pool.
    cuMemPoolCreate(pool: Out<RawHandle>, properties: In<Properties>) => pool::create(pool, properties);

    /// Destroys a pool; its allocations stay.
    cuMemPoolDestroy(pool: Handle) => pool::destroy(pool);

    /// Gives memory back that a pool keeps.
    cuMemPoolTrimTo(pool: Handle, _bytes: usize) => pool::trim(pool);

    /// Changes an attribute of a pool.
    cuMemPoolSetAttribute(pool: Handle, attribute: u32, value: *mut c_void) => {
        // SAFETY: the caller passed a value of the attribute's type.
        unsafe { pool::set_attribute(pool, attribute, value) }
    };

    /// An attribute of a pool.
    cuMemPoolGetAttribute(pool: Handle, attribute: u32, value: *mut c_void) => {
        // SAFETY: the caller passed a place for a value of the attribute's type.
        unsafe { pool::get_attribute(pool, attribute, value) }
    };

    /// Lets devices reach the memory of a pool.
    cuMemPoolSetAccess(pool: Handle, accesses: *const c_void, count: usize) => {
        // SAFETY: the caller passed an array of so many.
        unsafe { pool::set_access(pool, accesses.cast(), count) }
    };

    /// Whether a device reaches the memory of a pool.
    cuMemPoolGetAccess(flags: Out<u32>, pool: Handle, location: In<Location>)
        => pool::get_access(flags, pool, location);

    /// Allocates memory of a pool in stream order.
    cuMemAllocFromPoolAsync(address: Out<u64>, bytes: usize, pool: Handle, stream: Handle)
        => allocation::allocate_from(address, bytes, pool, stream);

    // Memory of the host.

    /// Allocates page-locked memory.
    cuMemHostAlloc(start: Option<Out<*mut c_void>>, bytes: usize, flags: u32)
        => allocation::allocate_host(start, bytes, flags);

    /// Allocates page-locked memory.
    cuMemAllocHost_v2(start: Option<Out<*mut c_void>>, bytes: usize)
        => allocation::allocate_host(start, bytes, 0);

    /// Frees page-locked memory.
    cuMemFreeHost(start: *mut c_void) => allocation::free_host(start);

    /// What a device calls page-locked memory.
    cuMemHostGetDevicePointer_v2(address: Out<u64>, start: *mut c_void, flags: u32)
        => allocation::device_pointer(address, start, flags);

    /// The flags of page-locked memory.
    cuMemHostGetFlags(flags: Out<u32>, start: *mut c_void) => allocation::host_flags(flags, start);

    /// Page-locks memory of the caller.
    cuMemHostRegister_v2(start: *mut c_void, bytes: usize, flags: u32)
        => register::register(start, bytes, flags);

    /// Gives page-locked memory back to the caller, after all work of its context.
    cuMemHostUnregister(start: *mut c_void) => register::unregister(start);

    // Managed memory.

    /// Allocates memory that the host and all devices reach.
    cuMemAllocManaged(address: Out<u64>, bytes: usize, flags: u32)
        => managed::allocate(address, bytes, flags);

    /// Says which streams use managed memory.
    cuStreamAttachMemAsync(stream: Handle, address: u64, bytes: usize, flags: u32)
        => managed::attach(stream, address, bytes, flags);

    /// Says how managed memory is used.
    cuMemAdvise(address: u64, bytes: usize, advice: u32, device: i32)
        => managed::advise(address, bytes, advice, Place::Ordinal(device));

    /// Says how managed memory is used.
    cuMemAdvise_v2(address: u64, bytes: usize, advice: u32, location: Location)
        => managed::advise(address, bytes, advice, Place::Location(location));

    /// Moves managed memory to where it is used next.
    cuMemPrefetchAsync(address: u64, bytes: usize, device: i32, stream: Handle)
        => managed::prefetch(address, bytes, Place::Ordinal(device), 0, stream);

    /// Moves managed memory to where it is used next.
    cuMemPrefetchAsync_v2(address: u64, bytes: usize, location: Location, flags: u32, stream: Handle)
        => managed::prefetch(address, bytes, Place::Location(location), flags, stream);

    // Copies.

    /// Copies to a device and waits.
    cuMemcpyHtoD_v2(target: u64, source: *const c_void, bytes: usize) => {
        // SAFETY: the caller passed `bytes` readable bytes, and waits.
        let source = unsafe { HostMemory::new(source) };
        copy::copy_and_wait(Side::Device(target), Side::Host(source), bytes)
    };

    /// Copies from a device and waits.
    cuMemcpyDtoH_v2(target: *mut c_void, source: u64, bytes: usize) => {
        // SAFETY: the caller passed `bytes` writable bytes, and waits.
        let target = unsafe { HostMemory::new(target) };
        copy::copy_and_wait(Side::Host(target), Side::Device(source), bytes)
    };

    /// Copies on a device, or from one to another, on the legacy stream.
    cuMemcpyDtoD_v2(target: u64, source: u64, bytes: usize)
        => copy::copy_and_wait(Side::Device(target), Side::Device(source), bytes);

    /// Copies from wherever to wherever, and waits if the host has a part in it.
    cuMemcpy(target: u64, source: u64, bytes: usize) => {
        // SAFETY: the caller passed `bytes` bytes on either side, and waits.
        let [target, source] = [target, source].map(|side| unsafe { Side::unified(side) });
        copy::copy_and_wait(target, source, bytes)
    };

    /// Copies to a device in stream order.
    cuMemcpyHtoDAsync_v2(target: u64, source: *const c_void, bytes: usize, stream: Handle) => {
        // SAFETY: the caller passed `bytes` readable bytes that stay, where they have to, until the copy is done.
        let source = unsafe { HostMemory::new(source) };
        copy::copy(Side::Device(target), Side::Host(source), bytes, stream)
    };

    /// Copies from a device in stream order.
    cuMemcpyDtoHAsync_v2(target: *mut c_void, source: u64, bytes: usize, stream: Handle) => {
        // SAFETY: the caller passed `bytes` writable bytes that stay, where they have to, until the copy is done.
        let target = unsafe { HostMemory::new(target) };
        copy::copy(Side::Host(target), Side::Device(source), bytes, stream)
    };

    /// Copies on a device, or from one to another, in stream order.
    cuMemcpyDtoDAsync_v2(target: u64, source: u64, bytes: usize, stream: Handle)
        => copy::copy(Side::Device(target), Side::Device(source), bytes, stream);

    /// Copies from wherever to wherever in stream order.
    cuMemcpyAsync(target: u64, source: u64, bytes: usize, stream: Handle) => {
        // SAFETY: the caller passed `bytes` bytes on either side that stay, where they have to, until the copy is done.
        let [target, source] = [target, source].map(|side| unsafe { Side::unified(side) });
        copy::copy(target, source, bytes, stream)
    };

    /// Copies from one context to another, after all earlier and before all later work of both.
    cuMemcpyPeer(target: u64, target_context: Handle, source: u64, source_context: Handle, bytes: usize)
        => peer_copy::copy_between_all_work((target, target_context), (source, source_context), bytes);

    /// Copies from one context to another in stream order.
    cuMemcpyPeerAsync(
        target: u64, target_context: Handle, source: u64, source_context: Handle, bytes: usize, stream: Handle,
    ) => peer_copy::copy((target, target_context), (source, source_context), bytes, stream);

    /// Sets bytes, on the legacy stream.
    cuMemsetD8_v2(target: u64, value: u8, count: usize)
        => copy::fill_and_wait(target, Pattern::Byte(value), count);

    /// Sets words of two bytes, on the legacy stream.
    cuMemsetD16_v2(target: u64, value: u16, count: usize)
        => copy::fill_and_wait(target, Pattern::Half(value), count);

    /// Sets words of four bytes, on the legacy stream.
    cuMemsetD32_v2(target: u64, value: u32, count: usize)
        => copy::fill_and_wait(target, Pattern::Word(value), count);

    /// Sets bytes in stream order.
    cuMemsetD8Async(target: u64, value: u8, count: usize, stream: Handle)
        => copy::fill(target, Pattern::Byte(value), count, stream);

    /// Sets words of two bytes in stream order.
    cuMemsetD16Async(target: u64, value: u16, count: usize, stream: Handle)
        => copy::fill(target, Pattern::Half(value), count, stream);

    /// Sets words of four bytes in stream order.
    cuMemsetD32Async(target: u64, value: u32, count: usize, stream: Handle)
        => copy::fill(target, Pattern::Word(value), count, stream);
}
