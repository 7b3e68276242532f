//! Beside an open capture this crate's calls work as ever, or are refused: no capture ends by one.

mod common;

use std::ptr;
use std::time::Duration;

use common::beside::{MODES, beside};
use common::contexts::SecondContext;
use common::device;
use common::hold::Hold;
use common::raw;
use common::streams;
use common::world::foreign_event;
use cuda_streams::{
    AsEvent, AsStream, CaptureMode, CaptureScope, CaptureStatus, Context, Error, ErrorCode, Event, EventOptions, EventStatus,
    ExternalStream, IpcMemory, Result, Stream, StreamOptions, relaxed_capture,
};
use cudarc::driver::CudaContext;

/// Captures nothing, with `inside`; the capture must live.
#[track_caller]
fn inside(stream: &Stream, inside: impl Fn(&CaptureScope<'_>)) {
    for mode in MODES {
        let graph = stream.capture::<Error>(mode, |scope| {
            inside(scope);
            assert_eq!(scope.status(), Ok(CaptureStatus::Active), "{mode:?}");
            Ok(())
        });
        assert!(graph.is_ok(), "{mode:?}: {graph:?}");
        stream.synchronize().unwrap();
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(call: &str, result: Result<T>) {
    match result {
        Err(Error::Capturing { call: refused }) => assert_eq!(refused, call),
        other => panic!("{call}: {other:?}"),
    }
}

#[test]
fn streams_and_events_outside_are_asked_and_waited_for() {
    let [stream, other] = streams();
    // The first hold of a process loads a module, which ends a capture.
    Hold::new(&other).release();
    let complete = other.record_event().unwrap();
    complete.synchronize().unwrap();
    beside(&stream, || {
        let hold = Hold::new(&other);
        let pending = other.record_event()?;
        assert_eq!((pending.query()?, pending.status()?, other.query()?), (false, EventStatus::Pending, false));
        assert!(!pending.synchronize_timeout(Duration::ZERO)? && !other.synchronize_timeout(Duration::ZERO)?);
        hold.release();
        pending.synchronize()?;
        other.synchronize()?;
        assert_eq!((complete.query()?, other.query()?), (true, true));
        assert_eq!(other.launch_host_fn(|| 7)?.join()?, 7);
        complete.synchronize()
    });
}

#[test]
fn what_nobody_knows_of_is_asked_and_waited_for() {
    let [stream, other] = streams();
    let lent = other.record_event().unwrap();
    assert!(lent.as_raw().is_some());
    let theirs = CudaContext::new(0).unwrap().new_stream().unwrap();
    let event = theirs.record_event(None).unwrap();
    beside(&stream, || {
        lent.query()?;
        lent.synchronize()?;
        theirs.as_stream().synchronize()?;
        assert!(theirs.as_stream().query()?);
        foreign_event(&event).synchronize()?;
        assert!(event.as_event().query()?);
        Ok(())
    });
}

#[test]
fn everything_is_made_and_dropped() {
    let [stream, other] = streams();
    beside(&stream, || {
        let made = device().stream()?;
        let (start, end) = (Event::timed(), Event::timed());
        start.record(&made)?;
        end.record(&made)?;
        other.wait_event(&end)?;
        end.synchronize()?;
        start.elapsed_time(&end)?;
        start.destroy()?;
        drop(end);
        made.destroy().map_err(|(_, error)| error)?;
        other.synchronize()
    });
}

/// Not under Miri, which has no memory to share.
#[cfg(not(miri))]
#[test]
fn memory_is_allocated_and_given_back() {
    let [stream] = streams();
    beside(&stream, || {
        drop(IpcMemory::new(device(), 1)?);
        IpcMemory::new(device(), 1)?.close()
    });
}

#[test]
fn other_graphs_are_made_and_launched() {
    let [stream, other] = streams();
    beside(&stream, || {
        let event = Event::new();
        let graph = other.capture_events::<Error>(|scope| scope.record(&event))?;
        let mut exec = graph.instantiate()?;
        exec.upload(&other)?;
        exec.launch(&other)?;
        event.synchronize()?;
        drop(graph);
        exec.destroy()
    });
}

#[test]
fn what_is_known_of_a_stream_is_told() {
    let [stream] = streams();
    let (id, text) = (stream.id(), format!("{stream:?}"));
    beside(&stream, || {
        assert_eq!((stream.id(), format!("{stream:?}")), (id, text.clone()));
        assert_eq!(stream.clone(), stream);
        assert_eq!(stream.as_stream(), stream.as_stream());
        assert!(stream.is_capturing()? && !stream.is_blocking());
        Ok(())
    });
}

/// T319
#[test]
fn questions_about_the_captured_stream_are_refused() {
    let [stream, other] = streams();
    let graph = other.capture_events::<Error>(|_| Ok(())).unwrap();
    beside(&stream, || {
        refused("cuStreamQuery", stream.query());
        refused("cuStreamSynchronize", stream.synchronize());
        refused("cuStreamQuery", stream.synchronize_timeout(Duration::ZERO));
        refused("cuStreamGetFlags", stream.as_stream().is_blocking());
        if raw::has_ids() {
            refused("cuStreamGetId", stream.as_stream().id());
        }
        refused("cuLaunchHostFunc", stream.launch_host_fn(|| unreachable!()).map(drop));
        Ok(())
    });
    inside(&stream, |_| {
        let mut exec = graph.instantiate().unwrap();
        refused("cuGraphLaunch", exec.launch(&stream));
        refused("cuGraphUpload", exec.upload(&stream));
    });
}

/// T319
#[test]
fn waits_for_the_whole_context_are_refused() {
    let [stream] = streams();
    beside(&stream, || {
        refused("cuCtxSynchronize", stream.context().synchronize());
        refused("cuCtxSynchronize", device().synchronize());
        Ok(())
    });
    device().synchronize().unwrap();
}

/// Of a context the driver waits while streams of another are captured; but not once its streams have joined.
#[test]
fn another_context_is_waited_for_unless_it_has_joined() {
    let [stream] = streams();
    let second = SecondContext::new(device());
    // SAFETY: it lives until the end of the test, and what is made in it does not outlive it.
    let context = unsafe { Context::from_raw(second.as_raw()) }.unwrap();
    let mut handle = ptr::null_mut();
    let create = || {
        // SAFETY: a context is current, and the out pointer a live local.
        unsafe { raw::cuStreamCreate(&raw mut handle, 1) }
    };
    assert_eq!(context.with_current(create), Ok(raw::SUCCESS));
    // SAFETY: created just now, and destroyed at the end.
    let there = unsafe { ExternalStream::from_raw(handle) }.unwrap();
    inside(&stream, |scope| {
        context.synchronize().unwrap();
        there.wait_stream(scope).unwrap();
        refused("cuCtxSynchronize", context.synchronize());
        scope.wait_stream(&there).unwrap();
    });
    context.synchronize().unwrap();
    // SAFETY: nobody uses it any more.
    assert_eq!(unsafe { raw::cuStreamDestroy_v2(handle) }, raw::SUCCESS);
}

/// cudarc waits when it makes the first stream of a context.
#[test]
fn the_first_stream_for_cudarc_is_refused() {
    let [stream, other] = streams();
    let (known, new) = (CudaContext::new(0).unwrap(), CudaContext::new(0).unwrap());
    let lent = other.to_cudarc(&known).unwrap();
    inside(&stream, |_| {
        refused("cuCtxSynchronize", other.to_cudarc(&new).map(drop));
        assert!(std::sync::Arc::ptr_eq(&lent, &other.to_cudarc(&known).unwrap()));
    });
    other.to_cudarc(&new).unwrap();
}

/// T479
#[test]
fn an_event_of_the_capture_is_not_asked_about() {
    let [stream, other] = streams();
    let (event, timed) = (Event::new(), Event::timed());
    let captured = |call| Error::Captured { call, code: None };
    inside(&stream, |scope| {
        scope.record(&event).unwrap();
        scope.record(&timed).unwrap();
        let ask = || {
            assert_eq!(event.query(), Err(captured("cuEventQuery")));
            assert_eq!(event.synchronize(), Err(captured("cuEventSynchronize")));
            assert_eq!(event.synchronize_timeout(Duration::ZERO), Err(captured("cuEventQuery")));
            assert_eq!(event.status(), Ok(EventStatus::Captured));
        };
        ask();
        std::thread::scope(|threads| threads.spawn(ask).join()).unwrap();
        assert!(matches!(timed.elapsed_time(&timed), Err(Error::Captured { call: _, code: Some(_) })));
    });
    assert_eq!(event.query(), Err(captured("cuEventQuery")), "nor afterwards");
    assert_eq!(event.synchronize(), Err(captured("cuEventSynchronize")));
    assert!(matches!(other.wait_event(&event), Err(Error::Captured { call: "cuStreamWaitEvent", .. })));
    assert!(matches!(timed.elapsed_time(&timed), Err(Error::Captured { .. })));
    other.record(&event).unwrap();
    event.synchronize().unwrap();
    stream.wait_event(&event).unwrap();
    assert_eq!(event.status(), Ok(EventStatus::Complete));
}

#[test]
fn an_event_that_is_recorded_outside_again_is_as_any_other() {
    let [stream, other] = streams();
    let event = Event::new();
    inside(&stream, |scope| {
        scope.record(&event).unwrap();
        other.record(&event).unwrap();
        event.synchronize().unwrap();
        assert_eq!(event.status(), Ok(EventStatus::Complete));
    });
    assert_eq!(event.query(), Ok(true));
}

#[test]
fn an_event_of_an_ended_capture_is_refused_in_the_next() {
    let [stream] = streams();
    let event = Event::new();
    inside(&stream, |scope| scope.record(&event).unwrap());
    inside(&stream, |scope| assert_eq!(scope.wait_event(&event), Err(Error::Captured { call: "cuStreamWaitEvent", code: None })));
}

#[test]
fn the_captured_stream_does_not_wait_for_work_outside() {
    let [stream, other] = streams();
    let hold = Hold::new(&other);
    let pending = other.record_event().unwrap();
    inside(&stream, |scope| {
        refused("cuStreamWaitEvent", scope.wait_event(&pending));
        refused("cuStreamWaitEvent", scope.wait_stream(&other));
    });
    hold.release();
    inside(&stream, |scope| {
        // Done, and nobody knows.
        refused("cuStreamWaitEvent", scope.wait_event(&pending));
        pending.synchronize().unwrap();
        scope.wait_event(&pending).unwrap();
        other.record(&pending).unwrap();
        refused("cuStreamWaitEvent", scope.wait_event(&pending));
        scope.wait_event(Event::new()).unwrap();
        scope.wait_stream(scope).unwrap();
    });
}

#[test]
fn captures_do_not_become_one() {
    let [stream, other] = streams();
    let (outer, inner) = (Event::new(), Event::new());
    inside(&stream, |scope| {
        scope.record(&outer).unwrap();
        let graph = other.capture::<Error>(CaptureMode::default(), |other| {
            other.record(&inner)?;
            refused("cuStreamWaitEvent", other.wait_event(&outer));
            refused("cuStreamWaitEvent", scope.wait_event(&inner));
            refused("cuStreamWaitEvent", scope.wait_stream(other));
            other.status().map(|status| assert_eq!(status, CaptureStatus::Active))
        });
        assert!(graph.is_ok(), "{graph:?}");
    });
}

#[test]
fn the_default_stream_stays_away_from_a_captured_blocking_stream() {
    let blocking = device().stream_with(StreamOptions::new().blocking(true)).unwrap();
    let [other] = streams();
    let default = device().default_stream().unwrap();
    let (event, theirs) = (other.record_event().unwrap(), CudaContext::new(0).unwrap().new_event(None).unwrap());
    inside(&blocking, |_| {
        refused("cuEventRecord", default.record(&event));
        refused("cuEventRecord", default.record_event());
        refused("cuEventRecord", default.record(&theirs));
        refused("cuStreamWaitEvent", default.wait_event(&event));
        refused("cuStreamWaitEvent", default.wait_event(&theirs));
        refused("cuStreamQuery", default.query());
        refused("cuStreamSynchronize", default.synchronize());
        refused("cuLaunchHostFunc", default.launch_host_fn(|| ()));
        refused("cuStreamGetFlags", default.is_blocking());
        if default.id() != Err(Error::MissingSymbol { symbol: "cuStreamGetId" }) {
            refused("cuStreamGetId", default.id());
        }
    });
    default.record(&event).unwrap();
    default.synchronize().unwrap();
}

/// Whether the captured stream blocks or not.
#[test]
fn the_default_stream_does_not_join() {
    let [stream] = streams();
    let default = device().default_stream().unwrap();
    let event = Event::new();
    inside(&stream, |scope| {
        scope.record(&event).unwrap();
        refused("cuStreamWaitEvent", default.wait_event(&event));
        refused("cuStreamWaitEvent", default.wait_stream(scope));
    });
    default.synchronize().unwrap();
}

/// What concerns a stream that does not block is open to the default stream.
#[test]
fn the_default_stream_works_beside_other_captures() {
    let [stream] = streams();
    let default = device().default_stream().unwrap();
    beside(&stream, || {
        let event = default.record_event()?;
        default.wait_event(&event)?;
        default.synchronize()?;
        event.synchronize()
    });
}

/// Of captures of others the driver's answer comes back.
#[test]
fn beside_a_capture_of_others_calls_are_made_relaxed() {
    let [stream, other] = streams();
    let event = other.record_event().unwrap();
    let _misuse = common::expect_misuse();
    raw::begin_capture(&stream);
    let asked = relaxed_capture(|| {
        other.synchronize()?;
        event.synchronize()?;
        Ok::<_, Error>((other.query()?, event.query()?))
    });
    assert_eq!(asked, Ok(Ok((true, true))));
    assert_eq!(stream.capture_status(), Ok(CaptureStatus::Active));
    let code = ErrorCode::STREAM_CAPTURE_UNSUPPORTED;
    assert_eq!(other.query(), Err(Error::Driver { call: "cuStreamQuery", code }));
    assert_eq!(raw::end_capture(&stream), Err(ErrorCode::STREAM_CAPTURE_INVALIDATED.get()));
    other.synchronize().unwrap();
}

/// Events that were recorded in them say so.
#[test]
fn an_event_of_a_capture_of_others_is_captured_afterwards() {
    let [stream] = streams();
    let event = stream.record_event_with(EventOptions::new()).unwrap();
    raw::begin_capture(&stream);
    stream.record(&event).unwrap();
    raw::destroy_graph(raw::end_capture(&stream).unwrap());
    let code = Some(ErrorCode::INVALID_VALUE);
    assert_eq!(event.query(), Err(Error::Captured { call: "cuEventQuery", code }));
    assert_eq!(event.status(), Ok(EventStatus::Captured));
}
