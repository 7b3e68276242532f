//! What a capture is to keep: it goes with the graph, if the capture ends with one, and is given up or kept for good where it
//! ends otherwise.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use common::beside::Asks;
use common::contexts::{SecondContext, change};
use common::hold::Hold;
use common::{device, drops_are_done, expect_misuse, raw, streams};
use cuda_streams::{CaptureMode, CaptureScope, CaptureStatus, Error, Event, EventOptions, Graph, Result, Stream};
use cudarc::driver::{CudaContext, CudaSlice};

const MODE: CaptureMode = CaptureMode::ThreadLocal;

fn external() -> Event {
    EventOptions::new().external(true).build()
}

fn count(calls: &AtomicUsize) {
    calls.fetch_add(1, Ordering::Relaxed);
}

/// Whether something else than the caller has it, once what graphs have given up is dropped.
fn is_kept(owner: &Arc<()>, stream: &Stream) -> bool {
    drops_are_done(stream);
    Arc::strong_count(owner) > 1
}

/// Launches it while events that came into being later are complete, and stay so.
fn assert_records_its_own(graph: &Graph, stream: &Stream, other: &Stream) -> Result<()> {
    // SAFETY: it holds records, whose events it keeps, and host functions.
    let mut exec = unsafe { graph.instantiate() }?;
    let others = (0..8).map(|_| other.record_event()).collect::<Result<Vec<_>>>()?;
    other.synchronize()?;
    let hold = Hold::new(stream);
    // SAFETY: as above.
    unsafe { exec.launch(stream) }?;
    assert!(others.iter().all(|event| event.query() == Ok(true)), "the launch records somebody else's event");
    hold.release();
    stream.synchronize()
}

/// One thread enqueues into a stream that has joined, while another keeps, and ends the capture right after.
#[test]
fn threads_enqueue_while_another_keeps() -> Result<()> {
    const ROUNDS: usize = 20;
    const EACH: usize = 25;
    let [stream, side, other] = streams();
    for _ in 0..ROUNDS {
        let (tell, told) = channel::<()>();
        let (owner, called) = (Arc::new(tell), Arc::new(AtomicUsize::new(0)));
        let graph = stream.capture::<Error>(MODE, |scope| {
            side.wait_stream(scope)?;
            thread::scope(|threads| {
                // Dropped at once: the graph has them.
                let enqueues = || (0..EACH).try_for_each(|_| side.record(external()));
                let thread = threads.spawn(enqueues);
                for _ in 0..EACH {
                    scope.keep(owner.clone())?;
                    let has = (called.clone(), owner.clone());
                    scope.host_fn(move || {
                        let (called, _owner) = &has;
                        count(called);
                    })?;
                    scope.record(external())?;
                }
                thread.join().unwrap()
            })?;
            scope.wait_stream(&side)
        })?;
        assert_eq!(graph.node_count()?, 3 * EACH);
        assert_records_its_own(&graph, &stream, &other)?;
        assert_eq!(called.load(Ordering::Relaxed), EACH);
        assert_eq!(Arc::strong_count(&owner), 1 + 2 * EACH, "the graph has them");
        drop((graph, owner));
        // A driver gives up what was launched on a thread of its own, some time later.
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Err(RecvTimeoutError::Disconnected));
    }
    Ok(())
}

/// A capture that is told to end while others enqueue into it: what they enqueue is in the graph and kept, or refused.
#[test]
fn a_capture_ends_while_another_thread_enqueues() -> Result<()> {
    let _misuse = expect_misuse();
    let [stream, other] = streams();
    for _ in 0..50 {
        thread::scope(|threads| {
            let graph = stream.capture::<Error>(MODE, |scope| {
                scope.record(external())?;
                // It goes on when the capture has ended: then its records are plain ones, or too late.
                threads.spawn(|| (0..20).for_each(|_| drop(stream.record(external()))));
                Ok(())
            })?;
            assert!((1..=21).contains(&graph.node_count()?));
            assert_records_its_own(&graph, &other, &other)
        })?;
    }
    Ok(())
}

/// Each way to end without a graph.
#[test]
fn what_is_kept_is_given_up_where_there_is_no_graph() -> Result<()> {
    type Way = fn(&CaptureScope<'_>, &Stream) -> Result<()>;
    let _misuse = expect_misuse();
    let [stream, side] = streams();
    let ways: [(&str, Way); 4] = [
        ("invalidated", |_, side| {
            assert_ne!(raw::query(side), raw::SUCCESS);
            Ok(())
        }),
        ("not joined back", |scope, side| {
            side.wait_stream(scope)?;
            side.record(external())
        }),
        ("an error", |_, _| Err(Error::StreamShared)),
        ("a panic", |_, _| std::panic::resume_unwind(Box::new("on purpose"))),
    ];
    for (name, way) in ways {
        let (owner, function, event) = (Arc::new(()), Arc::new(()), external());
        let captured = catch_unwind(AssertUnwindSafe(|| {
            stream.capture::<Error>(MODE, |scope| {
                scope.keep(owner.clone())?;
                let held = function.clone();
                scope.host_fn(move || assert!(Arc::strong_count(&held) > 0))?;
                scope.record(&event)?;
                way(scope, &side)
            })
        }));
        assert!(!matches!(captured, Ok(Ok(_))), "{name}");
        assert!(!is_kept(&owner, &stream) && !is_kept(&function, &stream), "{name}");
        stream.record(&event)?;
        event.synchronize()?;
        assert!(event.query()?, "{name}");
    }
    Ok(())
}

/// The graph is theirs, with a host function and an event in it.
#[test]
fn what_others_have_ended_has_what_it_needs_for_good() -> Result<()> {
    let [stream, other] = streams();
    let (owner, called, event) = (Arc::new(()), Arc::new(AtomicUsize::new(0)), external());
    let theirs = Cell::new(ptr::null_mut());
    let result = stream.capture::<Error>(MODE, |scope| {
        scope.keep(owner.clone())?;
        let called = called.clone();
        scope.host_fn(move || count(&called))?;
        scope.record(&event)?;
        theirs.set(raw::end_capture(&stream).unwrap());
        Ok(())
    });
    assert_eq!(result.map(drop), Err(Error::CaptureEndedElsewhere { code: None }));
    drop(event);
    drops_are_done(&stream);
    // SAFETY: ended above, of a stream of this context, and given up there.
    let graph = unsafe { Graph::from_raw(stream.context(), theirs.get()) }?;
    assert_eq!(graph.node_count()?, 2);
    for times in 1..=2 {
        assert_records_its_own(&graph, &stream, &other)?;
        assert_eq!(called.load(Ordering::Relaxed), times);
    }
    drop(graph);
    assert!(is_kept(&owner, &stream), "nobody tells when their graph is gone");
    Ok(())
}

/// cudarc's slices free their memory on the default stream of the current context.
#[test]
fn what_is_given_up_is_dropped_with_its_context_current() -> Result<()> {
    type Slice = CudaSlice<u32>;
    type Way = fn(&Stream, (Slice, Sender<()>)) -> Result<()>;
    let ways: [(&str, Way); 4] = [
        ("kept by a capture", |stream, owner| stream.capture::<Error>(MODE, |scope| scope.keep(owner)).map(drop)),
        ("kept without one", |stream, owner| stream.capture_events::<Error>(|scope| scope.keep(owner)).map(drop)),
        ("captured by a function", |stream, owner| {
            let function = move || {
                // All of it, and not the sender alone.
                let (_slice, tell) = &owner;
                let _ = tell.send(());
            };
            stream.capture::<Error>(MODE, |scope| scope.host_fn(function)).map(drop)
        }),
        ("a result that nobody wants", |stream, owner| {
            let hold = Hold::new(stream);
            drop(stream.launch_host_fn(move || owner)?);
            hold.release();
            stream.synchronize()
        }),
    ];
    let [stream] = streams();
    let cudarc = CudaContext::new(stream.device().ordinal() as usize).unwrap();
    for (name, way) in ways {
        let slice = cudarc.default_stream().alloc_zeros(64).unwrap();
        cudarc.default_stream().synchronize().unwrap();
        let (tell, told) = channel();
        way(&stream, (slice, tell))?;
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Err(RecvTimeoutError::Disconnected), "{name}");
        assert_eq!(cudarc.check_err(), Ok(()), "{name}");
    }
    Ok(())
}

#[test]
fn what_changes_the_current_context_when_it_is_dropped_changes_it_for_nobody() {
    struct Changes;
    impl Drop for Changes {
        fn drop(&mut self) {
            change();
        }
    }
    let [stream] = streams();
    SecondContext::new(device()).with_current(|| {
        let too_late = stream.capture::<Error>(MODE, |scope| {
            raw::destroy_graph(raw::end_capture(&stream).unwrap());
            scope.keep(Changes)
        });
        assert_eq!(too_late.map(drop), Err(Error::CaptureEndedElsewhere { code: None }));
    });
}

/// Where it is too late to keep something, it is dropped at once, and so that it ends no other capture.
#[test]
fn what_comes_too_late_is_dropped_beside_captures() -> Result<()> {
    let [outer, inner, other] = streams();
    let graph = outer.capture::<Error>(MODE, |scope| {
        let too_late = inner.capture::<Error>(MODE, |scope| {
            raw::destroy_graph(raw::end_capture(&inner).unwrap());
            let over = Err(Error::CaptureEndedElsewhere { code: None });
            assert_eq!(scope.keep(Asks(other.clone())), over);
            let owner = Asks(other.clone());
            assert_eq!(scope.host_fn(move || assert_eq!(owner.0.priority(), 0)), over);
            Ok(())
        });
        assert_eq!(too_late.map(drop), Err(Error::CaptureEndedElsewhere { code: None }));
        assert_eq!(scope.status(), Ok(CaptureStatus::Active));
        Ok(())
    });
    assert!(graph?.is_empty()?);
    Ok(())
}
