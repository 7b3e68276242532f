//! The modes of an event: the flags that each has, and what all have in common.

mod common;

use common::hold::Hold;
use common::{device, streams};
use cuda_streams::{AsEvent, Error, Event, EventFlags, EventOptions, EventStatus, Mode, Result, Untimed};

/// T371, T486, T491
#[test]
fn t486_every_mode_has_its_flags_and_the_driver_takes_them() -> Result<()> {
    fn check<M: Mode>(event: &Event<M>, flags: EventFlags) -> Result<()> {
        assert_eq!(event.flags(), flags);
        assert_eq!(event.is_timed(), !flags.contains(EventFlags::DISABLE_TIMING));
        assert_eq!(event.is_blocking_sync(), flags.contains(EventFlags::BLOCKING_SYNC));
        assert_eq!(event.is_interprocess(), flags.contains(EventFlags::INTERPROCESS));
        let [stream] = streams();
        event.record(&stream)?;
        assert!(event.as_raw().is_some());
        event.synchronize()
    }
    let untimed = EventFlags::DISABLE_TIMING;
    check(&Event::new(), untimed)?;
    check(&Event::<Untimed>::default(), untimed)?;
    check(&Event::timed(), EventFlags::empty())?;
    check(&Event::interprocess(), untimed | EventFlags::INTERPROCESS)?;
    check(&EventOptions::new().blocking_sync(true).build(), untimed | EventFlags::BLOCKING_SYNC)?;
    check(&EventOptions::new().timed().blocking_sync(true).build(), EventFlags::BLOCKING_SYNC)?;
    check(&EventOptions::new().blocking_sync(true).interprocess().build(), EventFlags::all() & EventFlags::from_bits_retain(7))?;
    // A device makes the same.
    check(&device().event(EventOptions::new())?, untimed)?;
    check(&device().event(EventOptions::new().timed())?, EventFlags::empty())?;
    check(&device().event(EventOptions::new().blocking_sync(true))?, untimed | EventFlags::BLOCKING_SYNC)?;
    check(&device().event(EventOptions::new().interprocess())?, untimed | EventFlags::INTERPROCESS)
}

/// T232, T420, T421
#[test]
fn t420_dynamic_flags_are_those_that_drivers_accept() -> Result<()> {
    let [stream] = streams();
    for bits in 0..=16 {
        let flags = EventFlags::from_bits_retain(bits);
        match Event::with_flags(flags) {
            Ok(event) => {
                assert!([0, 1, 2, 3, 6, 7].contains(&bits), "{bits} is accepted");
                assert_eq!(event.flags(), flags);
                event.record(&stream)?;
                event.synchronize()?;
                assert!(event.as_raw().is_some());
            }
            Err(error) => {
                assert!([4, 5].contains(&bits) || bits >= 8, "{bits} is refused");
                assert!(matches!(error, Error::InvalidEventFlags { flags, .. } if flags == bits), "{error:?}");
                assert!(error.to_string().contains(&format!("{bits:#x}")), "{error}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_mode_is_given_up_and_taken_back() -> Result<()> {
    let [stream] = streams();
    let timed = Event::timed();
    timed.record(&stream)?;
    let raw = timed.as_raw();
    assert!(raw.is_some());
    let dynamic = timed.into_dynamic();
    assert_eq!(dynamic.as_raw(), raw, "it is the same event");
    assert_eq!(dynamic.try_into_timed().map(|event| event.as_raw()).ok(), Some(raw));

    let untimed = stream.record_event()?.into_dynamic();
    let untimed = untimed.try_into_timed().expect_err("an untimed event stays what it is");
    untimed.synchronize()
}

#[test]
fn events_of_every_mode_go_by_one_view() -> Result<()> {
    let [stream] = streams();
    let (order, time) = (Event::new(), Box::new(Event::timed()));
    let marks: [&dyn AsEvent; 2] = [&order, &time];
    let hold = Hold::new(&stream);
    for mark in marks {
        assert_eq!(mark.as_event().status()?, EventStatus::NotRecorded);
        mark.as_event().record(&stream)?;
        assert!(!mark.as_event().query()?);
    }
    hold.release();
    for mark in marks {
        mark.as_event().synchronize()?;
        assert_eq!(mark.as_event().status()?, EventStatus::Complete);
    }
    Ok(())
}
