//! `cuStreamAddCallback`: a function in stream order that is told the stream and how its work went.

mod support;

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use cudarc::driver::sys::CUresult::{
    CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_PERMITTED, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
    CUDA_SUCCESS,
};
use cudarc::driver::sys::{self, CUresult, CUstream};
use cudarc::driver::{CudaStream, DriverError};
use support::graph::{ACTIVE, INVALIDATED, begin, end_on, status};
use support::world::host_function;
use support::{context, misuse};

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
