//! Captures: they end with their closure, say why they fail, and leave streams that work.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::time::Duration;

use common::hold::Hold;
use common::raw;
use common::words::Words;
use common::world::external;
use common::{device, drops_are_done, expect_misuse, streams};
use cuda_streams::{
    AsStream, CaptureMode, CaptureStatus, Device, Error, ErrorCode, Event, EventStatus, Graph, Result, Stream, StreamOptions,
};

const MODES: [CaptureMode; 3] = [CaptureMode::Global, CaptureMode::ThreadLocal, CaptureMode::Relaxed];

/// Launches it once and waits for it.
fn run(graph: &Graph, stream: &Stream) {
    // SAFETY: what the test has captured lives until it returns, and it waits for the launch.
    let mut graph = unsafe { graph.instantiate() }.unwrap();
    // SAFETY: as above.
    unsafe { graph.launch(stream) }.unwrap();
    stream.synchronize().unwrap();
}

/// The stream runs what is enqueued on it.
#[track_caller]
fn assert_works(stream: &Stream) {
    assert_eq!(stream.capture_status(), Ok(CaptureStatus::None));
    let hold = Hold::new(stream);
    let event = stream.record_event().unwrap();
    assert_eq!(event.query(), Ok(false));
    hold.release();
    event.synchronize().unwrap();
    stream.synchronize().unwrap();
}

#[test]
fn what_is_captured_runs_with_the_launch() {
    let [stream] = streams();
    let (source, reset, mut target) = (Words::new(device(), 7), Words::new(device(), 1), Words::new(device(), 1));
    for mode in MODES {
        let graph = stream.capture::<Error>(mode, |scope| {
            target.copy_from(scope, &source);
            Ok(())
        });
        let graph = graph.unwrap();
        assert_works(&stream);
        assert_eq!((target.read(), graph.node_count(), graph.edge_count()), (1, Ok(1), Ok(0)));
        run(&graph, &stream);
        assert_eq!(target.read(), 7);
        target.copy_from(&stream, &reset);
        stream.synchronize().unwrap();
    }
}

/// T313
#[test]
fn a_stream_joins_by_an_event_until_the_capture_ends() {
    let [stream, side] = streams();
    let source = Words::new(device(), 7);
    let [mut first, mut left, mut right, mut last] = std::array::from_fn(|_| Words::new(device(), 0));
    let forked = Event::new();
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
        first.copy_from(scope, &source);
        scope.record(&forked)?;
        side.wait_event(&forked)?;
        assert_eq!(side.capture_status(), Ok(CaptureStatus::Active));
        right.copy_from(&side, &first);
        left.copy_from(scope, &first);
        scope.wait_stream(&side)?;
        assert_eq!(side.capture_status(), Ok(CaptureStatus::Active), "joined back, it is captured still");
        last.copy_from(scope, &right);
        Ok(())
    });
    let graph = graph.unwrap();
    assert_eq!((graph.node_count(), graph.edge_count()), (Ok(4), Ok(4)));
    assert_eq!(forked.status(), Ok(EventStatus::Captured));
    run(&graph, &stream);
    assert_eq!([&first, &left, &right, &last].map(Words::read), [7; 4]);
    assert_works(&stream);
    assert_works(&side);
}

/// T30
#[test]
fn an_empty_capture_is_an_empty_graph() {
    let [stream] = streams();
    let graph = stream.capture::<Error>(CaptureMode::default(), |_| Ok(())).unwrap();
    assert_eq!((graph.is_empty(), graph.node_count(), graph.edge_count()), (Ok(true), Ok(0), Ok(0)));
    run(&graph, &stream);
    assert_works(&stream);
}

/// T27, T311
#[test]
fn the_status_is_that_of_the_capture() {
    let [stream, other] = streams();
    stream
        .capture::<Error>(CaptureMode::default(), |scope| {
            assert_eq!(
                (scope.status(), stream.capture_status(), stream.is_capturing()),
                (Ok(CaptureStatus::Active), Ok(CaptureStatus::Active), Ok(true))
            );
            assert_eq!(other.capture_status(), Ok(CaptureStatus::None));
            assert_eq!(device().default_stream()?.capture_status(), Ok(CaptureStatus::None));
            Ok(())
        })
        .unwrap();
    assert_eq!((stream.capture_status(), stream.is_capturing()), (Ok(CaptureStatus::None), Ok(false)));
}

#[derive(Debug, PartialEq)]
enum Failed {
    OnPurpose,
    Cuda(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Cuda(error)
    }
}

/// T261
#[test]
fn the_error_of_the_closure_ends_the_capture_and_is_the_result() {
    let [stream, side] = streams();
    let result = stream.capture(CaptureMode::default(), |scope| {
        side.wait_stream(scope)?;
        Err(Failed::OnPurpose)
    });
    assert_eq!(result.map(drop), Err(Failed::OnPurpose), "though a stream is not joined back");
    assert_works(&stream);
    assert_works(&side);
}

/// T261
#[test]
fn a_panic_ends_the_capture_and_goes_on() {
    let [stream] = streams();
    let captured = catch_unwind(AssertUnwindSafe(|| {
        stream.capture::<Error>(CaptureMode::Global, |scope| {
            scope.host_fn(|| ())?;
            panic!("on purpose")
        })
    }));
    assert_eq!(captured.unwrap_err().downcast_ref(), Some(&"on purpose"));
    assert_works(&stream);
}

#[test]
fn a_stream_that_is_not_joined_back_is_the_error() {
    let [stream, side] = streams();
    let (source, mut target) = (Words::new(device(), 7), Words::new(device(), 1));
    for joins_before in [0, 1] {
        let result = stream.capture::<Error>(CaptureMode::default(), |scope| {
            side.wait_stream(scope)?;
            for _ in 0..joins_before {
                target.copy_from(&side, &source);
                scope.wait_stream(&side)?;
            }
            target.copy_from(&side, &source);
            Ok(())
        });
        assert_eq!(result.map(drop), Err(Error::CaptureUnjoined), "{joins_before} joins before the last work");
        assert_works(&stream);
        assert_works(&side);
    }
}

#[test]
fn a_call_of_others_that_invalidates_it_is_told() {
    let _misuse = expect_misuse();
    let [stream, other] = streams();
    let result = stream.capture::<Error>(CaptureMode::default(), |scope| {
        assert_eq!(raw::query(&other), ErrorCode::STREAM_CAPTURE_UNSUPPORTED.get());
        assert_eq!(scope.status(), Ok(CaptureStatus::Invalidated));
        // Who comes later is not blamed.
        assert!(scope.record(Event::new()).is_err());
        assert_eq!(stream.query(), Err(Error::Capturing { call: "cuStreamQuery" }));
        Ok(())
    });
    let code = ErrorCode::STREAM_CAPTURE_INVALIDATED;
    assert_eq!(result.map(drop), Err(Error::CaptureInvalidated { by: None, code }));
    assert_works(&stream);
    assert_works(&other);
}

/// Of an event that others may record the crate does not know where it was recorded.
#[test]
fn a_call_of_this_crate_that_invalidates_it_is_named() {
    let _misuse = expect_misuse();
    let [stream, other] = streams();
    let outside = other.record_event().unwrap();
    assert!(outside.as_raw().is_some());
    let code = ErrorCode::STREAM_CAPTURE_ISOLATION;
    let result = stream.capture::<Error>(CaptureMode::default(), |scope| {
        assert_eq!(scope.wait_event(&outside), Err(Error::Driver { call: "cuStreamWaitEvent", code }));
        Ok(())
    });
    assert_eq!(result.map(drop), Err(Error::CaptureInvalidated { by: Some("cuStreamWaitEvent"), code }));
    assert_works(&stream);
    assert_works(&other);
}

/// The inner capture ends by it, the outer one by somebody's call that is not seen.
#[test]
fn a_call_that_ended_an_inner_capture_is_not_blamed_for_the_outer_one() {
    let _misuse = expect_misuse();
    let [stream, inner, other] = streams();
    let outside = other.record_event().unwrap();
    assert!(outside.as_raw().is_some());
    let isolation = ErrorCode::STREAM_CAPTURE_ISOLATION;
    let result = stream.capture::<Error>(CaptureMode::default(), |scope| {
        let result = inner.capture::<Error>(CaptureMode::default(), |scope| {
            assert!(scope.wait_event(&outside).is_err());
            Ok(())
        });
        assert_eq!(result.map(drop), Err(Error::CaptureInvalidated { by: Some("cuStreamWaitEvent"), code: isolation }));
        assert_eq!(scope.status(), Ok(CaptureStatus::Active));
        assert_ne!(raw::query(&other), raw::SUCCESS);
        Ok(())
    });
    let code = ErrorCode::STREAM_CAPTURE_INVALIDATED;
    assert_eq!(result.map(drop), Err(Error::CaptureInvalidated { by: None, code }));
    assert_works(&stream);
    assert_works(&inner);
}

#[test]
fn a_capture_that_somebody_else_ended_is_told() {
    let [stream] = streams();
    let result = stream.capture::<Error>(CaptureMode::default(), |_| {
        raw::destroy_graph(raw::end_capture(&stream).unwrap());
        Ok(())
    });
    assert_eq!(result.map(drop), Err(Error::CaptureEndedElsewhere { code: None }));
    assert_works(&stream);
}

#[test]
fn a_capture_of_somebody_else_is_not_ended() {
    let [stream] = streams();
    let result = stream.capture::<Error>(CaptureMode::default(), |_| {
        raw::destroy_graph(raw::end_capture(&stream).unwrap());
        raw::begin_capture(&stream);
        Ok(())
    });
    assert_eq!(result.map(drop), Err(Error::CaptureEndedElsewhere { code: None }));
    assert_eq!(stream.capture_status(), Ok(CaptureStatus::Active));
    raw::destroy_graph(raw::end_capture(&stream).unwrap());
    assert_works(&stream);
}

/// T257
#[test]
fn what_cannot_be_captured_is_refused_by_the_driver() {
    let _misuse = expect_misuse();
    let call = "cuStreamBeginCapture_v2";
    let default = device().default_stream().unwrap();
    let never = |result: Result<Graph>| result.map(drop);
    let code = ErrorCode::STREAM_CAPTURE_UNSUPPORTED;
    assert_eq!(never(default.capture(CaptureMode::default(), |_| unreachable!())), Err(Error::Driver { call, code }));
    let [stream, other] = streams();
    let code = ErrorCode::ILLEGAL_STATE;
    let graph = stream.capture::<Error>(CaptureMode::default(), |_| {
        assert_eq!(never(stream.capture(CaptureMode::default(), |_| unreachable!())), Err(Error::Driver { call, code }));
        assert_eq!(other.query(), Ok(true), "a capture that has not begun concerns nobody");
        Ok(())
    });
    assert_eq!(graph.unwrap().is_empty(), Ok(true));
    assert_works(&stream);
    assert_works(&other);
}

#[test]
fn the_per_thread_stream_can_be_captured() {
    let stream = device().per_thread_stream().unwrap();
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| scope.host_fn(|| ())).unwrap();
    assert_eq!((graph.node_count(), stream.is_capturing()), (Ok(1), Ok(false)));
}

#[test]
fn two_captures_are_open_at_once() {
    let [stream, other] = streams();
    let outer = stream.capture::<Error>(CaptureMode::default(), |scope| {
        scope.host_fn(|| ())?;
        let inner = other.capture::<Error>(CaptureMode::default(), |scope| {
            scope.host_fn(|| ())?;
            scope.host_fn(|| ())
        })?;
        assert_eq!((inner.node_count(), scope.status()), (Ok(2), Ok(CaptureStatus::Active)));
        Ok(())
    });
    assert_eq!(outer.unwrap().node_count(), Ok(1));
    assert_works(&stream);
    assert_works(&other);
}

#[test]
fn every_kind_of_stream_can_be_captured() {
    let [stream] = streams();
    let external = external(&stream).unwrap();
    let one = |graph: Result<Graph>| assert_eq!(graph.unwrap().node_count(), Ok(1));
    one(external.capture(CaptureMode::default(), |scope| scope.host_fn(|| ())));
    one(stream.as_stream().capture(CaptureMode::default(), |scope| scope.host_fn(|| ())));
    let current = stream.scope(Stream::current).unwrap();
    one(current.capture(CaptureMode::default(), |scope| scope.host_fn(|| ())));
    assert_works(&stream);
}

#[test]
fn the_stream_is_not_given_up_meanwhile() {
    let [stream] = streams();
    let clone = stream.clone();
    let graph = stream.capture::<Error>(CaptureMode::default(), move |scope| {
        let clone = clone.try_into_raw().unwrap_err();
        let (_, error) = clone.destroy().unwrap_err();
        assert_eq!((error, scope.status()), (Error::StreamShared, Ok(CaptureStatus::Active)));
        Ok(())
    });
    assert_eq!(graph.unwrap().is_empty(), Ok(true));
    assert_works(&stream);
}

/// The captured work of another thread is in the graph too.
#[test]
fn other_threads_enqueue_into_the_capture() {
    let [stream] = streams();
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
        scope.host_fn(|| ())?;
        let event = Event::new();
        std::thread::scope(|threads| threads.spawn(|| stream.record(&event)).join()).unwrap()?;
        assert_eq!(event.status(), Ok(EventStatus::Captured));
        Ok(())
    });
    assert_eq!(graph.unwrap().node_count(), Ok(1));
    assert_works(&stream);
}

#[test]
fn what_is_kept_goes_with_the_last_of_the_graph() {
    struct Told(std::sync::mpsc::Sender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            // A thread that may use the driver.
            let usable = device().stream().and_then(|stream| stream.synchronize());
            usable.and(self.0.send(()).map_err(|_| Error::StreamShared)).unwrap();
        }
    }
    let [stream] = streams();
    let (tell, told) = channel();
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| scope.keep(Told(tell))).unwrap();
    let clone = graph.try_clone().unwrap();
    // SAFETY: it holds no work.
    let mut exec = unsafe { clone.instantiate() }.unwrap();
    let hold = Hold::new(&stream);
    // SAFETY: as above.
    unsafe { exec.launch(&stream) }.unwrap();
    drop((graph, clone));
    drops_are_done(&stream);
    assert!(told.try_recv().is_err(), "the executable graph needs it");
    drop(exec);
    drops_are_done(&stream);
    assert!(told.try_recv().is_err(), "its launch has not run");
    hold.release();
    stream.synchronize().unwrap();
    told.recv_timeout(Duration::from_secs(10)).expect("it is dropped soon after");
}

#[test]
fn what_a_failed_capture_keeps_is_dropped() {
    let [stream] = streams();
    let (tell, told) = channel::<()>();
    let result = stream.capture(CaptureMode::default(), |scope| {
        scope.keep(tell)?;
        Err(Failed::OnPurpose)
    });
    assert_eq!(result.map(drop), Err(Failed::OnPurpose));
    let ended = told.recv_timeout(Duration::from_secs(10));
    assert_eq!(ended, Err(std::sync::mpsc::RecvTimeoutError::Disconnected), "the sender is dropped");
    assert_works(&stream);
}

/// T262
#[test]
fn a_host_function_runs_with_each_launch_in_its_place() {
    let [stream] = streams();
    let (tell, told) = sync_channel(100);
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
        for number in 0..3 {
            let tell = tell.clone();
            scope.host_fn(move || tell.send((number, Device::get(0).map(drop))).unwrap())?;
        }
        Ok(())
    });
    let graph = graph.unwrap();
    assert_eq!((graph.node_count(), graph.edge_count()), (Ok(3), Ok(2)));
    drop(tell);
    for _ in 0..3 {
        run(&graph, &stream);
    }
    drop(graph);
    let seen: Vec<_> = told.iter().collect();
    let expected: Vec<_> = [0, 1, 2].repeat(3).into_iter().map(|number| (number, Err(Error::InHostFunction))).collect();
    assert_eq!(seen, expected, "and the iteration ends, since the graph gives the functions up");
}

#[test]
fn a_host_function_that_panics_panics_for_itself() {
    let [stream] = streams();
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
        scope.host_fn(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            panic!("on purpose")
        })
    });
    let graph = graph.unwrap();
    run(&graph, &stream);
    run(&graph, &stream);
    assert_eq!(count.load(Ordering::Relaxed), 2);
    assert_works(&stream);
}

/// T33: what is legal beside a global capture on other threads, and what is not, is the driver's to say.
#[test]
fn the_mode_says_whose_calls_end_the_capture() {
    let misuse = expect_misuse();
    let misuse = misuse.as_ref().map(softcuda::Entered::scope);
    let [stream, other] = streams();
    for mode in MODES {
        let result = stream.capture::<Error>(mode, |_| {
            let query = || {
                let _misuse = misuse.map(softcuda::Scope::join);
                raw::query(&other)
            };
            std::thread::scope(|threads| threads.spawn(query).join()).unwrap();
            Ok(())
        });
        assert_eq!(result.is_err(), mode == CaptureMode::Global, "{mode:?}");
        assert_works(&stream);
    }
}

/// T314
#[test]
fn a_blocking_stream_is_captured_beside_the_default_stream() {
    let stream = device().stream_with(StreamOptions::new().blocking(true)).unwrap();
    let default = device().default_stream().unwrap();
    let graph = stream.capture::<Error>(CaptureMode::default(), |_| {
        let code = ErrorCode::STREAM_CAPTURE_IMPLICIT;
        assert_eq!(default.is_capturing(), Err(Error::Driver { call: "cuStreamIsCapturing", code }));
        Ok(())
    });
    assert_eq!(graph.unwrap().is_empty(), Ok(true));
    assert_eq!(default.is_capturing(), Ok(false));
    assert_works(&stream);
}
