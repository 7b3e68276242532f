//! Scopes: what they cost, and that streams live exactly as long as they are needed.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use cuda_streams::{AsStream, CurrentStream, Device, Event, ExternalStream, Stream};
use softcuda::calls;

use crate::common::hold::Hold;
use crate::common::{child, device, on_a_fresh_thread, streams};
use crate::counts::expect;
use crate::live::live;

#[test]
fn scopes_and_the_current_stream_cost_no_driver_call() {
    let [stream, other] = streams();
    let default = device().default_stream().unwrap();
    let shared = Arc::new(other.clone());
    // SAFETY: the stream lives as long as its owner.
    let shared = unsafe { ExternalStream::with_owner(shared.as_raw(), shared) }.unwrap();
    expect(&[], || {
        stream.scope(|| {
            let current = Stream::current()?;
            assert!(current.as_stream() == stream.as_stream());
            assert_eq!(Device::current()?, stream.device());
            shared.scope(|| default.scope(|| Stream::current().map(drop)))?;
            let left = shared.scope(Stream::current)?;
            assert_eq!((left.as_raw(), left.device(), left.context()), (other.as_raw(), device(), other.context()));
            drop(left.clone());
            assert!(!format!("{left:?}").is_empty());
            stream.device().current_stream().map(drop)
        })
    });
}

/// The default stream is found by asking which context is current; its id tells that it lives.
#[test]
fn the_default_stream_costs_a_look_at_the_context() {
    const CONTEXT: &[(&str, u64)] = &[("cuCtxGetId", 1)];
    const DEVICE: &[(&str, u64)] = &[("cuCtxGetCurrent", 1), ("cuCtxGetDevice", 1), ("cuCtxGetId", 1)];
    let context = device().context().unwrap();
    let without_a_scope = || {
        expect(DEVICE, Device::current);
        let current = expect(DEVICE, Stream::current);
        expect(&[], || Ok((current.clone(), current.as_raw(), current.device())));
        expect(CONTEXT, || device().current_stream());
    };
    context.with_current(without_a_scope).unwrap();
}

#[test]
fn a_record_and_a_wait_without_an_argument_are_one_call() {
    let [stream] = streams();
    let event = Event::new();
    event.record(&stream).unwrap();
    let hold = Hold::new(&stream);
    stream.scope(|| {
        expect(&[("cuEventRecord", 1)], || event.record_current());
        expect(&[("cuStreamWaitEvent", 1)], || event.wait_current());
    });
    hold.release();
    event.synchronize().unwrap();
}

/// Checks that a stream without handles lives as long as what `leave` takes out of a scope of it.
fn lives_while_kept(leave: fn(&Stream) -> CurrentStream) {
    let before = live().streams;
    let stream = device().stream().unwrap();
    let destroyed = calls("cuStreamDestroy_v2");
    let left = leave(&stream);
    drop(stream);
    let again = left.clone();
    drop(left);
    assert_eq!((live().streams, calls("cuStreamDestroy_v2")), (before + 1, destroyed));
    assert!(again.query().unwrap());
    drop(again);
    assert_eq!((live().streams, calls("cuStreamDestroy_v2")), (before, destroyed + 1));
}

/// In a process of its own, where nobody else makes streams.
#[test]
fn a_stream_lives_as_long_as_what_left_its_scope() {
    child::run("scope::a_stream_lives_as_long_as_what_left_its_scope", child::same_environment, || {
        device().context().unwrap();
        lives_while_kept(|stream| stream.scope(Stream::current).unwrap());
        lives_while_kept(|stream| stream.scope(|| stream.clone().scope(Stream::current)).unwrap());
        lives_while_kept(|stream| stream.scope(|| stream.device().current_stream()).unwrap());
        lives_while_kept(|stream| {
            let left = RefCell::new(None);
            let thrown = catch_unwind(AssertUnwindSafe(|| {
                stream.scope(|| {
                    left.replace(Stream::current().ok());
                    resume_unwind(Box::new(()))
                })
            }));
            assert!(thrown.is_err());
            left.into_inner().unwrap()
        });
        lives_while_kept(|stream| {
            let owner = Arc::new(stream.clone());
            // SAFETY: the stream lives as long as its owner.
            let external = unsafe { ExternalStream::with_owner(owner.as_raw(), owner) }.unwrap();
            external.scope(Stream::current).unwrap()
        });
    });
}

/// What a thread keeps of a scope is given back when the thread ends.
#[test]
fn a_thread_that_ends_leaves_no_stream_behind() {
    thread_local! {
        static KEPT: RefCell<Vec<CurrentStream>> = const { RefCell::new(Vec::new()) };
    }

    child::run("scope::a_thread_that_ends_leaves_no_stream_behind", child::same_environment, || {
        device().context().unwrap();
        let before = live().streams;
        for kept_first in [false, true] {
            on_a_fresh_thread(|| {
                if kept_first {
                    KEPT.with_borrow_mut(Vec::clear);
                }
                for stream in streams::<3>() {
                    let current = stream.scope(|| stream.scope(Stream::current)).unwrap();
                    KEPT.with_borrow_mut(|kept| kept.push(current));
                }
                assert_eq!(live().streams, before + 3);
            });
            assert_eq!(live().streams, before);
        }
    });
}

/// Scopes that nothing leaves keep nothing, however many there are.
#[test]
fn streams_end_with_their_handles_where_nothing_left_a_scope() {
    child::run("scope::streams_end_with_their_handles_where_nothing_left_a_scope", child::same_environment, || {
        device().context().unwrap();
        let before = live();
        for _ in 0..100 {
            let [outer, inner] = streams();
            outer.scope(|| {
                inner.scope(|| Stream::current().unwrap().record_event().unwrap().synchronize().unwrap());
                assert_eq!(live().streams, before.streams + 2);
                drop(inner);
                assert_eq!(live().streams, before.streams + 1);
            });
        }
        assert_eq!((live().streams, live().events), (before.streams, before.events));
    });
}
