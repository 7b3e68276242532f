//! What a failed call leaves behind, and what it is called.

use cuda_streams::{Error, ErrorCode, Event, EventOptions, EventStatus, Result, Stream, Timed};
use softcuda::{calls, inject};

use crate::common::{device, streams};
use crate::live::trim;
use crate::table::elapsed_time;

/// A code that the table of names has, and two that no driver has.
pub(crate) const CODES: [(u32, &str); 3] =
    [(917, "CUDA_ERROR_STREAM_DETACHED (917)"), (4000, "unknown code 4000"), (0x7fff_ffff, "unknown code 2147483647")];

/// Checks that an error names the call and the code.
pub(crate) fn check_text(error: &Error, call: &str, name: &str) {
    let text = error.to_string();
    assert!(text.contains(call) && text.contains(name), "{text}");
}

/// An operation, with the driver function that it calls.
type Operation = (&'static str, fn(&Stream, &Event<Timed>) -> Result<()>);

/// `failures.rs` does this with every call.
#[test]
fn an_unknown_code_is_told_as_a_number() {
    let operations: [Operation; 9] = [
        ("cuEventRecord", |stream, event| event.record(stream)),
        ("cuEventQuery", |_, event| event.query().map(drop)),
        ("cuEventSynchronize", |_, event| event.synchronize()),
        (elapsed_time(), |_, event| event.elapsed_time(event).map(drop)),
        ("cuEventCreate", |stream, _| {
            trim();
            stream.record_event().map(drop)
        }),
        ("cuStreamWaitEvent", |stream, event| stream.wait_event(event)),
        ("cuStreamQuery", |stream, _| stream.query().map(drop)),
        ("cuStreamSynchronize", |stream, _| stream.synchronize()),
        ("cuStreamCreateWithPriority", |stream, _| stream.device().stream().map(drop)),
    ];
    let [stream] = streams();
    let event = stream.record_event_with(EventOptions::new().timed()).unwrap();
    for (call, operation) in operations {
        for (code, text) in CODES {
            let _failure = inject(call, code);
            let error = operation(&stream, &event).unwrap_err();
            assert_eq!(error, Error::Driver { call, code: ErrorCode::new(code).unwrap() });
            check_text(&error, call, text);
        }
    }
}

#[test]
fn destroy_tells_and_the_handle_is_gone() {
    let [stream] = streams();
    let event = stream.record_event().unwrap();
    let code = ErrorCode::new(4000).unwrap();
    let (made, _failure) = (calls("cuEventDestroy_v2"), inject("cuEventDestroy_v2", 4000));
    assert_eq!(event.destroy(), Err(Error::Driver { call: "cuEventDestroy_v2", code }));
    assert_eq!(calls("cuEventDestroy_v2") - made, 1, "it is not destroyed twice");

    let (made, _failure) = (calls("cuStreamDestroy_v2"), inject("cuStreamDestroy_v2", 4000));
    let (given_back, error) = stream.destroy().unwrap_err();
    assert!(given_back.is_none());
    assert_eq!(error, Error::Driver { call: "cuStreamDestroy_v2", code });
    assert_eq!(calls("cuStreamDestroy_v2") - made, 1, "it is not destroyed twice");
}

/// A record that fails leaves the event as it was: pending, complete or never recorded.
#[test]
fn a_record_that_fails_changes_nothing() {
    let [stream] = streams();
    let fail = |event: &Event| {
        let _failure = inject("cuEventRecord", 4000);
        assert!(event.record(&stream).is_err());
    };
    let never = device().event(EventOptions::new()).unwrap();
    fail(&never);
    assert_eq!(never.status(), Ok(EventStatus::NotRecorded));
    let complete = stream.record_event().unwrap();
    complete.synchronize().unwrap();
    fail(&complete);
    let made = softcuda::all_calls();
    assert_eq!(complete.query(), Ok(true));
    assert_eq!(softcuda::all_calls(), made, "completion is still remembered");
}

/// T500: an error is never "not yet", and is not remembered as completion.
#[test]
fn t500_an_error_is_neither_pending_nor_complete() {
    let [stream] = streams();
    let event = stream.record_event().unwrap();
    for function in ["cuEventQuery", "cuEventSynchronize"] {
        let _failure = inject(function, 719);
        let error = if function == "cuEventQuery" { event.query().unwrap_err() } else { event.synchronize().unwrap_err() };
        assert_eq!(error, Error::Driver { call: function, code: ErrorCode::LAUNCH_FAILED });
        assert!(error.is_sticky());
        assert!(error.to_string().ends_with("only a new process can use this device again"), "{error}");
    }
    stream.synchronize().unwrap();
    let made = calls("cuEventQuery");
    assert_eq!(event.query(), Ok(true));
    assert_eq!(calls("cuEventQuery") - made, 1, "the driver is asked");
    let _failure = inject("cuStreamQuery", 719);
    assert!(stream.query().unwrap_err().is_sticky());
}

/// The codes of an event that was last recorded in a capture.
#[test]
fn a_captured_event_is_told() {
    let [stream] = streams();
    let event = stream.record_event().unwrap();
    for code in [ErrorCode::CAPTURED_EVENT, ErrorCode::INVALID_VALUE] {
        let captured = |call| Err(Error::Captured { call, code: Some(code) });
        let _failures = ["cuEventQuery", "cuEventSynchronize", "cuStreamWaitEvent"].map(|call| inject(call, code.get()));
        assert_eq!(event.query(), captured("cuEventQuery"));
        assert_eq!(event.synchronize().map(|()| true), captured("cuEventSynchronize"));
        assert_eq!(stream.wait_event(&event).map(|()| true), captured("cuStreamWaitEvent"));
        let _failure = inject("cuEventQuery", code.get());
        assert_eq!(event.status(), Ok(EventStatus::Captured));
    }
}
