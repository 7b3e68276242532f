//! cudarc's streams and events as those of this crate: its own, the default ones, and those it must refuse.

mod common;

use std::error::Error;
use std::sync::Arc;

use common::contexts::{self, SecondContext};
use common::hold::Hold;
use common::words::Words;
use common::{device, on_a_fresh_thread, raw, returns_after_release, streams};
use cuda_streams::{AsEvent, AsStream, Event, EventOptions, EventStatus, ExternalStream, Stream};
use cudarc::driver::{CudaContext, CudaEvent, CudaStream};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// cudarc's context, of the same device as [`device`]: ours comes first, so that both load one driver.
fn cudarc() -> Result<Arc<CudaContext>> {
    Ok(CudaContext::new(device().ordinal() as usize)?)
}

/// cudarc's own stream, the legacy default stream (handle 0) and the per-thread one (handle 2).
fn their_streams() -> Result<[Arc<CudaStream>; 3]> {
    let context = cudarc()?;
    Ok([context.new_stream()?, context.default_stream(), context.per_thread_stream()])
}

#[test]
fn an_event_recorded_on_their_stream_belongs_to_the_primary_context() -> Result {
    for theirs in their_streams()? {
        assert_eq!(theirs.as_stream().context()?, device().context()?);
        let event = Event::timed();
        let hold = Hold::new(&theirs);
        event.record(&theirs)?;
        assert_eq!((event.device(), event.context()), (Some(device()), Some(device().context()?)));
        assert_eq!(event.status()?, EventStatus::Pending);
        hold.release();
        event.synchronize()?;
        assert_eq!(event.status()?, EventStatus::Complete);
    }
    Ok(())
}

#[test]
fn their_stream_has_the_operations_of_ours() -> Result {
    for theirs in their_streams()? {
        let view = theirs.as_stream();
        assert_eq!(view.as_raw(), theirs.cu_stream().cast());
        let hold = Hold::new(&theirs);
        assert!(!view.query()?);
        let (first, second) = (view.record_event()?, view.record_event_with(EventOptions::new().timed())?);
        assert!(!first.query()? && !second.query()?);
        returns_after_release(hold, || view.synchronize())?;
        assert!(first.query()? && second.query()?);
    }
    Ok(())
}

#[test]
fn their_stream_waits_for_ours() -> Result {
    let by_event: fn(&CudaStream, &cuda_streams::Stream) -> cuda_streams::Result<()> = |theirs, ours| ours.record_event()?.wait(theirs);
    for (value, wait) in [(1, by_event), (2, |theirs, ours| theirs.as_stream().wait_stream(ours))] {
        for theirs in their_streams()? {
            let [ours] = streams();
            let source = Words::new(device(), value);
            let [mut data, mut seen] = [0; 2].map(|value| Words::new(device(), value));
            let hold = Hold::new(&ours);
            data.copy_from(&ours, &source);
            wait(&theirs, &ours)?;
            seen.copy_from(&theirs, &data);
            assert!(!theirs.as_stream().query()?);
            hold.release();
            theirs.as_stream().synchronize()?;
            assert_eq!(seen.read(), value);
        }
    }
    Ok(())
}

#[test]
fn our_stream_waits_for_theirs() -> Result {
    let by_event: fn(&CudaStream, &cuda_streams::Stream) -> cuda_streams::Result<()> = |theirs, ours| {
        let event = Event::new();
        event.record(theirs)?;
        ours.wait_event(&event)
    };
    for (value, wait) in [(3, by_event), (4, |theirs, ours| ours.wait_stream(theirs))] {
        for theirs in their_streams()? {
            let [ours] = streams();
            let source = Words::new(device(), value);
            let [mut data, mut seen] = [0; 2].map(|value| Words::new(device(), value));
            let hold = Hold::new(&theirs);
            data.copy_from(&theirs, &source);
            wait(&theirs, &ours)?;
            seen.copy_from(&ours, &data);
            assert!(!ours.query()?);
            hold.release();
            ours.synchronize()?;
            assert_eq!(seen.read(), value);
        }
    }
    Ok(())
}

#[test]
fn their_streams_wait_for_each_other() -> Result {
    let [own, legacy, per_thread] = their_streams()?;
    for (first, second) in [(&own, &legacy), (&legacy, &per_thread), (&per_thread, &own)] {
        let hold = Hold::new(first);
        let mark = first.as_stream().record_event()?;
        second.as_stream().wait_stream(first)?;
        first.as_stream().wait_stream(first)?;
        assert!(!second.as_stream().query()?);
        hold.release();
        second.as_stream().synchronize()?;
        assert!(mark.query()?);
    }
    Ok(())
}

#[test]
fn the_current_context_stays_as_it_is() -> Result {
    let theirs = their_streams()?;
    let second = SecondContext::new(device());
    let use_all = || -> cuda_streams::Result<()> {
        let [ours] = streams();
        for theirs in &theirs {
            let before = contexts::current();
            let unchanged = |what: &str| assert_eq!(contexts::current(), before, "after {what} on {theirs:?}");
            let (event, view) = (Event::new(), theirs.as_stream());
            event.record(theirs)?;
            unchanged("the first record");
            event.record(theirs)?;
            unchanged("a record");
            event.wait(theirs)?;
            unchanged("a wait");
            view.wait_stream(&ours)?;
            unchanged("wait_stream");
            ours.wait_stream(theirs)?;
            unchanged("being waited for");
            view.query()?;
            unchanged("a query");
            view.synchronize()?;
            unchanged("synchronize");
        }
        Ok(())
    };
    on_a_fresh_thread(|| {
        assert!(contexts::current().is_null());
        use_all()?;
        assert!(contexts::current().is_null());
        second.with_current(use_all)
    })?;
    Ok(())
}

/// A context of cudarc that is not the primary one.
fn foreign() -> Result<Arc<CudaContext>> {
    let second = SecondContext::new(device());
    let (ordinal, number) = (device().ordinal() as usize, raw::device_number(device()));
    // SAFETY: the context is alive and of this device, and cudarc becomes its owner.
    let foreign = unsafe { CudaContext::from_raw_context(ordinal, number, second.into_raw().cast()) }?;
    assert_ne!(foreign.cu_ctx().cast(), device().context()?.as_raw());
    Ok(foreign)
}

/// T403
#[test]
fn a_stream_of_a_context_that_is_not_primary_is_refused() -> Result {
    let (foreign, ordinal) = (foreign()?, device().ordinal());
    let theirs = foreign.new_stream()?;
    let [ours] = streams();
    let (event, recorded) = (Event::new(), ours.record_event()?);
    let refused = Err(cuda_streams::Error::ForeignContext { device: ordinal });
    assert_eq!(event.record(&theirs), refused);
    assert_eq!(event.device(), None, "nothing was created");
    assert_eq!(recorded.wait(&theirs), refused);
    assert_eq!(ours.wait_stream(&theirs), refused);
    assert_eq!(theirs.as_stream().wait_stream(&ours), refused);
    assert_eq!(theirs.as_stream().query().map(drop), refused);
    assert_eq!(theirs.as_stream().synchronize(), refused);
    assert_eq!(theirs.as_stream().record_event().map(drop), refused);
    assert_eq!(theirs.as_stream().context().map(drop), refused);
    assert_eq!(ExternalStream::try_from(theirs).map(drop), refused);
    Ok(())
}

#[test]
fn an_event_of_a_context_that_is_not_primary_is_refused() -> Result {
    let foreign = foreign()?;
    let theirs = foreign.new_stream()?.record_event(None)?;
    let [ours] = streams();
    let refused = Err(cuda_streams::Error::ForeignContext { device: device().ordinal() });
    assert_eq!(ours.wait_event(&theirs), refused);
    assert_eq!(ours.record(&theirs), refused);
    assert_eq!(theirs.as_event().query().map(drop), refused);
    assert_eq!(theirs.as_event().status().map(drop), refused);
    assert_eq!(theirs.as_event().synchronize(), refused);
    assert_eq!(theirs.as_event().synchronize_timeout(std::time::Duration::ZERO).map(drop), refused);
    Ok(())
}

/// Recorded by cudarc, or here, on streams of either.
#[test]
fn their_event_is_waited_for_and_recorded() -> Result {
    let theirs = cudarc()?.new_stream()?;
    let by_them: fn(&CudaEvent, &CudaStream) -> Result = |event, stream| Ok(event.record(stream)?);
    for (value, record) in [(5, by_them), (6, |event, stream| Ok(stream.as_stream().record(event)?))] {
        let ([ours], event) = (streams(), theirs.context().new_event(None)?);
        let source = Words::new(device(), value);
        let [mut data, mut seen] = [0; 2].map(|value| Words::new(device(), value));
        assert!(event.as_event().query()?, "nobody has recorded it");
        let hold = Hold::new(&theirs);
        data.copy_from(&theirs, &source);
        record(&event, &theirs)?;
        ours.wait_event(&event)?;
        seen.copy_from(&ours, &data);
        assert!(!ours.query()? && !event.as_event().query()? && !event.is_complete());
        assert_eq!(event.as_event().status()?, EventStatus::Pending);
        returns_after_release(hold, || event.as_event().synchronize())?;
        ours.synchronize()?;
        assert!(event.is_complete());
        assert_eq!(seen.read(), value);
    }
    Ok(())
}

/// T303, T307
#[test]
fn their_stream_is_stored_with_a_share_of_it() -> Result {
    for theirs in their_streams()? {
        let gone = Arc::downgrade(&theirs);
        let stored = ExternalStream::try_from(theirs)?;
        assert_eq!((stored.device(), stored.context()), (device(), device().context()?));
        assert_eq!((stored.as_raw(), stored.as_stream()), (stored.owner().cu_stream().cast(), stored.owner().as_stream()));
        let [ours] = streams();
        let hold = Hold::new(&ours);
        stored.wait_stream(&ours)?;
        let event = stored.scope(|| Stream::current()?.record_event())?;
        assert!(!stored.query()? && !event.query()?);
        hold.release();
        stored.synchronize()?;
        assert!(event.query()?);
        drop(stored);
        assert!(gone.upgrade().is_none());
    }
    Ok(())
}

/// What is kept of a scope keeps the stream.
#[test]
fn their_stream_lives_as_long_as_what_was_current() -> Result {
    let theirs = cudarc()?.new_stream()?;
    let gone = Arc::downgrade(&theirs);
    let current = ExternalStream::try_from(theirs)?.scope(Stream::current)?;
    assert!(gone.upgrade().is_some());
    current.record_event()?.synchronize()?;
    drop(current);
    assert!(gone.upgrade().is_none());
    Ok(())
}

/// T480
#[test]
fn t480_their_stream_stays_theirs() -> Result {
    let theirs = cudarc()?.new_stream()?;
    let hold = Hold::new(&theirs);
    drop(theirs.as_stream().record_event()?);
    assert!(!theirs.as_stream().query()?);
    hold.release();
    theirs.synchronize()?;
    assert_eq!(Arc::strong_count(&theirs), 1, "no clone was kept");
    Ok(())
}
