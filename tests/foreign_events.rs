//! Events that somebody else owns: the driver is asked each time, and nothing is destroyed.

mod common;

use std::ptr;

use common::hold::Hold;
use common::theirs::{TheirContext, TheirEvent};
use common::words::Words;
use common::{contexts, device, on_a_fresh_thread, returns_after_release, streams};
use cuda_streams::{AsEvent, AsStream, Error, ErrorCode, EventFlags, EventRef, EventStatus, Result, Stream};

const UNTIMED: u32 = EventFlags::DISABLE_TIMING.bits();

fn theirs() -> TheirEvent {
    TheirEvent::new(device().context().expect("the primary context"), UNTIMED)
}

fn view(theirs: &TheirEvent) -> EventRef<'_> {
    // SAFETY: the event lives as long as the borrow.
    unsafe { EventRef::from_raw(theirs.as_raw()) }
}

/// T329, T331
#[test]
fn t331_it_shows_what_its_owner_records() -> Result<()> {
    let [stream] = streams();
    let theirs = theirs();
    let event = view(&theirs);
    assert_eq!(event.as_raw(), Some(theirs.as_raw()));
    assert_eq!(event.status()?, EventStatus::Complete, "nobody has recorded it, which only the driver knows");
    for _ in 0..2 {
        let hold = Hold::new(&stream);
        theirs.record(stream.as_raw());
        assert!(!event.query()?);
        assert_eq!(event.status()?, EventStatus::Pending);
        returns_after_release(hold, || event.synchronize())?;
        assert!(event.query()?);
        assert_eq!(event.status()?, EventStatus::Complete);
    }
    Ok(())
}

/// A stream of ours, of which some are the default streams, waits for an event of theirs.
fn check_wait(consumer: impl AsStream, wait: fn(&dyn AsStream, EventRef<'_>) -> Result<()>) -> Result<()> {
    let [producer] = streams();
    let source = Words::new(device(), 31);
    let [mut data, mut seen] = [0; 2].map(|value| Words::new(device(), value));
    let theirs = theirs();
    let hold = Hold::new(&producer);
    data.copy_from(&producer, &source);
    theirs.record(producer.as_raw());
    wait(&consumer, view(&theirs))?;
    seen.copy_from(&consumer, &data);
    let end = consumer.as_stream().record_event()?;
    assert!(!end.query()?);
    hold.release();
    end.synchronize()?;
    assert_eq!(seen.read(), 31);
    Ok(())
}

#[test]
fn streams_wait_for_it() -> Result<()> {
    let by_stream: fn(&dyn AsStream, EventRef<'_>) -> Result<()> = |stream, event| stream.as_stream().wait_event(event);
    for wait in [by_stream, |stream, event| event.wait(stream)] {
        let [stream] = streams();
        check_wait(stream, wait)?;
        check_wait(device().default_stream()?, wait)?;
        check_wait(device().per_thread_stream()?, wait)?;
    }
    Ok(())
}

#[test]
fn it_is_recorded_on_streams_of_ours() -> Result<()> {
    let [stream] = streams();
    let theirs = theirs();
    let record: [fn(&Stream, EventRef<'_>) -> Result<()>; 2] = [|stream, event| stream.record(event), |stream, event| event.record(stream)];
    for record in record {
        let hold = Hold::new(&stream);
        record(&stream, view(&theirs))?;
        assert!(!theirs.query(), "its owner sees it");
        hold.release();
        view(&theirs).synchronize()?;
        assert!(theirs.query());
    }
    let legacy = device().default_stream()?;
    let hold = Hold::new(&legacy);
    legacy.record(view(&theirs))?;
    assert!(!theirs.query());
    hold.release();
    view(&theirs).synchronize()
}

#[test]
fn it_stays_its_owners() -> Result<()> {
    let [stream] = streams();
    let theirs = theirs();
    let view = view(&theirs);
    let copy = view;
    stream.record(copy)?;
    copy.synchronize()?;
    assert!(theirs.query() && view.as_event().query()?, "the owner's destructor checks that it was there");
    Ok(())
}

/// T330: an event that its owner has not created yet.
#[test]
fn t330_null_is_refused() {
    let [stream] = streams();
    // SAFETY: null is allowed.
    let event = unsafe { EventRef::from_raw(ptr::null_mut()) };
    assert_eq!(event.as_raw(), Some(ptr::null_mut()));
    let refused = Err(Error::NullHandle { what: "event" });
    assert_eq!(
        [event.query().map(drop), event.status().map(drop), event.synchronize()],
        [refused.clone(), refused.clone(), refused.clone()]
    );
    assert_eq!([stream.record(event), stream.wait_event(event)], [refused.clone(), refused]);
}

#[test]
fn an_event_of_a_second_context_is_waited_for_and_not_recorded_elsewhere() -> Result<()> {
    let second = TheirContext::new();
    let (producer, theirs) = (second.stream(), TheirEvent::new(second.context, UNTIMED));
    // SAFETY: the stream lives until the end.
    let external = unsafe { cuda_streams::ExternalStream::from_raw(producer.as_raw()) }?;
    let [stream] = streams();
    let hold = Hold::new(&external);
    theirs.record(producer.as_raw());
    stream.wait_event(view(&theirs))?;
    assert!(!stream.query()? && !view(&theirs).query()?);
    let error = stream.record(view(&theirs)).unwrap_err();
    assert_eq!(error, Error::Driver { call: "cuEventRecord", code: ErrorCode::INVALID_HANDLE });
    hold.release();
    stream.synchronize()?;
    assert!(theirs.query());
    Ok(())
}

#[test]
fn it_needs_no_current_context_and_changes_none() -> Result<()> {
    let [stream] = streams();
    let theirs = theirs();
    let second = contexts::SecondContext::new(device());
    let use_it = || {
        let before = contexts::current();
        stream.record(view(&theirs))?;
        stream.wait_event(view(&theirs))?;
        view(&theirs).synchronize()?;
        assert!(view(&theirs).query()?);
        device().default_stream()?.wait_event(view(&theirs))?;
        assert_eq!(contexts::current(), before);
        Ok(())
    };
    on_a_fresh_thread(|| {
        assert!(contexts::current().is_null());
        use_it()?;
        second.with_current(use_it)
    })
}

#[test]
fn it_is_shared_and_sent_as_a_view() -> Result<()> {
    let [stream] = streams();
    let theirs = theirs();
    let event = view(&theirs);
    let hold = Hold::new(&stream);
    stream.record(event)?;
    on_a_fresh_thread(|| {
        assert_eq!(event.query(), Ok(false));
        hold.release();
        event.synchronize()
    })?;
    assert_eq!(format!("{event:?}"), format!("EventRef {{ raw: {:?} }}", theirs.as_raw()));
    Ok(())
}
