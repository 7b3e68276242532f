//! When a stream that cudarc has, or that was taken over, is destroyed, and when it is leaked.

use std::error::Error;
use std::sync::{Arc, Barrier};
use std::thread;

use cuda_streams::{AsStream, Event, EventOptions, ExternalStream, Stream};
use cudarc::driver::CudaContext;
use softcuda::{Scope, calls, inject, live};

use crate::common::theirs::{NON_BLOCKING, TheirStream};
use crate::common::{device, streams};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// A context of cudarc that orders slices already, so that lending makes nothing of the driver's.
fn cudarc() -> Result<Arc<CudaContext>> {
    let cudarc = CudaContext::new(device().ordinal() as usize)?;
    streams::<1>()[0].to_cudarc(&cudarc)?;
    Ok(cudarc)
}

#[track_caller]
fn assert_streams(expected: u64, what: &str) {
    assert_eq!(live().streams, expected, "{what}");
    assert_eq!(Scope::current().reports(), [], "{what}");
}

#[test]
fn a_stream_is_destroyed_once_the_loan_has_come_back() -> Result {
    let (cudarc, _scope) = (cudarc()?, Scope::enter());
    let [stream] = streams();
    let theirs = stream.to_cudarc(&cudarc)?;
    let slice = theirs.clone_htod(&[1, 2, 3])?;
    assert_streams(1, "it is the driver's stream that is lent");
    drop((slice, theirs));
    assert_streams(1, "the loan alone is nothing");
    drop(stream);
    assert_streams(0, "the last handle");
    Ok(())
}

#[test]
fn a_stream_that_cudarc_still_has_is_leaked_and_works_on() -> Result {
    let (cudarc, _scope) = (cudarc()?, Scope::enter());
    let [stream] = streams();
    let (handle, theirs) = (stream.as_raw(), stream.to_cudarc(&cudarc)?);
    let weak = Arc::downgrade(&theirs);
    let destroyed = calls("cuStreamDestroy_v2");
    drop(stream);
    assert_streams(1, "the last handle, while cudarc has the stream");
    for _ in 0..2 {
        let theirs = weak.upgrade().expect("what was leaked stays");
        let data = theirs.clone_htod(&[1, 2, 3])?;
        assert_eq!(theirs.clone_dtoh(&data)?, [1, 2, 3]);
        assert_eq!(theirs.as_stream().as_raw(), handle);
        drop((data, theirs));
        assert_streams(1, "after use");
    }
    drop(theirs);
    assert_streams(1, "for good: nobody is left who would destroy it");
    assert_eq!(calls("cuStreamDestroy_v2"), destroyed);
    weak.upgrade().expect("by a Weak, too").synchronize()?;
    // SAFETY: it was leaked, and the only way to it is not used any more.
    assert_eq!(unsafe { crate::common::raw::cuStreamDestroy_v2(handle) }, 0, "it was not destroyed");
    Ok(())
}

/// cudarc's slices, events and external streams hold the stream, each in its way.
#[test]
fn whatever_of_cudarcs_holds_the_stream_keeps_it() -> Result {
    let (cudarc, _scope) = (cudarc()?, Scope::enter());
    for (index, holder) in ["slice", "external stream", "current stream"].into_iter().enumerate() {
        let before = live().streams;
        let [stream] = streams();
        let theirs = stream.to_cudarc(&cudarc)?;
        let held: Box<dyn std::any::Any> = match index {
            0 => Box::new(theirs.clone_htod(&[1])?),
            1 => Box::new(ExternalStream::try_from(theirs.clone())?),
            _ => Box::new(ExternalStream::try_from(theirs.clone())?.scope(Stream::current)?),
        };
        drop(theirs);
        drop(stream);
        assert_streams(before + 1, holder);
        drop(held);
        assert_streams(before + 1, holder);
    }
    Ok(())
}

#[test]
fn nothing_but_the_stream_itself_is_held_by_an_event_of_it() -> Result {
    let (cudarc, _scope) = (cudarc()?, Scope::enter());
    let [stream] = streams();
    let event = stream.to_cudarc(&cudarc)?.record_event(None)?;
    drop(stream);
    assert_streams(0, "events outlive their stream");
    drop(event);
    assert_eq!(live().events, 0);
    Ok(())
}

/// Of two contexts of cudarc one may give the stream back before the other.
#[test]
fn each_loan_counts() -> Result {
    let (first, second) = (cudarc()?, cudarc()?);
    let (_scope, [stream]) = (Scope::enter(), streams());
    let [of_first, of_second] = [stream.to_cudarc(&first)?, stream.to_cudarc(&second)?];
    drop(of_first);
    let (stream, error) = stream.destroy().unwrap_err();
    assert_eq!(error, cuda_streams::Error::StreamShared);
    let stream = stream.expect("it is given back");
    assert!(Arc::ptr_eq(&stream.to_cudarc(&second)?, &of_second));
    // The loan to the first came back; this is another.
    drop(stream.to_cudarc(&first)?);
    drop(of_second);
    assert!(stream.destroy().is_ok());
    assert_streams(0, "both have come back");
    Ok(())
}

/// A `Weak` is no use of the stream, but may become one at any moment.
#[test]
fn a_race_between_upgrading_and_dropping_never_leaves_a_destroyed_stream() -> Result {
    let (cudarc, _scope) = (cudarc()?, Scope::enter());
    let scope = Scope::current();
    let (mut leaked, start) = (0, Barrier::new(2));
    for _ in 0..200 {
        let [stream] = streams();
        let weak = Arc::downgrade(&stream.to_cudarc(&cudarc)?);
        let was_upgraded = thread::scope(|threads| {
            let user = threads.spawn(|| {
                let _joined = scope.join();
                start.wait();
                weak.upgrade().map(|theirs| theirs.synchronize()).transpose()
            });
            start.wait();
            drop(stream);
            user.join().expect("no thread panics")
        })?;
        leaked += u64::from(weak.upgrade().is_some());
        assert!(weak.upgrade().is_none() || was_upgraded.is_some(), "leaked for nobody");
        assert_streams(leaked, "those that were leaked");
    }
    Ok(())
}

#[test]
fn a_stream_that_was_taken_over_is_destroyed_with_the_last_handle() -> Result {
    let context = device().context()?;
    let _scope = Scope::enter();
    let theirs = TheirStream::new(context, NON_BLOCKING).into_raw();
    // SAFETY: made for this, and nobody else uses it.
    let stream = unsafe { Stream::from_raw(theirs) }?;
    let clone = stream.clone();
    drop(stream);
    assert_streams(1, "a clone is left");
    drop(clone);
    assert_streams(0, "the last handle");
    Ok(())
}

/// Whichever call of the driver fails: the stream stays the caller's.
#[test]
fn a_stream_that_cannot_be_taken_over_stays_the_callers() -> Result {
    let context = device().context()?;
    let _scope = Scope::enter();
    let theirs = TheirStream::new(context, NON_BLOCKING);
    let functions = ["cuStreamGetCtx", "cuStreamIsCapturing", "cuStreamGetFlags", "cuStreamGetId", "cuStreamGetPriority"];
    for function in functions.into_iter().filter(|function| crate::table::has(function)) {
        let _failure = inject(function, 4000);
        // SAFETY: made for this; refused, so that its owner has it still.
        let error = unsafe { Stream::from_raw(theirs.as_raw()) }.unwrap_err();
        assert_eq!(error.code().map(cuda_streams::ErrorCode::get), Some(4000), "{function}");
        assert_streams(1, function);
    }
    Ok(())
}

#[test]
fn an_external_stream_is_never_destroyed() -> Result {
    let context = device().context()?;
    let _scope = Scope::enter();
    let theirs = TheirStream::new(context, NON_BLOCKING);
    let destroyed = calls("cuStreamDestroy_v2");
    {
        // SAFETY: its owner is dropped last.
        let streams = [unsafe { ExternalStream::from_raw(theirs.as_raw()) }?, device().default_stream()?];
        // SAFETY: as above.
        let borrowed = unsafe { ExternalStream::with_owner(theirs.as_raw(), &theirs) }?;
        borrowed.wait_stream(&streams[1])?;
        streams[0].synchronize()?;
    }
    assert_eq!(calls("cuStreamDestroy_v2"), destroyed);
    assert_streams(1, "its owner's");
    Ok(())
}

#[test]
fn events_are_destroyed_by_whoever_has_them() -> Result {
    let context = device().context()?;
    let _scope = Scope::enter();
    let event = device().event(EventOptions::new())?;
    assert!(event.as_raw().is_some());
    let raw = event.into_raw().expect("it is bound");
    assert_eq!(live().events, 1, "given up, not destroyed");
    // SAFETY: given up just now.
    let event = unsafe { Event::from_raw(context, raw, EventOptions::new()) }?;
    // SAFETY: `event` lives until the end of the statement.
    assert!(unsafe { cuda_streams::EventRef::from_raw(raw) }.query()?);
    assert_eq!(live().events, 1, "a view destroys nothing");
    drop(event);
    assert_eq!(live().events, 0);
    assert_eq!(Scope::current().reports(), []);
    Ok(())
}
