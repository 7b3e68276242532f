//! Which twin a kernel gets, and which it does not.

mod support;

use std::panic::catch_unwind;

use cudarc::driver::sys::{CUfunction_attribute, CUresult};
use cudarc::driver::{DriverError, PushKernelArg};
use softcuda::Kernel;
use softcuda::ParamKind::{Int32, Int64, Pointer};
use support::{ONE, add, context, kernel, misuse};

fn reported(words: &[&str]) -> bool {
    softcuda::reports().iter().any(|report| words.iter().all(|word| report.text().contains(word)))
}

#[test]
fn a_kernel_without_a_twin_is_refused_and_reported() {
    let _misuse = misuse();
    let error = kernel(&context(0), "without_twin").expect_err("nobody registers it");
    assert_eq!(error, DriverError(CUresult::CUDA_ERROR_NOT_SUPPORTED));
    assert!(reported(&["without_twin"]), "{:?}", softcuda::reports());
}

#[test]
fn a_twin_of_other_types_is_refused_and_reported() {
    let _misuse = misuse();
    let context = context(0);
    Kernel::new("other_types", [Int32, Int64]).register();
    let error = kernel(&context, "other_types").expect_err("its second parameter is an f32");
    assert_eq!(error, DriverError(CUresult::CUDA_ERROR_NOT_SUPPORTED));
    assert!(reported(&["other_types", "Int64", "F32"]), "{:?}", softcuda::reports());
}

#[test]
fn an_entry_that_the_module_lacks_is_not_found() {
    let error = kernel(&context(0), "absent").expect_err("it is not in the PTX");
    assert_eq!(error, DriverError(CUresult::CUDA_ERROR_NOT_FOUND));
}

#[test]
fn a_kernel_works_in_place_on_cells() -> Result<(), DriverError> {
    let context = context(0);
    Kernel::new("double", [Int32, Pointer, Pointer])
        .declare(|launch, memory| {
            let n = launch.u32(0) as usize;
            memory.read_write::<u32>(1, n);
            memory.read_write::<u32>(2, n);
        })
        .run(|launch| {
            for (from, to) in launch.cells::<u32>(1).iter().zip(launch.cells::<u32>(2)) {
                to.set(2 * from.get());
            }
        })
        .register();
    let kernel = kernel(&context, "double")?;
    let stream = context.new_stream()?;
    let data = stream.clone_htod(&[1_u32, 2, 3])?;
    let mut launch = stream.launch_builder(&kernel);
    launch.arg(&3_u32).arg(&data).arg(&data);
    // SAFETY: the arguments are those of the PTX; nobody else uses the data.
    unsafe { launch.launch(ONE) }?;
    assert_eq!(stream.clone_dtoh(&data)?, [2, 4, 6]);
    Ok(())
}

#[test]
fn the_same_kernel_may_be_registered_again_but_no_other_of_its_name() {
    softcuda::install().expect("the software driver");
    let register = || Kernel::new("again", [Int32]).run(|_| {}).register();
    register();
    register();
    catch_unwind(|| Kernel::new("again", [Int64]).run(|_| {}).register()).expect_err("other parameters");
    catch_unwind(|| Kernel::new("again", [Int32]).run(|launch| launch.fail(700)).register()).expect_err("another closure");
}

#[test]
fn a_closure_with_captures_is_registered_once() {
    softcuda::install().expect("the software driver");
    let register = |code: u32| catch_unwind(move || Kernel::new("captures", []).run(move |launch| launch.fail(code)).register());
    register(700).expect("nothing of that name is registered");
    register(701).expect_err("nobody can tell whether it does the same");
}

#[test]
fn a_kernel_tells_what_it_would_be_on_the_device() -> Result<(), DriverError> {
    use CUfunction_attribute::{
        CU_FUNC_ATTRIBUTE_BINARY_VERSION, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, CU_FUNC_ATTRIBUTE_MAX,
        CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, CU_FUNC_ATTRIBUTE_NUM_REGS, CU_FUNC_ATTRIBUTE_PTX_VERSION,
    };
    let context = context(0);
    let kernel = add(&context);
    let numbers = [CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, CU_FUNC_ATTRIBUTE_PTX_VERSION];
    assert_eq!(numbers.map(|number| kernel.get_attribute(number)), [Ok(1024), Ok(0), Ok(50)]);
    let (major, minor) = context.compute_capability()?;
    assert_eq!(kernel.get_attribute(CU_FUNC_ATTRIBUTE_BINARY_VERSION), Ok(10 * major + minor));
    assert_eq!(kernel.get_attribute(CU_FUNC_ATTRIBUTE_NUM_REGS), Err(DriverError(CUresult::CUDA_ERROR_NOT_SUPPORTED)));
    assert_eq!(kernel.get_attribute(CU_FUNC_ATTRIBUTE_MAX), Err(DriverError(CUresult::CUDA_ERROR_INVALID_VALUE)));
    Ok(())
}
