//! A context that dies under its handles. Each in a process of its own: a dead context is dead for
//! all of its handles. On a driver with ids, since only they tell; `old_driver.rs` has one without.

use std::process::Command;

use cuda_streams::{CaptureMode, Device, Error, ErrorCode, Event, EventOptions, Result, Stream, Timed};
use softcuda::{Report, Scope, all_calls, calls, inject, live, reports};

use crate::common::{child, contexts, device, raw, streams};

/// A child whose driver tells contexts apart, and where a context may end with objects in it.
fn deadly(command: &mut Command) {
    child::newest_driver(command);
    child::with_reports(command);
}

/// The driver calls of this thread, but for the question what is current, which is of no handle.
fn calls_on_handles() -> u64 {
    all_calls() - calls("cuCtxGetCurrent")
}

/// A stream with two events of it, one complete and one not yet asked.
struct Handles {
    stream: Stream,
    complete: Event,
    timed: Event<Timed>,
}

impl Handles {
    fn new(device: Device) -> Self {
        let stream = device.stream().unwrap();
        let complete = stream.record_event().unwrap();
        let timed = stream.record_event_with(EventOptions::new().timed()).unwrap();
        complete.synchronize().unwrap();
        stream.synchronize().unwrap();
        Self { stream, complete, timed }
    }

    /// Checks that every operation says what happened, and none reaches the driver.
    fn check_dead(&self) {
        let Self { stream, complete, timed } = self;
        let (before, dead) = (calls_on_handles(), Err(Error::ContextDestroyed { device: stream.device().ordinal() }));
        let results: [(&str, Result<()>); 18] = [
            ("Stream::query", stream.query().map(drop)),
            ("Stream::synchronize", stream.synchronize()),
            ("Stream::record", stream.record(Event::new())),
            ("Stream::record_event", stream.record_event().map(drop)),
            ("Stream::wait_event", stream.wait_event(timed)),
            ("Stream::wait_stream", stream.wait_stream(stream)),
            ("Stream::destroy", stream.clone().destroy().map_err(|(_, error)| error).or(dead.clone())),
            ("Event::record", complete.record(stream)),
            ("Event::wait", timed.wait(stream)),
            ("Event::query", timed.query().map(drop)),
            ("Event::synchronize", timed.synchronize()),
            ("Event::status", timed.status().map(drop)),
            ("Event::elapsed_time", timed.elapsed_time(timed).map(drop)),
            ("Event::bind, by its stream", stream.record(Event::timed())),
            ("Context::synchronize", stream.context().synchronize()),
            ("Context::with_current", stream.context().with_current(|| ())),
            ("Context::stream_priorities", stream.context().stream_priorities().map(drop)),
            ("StreamRef::context", cuda_streams::AsStream::as_stream(stream).context().map(drop)),
        ];
        for (name, result) in results {
            assert_eq!(result, dead, "{name}");
        }
        assert!(format!("{stream:?} {complete:?} {timed:?} {:?}", stream.context()).contains("device"));
        assert_eq!(complete.query(), Ok(true), "what is remembered stays true");
        assert_eq!(calls_on_handles(), before, "a call on a dead handle reached the driver");
    }
}

fn reset(device: Device) {
    // SAFETY: no handle of the context is passed to the driver afterwards; that is what this tests.
    let code = unsafe { raw::cuDevicePrimaryCtxReset_v2(raw::device_number(device)) };
    assert_eq!(code, raw::SUCCESS);
}

/// Checks that no stale handle reached the driver, but for the question whether the context lives. That
/// a reset ends a context with objects in it is what these tests are about.
fn check_reports() {
    let expected =
        |report: &Report| ["cuCtxGetId: ", "cuDevicePrimaryCtxReset_v2: context "].iter().any(|start| report.text().starts_with(start));
    let stale: Vec<_> = reports().into_iter().filter(|report| !expected(report)).collect();
    assert_eq!(stale, []);
}

/// Checks that dropping leaks the driver's objects, without a call.
fn drop_leaks(handles: Handles) {
    let before = (live(), all_calls());
    let Handles { stream, complete, timed } = handles;
    let (given_back, error) = stream.destroy().unwrap_err();
    assert!(given_back.is_none());
    assert_eq!(error, Error::ContextDestroyed { device: 0 });
    assert_eq!(timed.destroy(), Err(Error::ContextDestroyed { device: 0 }));
    drop(complete);
    assert_eq!((live(), all_calls()), before);
}

/// Whoever sees the death first ends the context for all handles; the next creation begins anew.
#[test]
fn the_death_ends_all_handles_and_the_context_is_retained_anew() {
    child::run("dead_context::the_death_ends_all_handles_and_the_context_is_retained_anew", deadly, || {
        let handles = Handles::new(device());
        let old = handles.stream.context();
        reset(device());
        let error = handles.timed.query().unwrap_err();
        assert_eq!(error, Error::ContextDestroyed { device: 0 });
        assert_eq!((error.code(), error.is_sticky()), (Some(ErrorCode::CONTEXT_IS_DESTROYED), true));
        assert!(error.to_string().contains("device 0") && error.to_string().contains("create the handle anew"), "{error}");
        handles.check_dead();

        let retained = calls("cuDevicePrimaryCtxRetain");
        let stream = device().stream().unwrap();
        assert_eq!(calls("cuDevicePrimaryCtxRetain") - retained, 1);
        assert_ne!(stream.context(), old);
        assert_eq!(stream.context(), device().context().unwrap());
        stream.record_event().unwrap().synchronize().unwrap();
        assert_eq!(handles.timed.record(&stream), Err(Error::ContextDestroyed { device: 0 }));
        assert_eq!(handles.timed.wait(&stream), Err(Error::ContextDestroyed { device: 0 }));
        handles.check_dead();
        drop_leaks(handles);
    });
}

/// The code alone is no proof: the driver is asked whether the context lives.
#[test]
fn a_context_that_lives_is_not_given_up() {
    child::run("dead_context::a_context_that_lives_is_not_given_up", child::newest_driver, || {
        let handles = Handles::new(device());
        let _failure = inject("cuStreamQuery", ErrorCode::CONTEXT_IS_DESTROYED.get());
        let error = handles.stream.query().unwrap_err();
        assert_eq!(error, Error::Driver { call: "cuStreamQuery", code: ErrorCode::CONTEXT_IS_DESTROYED });
        assert_eq!(handles.stream.query(), Ok(true));
        assert_eq!(handles.stream.context(), device().context().unwrap());
    });
}

/// A public call.
type Operation = fn(Handles) -> Result<()>;

/// Every operation on a handle, as the first after the death, says what happened.
#[test]
fn every_call_sees_the_death() {
    let operations: [(&str, Operation); 14] = [
        ("Event::record", |handles| handles.timed.record(&handles.stream)),
        ("Event::query", |handles| handles.timed.query().map(drop)),
        ("Event::synchronize", |handles| handles.timed.synchronize()),
        ("Event::elapsed_time", |handles| handles.timed.elapsed_time(&handles.timed).map(drop)),
        ("Event::wait", |handles| handles.timed.wait(&handles.stream)),
        ("Event::destroy", |handles| handles.timed.destroy()),
        ("Event::record, the first", |handles| Event::new().record(&handles.stream)),
        ("Stream::query", |handles| handles.stream.query().map(drop)),
        ("Stream::synchronize", |handles| handles.stream.synchronize()),
        ("Stream::record_event", |handles| handles.stream.record_event().map(drop)),
        ("Stream::destroy", |handles| handles.stream.destroy().map_err(|(_, error)| error)),
        ("Context::with_current", |handles| handles.stream.context().with_current(|| ())),
        ("Context::synchronize", |handles| handles.stream.context().synchronize()),
        ("Context::stream_priorities", |handles| handles.stream.context().stream_priorities().map(drop)),
    ];
    child::run_each_with("dead_context::every_call_sees_the_death", child::newest_driver, operations, |(name, operation)| {
        let _misuse = Scope::enter();
        let (handles, others) = (Handles::new(device()), Handles::new(device()));
        reset(device());
        assert_eq!(operation(handles), Err(Error::ContextDestroyed { device: 0 }), "{name}");
        others.check_dead();
    });
}

/// Dropping finds out as well, before a stale handle reaches the driver.
#[test]
fn dropping_after_a_reset_leaks() {
    child::run("dead_context::dropping_after_a_reset_leaks", deadly, || {
        let Handles { stream, complete, timed } = Handles::new(device());
        reset(device());
        let destroyed = || calls("cuEventDestroy_v2") + calls("cuStreamDestroy_v2");
        let before = destroyed();
        drop((complete, stream, timed));
        assert_eq!(destroyed(), before);
        check_reports();
    });
}

/// After a real reset a creation finds out, before an old handle reaches the driver.
#[test]
fn a_creation_after_a_reset_finds_the_new_context() {
    child::run("dead_context::a_creation_after_a_reset_finds_the_new_context", deadly, || {
        let handles = Handles::new(device());
        let old = handles.stream.context();
        reset(device());
        let stream = device().stream().unwrap();
        assert_ne!(stream.context(), old);
        assert_ne!(stream.context().id(), old.id());
        assert_ne!(stream, handles.stream);
        handles.check_dead();
        drop_leaks(handles);
        stream.record_event().unwrap().synchronize().unwrap();
        assert!(contexts::current().is_null());
        check_reports();
    });
}

/// The reset context's address is the new one's: only the id tells.
#[test]
fn a_reset_and_a_new_context_of_somebody_else_are_seen() {
    child::run("dead_context::a_reset_and_a_new_context_of_somebody_else_are_seen", deadly, || {
        let handles = Handles::new(device());
        let old = handles.stream.context();
        reset(device());
        let theirs = cudarc::driver::CudaContext::new(0).unwrap();
        assert_eq!(theirs.cu_ctx().cast(), old.as_raw(), "the address recurs");
        let event = device().event(EventOptions::new()).unwrap();
        assert_ne!(event.context(), Some(old));
        handles.check_dead();
        check_reports();
    });
}

#[test]
fn a_reset_leaves_the_other_device_alone() {
    child::run("dead_context::a_reset_leaves_the_other_device_alone", deadly, || {
        let [first, second] = [0, 1].map(|ordinal| Handles::new(Device::get(ordinal).unwrap()));
        reset(second.stream.device());
        assert_eq!(second.stream.context().synchronize(), Err(Error::ContextDestroyed { device: 1 }));
        second.check_dead();
        assert_eq!(first.stream.query(), Ok(true));
        assert_eq!(first.timed.record(&first.stream), Ok(()));
        assert_eq!(second.timed.wait(&first.stream), Err(Error::ContextDestroyed { device: 1 }));
        assert_eq!(first.timed.wait(&second.stream), Err(Error::ContextDestroyed { device: 1 }));
        assert_eq!(first.stream.context(), Device::get(0).unwrap().context().unwrap());
    });
}

/// Hardware answers these for stale handles too; only the id tells what they mean.
#[test]
fn an_invalid_handle_may_mean_a_dead_context() {
    child::run_each_with(
        "dead_context::an_invalid_handle_may_mean_a_dead_context",
        child::newest_driver,
        [ErrorCode::INVALID_CONTEXT, ErrorCode::INVALID_HANDLE],
        |code| {
            let _misuse = Scope::enter();
            let handles = Handles::new(device());
            let failure = inject("cuStreamQuery", code.get());
            assert_eq!(handles.stream.query(), Err(Error::Driver { call: "cuStreamQuery", code }), "the context lives");
            drop(failure);
            assert_eq!(handles.stream.query(), Ok(true));
            reset(device());
            let _failure = inject("cuStreamQuery", code.get());
            assert_eq!(handles.stream.query(), Err(Error::ContextDestroyed { device: 0 }));
            handles.check_dead();
        },
    );
}

/// The driver says that a context is gone in more than one way.
#[test]
fn a_context_without_an_id_is_dead() {
    child::run_each_with(
        "dead_context::a_context_without_an_id_is_dead",
        child::newest_driver,
        [ErrorCode::INVALID_CONTEXT, ErrorCode::CONTEXT_IS_DESTROYED],
        |code| {
            let handles = Handles::new(device());
            let _gone = inject("cuCtxGetId", code.get());
            assert_eq!(handles.stream.context().synchronize(), Err(Error::ContextDestroyed { device: 0 }));
            handles.check_dead();
        },
    );
}

/// Streams of cudarc go with the context too, and that is not taken for a second driver library.
#[test]
fn a_stream_of_cudarc_is_not_of_another_driver_after_a_reset() {
    child::run("dead_context::a_stream_of_cudarc_is_not_of_another_driver_after_a_reset", deadly, || {
        let theirs = cudarc::driver::CudaContext::new(0).unwrap().new_stream().unwrap();
        let event = Event::new();
        event.record(&theirs).unwrap();
        reset(device());
        // Where an idle event is at hand nobody asks.
        for _ in 0..2 {
            assert_eq!(Event::new().record(&theirs), Err(Error::ContextDestroyed { device: 0 }));
        }
        drop(event);
        check_reports();
        // Last, since cudarc hands the driver what went with the context.
        drop(theirs);
    });
}

/// What was current before cannot be restored once it is gone, and its address is not used.
#[test]
fn with_current_does_not_bring_a_destroyed_context_back() {
    child::run("dead_context::with_current_does_not_bring_a_destroyed_context_back", deadly, || {
        let context = device().context().unwrap();
        let second = contexts::SecondContext::new(device()).into_raw();
        // SAFETY: the context is alive.
        assert_eq!(unsafe { raw::cuCtxSetCurrent(second) }, raw::SUCCESS);
        context
            .with_current(|| {
                // SAFETY: nobody uses it any more.
                assert_eq!(unsafe { raw::cuCtxDestroy_v2(second) }, raw::SUCCESS);
            })
            .unwrap();
        check_reports();
    });
}

/// The driver has given up the capture with the context, and is not told to end it.
#[test]
fn a_capture_ends_with_its_context() {
    child::run("dead_context::a_capture_ends_with_its_context", deadly, || {
        let [stream] = streams();
        let before = calls("cuStreamEndCapture");
        let graph = stream.capture::<Error>(CaptureMode::Global, |_| {
            stream.context().retire();
            reset(device());
            Ok(())
        });
        assert_eq!(graph.map(drop), Err(Error::ContextDestroyed { device: 0 }));
        assert_eq!(calls("cuStreamEndCapture"), before);
        let [fresh] = streams();
        fresh.synchronize().unwrap();
        check_reports();
    });
}
