//! Memory pools, and the rules of memory that is allocated in stream order.

mod support;

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

use cudarc::driver::sys::CUresult::{CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_SUPPORTED, CUDA_ERROR_OUT_OF_MEMORY, CUDA_SUCCESS};
use cudarc::driver::sys::{self, CUdeviceptr, CUmemPool_attribute, CUmemPoolProps, CUmemoryPool, CUresult, CUstream};
use cudarc::driver::{DriverError, result};
use support::{Hold, context};

/// What a pool is made by: of a device, with a limit unless that is 0.
fn properties(device: i32, limit: usize, handle_types: i32) -> CUmemPoolProps {
    let mut properties = MaybeUninit::<CUmemPoolProps>::zeroed();
    let words = properties.as_mut_ptr().cast::<i32>();
    // Pinned memory, the handle types, a device, its number.
    for (index, word) in [1, handle_types, 1, device].into_iter().enumerate() {
        // SAFETY: the first four words of the structure.
        unsafe { words.wrapping_add(index).write(word) };
    }
    // SAFETY: the fourth word of 64 bits, after a pointer that only another system has.
    unsafe { properties.as_mut_ptr().cast::<usize>().wrapping_add(3).write(limit) };
    // SAFETY: zeros but for known numbers are valid in every field.
    unsafe { properties.assume_init() }
}

fn create(properties: &CUmemPoolProps) -> Result<CUmemoryPool, CUresult> {
    let mut pool = ptr::null_mut();
    // SAFETY: valid places.
    match unsafe { sys::cuMemPoolCreate(&raw mut pool, properties) } {
        CUDA_SUCCESS => Ok(pool),
        code => Err(code),
    }
}

fn destroy(pool: CUmemoryPool) -> CUresult {
    // SAFETY: the driver checks the handle.
    unsafe { sys::cuMemPoolDestroy(pool) }
}

fn allocate(pool: CUmemoryPool, bytes: usize, stream: CUstream) -> Result<CUdeviceptr, CUresult> {
    let mut address = 0;
    // SAFETY: a valid place; the driver checks the handles.
    match unsafe { sys::cuMemAllocFromPoolAsync(&raw mut address, bytes, pool, stream) } {
        CUDA_SUCCESS => Ok(address),
        code => Err(code),
    }
}

fn default_pool(device: i32) -> CUmemoryPool {
    let mut pool = ptr::null_mut();
    // SAFETY: a valid place.
    assert_eq!(unsafe { sys::cuDeviceGetDefaultMemPool(&raw mut pool, device) }, CUDA_SUCCESS);
    pool
}

fn current_pool(device: i32) -> CUmemoryPool {
    let mut pool = ptr::null_mut();
    // SAFETY: a valid place.
    assert_eq!(unsafe { sys::cuDeviceGetMemPool(&raw mut pool, device) }, CUDA_SUCCESS);
    pool
}

fn set_current_pool(device: i32, pool: CUmemoryPool) -> CUresult {
    // SAFETY: the driver checks the handle.
    unsafe { sys::cuDeviceSetMemPool(device, pool) }
}

const THRESHOLD: CUmemPool_attribute = CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
const USED: CUmemPool_attribute = CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT;
const MOST_USED: CUmemPool_attribute = CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;

/// An attribute of 64 bits.
fn get(pool: CUmemoryPool, attribute: CUmemPool_attribute) -> u64 {
    let mut value = 0_u64;
    // SAFETY: the attributes above have 64 bits.
    assert_eq!(unsafe { sys::cuMemPoolGetAttribute(pool, attribute, (&raw mut value).cast::<c_void>()) }, CUDA_SUCCESS);
    value
}

fn set(pool: CUmemoryPool, attribute: CUmemPool_attribute, mut value: u64) -> CUresult {
    // SAFETY: as above.
    unsafe { sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut value).cast::<c_void>()) }
}

#[test]
fn a_device_allocates_from_the_pool_that_it_is_given() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let own = default_pool(0);
    assert_eq!((current_pool(0), destroy(own)), (own, CUDA_ERROR_INVALID_VALUE));
    assert_ne!(default_pool(1), own);
    let pool = create(&properties(0, 0, 0)).expect("a pool");
    assert_eq!([set_current_pool(1, pool), set_current_pool(0, pool)], [CUDA_ERROR_INVALID_VALUE, CUDA_SUCCESS]);
    // SAFETY: the stream is alive.
    let address = unsafe { result::malloc_async(stream.cu_stream(), 100) }?;
    assert_eq!([get(pool, USED), get(own, USED)], [100, 0]);
    // SAFETY: allocated above.
    unsafe { result::free_async(address, stream.cu_stream()) }?;
    stream.synchronize()?;
    assert_eq!([get(pool, USED), get(pool, MOST_USED)], [0, 100]);
    assert_eq!((destroy(pool), current_pool(0)), (CUDA_SUCCESS, own));
    assert_eq!((destroy(pool), allocate(pool, 1, stream.cu_stream())), (CUDA_ERROR_INVALID_VALUE, Err(CUDA_ERROR_INVALID_VALUE)));
    Ok(())
}

#[test]
fn a_pool_has_a_limit_and_remembers_the_most_it_had() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let pool = create(&properties(0, 64, 0)).expect("a pool");
    let first = allocate(pool, 48, stream.cu_stream()).expect("room");
    assert_eq!(allocate(pool, 17, stream.cu_stream()), Err(CUDA_ERROR_OUT_OF_MEMORY));
    assert_eq!(allocate(pool, 0, stream.cu_stream()), Ok(0));
    let hold = Hold::new(&stream);
    // SAFETY: allocated above.
    unsafe { result::free_async(first, stream.cu_stream()) }?;
    assert_eq!(allocate(pool, 17, stream.cu_stream()), Err(CUDA_ERROR_OUT_OF_MEMORY), "the stream is not there yet");
    hold.release();
    stream.synchronize()?;
    let second = allocate(pool, 17, stream.cu_stream()).expect("room");
    assert_eq!((get(pool, USED), get(pool, MOST_USED)), (17, 48));
    assert_eq!(
        [set(pool, MOST_USED, 1), set(pool, USED, 0), set(pool, MOST_USED, 0)],
        [CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_VALUE, CUDA_SUCCESS]
    );
    assert_eq!(get(pool, MOST_USED), 17);
    assert_eq!((get(pool, THRESHOLD), set(pool, THRESHOLD, 1 << 40), get(pool, THRESHOLD)), (0, CUDA_SUCCESS, 1 << 40));
    // SAFETY: the driver checks the handle.
    assert_eq!(unsafe { sys::cuMemPoolTrimTo(pool, 0) }, CUDA_SUCCESS);
    assert_eq!(destroy(pool), CUDA_SUCCESS);
    // SAFETY: allocated above: it outlives the handle of its pool.
    unsafe { result::memcpy_htod_sync(second, &[1_u8; 17]) }?;
    // SAFETY: allocated above.
    unsafe { result::free_sync(second) }
}

#[test]
fn what_a_pool_is_made_by_is_checked() {
    let _context = context(0);
    assert_eq!(create(&properties(0, 0, 1)), Err(CUDA_ERROR_NOT_SUPPORTED), "nothing is shared with other processes");
    assert_eq!(create(&properties(2, 0, 0)), Err(CUDA_ERROR_INVALID_VALUE));
    let mut pool = ptr::null_mut();
    // SAFETY: a valid place, and null.
    assert_eq!(unsafe { sys::cuMemPoolCreate(&raw mut pool, ptr::null()) }, CUDA_ERROR_INVALID_VALUE);
}

/// Which devices reach a pool is a matter of the pool, not of peer access.
#[test]
fn a_pool_says_which_devices_reach_it() -> Result<(), DriverError> {
    let contexts = [context(0), context(1)];
    let (stream, other) = (contexts[0].new_stream()?, contexts[1].new_stream()?);
    let pool = create(&properties(0, 0, 0)).expect("a pool");
    let word = allocate(pool, 4, stream.cu_stream()).expect("memory");
    stream.synchronize()?;
    let write = || {
        // SAFETY: the driver checks the address.
        unsafe { sys::cuMemsetD32Async(word, 1, 1, other.cu_stream()) }
    };
    contexts[1].bind_to_thread()?;
    // SAFETY: the context is alive.
    assert_eq!(unsafe { sys::cuCtxEnablePeerAccess(contexts[0].cu_ctx(), 0) }, CUDA_SUCCESS);
    assert_eq!(write(), CUDA_ERROR_INVALID_VALUE);
    // A device, its number, and what it may do: nothing, or read and write.
    let access = |device: i32, flags: i32| {
        let access = [1, device, flags];
        // SAFETY: the three numbers of one entry.
        unsafe { sys::cuMemPoolSetAccess(pool, access.as_ptr().cast(), 1) }
    };
    assert_eq!(access(1, 3), CUDA_SUCCESS);
    assert_eq!(write(), CUDA_SUCCESS);
    other.synchronize()?;
    assert_eq!([access(1, 0), write()], [CUDA_SUCCESS, CUDA_ERROR_INVALID_VALUE]);
    assert_eq!(
        [access(0, 0), access(1, 1), access(1, 2), access(2, 3)],
        [CUresult::CUDA_ERROR_INVALID_DEVICE, CUDA_ERROR_NOT_SUPPORTED, CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_VALUE]
    );
    let waited = {
        // SAFETY: as above.
        unsafe { sys::cuStreamWaitValue32_v2(stream.cu_stream(), word, 0, 0) }
    };
    assert_eq!(waited, CUDA_ERROR_INVALID_VALUE, "no stream waits for memory of a pool");
    // SAFETY: as above.
    assert_eq!(unsafe { sys::cuCtxDisablePeerAccess(contexts[0].cu_ctx()) }, CUDA_SUCCESS);
    // SAFETY: allocated above, and used no more.
    unsafe { result::free_async(word, stream.cu_stream()) }?;
    assert_eq!(destroy(pool), CUDA_SUCCESS);
    stream.synchronize()
}

#[test]
fn memory_of_a_pool_is_freed_by_the_other_call_without_a_wait() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    // SAFETY: the stream is alive.
    let address = unsafe { result::malloc_async(stream.cu_stream(), 16) }?;
    stream.synchronize()?;
    let hold = Hold::new(&stream);
    // SAFETY: allocated above.
    unsafe { result::free_sync(address) }?;
    let copied = {
        // SAFETY: the driver refuses what is freed.
        unsafe { sys::cuMemsetD8Async(address, 0, 16, stream.cu_stream()) }
    };
    assert_eq!(copied, CUDA_ERROR_INVALID_VALUE);
    hold.release();
    stream.synchronize()
}
