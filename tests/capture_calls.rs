//! Calls that are made while a stream is captured: which the capture survives, which end it, and what becomes of the
//! streams then.

mod common;

use std::ptr;

use common::hold::Hold;
use common::raw;
use common::words::Words;
use common::{device, expect_misuse, streams};
use cuda_streams::{
    CaptureMode, CaptureStatus, Error, ErrorCode, Event, EventOptions, EventStatus, ExternalStream, Graph, Result, Stream, StreamOptions,
};

const MODES: [CaptureMode; 3] = [CaptureMode::Global, CaptureMode::ThreadLocal, CaptureMode::Relaxed];

fn words(value: u32) -> Words {
    Words::new(device(), value)
}

/// Launches it once and waits for it.
fn run(graph: &Graph, stream: &Stream) -> Result<()> {
    // SAFETY: the tests keep the memory of the captured copies until the launch is over, which is waited for.
    let mut graph = unsafe { graph.instantiate() }?;
    // SAFETY: as above.
    unsafe { graph.launch(stream) }?;
    stream.synchronize()
}

/// The streams run what is enqueued on them.
#[track_caller]
fn assert_work<const N: usize>(streams: [&Stream; N]) {
    for stream in streams {
        let (source, mut target) = (words(1), words(0));
        target.copy_from(stream, &source);
        stream.synchronize().expect("the stream is usable");
        assert_eq!((target.read(), stream.capture_status()), (1, Ok(CaptureStatus::None)));
    }
}

/// A capture that a call of somebody else's has ended.
#[track_caller]
fn assert_invalidated(captured: Result<Graph>) {
    let code = ErrorCode::STREAM_CAPTURE_INVALIDATED;
    assert_eq!(captured.map(drop), Err(Error::CaptureInvalidated { by: None, code }));
}

/// A stream of somebody else's with this handle: 1 is the legacy default stream.
fn legacy() -> ExternalStream {
    // SAFETY: nothing is asked of a default stream.
    unsafe { ExternalStream::from_raw_on(device(), ptr::without_provenance_mut(1)) }.expect("the primary context")
}

/// T32: as an allocator asks whether what it has freed is done with.
#[test]
fn t032_questions_about_pending_work_leave_a_capture_alone() -> Result<()> {
    for mode in MODES {
        let [stream, side, busy] = streams();
        let (source, mut first, mut second) = (words(32), words(0), words(0));
        let hold = Hold::new(&busy);
        let (pending, freed) = (busy.record_event()?, busy.record_event()?);
        let graph = stream.capture::<Error>(mode, |scope| {
            assert_eq!((pending.query(), pending.status(), busy.query()), (Ok(false), Ok(EventStatus::Pending), Ok(false)));
            side.wait_stream(scope)?;
            first.copy_from(&side, &source);
            drop(freed);
            assert_eq!((pending.query(), busy.query()), (Ok(false), Ok(false)));
            scope.wait_stream(&side)?;
            second.copy_from(scope, &first);
            hold.release();
            busy.synchronize()?;
            pending.synchronize()?;
            assert_eq!((pending.query(), scope.status()), (Ok(true), Ok(CaptureStatus::Active)));
            Ok(())
        })?;
        assert_eq!((graph.node_count()?, graph.edge_count()?), (2, 1));
        run(&graph, &stream)?;
        assert_eq!(second.read(), 32, "{mode:?}");
    }
    Ok(())
}

/// T315, T318
#[test]
fn t315_waiting_for_the_captured_stream_or_asking_it_ends_the_capture() {
    let _misuse = expect_misuse();
    for call in [raw::query as fn(&Stream) -> u32, raw::synchronize] {
        let [stream, side] = streams();
        let captured = stream.capture::<Error>(CaptureMode::default(), |scope| {
            side.wait_stream(scope)?;
            assert_eq!(call(&stream), ErrorCode::STREAM_CAPTURE_UNSUPPORTED.get());
            assert_eq!((scope.status(), side.capture_status()), (Ok(CaptureStatus::Invalidated), Ok(CaptureStatus::Invalidated)));
            Ok(())
        });
        assert_invalidated(captured);
        assert_work([&stream, &side]);
    }
}

#[test]
fn t316_only_the_captured_stream_ends_its_capture() {
    let _misuse = expect_misuse();
    let [stream, joined] = streams();
    assert_eq!(raw::end_capture(&stream), Err(ErrorCode::ILLEGAL_STATE.get()), "none has begun");
    let captured = stream.capture::<Error>(CaptureMode::default(), |scope| {
        joined.wait_stream(scope)?;
        assert_eq!(raw::end_capture(&joined), Err(ErrorCode::STREAM_CAPTURE_UNMATCHED.get()));
        assert_eq!(scope.status(), Ok(CaptureStatus::Invalidated));
        Ok(())
    });
    assert_invalidated(captured);
    assert_work([&stream, &joined]);
}

/// T368: as a pool makes a stream when it is first asked for, in the capture of who asks.
#[test]
fn t368_streams_and_events_are_made_inside_a_capture() -> Result<()> {
    for mode in MODES {
        let [stream] = streams();
        let (source, mut inside, mut beside) = (words(368), words(0), words(0));
        let mut made = None;
        let graph = stream.capture::<Error>(mode, |scope| {
            let side = device().stream_with(StreamOptions::new().priority(-1))?;
            let free = device().stream()?;
            let event = EventOptions::new().timed().build();
            scope.record(&event)?;
            side.wait_event(&event)?;
            inside.copy_from(&side, &source);
            scope.wait_stream(&side)?;
            beside.copy_from(&free, &source);
            free.synchronize()?;
            assert_eq!(scope.status(), Ok(CaptureStatus::Active), "{mode:?}");
            made = Some((side, free));
            Ok(())
        })?;
        assert_eq!((inside.read(), beside.read()), (0, 368), "{mode:?}: only what has joined is captured");
        run(&graph, &stream)?;
        assert_eq!(inside.read(), 368);
        let (side, free) = made.expect("they were made");
        assert_work([&side, &free]);
    }
    Ok(())
}

/// T441: of the capture, once and again recorded, and of work outside.
#[test]
fn t441_events_are_destroyed_during_a_capture() -> Result<()> {
    for mode in MODES {
        let [stream, side, busy] = streams();
        let (source, [mut first, mut second]) = (words(441), [(); 2].map(|()| words(0)));
        let hold = Hold::new(&busy);
        let outside = busy.record_event()?;
        let graph = stream.capture::<Error>(mode, |scope| {
            first.copy_from(scope, &source);
            let forked = Event::new();
            scope.record(&forked)?;
            scope.record(&forked)?;
            side.wait_event(&forked)?;
            forked.destroy()?;
            outside.destroy()?;
            let unused = Event::timed();
            side.record(&unused)?;
            drop(unused);
            second.copy_from(&side, &first);
            let joined = side.record_event()?;
            scope.wait_event(&joined)?;
            drop(joined);
            Ok(())
        })?;
        hold.release();
        busy.synchronize()?;
        assert_eq!((graph.node_count()?, graph.edge_count()?), (2, 1), "{mode:?}");
        run(&graph, &stream)?;
        assert_eq!(second.read(), 441, "{mode:?}");
        assert_work([&stream, &side]);
    }
    Ok(())
}

#[test]
fn t477_the_legacy_stream_is_refused_while_a_blocking_stream_is_captured() -> Result<()> {
    let stream = device().stream_with(StreamOptions::new().blocking(true))?;
    let (legacy, event) = (legacy(), Event::new());
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
        let code = ErrorCode::STREAM_CAPTURE_IMPLICIT;
        let implicit = Error::Driver { call: "cuStreamIsCapturing", code };
        assert_eq!((legacy.is_capturing(), legacy.capture_status()), (Err(implicit.clone()), Err(implicit)));
        assert_eq!(legacy.record(&event), Err(Error::Capturing { call: "cuEventRecord" }));
        scope.host_fn(|| ())
    })?;
    assert_eq!((legacy.is_capturing(), legacy.capture_status()), (Ok(false), Ok(CaptureStatus::None)));
    legacy.record(&event)?;
    event.synchronize()?;
    run(&graph, &stream)?;
    assert_work([&stream]);
    Ok(())
}

/// T479: what the driver says where this crate is not asked.
#[test]
fn t479_a_question_to_the_driver_about_an_event_of_the_capture_ends_it() {
    let _misuse = expect_misuse();
    let [stream] = streams();
    let event = Event::new();
    let captured = stream.capture::<Error>(CaptureMode::default(), |scope| {
        scope.record(&event)?;
        let raw = event.as_raw().expect("it was recorded");
        assert_eq!(raw::event_query(raw), ErrorCode::CAPTURED_EVENT.get());
        assert_eq!(scope.status(), Ok(CaptureStatus::Invalidated));
        Ok(())
    });
    assert_invalidated(captured);
    assert_work([&stream]);
}
