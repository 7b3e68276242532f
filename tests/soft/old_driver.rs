//! Drivers that lack functions of the table: those with a fallback, and those without.

use std::collections::HashSet;
use std::process::Command;

use cuda_streams::{Context, Device, DeviceAttribute, Error, ErrorCode, Event, ExternalStream, Which, driver_version};
use softcuda::{calls, inject};

use crate::common::contexts::SecondContext;
use crate::common::hold::Hold;
use crate::common::theirs::{NON_BLOCKING, TheirStream};
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
        assert_eq!((softcuda::symbol(c"cuCtxGetId"), softcuda::symbol(c"cuStreamGetId")), (None, None));
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

/// Without ids every handle of a second context is a context of its own; an event finds its one by number.
#[test]
fn without_ids_each_event_finds_its_context_among_hundreds() {
    child::run("old_driver::without_ids_each_event_finds_its_context_among_hundreds", without("cuCtxGetId"), || {
        let second = SecondContext::new(device());
        // SAFETY: the context lives until the end.
        let context = unsafe { Context::from_raw(second.as_raw()) }.unwrap();
        let theirs = TheirStream::new(context, NON_BLOCKING);
        // SAFETY: the stream lives until the end.
        let streams: Vec<_> = (0..300).map(|_| unsafe { ExternalStream::from_raw(theirs.as_raw()) }.unwrap()).collect();
        let events: Vec<_> = streams.iter().map(|stream| stream.record_event().unwrap()).collect();
        let contexts: HashSet<_> = events.iter().map(|event| event.context().unwrap()).collect();
        assert_eq!(contexts.len(), streams.len());
        for (stream, event) in streams.iter().zip(&events) {
            assert_eq!(event.context(), Some(stream.context()));
            event.synchronize().unwrap();
        }
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
        assert_eq!(calls("cuEventElapsedTime"), 1);
        assert_eq!(softcuda::symbol(c"cuEventElapsedTime_v2"), None);
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
            event.record(device.per_thread_stream().unwrap()).unwrap();
        }
        assert_eq!(events[0].elapsed_time(&events[1]), Err(missing("cuEventElapsedTime")));
        assert!(Device::count().is_ok());
    });
}

/// A child with the driver of a CUDA version.
fn version(version: &'static str) -> impl FnOnce(&mut Command) {
    move |command| {
        command.env("SOFTCUDA_VERSION", version).env_remove("SOFTCUDA_DEVICE");
    }
}

/// Streams, order and time; and what the driver is too old to know is its error.
fn check_an_old_driver(version: (u32, u32), last_attribute: u32) {
    assert_eq!(driver_version(), Ok(version));
    let has_ids = version >= (12, 0);
    let device = device();
    assert_eq!(Device::by_uuid(device.uuid().unwrap()), Ok(device));
    assert_eq!(device.compute_capability(), Ok((9, 0)));
    assert!(device.attribute(DeviceAttribute::new(last_attribute)).is_ok());
    let unknown = Err(Error::Driver { call: "cuDeviceGetAttribute", code: ErrorCode::INVALID_VALUE });
    assert_eq!(device.attribute(DeviceAttribute::new(last_attribute + 1)), unknown);

    let [first, second] = streams();
    assert_ne!(first.id(), second.id());
    assert_eq!(first.context().id().is_some(), has_ids);
    assert_eq!((calls("cuCtxGetId") > 0, calls("cuStreamGetId") > 0), (has_ids, has_ids));
    let (start, end) = (Event::timed(), Event::timed());
    let hold = Hold::new(&first);
    start.record(&first).unwrap();
    second.wait_event(&start).unwrap();
    end.record(&second).unwrap();
    assert_eq!(end.query(), Ok(false));
    assert_eq!(start.elapsed_time(&end), Err(Error::NotComplete { which: Which::Start }));
    hold.release();
    end.synchronize().unwrap();
    assert!(start.elapsed_time(&end).unwrap().as_millis_f32() >= 0.0);
    assert_eq!(calls("cuEventElapsedTime_v2") > 0, version >= (12, 8));
    assert_eq!(calls("cuEventElapsedTime") > 0, version < (12, 8));
}

#[test]
fn the_crate_works_on_cuda_11_4() {
    child::run("old_driver::the_crate_works_on_cuda_11_4", version("11.4"), || check_an_old_driver((11, 4), 119));
}

#[test]
fn the_crate_works_on_cuda_12_0() {
    child::run("old_driver::the_crate_works_on_cuda_12_0", version("12.0"), || check_an_old_driver((12, 0), 129));
}

#[test]
fn the_crate_works_on_cuda_12_8() {
    child::run("old_driver::the_crate_works_on_cuda_12_8", version("12.8"), || check_an_old_driver((12, 8), 143));
}

/// A driver that is older than the oldest supported one lacks functions that have no fallback.
#[test]
fn a_driver_that_is_too_old_is_told_to_be_updated() {
    child::run("old_driver::a_driver_that_is_too_old_is_told_to_be_updated", version("10.2"), || {
        assert_eq!(driver_version(), Ok((10, 2)));
        let error = device().uuid().unwrap_err();
        assert_eq!(error, Error::MissingSymbol { symbol: "cuDeviceGetUuid_v2" });
        assert_eq!(error.to_string(), "the installed driver has no `cuDeviceGetUuid_v2`: update the NVIDIA driver");
    });
}

/// A code that happens to be the mark of a missing function is a code all the same.
#[test]
fn no_code_is_taken_for_a_missing_function() {
    let [stream] = streams();
    let _failure = inject("cuStreamQuery", u32::MAX);
    assert_eq!(stream.query(), Err(Error::Driver { call: "cuStreamQuery", code: ErrorCode::new(u32::MAX).unwrap() }));
}
