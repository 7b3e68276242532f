//! Waits that change nothing are not made: which, and what is asked before. (`waits_made.rs` has those that must be.)

use std::error::Error;
use std::hash::{DefaultHasher, Hash as _};
use std::ptr;
use std::thread;

use cuda_streams::{AsEvent, AsStream, Device, Error as StreamError, Event, EventOptions, ExternalStream, Stream, StreamOptions};
use cudarc::driver::CudaContext;
use softcuda::{Scope, inject};

use crate::common::contexts::SecondContext;
use crate::common::theirs::{NON_BLOCKING, TheirContext, TheirStream};
use crate::common::words::Words;
use crate::common::{device, on_a_fresh_thread, streams};
use crate::counts::{expect, sum};
use crate::table::info;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

type Calls = [(&'static str, u64)];

/// Of a stream that somebody else may be capturing.
const ASKED: &Calls = &[("cuStreamIsCapturing", 1)];

/// An event that is remembered complete.
fn complete(stream: &Stream) -> Event {
    let event = stream.record_event().expect("a record");
    event.synchronize().expect("its work is done");
    assert!(expect(&[], || event.query()), "it is remembered");
    event
}

/// All ways to wait.
#[track_caller]
fn check(stream: &impl AsStream, event: impl AsEvent, expected: &Calls) {
    let (stream, event) = (stream.as_stream(), event.as_event());
    for _ in 0..2 {
        expect(expected, || stream.wait_event(event));
        expect(expected, || event.wait(stream));
    }
}

#[test]
fn no_stream_of_this_crate_is_asked() -> Result {
    let [stream, other] = streams();
    let event = complete(&stream);
    let blocking = device().stream_with(StreamOptions::new().blocking(true))?;
    for waiting in [&stream, &other, &blocking, &other.clone()] {
        check(waiting, &event, &[]);
        expect(&[], || event.wait(waiting));
        expect(&[], || waiting.wait_event(&event));
    }
    on_a_fresh_thread(|| check(&other, &event, &[]));
    // However it is told of.
    let queried = stream.record_event()?;
    stream.synchronize()?;
    check(&other, &event, &[]);
    assert!(queried.query()?);
    check(&other, &queried, &[]);
    check(&other, queried.into_dynamic(), &[]);
    Ok(())
}

#[test]
fn an_event_of_another_context_or_device_is_as_good() -> Result {
    let [stream] = streams();
    let theirs = TheirContext::new();
    let their_stream = TheirStream::new(theirs.context, NON_BLOCKING);
    // SAFETY: its owner is dropped last.
    let their_stream = unsafe { ExternalStream::with_owner(their_stream.as_raw(), their_stream) }?;
    let of_theirs = their_stream.record_event()?;
    of_theirs.synchronize()?;
    check(&stream, &of_theirs, &[]);
    check(&their_stream, complete(&stream), ASKED);
    for device in Device::all()? {
        let far = device.stream()?;
        check(&stream, complete(&far), &[]);
        check(&far, complete(&stream), &[]);
        check(&far, &of_theirs, &[]);
    }
    // An idle one would outlive its context.
    Ok(of_theirs.destroy()?)
}

#[test]
fn a_stream_that_others_may_capture_is_asked_for_that_only() -> Result {
    let [stream, lent] = streams();
    let event = complete(&stream);
    let context = device().context()?;
    assert!(!lent.as_raw().is_null());
    check(&lent, &event, ASKED);
    let theirs = TheirStream::new(context, NON_BLOCKING);
    // SAFETY: its owner is dropped last.
    check(&unsafe { ExternalStream::with_owner(theirs.as_raw(), &theirs) }?, &event, ASKED);
    let cudarc = CudaContext::new(device().ordinal() as usize)?;
    let of_cudarc = cudarc.new_stream()?;
    check(&of_cudarc, &event, ASKED);
    check(&ExternalStream::try_from(of_cudarc)?, &event, ASKED);
    check(&stream.scope(Stream::current)?, &event, ASKED);
    lent.scope(|| {
        expect(ASKED, || event.wait_current());
    });
    Ok(())
}

/// A wait there holds nothing back but the thread's own stream.
#[test]
fn the_per_thread_stream_is_asked_where_its_context_is_current() -> Result {
    let [stream] = streams();
    let event = complete(&stream);
    let context = device().context()?;
    let here = sum([&[("cuCtxGetCurrent", 1)], ASKED]);
    let pushed = sum([&here, &[("cuCtxPopCurrent_v2", 1), ("cuCtxPushCurrent_v2", 1)]]);
    let check_both = |expected: &Calls| {
        check(&device().per_thread_stream().expect("the context is there"), &event, expected);
        // SAFETY: nothing is asked of a default stream.
        let external = unsafe { ExternalStream::from_raw_on(device(), ptr::without_provenance_mut(2)) };
        check(&external.expect("the context is there"), &event, expected);
    };
    on_a_fresh_thread(|| {
        check_both(&pushed);
        SecondContext::new(device()).with_current(|| check_both(&pushed));
        context.with_current(|| check_both(&here))
    })?;
    Ok(())
}

/// A stream that cannot be asked is not known to be outside of captures.
#[test]
fn where_nobody_can_tell_the_wait_is_made() -> Result {
    let [stream, lent] = streams();
    let event = complete(&stream);
    assert!(!lent.as_raw().is_null());
    let unknown = inject("cuStreamIsCapturing", 4000);
    expect(&[("cuStreamIsCapturing", 1), ("cuStreamWaitEvent", 1)], || lent.wait_event(&event));
    drop(unknown);
    let per_thread = device().per_thread_stream()?;
    let _failures = [inject("cuCtxGetCurrent", 4000), inject("cuCtxGetCurrent", 4000)];
    let error = per_thread.wait_event(&event).expect_err("the context cannot be made current");
    assert_eq!(error.code().map(cuda_streams::ErrorCode::get), Some(4000));
    Ok(())
}

#[test]
fn an_event_never_recorded_is_waited_for_nowhere() -> Result {
    let [stream, lent] = streams();
    assert!(!lent.as_raw().is_null());
    let legacy = device().default_stream()?;
    // One that has another's driver event is as new.
    drop(complete(&stream));
    for event in [Event::new(), device().event(EventOptions::new())?] {
        check(&stream, &event, &[]);
        check(&lent, &event, &[]);
        check(&legacy, &event, &[]);
        check(&device().per_thread_stream()?, &event, &[]);
    }
    Ok(())
}

/// Outside of captures it is as any other; inside, a wait for it is a node (`waits_in_captures.rs`). A stream that nobody
/// else has had may have been brought into one.
#[test]
fn of_an_external_event_each_stream_is_asked_for_its_capture() -> Result {
    let [stream, other, lent] = streams();
    let event = EventOptions::new().external(true).build();
    event.record(&stream)?;
    event.synchronize()?;
    assert!(!lent.as_raw().is_null());
    for waiting in [&stream, &other, &lent] {
        check(waiting, &event, &[(info(), 1)]);
    }
    Ok(())
}

/// What one thread was told all may use.
#[test]
fn completion_that_another_thread_was_told_of_counts() -> Result {
    device().context()?;
    let _entered = Scope::enter();
    let scope = Scope::current();
    let [producer, consumer] = streams();
    let (source, [mut data, mut seen]) = (Words::new(device(), 1), [0; 2].map(|value| Words::new(device(), value)));
    data.copy_from(&producer, &source);
    let event = producer.record_event()?;
    thread::scope(|threads| {
        let asking = threads.spawn(|| {
            let _joined = scope.join();
            event.synchronize()
        });
        asking.join().expect("no panic")
    })?;
    expect(&[], || consumer.wait_event(&event));
    seen.copy_from(&consumer, &data);
    consumer.synchronize()?;
    assert_eq!(seen.read(), 1);
    drop((event, source, data, seen, producer, consumer));
    assert_eq!(scope.reports(), []);
    Ok(())
}

/// Gives the handle of a stream to somebody else; answers the stream that this was.
type Way<'a> = &'a dyn Fn(Stream) -> Result<Stream>;

/// Each way by which somebody else comes to have the handle of a stream.
#[test]
fn whoever_has_had_the_handle_has_the_stream_asked_for_good() -> Result {
    let cudarc = CudaContext::new(device().ordinal() as usize)?;
    let ways: [(&str, Way<'_>); 10] = [
        ("Stream::as_raw", &|stream| Ok((stream.as_raw(), stream).1)),
        ("of a clone", &|stream| Ok((stream.clone().as_raw(), stream).1)),
        ("StreamRef::as_raw", &|stream| Ok((stream.as_stream().as_raw(), stream).1)),
        ("CurrentStream::as_raw", &|stream| {
            let raw = stream.scope(|| Stream::current().map(|current| current.as_raw()))?;
            assert!(!raw.is_null());
            Ok(stream)
        }),
        ("CurrentStream", &|stream| {
            drop(stream.scope(Stream::current)?);
            Ok(stream)
        }),
        ("Device::current_stream", &|stream| {
            let raw = stream.scope(|| device().current_stream().map(|current| current.as_stream().as_raw()))?;
            assert!(!raw.is_null());
            Ok(stream)
        }),
        ("to_cudarc", &|stream| {
            drop(stream.to_cudarc(&cudarc)?);
            Ok(stream)
        }),
        ("try_into_raw and from_raw", &|stream| {
            let raw = stream.try_into_raw().expect("there are no clones");
            // SAFETY: given up just now.
            Ok(unsafe { Stream::from_raw(raw) }?)
        }),
        ("ExternalStream", &|stream| {
            // SAFETY: the stream is borrowed from its owner.
            drop(unsafe { ExternalStream::with_owner(stream.as_raw(), &stream) }?);
            Ok(stream)
        }),
        ("from_raw", &|_| {
            let theirs = TheirStream::new(device().context()?, NON_BLOCKING).into_raw();
            // SAFETY: made for this, and nobody else uses it.
            Ok(unsafe { Stream::from_raw(theirs) }?)
        }),
    ];
    for (way, lend) in ways {
        let [stream, other] = streams();
        let event = complete(&other);
        check(&stream, &event, &[]);
        let stream = lend(stream)?;
        for _ in 0..2 {
            assert_eq!(expect(ASKED, || Ok(stream.wait_event(&event))), Ok(()), "{way}");
            expect(ASKED, || stream.clone().wait_event(&event));
        }
        check(&other, &event, &[]);
    }
    Ok(())
}

/// What does not give the handle away.
#[test]
fn who_uses_a_stream_without_its_handle_has_not_been_lent_it() -> Result {
    let [stream, other] = streams();
    let event = complete(&other);
    let before = stream.as_stream();
    assert!(before == stream.as_stream() && stream == stream.clone() && stream != other);
    assert!(!format!("{stream:?} {before:?}").is_empty());
    stream.hash(&mut DefaultHasher::new());
    let _ = (stream.id(), stream.priority(), stream.is_blocking(), stream.device(), stream.context());
    let _ = (before.id(), before.priority()?, before.is_blocking()?, before.is_capturing()?, before.capture_status()?);
    stream.record_event()?.wait(&stream)?;
    stream.wait_stream(&other)?;
    other.wait_stream(&stream)?;
    stream.launch_host_fn(|| ())?.join()?;
    let graph = stream.capture_events::<StreamError>(|scope| scope.host_fn(|| ()))?;
    graph.instantiate()?.launch(&stream)?;
    let refused = stream.capture(cuda_streams::CaptureMode::default(), |_| Err::<(), _>(StreamError::CaptureUnjoined));
    assert!(refused.is_err());
    stream.synchronize()?;
    assert!(stream.query()?);
    let (stream, _clone) = (stream.clone(), stream);
    let Err((Some(stream), _)) = stream.destroy() else { panic!("a clone is left") };
    let Err(stream) = stream.try_into_raw() else { panic!("a clone is left") };
    check(&stream, &event, &[]);
    Ok(())
}
