//! Rules of the driver that a program notices only when they are broken: each test is for one.

mod support;

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::mpsc::{Receiver, Sender, channel};

use cudarc::driver::sys::CUresult::{
    CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_PERMITTED, CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED,
    CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, CUDA_SUCCESS,
};
use cudarc::driver::sys::{self, CUdeviceptr, CUevent, CUevent_flags, CUresult, CUstream};
use cudarc::driver::{DriverError, result};
use support::{Hold, context, misuse};

const TIMED: CUevent_flags = CUevent_flags::CU_EVENT_DEFAULT;

fn allocate(bytes: usize) -> CUdeviceptr {
    // SAFETY: a context is current.
    unsafe { result::malloc_sync(bytes) }.expect("memory")
}

/// Copies from a device and waits.
fn read<const N: usize>(address: CUdeviceptr) -> Result<[u8; N], CUresult> {
    let mut bytes = [0; N];
    // SAFETY: the array has as many bytes.
    let code = unsafe { sys::cuMemcpyDtoH_v2(bytes.as_mut_ptr().cast(), address, N) };
    if code == CUDA_SUCCESS { Ok(bytes) } else { Err(code) }
}

fn free_memory() -> usize {
    result::mem_get_info().expect("a context is current").0
}

/// Milliseconds from one record to the next.
fn elapsed(start: CUevent, end: CUevent) -> f32 {
    // SAFETY: both events are alive.
    unsafe { result::event::elapsed(start, end) }.expect("both are complete")
}

fn record(event: CUevent, stream: CUstream) {
    // SAFETY: both are alive.
    unsafe { result::event::record(event, stream) }.expect("a record");
}

#[test]
fn an_event_recorded_anew_keeps_the_new_time() -> Result<(), DriverError> {
    let context = context(0);
    let (busy, idle) = (context.new_stream()?, context.new_stream()?);
    let [event, later] = [result::event::create(TIMED)?, result::event::create(TIMED)?];
    let hold = Hold::new(&busy);
    record(event, busy.cu_stream());
    record(event, idle.cu_stream());
    record(later, idle.cu_stream());
    idle.synchronize()?;
    let before = elapsed(event, later);
    hold.release();
    busy.synchronize()?;
    assert_eq!(elapsed(event, later).to_bits(), before.to_bits(), "the first record is no longer the event's");
    for event in [event, later] {
        // SAFETY: alive, and not used any more.
        unsafe { result::event::destroy(event) }?;
    }
    Ok(())
}

#[test]
fn fresh_memory_is_not_zero() -> Result<(), DriverError> {
    let _context = context(0);
    let address = allocate(3);
    assert_eq!(read(address), Ok([0xA5; 3]));
    // SAFETY: allocated above.
    unsafe { result::free_sync(address) }
}

#[test]
fn freed_memory_is_refused() -> Result<(), DriverError> {
    let _misuse = misuse();
    let _context = context(0);
    let address = allocate(16);
    assert!(read::<16>(address).is_ok());
    // SAFETY: allocated above.
    unsafe { result::free_sync(address) }?;
    assert_eq!(read::<16>(address), Err(CUDA_ERROR_INVALID_VALUE));
    Ok(())
}

/// The only test that uses memory of device 1.
#[test]
fn memory_freed_in_stream_order_is_free_when_the_stream_is_there() -> Result<(), DriverError> {
    const BYTES: usize = 1 << 20;
    let _misuse = misuse();
    let context = context(1);
    let stream = context.new_stream()?;
    let hold = Hold::new(&stream);
    let all = free_memory();
    let address = allocate(BYTES);
    assert_eq!(free_memory(), all - BYTES);
    // SAFETY: allocated above.
    unsafe { result::free_async(address, stream.cu_stream()) }?;
    assert_eq!(free_memory(), all - BYTES, "the stream is not there yet");
    assert_eq!(read::<1>(address), Err(CUDA_ERROR_INVALID_VALUE), "but no call may use it");
    hold.release();
    stream.synchronize()?;
    assert_eq!(free_memory(), all);
    Ok(())
}

#[test]
fn a_destroyed_stream_is_refused_while_its_work_goes_on() -> Result<(), DriverError> {
    let _misuse = misuse();
    let context = context(0);
    let busy = context.new_stream()?;
    let (destroyed, event) = (result::stream::create(result::stream::StreamKind::NonBlocking)?, result::event::create(TIMED)?);
    let hold = Hold::new(&busy);
    let behind = busy.record_event(None)?;
    // SAFETY: stream and events are alive.
    unsafe { result::stream::wait_event(destroyed, behind.cu_event(), sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT) }?;
    record(event, destroyed);
    // SAFETY: alive.
    unsafe { result::stream::destroy(destroyed) }?;
    // SAFETY: the software driver refuses what is not alive.
    assert_eq!(unsafe { sys::cuStreamQuery(destroyed) }, CUDA_ERROR_INVALID_HANDLE);
    // SAFETY: as above.
    assert_eq!(unsafe { sys::cuEventRecord(event, destroyed) }, CUDA_ERROR_INVALID_HANDLE);
    // SAFETY: alive.
    assert_eq!(unsafe { sys::cuEventQuery(event) }, CUresult::CUDA_ERROR_NOT_READY);
    hold.release();
    // SAFETY: alive.
    unsafe { result::event::synchronize(event) }?;
    // SAFETY: alive, and not used any more.
    unsafe { result::event::destroy(event) }
}

#[test]
fn peer_access_is_switched_on_once() -> Result<(), DriverError> {
    let contexts = [context(0), context(1)];
    contexts[0].bind_to_thread()?;
    let peer = contexts[1].cu_ctx();
    let enable = || {
        // SAFETY: the context is alive.
        unsafe { sys::cuCtxEnablePeerAccess(peer, 0) }
    };
    let disable = || {
        // SAFETY: the context is alive.
        unsafe { sys::cuCtxDisablePeerAccess(peer) }
    };
    assert_eq!([enable(), enable()], [CUDA_SUCCESS, CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED]);
    assert_eq!([disable(), disable()], [CUDA_SUCCESS, CUDA_ERROR_PEER_ACCESS_NOT_ENABLED]);
    Ok(())
}

#[test]
fn one_place_takes_two_results() {
    let _context = context(0);
    let mut place = MaybeUninit::<usize>::uninit();
    let twice = place.as_mut_ptr();
    // SAFETY: the place is valid; the second result is the one that stays.
    assert_eq!(unsafe { sys::cuMemGetInfo_v2(twice, twice) }, CUDA_SUCCESS);
    let mut total = 0;
    // SAFETY: a valid place, and null for what is not asked.
    assert_eq!(unsafe { sys::cuMemGetInfo_v2(ptr::null_mut(), &raw mut total) }, CUDA_SUCCESS);
    // SAFETY: written by the first call.
    assert_eq!(unsafe { place.assume_init() }, total);
}

#[test]
fn a_kernel_of_a_module_has_one_handle() -> Result<(), DriverError> {
    let context = context(0);
    support::add(&context);
    let mut text = support::PTX.to_owned().into_bytes();
    text.push(0);
    // SAFETY: PTX that ends in NUL.
    let module = unsafe { result::module::load_data(text.as_ptr().cast()) }?;
    let function = || {
        // SAFETY: the module is alive.
        unsafe { result::module::get_function(module, c"add".to_owned()) }
    };
    assert_eq!(function()?, function()?);
    // SAFETY: alive, and not used any more.
    unsafe { result::module::unload(module) }
}

/// What a host function of the test below has, and where its answer goes.
struct Question {
    own: usize,
    answer: Sender<CUresult>,
}

#[test]
fn a_host_function_cannot_wait_for_its_own_stream() -> Result<(), DriverError> {
    unsafe extern "C" fn synchronize(question: *mut c_void) {
        // SAFETY: the test passes a box, and the driver calls once.
        let question = unsafe { Box::from_raw(question.cast::<Question>()) };
        // SAFETY: the stream is alive.
        let code = unsafe { sys::cuStreamSynchronize(ptr::with_exposed_provenance_mut(question.own)) };
        question.answer.send(code).expect("the test waits");
    }
    let _misuse = misuse();
    let context = context(0);
    let stream = context.new_stream()?;
    let (answer, answered): (_, Receiver<CUresult>) = channel();
    let question = Box::new(Question { own: stream.cu_stream().expose_provenance(), answer });
    // SAFETY: the stream is alive; the function takes the box back.
    unsafe { result::stream::launch_host_function(stream.cu_stream(), synchronize, Box::into_raw(question).cast()) }?;
    stream.synchronize()?;
    assert_eq!(answered.recv(), Ok(CUDA_ERROR_NOT_PERMITTED));
    Ok(())
}
