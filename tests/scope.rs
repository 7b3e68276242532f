//! The current stream: what a scope makes current, for whom, and what is so after it.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Barrier;
use std::thread;

use common::hold::Hold;
use common::words::Words;
use common::{assert_current, contexts, device, on_a_fresh_thread, streams};
use cuda_streams::{AsStream, Device, Error, Event, ExternalStream, Result, Stream};

/// Checks that the device's legacy default stream is what it is where no scope is open.
#[track_caller]
fn assert_no_scope() {
    let default = device().default_stream().expect("the default stream");
    assert_eq!(device().current_stream().expect("a current stream").as_stream(), default.as_stream());
}

/// T1, T74, T93
#[test]
fn t001_the_default_stream_is_current_until_a_scope_opens() -> Result<()> {
    let default = device().default_stream()?;
    assert!(default.as_raw().is_null());
    assert_no_scope();
    let [stream] = streams();
    assert!(stream.as_raw().addr() > 2, "it is none of the default streams");
    assert_no_scope();
    stream.scope(|| {
        assert_current(&stream);
        assert_eq!(stream.query(), Ok(true));
    });
    assert_no_scope();

    let hold = Hold::new(device().current_stream()?);
    assert!(!default.query()?);
    hold.release();
    default.synchronize()?;
    assert!(device().current_stream()?.query()?);
    Ok(())
}

/// T9: also the stream that is rebuilt from its handle is not current by that.
#[test]
fn t009_a_record_without_an_argument_goes_to_the_current_stream() -> Result<()> {
    let [stream] = streams();
    // SAFETY: `stream` lives until the end.
    let rebuilt = unsafe { ExternalStream::from_raw(stream.as_raw()) }?;
    assert_eq!(rebuilt.as_stream(), stream.as_stream());
    assert_no_scope();

    let (start, end) = (Event::timed(), Event::timed());
    assert_eq!((start.as_raw(), end.as_raw()), (None, None));
    let (source, mut copy) = (Words::new(device(), 9), Words::new(device(), 0));
    start.record(&rebuilt)?;
    let hold = Hold::new(&stream);
    copy.copy_from(&rebuilt, &source);
    stream.scope(|| end.record_current())?;
    start.synchronize()?;
    assert!(!end.query()?, "it is behind the hold");
    hold.release();
    end.synchronize()?;
    assert_ne!(start.as_raw(), end.as_raw());
    assert!(start.elapsed_time(&end)?.as_millis_f32() > 0.0, "the hold came between");
    assert_eq!(copy.read(), 9);
    Ok(())
}

/// T10: a device that is not there has no current stream, because there is no such [`Device`].
#[test]
fn t010_one_scope_comes_after_the_other() -> Result<()> {
    let [first, second] = streams();
    assert_ne!(first, second);
    for stream in [&first, &second, &first] {
        stream.scope(|| assert_current(stream));
        assert_no_scope();
    }
    let count = Device::count()?;
    let not_there = Device::get(count).and_then(Device::current_stream).map(drop);
    assert_eq!(not_there, Err(Error::NoSuchDevice { wanted: count.to_string().into(), count }));
    Ok(())
}

/// T13
#[test]
fn t013_without_a_scope_the_current_device_is_that_of_the_current_context() -> Result<()> {
    let (primary, default) = (device().context()?, device().default_stream()?);
    let second = contexts::SecondContext::new(device());
    on_a_fresh_thread(|| {
        let assert_none = || {
            assert_eq!(Device::current(), Err(Error::NoCurrentDevice));
            assert_eq!(Stream::current().map(drop), Err(Error::NoCurrentDevice));
            assert_eq!(Event::new().record_current(), Err(Error::NoCurrentDevice));
            assert_eq!(Event::new().wait_current(), Err(Error::NoCurrentDevice));
        };
        assert_none();
        primary.with_current(|| assert_current(&default))?;
        assert_none();
        second.with_current(|| {
            assert_eq!(Device::current(), Ok(device()));
            let refused = Err(Error::ForeignContext { device: device().ordinal() });
            let event = Event::new();
            assert_eq!(
                [Stream::current().map(drop), event.record_current(), event.wait_current()],
                [refused.clone(), refused.clone(), refused]
            );
            assert_eq!(event.context(), None, "a default stream of another context than the current one is none");
            assert_eq!(device().current_stream()?.as_stream(), default.as_stream(), "the device was named");
            primary.with_current(|| assert_current(&default))
        })?;
        assert_none();
        Ok(())
    })
}

/// T15, T91
#[test]
fn t015_a_scope_makes_its_stream_current_and_returns_what_its_closure_returns() -> Result<()> {
    let [stream] = streams();
    let hold = Hold::new(&stream);
    let event = stream.scope(|| Stream::current()?.record_event())?;
    assert!(!event.query()?, "it was recorded on the stream");
    hold.release();
    event.synchronize()?;
    let refused = stream.scope(|| {
        assert_current(&stream);
        Err::<(), _>(Error::StreamShared)
    });
    assert_eq!(refused, Err(Error::StreamShared));
    assert_no_scope();
    Ok(())
}

/// T71
#[test]
fn t071_a_stream_may_be_current_more_than_once() {
    let [first, second] = streams();
    assert_ne!(first, second);
    first.scope(|| {
        first.scope(|| assert_current(&first));
        assert_current(&first);
        second.scope(|| {
            first.clone().scope(|| assert_current(&first));
            assert_current(&second);
        });
        assert_current(&first);
    });
    assert_no_scope();
}

/// T100
#[test]
fn t100_each_scope_restores_what_was_current_before() {
    fn nest(streams: &[Stream]) {
        let [stream, inner @ ..] = streams else { return };
        stream.scope(|| {
            assert_current(stream);
            nest(inner);
            assert_current(stream);
        });
    }
    let streams = streams::<8>();
    assert_ne!(streams[0], streams[1]);
    nest(&streams);
    assert_no_scope();
}

/// T92
#[test]
fn t092_a_panic_restores_what_was_current_before() {
    let [outer, inner] = streams();
    assert_ne!(outer, inner);
    outer.scope(|| {
        let thrown = catch_unwind(AssertUnwindSafe(|| {
            inner.scope(|| {
                assert_current(&inner);
                inner.scope(|| resume_unwind(Box::new("thrown inside")))
            })
        }));
        assert_eq!(*thrown.unwrap_err().downcast::<&str>().unwrap(), "thrown inside");
        assert_current(&outer);
    });
    assert_no_scope();
}

/// T69
#[test]
fn t069_the_current_stream_is_the_same_however_the_device_was_found() -> Result<()> {
    let device = device();
    let found = [Device::get(0)?, Device::by_uuid(device.uuid()?)?, Device::by_pci_bus_id(&device.pci_bus_id()?)?];
    let [stream] = streams();
    for again in found {
        assert_eq!(again.current_stream()?.as_stream(), device.current_stream()?.as_stream());
        stream.scope(|| again.current_stream().map(|current| assert_current(current)))?;
    }
    assert!(stream.as_raw().addr() > 2);
    Ok(())
}

/// T70, T98
#[test]
fn t070_a_stream_rebuilt_from_its_handle_is_equal_to_it() -> Result<()> {
    let [stream, other] = streams();
    // SAFETY: both live until the end.
    let of_handle = |stream: &Stream| unsafe { ExternalStream::from_raw(stream.as_raw()) };
    let (rebuilt, again) = (of_handle(&stream)?, of_handle(&stream)?);
    assert_eq!(rebuilt, again);
    assert_ne!(rebuilt, of_handle(&other)?);
    assert_eq!(rebuilt.as_stream(), stream.as_stream());
    assert_ne!(rebuilt.as_stream(), other.as_stream());
    stream.scope(|| assert_current(&rebuilt));
    rebuilt.scope(|| assert_current(&stream));
    Ok(())
}

/// T75
#[test]
fn t075_each_thread_has_its_own_current_stream() {
    let [ours, first, second] = streams();
    let both_are_inside = Barrier::new(2);
    let use_scope = |stream: &Stream| {
        assert_no_scope();
        stream.scope(|| {
            both_are_inside.wait();
            assert_current(stream);
            both_are_inside.wait();
        });
        assert_no_scope();
    };
    ours.scope(|| {
        thread::scope(|scope| {
            for stream in [&first, &second] {
                scope.spawn(|| use_scope(stream));
            }
            assert_current(&ours);
        });
        assert_current(&ours);
    });
    assert!(ours != first && first != second);
}

/// T95
#[test]
fn t095_debug_names_the_device_and_the_handle() -> Result<()> {
    let [stream] = streams();
    let current = device().current_stream()?;
    assert_eq!(format!("{current:?}"), "CurrentStream { device: 0, raw: 0 (default) }");
    assert_eq!(format!("{:?}", device().default_stream()?), "ExternalStream { device: 0, raw: 0 (default), .. }");
    let current = stream.scope(Stream::current)?;
    let raw = stream.as_raw();
    assert!(raw.addr() > 2);
    assert_eq!(format!("{current:?}"), format!("CurrentStream {{ device: 0, raw: {raw:?} }}"));
    Ok(())
}

/// T25: what is enqueued in a scope is in the stream's order, and nowhere else.
#[test]
fn t025_producer_and_consumer_of_one_scope_need_no_event() -> Result<()> {
    let [side, consumer] = streams();
    let source = Words::new(device(), 25);
    let [mut data, mut seen, mut seen_outside] = [0; 3].map(|value| Words::new(device(), value));
    let hold = Hold::new(&side);
    let produced = Event::new();
    side.scope(|| {
        data.copy_from(Stream::current()?, &source);
        produced.record_current()?;
        seen.copy_from(Stream::current()?, &data);
        Ok(())
    })?;
    consumer.scope(|| {
        produced.wait_current()?;
        seen_outside.copy_from(Stream::current()?, &data);
        Ok(())
    })?;
    assert!(!side.query()? && !consumer.query()?);
    hold.release();
    side.synchronize()?;
    consumer.synchronize()?;
    assert_eq!((seen.read(), seen_outside.read()), (25, 25));
    Ok(())
}

#[test]
fn a_scope_changes_no_current_context() -> Result<()> {
    let [stream] = streams();
    let second = contexts::SecondContext::new(device());
    on_a_fresh_thread(|| {
        stream.scope(|| {
            assert!(contexts::current().is_null());
            assert_current(&stream);
            Event::new().record_current()?;
            assert!(contexts::current().is_null());
            second.with_current(|| assert_current(&stream));
            stream.context().with_current(|| {
                assert_eq!(contexts::current(), stream.context().as_raw());
                stream.scope(|| assert_current(&stream));
                assert_eq!(contexts::current(), stream.context().as_raw());
            })
        })?;
        assert!(contexts::current().is_null());
        assert_eq!(Device::current(), Err(Error::NoCurrentDevice));
        Ok(())
    })
}

#[test]
fn a_scope_of_a_stream_of_another_context_makes_that_current() -> Result<()> {
    let second = contexts::SecondContext::new(device());
    let mut raw = std::ptr::null_mut();
    // SAFETY: the second context is current, the out pointer is a live local.
    let code = second.with_current(|| unsafe { common::raw::cuStreamCreate(&raw mut raw, 1) });
    assert_eq!(code, common::raw::SUCCESS);
    // SAFETY: just created, and nobody else destroys it; nothing of the context is used after `retire`.
    let stream = unsafe { Stream::from_raw(raw) }?;
    let context = stream.context();
    assert_eq!((context.device(), context.as_raw()), (device(), second.as_raw()));
    let event = stream.scope(|| {
        assert_current(&stream);
        Stream::current()?.record_event()
    })?;
    assert_eq!((event.context(), event.device()), (Some(context), Some(device())));
    assert_ne!(context, device().context()?);
    event.synchronize()?;
    event.destroy()?;
    stream.destroy().map_err(|(_, error)| error)?;
    context.retire();
    Ok(())
}

#[test]
fn a_thread_that_is_started_in_a_scope_is_not_in_it() {
    let [stream] = streams();
    assert!(stream.as_raw().addr() > 2);
    stream.scope(|| {
        on_a_fresh_thread(|| {
            assert_eq!(Device::current(), Err(Error::NoCurrentDevice));
            assert_no_scope();
        });
        assert_current(&stream);
    });
}
