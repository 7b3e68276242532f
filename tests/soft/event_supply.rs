//! What becomes of idle events where a driver has no ids, where it refuses, and where the context has died.

use cuda_streams::{Context, Error, ErrorCode, ExternalStream};
use softcuda::inject;

use crate::common::contexts::SecondContext;
use crate::common::theirs::{NON_BLOCKING, TheirStream};
use crate::common::{child, device, streams};
use crate::live::{live, trim};

/// Each time somebody else's context is another one then, and nobody would ask for its idle events again.
#[test]
fn without_ids_those_of_others_contexts_are_destroyed() {
    let without_ids = |command: &mut std::process::Command| {
        command.env("SOFTCUDA_WITHOUT", "cuCtxGetId");
    };
    child::run("event_supply::without_ids_those_of_others_contexts_are_destroyed", without_ids, || {
        let second = SecondContext::new(device());
        // SAFETY: it lives while `second` does.
        let context = unsafe { Context::from_raw(second.as_raw()) }.unwrap();
        assert_eq!(context.id(), None);
        let theirs = TheirStream::new(context, NON_BLOCKING);
        let before = live();
        for _ in 0..3 {
            // SAFETY: `theirs` is dropped last.
            let stream = unsafe { ExternalStream::from_raw(theirs.as_raw()) }.unwrap();
            drop((stream.record_event().unwrap(), stream.record_event().unwrap()));
            assert_eq!(stream.context().event_pool().idle, 0);
        }
        assert_eq!(live(), before);
        let [ours] = streams();
        drop(ours.record_event().unwrap());
        assert_eq!(ours.context().event_pool().idle, 1, "those of the primary context are used again");
    });
}

/// An event comes from the depot, and the driver cannot say whether its context lives.
#[test]
fn an_idle_event_stays_idle_where_the_driver_refuses() {
    child::run("event_supply::an_idle_event_stays_idle_where_the_driver_refuses", child::newest_driver, || {
        let [stream] = streams();
        trim();
        // One that this thread has not got at hand.
        let other = stream.clone();
        std::thread::spawn(move || drop(other.record_event().unwrap())).join().unwrap();
        let before = stream.context().event_pool();
        assert_eq!(before.idle, 1);
        let failure = inject("cuCtxGetId", 999);
        let refused = Error::Driver { call: "cuCtxGetId", code: ErrorCode::new(999).unwrap() };
        assert_eq!(stream.record_event().map(drop), Err(refused));
        drop(failure);
        assert_eq!(stream.context().event_pool(), before, "nobody has used it");
        drop(stream.record_event().unwrap());
        assert_eq!((stream.context().event_pool().created, stream.context().event_pool().reused), (before.created, before.reused + 1));
    });
}

#[test]
fn the_idle_events_of_a_context_that_died_are_forgotten() {
    // What a context ends with is told in a report.
    let deadly = |command: &mut std::process::Command| {
        child::newest_driver(command);
        child::with_reports(command);
    };
    child::run("event_supply::the_idle_events_of_a_context_that_died_are_forgotten", deadly, || {
        let (first, second) = (SecondContext::new(device()), SecondContext::new(device()));
        let [first_stream, second_stream] = [&first, &second].map(|context| {
            let theirs = context.with_current(|| TheirStream::in_current(NON_BLOCKING, 0));
            // SAFETY: the stream lives until the end, and so does its context.
            let stream = unsafe { ExternalStream::from_raw(theirs.as_raw()) }.unwrap();
            drop(stream.record_event().unwrap());
            (stream, theirs)
        });
        let [(first, _first_theirs), (second, _second_theirs)] = [first_stream, second_stream];
        for stream in [&first, &second] {
            assert_eq!(stream.context().event_pool().idle, 1);
            stream.context().retire();
        }
        let over = Err(Error::ContextDestroyed { device: 0 });
        assert_eq!(first.context().trim_events(), over);
        assert_eq!(first.context().event_pool().idle, 0);
        // Nobody asks of the other. It is seen with the first event of another context.
        drop(streams::<1>()[0].record_event().unwrap());
        assert_eq!(second.context().event_pool().idle, 0);
    });
}
