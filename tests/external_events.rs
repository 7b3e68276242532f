//! External events: nodes of graphs where the stream is captured, and events as any other elsewhere.

mod common;

use common::hold::Hold;
use common::raw;
use common::{drops_are_done, returns_after_release, streams};
use cuda_streams::{
    CaptureMode, Dynamic, Error, ErrorCode, Event, EventFlags, EventOptions, EventStatus, Graph, GraphExec, Interprocess, Mode, Result,
    Stream, Timed, Untimed, Which,
};

const UNTIMED: EventOptions = EventOptions::new().external(true);
const TIMED: EventOptions<Timed> = EventOptions::new().timed().external(true);

fn captured(stream: &Stream, work: impl FnOnce(&Stream) -> Result<()>) -> GraphExec {
    instantiate(&graph(stream, work))
}

fn graph(stream: &Stream, work: impl FnOnce(&Stream) -> Result<()>) -> Graph {
    stream.capture(CaptureMode::default(), |_| work(stream)).unwrap()
}

/// Instantiates what holds only records, waits and host functions.
fn instantiate(graph: &Graph) -> GraphExec {
    // SAFETY: the graph keeps what it needs.
    unsafe { graph.instantiate() }.unwrap()
}

/// Launches what holds only records, waits and host functions.
fn launch(exec: &mut GraphExec, stream: &Stream) {
    // SAFETY: the graph keeps what it needs.
    unsafe { exec.launch(stream) }.unwrap();
}

/// T514
#[test]
fn t514_outside_a_capture_they_are_as_any_other() {
    let [stream, other] = streams();
    let event = UNTIMED.build();
    assert_eq!((event.status(), event.query()), (Ok(EventStatus::NotRecorded), Ok(true)));
    other.wait_event(&event).unwrap();
    let hold = Hold::new(&stream);
    stream.record(&event).unwrap();
    other.wait_event(&event).unwrap();
    let behind = other.record_event().unwrap();
    assert_eq!((event.status(), behind.query()), (Ok(EventStatus::Pending), Ok(false)));
    returns_after_release(hold, || event.synchronize()).unwrap();
    behind.synchronize().unwrap();
    assert_eq!(event.status(), Ok(EventStatus::Complete));
    let (start, end) = (stream.record_event_with(TIMED).unwrap(), stream.record_event_with(TIMED).unwrap());
    end.synchronize().unwrap();
    assert!(start.elapsed_time(&end).unwrap().as_millis_f32() >= 0.0);
}

#[test]
fn every_mode_can_be_external() {
    fn check<M: Mode>(event: &Event<M>, stream: &Stream) {
        let graph = graph(stream, |stream| {
            stream.record(event)?;
            stream.wait_event(event)
        });
        assert_eq!(graph.node_count(), Ok(2), "{event:?}");
    }
    let [stream] = streams();
    check::<Untimed>(&UNTIMED.build(), &stream);
    check::<Timed>(&TIMED.build(), &stream);
    check::<Dynamic>(&TIMED.build().into_dynamic(), &stream);
    check::<Untimed>(&EventOptions::new().blocking_sync(true).external(true).build(), &stream);
    assert_eq!(UNTIMED.build().flags(), EventFlags::DISABLE_TIMING);
    let plain = EventOptions::new().external(true).external(false).build();
    assert_eq!(graph(&stream, |stream| stream.record(&plain)).is_empty(), Ok(true));
    let interprocess: EventOptions<Interprocess> = EventOptions::new().external(true).interprocess();
    assert!(interprocess.build().is_interprocess());
    check::<Interprocess>(&interprocess.build(), &stream);
}

/// T31
#[test]
fn t031_a_launch_is_timed_by_two_of_them() {
    let [stream] = streams();
    let (start, end) = (TIMED.build(), TIMED.build());
    let graph = graph(&stream, |stream| {
        stream.record(&start)?;
        stream.record(&end)
    });
    assert_eq!((graph.node_count(), graph.edge_count()), (Ok(2), Ok(1)));
    let unknown = |which| Err(Error::NotRecorded { which, code: Some(ErrorCode::INVALID_HANDLE) });
    assert_eq!(start.elapsed_time(&end), unknown(Which::Start), "there was no launch");
    let recorded = stream.record_event_with(TIMED).unwrap();
    recorded.synchronize().unwrap();
    assert_eq!(recorded.elapsed_time(&end), unknown(Which::End));
    let mut exec = instantiate(&graph);
    for _ in 0..3 {
        launch(&mut exec, &stream);
        end.synchronize().unwrap();
        assert!(start.elapsed_time(&end).unwrap().as_millis_f32() > 0.0);
    }
}

#[test]
fn a_launch_is_a_record() {
    let [stream, other] = streams();
    let event = UNTIMED.build();
    let mut exec = captured(&stream, |stream| stream.record(&event));
    assert_eq!(event.query(), Ok(true), "nothing was recorded");
    event.synchronize().unwrap();
    for _ in 0..2 {
        let hold = Hold::new(&stream);
        launch(&mut exec, &stream);
        assert_eq!((event.query(), event.status()), (Ok(false), Ok(EventStatus::Pending)));
        other.wait_event(&event).unwrap();
        let behind = other.record_event().unwrap();
        assert_eq!(behind.query(), Ok(false), "the wait holds until the node has run");
        returns_after_release(hold, || event.synchronize()).unwrap();
        behind.synchronize().unwrap();
        assert_eq!(event.query(), Ok(true));
    }
}

#[test]
fn a_wait_is_for_the_last_record_before_the_launch() {
    let [stream, producer] = streams();
    // Captured before the first record.
    let ready = UNTIMED.build();
    let mut exec = captured(&stream, |stream| stream.wait_event(&ready));
    launch(&mut exec, &stream);
    stream.synchronize().unwrap();
    for _ in 0..2 {
        let hold = Hold::new(&producer);
        producer.record(&ready).unwrap();
        launch(&mut exec, &stream);
        let behind = stream.record_event().unwrap();
        assert_eq!(behind.query(), Ok(false));
        returns_after_release(hold, || behind.synchronize()).unwrap();
    }
}

/// Though it is known to be complete.
#[test]
fn a_wait_on_a_captured_stream_is_always_made() {
    let [stream, producer] = streams();
    let ready = UNTIMED.build();
    producer.record(&ready).unwrap();
    ready.synchronize().unwrap();
    assert_eq!(graph(&stream, |stream| stream.wait_event(&ready)).node_count(), Ok(1));
}

/// The driver would give its place to another event, which the launch would then record.
#[test]
fn a_dropped_event_stays_while_a_graph_records_it() {
    let [stream, other] = streams();
    let event = UNTIMED.build();
    let graph = graph(&stream, |stream| stream.record(&event));
    drop(event);
    let mut exec = instantiate(&graph);
    drop(graph);
    drops_are_done(&other);
    let others: Vec<Event> = (0..8).map(|_| other.record_event().unwrap()).collect();
    other.synchronize().unwrap();
    assert!(others.iter().all(|event| event.query() == Ok(true)));
    let hold = Hold::new(&stream);
    launch(&mut exec, &stream);
    assert!(others.iter().all(|event| event.query() == Ok(true)), "the launch records somebody else's event");
    hold.release();
    stream.synchronize().unwrap();
}

#[test]
fn an_event_outlives_its_graph() {
    let [stream] = streams();
    let event = UNTIMED.build();
    drop(captured(&stream, |stream| stream.record(&event)));
    stream.record(&event).unwrap();
    event.synchronize().unwrap();
    event.destroy().unwrap();
}

#[test]
fn two_graphs_share_an_event() {
    let [stream, other] = streams();
    let event = UNTIMED.build();
    let mut record = captured(&stream, |stream| stream.record(&event));
    let mut wait = captured(&other, |other| other.wait_event(&event));
    drop(event);
    let hold = Hold::new(&stream);
    launch(&mut record, &stream);
    launch(&mut wait, &other);
    let behind = other.record_event().unwrap();
    drop(record);
    drops_are_done(&other);
    assert_eq!(behind.query(), Ok(false));
    returns_after_release(hold, || behind.synchronize()).unwrap();
    launch(&mut wait, &other);
    other.synchronize().unwrap();
}

#[test]
fn a_failed_capture_leaves_the_event_as_it_was() {
    let [stream] = streams();
    let event = UNTIMED.build();
    let result = stream.capture(CaptureMode::default(), |scope| {
        scope.record(&event)?;
        Err(Error::StreamShared)
    });
    assert_eq!(result.map(drop), Err(Error::StreamShared));
    stream.record(&event).unwrap();
    event.synchronize().unwrap();
    assert_eq!(event.query(), Ok(true));
}

/// torch's and cudarc's captures, as well as this crate's.
#[test]
fn in_a_capture_of_others_they_are_nodes_too() {
    let [stream] = streams();
    let event = UNTIMED.build();
    raw::begin_capture(&stream);
    stream.record(&event).unwrap();
    stream.wait_event(&event).unwrap();
    let raw = raw::end_capture(&stream).unwrap();
    // SAFETY: ended just now, of a stream of this context.
    let graph = unsafe { Graph::from_raw(stream.context(), raw) }.unwrap();
    let handle = event.as_raw().unwrap();
    drop(event);
    assert_eq!(graph.node_count(), Ok(2));
    launch(&mut instantiate(&graph), &stream);
    stream.synchronize().unwrap();
    drop(graph);
    drops_are_done(&stream);
    assert_eq!(raw::event_query(handle), raw::SUCCESS, "nobody tells when their graph is gone");
}

/// The first record of it, where the event comes into being.
#[test]
fn record_event_with_makes_a_node() {
    let [stream] = streams();
    let graph = graph(&stream, |stream| {
        let event = stream.record_event_with(UNTIMED)?;
        assert_ne!(event.status()?, EventStatus::Captured);
        Ok(())
    });
    assert_eq!(graph.node_count(), Ok(1));
    launch(&mut instantiate(&graph), &stream);
    stream.synchronize().unwrap();
}

/// A launch records it again, and nobody else may have it while there is a graph of it.
#[test]
fn an_event_that_record_event_with_has_made_is_the_graphs_too() {
    let [stream, other] = streams();
    let (mut kept, mut dropped) = (None, None);
    let graph = graph(&stream, |stream| {
        kept = Some(stream.record_event_with(UNTIMED)?);
        dropped = Some(stream.record_event_with(UNTIMED)?);
        Ok(())
    });
    let (event, mut exec) = (kept.unwrap(), instantiate(&graph));
    drop(dropped);
    let others = [(); 8].map(|()| other.record_event().unwrap());
    other.synchronize().unwrap();
    let hold = Hold::new(&stream);
    launch(&mut exec, &stream);
    assert_eq!((event.query(), event.status()), (Ok(false), Ok(EventStatus::Pending)));
    assert!(others.iter().all(|event| event.query() == Ok(true)), "the launch records somebody else's event");
    returns_after_release(hold, || event.synchronize()).unwrap();
    stream.synchronize().unwrap();
}

#[test]
fn what_waits_inside_does_not_join() {
    let [stream, side] = streams();
    let event = UNTIMED.build();
    let graph = graph(&stream, |stream| {
        stream.record(&event)?;
        side.wait_event(&event)?;
        assert_eq!(side.is_capturing(), Ok(false));
        Ok(())
    });
    assert_eq!(graph.node_count(), Ok(1));
    side.synchronize().unwrap();
}
