//! What leaves a scope, and scopes in unusual places: the stream lives, and nothing dangles.

mod common;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use common::hold::Hold;
use common::{assert_current, device, on_a_fresh_thread, streams};
use cuda_streams::{AsStream, CurrentStream, Device, Error, Event, Result, Stream};

#[test]
fn a_handle_may_be_dropped_or_refuse_to_be_destroyed_in_the_scope_of_its_clone() -> Result<()> {
    let [stream] = streams();
    let hold = Hold::new(&stream);
    let (clone, another) = (stream.clone(), stream.clone());
    stream.scope(|| {
        drop(clone);
        let (given_back, error) = another.destroy().unwrap_err();
        assert_eq!(error, Error::StreamShared);
        drop(given_back);
        assert_current(&stream);
        assert!(!Stream::current()?.query()?);
        Ok(())
    })?;
    hold.release();
    stream.synchronize()?;
    stream.destroy().map_err(|(_, error)| error)
}

#[test]
fn the_current_stream_outlives_its_scope_and_all_handles() -> Result<()> {
    let [stream, other] = streams();
    let hold = Hold::new(&stream);
    let (raw, context) = (stream.as_raw(), stream.context());
    let current = stream.scope(Stream::current)?;
    drop(stream);
    let again = current.clone();
    drop(current);
    assert_eq!((again.as_raw(), again.context(), again.device()), (raw, context, device()));
    assert!(!again.query()?);
    other.wait_stream(&again)?;
    let event = again.record_event()?;
    assert!(!other.query()?);
    hold.release();
    other.synchronize()?;
    event.synchronize()?;
    again.synchronize()?;
    assert!(again.query()?);
    Ok(())
}

/// What has left its scope is not touched by the scopes that come later.
#[test]
fn each_current_stream_that_left_its_scope_stays_what_it_was() -> Result<()> {
    let streams = streams::<4>();
    let raw: Vec<_> = streams.iter().map(Stream::as_raw).collect();
    let left = RefCell::new(Vec::new());
    let enter_and_leave = |stream: &Stream| {
        stream.scope(|| {
            left.borrow_mut().push(Stream::current()?);
            streams[0].scope(|| assert_current(&streams[0]));
            left.borrow_mut().push(Stream::current()?);
            Ok(())
        })
    };
    streams.iter().try_for_each(enter_and_leave)?;
    let thrown = catch_unwind(AssertUnwindSafe(|| {
        streams[0].scope(|| {
            left.borrow_mut().push(Stream::current().expect("a scope is open"));
            resume_unwind(Box::new(()))
        })
    }));
    assert!(thrown.is_err());
    let holds = streams.each_ref().map(Hold::new);
    drop(streams);
    let left = left.into_inner();
    let expected = [0, 0, 1, 1, 2, 2, 3, 3, 0].map(|index| raw[index]);
    assert_eq!(left.iter().map(CurrentStream::as_raw).collect::<Vec<_>>(), expected);
    for current in &left {
        assert_eq!(current.query(), Ok(false));
    }
    holds.into_iter().for_each(Hold::release);
    left.iter().try_for_each(CurrentStream::synchronize)
}

/// When a thread ends, destructors of its variables run one after the other, each after what the
/// next one uses may be gone.
#[test]
fn a_scope_works_while_its_thread_ends() {
    struct AtTheEnd(Stream, Arc<Mutex<Vec<Result<()>>>>);

    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            let Self(stream, results) = self;
            let result = stream.scope(|| {
                let inner = stream.scope(Stream::current)?;
                let event = Event::new();
                event.record_current()?;
                event.synchronize()?;
                let is_current = inner.as_stream() == Stream::current()?.as_stream() && inner.as_raw() == stream.as_raw();
                let is_current = is_current && Device::current()? == device();
                if is_current { Ok(()) } else { Err(Error::NoCurrentDevice) }
            });
            results.lock().unwrap().push(result);
        }
    }

    thread_local! {
        static BEFORE: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
        static AFTER: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    }

    let [stream] = streams();
    assert!(stream.as_raw().addr() > 2);
    let results = Arc::new(Mutex::new(Vec::new()));
    let at_the_end = || Some(AtTheEnd(stream.clone(), results.clone()));
    on_a_fresh_thread(|| {
        BEFORE.set(at_the_end());
        stream.scope(|| assert_current(&stream));
        AFTER.set(at_the_end());
    });
    assert_eq!(*results.lock().unwrap(), [Ok(()), Ok(())]);
}
