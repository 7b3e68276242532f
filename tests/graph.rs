//! Graphs: what is made of them, and those that hold only this crate's own operations.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::hold::Hold;
use common::words::Words;
use common::{device, drops_are_done, returns_after_release, streams};
use cuda_streams::{
    CaptureMode, Contained, Device, Error, Event, EventOptions, EventScope, EventStatus, ExternalStream, Graph, GraphExec, Result, Stream,
    StreamOptions,
};

/// What host functions have noted, in their order.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<&'static str>>>);

impl Notes {
    fn note(&self, what: &'static str) -> impl Fn() + Send + Sync + 'static + use<> {
        let notes = self.0.clone();
        move || notes.lock().unwrap().push(what)
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn contained(stream: &Stream, work: impl for<'g> FnOnce(&EventScope<'g>) -> Result<()>) -> Graph<Contained> {
    stream.capture_events(work).unwrap()
}

#[test]
fn what_is_asked_for_runs_in_order_with_each_launch() {
    let [stream] = streams();
    let notes = Notes::default();
    let graph = contained(&stream, |scope| {
        scope.host_fn(notes.note("first"))?;
        scope.host_fn(notes.note("second"))?;
        scope.host_fn(notes.note("third"))
    });
    assert_eq!((graph.node_count(), graph.edge_count(), graph.is_empty()), (Ok(3), Ok(2), Ok(false)));
    stream.synchronize().unwrap();
    assert!(notes.take().is_empty(), "nothing runs without a launch");
    let mut exec = graph.instantiate().unwrap();
    drop(graph);
    for _ in 0..3 {
        exec.launch(&stream).unwrap();
        stream.synchronize().unwrap();
        assert_eq!(notes.take(), ["first", "second", "third"]);
    }
}

#[test]
fn branches_run_between_fork_and_join() {
    let [stream] = streams();
    let notes = Notes::default();
    let graph = contained(&stream, |scope| {
        scope.host_fn(notes.note("first"))?;
        let (left, right) = (scope.fork(), scope.fork());
        left.host_fn(notes.note("left"))?;
        right.host_fn(notes.note("right"))?;
        scope.join(left);
        scope.join(right);
        scope.host_fn(notes.note("last"))
    });
    // From "first" to the three that follow it; the scope itself is at "first" when it joins.
    assert_eq!((graph.node_count(), graph.edge_count()), (Ok(4), Ok(5)));
    graph.instantiate().unwrap().launch(&stream).unwrap();
    stream.synchronize().unwrap();
    let mut notes = notes.take();
    assert_eq!((notes[0], notes[3]), ("first", "last"));
    notes[1..3].sort_unstable();
    assert_eq!(notes[1..3], ["left", "right"]);
}

#[test]
fn a_branch_that_is_not_joined_ends_with_the_launch() {
    let [stream] = streams();
    let notes = Notes::default();
    let graph = contained(&stream, |scope| {
        let branch = scope.fork();
        branch.host_fn(notes.note("branch"))?;
        scope.host_fn(notes.note("scope"))?;
        scope.join(scope.fork());
        Ok(())
    });
    assert_eq!((graph.node_count(), graph.edge_count()), (Ok(2), Ok(0)));
    graph.instantiate().unwrap().launch(&stream).unwrap();
    stream.synchronize().unwrap();
    let mut notes = notes.take();
    notes.sort_unstable();
    assert_eq!(notes, ["branch", "scope"]);
}

#[test]
fn a_launch_records_and_waits() {
    let [stream, producer] = streams();
    let (ready, done) = (Event::new(), Event::new());
    let graph = contained(&stream, |scope| {
        scope.wait_event(&ready)?;
        scope.record(&done)
    });
    let mut exec = graph.instantiate().unwrap();
    // Before the first record there is nothing to wait for.
    exec.launch(&stream).unwrap();
    done.synchronize().unwrap();
    let hold = Hold::new(&producer);
    producer.record(&ready).unwrap();
    exec.launch(&stream).unwrap();
    assert_eq!((done.query(), done.status(), ready.query()), (Ok(false), Ok(EventStatus::Pending), Ok(false)));
    returns_after_release(hold, || done.synchronize()).unwrap();
    assert_eq!((done.query(), ready.query()), (Ok(true), Ok(true)));
}

#[test]
fn a_launch_is_timed_from_within() {
    let [stream] = streams();
    let (start, end) = (Event::timed(), Event::timed());
    let graph = contained(&stream, |scope| {
        scope.record(&start)?;
        scope.host_fn(|| ())?;
        scope.record(&end)
    });
    assert!(start.elapsed_time(&end).is_err(), "nothing was launched");
    let mut exec = graph.instantiate().unwrap();
    exec.launch(&stream).unwrap();
    stream.synchronize().unwrap();
    assert!(start.elapsed_time(&end).unwrap().as_millis_f32() > 0.0);
}

#[test]
fn an_event_is_dropped_before_its_graph() {
    let [stream, producer] = streams();
    let notes = Notes::default();
    let graph = {
        let (ready, done) = (Event::new(), EventOptions::new().external(true).build());
        producer.record(&ready).unwrap();
        contained(&stream, |scope| {
            scope.wait_event(&ready)?;
            scope.host_fn(notes.note("ran"))?;
            scope.record(&done)
        })
    };
    let others: Vec<Event> = (0..8).map(|_| producer.record_event().unwrap()).collect();
    producer.synchronize().unwrap();
    let mut exec = graph.try_clone().unwrap().instantiate().unwrap();
    drop(graph);
    let hold = Hold::new(&stream);
    exec.launch(&stream).unwrap();
    assert!(others.iter().all(|event| event.query() == Ok(true)), "the graph records nobody else's event");
    hold.release();
    stream.synchronize().unwrap();
    assert_eq!(notes.take(), ["ran"]);
}

#[test]
fn an_event_of_another_context_is_refused() {
    let [stream] = streams();
    let second = common::contexts::SecondContext::new(device());
    // SAFETY: it lives until the end of the test, and what is made in it does not outlive it.
    let context = unsafe { cuda_streams::Context::from_raw(second.as_raw()) }.unwrap();
    let mut raw = std::ptr::null_mut();
    let create = || {
        // SAFETY: a context is current, and the out pointer a live local.
        unsafe { common::raw::cuStreamCreate(&raw mut raw, 1) }
    };
    assert_eq!(context.with_current(create), Ok(common::raw::SUCCESS));
    // SAFETY: created just now.
    let there = unsafe { ExternalStream::from_raw(raw) }.unwrap();
    let event = there.record_event().unwrap();
    contained(&stream, |scope| {
        assert!(matches!(scope.record(&event), Err(Error::ContextMismatch(_))));
        assert!(matches!(scope.wait_event(&event), Err(Error::ContextMismatch(_))));
        Ok(())
    });
    drop(event);
    // SAFETY: nobody uses it any more.
    assert_eq!(unsafe { common::raw::cuStreamDestroy_v2(raw) }, common::raw::SUCCESS);
}

#[test]
fn what_is_kept_goes_with_the_last_of_the_graph() {
    let [stream] = streams();
    let (tell, told) = channel::<()>();
    let graph = contained(&stream, |scope| scope.keep(tell));
    let exec = graph.instantiate().unwrap();
    drop(graph);
    drops_are_done(&stream);
    assert!(matches!(told.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout)), "the executable graph keeps it");
    drop(exec);
    assert_eq!(told.recv_timeout(Duration::from_secs(10)), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn a_failure_gives_everything_up() {
    let [stream] = streams();
    let (tell, told) = channel::<()>();
    let result = stream.capture_events(|scope| {
        scope.host_fn(move || drop(tell.clone()))?;
        Err(Error::StreamShared)
    });
    assert_eq!(result.map(drop), Err(Error::StreamShared));
    assert_eq!(told.recv_timeout(Duration::from_secs(10)), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn a_launch_runs_on_any_stream_and_follows_its_work() {
    let [stream, other] = streams();
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    let graph = contained(&stream, |scope| {
        scope.host_fn(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        })
    });
    let mut exec = graph.instantiate().unwrap();
    let hold = Hold::new(&other);
    exec.launch(&other).unwrap();
    let behind = other.record_event().unwrap();
    assert_eq!((behind.query(), count.load(Ordering::Relaxed)), (Ok(false), 0));
    hold.release();
    behind.synchronize().unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 1);
    let blocking = device().stream_with(StreamOptions::new().blocking(true)).unwrap();
    exec.launch(&blocking).unwrap();
    blocking.synchronize().unwrap();
    let default = device().default_stream().unwrap();
    exec.launch(&default).unwrap();
    default.synchronize().unwrap();
    let per_thread = device().per_thread_stream().unwrap();
    exec.launch(per_thread).unwrap();
    per_thread.synchronize().unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 4);
}

/// The second waits for the first, though it is on another stream.
#[test]
fn launches_of_one_graph_follow_each_other() {
    let [stream, other] = streams();
    let notes = Notes::default();
    let ready = Event::new();
    let graph = contained(&stream, |scope| {
        scope.wait_event(&ready)?;
        scope.host_fn(notes.note("ran"))
    });
    let mut exec = graph.instantiate().unwrap();
    let [producer] = streams();
    let hold = Hold::new(&producer);
    producer.record(&ready).unwrap();
    exec.launch(&stream).unwrap();
    exec.launch(&other).unwrap();
    assert_eq!(other.query(), Ok(false));
    hold.release();
    other.synchronize().unwrap();
    assert_eq!((notes.take().len(), stream.query()), (2, Ok(true)));
}

#[test]
fn an_executable_graph_is_dropped_while_it_runs() {
    let [stream] = streams();
    let notes = Notes::default();
    let graph = contained(&stream, |scope| scope.host_fn(notes.note("ran")));
    let mut exec = graph.instantiate().unwrap();
    drop(graph);
    let hold = Hold::new(&stream);
    exec.launch(&stream).unwrap();
    exec.destroy().unwrap();
    assert!(notes.take().is_empty());
    hold.release();
    stream.synchronize().unwrap();
    assert_eq!(notes.take(), ["ran"]);
}

#[test]
fn graphs_go_to_other_threads() {
    let [stream] = streams();
    let notes = Notes::default();
    let graph = contained(&stream, |scope| scope.host_fn(notes.note("ran")));
    let mut exec: GraphExec<Contained> = std::thread::scope(|threads| threads.spawn(move || graph.instantiate()).join()).unwrap().unwrap();
    std::thread::scope(|threads| threads.spawn(|| exec.launch(&stream)).join()).unwrap().unwrap();
    stream.synchronize().unwrap();
    assert_eq!(notes.take(), ["ran"]);
}

#[test]
fn a_clone_is_a_graph_of_its_own() {
    let [stream] = streams();
    let (source, mut target) = (Words::new(device(), 7), Words::new(device(), 1));
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
        target.copy_from(scope, &source);
        scope.host_fn(|| ())
    });
    let graph = graph.unwrap();
    let clone = graph.try_clone().unwrap();
    graph.destroy().unwrap();
    assert_eq!((clone.node_count(), clone.edge_count()), (Ok(2), Ok(1)));
    // SAFETY: both memories live until the end of the test.
    let mut exec = unsafe { clone.instantiate() }.unwrap();
    // SAFETY: as above.
    unsafe { exec.launch(&stream) }.unwrap();
    stream.synchronize().unwrap();
    assert_eq!(target.read(), 7);
}

#[test]
fn raw_graphs_are_given_up_and_taken_over() {
    let [stream] = streams();
    let graph = contained(&stream, |scope| scope.host_fn(|| ()));
    let lent = graph.as_raw();
    let raw = graph.into_raw();
    assert_eq!(lent, raw);
    // SAFETY: given up just now, of a stream of this context.
    let graph = unsafe { Graph::from_raw(stream.context(), raw) }.unwrap();
    assert_eq!((graph.node_count(), graph.context(), graph.device()), (Ok(1), stream.context(), device()));
    // SAFETY: it holds nothing but the host function.
    let exec = unsafe { graph.instantiate() }.unwrap();
    assert!(!exec.as_raw().is_null());
    assert_eq!((exec.context(), exec.device()), (stream.context(), device()));
    // SAFETY: refused, whatever is asked of a graph.
    let null = unsafe { Graph::from_raw(stream.context(), std::ptr::null_mut()) };
    assert_eq!(null.map(drop), Err(Error::NullHandle { what: "graph" }));
}

/// The thread's current context is what it was.
#[test]
fn no_context_is_needed() {
    let [stream] = streams();
    common::on_a_fresh_thread(|| {
        let event = Event::new();
        let graph = contained(&stream, |scope| {
            scope.record(&event)?;
            scope.host_fn(|| ())
        });
        let mut exec = graph.instantiate().unwrap();
        exec.upload(&stream).unwrap();
        exec.launch(&stream).unwrap();
        event.synchronize().unwrap();
        stream.synchronize().unwrap();
        assert!(common::contexts::current().is_null());
    });
}

#[test]
fn host_functions_call_nothing_of_the_driver() {
    let [stream] = streams();
    let (tell, told) = channel();
    let shared = Mutex::new((tell, Some(stream.record_event().unwrap())));
    let graph = contained(&stream, |scope| {
        scope.host_fn(move || {
            let mut shared = shared.lock().unwrap();
            drop(shared.1.take());
            shared.0.send(Device::count().map(drop)).unwrap();
        })
    });
    graph.instantiate().unwrap().launch(&stream).unwrap();
    stream.synchronize().unwrap();
    assert_eq!(told.try_recv(), Ok(Err(Error::InHostFunction)));
}

#[test]
fn debug_tells_what_it_holds() {
    let [stream] = streams();
    let graph = contained(&stream, |_| Ok(()));
    let foreign = stream.capture::<Error>(CaptureMode::default(), |_| Ok(())).unwrap();
    assert_eq!(format!("{graph:?}"), "Graph { work: Contained, device: 0, .. }");
    assert_eq!(format!("{foreign:?}"), "Graph { work: Foreign, device: 0, .. }");
    assert_eq!(format!("{:?}", graph.instantiate().unwrap()), "GraphExec { work: Contained, device: 0, .. }");
}
