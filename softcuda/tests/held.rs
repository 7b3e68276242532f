//! Work behind a kernel that does not end: it must not be done, and it must be done later.

mod support;

use cudarc::driver::{DriverError, PushKernelArg};
use support::{Hold, ONE, add, context, round_trips};

#[test]
fn a_copy_behind_a_hold_changes_no_byte_until_the_release() -> Result<(), DriverError> {
    let context = context(0);
    let (busy, other) = (context.new_stream()?, context.new_stream()?);
    let mut data = busy.clone_htod(&[1_u32; 64])?;
    busy.synchronize()?;

    let hold = Hold::new(&busy);
    busy.memcpy_htod(&[2_u32; 64], &mut data)?;
    round_trips(&context)?;
    assert_eq!(other.clone_dtoh(&data)?, [1; 64]);
    hold.release();
    assert_eq!(busy.clone_dtoh(&data)?, [2; 64]);
    Ok(())
}

#[test]
fn a_copy_to_pinned_memory_is_made_after_the_release() -> Result<(), DriverError> {
    let context = context(0);
    let busy = context.new_stream()?;
    let data = busy.clone_htod(&[7_u32; 4])?;
    // SAFETY: written before it is read.
    let mut pinned = unsafe { context.alloc_pinned::<u32>(4) }?;
    pinned.as_mut_slice()?.fill(1);
    let first = pinned.as_ptr()?;
    busy.synchronize()?;

    let hold = Hold::new(&busy);
    busy.memcpy_dtoh(&data, &mut pinned)?;
    round_trips(&context)?;
    // SAFETY: the copy waits for the release.
    assert_eq!(unsafe { first.read() }, 1);
    hold.release();
    busy.synchronize()?;
    assert_eq!(pinned.as_slice()?, [7; 4]);
    Ok(())
}

#[test]
fn a_memset_behind_a_hold_changes_no_byte_until_the_release() -> Result<(), DriverError> {
    let context = context(0);
    let (busy, other) = (context.new_stream()?, context.new_stream()?);
    let mut data = busy.clone_htod(&[1_u32; 64])?;
    busy.synchronize()?;

    let hold = Hold::new(&busy);
    busy.memset_zeros(&mut data)?;
    round_trips(&context)?;
    assert_eq!(other.clone_dtoh(&data)?, [1; 64]);
    hold.release();
    assert_eq!(busy.clone_dtoh(&data)?, [0; 64]);
    Ok(())
}

#[test]
fn a_kernel_behind_a_hold_runs_later_with_the_parameters_of_the_call() -> Result<(), DriverError> {
    let context = context(0);
    let (busy, other) = (context.new_stream()?, context.new_stream()?);
    let kernel = add(&context);
    let mut data = busy.clone_htod(&[1_u32; 64])?;
    busy.synchronize()?;

    let hold = Hold::new(&busy);
    let (n, mut by) = (64_u32, 10_u32);
    let mut launch = busy.launch_builder(&kernel);
    launch.arg(&n).arg(&by).arg(&mut data);
    // SAFETY: the arguments are those of the PTX, the data has 64 elements.
    unsafe { launch.launch(ONE) }?;
    drop(launch);
    by += 100;
    round_trips(&context)?;
    assert_eq!(other.clone_dtoh(&data)?, [1; 64]);
    hold.release();
    assert_eq!(busy.clone_dtoh(&data)?, [11; 64], "not {by} more");
    Ok(())
}

#[test]
fn an_event_behind_a_hold_completes_with_the_release() -> Result<(), DriverError> {
    let context = context(0);
    let busy = context.new_stream()?;
    let hold = Hold::new(&busy);
    let event = busy.record_event(None)?;
    round_trips(&context)?;
    assert_eq!(event.try_is_complete(), Ok(false));
    hold.release();
    event.synchronize()?;
    assert_eq!(event.try_is_complete(), Ok(true));
    Ok(())
}
