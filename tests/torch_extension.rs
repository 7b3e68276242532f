//! The example `torch_extension`, with cudarc in the part of PyTorch.

mod common;
#[allow(unreachable_pub, reason = "the functions of a library")]
#[path = "../examples/torch_extension/lib.rs"]
mod extension;

use std::error::Error;
use std::ptr;

use common::device;
use common::hold::Hold;
use cudarc::driver::{CudaContext, DevicePtr};
use extension::{extension_double, extension_free, extension_last_error, extension_new, extension_stream};

const COUNT: u16 = 256;
/// Fewer where each takes seconds.
const ROUNDS: i32 = if cfg!(miri) { 4 } else { 100 };

#[test]
fn rounds_on_the_streams_and_events_of_another_library() -> Result<(), Box<dyn Error>> {
    let context = CudaContext::new(device().ordinal() as usize)?;
    let (side, default) = (context.new_stream()?, context.default_stream());
    let extension = extension_new(0);
    assert!(!extension.is_null());
    for round in 0..ROUNDS {
        let stream = if round % 2 == 0 { &side } else { &default };
        let hold = Hold::new(stream);
        let source = vec![round; COUNT.into()];
        let mut data = stream.alloc_zeros::<i32>(COUNT.into())?;
        let pinned = {
            // SAFETY: written before anybody reads it.
            let mut pinned = unsafe { context.alloc_pinned::<i32>(COUNT.into()) }?;
            pinned.as_mut_slice()?.copy_from_slice(&source);
            pinned
        };
        stream.memcpy_htod(&pinned, &mut data)?;
        let ready = stream.record_event(None)?;
        let address = data.device_ptr(stream).0;
        // SAFETY: stream, event and memory are alive until the stream is synchronized below.
        let code = unsafe { extension_double(extension, stream.cu_stream().cast(), ready.cu_event().cast(), address, COUNT.into()) };
        assert_eq!(code, 0);
        hold.release();
        let result = stream.clone_dtoh(&data)?;
        stream.synchronize()?;
        assert_eq!(result, vec![2 * round + 1; COUNT.into()], "round {round}");
    }
    // SAFETY: alive.
    assert!(!unsafe { extension_stream(extension) }.is_null());
    // SAFETY: not used any more.
    unsafe { extension_free(extension) };
    Ok(())
}

#[test]
fn what_fails_is_told() {
    let _ = device();
    assert_eq!(extension_new(u32::MAX), ptr::null_mut());
    // SAFETY: a C string of this thread's, until the next call that fails.
    let text = unsafe { std::ffi::CStr::from_ptr(extension_last_error()) };
    assert!(text.to_str().is_ok_and(|text| text.starts_with("no CUDA device 4294967295")), "{text:?}");
}
