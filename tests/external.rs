//! Streams that somebody else owns, and the default streams, which nobody owns.

mod common;

use std::collections::HashSet;
use std::ptr;
use std::sync::Arc;

use common::contexts::SecondContext;
use common::hold::Hold;
use common::theirs::{NON_BLOCKING, TheirContext, TheirStream};
use common::words::Words;
use common::{device, on_a_fresh_thread, raw, returns_after_release, streams};
use cuda_streams::{AsStream, Context, Error, Event, EventOptions, EventStatus, ExternalStream, RawStream, Result, StreamOptions};

/// A stream of the device's primary context, of which this crate knows nothing.
fn theirs() -> TheirStream {
    TheirStream::new(device().context().expect("the primary context"), NON_BLOCKING)
}

fn external(theirs: &TheirStream) -> ExternalStream<&TheirStream> {
    // SAFETY: the stream lives as long as its owner, which is borrowed.
    unsafe { ExternalStream::with_owner(theirs.as_raw(), theirs) }.expect("a stream that is alive")
}

fn handle(number: usize) -> RawStream {
    ptr::without_provenance_mut(number)
}

/// A default stream of the context that is current.
fn default_stream(number: usize) -> Result<ExternalStream> {
    // SAFETY: the default streams of a primary context, or of one that outlives what is made of it here.
    unsafe { ExternalStream::from_raw(handle(number)) }
}

/// A default stream of the device's primary context.
fn primary_default_stream(number: usize) -> ExternalStream {
    // SAFETY: nothing is asked of a default stream.
    unsafe { ExternalStream::from_raw_on(device(), handle(number)) }.expect("the primary context")
}

/// T54, T303
#[test]
fn t054_it_has_the_handle_and_the_device_and_leaves_destroying_to_its_owner() -> Result<()> {
    let theirs = theirs();
    let hold = Hold::new(external(&theirs));
    // SAFETY: the stream is destroyed below, after what is made of it.
    let stream = unsafe { ExternalStream::from_raw(theirs.as_raw()) }?;
    // SAFETY: as above.
    let named = unsafe { ExternalStream::from_raw_on(device(), theirs.as_raw()) }?;
    for stream in [stream, named] {
        assert_eq!(stream.as_raw(), theirs.as_raw());
        assert_eq!((stream.device(), stream.context()), (device(), device().context()?));
    }
    assert!(!theirs.query(), "the stream is there, with its work");
    hold.release();
    external(&theirs).synchronize()?;
    assert_eq!(theirs.destroy(), raw::SUCCESS);
    Ok(())
}

/// T308
#[test]
fn t308_it_has_the_operations_of_a_stream() -> Result<()> {
    let theirs = theirs();
    let stream = external(&theirs);
    assert!(stream.query()?);
    let hold = Hold::new(&stream);
    assert!(!stream.query()? && !theirs.query());
    let event = Event::new();
    stream.record(&event)?;
    let (untimed, timed) = (stream.record_event()?, stream.record_event_with(EventOptions::new().timed())?);
    assert_eq!((untimed.context(), timed.context()), (Some(device().context()?), Some(device().context()?)));
    assert!(!event.query()? && !untimed.query()? && !timed.query()?);
    stream.wait_event(&event)?;
    stream.wait_stream(&stream)?;
    returns_after_release(hold, || stream.synchronize())?;
    assert!(event.query()? && untimed.query()? && timed.query()?);
    assert!(theirs.query());
    Ok(())
}

#[test]
fn it_waits_and_is_waited_for() -> Result<()> {
    let theirs = theirs();
    let stream = external(&theirs);
    let [producer, consumer] = streams();
    let source = Words::new(device(), 61);
    let [mut data, mut between, mut seen] = [0; 3].map(|value| Words::new(device(), value));
    let hold = Hold::new(&producer);
    data.copy_from(&producer, &source);
    stream.wait_event(producer.record_event()?)?;
    between.copy_from(&stream, &data);
    consumer.wait_stream(&stream)?;
    seen.copy_from(&consumer, &between);
    assert!(!stream.query()? && !consumer.query()?);
    hold.release();
    consumer.synchronize()?;
    assert!(stream.query()?);
    assert_eq!(seen.read(), 61);
    Ok(())
}

#[test]
fn it_has_the_priority_and_the_flags_that_its_owner_gave_it() -> Result<()> {
    let context = device().context()?;
    let greatest = *context.stream_priorities()?.start();
    for (flags, priority) in [(NON_BLOCKING, 0), (0, greatest)] {
        let theirs = TheirStream::with_priority(context, flags, priority);
        let stream = external(&theirs);
        assert_eq!((stream.priority()?, stream.is_blocking()?), (priority, flags == 0));
        assert!(!stream.is_capturing()?);
    }
    Ok(())
}

#[test]
fn it_has_the_drivers_id() -> Result<()> {
    let [ours] = streams();
    let theirs = [theirs(), theirs()];
    // SAFETY: the stream lives as long as its handle.
    let same = unsafe { ExternalStream::with_owner(ours.as_raw(), &ours) }?;
    if !raw::has_ids() {
        assert_eq!(same.id(), Err(Error::MissingSymbol { symbol: "cuStreamGetId" }));
        return Ok(());
    }
    assert_eq!(same.id()?, ours.id());
    let [first, second] = theirs.each_ref().map(|theirs| external(theirs).id());
    assert_eq!(HashSet::from([ours.id(), first?, second?]).len(), 3);
    Ok(())
}

/// T304, T307
#[test]
fn t307_a_shared_owner_lives_as_long_as_the_stream() -> Result<()> {
    let owner = Arc::new(theirs());
    let gone = Arc::downgrade(&owner);
    // SAFETY: the stream lives as long as its owner, which is shared.
    let stream = unsafe { ExternalStream::with_owner(owner.as_raw(), owner) }?;
    stream.record_event()?.synchronize()?;
    assert_eq!(stream.owner().as_raw(), stream.as_raw());
    std::thread::spawn(move || stream.record_event()?.synchronize()).join().expect("it may be sent, and dropped elsewhere")?;
    assert!(gone.upgrade().is_none(), "the owner went with it");
    Ok(())
}

#[test]
fn the_owner_is_given_back() -> Result<()> {
    let theirs = theirs();
    let raw = theirs.as_raw();
    // SAFETY: the stream lives as long as its owner, which is inside.
    let stream = unsafe { ExternalStream::with_owner(raw, theirs) }?;
    stream.synchronize()?;
    let theirs = stream.into_owner();
    assert_eq!(theirs.as_raw(), raw);
    assert_eq!(theirs.destroy(), raw::SUCCESS);
    Ok(())
}

/// T382: nothing here destroys a stream that is still used.
#[test]
fn t382_a_stream_of_ours_is_not_destroyed_while_it_is_an_owner() -> Result<()> {
    let [ours] = streams();
    // SAFETY: the stream lives as long as its handle.
    let stream = unsafe { ExternalStream::with_owner(ours.as_raw(), ours.clone()) }?;
    let (ours, error) = ours.destroy().unwrap_err();
    assert_eq!(error, Error::StreamShared);
    drop(ours);
    stream.record_event()?.synchronize()?;
    assert!(stream.into_owner().destroy().is_ok());
    Ok(())
}

/// T198, T199, T201, T205, T207, T247
#[test]
fn t198_two_of_one_stream_are_equal() -> Result<()> {
    let (theirs, other) = (theirs(), theirs());
    let stream = external(&theirs);
    // SAFETY: the owner is dropped last.
    let again = unsafe { ExternalStream::from_raw(theirs.as_raw()) }?;
    assert!(stream == again, "their owners are of two types");
    assert!(again == stream);
    assert_eq!(stream.as_stream(), again.as_stream());
    assert!(stream != external(&other) && external(&other) != again);
    assert_eq!(HashSet::from([stream, external(&theirs), external(&other)]).len(), 2);
    Ok(())
}

#[test]
fn one_of_a_stream_of_ours_has_an_equal_view() -> Result<()> {
    let [ours, other] = streams();
    // SAFETY: the stream lives as long as its handle.
    let stream = unsafe { ExternalStream::with_owner(ours.as_raw(), &ours) }?;
    assert!(stream.as_stream() == ours.as_stream() && ours.as_stream() == stream.as_stream());
    assert_ne!(stream.as_stream(), other.as_stream());
    Ok(())
}

/// T209, T210, T401
#[test]
fn t401_the_default_streams_are_told_apart() -> Result<()> {
    let theirs = theirs();
    let [zero, legacy, per_thread] = [0, 1, 2].map(primary_default_stream);
    assert_eq!([&zero, &legacy, &per_thread].map(|stream| stream.as_raw().addr()), [0, 1, 2]);
    assert!(zero == legacy && legacy != per_thread && zero != external(&theirs));
    assert_eq!(zero, device().default_stream()?);
    assert_eq!(per_thread.as_stream(), device().per_thread_stream()?);
    let text = |stream: &dyn std::fmt::Debug| format!("{stream:?}");
    let named = |raw: &str| format!("ExternalStream {{ device: 0, raw: {raw}, .. }}");
    assert_eq!(text(&zero), named("0 (default)"));
    assert_eq!(text(&legacy), named("1 (legacy default)"));
    assert_eq!(text(&per_thread), named("2 (per-thread default)"));
    assert_eq!(text(&external(&theirs)), named(&format!("{:?}", theirs.as_raw())));
    if raw::has_ids() {
        assert_eq!(zero.id()?, legacy.id()?);
        assert_ne!(zero.id()?, per_thread.id()?);
    }
    assert_eq!(HashSet::from([zero, legacy, per_thread]).len(), 2);
    Ok(())
}

/// T281
#[test]
fn t281_dropping_a_default_stream_destroys_nothing() -> Result<()> {
    for number in [0, 1, 2] {
        let stream = primary_default_stream(number);
        let hold = Hold::new(&stream);
        primary_default_stream(number).into_owner();
        assert_eq!(stream.record_event()?.status()?, EventStatus::Pending);
        hold.release();
        stream.synchronize()?;
        assert_eq!((stream.is_blocking()?, stream.priority()?), (true, 0));
    }
    Ok(())
}

#[test]
fn the_handles_0_and_1_and_the_blocking_streams_wait_for_each_other() -> Result<()> {
    let (blocking, [other]) = (device().stream_with(StreamOptions::new().blocking(true))?, streams());
    for legacy in [0, 1].map(primary_default_stream) {
        let hold = Hold::new(&blocking);
        let (barrier, beside) = (legacy.record_event()?, other.record_event()?);
        beside.synchronize()?;
        assert!(!barrier.query()?);
        hold.release();
        barrier.synchronize()?;

        let hold = Hold::new(&legacy);
        let (behind, beside) = (blocking.record_event()?, other.record_event()?);
        beside.synchronize()?;
        assert!(!behind.query()?);
        hold.release();
        behind.synchronize()?;
    }
    Ok(())
}

#[test]
fn the_handle_2_means_a_stream_of_the_thread_that_calls() -> Result<()> {
    let stream = primary_default_stream(2);
    let hold = Hold::new(&stream);
    let here = stream.record_event()?;
    let id = stream.id();
    on_a_fresh_thread(|| {
        assert!(stream.query()?, "this thread's stream is not held");
        stream.record_event()?.synchronize()?;
        assert!(!raw::has_ids() || stream.id() != id);
        stream.wait_event(&here)?;
        assert!(!stream.query()?);
        hold.release();
        stream.synchronize()
    })?;
    assert!(here.query()?);
    Ok(())
}

#[test]
fn the_handles_0_1_and_2_are_of_the_context_that_is_current() -> Result<()> {
    let primary = device().context()?;
    let second = TheirContext::new();
    for number in [0, 1, 2] {
        on_a_fresh_thread(|| {
            let error = default_stream(number).unwrap_err();
            assert_eq!((&error, error.code()), (&Error::NoCurrentDevice, None));
            assert!(error.to_string().contains("no context is current on this thread"), "{error}");
            let of_primary = primary.with_current(|| default_stream(number))??;
            assert_eq!((of_primary.context(), of_primary.device()), (primary, device()));
            let of_second = second.context.with_current(|| default_stream(number))??;
            assert_eq!((of_second.context().as_raw(), of_second.device()), (second.as_raw(), device()));
            assert_ne!(of_primary, of_second, "the handle alone is no identity");
            let named = second.context.with_current(|| primary_default_stream(number))?;
            assert_eq!(named, of_primary, "the device's are those of its primary context");
            Ok::<_, Error>(())
        })?;
    }
    Ok(())
}

/// Whatever is current, a default stream is that of its context.
#[test]
fn a_default_stream_keeps_to_its_context() -> Result<()> {
    let primary = device().context()?;
    let second = TheirContext::new();
    for number in [0, 1, 2] {
        let [busy, free] = [primary_default_stream(number), second.context.with_current(|| default_stream(number))??];
        let hold = Hold::new(&busy);
        let check = || {
            let (pending, done) = (busy.record_event()?, free.record_event()?);
            assert_eq!((pending.context(), done.context()), (Some(primary), Some(free.context())));
            done.synchronize()?;
            assert!(free.query()? && !busy.query()? && !pending.query()?);
            Ok::<_, Error>(())
        };
        check()?;
        primary.with_current(check)??;
        second.context.with_current(check)??;
        hold.release();
        busy.synchronize()?;
    }
    Ok(())
}

#[test]
fn a_stream_of_a_second_context_works() -> Result<()> {
    let second = TheirContext::new();
    let theirs = second.stream();
    let stream = external(&theirs);
    assert_eq!((stream.device(), stream.context().as_raw()), (device(), second.as_raw()));
    assert_ne!(stream.context(), device().context()?);
    assert_eq!(stream.context() == second.context, raw::has_ids(), "without ids nobody knows whether it is the same life");
    let [ours] = streams();
    let hold = Hold::new(&stream);
    let event = stream.record_event()?;
    assert_eq!(event.context(), Some(stream.context()));
    ours.wait_event(&event)?;
    ours.wait_stream(&stream)?;
    assert!(!stream.query()? && !ours.query()?);
    returns_after_release(hold, || ours.synchronize())?;
    assert!(event.query()?);
    let hold = Hold::new(&ours);
    stream.wait_stream(&ours)?;
    assert!(!theirs.query());
    hold.release();
    stream.synchronize()
}

#[test]
fn an_event_of_a_second_context_says_so_where_it_meets_the_primary_one() -> Result<()> {
    let second = TheirContext::new();
    let theirs = second.stream();
    let [ours] = streams();
    let event = external(&theirs).record_event()?;
    let error = event.record(&ours).unwrap_err();
    let Error::ContextMismatch(mismatch) = &error else { panic!("{error:?}") };
    assert_eq!((mismatch.event.id, mismatch.other.id), (second.context.id(), device().context()?.id()));
    let ours = ours.record_event()?;
    assert!(matches!(external(&theirs).record(&ours), Err(Error::ContextMismatch(_))));
    event.synchronize()?;
    ours.synchronize()
}

/// The context of somebody else that is current is neither taken away nor replaced.
#[test]
fn making_one_leaves_the_current_context_as_it_is() -> Result<()> {
    let theirs = theirs();
    let second = SecondContext::new(device());
    let make_all = || {
        let before = common::contexts::current();
        let made = (external(&theirs), [0, 1, 2].map(primary_default_stream));
        assert_eq!(made.0.context(), made.1[0].context());
        assert_eq!(common::contexts::current(), before);
    };
    on_a_fresh_thread(|| {
        make_all();
        second.with_current(make_all);
        device().context()?.with_current(make_all)
    })
}

/// An id is of a stream, a name of its context: both know the same one.
#[test]
fn its_context_is_that_of_the_device() -> Result<()> {
    let theirs = theirs();
    let contexts: HashSet<Context> = HashSet::from([external(&theirs).context(), device().context()?, primary_default_stream(2).context()]);
    assert_eq!(contexts.len(), 1);
    assert_eq!(external(&theirs).as_stream().context()?, device().context()?);
    Ok(())
}
