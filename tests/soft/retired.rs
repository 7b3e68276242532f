//! Contexts that are declared over, before somebody resets or destroys them: nothing of theirs reaches the
//! driver afterwards, and nothing is reported. In processes of their own where the primary context is one.

use cuda_streams::{AsStream, Context, Error, Event, EventOptions, EventStatus, ExternalStream, Result, Stream};
use cudarc::driver::CudaContext;
use softcuda::{Scope, Topic, all_calls, calls, live, reports};

use crate::common::contexts::SecondContext;
use crate::common::theirs::{NON_BLOCKING, TheirStream};
use crate::common::{child, device, raw, streams};

const OVER: Error = Error::ContextDestroyed { device: 0 };

/// Everything of a context that is over answers so, without a driver call, and is leaked; but for what is known of the
/// event, which is complete.
fn check_over(stream: Stream, external: &ExternalStream, event: Event) {
    let before = (all_calls(), live());
    let results: [(&str, Result<()>); 12] = [
        ("Stream::record", stream.record(&event)),
        ("Stream::query", stream.query().map(drop)),
        ("Stream::synchronize", stream.synchronize()),
        ("Stream::synchronize_timeout", stream.synchronize_timeout(std::time::Duration::ZERO).map(drop)),
        ("Stream::wait_event", stream.wait_event(&event)),
        ("ExternalStream::record_event", external.record_event().map(drop)),
        ("ExternalStream::wait_stream", external.wait_stream(&stream)),
        ("ExternalStream::query", external.query().map(drop)),
        ("ExternalStream::id", external.id().map(drop)),
        ("StreamRef::is_blocking", external.as_stream().is_blocking().map(drop)),
        ("Event::record", event.record(&stream)),
        ("Context::synchronize", stream.context().synchronize()),
    ];
    for (name, result) in results {
        assert_eq!(result, Err(OVER), "{name}");
    }
    assert_eq!((event.query(), event.status(), event.synchronize()), (Ok(true), Ok(EventStatus::Complete), Ok(())));
    assert_eq!(stream.wait_event(Event::new()), Ok(()), "there is nothing to wait for");
    assert!(format!("{stream:?} {external:?} {event:?}").contains("device: 0"));
    assert_eq!(event.destroy(), Err(OVER));
    assert_eq!(stream.destroy().unwrap_err().1, OVER);
    assert_eq!((all_calls(), live()), before, "something of the context reached the driver");
}

fn external(stream: &Stream) -> ExternalStream {
    // SAFETY: the stream is leaked, so that it lives on; or nothing reaches the driver any more.
    unsafe { ExternalStream::from_raw(stream.as_raw()) }.expect("a stream that is alive")
}

#[test]
fn a_second_context_is_retired_and_destroyed() {
    child::run("retired::a_second_context_is_retired_and_destroyed", child::newest_driver, || {
        let _leaks = Scope::enter();
        let second = SecondContext::new(device());
        // SAFETY: the context is alive, and retired before it is destroyed.
        let context = unsafe { Context::from_raw(second.as_raw()) }.unwrap();
        let theirs = TheirStream::new(context, NON_BLOCKING);
        // SAFETY: nobody else uses it.
        let stream = unsafe { Stream::from_raw(theirs.into_raw()) }.unwrap();
        let (external, event) = (external(&stream), stream.record_event().unwrap());
        event.synchronize().unwrap();
        context.retire();
        drop(second);
        check_over(stream, &external, event);
        let handles: Vec<_> = reports().into_iter().filter(|report| report.topic() != Topic::Leak).collect();
        assert_eq!(handles, [], "what went with the context is not used");
    });
}

/// With a reset, as whoever resets is told to do it.
#[test]
fn a_primary_context_is_retired_and_reset() {
    child::run("retired::a_primary_context_is_retired_and_reset", child::newest_driver, || {
        let _leaks = Scope::enter();
        let (old, [stream]) = (device().context().unwrap(), streams());
        let (external, event) = (external(&stream), stream.record_event().unwrap());
        event.synchronize().unwrap();
        old.retire();
        // SAFETY: the context is retired.
        assert_eq!(unsafe { raw::cuDevicePrimaryCtxReset_v2(raw::device_number(device())) }, raw::SUCCESS);
        let retained = calls("cuDevicePrimaryCtxRetain");
        let new = device().stream().unwrap();
        assert_eq!(calls("cuDevicePrimaryCtxRetain") - retained, 1);
        assert_ne!(new.context(), old);
        assert_eq!((new.context().as_raw(), new.context().id() == old.id()), (old.as_raw(), false), "the handle recurs, the id does not");
        new.record_event().unwrap().synchronize().unwrap();
        assert_eq!(new.wait_stream(&external), Err(OVER));
        check_over(stream, &external, event);
        let handles: Vec<_> = reports().into_iter().filter(|report| report.topic() != Topic::Leak).collect();
        assert_eq!(handles, []);
    });
}

/// What cudarc has of a stream of ours does not bring the stream to the driver.
#[test]
fn a_lent_stream_of_a_retired_context_is_leaked() {
    child::run("retired::a_lent_stream_of_a_retired_context_is_leaked", child::newest_driver, || {
        let (cudarc, [stream]) = (CudaContext::new(0).unwrap(), streams());
        let theirs = stream.to_cudarc(&cudarc).unwrap();
        stream.context().retire();
        let before = calls("cuStreamDestroy_v2");
        assert_eq!(stream.to_cudarc(&cudarc).map(drop), Err(OVER));
        let (stream, error) = stream.destroy().unwrap_err();
        assert_eq!(error, Error::StreamShared);
        drop(theirs);
        let (stream, error) = stream.unwrap().destroy().unwrap_err();
        assert!(stream.is_none());
        assert_eq!(error, OVER);
        assert_eq!(calls("cuStreamDestroy_v2"), before);
        let again = device().stream().unwrap().to_cudarc(&cudarc).unwrap();
        again.synchronize().unwrap();
        assert_eq!(reports(), []);
    });
}

/// Pointers recur, ids do not; without asking for the id, an old handle would reach a new context.
#[test]
fn a_context_that_died_unseen_is_another_than_the_one_at_its_address() {
    child::run("retired::a_context_that_died_unseen_is_another_than_the_one_at_its_address", child::newest_driver, || {
        let _leaks = Scope::enter();
        let interned = |second: &SecondContext| {
            // SAFETY: the context is alive; that it is not retired below is what this tests.
            unsafe { Context::from_raw(second.as_raw()) }.unwrap()
        };
        let mut earlier: Vec<(Context, Event)> = Vec::new();
        let mut recurred = 0;
        for _ in 0..4 {
            let second = SecondContext::new(device());
            let context = interned(&second);
            recurred += usize::from(earlier.iter().any(|(old, _)| old.as_raw() == context.as_raw()));
            assert!(earlier.iter().all(|(old, _)| *old != context && old.id() != context.id()));
            let theirs = TheirStream::new(context, NON_BLOCKING);
            // SAFETY: its owner is dropped last.
            let stream = unsafe { ExternalStream::from_raw(theirs.as_raw()) }.unwrap();
            let event = stream.record_event_with(EventOptions::new()).unwrap();
            event.synchronize().unwrap();
            earlier.push((context, event));
        }
        assert!(recurred > 0, "this has shown nothing");
        let destroyed = calls("cuEventDestroy_v2");
        for (context, event) in earlier {
            assert_eq!(context.synchronize(), Err(OVER));
            assert_eq!(event.destroy(), Err(OVER));
        }
        assert_eq!(calls("cuEventDestroy_v2"), destroyed);
    });
}
