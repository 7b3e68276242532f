//! A twin that fails takes the context with it, as a fault does on hardware. Each test has a device
//! of its own: no later call on it succeeds.

mod support;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{DriverError, LaunchArgs};
use softcuda::Kernel;
use support::{ONE, context, kernel, misuse};

fn launch(mut launch: LaunchArgs<'_>) -> Result<(), DriverError> {
    // SAFETY: these kernels have no parameters.
    unsafe { launch.launch(ONE) }.map(drop)
}

#[test]
fn a_panic_of_a_twin_is_a_failed_launch_for_good() -> Result<(), DriverError> {
    const FAILED: DriverError = DriverError(CUresult::CUDA_ERROR_LAUNCH_FAILED);
    let _misuse = misuse();
    let context = context(0);
    Kernel::new("trap", []).run(|_| panic!("this panic is a part of the test")).register();
    let kernel = kernel(&context, "trap")?;
    let stream = context.new_stream()?;
    launch(stream.launch_builder(&kernel))?;
    assert_eq!(stream.synchronize(), Err(FAILED));
    assert_eq!(stream.synchronize(), Err(FAILED));
    assert_eq!(context.new_stream().map(drop), Err(FAILED));
    Ok(())
}

#[test]
fn a_twin_names_the_code_that_it_fails_with() -> Result<(), DriverError> {
    const ILLEGAL: DriverError = DriverError(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    let _misuse = misuse();
    let context = context(1);
    Kernel::new("illegal", []).run(|launch| launch.fail(700)).register();
    let kernel = kernel(&context, "illegal")?;
    let stream = context.new_stream()?;
    launch(stream.launch_builder(&kernel))?;
    assert_eq!(stream.synchronize(), Err(ILLEGAL));
    assert_eq!(context.new_event(None).map(drop), Err(ILLEGAL));
    Ok(())
}
