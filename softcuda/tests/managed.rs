//! Managed memory: the host's and every device's.

mod support;

use std::ptr;

use cudarc::driver::sys::CUresult::{CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_READY, CUDA_SUCCESS};
use cudarc::driver::sys::{self, CUdeviceptr, CUmem_advise, CUmemAttach_flags, CUmemLocation, CUresult};
use cudarc::driver::{DriverError, PushKernelArg, result};
use support::{Hold, ONE, add, context};

const GLOBAL: CUmemAttach_flags = CUmemAttach_flags::CU_MEM_ATTACH_GLOBAL;
const ATTACH: [u32; 3] = [1, 2, 4];

fn allocate(words: usize) -> CUdeviceptr {
    // SAFETY: a context is current.
    unsafe { result::malloc_managed(words * size_of::<u32>(), GLOBAL) }.expect("memory")
}

fn free(address: CUdeviceptr) -> CUresult {
    // SAFETY: the driver checks the address; no test uses the memory later.
    unsafe { sys::cuMemFree_v2(address) }
}

/// The first word, as the host sees it.
fn word(address: CUdeviceptr) -> *mut u32 {
    ptr::with_exposed_provenance_mut(usize::try_from(address).expect("64 bits"))
}

#[test]
fn host_and_both_devices_use_the_same_bytes() -> Result<(), DriverError> {
    let contexts = [context(0), context(1)];
    let data = allocate(1);
    // SAFETY: allocated, and no device uses it.
    unsafe { word(data).write(5) };
    for context in &contexts {
        let (stream, kernel) = (context.new_stream()?, add(context));
        let (n, by) = (1_u32, 10_u32);
        let mut launch = stream.launch_builder(&kernel);
        launch.arg(&n).arg(&by).arg(&data);
        // SAFETY: the arguments are those of the PTX, the data has one element.
        unsafe { launch.launch(ONE) }?;
        stream.synchronize()?;
    }
    // SAFETY: the kernels are done.
    assert_eq!(unsafe { word(data).read() }, 25);
    assert_eq!(free(data), CUDA_SUCCESS);
    Ok(())
}

#[test]
fn copies_of_managed_memory_are_in_stream_order() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let (data, copy) = (allocate(1), stream.clone_htod(&[7_u32])?);
    // SAFETY: allocated, and no device uses it.
    unsafe { word(data).write(5) };
    stream.synchronize()?;
    let hold = Hold::new(&stream);
    let (from, _) = cudarc::driver::DevicePtr::device_ptr(&copy, &stream);
    // SAFETY: both are four bytes long.
    assert_eq!(unsafe { sys::cuMemcpyDtoHAsync_v2(word(data).cast(), from, 4, stream.cu_stream()) }, CUDA_SUCCESS);
    // SAFETY: the copy is held.
    assert_eq!(unsafe { word(data).read() }, 5, "the host's side of a copy too");
    hold.release();
    stream.synchronize()?;
    // SAFETY: the copy is done.
    assert_eq!(unsafe { word(data).read() }, 7);
    assert_eq!(free(data), CUDA_SUCCESS);
    Ok(())
}

#[test]
fn it_is_allocated_for_all_streams_or_none_and_freed_once() {
    let _context = context(0);
    let allocate = |bytes, flags| {
        let mut address = 0;
        // SAFETY: a valid place.
        (unsafe { sys::cuMemAllocManaged(&raw mut address, bytes, flags) }, address)
    };
    let [(global, address), (host, other), (single, _)] = ATTACH.map(|flags| allocate(16, flags));
    assert_eq!([global, host, single], [CUDA_SUCCESS, CUDA_SUCCESS, CUDA_ERROR_INVALID_VALUE]);
    assert_eq!([allocate(0, 1), allocate(16, 0), allocate(16, 3)].map(|(code, _)| code), [CUDA_ERROR_INVALID_VALUE; 3]);
    // SAFETY: the driver refuses what is not page-locked.
    assert_eq!(unsafe { sys::cuMemFreeHost(word(address).cast()) }, CUDA_ERROR_INVALID_VALUE);
    assert_eq!([free(address), free(other), free(address)], [CUDA_SUCCESS, CUDA_SUCCESS, CUDA_ERROR_INVALID_VALUE]);
}

#[test]
fn it_is_attached_as_a_whole_in_stream_order() -> Result<(), DriverError> {
    let context = context(0);
    let (stream, plain) = (context.new_stream()?, context.default_stream().alloc_zeros::<u32>(4)?);
    let data = allocate(4);
    let attach = |stream: sys::CUstream, address, bytes, flags| {
        // SAFETY: the driver checks what it is passed.
        unsafe { sys::cuStreamAttachMemAsync(stream, address, bytes, flags) }
    };
    let hold = Hold::new(&stream);
    assert_eq!(ATTACH.map(|flags| attach(stream.cu_stream(), data, 0, flags)), [CUDA_SUCCESS; 3]);
    assert_eq!(attach(stream.cu_stream(), data, 16, ATTACH[0]), CUDA_SUCCESS);
    // SAFETY: alive.
    assert_eq!(unsafe { sys::cuStreamQuery(stream.cu_stream()) }, CUDA_ERROR_NOT_READY);
    hold.release();
    stream.synchronize()?;
    assert_eq!(attach(stream.cu_stream(), data, 8, ATTACH[0]), CUDA_ERROR_INVALID_VALUE, "a part");
    assert_eq!(attach(stream.cu_stream(), data, 0, 3), CUDA_ERROR_INVALID_VALUE);
    assert_eq!(attach(ptr::null_mut(), data, 0, ATTACH[2]), CUDA_ERROR_INVALID_VALUE, "a stream of nobody");
    let (address, _) = cudarc::driver::DevicePtr::device_ptr(&plain, &stream);
    assert_eq!(attach(stream.cu_stream(), address, 0, ATTACH[0]), CUDA_ERROR_INVALID_VALUE, "not managed");
    assert_eq!(free(data), CUDA_SUCCESS);
    Ok(())
}

/// A device, by its number.
fn device(id: i32) -> CUmemLocation {
    let location: [i32; 2] = [1, id];
    // SAFETY: two numbers of 32 bits in every version: the type, of which 1 is a device, and which of them.
    unsafe { std::mem::transmute::<[i32; 2], CUmemLocation>(location) }
}

#[test]
fn advice_and_prefetches_need_managed_memory_and_a_place() -> Result<(), DriverError> {
    const MOSTLY_READ: CUmem_advise = CUmem_advise::CU_MEM_ADVISE_SET_READ_MOSTLY;
    const PREFERRED: CUmem_advise = CUmem_advise::CU_MEM_ADVISE_SET_PREFERRED_LOCATION;
    let context = context(0);
    let stream = context.new_stream()?;
    let data = allocate(4);
    let advise = |bytes, advice, id| {
        // SAFETY: the driver checks what it is passed.
        unsafe { sys::cuMemAdvise_v2(data, bytes, advice, device(id)) }
    };
    assert_eq!([advise(16, MOSTLY_READ, 99), advise(8, PREFERRED, 1)], [CUDA_SUCCESS; 2]);
    assert_eq!(advise(16, PREFERRED, 2), CUDA_ERROR_INVALID_VALUE);
    assert_eq!([advise(0, PREFERRED, 0), advise(17, PREFERRED, 0)], [CUDA_ERROR_INVALID_VALUE; 2]);
    let prefetch = |address, id, flags| {
        // SAFETY: as above.
        unsafe { sys::cuMemPrefetchAsync_v2(address, 16, device(id), flags, stream.cu_stream()) }
    };
    assert_eq!([prefetch(data, 0, 0), prefetch(data, 1, 0)], [CUDA_SUCCESS; 2]);
    assert_eq!([prefetch(data, 2, 0), prefetch(data, 0, 1)], [CUDA_ERROR_INVALID_VALUE; 2]);
    let plain = {
        // SAFETY: a context is current.
        unsafe { result::malloc_sync(16) }?
    };
    assert_eq!(prefetch(plain, 0, 0), CUDA_ERROR_INVALID_VALUE);
    assert_eq!([free(plain), free(data)], [CUDA_SUCCESS; 2]);
    Ok(())
}
