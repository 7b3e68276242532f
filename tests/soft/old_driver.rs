//! Drivers that lack functions of the table: those with a fallback, and those without.

use std::process::Command;

use cuda_streams::{Device, Error, ErrorCode, Event};
use softcuda::{calls, inject};

use crate::common::{child, device, streams};

/// A child whose driver lacks these functions.
fn without(functions: &'static str) -> impl FnOnce(&mut Command) {
    move |command| {
        command.env("SOFTCUDA_WITHOUT", functions);
    }
}

/// Before 12.0 the driver has no ids: streams get numbers of this crate's, contexts none.
#[test]
fn without_ids_streams_are_told_apart_all_the_same() {
    child::run("old_driver::without_ids_streams_are_told_apart_all_the_same", without("cuCtxGetId,cuStreamGetId"), || {
        let [first, second] = streams();
        assert_ne!(first, second);
        assert_ne!(first.id(), second.id());
        assert_eq!(first.context(), second.context());
        assert_eq!(first.context().id(), None);
        second.wait_stream(&first).unwrap();
        second.synchronize().unwrap();
        assert_eq!((calls("cuCtxGetId"), calls("cuStreamGetId")), (0, 0));
    });
}

/// Without ids there is no asking back whether a context lives: the driver's word is taken.
#[test]
fn without_ids_the_drivers_answer_ends_the_context() {
    child::run("old_driver::without_ids_the_drivers_answer_ends_the_context", without("cuCtxGetId"), || {
        let [stream] = streams();
        let death = inject("cuStreamQuery", ErrorCode::CONTEXT_IS_DESTROYED.get());
        assert_eq!(stream.query(), Err(Error::ContextDestroyed { device: 0 }));
        drop(death);
        assert_eq!(stream.query(), Err(Error::ContextDestroyed { device: 0 }));
        assert_ne!(device().stream().unwrap().context(), stream.context());
    });
}

/// Before 12.8 there is only the first form.
#[test]
fn without_the_second_form_the_first_tells_the_time() {
    child::run("old_driver::without_the_second_form_the_first_tells_the_time", without("cuEventElapsedTime_v2"), || {
        let [stream] = streams();
        let (start, end) = (Event::timed(), Event::timed());
        start.record(&stream).unwrap();
        end.record(&stream).unwrap();
        end.synchronize().unwrap();
        assert!(start.elapsed_time(&end).unwrap().as_millis_f32() >= 0.0);
        assert_eq!((calls("cuEventElapsedTime"), calls("cuEventElapsedTime_v2")), (1, 0));
    });
}

#[test]
fn a_function_without_a_fallback_is_named() {
    let functions = "cuStreamGetPriority,cuEventElapsedTime,cuEventElapsedTime_v2,cuDeviceTotalMem_v2";
    child::run("old_driver::a_function_without_a_fallback_is_named", without(functions), || {
        let missing = |symbol| Error::MissingSymbol { symbol };
        let device = device();
        assert_eq!(device.total_memory(), Err(missing("cuDeviceTotalMem_v2")));
        let before = softcuda::live().streams;
        let error = device.stream().unwrap_err();
        assert_eq!(error, missing("cuStreamGetPriority"));
        assert_eq!(error.code(), None);
        assert!(error.to_string().contains("`cuStreamGetPriority`") && error.to_string().contains("update"), "{error}");
        assert_eq!(softcuda::live().streams, before, "the stream is given back");

        let events = [Event::timed(), Event::timed()];
        for event in &events {
            event.bind(device).unwrap();
        }
        assert_eq!(events[0].elapsed_time(&events[1]), Err(missing("cuEventElapsedTime")));
        assert!(Device::count().is_ok());
    });
}

/// A code that happens to be the mark of a missing function is a code all the same.
#[test]
fn no_code_is_taken_for_a_missing_function() {
    let [stream] = streams();
    let _failure = inject("cuStreamQuery", u32::MAX);
    assert_eq!(stream.query(), Err(Error::Driver { call: "cuStreamQuery", code: ErrorCode::new(u32::MAX).unwrap() }));
}
