//! Copies of pageable memory that are as late as the documentation allows.

mod support;

use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys::{self, CUdeviceptr, CUresult::CUDA_SUCCESS};
use cudarc::driver::{CudaContext, CudaStream, DriverError, result};
use softcuda::Pageable;
use support::{Hold, context, round_trips};

const BYTES: usize = 4;

/// Memory of the host that is written while a copy may read it: nobody has a reference to it.
struct Pageable4(*mut [u8; BYTES]);

impl Pageable4 {
    fn new(bytes: [u8; BYTES]) -> Self {
        Self(Box::into_raw(Box::new(bytes)))
    }

    fn set(&self, bytes: [u8; BYTES]) {
        // SAFETY: alive, and no copy is at work on it: the tests hold or have waited for those.
        unsafe { self.0.write(bytes) };
    }

    fn get(&self) -> [u8; BYTES] {
        // SAFETY: as above.
        unsafe { self.0.read() }
    }
}

impl Drop for Pageable4 {
    fn drop(&mut self) {
        // SAFETY: made of a box, and all copies are done.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

fn copy_in(to: CUdeviceptr, from: &Pageable4, stream: &CudaStream) {
    // SAFETY: both have as many bytes, and stay until the test has waited.
    assert_eq!(unsafe { sys::cuMemcpyHtoDAsync_v2(to, from.0.cast(), BYTES, stream.cu_stream()) }, CUDA_SUCCESS);
}

fn copy_out(to: &Pageable4, from: CUdeviceptr, stream: &CudaStream) {
    // SAFETY: as above.
    assert_eq!(unsafe { sys::cuMemcpyDtoHAsync_v2(to.0.cast(), from, BYTES, stream.cu_stream()) }, CUDA_SUCCESS);
}

fn device(bytes: [u8; BYTES]) -> Result<CUdeviceptr, DriverError> {
    // SAFETY: a context is current.
    let address = unsafe { result::malloc_sync(BYTES) }?;
    // SAFETY: allocated, and as long.
    unsafe { result::memcpy_htod_sync(address, &bytes) }?;
    Ok(address)
}

/// Copies from and then to pageable memory behind a hold, and changes the source after the call: what
/// the target says before and after the release.
fn in_and_out(context: &Arc<CudaContext>) -> Result<[[u8; BYTES]; 2], DriverError> {
    let stream = context.new_stream()?;
    let (source, target, between) = (Pageable4::new([1; BYTES]), Pageable4::new([0; BYTES]), device([9; BYTES])?);
    let hold = Hold::new(&stream);
    copy_in(between, &source, &stream);
    source.set([2; BYTES]);
    copy_out(&target, between, &stream);
    round_trips(context)?;
    let before = target.get();
    hold.release();
    stream.synchronize()?;
    // SAFETY: allocated above, and used no more.
    unsafe { result::free_sync(between) }?;
    Ok([before, target.get()])
}

#[test]
fn both_sides_of_a_late_copy_are_used_when_its_turn_comes() -> Result<(), DriverError> {
    let context = context(0);
    softcuda::set_pageable(Pageable::Async);
    assert_eq!(in_and_out(&context)?, [[0; BYTES], [2; BYTES]]);
    softcuda::set_pageable(Pageable::Observed);
    Ok(())
}

#[test]
fn an_observed_copy_reads_its_source_at_the_call() -> Result<(), DriverError> {
    let context = context(0);
    softcuda::set_pageable(Pageable::Observed);
    let stream = context.new_stream()?;
    let (source, target) = (Pageable4::new([1; BYTES]), device([9; BYTES])?);
    let hold = Hold::new(&stream);
    copy_in(target, &source, &stream);
    source.set([2; BYTES]);
    hold.release();
    let copied = Pageable4::new([0; BYTES]);
    copy_out(&copied, target, &stream);
    assert_eq!(copied.get(), [1; BYTES], "and is there when the call returns");
    // SAFETY: allocated above, and used no more.
    unsafe { result::free_sync(target) }
}

#[test]
fn copies_that_wait_still_do() -> Result<(), DriverError> {
    let _context = context(0);
    softcuda::set_pageable(Pageable::Async);
    let (source, target, between) = (Pageable4::new([1; BYTES]), Pageable4::new([0; BYTES]), device([9; BYTES])?);
    // SAFETY: both have as many bytes.
    assert_eq!(unsafe { sys::cuMemcpyHtoD_v2(between, source.0.cast(), BYTES) }, CUDA_SUCCESS);
    source.set([2; BYTES]);
    // SAFETY: as above.
    assert_eq!(unsafe { sys::cuMemcpyDtoH_v2(target.0.cast(), between, BYTES) }, CUDA_SUCCESS);
    assert_eq!(target.get(), [1; BYTES]);
    // From the host to the host the documentation has no asynchronous copy.
    let addresses = [target.0, source.0].map(|side| side.expose_provenance() as CUdeviceptr);
    // SAFETY: as above.
    assert_eq!(unsafe { sys::cuMemcpyAsync(addresses[0], addresses[1], BYTES, ptr::null_mut()) }, CUDA_SUCCESS);
    assert_eq!(target.get(), [2; BYTES]);
    softcuda::set_pageable(Pageable::Observed);
    // SAFETY: allocated above, and used no more.
    unsafe { result::free_sync(between) }
}

#[test]
#[cfg(not(miri))]
fn the_environment_chooses() -> Result<(), Box<dyn std::error::Error>> {
    use std::env;
    use std::process::Command;

    /// Says that this is the child.
    const CHILD: &str = "SOFTCUDA_TEST_CHILD";
    if env::var_os(CHILD).is_some() {
        println!("\ncopied: {:?}", in_and_out(&context(0))?);
        return Ok(());
    }
    let output = Command::new(env::current_exe()?)
        .args(["the_environment_chooses", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .env("SOFTCUDA_PAGEABLE", "async")
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    assert!(text.contains("copied: [[0, 0, 0, 0], [2, 2, 2, 2]]"), "{text}");
    Ok(())
}
