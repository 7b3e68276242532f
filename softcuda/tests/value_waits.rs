//! Words in memory that streams wait for and write.

mod support;

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use cudarc::driver::sys::CUresult::{
    CUDA_ERROR_INVALID_CONTEXT, CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_READY, CUDA_ERROR_NOT_SUPPORTED, CUDA_SUCCESS,
};
use cudarc::driver::sys::{
    self, CUdeviceptr, CUresult, CUstream, CUstreamBatchMemOpParams, CUstreamBatchMemOpParams_union_CUstreamMemOpWaitValueParams_st,
    CUstreamBatchMemOpType,
};
use cudarc::driver::{CudaContext, CudaStream, DriverError, PinnedHostSlice, result};
use softcuda::{Schedule, Scope};
use support::{Hold, context, round_trips};

const AT_LEAST: u32 = 0;
const EQUAL: u32 = 1;
const AND: u32 = 2;
const NOR: u32 = 3;
const FLUSH: u32 = 1 << 30;

fn wait_32(stream: CUstream, address: CUdeviceptr, value: u32, flags: u32) -> CUresult {
    // SAFETY: the driver checks stream and address.
    unsafe { sys::cuStreamWaitValue32_v2(stream, address, value, flags) }
}

fn wait_64(stream: CUstream, address: CUdeviceptr, value: u64, flags: u32) -> CUresult {
    // SAFETY: as above.
    unsafe { sys::cuStreamWaitValue64_v2(stream, address, value, flags) }
}

fn write_32(stream: CUstream, address: CUdeviceptr, value: u32, flags: u32) -> CUresult {
    // SAFETY: as above.
    unsafe { sys::cuStreamWriteValue32_v2(stream, address, value, flags) }
}

fn write_64(stream: CUstream, address: CUdeviceptr, value: u64, flags: u32) -> CUresult {
    // SAFETY: as above.
    unsafe { sys::cuStreamWriteValue64_v2(stream, address, value, flags) }
}

fn query(stream: &CudaStream) -> CUresult {
    // SAFETY: the stream is alive.
    unsafe { sys::cuStreamQuery(stream.cu_stream()) }
}

/// A word in pinned memory, which host and streams share: one of 64 bits, or its lower half.
struct SharedWord {
    start: *mut u64,
    _pinned: PinnedHostSlice<u64>,
}

impl SharedWord {
    fn new(context: &Arc<CudaContext>, value: u64) -> Self {
        // SAFETY: written before anybody reads it.
        let mut pinned = unsafe { context.alloc_pinned::<u64>(1) }.expect("pinned memory");
        let start = pinned.as_mut_ptr().expect("no copy uses it");
        // SAFETY: the memory is one word long.
        unsafe { start.write(value) };
        start.expose_provenance();
        Self { start, _pinned: pinned }
    }

    fn address(&self) -> CUdeviceptr {
        self.start.addr() as CUdeviceptr
    }

    fn store_64(&self, value: u64) {
        // SAFETY: alive as long as this, and used atomically by all, who take it for a word of this length.
        unsafe { AtomicU64::from_ptr(self.start) }.store(value, Ordering::Release);
    }

    fn store_32(&self, value: u32) {
        // SAFETY: as above.
        unsafe { AtomicU32::from_ptr(self.start.cast()) }.store(value, Ordering::Release);
    }
}

/// A word of 64 bits in device memory, zero.
struct DeviceWord(CUdeviceptr);

impl DeviceWord {
    fn new() -> Self {
        // SAFETY: a context is current.
        let address = unsafe { result::malloc_sync(size_of::<u64>()) }.expect("memory");
        let word = Self(address);
        word.set(0);
        word
    }

    fn set(&self, value: u64) {
        // SAFETY: allocated, and as long.
        unsafe { result::memcpy_htod_sync(self.0, &[value]) }.expect("a copy");
    }

    fn get(&self) -> u64 {
        let mut value = [0];
        // SAFETY: as above.
        unsafe { result::memcpy_dtoh_sync(&mut value, self.0) }.expect("a copy");
        value[0]
    }
}

impl Drop for DeviceWord {
    fn drop(&mut self) {
        // SAFETY: allocated, and used no more.
        let _ = unsafe { result::free_sync(self.0) };
    }
}

#[test]
fn a_word_that_the_host_writes_holds_a_stream_until_it_fits() -> Result<(), DriverError> {
    let context = context(0);
    let (busy, other) = (context.new_stream()?, context.new_stream()?);
    // What holds each condition with the value 5, and what ends that.
    for (flags, holds, fits) in [(AT_LEAST, 4, 6), (EQUAL, 6, 5), (AND, 2, 4), (NOR, u64::MAX, 0_u32)] {
        for wide in [false, true] {
            let word = SharedWord::new(&context, holds);
            let mut data = busy.clone_htod(&[1_u32; 4])?;
            busy.synchronize()?;
            let wait = if wide {
                wait_64(busy.cu_stream(), word.address(), 5, flags)
            } else {
                wait_32(busy.cu_stream(), word.address(), 5, flags)
            };
            assert_eq!(wait, CUDA_SUCCESS);
            busy.memset_zeros(&mut data)?;
            round_trips(&context)?;
            assert_eq!((query(&busy), other.clone_dtoh(&data)?), (CUDA_ERROR_NOT_READY, vec![1; 4]), "flags {flags}");
            if wide {
                word.store_64(fits.into());
            } else {
                word.store_32(fits);
            }
            busy.synchronize()?;
            assert_eq!(busy.clone_dtoh(&data)?, [0; 4], "flags {flags}");
        }
    }
    Ok(())
}

#[test]
fn a_write_of_one_stream_ends_the_wait_of_another() -> Result<(), DriverError> {
    let context = context(0);
    let (writer, waiter) = (context.new_stream()?, context.new_stream()?);
    let word = DeviceWord::new();
    let hold = Hold::new(&writer);
    assert_eq!(write_64(writer.cu_stream(), word.0, 1 << 40, 0), CUDA_SUCCESS);
    assert_eq!(wait_64(waiter.cu_stream(), word.0, 1 << 40, EQUAL), CUDA_SUCCESS);
    let event = waiter.record_event(None)?;
    round_trips(&context)?;
    assert_eq!(event.try_is_complete(), Ok(false));
    hold.release();
    event.synchronize()?;
    assert_eq!(word.get(), 1 << 40);
    Ok(())
}

#[test]
fn a_narrow_write_leaves_the_rest() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let word = DeviceWord::new();
    word.set(u64::MAX);
    assert_eq!(write_32(stream.cu_stream(), word.0 + 4, 7, 0), CUDA_SUCCESS);
    stream.synchronize()?;
    assert_eq!(word.get(), (7 << 32) | 0xffff_ffff);
    Ok(())
}

#[test]
fn a_word_must_be_there_and_aligned() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let word = DeviceWord::new();
    let all = |address| {
        let stream = stream.cu_stream();
        [wait_32(stream, address, 0, 0), wait_64(stream, address, 0, 0), write_32(stream, address, 0, 0), write_64(stream, address, 0, 0)]
    };
    assert_eq!(all(0), [CUDA_ERROR_INVALID_VALUE; 4]);
    assert_eq!(all(word.0 + 2), [CUDA_ERROR_INVALID_VALUE; 4]);
    assert_eq!(all(word.0 + 4), [CUDA_SUCCESS, CUDA_ERROR_INVALID_VALUE, CUDA_SUCCESS, CUDA_ERROR_INVALID_VALUE]);
    assert_eq!(all(word.0 + 8), [CUDA_ERROR_INVALID_VALUE; 4], "beyond the end");
    let managed = {
        // SAFETY: a context is current.
        unsafe { result::malloc_managed(8, sys::CUmemAttach_flags::CU_MEM_ATTACH_GLOBAL) }?
    };
    assert_eq!(all(managed), [CUDA_ERROR_INVALID_VALUE; 4], "documented not to work");
    // SAFETY: allocated above.
    unsafe { result::memory_free(managed) }?;
    stream.synchronize()
}

#[test]
fn flags_are_checked() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let (word, raw) = (DeviceWord::new(), stream.cu_stream());
    assert_eq!(wait_32(raw, word.0, 0, NOR + 1), CUDA_ERROR_INVALID_VALUE);
    assert_eq!(wait_64(raw, word.0, 0, EQUAL | FLUSH), CUDA_ERROR_NOT_SUPPORTED, "by no device here");
    assert_eq!([1, 2].map(|flags| write_32(raw, word.0, 0, flags)), [CUDA_ERROR_INVALID_VALUE; 2]);
    assert_eq!(query(&stream), CUDA_SUCCESS);
    Ok(())
}

#[test]
fn the_memory_of_another_device_needs_peer_access() -> Result<(), DriverError> {
    let contexts = [context(0), context(1)];
    let stream = contexts[0].new_stream()?;
    contexts[1].bind_to_thread()?;
    let word = DeviceWord::new();
    contexts[0].bind_to_thread()?;
    assert_eq!(write_64(stream.cu_stream(), word.0, 9, 0), CUDA_ERROR_INVALID_VALUE);
    // SAFETY: the context is alive.
    assert_eq!(unsafe { sys::cuCtxEnablePeerAccess(contexts[1].cu_ctx(), 0) }, CUDA_SUCCESS);
    assert_eq!(write_64(stream.cu_stream(), word.0, 9, 0), CUDA_SUCCESS);
    stream.synchronize()?;
    assert_eq!(word.get(), 9);
    // SAFETY: as above.
    assert_eq!(unsafe { sys::cuCtxDisablePeerAccess(contexts[1].cu_ctx()) }, CUDA_SUCCESS);
    Ok(())
}

#[test]
fn the_default_stream_needs_a_context() {
    let code = std::thread::spawn(|| wait_32(ptr::null_mut(), 0, 0, 0)).join();
    assert_eq!(code.expect("no panic"), CUDA_ERROR_INVALID_CONTEXT);
}

/// An operation of a batch. Those that write look the same.
fn operation(operation: CUstreamBatchMemOpType, address: CUdeviceptr, value: u64, flags: u32) -> CUstreamBatchMemOpParams {
    let mut params = CUstreamBatchMemOpParams { pad: [0; 6] };
    params.waitValue = CUstreamBatchMemOpParams_union_CUstreamMemOpWaitValueParams_st {
        operation,
        address,
        __bindgen_anon_1: sys::CUstreamBatchMemOpParams_union_CUstreamMemOpWaitValueParams_st__bindgen_ty_1 { value64: value },
        flags,
        alias: 0,
    };
    params
}

fn batch(stream: &CudaStream, operations: &mut [CUstreamBatchMemOpParams], flags: u32) -> CUresult {
    let count = u32::try_from(operations.len()).expect("not many");
    // SAFETY: the array has so many, and the driver checks the addresses.
    unsafe { sys::cuStreamBatchMemOp_v2(stream.cu_stream(), count, operations.as_mut_ptr(), flags) }
}

#[test]
fn a_batch_is_done_in_order() -> Result<(), DriverError> {
    use CUstreamBatchMemOpType::{
        CU_STREAM_MEM_OP_BARRIER, CU_STREAM_MEM_OP_WAIT_VALUE_32, CU_STREAM_MEM_OP_WRITE_VALUE_32, CU_STREAM_MEM_OP_WRITE_VALUE_64,
    };
    // What comes before the wait goes although nobody waits for it; and it is read unordered.
    let _apart = Scope::enter().scheduled(Schedule::Plain);
    let context = context(0);
    let stream = context.new_stream()?;
    let (gate, before, after) = (SharedWord::new(&context, 0), DeviceWord::new(), DeviceWord::new());
    let mut barrier = CUstreamBatchMemOpParams { pad: [0; 6] };
    barrier.operation = CU_STREAM_MEM_OP_BARRIER;
    let mut operations = [
        operation(CU_STREAM_MEM_OP_WRITE_VALUE_64, before.0, 3 << 32, 0),
        operation(CU_STREAM_MEM_OP_WAIT_VALUE_32, gate.address(), 1, EQUAL),
        barrier,
        operation(CU_STREAM_MEM_OP_WRITE_VALUE_32, after.0, 4, 0),
    ];
    assert_eq!(batch(&stream, &mut operations, 0), CUDA_SUCCESS);
    round_trips(&context)?;
    assert_eq!((query(&stream), before.get(), after.get()), (CUDA_ERROR_NOT_READY, 3 << 32, 0));
    gate.store_32(1);
    stream.synchronize()?;
    assert_eq!(after.get(), 4);
    Ok(())
}

#[test]
fn a_batch_with_a_mistake_does_nothing() -> Result<(), DriverError> {
    use CUstreamBatchMemOpType::{CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES, CU_STREAM_MEM_OP_WRITE_VALUE_32};
    let context = context(0);
    let stream = context.new_stream()?;
    let word = DeviceWord::new();
    let write = || operation(CU_STREAM_MEM_OP_WRITE_VALUE_32, word.0, 1, 0);
    let mut misaligned = [write(), operation(CU_STREAM_MEM_OP_WRITE_VALUE_32, word.0 + 1, 1, 0)];
    assert_eq!(batch(&stream, &mut misaligned, 0), CUDA_ERROR_INVALID_VALUE);
    let mut flushes = [write(), operation(CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES, 0, 0, 0)];
    assert_eq!(batch(&stream, &mut flushes, 0), CUDA_ERROR_NOT_SUPPORTED);
    assert_eq!(batch(&stream, &mut [write()], 1), CUDA_ERROR_INVALID_VALUE);
    assert_eq!(batch(&stream, &mut [], 0), CUDA_ERROR_INVALID_VALUE);
    assert_eq!(batch(&stream, &mut [(); 256].map(|()| write()), 0), CUDA_ERROR_INVALID_VALUE);
    stream.synchronize()?;
    assert_eq!(word.get(), 0);
    Ok(())
}

/// On hardware the end of the context would hang.
#[test]
fn a_wait_that_nobody_ends_goes_with_its_context() -> Result<(), DriverError> {
    let primary = context(0);
    let mut second = ptr::null_mut();
    // SAFETY: a valid place, and null for what is not asked.
    assert_eq!(unsafe { sys::cuCtxCreate_v4(&raw mut second, ptr::null_mut(), 0, primary.cu_device()) }, CUDA_SUCCESS);
    let (stream, word) = (result::stream::create(result::stream::StreamKind::NonBlocking)?, DeviceWord::new());
    assert_eq!(wait_64(stream, word.0, 1, EQUAL), CUDA_SUCCESS);
    std::mem::forget(word);
    // SAFETY: alive, and used no more.
    assert_eq!(unsafe { sys::cuCtxDestroy_v2(second) }, CUDA_SUCCESS);
    assert_eq!(softcuda::live().threads, 0);
    assert!(format!("{:?}", softcuda::reports()).contains("waits for a word that nothing writes"));
    primary.bind_to_thread()?;
    primary.new_stream()?.synchronize()
}
