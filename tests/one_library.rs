//! This crate and cudarc call the same library, whichever driver runs.

mod common;

use std::ffi::{CStr, c_void};

use common::{device, raw, streams};
use cudarc::driver::sys;

/// What cudarc's loader answers for a function.
fn cudarcs(name: &CStr) -> *const c_void {
    // SAFETY: a driver was found before this, so there is one to find.
    let library = unsafe { sys::culib() };
    // SAFETY: only the address is taken.
    let symbol = unsafe { library.get::<*const c_void>(name.to_bytes_with_nul()) };
    *symbol.expect("cudarc's library has the function")
}

#[test]
fn both_tables_hold_the_same_addresses() {
    // Ours is looked for first.
    assert_eq!(device().ordinal(), 0);
    for name in [c"cuInit", c"cuEventRecord", c"cuStreamWaitEvent", c"cuDevicePrimaryCtxRetain", c"cuCtxPushCurrent_v2"] {
        assert_eq!(raw::symbol(name), cudarcs(name), "{name:?}");
    }
}

#[test]
fn cudarcs_table_knows_our_handles() -> cuda_streams::Result<()> {
    let [stream] = streams();
    let event = stream.record_event()?;
    event.synchronize()?;
    let raw = event.as_raw().expect("it is bound");
    // SAFETY: the event is alive.
    assert_eq!(unsafe { sys::cuEventQuery(raw.cast()) }, sys::CUresult::CUDA_SUCCESS);
    // SAFETY: the stream is alive.
    assert_eq!(unsafe { sys::cuStreamQuery(stream.as_raw().cast()) }, sys::CUresult::CUDA_SUCCESS);
    Ok(())
}
