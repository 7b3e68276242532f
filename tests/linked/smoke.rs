//! cudarc's safe layer on the software driver: what every other test builds on.

use std::sync::Arc;

use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{CudaContext, CudaFunction, DriverError, LaunchConfig, PushKernelArg};
use softcuda::Kernel;
use softcuda::ParamKind::{F32, Int32, Pointer};

const SAXPY: &str = "
.version 7.0
.target sm_50
.address_size 64
.visible .entry saxpy(.param .u32 n, .param .f32 a, .param .u64 x, .param .u64 y)
{
    ret;
}";

fn saxpy(context: &Arc<CudaContext>) -> Result<CudaFunction, DriverError> {
    Kernel::new("saxpy", [Int32, F32, Pointer, Pointer])
        .declare(|launch, memory| {
            let n = launch.u32(0) as usize;
            memory.read::<f32>(2, n);
            memory.read_write::<f32>(3, n);
        })
        .run(|launch| {
            let a = launch.f32(1);
            for (y, x) in launch.slice_mut::<f32>(3).iter_mut().zip(launch.slice::<f32>(2)) {
                *y += a * x;
            }
        })
        .register();
    context.load_module(SAXPY.into())?.load_function("saxpy")
}

#[test]
fn the_driver_is_the_software_one() {
    assert_eq!(softcuda::choose(), Ok(softcuda::Choice::Software));
    let before = softcuda::calls("cuDeviceGetCount");
    assert_eq!(CudaContext::device_count(), Ok(2));
    assert_eq!(softcuda::calls("cuDeviceGetCount"), before + 1);
}

#[test]
fn copies_and_a_kernel_are_timed_on_a_stream() -> Result<(), DriverError> {
    const N: u32 = 1000;
    let context = CudaContext::new(0)?;
    let kernel = saxpy(&context)?;
    let stream = context.new_stream()?;

    let x = stream.clone_htod(&vec![1.0_f32; N as usize])?;
    let mut y = stream.clone_htod(&vec![0.5_f32; N as usize])?;
    let timed = Some(CUevent_flags::CU_EVENT_DEFAULT);
    let start = stream.record_event(timed)?;
    for _ in 0..3 {
        let mut launch = stream.launch_builder(&kernel);
        launch.arg(&N).arg(&2.0_f32).arg(&x).arg(&mut y);
        // SAFETY: the arguments are those of the PTX, and both vectors have N elements.
        unsafe { launch.launch(LaunchConfig::for_num_elems(N)) }?;
    }
    let end = stream.record_event(timed)?;
    assert_eq!(stream.clone_dtoh(&y)?, vec![6.5; N as usize]);
    assert!(start.elapsed_ms(&end)? >= 0.0);
    Ok(())
}

#[test]
fn a_stream_waits_for_another() -> Result<(), DriverError> {
    let context = CudaContext::new(1)?;
    let (producer, consumer) = (context.new_stream()?, context.new_stream()?);
    let source = producer.clone_htod(&[1_u32, 2, 3])?;
    let mut target = producer.alloc_zeros::<u32>(3)?;
    consumer.wait(&producer.record_event(None)?)?;
    consumer.memcpy_dtod(&source, &mut target)?;
    assert_eq!(consumer.clone_dtoh(&target)?, [1, 2, 3]);
    producer.join(&consumer)?;
    producer.synchronize()
}
