//! Contexts that somebody else made, and how one is declared over.

mod common;

use std::collections::HashSet;
#[cfg(not(miri))]
use std::sync::Arc;
use std::sync::Barrier;
use std::thread;

use common::contexts::{self, SecondContext};
#[cfg(not(miri))]
use common::hold::Hold;
use common::shared::is_software;
use common::theirs::{NON_BLOCKING, TheirStream};
use common::{device, raw, streams};
#[cfg(not(miri))]
use cuda_streams::{AsStream, CaptureMode, CaptureScope, CaptureStatus, Event, StreamRef};
use cuda_streams::{Context, Error, ExternalStream, RawContext, Result};
use cudarc::driver::CudaContext;

/// A context of somebody else, of which nothing is made here.
fn foreign(second: &SecondContext) -> Context {
    // SAFETY: it lives while `second` does, and nothing is used of it afterwards.
    unsafe { Context::from_raw(second.as_raw()) }.expect("a context that is alive")
}

#[test]
fn a_context_of_somebody_else_shows_its_handle_device_and_id() -> Result<()> {
    let second = SecondContext::new(device());
    let context = foreign(&second);
    assert_eq!((context.as_raw(), context.device()), (second.as_raw(), device()));
    assert_ne!(context, device().context()?);
    assert_eq!(context.id().is_some(), raw::has_ids());
    assert_eq!(context.id() == device().context()?.id(), !raw::has_ids());
    assert_eq!(context.with_current(contexts::current)?, second.as_raw());
    context.synchronize()?;
    assert_eq!(context.stream_priorities()?, device().context()?.stream_priorities()?);
    Ok(())
}

#[test]
fn a_context_is_the_same_each_time() -> Result<()> {
    let second = SecondContext::new(device());
    assert_eq!(foreign(&second) == foreign(&second), raw::has_ids(), "without ids nobody knows whether it is the same life");
    let primary = device().context()?;
    // SAFETY: the primary context.
    assert_eq!(unsafe { Context::from_raw(primary.as_raw()) }?, primary);
    Ok(())
}

/// Whoever retires it retires it for all.
#[test]
fn threads_that_ask_for_a_context_at_once_get_the_same() {
    const THREADS: usize = 4;
    if !raw::has_ids() {
        return assert_eq!(device().context().expect("the primary context").id(), None);
    }
    // A real driver takes a second for a context.
    let rounds = if is_software() && !cfg!(miri) { 50 } else { 5 };
    for _ in 0..rounds {
        let (second, start) = (SecondContext::new(device()), Barrier::new(THREADS));
        let ask = || {
            start.wait();
            foreign(&second)
        };
        let contexts: HashSet<Context> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
        });
        assert_eq!(contexts.len(), 1, "{contexts:?}");
    }
}

#[test]
fn a_primary_context_of_somebody_else_is_the_devices() -> Result<()> {
    let theirs = CudaContext::new(device().ordinal() as usize).expect("cudarc's view of the primary context");
    // SAFETY: a primary context.
    let context = unsafe { Context::from_raw(theirs.cu_ctx().cast()) }?;
    drop(theirs);
    assert_eq!(context, device().context()?);
    context.synchronize()
}

#[test]
fn what_is_of_a_retired_context_says_so_and_is_leaked() -> Result<()> {
    let second = SecondContext::new(device());
    let context = foreign(&second);
    let theirs = TheirStream::new(context, NON_BLOCKING);
    // SAFETY: its owner is dropped last, before the context.
    let external = unsafe { ExternalStream::from_raw(theirs.as_raw()) }?;
    let event = external.record_event()?;
    event.synchronize()?;
    let (context, [ours]) = (external.context(), streams());
    context.retire();
    context.retire();
    let over = Err(Error::ContextDestroyed { device: device().ordinal() });
    assert_eq!(external.query().map(drop), over);
    assert_eq!(external.synchronize(), over);
    assert_eq!(external.record(&event), over);
    assert_eq!(external.record_event().map(drop), over);
    assert_eq!(external.wait_stream(&ours), over);
    assert_eq!(ours.wait_stream(&external), over);
    assert_eq!(external.priority().map(drop), over);
    assert_eq!(event.record(&ours), over);
    assert_eq!(context.with_current(|| ()), over);
    assert_eq!(context.synchronize(), over);
    assert_eq!(context.stream_priorities().map(drop), over);
    assert_eq!(event.query(), Ok(true), "what is remembered stays true");
    let handle = event.as_raw().expect("it is bound");
    assert_eq!(event.query().map(drop), over, "what is lent is not remembered");
    assert_eq!(event.destroy(), over);
    // SAFETY: the context is alive, and so is the event, which was leaked.
    assert_eq!(unsafe { raw::cuEventDestroy_v2(handle) }, raw::SUCCESS);
    assert!(theirs.query(), "its owner goes on");
    Ok(())
}

/// The driver makes a new context where an old one was: its handle alone says nothing.
#[test]
fn a_handle_that_recurs_is_another_context() -> Result<()> {
    let mut seen: Vec<(RawContext, Context)> = Vec::new();
    for round in 0..6 {
        let second = SecondContext::new(device());
        let context = foreign(&second);
        assert!(seen.iter().all(|(_, earlier)| *earlier != context), "round {round}");
        let stream = TheirStream::new(context, NON_BLOCKING);
        // SAFETY: its owner is dropped last, before the context.
        let external = unsafe { ExternalStream::from_raw(stream.as_raw()) }?;
        let event = external.record_event()?;
        event.synchronize()?;
        event.destroy()?;
        for (_, earlier) in &seen {
            assert_eq!(earlier.synchronize(), Err(Error::ContextDestroyed { device: device().ordinal() }), "it stays over");
        }
        context.retire();
        seen.push((second.as_raw(), context));
    }
    let handles: HashSet<RawContext> = seen.iter().map(|(handle, _)| *handle).collect();
    assert!(handles.len() < seen.len(), "no handle has recurred, so that this has shown nothing: {handles:?}");
    Ok(())
}

/// A primary context that is retired, and not reset, has another life here.
#[cfg(not(miri))]
#[test]
fn a_device_has_a_new_context_after_the_old_one_was_retired() {
    let test = "a_device_has_a_new_context_after_the_old_one_was_retired";
    common::child::run(test, common::child::same_environment, || {
        let (old, [stream]) = (device().context().unwrap(), streams());
        old.retire();
        let new = device().context().unwrap();
        assert_ne!(new, old);
        assert_eq!((new.as_raw(), new.id()), (old.as_raw(), old.id()), "to the driver it is the same");
        let over = Err(Error::ContextDestroyed { device: 0 });
        assert_eq!(stream.query().map(drop), over);
        let theirs = CudaContext::new(0).unwrap().new_stream().unwrap();
        assert_eq!(theirs.as_stream().context(), Ok(new));
        assert_eq!(device().default_stream().unwrap().context(), new);
        assert_eq!(theirs.as_stream().wait_stream(&stream), over);
        let [stream] = streams();
        let hold = Hold::new(&stream);
        let event = stream.record_event().unwrap();
        assert_eq!(event.query(), Ok(false));
        hold.release();
        event.synchronize().unwrap();
    });
}

/// Left open, a capture would refuse calls of its thread, or of all threads, for good.
#[cfg(not(miri))]
#[test]
fn a_capture_ends_though_its_context_was_retired() {
    let test = "a_capture_ends_though_its_context_was_retired";
    // The graphs are leaked, which a report tells when it ends.
    common::child::run(test, common::child::with_reports, || {
        for mode in [CaptureMode::Global, CaptureMode::ThreadLocal, CaptureMode::Relaxed] {
            let [stream, side] = streams();
            check_capture_ends(stream.as_stream(), mode, |scope| side.wait_stream(scope));
            assert_eq!([&stream, &side].map(raw::query), [raw::SUCCESS; 2], "they are not captured any more");
            check_capture_ends(device().per_thread_stream().unwrap(), mode, |scope| scope.host_fn(|| ()));
            assert_eq!(device().per_thread_stream().unwrap().capture_status(), Ok(CaptureStatus::None));
        }
    });
}

#[cfg(not(miri))]
fn check_capture_ends(stream: StreamRef<'_>, mode: CaptureMode, work: impl FnOnce(&CaptureScope<'_>) -> Result<()>) {
    let (owner, context, over) = (Arc::new(()), stream.context().unwrap(), Error::ContextDestroyed { device: 0 });
    let graph = stream.capture::<Error>(mode, |scope| {
        scope.keep(owner.clone())?;
        work(scope)?;
        thread::scope(|threads| threads.spawn(|| context.retire()).join()).unwrap();
        assert_eq!(scope.record(Event::new()), Err(over.clone()));
        Ok(())
    });
    assert_eq!(graph.map(drop), Err(over), "{mode:?}");
    assert_eq!(Arc::strong_count(&owner), 2, "it is kept for good, as the graph is leaked");
    let works = || {
        let [fresh] = streams();
        fresh.record_event()?.synchronize()?;
        assert!(fresh.query()?);
        fresh.synchronize()
    };
    assert_eq!(works(), Ok(()), "{mode:?}");
    assert_eq!(thread::scope(|threads| threads.spawn(works).join()).unwrap(), Ok(()), "{mode:?}");
}

/// For a stream of a second context a wait has crashed a driver; a launch of a graph that waits has not.
#[cfg(not(miri))]
#[test]
fn graphs_alone_take_interprocess_events_into_other_contexts() -> Result<()> {
    let second = SecondContext::new(device());
    let (context, [stream]) = (foreign(&second), streams());
    let theirs = TheirStream::new(context, NON_BLOCKING);
    // SAFETY: its owner is dropped last, before the context.
    let external = unsafe { ExternalStream::from_raw(theirs.as_raw()) }?;
    let event = Event::interprocess();
    let mut waits = stream.capture_events::<Error>(|scope| scope.wait_event(&event))?.instantiate()?;
    let mut records = stream.capture_events::<Error>(|scope| scope.record(&event))?.instantiate()?;
    waits.upload(&external)?;
    external.synchronize()?;
    let hold = Hold::new(&stream);
    event.record(&stream)?;
    let refused = external.wait_event(&event);
    assert!(matches!(&refused, Err(Error::ContextMismatch(mismatch)) if mismatch.code.is_none()), "{refused:?}");
    waits.launch(&external)?;
    assert!(!external.query()?, "the launch waits for the record");
    hold.release();
    external.synchronize()?;
    assert!(event.query()?);
    let hold = Hold::new(&external);
    records.launch(&external)?;
    assert!(!event.query()?, "the launch is a record");
    hold.release();
    event.synchronize()
}
