//! What a graph needs lives as long as the graph, and no stream or event needs a graph.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::hold::Hold;
use common::words::Words;
use common::{device, drops_are_done, raw, streams};
use cuda_streams::{CaptureMode, Contained, Error, Event, EventOptions, EventScope, Graph, GraphExec, RawEvent, Result, Stream};

fn words(value: u32) -> Words {
    Words::new(device(), value)
}

/// A node of the event.
type Node = fn(&EventScope<'_>, &Event) -> Result<()>;

/// A record and a wait.
const NODES: [Node; 2] = [|scope, event| scope.record(event), |scope, event| scope.wait_event(event)];

/// A graph with a node of an event that only the graph has.
fn graph_of_its_event(stream: &Stream, node: Node) -> Result<(Graph<Contained>, RawEvent)> {
    let event = Event::new();
    let graph = stream.capture_events::<Error>(|scope| node(scope, &event))?;
    let raw = event.as_raw().expect("a node needs the driver's event");
    Ok((graph, raw))
}

/// New events, of which none is the one that is in use.
fn assert_in_use(raw: RawEvent, stream: &Stream) -> Result<()> {
    drops_are_done(stream);
    let events = (0..100).map(|_| stream.record_event()).collect::<Result<Vec<_>>>()?;
    assert!(events.iter().all(|event| event.as_raw() != Some(raw)), "the driver's event was given back");
    assert_eq!(raw::event_query(raw), raw::SUCCESS);
    Ok(())
}

/// T262: the function is there as long as anything that calls it, and is called with each launch.
#[test]
fn t262_a_host_function_lives_with_the_last_graph() -> Result<()> {
    let [stream] = streams();
    let (count, owned) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
    let graph = {
        let (count, owned) = (count.clone(), owned.clone());
        stream.capture_events::<Error>(|scope| {
            scope.host_fn(move || {
                count.fetch_add(Arc::strong_count(&owned).min(2), Ordering::Relaxed);
            })
        })?
    };
    let clone = graph.try_clone()?;
    let (mut first, mut second) = (graph.instantiate()?, clone.instantiate()?);
    drop((graph, clone));
    for _ in 0..3 {
        first.launch(&stream)?;
    }
    drop(first);
    second.launch(&stream)?;
    stream.synchronize()?;
    assert_eq!(count.load(Ordering::Relaxed), 4 * 2, "called four times, while the owner was there");
    drops_are_done(&stream);
    assert_eq!(Arc::strong_count(&owned), 2);
    Ok(())
}

/// T264: either may go first.
#[test]
fn t264_streams_and_graphs_do_not_need_each_other() -> Result<()> {
    let [stream, other] = streams();
    let (source, mut data) = (words(264), words(0));
    let captured = |data: &mut Words| -> Result<GraphExec> {
        let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
            data.copy_from(scope, &source);
            Ok(())
        })?;
        // SAFETY: the memory of the copy lives until the end.
        unsafe { graph.instantiate() }
    };
    let (gone, mut kept) = (captured(&mut data)?, captured(&mut data)?);
    gone.destroy()?;
    stream.record_event()?.synchronize()?;
    let hold = Hold::new(&stream);
    // SAFETY: the memory of the copy lives until the end, and the launch is waited for.
    unsafe { kept.launch(&stream) }?;
    other.wait_stream(&stream)?;
    stream.destroy().expect("it is not shared");
    assert!(!other.query()?, "the launch is still to run");
    hold.release();
    other.synchronize()?;
    assert_eq!(data.read(), 264);
    let zeros = words(0);
    data.copy_from(&other, &zeros);
    // SAFETY: as above.
    unsafe { kept.launch(&other) }?;
    other.synchronize()?;
    assert_eq!(data.read(), 264, "without the stream that was captured");
    Ok(())
}

/// T265, T267
#[test]
fn t265_an_event_that_is_dropped_lives_with_the_graph_that_has_its_node() -> Result<()> {
    let [stream] = streams();
    for node in NODES {
        let (graph, event) = graph_of_its_event(&stream, node)?;
        assert_in_use(event, &stream)?;
        let mut graph = {
            let instantiated = graph.instantiate()?;
            graph.destroy()?;
            instantiated
        };
        assert_in_use(event, &stream)?;
        graph.launch(&stream)?;
        stream.synchronize()?;
        assert_in_use(event, &stream)?;
    }
    Ok(())
}

#[test]
fn t268_nodes_record_and_wait_after_their_events_are_dropped() -> Result<()> {
    let [producer, stream, consumer] = streams();
    let (source, mut data, mut seen) = (words(268), words(0), words(0));
    let (ready, done) = (Event::new(), Event::new());
    let graph = stream.capture_events::<Error>(|scope| {
        scope.wait_event(&ready)?;
        scope.record(&done)
    })?;
    let mut graph = graph.instantiate()?;
    let hold = Hold::new(&producer);
    data.copy_from(&producer, &source);
    producer.record(&ready)?;
    let recorded = done.as_raw().expect("a node needs the driver's event");
    drop((ready, done));
    graph.launch(&stream)?;
    consumer.wait_stream(&stream)?;
    seen.copy_from(&consumer, &data);
    assert!(!consumer.query()?, "the launch waits for the event");
    assert_eq!(raw::event_query(recorded), raw::NOT_READY, "the launch records the event");
    hold.release();
    consumer.synchronize()?;
    assert_eq!((seen.read(), raw::event_query(recorded)), (268, raw::SUCCESS));
    Ok(())
}

/// T269: also of a capture, whose nodes are of external events.
#[test]
fn t269_a_clone_has_all_that_it_needs_when_the_rest_is_gone() -> Result<()> {
    let [producer, consumer] = streams();
    let (source, mut data, mut seen) = (words(269), words(0), words(0));
    let hold = Hold::new(&producer);
    data.copy_from(&producer, &source);
    let (mut first, mut second, recorded) = {
        let stream = device().stream()?;
        let [ready, done] = [(); 2].map(|()| EventOptions::new().external(true).build());
        producer.record(&ready)?;
        let first = stream.capture_events::<Error>(|scope| scope.wait_event(&ready))?;
        let second = stream.capture::<Error>(CaptureMode::default(), |scope| {
            scope.wait_event(&ready)?;
            scope.record(&done)
        })?;
        let recorded = done.as_raw().expect("a node needs the driver's event");
        let second = second.try_clone()?;
        // SAFETY: it holds a wait and a record, whose events it keeps.
        (first.try_clone()?.instantiate()?, unsafe { second.instantiate() }?, recorded)
    };
    let between = device().stream()?;
    first.launch(&between)?;
    // SAFETY: it holds a wait and a record, whose events it keeps.
    unsafe { second.launch(&consumer) }?;
    consumer.wait_stream(&between)?;
    seen.copy_from(&consumer, &data);
    assert!(!between.query()? && !consumer.query()?, "both launches wait for the event");
    assert_eq!(raw::event_query(recorded), raw::NOT_READY);
    hold.release();
    consumer.synchronize()?;
    assert_eq!((seen.read(), raw::event_query(recorded)), (269, raw::SUCCESS));
    Ok(())
}
