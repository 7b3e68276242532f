//! A twin that fails takes all contexts with it, as a fault does on hardware: those of its scope, which
//! each test has for itself.

mod support;

use std::sync::Arc;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, CudaFunction, CudaStream, DriverError, LaunchArgs};
use softcuda::{Kernel, Scope};
use support::{ONE, context, kernel, misuse};

const FAILED: DriverError = DriverError(CUresult::CUDA_ERROR_LAUNCH_FAILED);

fn launch(mut launch: LaunchArgs<'_>) -> Result<(), DriverError> {
    // SAFETY: these kernels have no parameters.
    unsafe { launch.launch(ONE) }.map(drop)
}

/// Lets a twin panic on a device. What it was made with is to be kept: cudarc tells later what it could not destroy.
fn trap(context: &Arc<CudaContext>) -> Result<(CudaFunction, Arc<CudaStream>), DriverError> {
    Kernel::new("trap", []).run(|_| panic!("this panic is a part of the test")).register();
    let kernel = kernel(context, "trap")?;
    let stream = context.new_stream()?;
    launch(stream.launch_builder(&kernel))?;
    assert_eq!(stream.synchronize(), Err(FAILED));
    assert_eq!(stream.synchronize(), Err(FAILED));
    Ok((kernel, stream))
}

#[test]
fn a_panic_of_a_twin_is_a_failed_launch_for_good() -> Result<(), DriverError> {
    let _misuse = misuse();
    let context = context(0);
    let _kept = trap(&context)?;
    assert_eq!(context.new_stream().map(drop), Err(FAILED));
    assert_eq!(context.new_event(None).map(drop), Err(FAILED));
    assert_eq!(context.synchronize(), Err(FAILED));
    Ok(())
}

#[test]
fn a_twin_names_the_code_that_it_fails_with() -> Result<(), DriverError> {
    const ILLEGAL: DriverError = DriverError(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    let _misuse = misuse();
    let context = context(0);
    Kernel::new("illegal", []).run(|launch| launch.fail(700)).register();
    let kernel = kernel(&context, "illegal")?;
    let stream = context.new_stream()?;
    launch(stream.launch_builder(&kernel))?;
    assert_eq!(stream.synchronize(), Err(ILLEGAL));
    assert_eq!(context.new_event(None).map(drop), Err(ILLEGAL));
    Ok(())
}

#[test]
fn a_fault_is_one_of_the_other_device_too() -> Result<(), DriverError> {
    let _misuse = misuse();
    let [here, there] = [context(0), context(1)];
    let stream = there.new_stream()?;
    let event = stream.record_event(None)?;
    stream.synchronize()?;
    let _kept = trap(&here)?;
    assert_eq!(event.try_is_complete(), Err(FAILED));
    assert_eq!(stream.synchronize(), Err(FAILED));
    assert_eq!(there.new_stream().map(drop), Err(FAILED));
    Ok(())
}

#[test]
fn a_fault_stays_in_its_scope_and_goes_with_it() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let data = stream.clone_htod(&[7_u32])?;
    let faulted = misuse();
    let kept = trap(&support::context(0))?;
    let outside = std::thread::scope(|threads| {
        let works = threads.spawn(|| (context.bind_to_thread(), stream.synchronize(), stream.clone_dtoh(&data)));
        works.join().expect("no panic")
    });
    assert_eq!(outside, (Ok(()), Ok(()), Ok(vec![7])), "a thread of no scope sees nothing of it");
    let of_the_scope = Scope::current();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let _joined = of_the_scope.join();
            assert_eq!(stream.synchronize(), Err(FAILED));
        });
    });
    drop((kept, faulted));
    stream.synchronize()?;
    context.new_stream()?.synchronize()?;
    drop((data, stream, context));
    assert_eq!(softcuda::reports(), [], "nobody else is blamed for what could not be destroyed");
    Ok(())
}
