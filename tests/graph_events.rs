//! Events as nodes of graphs: recorded and waited for with each launch, timed and moved.

mod common;

use common::hold::Hold;
use common::words::Words;
use common::{device, streams};
use cuda_streams::{CaptureMode, Dynamic, Error, ErrorCode, Event, EventOptions, EventStatus, Graph, Result, Stream, Which};

fn words(value: u32) -> Words {
    Words::new(device(), value)
}

fn external() -> EventOptions {
    EventOptions::new().external(true)
}

/// Launches it once and waits for it.
fn run(graph: &Graph, stream: &Stream) -> Result<()> {
    // SAFETY: what the tests capture needs nothing but events.
    let mut graph = unsafe { graph.instantiate() }?;
    // SAFETY: as above.
    unsafe { graph.launch(stream) }?;
    stream.synchronize()
}

/// T271: around a loop of copies, and a hold that shows what they are around.
#[test]
fn t271_timed_events_stand_around_the_work_of_a_graph() -> Result<()> {
    let [stream] = streams();
    Hold::new(&stream).release();
    stream.synchronize()?;
    let [start, end] = [(); 2].map(|()| external().timed().build());
    let [mut here, mut there] = [words(31), words(0)];
    let mut hold = None;
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
        scope.record(&start)?;
        for _ in 0..10 {
            there.copy_from(scope, &here);
            here.copy_from(scope, &there);
        }
        hold = Some(Hold::new(scope));
        scope.record(&end)
    })?;
    assert_eq!((graph.node_count()?, graph.edge_count()?), (23, 22), "the records are nodes");
    let unrecorded = start.elapsed_time(&end).map_err(|error| error.code());
    assert_eq!(unrecorded, Err(Some(ErrorCode::INVALID_HANDLE)), "before the first launch");
    // SAFETY: the memory of the copies lives until the end, and the launches are waited for.
    let mut graph = unsafe { graph.instantiate() }?;
    // SAFETY: as above.
    unsafe { graph.launch(&stream) }?;
    start.synchronize()?;
    assert_eq!((end.status()?, start.elapsed_time(&end)), (EventStatus::Pending, Err(Error::NotComplete { which: Which::End })));
    hold.expect("it was captured").release();
    end.synchronize()?;
    assert!(start.elapsed_time(&end)?.as_millis_f32() > 0.0, "the hold came between");
    let between = stream.record_event_with(EventOptions::new().timed())?;
    // SAFETY: as above.
    unsafe { graph.launch(&stream) }?;
    stream.synchronize()?;
    assert!(between.elapsed_time(&start)?.as_millis_f32() >= 0.0, "each launch records them");
    assert!(start.elapsed_time(&end)?.as_millis_f32() >= 0.0);
    assert_eq!((here.read(), there.read()), (31, 31));
    Ok(())
}

#[test]
fn t270_record_and_wait_nodes_order_a_graph_with_the_streams_around_it() -> Result<()> {
    let [producer, stream, consumer] = streams();
    let (source, mut data, mut seen) = (words(270), words(0), words(0));
    let (ready, done) = (Event::new(), Event::new());
    let graph = stream.capture_events::<Error>(|scope| {
        scope.wait_event(&ready)?;
        scope.record(&done)
    })?;
    assert_eq!((graph.node_count()?, graph.edge_count()?), (2, 1));
    let mut graph = graph.instantiate()?;
    graph.upload(&stream)?;
    stream.synchronize()?;
    assert_eq!((ready.query()?, done.query()?), (true, true), "neither was recorded");

    let hold = Hold::new(&producer);
    data.copy_from(&producer, &source);
    producer.record(&ready)?;
    graph.launch(&stream)?;
    consumer.wait_event(&done)?;
    seen.copy_from(&consumer, &data);
    assert_eq!((ready.query()?, done.query()?, stream.query()?, consumer.query()?), (false, false, false, false));
    hold.release();
    consumer.synchronize()?;
    assert_eq!((done.query()?, seen.read()), (true, 270));

    let hold = Hold::new(&stream);
    graph.launch(&stream)?;
    assert!(!done.query()?, "each launch records it anew");
    hold.release();
    done.synchronize()
}

/// T266: a node changes nothing of what an event is.
#[test]
fn t266_an_event_of_a_graph_is_what_it_was() -> Result<()> {
    let [stream] = streams();
    let timed = EventOptions::new().timed().blocking_sync(true).build();
    let blocking = EventOptions::new().blocking_sync(true).build();
    let plain = Event::new();
    let graph = stream.capture_events::<Error>(|scope| {
        scope.record(&timed)?;
        scope.wait_event(&blocking)?;
        scope.record(&plain)
    })?;
    graph.instantiate()?.launch(&stream)?;
    stream.synchronize()?;
    let home = Some(stream.context());
    let properties = |event: Event<Dynamic>| {
        assert_eq!((event.context(), event.device()), (home, Some(stream.device())));
        (event.is_timed(), event.is_blocking_sync(), event.is_interprocess())
    };
    assert!(timed.elapsed_time(&timed)?.as_millis_f32().abs() < f32::EPSILON, "it takes time stamps");
    assert_eq!(properties(timed.into_dynamic()), (true, true, false));
    assert_eq!(properties(blocking.into_dynamic()), (false, true, false));
    assert_eq!(properties(plain.into_dynamic()), (false, false, false));
    Ok(())
}

/// T516: before it is first recorded and after, into other places and another type.
#[test]
fn t516_an_external_event_stays_external_wherever_it_is_moved() -> Result<()> {
    let [stream] = streams();
    let plain = Event::new();
    let boxed = Box::new(external().build());
    let dynamic = external().build().into_dynamic();
    let mut replaced = Event::new();
    let old = std::mem::replace(&mut replaced, external().build());
    let used = external().build();
    stream.record(&used)?;
    let moved = on_another_thread(used);
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
        for edge in [&plain, &old] {
            scope.record(edge)?;
        }
        for node in [&*boxed, &replaced, &moved] {
            scope.record(node)?;
        }
        scope.record(&dynamic)?;
        scope.wait_event(&moved)
    })?;
    assert_eq!(graph.node_count()?, 5, "four records and a wait");
    run(&graph, &stream)?;
    assert_eq!([plain.status()?, old.status()?], [EventStatus::Captured; 2]);
    assert_eq!([boxed.query()?, replaced.query()?, moved.query()?, dynamic.query()?], [true; 4]);
    Ok(())
}

/// There and back.
fn on_another_thread(event: Event) -> Event {
    std::thread::spawn(move || event).join().expect("it does not panic")
}
