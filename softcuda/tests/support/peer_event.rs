//! Events that two processes use.

use std::sync::Arc;

use cudarc::driver::sys::{self, CUevent, CUipcEventHandle, CUresult};
use cudarc::driver::{CudaContext, CudaStream};

use super::green::answer;
use super::peer::{Bytes as _, Link, export_event, import_event};

/// An event that other processes can open.
pub(crate) fn interprocess_event() -> CUevent {
    const DISABLE_TIMING_AND_INTERPROCESS: u32 = 2 | 4;
    // SAFETY: a context is current.
    answer(std::ptr::null_mut(), |out| unsafe { sys::cuEventCreate(out, DISABLE_TIMING_AND_INTERPROCESS) }).expect("an event")
}

pub(crate) fn query(event: CUevent) -> CUresult {
    // SAFETY: the driver judges the event.
    unsafe { sys::cuEventQuery(event) }
}

pub(crate) fn destroy(event: CUevent) {
    // SAFETY: alive, and not used any more.
    unsafe { sys::cuEventDestroy_v2(event) }.result().expect("its end");
}

pub(crate) fn try_record(event: CUevent, stream: &CudaStream) -> CUresult {
    // SAFETY: both are alive.
    unsafe { sys::cuEventRecord(event, stream.cu_stream()) }
}

pub(crate) fn record(event: CUevent, stream: &CudaStream) {
    try_record(event, stream).result().expect("a record");
}

pub(crate) fn try_wait(stream: &CudaStream, event: CUevent) -> CUresult {
    // SAFETY: both are alive.
    unsafe { sys::cuStreamWaitEvent(stream.cu_stream(), event, 0) }
}

pub(crate) fn wait(stream: &CudaStream, event: CUevent) {
    try_wait(stream, event).result().expect("a wait");
}

pub(crate) fn synchronize(event: CUevent) {
    // SAFETY: alive.
    unsafe { sys::cuEventSynchronize(event) }.result().expect("its end");
}

/// The event whose handle comes next.
pub(crate) fn import(link: &mut Link) -> CUevent {
    import_event(CUipcEventHandle::parse(&link.hear())).expect("an event of the other process")
}

pub(crate) fn export(link: &mut Link, event: CUevent) {
    link.tell(&export_event(event).expect("a handle").text());
}

pub(crate) fn query_stream(stream: &Arc<CudaStream>) -> CUresult {
    // SAFETY: alive.
    unsafe { sys::cuStreamQuery(stream.cu_stream()) }
}

pub(crate) fn stream(context: &Arc<CudaContext>) -> Arc<CudaStream> {
    context.new_stream().expect("a stream")
}
