//! Raw handles of streams and events: given up, and taken over from others.

mod common;

use common::hold::Hold;
use common::theirs::{NON_BLOCKING, TheirContext, TheirEvent, TheirStream};
use common::{contexts, device, on_a_fresh_thread, raw, returns_after_release, streams};
use cuda_streams::{
    AsEvent, Context, Error, Event, EventFlags, EventOptions, EventStatus, ExternalStream, Mode, RawStream, Result, Stream,
};

fn take_over(raw: RawStream) -> Result<Stream> {
    // SAFETY: made for this, or given up just now; nobody else uses it.
    unsafe { Stream::from_raw(raw) }
}

fn give_up(stream: Stream) -> RawStream {
    stream.try_into_raw().expect("the last handle")
}

fn take_over_event<M: Mode>(event: TheirEvent, options: EventOptions<M>) -> Result<Event<M>> {
    // SAFETY: an event of the primary context, made with these options; nobody else uses it.
    unsafe { Event::from_raw(device().context()?, event.into_raw(), options) }
}

/// T341
#[test]
fn t341_a_stream_is_taken_over_used_and_given_up_without_being_destroyed() -> Result<()> {
    let context = device().context()?;
    let greatest = *context.stream_priorities()?.start();
    for (flags, priority) in [(NON_BLOCKING, 0), (0, greatest)] {
        let theirs = TheirStream::with_priority(context, flags, priority).into_raw();
        let stream = take_over(theirs)?;
        assert_eq!(stream.as_raw(), theirs);
        assert_eq!((stream.device(), stream.context()), (device(), context));
        assert_eq!((stream.is_blocking(), stream.priority()), (flags == 0, priority));
        let hold = Hold::new(&stream);
        let event = stream.record_event()?;
        assert!(!event.query()?);
        assert_eq!(give_up(stream), theirs);
        let theirs = TheirStream::of(theirs);
        assert!(!theirs.query(), "the stream is there, with its work");
        hold.release();
        event.synchronize()?;
        assert_eq!(theirs.destroy(), raw::SUCCESS);
    }
    Ok(())
}

#[test]
fn a_stream_that_is_given_up_and_taken_back_is_the_same() -> Result<()> {
    let [stream] = streams();
    let (id, priority, blocking, context) = (stream.id(), stream.priority(), stream.is_blocking(), stream.context());
    let hold = Hold::new(&stream);
    let stream = take_over(give_up(stream))?;
    assert_eq!((stream.priority(), stream.is_blocking(), stream.context()), (priority, blocking, context));
    assert_eq!(stream.id() == id, raw::has_ids(), "the driver's id, if it has any");
    assert!(!stream.query()?);
    hold.release();
    stream.synchronize()?;
    assert!(stream.destroy().is_ok());
    Ok(())
}

#[test]
fn only_the_last_handle_is_given_up_or_destroyed() -> Result<()> {
    let [stream] = streams();
    let handle = stream.as_raw();
    let clone = stream.clone();
    let stream = stream.try_into_raw().unwrap_err();
    let (stream, error) = stream.destroy().unwrap_err();
    assert_eq!(error, Error::StreamShared);
    assert!(error.to_string().contains("still shared"), "{error}");
    let stream = stream.expect("it is given back");
    assert_eq!(stream, clone);
    stream.record_event()?.synchronize()?;
    drop(clone);
    assert_eq!(give_up(stream), handle);
    assert!(take_over(handle)?.destroy().is_ok());
    Ok(())
}

/// What was kept of a scope is a handle, too.
#[test]
fn a_current_stream_that_was_kept_is_a_handle() -> Result<()> {
    let [stream] = streams();
    let kept = stream.scope(Stream::current)?;
    let stream = stream.try_into_raw().unwrap_err();
    drop(kept);
    assert!(take_over(give_up(stream))?.destroy().is_ok());
    Ok(())
}

/// T281
#[test]
fn nobody_owns_a_default_stream() -> Result<()> {
    for number in [0, 1, 2] {
        let raw = std::ptr::without_provenance_mut(number);
        let error = device().context()?.with_current(|| take_over(raw).unwrap_err())?;
        assert_eq!(error, Error::DefaultStream { handle: number });
        assert!(error.to_string().contains(&format!("handle {number}")) && error.to_string().contains("ExternalStream"), "{error}");
    }
    Ok(())
}

#[test]
fn a_stream_of_a_second_context_is_taken_over() -> Result<()> {
    let second = TheirContext::new();
    let stream = take_over(second.stream().into_raw())?;
    assert_eq!((stream.context().as_raw(), stream.device()), (second.as_raw(), device()));
    let event = stream.record_event()?;
    assert_eq!(event.context(), Some(stream.context()));
    let [ours] = streams();
    let hold = Hold::new(&stream);
    ours.wait_stream(&stream)?;
    assert!(!ours.query()?);
    hold.release();
    ours.synchronize()?;
    event.destroy()?;
    assert!(stream.destroy().is_ok());
    Ok(())
}

#[test]
fn taking_over_leaves_the_current_context_as_it_is() -> Result<()> {
    let second = contexts::SecondContext::new(device());
    let theirs = || TheirStream::new(device().context().expect("the primary context"), NON_BLOCKING).into_raw();
    let [first, last] = [theirs(), theirs()].map(TheirStream::of);
    on_a_fresh_thread(|| {
        let stream = take_over(first.into_raw())?;
        assert!(contexts::current().is_null());
        drop(stream);
        assert!(contexts::current().is_null());
        second.with_current(|| take_over(last.into_raw()).map(drop))
    })
}

/// T5: there is none before there is an event of the driver's.
#[test]
fn an_event_that_is_not_bound_has_no_raw_handle() -> Result<()> {
    let [stream] = streams();
    for make in [|| Event::new().into_dynamic(), || Event::timed().into_dynamic(), || Event::interprocess().into_dynamic()] {
        let event = make();
        assert_eq!((event.as_raw(), event.as_event().as_raw()), (None, None));
        assert_eq!(event.status()?, EventStatus::NotRecorded, "nothing was lent");
        event.record(&stream)?;
        assert!(event.as_raw().is_some() && event.as_raw() == event.as_event().as_raw());
        assert_eq!(make().into_raw(), None);
    }
    Ok(())
}

#[test]
fn a_never_recorded_event_has_a_fresh_event_of_the_driver() -> Result<()> {
    let [stream] = streams();
    let recorded = stream.record_event()?;
    let hold = Hold::new(&stream);
    recorded.record(&stream)?;
    let event = device().event(EventOptions::new())?;
    let handle = event.as_raw().expect("it is bound");
    assert_ne!(Some(handle), recorded.as_raw());
    assert_eq!((event.as_raw(), event.as_event().as_raw()), (Some(handle), Some(handle)), "it stays the same");
    // SAFETY: the event is alive.
    assert_eq!(unsafe { raw::cuEventQuery(handle) }, raw::SUCCESS, "nobody has recorded it");
    hold.release();
    stream.synchronize()
}

#[test]
fn an_event_is_given_up_without_being_destroyed() -> Result<()> {
    let [stream] = streams();
    let hold = Hold::new(&stream);
    let event = stream.record_event()?;
    let handle = event.as_raw();
    let raw = event.into_raw();
    assert_eq!(raw, handle);
    let theirs = TheirEvent::of(raw.expect("it is bound"));
    assert!(!theirs.query());
    hold.release();
    stream.synchronize()?;
    assert!(theirs.query());
    Ok(())
}

#[test]
fn an_event_that_is_taken_over_is_asked_for() -> Result<()> {
    let [stream, other] = streams();
    let theirs = TheirEvent::new(device().context()?, EventFlags::DISABLE_TIMING.bits());
    let hold = Hold::new(&stream);
    theirs.record(stream.as_raw());
    let event = take_over_event(theirs, EventOptions::new())?;
    assert_eq!((event.context(), event.device()), (Some(device().context()?), Some(device())));
    assert_eq!(event.status()?, EventStatus::Pending, "who has recorded it before is no matter");
    other.wait_event(&event)?;
    assert!(!other.query()? && !event.query()?);
    returns_after_release(hold, || event.synchronize())?;
    other.synchronize()?;
    assert_eq!(event.status()?, EventStatus::Complete);
    event.destroy()
}

#[test]
fn an_event_that_nobody_has_recorded_is_complete_when_it_is_taken_over() -> Result<()> {
    let [stream] = streams();
    let event = take_over_event(TheirEvent::new(device().context()?, EventFlags::DISABLE_TIMING.bits()), EventOptions::new())?;
    assert_eq!(event.status()?, EventStatus::Complete, "only the driver knows");
    event.synchronize()?;
    stream.wait_event(&event)?;
    assert!(stream.query()?);
    let hold = Hold::new(&stream);
    event.record(&stream)?;
    assert!(!event.query()?);
    hold.release();
    event.synchronize()
}

#[test]
fn a_timed_event_is_taken_over_with_its_time() -> Result<()> {
    let [stream] = streams();
    let theirs = [(); 2].map(|()| TheirEvent::new(device().context().expect("the primary context"), 0));
    for event in &theirs {
        event.record(stream.as_raw());
    }
    stream.synchronize()?;
    let [start, end] = theirs.map(|event| take_over_event(event, EventOptions::new().timed()));
    let (start, end) = (start?, end?);
    assert!(start.is_timed() && end.is_timed());
    let (there, back) = (start.elapsed_time(&end)?.as_millis_f32(), end.elapsed_time(&start)?.as_millis_f32());
    assert!(there >= 0.0);
    assert_eq!((there + back).abs().to_bits(), 0, "{there} and {back}");
    Ok(())
}

#[test]
fn an_event_is_given_up_and_taken_back_with_its_record() -> Result<()> {
    let [stream] = streams();
    let hold = Hold::new(&stream);
    let event = stream.record_event_with(EventOptions::new().interprocess())?;
    let theirs = TheirEvent::of(event.into_raw().expect("it is bound"));
    let event = take_over_event(theirs, EventOptions::new().interprocess())?;
    assert!(event.is_interprocess() && !event.query()?);
    hold.release();
    event.synchronize()?;
    event.record(&stream)?;
    event.synchronize()
}

#[test]
fn null_is_no_event_and_no_context() -> Result<()> {
    let context = device().context()?;
    // SAFETY: refused, whatever is asked of an event.
    let error = unsafe { Event::from_raw(context, std::ptr::null_mut(), EventOptions::new()) }.unwrap_err();
    assert_eq!(error, Error::NullHandle { what: "event" });
    // SAFETY: refused, whatever is asked of a context.
    let error = unsafe { Context::from_raw(std::ptr::null_mut()) }.unwrap_err();
    assert_eq!(error, Error::NullHandle { what: "context" });
    assert_eq!(error.to_string(), "the raw context handle is null");
    assert_eq!(error.code(), None);
    Ok(())
}

/// A view of a stream of ours, as somebody has it who knows its handle.
#[test]
fn a_handle_that_is_lent_is_the_streams() -> Result<()> {
    let [stream] = streams();
    // SAFETY: `stream` lives until the end.
    let lent = unsafe { ExternalStream::from_raw(stream.as_raw()) }?;
    let hold = Hold::new(&lent);
    assert!(!stream.query()?);
    lent.wait_stream(&stream)?;
    let event = lent.record_event()?;
    hold.release();
    stream.synchronize()?;
    assert!(event.query()?);
    Ok(())
}
