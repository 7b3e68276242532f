//! Host functions run one at a time in each context, as on hardware.

mod support;

use std::ffi::c_void;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use cudarc::driver::sys::CUresult::{CUDA_ERROR_NOT_PERMITTED, CUDA_SUCCESS};
use cudarc::driver::{CudaContext, CudaStream, DriverError, result, sys};
use support::graph::{begin_on, captured};
use support::green::{Green, destroy};
use support::{context, misuse, round_trips};

type Work = Box<dyn FnOnce() + Send>;

unsafe extern "C" fn call(work: *mut c_void) {
    // SAFETY: `enqueue` passes a box, and the driver calls once.
    let work = unsafe { Box::from_raw(work.cast::<Work>()) };
    work();
}

fn enqueue(stream: &Arc<CudaStream>, work: impl FnOnce() + Send + 'static) -> Result<(), DriverError> {
    let work: Box<Work> = Box::new(Box::new(work));
    // SAFETY: the stream is alive; the function takes the box back.
    unsafe { result::stream::launch_host_function(stream.cu_stream(), call, Box::into_raw(work).cast()) }
}

/// A host function on `stream` that is running, and ends when something is sent or the sender dropped.
fn running(stream: &Arc<CudaStream>, is_running: &Arc<AtomicBool>) -> Result<Sender<()>, DriverError> {
    let ((started, has_started), (end, ended)): (_, (Sender<()>, Receiver<()>)) = (channel(), channel());
    let is_running = Arc::clone(is_running);
    enqueue(stream, move || {
        is_running.store(true, Ordering::SeqCst);
        started.send(()).expect("the test waits");
        let _ = ended.recv();
        is_running.store(false, Ordering::SeqCst);
    })?;
    // Not by waiting for the message alone: a driver need not begin anything before it is asked.
    while has_started.try_recv().is_err() {
        // SAFETY: the stream is alive.
        assert_eq!(unsafe { sys::cuStreamQuery(stream.cu_stream()) }, sys::CUresult::CUDA_ERROR_NOT_READY);
        thread::yield_now();
    }
    Ok(end)
}

/// A host function of `second` waits for one of `first`.
fn check_one_at_a_time(context: &Arc<CudaContext>, first: &Arc<CudaStream>, second: &Arc<CudaStream>) -> Result<(), DriverError> {
    let is_running = Arc::new(AtomicBool::new(false));
    let end = running(first, &is_running)?;

    // What is no host function goes on.
    let mut data = second.clone_htod(&[1_u32; 4])?;
    second.memset_zeros(&mut data)?;
    second.record_event(None)?.synchronize()?;

    let overlaps = Arc::new(AtomicBool::new(false));
    let (seen, first_runs) = (Arc::clone(&overlaps), Arc::clone(&is_running));
    enqueue(second, move || seen.store(first_runs.load(Ordering::SeqCst), Ordering::SeqCst))?;
    let behind = second.record_event(None)?;
    round_trips(context)?;
    assert_eq!(behind.try_is_complete(), Ok(false));
    drop(end);
    behind.synchronize()?;
    assert!(!overlaps.load(Ordering::SeqCst), "two host functions ran at a time");
    first.synchronize()
}

#[test]
fn a_host_function_waits_for_one_of_another_stream() -> Result<(), DriverError> {
    let context = context(0);
    check_one_at_a_time(&context, &context.new_stream()?, &context.new_stream()?)
}

#[test]
fn a_host_function_of_a_green_context_waits_for_one_of_the_primary_context() -> Result<(), DriverError> {
    let context = context(0);
    let green = Green::of(&context);
    let (ordinary, of_green) = (context.new_stream()?, green.stream());
    check_one_at_a_time(&context, &ordinary, &of_green)?;
    check_one_at_a_time(&context, &of_green, &ordinary)?;
    of_green.synchronize()?;
    destroy(&of_green);
    green.destroy().expect("its end");
    Ok(())
}

#[test]
fn a_host_function_uses_handles_and_no_context() -> Result<(), DriverError> {
    let _misuse = misuse();
    let context = context(0);
    let (stream, other) = (context.new_stream()?, context.new_stream()?);
    let event = context.new_event(None)?;
    let (tell, told) = channel();
    let handles = [event.cu_event().expose_provenance(), other.cu_stream().expose_provenance(), context.cu_ctx().expose_provenance()];
    enqueue(&stream, move || {
        let [event, other, context] = handles;
        let codes = [
            // SAFETY: both outlive the work of this function's stream.
            unsafe { sys::cuEventRecord(with_exposed_provenance_mut(event), with_exposed_provenance_mut(other)) },
            // SAFETY: the context is alive.
            unsafe { sys::cuCtxSetCurrent(with_exposed_provenance_mut(context)) },
            // SAFETY: the place is one for a context.
            unsafe { sys::cuCtxGetCurrent(&mut null_mut()) },
            // SAFETY: the place is one for an event.
            unsafe { sys::cuEventCreate(&mut null_mut(), 0) },
        ];
        tell.send(codes).expect("the test waits");
    })?;
    stream.synchronize()?;
    assert_eq!(told.recv(), Ok([CUDA_SUCCESS, CUDA_ERROR_NOT_PERMITTED, CUDA_ERROR_NOT_PERMITTED, CUDA_ERROR_NOT_PERMITTED]));
    assert_eq!(softcuda::reports().iter().map(softcuda::Report::times).sum::<u64>(), 3);
    other.synchronize()
}

#[test]
fn a_host_function_launches_and_captures_but_makes_and_ends_no_graph() -> Result<(), DriverError> {
    let _misuse = misuse();
    let context = context(0);
    let (stream, other) = (context.new_stream()?, context.new_stream()?);
    let graph = captured(&other, |_| ());
    let executable = graph.instantiate();
    let (tell, told) = channel();
    let handles = [graph.0.expose_provenance(), executable.0.expose_provenance(), other.cu_stream().expose_provenance()];
    enqueue(&stream, move || {
        let [graph, executable, other] = handles;
        let (graph, executable, other) =
            (with_exposed_provenance_mut(graph), with_exposed_provenance_mut(executable), with_exposed_provenance_mut(other));
        let mut captured = null_mut();
        let refused = [
            // SAFETY: the places are valid, and what the handles are of outlives the work of this function's stream.
            unsafe { sys::cuGraphCreate(&mut null_mut(), 0) },
            // SAFETY: as above.
            unsafe { sys::cuGraphClone(&mut null_mut(), graph) },
            // SAFETY: as above.
            unsafe { sys::cuGraphInstantiateWithFlags(&mut null_mut(), graph, 0) },
            // SAFETY: as above.
            unsafe { sys::cuGraphExecDestroy(executable) },
            // SAFETY: as above.
            unsafe { sys::cuGraphDestroy(graph) },
        ];
        let done = [
            // SAFETY: as above.
            unsafe { sys::cuGraphLaunch(executable, other) },
            begin_on(other, sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
            // SAFETY: as above.
            unsafe { sys::cuStreamEndCapture(other, &raw mut captured) },
        ];
        // SAFETY: as above.
        let last = unsafe { sys::cuGraphDestroy(captured) };
        tell.send((refused, done, last, captured.expose_provenance())).expect("the test waits");
    })?;
    stream.synchronize()?;
    let (refused, done, last, captured) = told.recv().expect("an answer");
    assert_eq!((refused, done, last), ([CUDA_ERROR_NOT_PERMITTED; 5], [CUDA_SUCCESS; 3], CUDA_ERROR_NOT_PERMITTED));
    assert_eq!(softcuda::reports().iter().map(softcuda::Report::times).sum::<u64>(), 6);
    // SAFETY: alive.
    assert_eq!(unsafe { sys::cuGraphDestroy(with_exposed_provenance_mut(captured)) }, CUDA_SUCCESS);
    other.synchronize()
}

#[test]
fn a_host_function_does_not_hold_those_of_another_device() -> Result<(), DriverError> {
    let contexts = [context(0), context(1)];
    let (first, other) = (contexts[0].new_stream()?, contexts[1].new_stream()?);
    let is_running = Arc::new(AtomicBool::new(false));
    let end = running(&first, &is_running)?;
    let (tell, told) = channel();
    let still_running = Arc::clone(&is_running);
    enqueue(&other, move || tell.send(still_running.load(Ordering::SeqCst)).expect("the test waits"))?;
    other.synchronize()?;
    assert_eq!(told.recv(), Ok(true));
    drop(end);
    first.synchronize()
}
