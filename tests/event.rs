//! Events: when the driver's event comes into being, what it says, and how it is given up.

mod common;

use std::array;
use std::sync::Arc;
use std::thread;

use common::hold::Hold;
use common::words::Words;
use common::{contexts, device, on_a_fresh_thread, returns_after_release, streams};
use cuda_streams::{AsEvent, Event, EventFlags, EventOptions, EventStatus, Result};

/// T109, T478
#[test]
fn t109_a_never_recorded_event_is_done() -> Result<()> {
    let [stream] = streams();
    let event = Event::new();
    let hold = Hold::new(&stream);
    assert!(event.query()?);
    event.synchronize()?;
    assert_eq!(event.status()?, EventStatus::NotRecorded);
    hold.release();

    let [other] = streams();
    other.wait_event(&event)?;
    assert!(other.query()?, "waiting for it does nothing");
    Ok(())
}

/// T5, T42
#[test]
fn t005_the_first_record_creates_it_in_the_streams_context() -> Result<()> {
    let [stream] = streams();
    let event = Event::new();
    assert_eq!((event.device(), event.context(), event.as_raw()), (None, None, None));
    event.record(&stream)?;
    assert_eq!((event.device(), event.context()), (Some(device()), Some(stream.context())));
    let raw = event.as_raw();
    assert!(raw.is_some());
    event.record(&stream)?;
    assert_eq!(event.as_raw(), raw, "a later record keeps the driver's event");
    event.synchronize()
}

/// T109, T459, T487
#[test]
fn t487_it_is_pending_while_the_work_is_held_and_complete_after() -> Result<()> {
    let [stream] = streams();
    let event = Event::new();
    let hold = Hold::new(&stream);
    event.record(&stream)?;
    assert!(!event.query()?);
    assert_eq!(event.status()?, EventStatus::Pending);
    returns_after_release(hold, || event.synchronize())?;
    assert!(event.query()?);
    assert_eq!(event.status()?, EventStatus::Complete);
    Ok(())
}

#[test]
fn t068_recording_again_moves_the_mark() -> Result<()> {
    let [stream] = streams();
    let event = Event::new();
    event.record(&stream)?;
    event.synchronize()?;
    assert!(event.query()?, "the first record is complete, and remembered");
    let hold = Hold::new(&stream);
    assert!(event.query()?, "the mark is before the hold");
    event.record(&stream)?;
    assert!(!event.query()?, "the mark is behind the hold");
    assert_eq!(event.status()?, EventStatus::Pending);
    returns_after_release(hold, || event.synchronize())?;
    assert_eq!(event.status()?, EventStatus::Complete);
    Ok(())
}

/// T68, T89: what the work before each mark wrote is there after it.
#[test]
fn t089_each_record_is_behind_the_work_of_its_time() -> Result<()> {
    let [stream] = streams();
    let event = Event::new();
    for value in [1, 2] {
        let (source, mut copy) = (Words::new(device(), value), Words::new(device(), 0));
        let hold = Hold::new(&stream);
        copy.copy_from(&stream, &source);
        event.record(&stream)?;
        assert!(!event.query()?);
        returns_after_release(hold, || event.synchronize())?;
        assert_eq!(copy.read(), value);
        device().synchronize()?;
        assert!(event.query()?);
    }
    Ok(())
}

/// T79, T81, T87: whatever the mode, behind one type or one view.
#[test]
fn t081_an_event_of_unknown_mode_orders_as_any_other() -> Result<()> {
    let [stream, first, second] = streams();
    let dynamic = Event::with_flags(EventFlags::DISABLE_TIMING)?;
    let (untimed, timed) = (Event::new(), Event::timed().into_dynamic());
    assert_eq!([dynamic.device(), untimed.device(), timed.device()], [None; 3]);
    for event in [dynamic.as_event(), untimed.as_event(), timed.as_event()] {
        assert!(event.query()?);
        let hold = Hold::new(&stream);
        stream.record(event)?;
        for waiting in [&first, &second] {
            waiting.wait_event(event)?;
            assert!(!waiting.query()?);
        }
        assert!(!event.query()?);
        hold.release();
        first.synchronize()?;
        assert!(event.query()?, "who waited for the waiting stream has waited for the event");
        second.synchronize()?;
    }
    assert_eq!([dynamic.device(), untimed.device(), timed.device()], [Some(device()); 3]);
    Ok(())
}

#[test]
fn t498_the_last_record_counts() -> Result<()> {
    let [busy, free] = streams();
    let event = Event::new();
    let hold = Hold::new(&busy);
    event.record(&busy)?;
    event.record(&free)?;
    event.synchronize()?;
    assert!(event.query()?);
    assert!(!busy.query()?);
    hold.release();
    busy.synchronize()
}

/// T436: a thread that synchronizes sees what the work wrote.
#[test]
fn t436_data_is_there_after_synchronize() -> Result<()> {
    let [stream] = streams();
    for options in [EventOptions::new(), EventOptions::new().blocking_sync(true)] {
        let (source, mut copy) = (Words::new(device(), 436), Words::new(device(), 0));
        let event = options.build();
        let hold = Hold::new(&stream);
        copy.copy_from(&stream, &source);
        event.record(&stream)?;
        returns_after_release(hold, || event.synchronize())?;
        assert_eq!(copy.read(), 436);
    }
    Ok(())
}

#[test]
fn bind_creates_it_before_the_first_record() -> Result<()> {
    let [stream] = streams();
    let event = Event::timed();
    event.bind(device())?;
    assert_eq!(event.device(), Some(device()));
    assert_eq!((event.query()?, event.status()?), (true, EventStatus::NotRecorded));
    event.bind(device())?;
    let hold = Hold::new(&stream);
    event.record(&stream)?;
    assert!(!event.query()?);
    hold.release();
    event.synchronize()
}

#[test]
fn a_device_makes_events_that_are_bound() -> Result<()> {
    let event = device().event(EventOptions::new().timed().blocking_sync(true))?;
    assert_eq!((event.device(), event.context()), (Some(device()), Some(device().context()?)));
    assert_eq!((event.query()?, event.status()?), (true, EventStatus::NotRecorded));
    assert!(event.is_timed() && event.is_blocking_sync() && !event.is_interprocess());
    let raw = event.as_raw();
    assert!(raw.is_some());
    let [stream] = streams();
    event.record(&stream)?;
    event.synchronize()?;
    assert_eq!(event.as_raw(), raw);
    Ok(())
}

/// T101, T110
#[test]
fn t101_record_event_makes_an_event_of_the_streams_device() -> Result<()> {
    let [stream] = streams();
    let hold = Hold::new(&stream);
    let first = stream.record_event()?;
    let second = stream.record_event_with(EventOptions::new().timed().blocking_sync(true))?;
    assert_eq!((first.device(), second.device()), (Some(device()), Some(device())));
    assert!(!first.is_timed());
    assert!(second.is_timed() && second.is_blocking_sync());
    assert_eq!((first.status()?, second.status()?), (EventStatus::Pending, EventStatus::Pending));
    assert_ne!(first.as_raw(), second.as_raw());
    hold.release();
    stream.synchronize()?;
    assert_eq!((first.status()?, second.status()?), (EventStatus::Complete, EventStatus::Complete));
    Ok(())
}

#[test]
fn a_pending_event_is_destroyed_at_once() -> Result<()> {
    let [stream] = streams();
    let hold = Hold::new(&stream);
    let event = stream.record_event()?;
    assert!(!event.query()?);
    event.destroy()?;
    assert!(!stream.query()?, "nobody waited for the work");
    hold.release();
    stream.synchronize()
}

#[test]
fn an_event_that_was_never_recorded_is_destroyed() -> Result<()> {
    Event::timed().destroy()?;
    let bound = device().event(EventOptions::new())?;
    assert!(bound.as_raw().is_some());
    bound.destroy()
}

/// T503, T502
#[test]
fn t503_an_event_is_used_and_dropped_on_another_thread() -> Result<()> {
    let [stream] = streams();
    let hold = Hold::new(&stream);
    let event = stream.record_event()?;
    on_a_fresh_thread(move || {
        assert!(!event.query()?);
        returns_after_release(hold, || event.synchronize())?;
        assert!(event.query()?);
        drop(event);
        assert!(contexts::current().is_null(), "the thread has no context before and none after");
        Ok(())
    })
}

#[test]
fn many_threads_share_an_event_and_a_stream() -> Result<()> {
    let rounds = if cfg!(miri) { 5 } else { 25 };
    let [stream] = streams();
    let event = Arc::new(Event::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let [own] = streams();
                for _ in 0..rounds {
                    event.record(&stream).unwrap();
                    event.query().unwrap();
                    own.wait_event(&event).unwrap();
                    event.synchronize().unwrap();
                    assert_ne!(event.status().unwrap(), EventStatus::NotRecorded);
                }
                own.synchronize().unwrap();
            });
        }
    });
    let hold = Hold::new(&stream);
    event.record(&stream)?;
    assert!(!event.query()?, "it tells the last record");
    hold.release();
    stream.synchronize()?;
    assert!(event.query()?);
    Ok(())
}

/// Threads that record a new event at once agree on one driver event.
#[test]
fn threads_that_race_for_the_first_record_share_one_event() -> Result<()> {
    let [stream] = streams();
    for _ in 0..if cfg!(miri) { 5 } else { 20 } {
        let event = Event::new();
        let start = std::sync::Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    event.record(&stream).unwrap();
                });
            }
        });
        event.synchronize()?;
        assert!(event.query()? && event.as_raw().is_some());
    }
    Ok(())
}

#[test]
fn events_live_in_arrays_and_statics() -> Result<()> {
    static MARK: Event = Event::new();
    let [stream] = streams();
    let hold = Hold::new(&stream);
    let marks: [Event; 4] = array::from_fn(|_| Event::new());
    for mark in marks.iter().chain([&MARK]) {
        mark.record(&stream)?;
    }
    assert!(!MARK.query()?);
    hold.release();
    for mark in marks.iter().chain([&MARK]) {
        mark.synchronize()?;
        assert_eq!(mark.status()?, EventStatus::Complete);
    }
    Ok(())
}

/// T2: also before there is a driver's event.
#[test]
fn t002_debug_names_mode_device_and_flags() -> Result<()> {
    let [stream] = streams();
    let event = Event::new();
    let text = |device: &str, recorded, lent| {
        format!("Event {{ mode: Untimed, device: {device}, flags: EventFlags(DISABLE_TIMING), recorded: {recorded}, lent: {lent} }}")
    };
    assert_eq!(format!("{event:?}"), text("None", false, false));
    event.bind(device())?;
    assert_eq!(format!("{event:?}"), text("Some(0)", false, false));
    event.record(&stream)?;
    assert_eq!(format!("{event:?}"), text("Some(0)", true, false));
    assert!(event.as_raw().is_some());
    assert_eq!(format!("{event:?}"), text("Some(0)", true, true));
    let timed = stream.record_event_with(EventOptions::new().timed())?;
    let fields = "device: Some(0), flags: EventFlags(0x0), recorded: true, lent: false";
    assert_eq!(format!("{timed:?}"), format!("Event {{ mode: Timed, {fields} }}"));
    assert_eq!(format!("{:?}", timed.as_event()), format!("EventRef {{ {fields} }}"));
    Ok(())
}
