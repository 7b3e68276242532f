//! Waits that this crate may leave out, since the event is known to be complete; and those that look like them, and
//! hold work back.

mod common;

use std::ptr;
use std::thread;

use common::hold::Hold;
use common::words::Words;
use common::{device, expect_misuse, raw, streams};
use cuda_streams::{
    AsEvent, AsStream, CaptureMode, CaptureStatus, Error, ErrorCode, Event, EventOptions, ExternalStream, Graph, Result, Stream,
    StreamOptions,
};

const EXTERNAL: EventOptions = EventOptions::new().external(true);

/// An event that is complete, which is remembered.
fn complete(stream: impl AsStream) -> Result<Event> {
    complete_with(stream, EventOptions::new())
}

fn complete_with(stream: impl AsStream, options: EventOptions) -> Result<Event> {
    let event = options.build();
    event.record(stream)?;
    event.synchronize()?;
    assert!(event.query()?);
    Ok(event)
}

fn blocking() -> Result<Stream> {
    device().stream_with(StreamOptions::new().blocking(true))
}

/// What one stream writes once the hold is released, and another reads.
struct Work {
    hold: Hold,
    _one: Words,
    data: Words,
    seen: Words,
}

impl Work {
    fn new(producer: &Stream) -> Self {
        let (one, [mut data, seen]) = (Words::new(device(), 1), [0; 2].map(|value| Words::new(device(), value)));
        let hold = Hold::new(producer);
        data.copy_from(producer, &one);
        Self { hold, _one: one, data, seen }
    }

    /// The consumer has waited, and reads what was written.
    fn check(mut self, consumer: &Stream) -> Result<()> {
        self.seen.copy_from(consumer, &self.data);
        assert!(!consumer.query()?, "the consumer does not wait");
        self.hold.release();
        consumer.synchronize()?;
        assert_eq!(self.seen.read(), 1, "the consumer came before the producer");
        Ok(())
    }
}

#[test]
fn an_event_that_is_recorded_again_holds_back() -> Result<()> {
    let [producer, consumer] = streams();
    let event = complete(&producer)?;
    consumer.wait_event(&event)?;
    let work = Work::new(&producer);
    event.record(&producer)?;
    consumer.wait_event(&event)?;
    work.check(&consumer)
}

#[test]
fn an_event_that_another_thread_records_again_holds_back() -> Result<()> {
    let [producer, consumer] = streams();
    let event = complete(&producer)?;
    consumer.wait_event(&event)?;
    let work = Work::new(&producer);
    thread::scope(|scope| scope.spawn(|| event.record(&producer)).join().expect("no panic"))?;
    consumer.wait_event(&event)?;
    work.check(&consumer)
}

/// An event of its own, although its driver's event was another's, which is complete.
#[test]
fn a_new_event_is_none_of_those_before() -> Result<()> {
    let [producer, consumer] = streams();
    drop(complete(&producer)?);
    let work = Work::new(&producer);
    let (event, unrecorded) = (producer.record_event()?, device().event(EventOptions::new())?);
    consumer.wait_event(&unrecorded)?;
    assert!(consumer.query()?, "it was never recorded");
    consumer.wait_event(&event)?;
    drop(event);
    work.check(&consumer)
}

#[test]
fn what_others_record_after_it_was_complete_holds_back() -> Result<()> {
    let [producer, consumer] = streams();
    let [event, given_up] = [complete(&producer)?, complete(&producer)?];
    consumer.wait_event(&event)?;
    let raw = given_up.into_raw().expect("it is bound");
    // SAFETY: given up just now, and made so in this context.
    let taken_over = unsafe { Event::from_raw(producer.context(), raw, EventOptions::new()) }?;
    taken_over.synchronize()?;
    for event in [event, taken_over] {
        let handle = event.as_event().as_raw().expect("it is bound");
        let work = Work::new(&producer);
        // SAFETY: both are alive, and of one context.
        assert_eq!(unsafe { raw::cuEventRecord(handle, producer.as_raw()) }, raw::SUCCESS);
        consumer.wait_event(&event)?;
        work.check(&consumer)?;
    }
    Ok(())
}

#[test]
fn what_a_launch_records_after_it_was_complete_holds_back() -> Result<()> {
    let [producer, consumer] = streams();
    let (added, captured) = (complete(&producer)?, complete_with(&producer, EXTERNAL)?);
    let mut first = producer.capture_events::<Error>(|scope| scope.record(&added))?.instantiate()?;
    let second = producer.capture::<Error>(CaptureMode::default(), |scope| scope.record(&captured))?;
    // SAFETY: the graph has nothing but the node, whose event it keeps.
    let mut second = unsafe { second.instantiate() }?;
    consumer.wait_event(&added)?;
    consumer.wait_event(&captured)?;
    let work = Work::new(&producer);
    first.launch(&producer)?;
    consumer.wait_event(&added)?;
    work.check(&consumer)?;
    let work = Work::new(&producer);
    // SAFETY: the graph has nothing but the node.
    unsafe { second.launch(&producer) }?;
    consumer.wait_event(&captured)?;
    work.check(&consumer)
}

/// A wait of the legacy default stream, for whatever event, comes behind all work of blocking streams, and theirs behind
/// it.
#[test]
fn a_wait_of_the_legacy_default_stream_is_a_barrier() -> Result<()> {
    let ([free], default) = (streams(), device().default_stream()?);
    // SAFETY: nothing is asked of a default stream.
    let legacy = unsafe { ExternalStream::from_raw_on(device(), ptr::without_provenance_mut(1)) }?;
    for (stream, options) in [(&default, EventOptions::new()), (&legacy, EventOptions::new()), (&default, EXTERNAL), (&legacy, EXTERNAL)] {
        let (producer, consumer, event) = (blocking()?, blocking()?, complete_with(&free, options)?);
        let work = Work::new(&producer);
        stream.wait_event(&event)?;
        work.check(&consumer)?;
    }
    Ok(())
}

/// So one that is left out there holds nothing back either.
#[test]
fn a_wait_of_the_per_thread_stream_is_no_barrier() -> Result<()> {
    let (producer, consumer, stream) = (blocking()?, blocking()?, device().per_thread_stream()?);
    let event = complete(&consumer)?;
    let hold = Hold::new(&producer);
    stream.wait_event(&event)?;
    let behind = consumer.record_event()?;
    behind.synchronize()?;
    stream.record_event()?.synchronize()?;
    assert!(!producer.query()?);
    hold.release();
    producer.synchronize()
}

#[test]
fn in_a_capture_what_was_complete_before_it_is_no_part_of_it() -> Result<()> {
    let [stream, other] = streams();
    let (before, again) = (complete(&other)?, complete(&other)?);
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
        scope.wait_event(&before)?;
        assert_eq!(scope.status(), Ok(CaptureStatus::Active));
        scope.host_fn(|| ())?;
        // Recorded again, in the capture: whoever waits joins.
        scope.record(&again)?;
        other.wait_event(&again)?;
        assert_eq!(other.capture_status(), Ok(CaptureStatus::Active));
        other.wait_event(&before)?;
        scope.wait_stream(&other)
    })?;
    assert_eq!((graph.node_count(), graph.edge_count()), (Ok(1), Ok(0)));
    Ok(())
}

/// The driver's answer is passed on, and the capture is over, as with the raw call.
#[test]
fn in_a_capture_of_others_the_driver_has_its_say() -> Result<()> {
    let _misuse = expect_misuse();
    let [stream, other] = streams();
    let event = complete(&other)?;
    // SAFETY: the stream is borrowed from its owner.
    let external = unsafe { ExternalStream::with_owner(stream.as_raw(), &stream) }?;
    for waiting in [stream.as_stream(), external.as_stream(), stream.clone().as_stream()] {
        raw::begin_capture(&stream);
        let (call, code) = ("cuStreamWaitEvent", ErrorCode::STREAM_CAPTURE_ISOLATION);
        assert_eq!(waiting.wait_event(&event), Err(Error::Driver { call, code }));
        assert_eq!(stream.capture_status(), Ok(CaptureStatus::Invalidated));
        assert_eq!(raw::end_capture(&stream), Err(ErrorCode::STREAM_CAPTURE_INVALIDATED.get()));
    }
    stream.wait_event(&event)?;
    stream.synchronize()
}

/// What the event records between capture and launch.
fn check_node(graph: &Graph, stream: &Stream, event: &Event) -> Result<()> {
    assert_eq!(graph.node_count(), Ok(1), "the wait is a node");
    let [producer] = streams();
    // SAFETY: the graph has nothing but the node, whose event it keeps.
    let mut graph = unsafe { graph.instantiate() }?;
    let work = Work::new(&producer);
    event.record(&producer)?;
    // SAFETY: the graph has nothing but the node.
    unsafe { graph.launch(stream) }?;
    work.check(stream)
}

/// A graph waits with each launch: what is complete now says nothing of then.
#[test]
fn an_external_event_that_is_complete_becomes_a_node() -> Result<()> {
    let [stream, other] = streams();
    let event = complete_with(&other, EXTERNAL)?;
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| scope.wait_event(&event))?;
    check_node(&graph, &stream, &event)?;
    let event = complete_with(&other, EXTERNAL)?;
    raw::begin_capture(&stream);
    stream.wait_event(&event)?;
    let raw = raw::end_capture(&stream).expect("the capture goes on");
    // SAFETY: ended just now, of a stream of this context.
    let graph = unsafe { Graph::from_raw(stream.context(), raw) }?;
    check_node(&graph, &stream, &event)
}

/// By a wait, into a capture of others: nobody has its handle.
#[test]
fn an_external_event_becomes_a_node_on_a_stream_that_was_brought_into_a_capture() -> Result<()> {
    let [stream, side, other] = streams();
    let event = complete_with(&other, EXTERNAL)?;
    raw::begin_capture(&stream);
    side.wait_event(stream.record_event()?)?;
    assert_eq!(side.capture_status(), Ok(CaptureStatus::Active));
    side.wait_event(&event)?;
    stream.wait_event(side.record_event()?)?;
    let raw = raw::end_capture(&stream).expect("the capture goes on");
    // SAFETY: ended just now, of a stream of this context.
    let graph = unsafe { Graph::from_raw(stream.context(), raw) }?;
    check_node(&graph, &stream, &event)
}
