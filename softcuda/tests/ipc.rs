//! Events of several processes.

mod support;

use std::sync::Arc;

use cudarc::driver::sys::CUresult::{self, CUDA_ERROR_NOT_READY, CUDA_SUCCESS};
use cudarc::driver::sys::{self, CUevent, CUipcEventHandle};
use cudarc::driver::{CudaStream, result};
use support::peer::{Bytes, Link, destroy, export_event, import_event, interprocess_event, query, with_second};
use support::{Hold, context};

fn record(event: CUevent, stream: &CudaStream) {
    // SAFETY: both are alive.
    unsafe { result::event::record(event, stream.cu_stream()) }.expect("a record");
}

fn wait(stream: &CudaStream, event: CUevent) {
    // SAFETY: both are alive.
    unsafe { sys::cuStreamWaitEvent(stream.cu_stream(), event, 0) }.result().expect("a wait");
}

fn synchronize(event: CUevent) {
    // SAFETY: alive.
    unsafe { sys::cuEventSynchronize(event) }.result().expect("its end");
}

/// The event whose handle comes next.
fn import(link: &mut Link) -> CUevent {
    import_event(CUipcEventHandle::parse(&link.hear())).expect("an event of the other process")
}

fn export(link: &mut Link, event: CUevent) {
    link.tell(&export_event(event).expect("a handle").text());
}

fn is_idle(stream: &Arc<CudaStream>) -> CUresult {
    // SAFETY: alive.
    unsafe { sys::cuStreamQuery(stream.cu_stream()) }
}

#[test]
fn a_stream_waits_for_work_of_another_process() {
    with_second(
        "a_stream_waits_for_work_of_another_process",
        |link| {
            let context = context(0);
            let stream = context.new_stream().expect("a stream");
            let (there, here) = (interprocess_event(), interprocess_event());
            let hold = Hold::new(&stream);
            record(here, &stream);
            export(link, here);
            export(link, there);
            link.expect("recorded");
            assert_eq!(query(there), CUDA_ERROR_NOT_READY, "its record waits for this process");
            hold.release();
            synchronize(there);
            assert_eq!((query(here), query(there)), (CUDA_SUCCESS, CUDA_SUCCESS));
            link.tell("done");
            destroy(here);
            destroy(there);
        },
        |link| {
            let context = context(0);
            let stream = context.new_stream().expect("a stream");
            let (there, here) = (import(link), import(link));
            assert_eq!(query(there), CUDA_ERROR_NOT_READY);
            wait(&stream, there);
            record(here, &stream);
            assert_eq!((query(here), is_idle(&stream)), (CUDA_ERROR_NOT_READY, CUDA_ERROR_NOT_READY));
            link.tell("recorded");
            synchronize(here);
            assert_eq!((query(there), is_idle(&stream)), (CUDA_SUCCESS, CUDA_SUCCESS));
            link.expect("done");
            destroy(here);
            destroy(there);
        },
    );
}

#[test]
fn a_wait_is_for_the_record_at_the_time_of_the_call() {
    with_second(
        "a_wait_is_for_the_record_at_the_time_of_the_call",
        |link| {
            let context = context(0);
            let streams = [(); 2].map(|()| context.new_stream().expect("a stream"));
            let event = interprocess_event();
            let holds = streams.each_ref().map(Hold::new);
            record(event, &streams[0]);
            export(link, event);
            link.expect("waits");
            record(event, &streams[1]);
            holds[0].release();
            link.tell("released");
            link.expect("the first record is done and the second is not");
            holds[1].release();
            link.expect("both are done");
            destroy(event);
        },
        |link| {
            let context = context(0);
            let stream = context.new_stream().expect("a stream");
            let event = import(link);
            wait(&stream, event);
            link.tell("waits");
            link.expect("released");
            stream.synchronize().expect("the first record");
            assert_eq!(query(event), CUDA_ERROR_NOT_READY);
            link.tell("the first record is done and the second is not");
            synchronize(event);
            link.tell("both are done");
            destroy(event);
        },
    );
}
