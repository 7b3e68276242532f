//! Two devices.

mod support;

use cudarc::driver::{CudaContext, DriverError};
use support::{Hold, context, round_trips};

#[test]
fn there_are_two_devices_with_contexts_of_their_own() -> Result<(), DriverError> {
    let contexts = [context(0), context(1)];
    assert_eq!(CudaContext::device_count(), Ok(2));
    assert_eq!(contexts.each_ref().map(|context| context.ordinal()), [0, 1]);
    assert_ne!(contexts[0].cu_ctx(), contexts[1].cu_ctx());
    assert_ne!(contexts[0].uuid()?.bytes, contexts[1].uuid()?.bytes);
    assert!(CudaContext::new(2).is_err());
    Ok(())
}

#[test]
fn memory_of_one_device_is_not_the_others() -> Result<(), DriverError> {
    let streams = [context(0).new_stream()?, context(1).new_stream()?];
    let data = [streams[0].clone_htod(&[1_u32; 8])?, streams[1].clone_htod(&[2_u32; 8])?];
    assert_eq!(streams[0].clone_dtoh(&data[0])?, [1; 8]);
    assert_eq!(streams[1].clone_dtoh(&data[1])?, [2; 8]);
    Ok(())
}

#[test]
fn a_stream_waits_for_an_event_of_the_other_device() -> Result<(), DriverError> {
    let contexts = [context(0), context(1)];
    let [producer, consumer] = [contexts[0].new_stream()?, contexts[1].new_stream()?];
    let hold = Hold::new(&producer);
    let recorded = producer.record_event(None)?;
    // SAFETY: both handles are alive. (The safe call refuses events of another context.)
    unsafe { cudarc::driver::result::stream::wait_event(consumer.cu_stream(), recorded.cu_event(), WAIT_DEFAULT) }?;
    let waited = consumer.record_event(None)?;
    round_trips(&contexts[1])?;
    assert_eq!(waited.try_is_complete(), Ok(false));
    hold.release();
    waited.synchronize()?;
    assert_eq!(recorded.try_is_complete(), Ok(true));
    Ok(())
}

const WAIT_DEFAULT: cudarc::driver::sys::CUevent_wait_flags = cudarc::driver::sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
