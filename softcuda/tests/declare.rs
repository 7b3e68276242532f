//! What a launch declares: it is asked once, when the launch is made, and holds when it runs.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cudarc::driver::sys::CUresult;
use cudarc::driver::{DriverError, PushKernelArg};
use softcuda::Kernel;
use softcuda::ParamKind::Pointer;
use support::{Hold, ONE, context, kernel, misuse, round_trips};

#[test]
fn each_launch_has_what_was_declared_for_it() -> Result<(), DriverError> {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let context = context(0);
    // One word for the first launch, two for the second, and so on.
    Kernel::new("append", [Pointer])
        .declare(|_, memory| memory.read_write::<u32>(0, 1 + ASKED.fetch_add(1, Ordering::Relaxed)))
        .run(|launch| {
            let words = launch.slice_mut::<u32>(0);
            let digit = u32::try_from(words.len()).expect("a few");
            for word in words {
                *word = 10 * *word + digit;
            }
        })
        .register();
    let kernel = kernel(&context, "append")?;
    let stream = context.new_stream()?;
    let mut data = stream.alloc_zeros::<u32>(4)?;

    let hold = Hold::new(&stream);
    for _ in 0..3 {
        let mut launch = stream.launch_builder(&kernel);
        launch.arg(&mut data);
        // SAFETY: the argument is that of the PTX, and the data has more than three elements.
        unsafe { launch.launch(ONE) }?;
    }
    assert_eq!(ASKED.load(Ordering::Relaxed), 3, "when a launch is made");
    hold.release();
    assert_eq!(stream.clone_dtoh(&data)?, [123, 23, 3, 0]);
    assert_eq!(ASKED.load(Ordering::Relaxed), 3, "and not when it runs");
    Ok(())
}

/// On a device of its own: no later call on it succeeds.
#[test]
fn a_launch_that_fails_to_declare_fails_when_its_turn_comes() -> Result<(), DriverError> {
    const FAILED: DriverError = DriverError(CUresult::CUDA_ERROR_LAUNCH_FAILED);
    static HAS_RUN: AtomicBool = AtomicBool::new(false);
    let _misuse = misuse();
    let context = context(1);
    Kernel::new("undeclared", [])
        .declare(|_, _| panic!("this panic is a part of the test"))
        .run(|_| HAS_RUN.store(true, Ordering::Relaxed))
        .register();
    let kernel = kernel(&context, "undeclared")?;
    let stream = context.new_stream()?;

    let hold = Hold::new(&stream);
    // SAFETY: the kernel has no parameters.
    unsafe { stream.launch_builder(&kernel).launch(ONE) }?;
    round_trips(&context)?;
    assert_eq!(context.new_event(None).map(drop), Ok(()), "its turn has not come");
    hold.release();
    assert_eq!(stream.synchronize(), Err(FAILED));
    assert_eq!(context.new_event(None).map(drop), Err(FAILED));
    assert!(!HAS_RUN.load(Ordering::Relaxed));
    assert!(softcuda::reports().iter().any(|report| report.text().contains("undeclared")), "{:?}", softcuda::reports());
    Ok(())
}
