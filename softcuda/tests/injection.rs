//! Calls that fail on demand.

mod support;

use std::panic::catch_unwind;
use std::sync::Arc;
use std::thread;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, DriverError};
use softcuda::inject;
use support::context;

/// `CUDA_ERROR_OUT_OF_MEMORY`
const OUT_OF_MEMORY: u32 = 2;
const REFUSED: Result<(), DriverError> = Err(DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY));

fn create(context: &Arc<CudaContext>) -> Result<(), DriverError> {
    context.new_event(None).map(drop)
}

#[test]
fn the_next_call_fails_once() {
    let context = context(0);
    let _failure = inject("cuEventCreate", OUT_OF_MEMORY);
    assert_eq!(context.new_stream().map(drop), Ok(()), "another function");
    assert_eq!(create(&context), REFUSED);
    assert_eq!(create(&context), Ok(()));
}

#[test]
fn calls_pass_before_the_failure() {
    let context = context(0);
    let _failure = inject("cuEventCreate", OUT_OF_MEMORY).after(2);
    assert_eq!([(); 4].map(|()| create(&context)), [Ok(()), Ok(()), REFUSED, Ok(())]);
}

#[test]
fn a_failure_is_one_threads_alone() {
    let context = context(0);
    let _failure = inject("cuEventCreate", OUT_OF_MEMORY);
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(create(&context), Ok(())));
    });
    assert_eq!(create(&context), REFUSED);
}

#[test]
fn a_dropped_failure_does_not_come_and_leaves_the_others() {
    let context = context(0);
    let first = inject("cuEventCreate", OUT_OF_MEMORY);
    let _third = inject("cuEventCreate", OUT_OF_MEMORY).after(2);
    drop(first);
    assert_eq!([(); 4].map(|()| create(&context)), [Ok(()), Ok(()), REFUSED, Ok(())]);
}

#[test]
fn a_function_that_the_driver_lacks_is_a_mistake_of_the_test() {
    softcuda::install().expect("the software driver");
    catch_unwind(|| inject("cuEventCraete", OUT_OF_MEMORY)).expect_err("a typing error");
    catch_unwind(|| softcuda::calls("cuEventCraete")).expect_err("a typing error");
}

#[test]
fn calls_are_counted_by_thread_and_by_function() {
    let context = context(0);
    let (creates, all) = (softcuda::calls("cuEventCreate"), softcuda::all_calls());
    thread::scope(|scope| {
        scope.spawn(|| {
            create(&context).expect("an event");
            assert_eq!(softcuda::calls("cuEventCreate"), 1);
        });
    });
    assert_eq!(softcuda::calls("cuEventCreate"), creates);
    assert_eq!(softcuda::all_calls(), all);
    create(&context).expect("an event");
    assert_eq!(softcuda::calls("cuEventCreate"), creates + 1);
    assert!(softcuda::all_calls() > all + 1, "the event is destroyed too");
}
