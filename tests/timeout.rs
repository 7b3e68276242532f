//! Waiting with a limit, for events and streams of everybody.

mod common;

use std::time::Duration;

use common::hold::Hold;
use common::theirs::{NON_BLOCKING, TheirEvent, TheirStream};
use common::{device, returns_after_release, streams};
use cuda_streams::{AsEvent, AsStream, Event, EventFlags, EventOptions, EventRef, EventStatus, ExternalStream, Result};

const SHORT: Duration = Duration::from_millis(3);
const NEVER: Duration = Duration::MAX;

/// Checks what a wait answers while the work is held: by its limit, and by the end of the work.
fn check(hold: Hold, wait: &dyn Fn(Duration) -> Result<bool>) -> Result<()> {
    for limit in [Duration::ZERO, SHORT] {
        assert!(!wait(limit)?, "{limit:?}: the work is held");
    }
    assert!(returns_after_release(hold, || wait(NEVER))?);
    for limit in [Duration::ZERO, SHORT, NEVER] {
        assert!(wait(limit)?, "{limit:?}: the work is done");
    }
    Ok(())
}

#[test]
fn an_event_is_waited_for_no_longer_than_the_limit() -> Result<()> {
    let [stream] = streams();
    for event in
        [Event::new().into_dynamic(), Event::timed().into_dynamic(), EventOptions::new().blocking_sync(true).build().into_dynamic()]
    {
        let hold = Hold::new(&stream);
        event.record(&stream)?;
        check(hold, &|limit| event.synchronize_timeout(limit))?;
        assert_eq!(event.status()?, EventStatus::Complete);
        let hold = Hold::new(&stream);
        event.record(&stream)?;
        check(hold, &|limit| event.as_event().synchronize_timeout(limit))?;
    }
    Ok(())
}

#[test]
fn an_event_of_somebody_else_is_waited_for_no_longer_than_the_limit() -> Result<()> {
    let [stream] = streams();
    let theirs = TheirEvent::new(device().context()?, EventFlags::DISABLE_TIMING.bits());
    // SAFETY: the event lives until the end.
    let event = unsafe { EventRef::from_raw(theirs.as_raw()) };
    let hold = Hold::new(&stream);
    theirs.record(stream.as_raw());
    check(hold, &|limit| event.synchronize_timeout(limit))
}

#[test]
fn a_stream_is_waited_for_no_longer_than_the_limit() -> Result<()> {
    let [stream] = streams();
    check(Hold::new(&stream), &|limit| stream.synchronize_timeout(limit))?;
    check(Hold::new(&stream), &|limit| stream.as_stream().synchronize_timeout(limit))?;
    check(Hold::new(&stream), &|limit| stream.scope(cuda_streams::Stream::current)?.synchronize_timeout(limit))?;
    let theirs = TheirStream::new(device().context()?, NON_BLOCKING);
    // SAFETY: the stream lives until the end.
    let external = unsafe { ExternalStream::from_raw(theirs.as_raw()) }?;
    check(Hold::new(&external), &|limit| external.synchronize_timeout(limit))?;
    let legacy = device().default_stream()?;
    check(Hold::new(&legacy), &|limit| legacy.synchronize_timeout(limit))
}

/// Work of other streams is none of it, nor is what is enqueued behind the event.
#[test]
fn only_the_work_before_is_waited_for() -> Result<()> {
    let [busy, stream] = streams();
    let event = busy.record_event()?;
    let hold = Hold::new(&busy);
    assert!(event.synchronize_timeout(NEVER)? && stream.synchronize_timeout(NEVER)?);
    assert!(!busy.synchronize_timeout(SHORT)?);
    hold.release();
    busy.synchronize()
}

/// T109
#[test]
fn a_never_recorded_event_is_not_waited_for() -> Result<()> {
    let ([stream], bound) = (streams(), device().event(EventOptions::new())?);
    for event in [&Event::new(), &bound] {
        assert!(event.synchronize_timeout(Duration::ZERO)? && event.synchronize_timeout(NEVER)?);
        assert!(event.as_event().synchronize_timeout(NEVER)?);
        assert_eq!(event.status()?, EventStatus::NotRecorded);
        let hold = Hold::new(&stream);
        event.record(&stream)?;
        assert!(!event.synchronize_timeout(Duration::ZERO)?, "now it is recorded");
        hold.release();
    }
    stream.synchronize()
}

/// Each time by an event that is used again, and may be pending still.
#[test]
fn streams_that_are_waited_for_in_turn_are_not_taken_for_each_other() -> Result<()> {
    let [first, second, free] = streams();
    let (hold, longer) = (Hold::new(&first), Hold::new(&second));
    for _ in 0..3 {
        for (stream, is_done) in [(&first, false), (&free, true), (&second, false)] {
            assert_eq!(stream.synchronize_timeout(Duration::ZERO), Ok(is_done));
        }
    }
    assert!(returns_after_release(hold, || first.synchronize_timeout(NEVER))?);
    assert!(!second.synchronize_timeout(SHORT)?);
    assert!(returns_after_release(longer, || second.synchronize_timeout(NEVER))?);
    Ok(())
}
