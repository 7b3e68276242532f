//! `cuStreamAddCallback`: a function in stream order that is told the stream and how its work went.

mod support;

use std::ffi::{CString, c_void};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT as WAIT_DEFAULT;
use cudarc::driver::sys::CUresult::{
    CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_LAUNCH_FAILED, CUDA_ERROR_NOT_PERMITTED, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED,
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, CUDA_SUCCESS,
};
use cudarc::driver::sys::{self, CUcontext, CUresult, CUstream};
use cudarc::driver::{CudaStream, DriverError, result};
use softcuda::Kernel;
use support::graph::{ACTIVE, INVALIDATED, begin, end_on, raw_event, status};
use support::reported::in_every_schedule;
use support::world::host_function;
use support::{ONE, PTX, context, misuse, schedules};

/// What a callback was called with, and what the creation of an event answered in it.
type Told = (usize, CUresult, CUresult);

unsafe extern "C" fn tell(stream: CUstream, status: CUresult, told: *mut c_void) {
    // SAFETY: the test keeps it until the callback has run.
    let told = unsafe { &*told.cast::<Sender<Told>>() };
    // SAFETY: the place is one for an event.
    let create = unsafe { sys::cuEventCreate(&mut null_mut(), 0) };
    let _ = told.send((stream.addr(), status, create));
}

fn add(stream: &Arc<CudaStream>, sender: &Sender<Told>, flags: u32) -> CUresult {
    let sender: *const Sender<Told> = sender;
    // SAFETY: alive; the callers wait for the stream before the sender goes.
    unsafe { sys::cuStreamAddCallback(stream.cu_stream(), Some(tell), sender.cast_mut().cast(), flags) }
}

/// What a callback that calls nothing was called with.
type Noted = (CUstream, CUresult);

/// Adds a callback that tells that.
fn add_note(stream: CUstream, sender: &Sender<Noted>) -> CUresult {
    unsafe extern "C" fn note(stream: CUstream, status: CUresult, sender: *mut c_void) {
        // SAFETY: the test keeps it until the callback has run.
        let sender = unsafe { &*sender.cast::<Sender<Noted>>() };
        let _ = sender.send((stream, status));
    }
    let sender: *const Sender<Noted> = sender;
    // SAFETY: alive; the callers wait for the end of the context before the sender goes.
    unsafe { sys::cuStreamAddCallback(stream, Some(note), sender.cast_mut().cast(), 0) }
}

/// A context of the test's own, current until its end, which waits for all of its work.
struct Own(CUcontext);

impl Own {
    fn new() -> Self {
        let mut raw = null_mut();
        // SAFETY: a valid place; the parameters are those of a plain context.
        unsafe { sys::cuCtxCreate_v4(&raw mut raw, null_mut(), 0, 0) }.result().expect("a context");
        Self(raw)
    }

    fn end(self) {
        // SAFETY: alive, and nothing of it is used any more.
        unsafe { sys::cuCtxDestroy_v2(self.0) }.result().expect("its end");
    }
}

fn stream() -> CUstream {
    result::stream::create(StreamKind::NonBlocking).expect("a stream")
}

/// Launches a kernel that fails.
fn trap(stream: CUstream) -> Result<(), DriverError> {
    Kernel::new("trap", []).run(|launch| launch.fail(CUDA_ERROR_LAUNCH_FAILED as u32)).register();
    let ptx = CString::new(PTX).expect("text");
    // SAFETY: it ends with a zero.
    let module = unsafe { result::module::load_data(ptx.as_ptr().cast()) }?;
    // SAFETY: the module is loaded.
    let kernel = unsafe { result::module::get_function(module, CString::new("trap").expect("a name")) }?;
    // SAFETY: alive, and it has no parameters.
    unsafe { result::launch_kernel(kernel, ONE.grid_dim, ONE.block_dim, 0, stream, &mut []) }
}

#[test]
fn it_runs_in_stream_order_and_calls_what_a_host_function_may() -> Result<(), DriverError> {
    let scope = misuse();
    let context = context(0);
    for stream in [context.new_stream()?, context.default_stream()] {
        let (sender, told): (_, Receiver<Told>) = channel();
        let marks = [sender.clone(), sender.clone()];
        let [before, after] = marks.map(|mark| {
            move || {
                let _ = mark.send((0, CUDA_SUCCESS, CUDA_SUCCESS));
            }
        });
        host_function(&stream, before);
        assert_eq!(add(&stream, &sender, 0), CUDA_SUCCESS);
        host_function(&stream, after);
        stream.synchronize()?;
        let mark = (0, CUDA_SUCCESS, CUDA_SUCCESS);
        let callback = (stream.cu_stream().addr(), CUDA_SUCCESS, CUDA_ERROR_NOT_PERMITTED);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [mark, callback, mark]);
    }
    let reports = scope.scope().take_reports();
    assert!(reports.len() == 1 && reports[0].times() == 2, "{reports:#?}");
    Ok(())
}

#[test]
fn it_needs_a_function_and_no_flags() -> Result<(), DriverError> {
    let stream = context(0).new_stream()?;
    let (sender, told) = channel();
    assert_eq!(add(&stream, &sender, 1), CUDA_ERROR_INVALID_VALUE);
    // SAFETY: alive.
    let code = unsafe { sys::cuStreamAddCallback(stream.cu_stream(), None, null_mut(), 0) };
    assert_eq!(code, CUDA_ERROR_INVALID_VALUE);
    stream.synchronize()?;
    assert!(told.try_recv().is_err());
    Ok(())
}

#[test]
fn it_is_not_captured() -> Result<(), DriverError> {
    let context = context(0);
    let (stream, other) = (context.new_stream()?, context.new_stream()?);
    let (sender, told) = channel();
    begin(&stream);
    assert_eq!((add(&other, &sender, 0), status(stream.cu_stream())), (CUDA_SUCCESS, Ok(ACTIVE)), "elsewhere");
    assert_eq!(add(&stream, &sender, 0), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    assert_eq!(status(stream.cu_stream()), Ok(INVALIDATED));
    assert_eq!(end_on(stream.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    for stream in [stream, other] {
        stream.synchronize()?;
    }
    assert_eq!(told.try_iter().count(), 1);
    Ok(())
}

#[test]
fn behind_a_fault_it_is_told_the_code() -> Result<(), DriverError> {
    let primary = context(0);
    for schedule in schedules() {
        println!("in the schedule {schedule:?}");
        let _scope = misuse().scheduled(schedule);
        let own = Own::new();
        let [faulty, other] = [stream(), stream()];
        // SAFETY: it lasts as long as this is used.
        let as_cudarcs = unsafe { primary.wrap_borrowed_stream(faulty) };
        let ((open, gate), (sender, told), (runs, ran)) = (channel::<()>(), channel(), channel());
        host_function(&as_cudarcs, move || {
            let _ = gate.recv();
        });
        trap(faulty)?;
        host_function(&as_cudarcs, move || {
            let _ = runs.send(());
        });
        assert_eq!(add_note(faulty, &sender), CUDA_SUCCESS);
        let behind = raw_event();
        // SAFETY: both are alive.
        unsafe { result::event::record(behind, faulty) }?;
        // SAFETY: as above.
        unsafe { result::stream::wait_event(other, behind, WAIT_DEFAULT) }?;
        assert_eq!(add_note(other, &sender), CUDA_SUCCESS);
        drop(open);
        // SAFETY: alive.
        assert_eq!(unsafe { result::stream::synchronize(faulty) }, Err(DriverError(CUDA_ERROR_LAUNCH_FAILED)));
        assert_eq!(add_note(faulty, &sender), CUDA_ERROR_LAUNCH_FAILED);
        own.end();
        let mut noted: Vec<Noted> = told.try_iter().collect();
        noted.sort_by_key(|(stream, _)| *stream);
        assert_eq!(noted, [faulty, other].map(|stream| (stream, CUDA_ERROR_LAUNCH_FAILED)));
        assert!(ran.try_recv().is_err(), "a host function does not run");
    }
    Ok(())
}

#[test]
fn the_end_of_its_stream_and_of_its_context_leave_it_to_be_called() {
    in_every_schedule(|_, _| {
        let own = Own::new();
        let (sender, told) = channel();
        let stream = stream();
        for _ in 0..2 {
            assert_eq!(add_note(stream, &sender), CUDA_SUCCESS);
        }
        // SAFETY: alive, and not used any more.
        unsafe { result::stream::destroy(stream) }.expect("its end");
        own.end();
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [(stream, CUDA_SUCCESS); 2]);
    });
}
