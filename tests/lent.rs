//! Events whose raw handle was given out: others may record them, so nothing is remembered.

mod common;

use common::hold::Hold;
use common::words::Words;
use common::{device, raw, streams};
use cuda_streams::{AsEvent, Event, EventOptions, EventRef, EventStatus, RawEvent, Result, Stream};

/// Records an event as somebody does who has only the raw handle.
fn record_elsewhere(event: RawEvent, stream: &Stream) {
    // SAFETY: both handles are alive, and of one context.
    let code = unsafe { raw::cuEventRecord(event, stream.as_raw()) };
    assert_eq!(code, raw::SUCCESS);
}

#[test]
fn a_record_by_others_is_seen_although_completion_was_remembered() -> Result<()> {
    let [stream] = streams();
    let event = stream.record_event()?;
    event.synchronize()?;
    assert!(event.query()?, "it is complete, and remembered");
    let handle = event.as_raw().expect("it is bound");
    let hold = Hold::new(&stream);
    record_elsewhere(handle, &stream);
    assert!(!event.query()?);
    assert_eq!(event.status()?, EventStatus::Pending);
    hold.release();
    event.synchronize()?;
    assert_eq!(event.status()?, EventStatus::Complete);
    Ok(())
}

#[test]
fn a_record_by_others_is_seen_each_time() -> Result<()> {
    let [stream] = streams();
    let event = stream.record_event()?;
    let handle = event.as_raw().expect("it is bound");
    for _ in 0..3 {
        event.synchronize()?;
        assert!(event.query()?);
        let hold = Hold::new(&stream);
        record_elsewhere(handle, &stream);
        assert!(!event.query()?);
        hold.release();
    }
    event.synchronize()
}

#[test]
fn waits_and_synchronize_reach_a_first_record_by_others() -> Result<()> {
    let [producer, consumer] = streams();
    let source = Words::new(device(), 9);
    let [mut data, mut seen] = [0; 2].map(|value| Words::new(device(), value));
    let event = device().event(EventOptions::new())?;
    let handle = event.as_raw().expect("it is bound");
    let hold = Hold::new(&producer);
    data.copy_from(&producer, &source);
    record_elsewhere(handle, &producer);
    consumer.wait_event(&event)?;
    seen.copy_from(&consumer, &data);
    assert!(!consumer.query()?, "the wait is not left out");
    common::returns_after_release(hold, || event.synchronize())?;
    consumer.synchronize()?;
    assert_eq!(seen.read(), 9);
    Ok(())
}

#[test]
fn a_lent_event_is_never_called_not_recorded() -> Result<()> {
    let event = device().event(EventOptions::new())?;
    assert_eq!(event.status()?, EventStatus::NotRecorded);
    assert!(event.as_raw().is_some());
    assert_eq!(event.status()?, EventStatus::Complete, "the driver has nothing to wait for, and only it knows");
    Ok(())
}

#[test]
fn our_records_on_a_lent_event_count_for_others() -> Result<()> {
    let [stream] = streams();
    let event = Event::timed();
    event.bind(device())?;
    let handle = event.as_raw().expect("it is bound");
    let hold = Hold::new(&stream);
    event.record(&stream)?;
    // SAFETY: the handle is alive.
    assert_eq!(unsafe { raw::cuEventQuery(handle) }, raw::NOT_READY);
    hold.release();
    event.synchronize()?;
    // SAFETY: as above.
    assert_eq!(unsafe { raw::cuEventQuery(handle) }, raw::SUCCESS);
    Ok(())
}

#[test]
fn the_time_between_records_by_others_is_told() -> Result<()> {
    let [stream] = streams();
    let (start, end) = (device().event(EventOptions::new().timed())?, device().event(EventOptions::new().timed())?);
    for event in [&start, &end] {
        record_elsewhere(event.as_raw().expect("it is bound"), &stream);
    }
    stream.synchronize()?;
    let (there, back) = (start.elapsed_time(&end)?.as_millis_f32(), end.elapsed_time(&start)?.as_millis_f32());
    assert!(there >= 0.0);
    assert_eq!((there + back).abs().to_bits(), 0, "{there} and {back}");
    Ok(())
}

/// The view is of the whole event: who has its handle from there may record it as well.
#[test]
fn a_handle_from_a_view_is_lent() -> Result<()> {
    let [stream] = streams();
    let event = stream.record_event()?;
    event.synchronize()?;
    assert!(event.query()?, "it is complete, and remembered");
    let handle = event.as_event().as_raw().expect("it is bound");
    let hold = Hold::new(&stream);
    record_elsewhere(handle, &stream);
    assert!(!event.query()? && !event.as_event().query()?);
    hold.release();
    event.synchronize()
}

/// The same event by its handle, as if it were somebody else's.
#[test]
fn records_by_a_foreign_view_of_our_event_are_seen() -> Result<()> {
    let [stream, other] = streams();
    let event = stream.record_event()?;
    event.synchronize()?;
    // SAFETY: `event` lives until the end.
    let view = unsafe { EventRef::from_raw(event.as_raw().expect("it is bound")) };
    let hold = Hold::new(&stream);
    stream.record(view)?;
    assert!(!event.query()?);
    other.wait_event(&event)?;
    assert!(!other.query()?);
    hold.release();
    view.synchronize()?;
    assert!(event.query()?);
    Ok(())
}

#[test]
fn an_event_stays_lent_in_another_mode() -> Result<()> {
    let [stream] = streams();
    let event = stream.record_event()?;
    event.synchronize()?;
    let handle = event.as_raw().expect("it is bound");
    let event = event.into_dynamic();
    assert!(event.query()?);
    let hold = Hold::new(&stream);
    record_elsewhere(handle, &stream);
    assert!(!event.query()?);
    hold.release();
    event.synchronize()
}

#[test]
fn debug_tells_that_an_event_is_lent() -> Result<()> {
    let [stream] = streams();
    let event = stream.record_event()?;
    assert!(format!("{event:?}").ends_with("lent: false }"), "{event:?}");
    assert!(event.as_raw().is_some());
    assert!(format!("{event:?} {:?}", event.as_event()).matches("lent: true }").count() == 2, "{event:?}");
    Ok(())
}
