//! Copies between contexts and by addresses alone, and the ways to set memory.

mod support;

use std::ptr;
use std::sync::mpsc::channel;
use std::thread;

use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::sys::CUresult::{CUDA_ERROR_INVALID_CONTEXT, CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_READY, CUDA_SUCCESS};
use cudarc::driver::sys::{self, CUdeviceptr, CUresult};
use cudarc::driver::{DriverError, result};
use support::{Hold, context, misuse, round_trips};

const BYTES: usize = 8;

/// Device memory that is freed with this.
struct Memory(CUdeviceptr);

impl Memory {
    fn new(bytes: [u8; BYTES]) -> Self {
        // SAFETY: a context is current.
        let address = unsafe { result::malloc_sync(BYTES) }.expect("memory");
        // SAFETY: allocated, and as long.
        unsafe { result::memcpy_htod_sync(address, &bytes) }.expect("a copy");
        Self(address)
    }

    fn get(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        // SAFETY: as above.
        unsafe { result::memcpy_dtoh_sync(&mut bytes, self.0) }.expect("a copy");
        bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated, and used no more.
        let _ = unsafe { result::free_sync(self.0) };
    }
}

fn query(stream: sys::CUstream) -> CUresult {
    // SAFETY: the stream is alive.
    unsafe { sys::cuStreamQuery(stream) }
}

#[test]
fn addresses_alone_say_what_is_copied() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let (a, b) = (Memory::new([1; BYTES]), Memory::new([0; BYTES]));
    let host = Box::into_raw(Box::new([2_u8; BYTES]));
    let own = host.expose_provenance() as CUdeviceptr;
    let copy = |to, from| {
        // SAFETY: both are as long.
        unsafe { sys::cuMemcpy(to, from, BYTES) }
    };
    let copy_in_order = |to, from| {
        // SAFETY: both are as long, and stay.
        unsafe { sys::cuMemcpyAsync(to, from, BYTES, stream.cu_stream()) }
    };
    assert_eq!([copy_in_order(b.0, a.0), copy_in_order(a.0, own)], [CUDA_SUCCESS; 2]);
    stream.synchronize()?;
    assert_eq!([a.get(), b.get()], [[2; BYTES], [1; BYTES]]);
    assert_eq!(copy(own, b.0), CUDA_SUCCESS);
    // SAFETY: the copy is done.
    assert_eq!(unsafe { host.read() }, [1; BYTES]);
    assert_eq!([copy(a.0 + 1, own), copy(0, a.0), copy(a.0, 0)], [CUDA_ERROR_INVALID_VALUE; 3]);
    // SAFETY: made of a box.
    drop(unsafe { Box::from_raw(host) });
    Ok(())
}

#[test]
fn a_copy_between_contexts_is_in_stream_order() -> Result<(), DriverError> {
    let contexts = [context(0), context(1)];
    let [first, second] = contexts.each_ref().map(|context| context.cu_ctx());
    let to = Memory::new([0; BYTES]);
    contexts[0].bind_to_thread()?;
    let (from, stream) = (Memory::new([3; BYTES]), contexts[0].new_stream()?);
    let hold = Hold::new(&stream);
    let copy = |to_context, from_context| {
        // SAFETY: both are as long, and stay; the driver checks the contexts.
        unsafe { sys::cuMemcpyPeerAsync(to.0, to_context, from.0, from_context, BYTES, stream.cu_stream()) }
    };
    assert_eq!(copy(second, first), CUDA_SUCCESS, "which needs no peer access");
    round_trips(&contexts[0])?;
    assert_eq!(to.get(), [0; BYTES]);
    hold.release();
    stream.synchronize()?;
    assert_eq!(to.get(), [3; BYTES]);
    assert_eq!(copy(ptr::null_mut(), ptr::null_mut()), CUDA_SUCCESS, "the current context");
    assert_eq!(copy(second, ptr::without_provenance_mut(7)), CUDA_ERROR_INVALID_CONTEXT);
    Ok(())
}

#[test]
fn a_copy_between_contexts_without_a_stream_lies_between_all_their_work() -> Result<(), DriverError> {
    let contexts = [context(0), context(1)];
    let [first, second] = contexts.each_ref().map(|context| context.cu_ctx());
    let (to, before, after) = (Memory::new([0; BYTES]), contexts[1].new_stream()?, contexts[1].new_stream()?);
    contexts[0].bind_to_thread()?;
    let from = Memory::new([4; BYTES]);
    let hold = Hold::new(&before);
    // SAFETY: both are as long, and stay.
    assert_eq!(unsafe { sys::cuMemcpyPeer(to.0, second, from.0, first, BYTES) }, CUDA_SUCCESS);
    assert_eq!(query(after.cu_stream()), CUDA_ERROR_NOT_READY, "the copy comes after the held stream of the other context");
    hold.release();
    let mut copied = [0_u8; BYTES];
    // SAFETY: as long; what the stream does comes after the copy.
    unsafe { result::memcpy_dtoh_async(&mut copied, to.0, after.cu_stream()) }?;
    after.synchronize()?;
    assert_eq!(copied, [4; BYTES]);
    Ok(())
}

#[test]
fn a_long_copy_of_pageable_memory_comes_after_what_is_before_it() -> Result<(), DriverError> {
    const LONG: usize = (64 << 10) + 1;
    let context = context(0);
    let (stream, to) = (context.new_stream()?, {
        // SAFETY: a context is current.
        unsafe { result::malloc_sync(LONG) }?
    });
    let hold = Hold::new(&stream);
    let (tell, told) = channel();
    thread::scope(|scope| {
        let (callers, stream) = (context.clone(), stream.clone());
        scope.spawn(move || {
            callers.bind_to_thread().expect("alive");
            // SAFETY: as long, and alive.
            tell.send(unsafe { result::memcpy_htod_async(to, &vec![5_u8; LONG], stream.cu_stream()) }).expect("the test waits");
        });
        round_trips(&context).expect("nothing holds these");
        assert!(told.try_recv().is_err(), "more than a driver takes along");
        hold.release();
        assert_eq!(told.recv(), Ok(Ok(())));
    });
    // SAFETY: allocated above, and used no more.
    unsafe { result::free_sync(to) }
}

#[test]
fn the_host_side_of_a_copy_may_be_of_a_device_and_is_reported() -> Result<(), DriverError> {
    let _misuse = misuse();
    let context = context(0);
    let stream = context.new_stream()?;
    let (to, from) = (Memory::new([0; BYTES]), Memory::new([6; BYTES]));
    let host = ptr::without_provenance_mut(usize::try_from(to.0).expect("64 bits"));
    // SAFETY: the driver looks at the address first.
    assert_eq!(unsafe { sys::cuMemcpyDtoHAsync_v2(host, from.0, BYTES, stream.cu_stream()) }, CUDA_SUCCESS);
    stream.synchronize()?;
    assert!(format!("{:?}", softcuda::reports()).contains("is an address of a device, not of the host"));
    assert_eq!(to.get(), [6; BYTES]);
    Ok(())
}

/// Blocking streams hold the legacy stream, on which calls without a stream are.
#[test]
fn calls_between_devices_without_a_stream_return_before_they_are_done() -> Result<(), DriverError> {
    let context = context(0);
    let (a, b) = (Memory::new([1; BYTES]), Memory::new([2; BYTES]));
    let raw = result::stream::create(StreamKind::Default)?;
    // SAFETY: the stream is destroyed at the end of the test only.
    let blocking = unsafe { context.wrap_borrowed_stream(raw) };
    let hold = Hold::new(&blocking);
    // SAFETY: both are as long, and stay.
    assert_eq!(unsafe { sys::cuMemcpyDtoD_v2(a.0, b.0, BYTES) }, CUDA_SUCCESS);
    // SAFETY: as long as what is set.
    assert_eq!(unsafe { sys::cuMemsetD16_v2(b.0, 0x0102, BYTES / 2) }, CUDA_SUCCESS);
    assert_eq!(query(ptr::null_mut()), CUDA_ERROR_NOT_READY);
    hold.release();
    assert_eq!(a.get(), [2; BYTES]);
    assert_eq!(b.get(), 0x0102_0102_0102_0102_u64.to_ne_bytes());
    drop((hold, blocking));
    // SAFETY: alive, and used no more.
    unsafe { result::stream::destroy(raw) }
}

#[test]
fn memory_is_set_in_units_that_are_aligned() -> Result<(), DriverError> {
    let context = context(0);
    let (memory, stream) = (Memory::new([0; BYTES]), context.new_stream()?);
    let set_16 = |address, count| {
        // SAFETY: the driver checks the range.
        unsafe { sys::cuMemsetD16Async(address, 0x0304, count, stream.cu_stream()) }
    };
    let set_32 = |address, count| {
        // SAFETY: as above.
        unsafe { sys::cuMemsetD32_v2(address, 0x0506_0708, count) }
    };
    assert_eq!([set_16(memory.0 + 2, 1), set_32(memory.0 + 4, 1)], [CUDA_SUCCESS; 2]);
    stream.synchronize()?;
    let [half, word] = [0x0304_u16.to_ne_bytes().to_vec(), 0x0506_0708_u32.to_ne_bytes().to_vec()];
    assert_eq!(memory.get().to_vec(), [vec![0; 2], half, word].concat());
    assert_eq!([set_16(memory.0 + 1, 1), set_32(memory.0 + 2, 1)], [CUDA_ERROR_INVALID_VALUE; 2]);
    assert_eq!([set_16(memory.0, 5), set_32(memory.0, usize::MAX)], [CUDA_ERROR_INVALID_VALUE; 2]);
    Ok(())
}
