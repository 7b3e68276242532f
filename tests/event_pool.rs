//! Idle events, which are used again: each is as a new one, and what others have had is never among them.

mod common;

use std::ptr;

use common::contexts::SecondContext;
use common::hold::Hold;
use common::theirs::{NON_BLOCKING, TheirStream};
use common::words::Words;
use common::{device, drops_are_done, raw, streams};
use cuda_streams::{
    AsStream as _, CaptureMode, Context, ElapsedTime, Error, Event, EventFlags, EventOptions, EventPoolStats, EventStatus, ExternalStream,
    Mode, RawEvent, Result, Stream,
};

const UNTIMED: EventOptions = EventOptions::new();

fn pool() -> EventPoolStats {
    device().context().expect("the primary context").event_pool()
}

/// What `make` makes, which is an event that was used before.
#[track_caller]
fn recycled<E>(make: impl FnOnce() -> Result<E>) -> Result<E> {
    let before = pool();
    let event = make()?;
    let after = pool();
    assert_eq!((after.created - before.created, after.reused - before.reused, before.idle - after.idle), (0, 1, 1), "it is no idle event");
    Ok(event)
}

/// What `make` makes, which is an event that was created now.
#[track_caller]
fn created<E>(make: impl FnOnce() -> Result<E>) -> Result<E> {
    let before = pool();
    let event = make()?;
    let after = pool();
    assert_eq!((after.created - before.created, after.reused, after.idle), (1, before.reused, before.idle), "it is an idle event");
    Ok(event)
}

/// How many more events are idle after `f`.
fn more_idle(f: impl FnOnce()) -> usize {
    let before = pool().idle;
    f();
    pool().idle - before
}

/// Leaves one idle event of these options, whose last record is pending as long as the stream is busy.
fn leave_pending<M: Mode>(stream: &Stream, options: EventOptions<M>) -> Result<()> {
    let pending = stream.record_event_with(options)?;
    assert!(!pending.query()?);
    assert_eq!(more_idle(|| drop(pending)), 1);
    Ok(())
}

#[test]
fn an_event_that_was_pending_is_as_a_new_one() -> Result<()> {
    let [busy, other] = streams();
    let hold = Hold::new(&busy);
    leave_pending(&busy, UNTIMED)?;
    let event = recycled(|| device().event(UNTIMED))?;
    assert_eq!((event.query()?, event.status()?), (true, EventStatus::NotRecorded));
    event.synchronize()?;
    other.wait_event(&event)?;
    assert!(other.query()?, "there is nothing to wait for");
    event.record(&other)?;
    event.synchronize()?;
    assert_eq!(event.status()?, EventStatus::Complete);
    event.record(&busy)?;
    assert_eq!((event.query()?, event.status()?), (false, EventStatus::Pending));
    hold.release();
    event.synchronize()
}

/// Bound by its first record, as most are.
#[test]
fn an_event_that_a_record_binds_is_an_idle_one() -> Result<()> {
    let [busy, other] = streams();
    let hold = Hold::new(&busy);
    leave_pending(&busy, UNTIMED)?;
    let event = Event::new();
    recycled(|| event.record(&other))?;
    event.synchronize()?;
    drop(event);
    let event = recycled(|| other.record_event())?;
    event.synchronize()?;
    assert!(!busy.query()?, "it has nothing of the record before");
    hold.release();
    busy.synchronize()
}

#[test]
fn an_idle_event_has_no_time_until_it_is_recorded() -> Result<()> {
    let [stream] = streams();
    let timed = EventOptions::new().timed();
    let (first, last) = (stream.record_event_with(timed)?, stream.record_event_with(timed)?);
    last.synchronize()?;
    first.elapsed_time(&last)?;
    drop((first, last));
    let (first, last) = (recycled(|| device().event(timed))?, recycled(|| device().event(timed))?);
    let not_recorded = |time: Result<ElapsedTime>| matches!(time, Err(Error::NotRecorded { .. }));
    assert!(not_recorded(first.elapsed_time(&last)));
    first.record(&stream)?;
    assert!(not_recorded(first.elapsed_time(&last)) && not_recorded(last.elapsed_time(&first)));
    last.record(&stream)?;
    last.synchronize()?;
    assert!(first.elapsed_time(&last)?.as_secs_f64() >= 0.0);
    Ok(())
}

/// Who has the handle asks the driver: there is to be nothing of the record before.
#[test]
fn a_handle_that_is_lent_before_the_first_record_is_of_a_new_event() -> Result<()> {
    let [busy, other] = streams();
    let hold = Hold::new(&busy);
    leave_pending(&busy, UNTIMED)?;
    let event = recycled(|| device().event(UNTIMED))?;
    let mut handle = None;
    assert_eq!(more_idle(|| handle = event.as_raw()), 1, "the one that is pending is idle again");
    let handle = handle.expect("it is bound");
    assert_eq!(raw::event_query(handle), raw::SUCCESS);
    assert_eq!((event.as_raw(), event.query()?), (Some(handle), true));
    event.record(&other)?;
    event.synchronize()?;
    event.record(&busy)?;
    assert_eq!((event.as_raw(), raw::event_query(handle), event.query()?), (Some(handle), raw::NOT_READY, false));
    hold.release();
    event.synchronize()
}

#[test]
fn a_handle_that_is_given_up_before_the_first_record_is_of_a_new_event() -> Result<()> {
    let [busy] = streams();
    let hold = Hold::new(&busy);
    leave_pending(&busy, UNTIMED)?;
    let event = recycled(|| device().event(UNTIMED))?;
    let handle = event.into_raw().expect("it is bound");
    assert_eq!(raw::event_query(handle), raw::SUCCESS);
    // SAFETY: both are alive, and of one context.
    let code = unsafe { raw::cuEventRecord(handle, busy.as_raw()) };
    assert_eq!((code, raw::event_query(handle)), (raw::SUCCESS, raw::NOT_READY));
    hold.release();
    busy.synchronize()?;
    destroy(handle);
    Ok(())
}

fn destroy(event: RawEvent) {
    // SAFETY: the test's own, which nobody uses any more.
    let code = unsafe { raw::cuEventDestroy_v2(event) };
    assert_eq!(code, raw::SUCCESS);
}

/// Its driver event is recorded again, by others and elsewhere, before the wait is over.
#[test]
fn a_wait_holds_for_an_event_that_was_dropped_and_used_again() -> Result<()> {
    let [producer, consumer, other] = streams();
    let source = Words::new(device(), 7);
    let [mut data, mut seen] = [0; 2].map(|value| Words::new(device(), value));
    let hold = Hold::new(&producer);
    data.copy_from(&producer, &source);
    let event = producer.record_event()?;
    consumer.wait_event(&event)?;
    drop(event);
    seen.copy_from(&consumer, &data);
    for _ in 0..3 {
        let again = recycled(|| other.record_event())?;
        again.synchronize()?;
    }
    assert!(!consumer.query()?, "it waits for the first record");
    hold.release();
    consumer.synchronize()?;
    assert_eq!(seen.read(), 7);
    Ok(())
}

#[test]
fn an_event_of_an_open_capture_is_used_again() -> Result<()> {
    let [stream, branch, beside] = streams();
    let graph = stream.capture(CaptureMode::default(), |scope| {
        scope.host_fn(|| ())?;
        let fork = Event::new();
        scope.record(&fork)?;
        branch.wait_event(&fork)?;
        assert_eq!(more_idle(|| drop(fork)), 1);
        let event = recycled(|| device().event(UNTIMED))?;
        assert_eq!((event.query()?, event.status()?), (true, EventStatus::NotRecorded));
        event.record(&beside)?;
        event.synchronize()?;
        assert!(event.query()?, "it is of no capture");
        drop(event);
        let join = recycled(|| branch.record_event())?;
        scope.wait_event(&join)?;
        assert_eq!(more_idle(|| drop(join)), 1);
        scope.host_fn(|| ())
    })?;
    // SAFETY: it has host functions alone, which use nothing.
    let mut exec = unsafe { graph.instantiate() }?;
    // SAFETY: as above.
    unsafe { exec.launch(&stream) }?;
    stream.synchronize()?;
    // That of the capture, once it is over.
    let event = recycled(|| device().event(UNTIMED))?;
    assert_eq!((event.query()?, event.status()?), (true, EventStatus::NotRecorded));
    event.record(&stream)?;
    event.synchronize()
}

/// What others have, or have had, they may record at any time.
#[test]
fn what_others_have_had_is_never_used_again() -> Result<()> {
    let [stream] = streams();
    let context = stream.context();
    let lent = stream.record_event()?;
    assert!(lent.as_raw().is_some());
    let their_own = adopted(context)?;
    let shared = stream.record_event_with(EventOptions::new().interprocess())?;
    let destroyed = stream.record_event()?;
    let node = EventOptions::new().timed().external(true).build();
    let graph = stream.capture_events::<Error>(|scope| scope.record(&node))?;
    stream.synchronize()?;
    let before = pool();
    drop((lent, their_own, shared, node));
    destroyed.destroy()?;
    drop(graph);
    drops_are_done(&stream);
    assert_eq!(pool(), before);
    Ok(())
}

/// An event of somebody else's that becomes ours.
fn adopted(context: Context) -> Result<Event> {
    let mut handle = ptr::null_mut();
    // SAFETY: the out pointer is a live local; a context is current.
    let code = context.with_current(|| unsafe { raw::cuEventCreate(&raw mut handle, EventFlags::DISABLE_TIMING.bits()) })?;
    assert_eq!(code, raw::SUCCESS);
    // SAFETY: created just now with these options, and given up.
    unsafe { Event::from_raw(context, handle, UNTIMED) }
}

#[test]
fn an_event_of_one_kind_is_not_used_for_another() -> Result<()> {
    let [stream] = streams();
    let flags = [0, 1, 2, 3].map(EventFlags::from_bits_truncate);
    let make = |flags| {
        let event = Event::with_flags(flags)?;
        event.record(&stream)?;
        event.synchronize()?;
        assert_eq!(event.flags(), flags);
        Ok(event)
    };
    for idle in flags {
        device().trim_events()?;
        drop(created(|| make(idle))?);
        let others = flags.map(|other| if other == idle { None } else { Some(created(|| make(other))) });
        let event = recycled(|| make(idle))?;
        let again = make(idle)?;
        let is_timed = !idle.contains(EventFlags::DISABLE_TIMING);
        assert_eq!(event.elapsed_time(&again).is_ok(), is_timed, "the driver's event is of this kind");
        for other in others.into_iter().flatten() {
            other?;
        }
    }
    Ok(())
}

#[test]
fn the_counts_are_exact() -> Result<()> {
    const EVENTS: u64 = if cfg!(miri) { 80 } else { 300 };
    let context = device().context()?;
    device().trim_events()?;
    let (before, mut made) = (pool(), 0);
    assert_eq!(before.idle, 0);
    for out in [EVENTS, EVENTS / 2, EVENTS, 1] {
        let events = (0..out).map(|_| device().event(UNTIMED)).collect::<Result<Vec<_>>>()?;
        made += out;
        let now = pool();
        assert_eq!((now.created - before.created, now.reused - before.reused), (EVENTS, made - EVENTS), "as many as are out at once");
        assert_eq!(now.idle as u64, EVENTS - out);
        drop(events);
        assert_eq!(pool().idle as u64, EVENTS);
    }
    let [reused, all] = [pool().reused, pool().reused + pool().created].map(|count| f64::from(u32::try_from(count).expect("some hundred")));
    assert!((pool().hit_rate() - reused / all).abs() < 1e-9);
    assert_eq!((context.trim_events()? as u64, pool().idle), (EVENTS, 0));
    assert_eq!((context.trim_events()?, device().trim_events()?), (0, 0));
    created(|| device().event(UNTIMED)).map(drop)
}

/// More of them than a thread has places for.
#[test]
fn each_context_has_events_of_its_own() -> Result<()> {
    const CONTEXTS: usize = 9;
    let seconds: Vec<_> = (0..CONTEXTS).map(|_| SecondContext::new(device())).collect();
    let mut streams = Vec::new();
    for second in &seconds {
        // SAFETY: the contexts are dropped last.
        let context = unsafe { Context::from_raw(second.as_raw()) }?;
        let theirs = TheirStream::new(context, NON_BLOCKING);
        // SAFETY: its owner is dropped after it.
        let stream = unsafe { ExternalStream::from_raw(theirs.as_raw()) }?;
        let context = stream.as_stream().context()?;
        streams.push((stream, theirs, context));
    }
    for round in 0..if cfg!(miri) { 2 } else { 4 } {
        for (stream, _, context) in &streams {
            let before = context.event_pool();
            let events = [stream.record_event()?, stream.record_event()?];
            for event in events {
                assert_eq!(event.context(), Some(*context));
                event.synchronize()?;
            }
            let after = context.event_pool();
            let made = (after.created - before.created, after.reused - before.reused);
            // Where contexts have no ids, this one has another number each time, and keeps none.
            let expected = match (raw::has_ids(), round) {
                (true, 0) => ((2, 0), 2),
                (true, _) => ((0, 2), 2),
                (false, _) => ((0, 0), 0),
            };
            assert_eq!((made, after.idle), expected);
        }
    }
    for (stream, theirs, context) in streams {
        assert_eq!((context.trim_events()?, context.event_pool().idle), (if raw::has_ids() { 2 } else { 0 }, 0));
        drop((stream, theirs));
    }
    Ok(())
}
