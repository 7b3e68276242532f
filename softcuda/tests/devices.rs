//! Two devices.

mod support;

use std::ptr;

use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::{CudaContext, DriverError, result, sys};
use softcuda::Scope;
use support::peer_event::{destroy, interprocess_event};
use support::reported::check_reported;
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
    unsafe { result::stream::wait_event(consumer.cu_stream(), recorded.cu_event(), WAIT_DEFAULT) }?;
    let waited = consumer.record_event(None)?;
    round_trips(&contexts[1])?;
    assert_eq!(waited.try_is_complete(), Ok(false));
    hold.release();
    waited.synchronize()?;
    assert_eq!(recorded.try_is_complete(), Ok(true));
    Ok(())
}

/// Where a real driver crashes.
#[test]
fn no_stream_waits_for_an_interprocess_event_of_another_context() -> Result<(), DriverError> {
    let contexts = [context(0), context(1)];
    let _scope = Scope::enter();
    contexts[0].bind_to_thread()?;
    let event = interprocess_event();
    let own = contexts[0].new_stream()?;
    // SAFETY: both handles are alive.
    unsafe { result::stream::wait_event(own.cu_stream(), event, WAIT_DEFAULT) }?;
    for device in [0, 1] {
        let mut other = ptr::null_mut();
        // SAFETY: a valid place; the parameters are those of a plain context.
        unsafe { sys::cuCtxCreate_v4(&raw mut other, ptr::null_mut(), 0, device) }.result()?;
        let consumer = result::stream::create(StreamKind::NonBlocking)?;
        check_reported("a wait", &["event", "is to wait for an interprocess event of another context"], || {
            // SAFETY: both handles are alive.
            let waits = unsafe { result::stream::wait_event(consumer, event, WAIT_DEFAULT) };
            assert_eq!(waits, Err(DriverError(sys::CUresult::CUDA_ERROR_INVALID_HANDLE)));
        });
        // SAFETY: alive, and not used any more.
        unsafe { result::stream::destroy(consumer) }?;
        // SAFETY: as above.
        unsafe { sys::cuCtxDestroy_v2(other) }.result()?;
    }
    destroy(event);
    Ok(())
}

const WAIT_DEFAULT: sys::CUevent_wait_flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
