//! Order between streams: what a wait holds back, until when, and what it does not touch.

mod common;

use common::hold::Hold;
use common::words::Words;
use common::{device, streams};
use cuda_streams::{AsStream, Event, Result, Stream};

/// Three streams: `producer`, which is held and then writes 1 to `data`, `consumer`, and one that is
/// free.
struct Pair {
    hold: Hold,
    producer: Stream,
    consumer: Stream,
    free: Stream,
    /// What the producer copies to `data`, later.
    _source: Words,
    data: Words,
    seen: Words,
}

impl Pair {
    fn new() -> Self {
        let [producer, consumer, free] = streams();
        let (source, mut data, seen) = (Words::new(device(), 1), Words::new(device(), 0), Words::new(device(), 0));
        let hold = Hold::new(&producer);
        data.copy_from(&producer, &source);
        Self { hold, producer, consumer, free, _source: source, data, seen }
    }

    /// Copies the data on the consumer, and checks that this waits for the producer.
    fn consume_and_check(mut self) -> Result<()> {
        self.seen.copy_from(&self.consumer, &self.data);
        assert!(!self.consumer.query()?, "the consumer does not wait");
        self.hold.release();
        self.consumer.synchronize()?;
        assert_eq!(self.seen.read(), 1, "the consumer came before the producer");
        Ok(())
    }
}

/// T97
#[test]
fn t097_a_wait_orders_two_streams() -> Result<()> {
    let pair = Pair::new();
    let event = Event::new();
    event.record(&pair.producer)?;
    event.wait(&pair.consumer)?;
    pair.consume_and_check()
}

#[test]
fn a_recorded_event_orders_two_streams() -> Result<()> {
    let pair = Pair::new();
    pair.consumer.wait_event(&pair.producer.record_event()?)?;
    pair.consume_and_check()
}

#[test]
fn a_timed_event_orders_two_streams() -> Result<()> {
    let pair = Pair::new();
    let event = Event::timed();
    pair.producer.record(&event)?;
    pair.consumer.wait_event(&event)?;
    pair.consume_and_check()
}

/// T439
#[test]
fn t439_a_wait_holds_although_its_event_is_gone() -> Result<()> {
    let pair = Pair::new();
    let event = pair.producer.record_event()?;
    pair.consumer.wait_event(&event)?;
    drop(event);
    let later = pair.free.record_event()?;
    later.synchronize()?;
    pair.consume_and_check()
}

/// T497
#[test]
fn t497_a_wait_keeps_its_mark_when_the_event_is_recorded_again() -> Result<()> {
    let [first, second, waiting] = streams();
    let event = Event::new();
    let (hold, later_hold) = (Hold::new(&first), Hold::new(&second));
    event.record(&first)?;
    waiting.wait_event(&event)?;
    event.record(&second)?;
    assert!(!waiting.query()?);
    hold.release();
    waiting.synchronize()?;
    assert!(!event.query()?, "the new mark is behind the second hold");
    later_hold.release();
    event.synchronize()
}

#[test]
fn a_wait_keeps_its_mark_when_the_event_moves_to_a_free_stream() -> Result<()> {
    let pair = Pair::new();
    let event = pair.producer.record_event()?;
    pair.consumer.wait_event(&event)?;
    event.record(&pair.free)?;
    event.synchronize()?;
    pair.consume_and_check()
}

#[test]
fn a_wait_on_a_complete_event_holds_nothing_back() -> Result<()> {
    let [first, second, busy] = streams();
    let event = first.record_event()?;
    event.synchronize()?;
    let hold = Hold::new(&busy);
    second.wait_event(&event)?;
    second.synchronize()?;
    assert!(!busy.query()?);
    hold.release();
    busy.synchronize()
}

/// T453
#[test]
fn t453_a_stream_may_wait_for_its_own_mark() -> Result<()> {
    let [stream] = streams();
    let hold = Hold::new(&stream);
    let event = stream.record_event()?;
    stream.wait_event(&event)?;
    hold.release();
    stream.synchronize()?;
    assert!(event.query()?);
    Ok(())
}

/// T79, T114, T119
#[test]
fn t119_two_streams_wait_for_one_event() -> Result<()> {
    let [producer, second, third] = streams();
    let source = Words::new(device(), 119);
    let [mut data, mut second_copy, mut third_copy] = [0; 3].map(|value| Words::new(device(), value));
    let hold = Hold::new(&producer);
    data.copy_from(&producer, &source);
    let event = producer.record_event()?;
    for (stream, copy) in [(&second, &mut second_copy), (&third, &mut third_copy)] {
        stream.wait_event(&event)?;
        copy.copy_from(stream, &data);
        assert!(!stream.query()?);
    }
    hold.release();
    second.synchronize()?;
    assert!(event.query()? && producer.query()?, "who waited for the waiting stream has waited for the event");
    third.synchronize()?;
    assert_eq!((second_copy.read(), third_copy.read()), (119, 119));
    Ok(())
}

/// T103, T107
#[test]
fn t103_one_stream_waits_for_many() -> Result<()> {
    let producers = streams::<3>();
    let [join] = streams();
    let sources = [1, 2, 3].map(|value| Words::new(device(), value));
    let mut data = [0; 3].map(|value| Words::new(device(), value));
    let mut seen = [0; 3].map(|value| Words::new(device(), value));
    let holds = producers.each_ref().map(Hold::new);
    for ((producer, source), data) in producers.iter().zip(&sources).zip(&mut data) {
        data.copy_from(producer, source);
        join.wait_event(&producer.record_event()?)?;
    }
    for (seen, data) in seen.iter_mut().zip(&data) {
        seen.copy_from(&join, data);
    }
    for hold in holds {
        assert!(!join.query()?, "one of the producers is still held");
        hold.release();
    }
    join.synchronize()?;
    assert_eq!(seen.map(|words| words.read()), [1, 2, 3]);
    Ok(())
}

/// T106
#[test]
fn t106_a_diamond_joins_what_it_forked() -> Result<()> {
    let [top, left, right, bottom] = streams();
    let source = Words::new(device(), 106);
    let [mut forked, mut by_left, mut by_right, mut from_left, mut from_right] = [0; 5].map(|value| Words::new(device(), value));
    let hold = Hold::new(&top);
    forked.copy_from(&top, &source);
    let fork = top.record_event()?;
    for (side, copy) in [(&left, &mut by_left), (&right, &mut by_right)] {
        side.wait_event(&fork)?;
        copy.copy_from(side, &forked);
        bottom.wait_stream(side)?;
    }
    from_left.copy_from(&bottom, &by_left);
    from_right.copy_from(&bottom, &by_right);
    assert!(!bottom.query()?);
    hold.release();
    bottom.synchronize()?;
    assert_eq!((from_left.read(), from_right.read()), (106, 106));
    Ok(())
}

/// T104
#[test]
fn t104_each_stage_of_a_pipeline_waits_for_the_one_before() -> Result<()> {
    let stages = streams::<3>();
    let source = Words::new(device(), 104);
    let mut data = [0; 3].map(|value| Words::new(device(), value));
    let hold = Hold::new(&stages[0]);
    let mut previous = (&source, Event::new());
    for (stage, data) in stages.iter().zip(&mut data) {
        stage.wait_event(&previous.1)?;
        data.copy_from(stage, previous.0);
        previous = (data, stage.record_event()?);
    }
    for stage in &stages {
        assert!(!stage.query()?);
    }
    hold.release();
    previous.1.synchronize()?;
    for stage in &stages {
        assert!(stage.query()?);
    }
    assert_eq!(data.map(|words| words.read()), [104; 3]);
    Ok(())
}

#[test]
fn wait_stream_orders_two_streams() -> Result<()> {
    let pair = Pair::new();
    pair.consumer.wait_stream(&pair.producer)?;
    pair.consume_and_check()
}

#[test]
fn wait_stream_works_on_views() -> Result<()> {
    let pair = Pair::new();
    pair.consumer.as_stream().wait_stream(pair.producer.as_stream())?;
    pair.consume_and_check()
}

#[test]
fn wait_stream_does_not_wait_for_what_comes_later() -> Result<()> {
    let [first, second] = streams();
    second.wait_stream(&first)?;
    let hold = Hold::new(&first);
    second.synchronize()?;
    assert!(!first.query()?);
    hold.release();
    first.synchronize()
}

/// T505
#[test]
fn t505_a_stream_that_waits_for_itself_goes_on() -> Result<()> {
    let [stream] = streams();
    let clone = stream.clone();
    let hold = Hold::new(&stream);
    stream.wait_stream(&stream)?;
    clone.wait_stream(&stream)?;
    stream.wait_stream(clone)?;
    hold.release();
    stream.synchronize()
}

#[test]
fn streams_may_wait_for_each_other_in_turn() -> Result<()> {
    let [first, second] = streams();
    let source = Words::new(device(), 5);
    let mut hops = [0; 6].map(|value| Words::new(device(), value));
    let hold = Hold::new(&first);
    let mut previous = &source;
    for (index, hop) in hops.iter_mut().enumerate() {
        let (here, there) = if index % 2 == 0 { (&first, &second) } else { (&second, &first) };
        hop.copy_from(here, previous);
        there.wait_stream(here)?;
        previous = hop;
    }
    assert!(!second.query()?);
    hold.release();
    second.synchronize()?;
    first.synchronize()?;
    assert_eq!(hops.map(|words| words.read()), [5; 6]);
    Ok(())
}
