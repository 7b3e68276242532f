//! What drivers answer for events and streams of others.

use std::time::Duration;

use cuda_streams::{AsEvent, AsStream, Error, ErrorCode, EventFlags, EventRef, EventStatus, ExternalStream, HostWait, Result};
use softcuda::{Injection, calls, inject};

use crate::common::theirs::{NON_BLOCKING, TheirEvent, TheirStream};
use crate::common::{device, streams};

fn theirs() -> (TheirStream, TheirEvent) {
    let context = device().context().expect("the primary context");
    (TheirStream::new(context, NON_BLOCKING), TheirEvent::new(context, EventFlags::DISABLE_TIMING.bits()))
}

fn view(event: &TheirEvent) -> EventRef<'_> {
    // SAFETY: the event lives as long as the borrow.
    unsafe { EventRef::from_raw(event.as_raw()) }
}

fn external(stream: &TheirStream) -> ExternalStream<&TheirStream> {
    // SAFETY: the stream is borrowed from its owner.
    unsafe { ExternalStream::with_owner(stream.as_raw(), stream) }.expect("a stream that is alive")
}

#[test]
fn a_captured_event_of_others_is_told() {
    let ([stream], (_, event)) = (streams(), theirs());
    for code in [ErrorCode::CAPTURED_EVENT, ErrorCode::INVALID_VALUE] {
        let captured = |call| Err(Error::Captured { call, code: Some(code) });
        let _failures: [Injection; 3] = ["cuEventQuery", "cuEventSynchronize", "cuStreamWaitEvent"].map(|call| inject(call, code.get()));
        assert_eq!(view(&event).query(), captured("cuEventQuery"));
        assert_eq!(view(&event).synchronize().map(|()| true), captured("cuEventSynchronize"));
        assert_eq!(stream.wait_event(view(&event)).map(|()| true), captured("cuStreamWaitEvent"));
        let _failure = inject("cuEventQuery", code.get());
        assert_eq!(view(&event).status(), Ok(EventStatus::Captured));
        let _failure = inject("cuEventQuery", code.get());
        assert_eq!(view(&event).synchronize_timeout(Duration::MAX), captured("cuEventQuery"));
    }
}

#[test]
fn an_error_is_never_the_end_of_a_limit() {
    let ([stream], (their_stream, their_event)) = (streams(), theirs());
    let event = stream.record_event().unwrap();
    let external = external(&their_stream);
    let waits: [(&str, &dyn Fn() -> Result<bool>); 5] = [
        ("cuEventQuery", &|| event.synchronize_timeout(Duration::ZERO)),
        ("cuEventQuery", &|| event.as_event().synchronize_timeout(Duration::MAX)),
        ("cuEventQuery", &|| view(&their_event).synchronize_timeout(Duration::MAX)),
        ("cuStreamQuery", &|| stream.synchronize_timeout(Duration::ZERO)),
        ("cuStreamQuery", &|| external.synchronize_timeout(Duration::MAX)),
    ];
    for (call, wait) in waits {
        let _failure = inject(call, ErrorCode::LAUNCH_FAILED.get());
        assert_eq!(wait(), Err(Error::Driver { call, code: ErrorCode::LAUNCH_FAILED }));
    }
    stream.synchronize().unwrap();
    assert_eq!(event.synchronize_timeout(Duration::ZERO), Ok(true), "and not remembered as one");
}

#[test]
fn what_an_external_stream_is_asked_for_may_be_refused() {
    let (theirs, _event) = theirs();
    let stream = external(&theirs);
    let asks: [(&str, &dyn Fn() -> Result<()>); 4] = [
        ("cuStreamGetPriority", &|| stream.priority().map(drop)),
        ("cuStreamGetFlags", &|| stream.is_blocking().map(drop)),
        ("cuStreamIsCapturing", &|| stream.is_capturing().map(drop)),
        ("cuStreamIsCapturing", &|| stream.id().map(drop)),
    ];
    for (call, ask) in asks {
        let _failure = inject(call, 4000);
        assert_eq!(ask(), Err(Error::Driver { call, code: ErrorCode::new(4000).unwrap() }));
    }
}

/// While a blocking stream of its context is captured, whether the legacy stream is cannot be told.
#[test]
fn an_implicit_capture_is_an_error() {
    let stream = device().default_stream().unwrap();
    let implicit = ErrorCode::new(906).unwrap();
    let _failure = inject("cuStreamIsCapturing", implicit.get());
    assert_eq!(stream.as_stream().is_capturing(), Err(Error::Driver { call: "cuStreamIsCapturing", code: implicit }));
}

/// From drivers that take it only before the context exists.
#[test]
fn a_way_to_wait_may_be_refused() {
    let device = device();
    let refused = ErrorCode::new(708).unwrap();
    let _failure = inject("cuDevicePrimaryCtxSetFlags_v2", refused.get());
    let error = device.set_host_wait(HostWait::Block).unwrap_err();
    assert_eq!(error, Error::Driver { call: "cuDevicePrimaryCtxSetFlags_v2", code: refused });
    assert_eq!(error.to_string(), "`cuDevicePrimaryCtxSetFlags_v2` failed: CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE (708)");
    assert_eq!(device.host_wait(), Ok(HostWait::Auto));
    let made = calls("cuDevicePrimaryCtxSetFlags_v2");
    let _failure = inject("cuDevicePrimaryCtxGetState", 4000);
    assert!(device.set_host_wait(HostWait::Block).is_err());
    assert_eq!(calls("cuDevicePrimaryCtxSetFlags_v2"), made, "what the other flags are is not guessed");
}
