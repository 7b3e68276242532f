//! What idle events cost, and where they stay: no driver call when a thread ends, none of a context that is dead.

use std::cell::{Cell, RefCell};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{hint, thread};

use cuda_streams::{AsStream as _, Context, Device, Error, Event, EventOptions, ExternalStream, RawEvent, Result};
use softcuda::{Scope, all_calls, calls, live};

use crate::common::contexts::SecondContext;
use crate::common::memory::resident;
use crate::common::theirs::{NON_BLOCKING, TheirStream};
use crate::common::{child, contexts, device, raw};
use crate::live::trim;

fn make(count: usize) -> Vec<Event> {
    (0..count).map(|_| device().event(EventOptions::new()).expect("an event")).collect()
}

/// Threads that come and go, four at a time: what they leave serves the next.
#[test]
fn threads_that_come_and_go_create_no_more_than_are_out_at_once() {
    const THREADS: usize = 4;
    const EVENTS: usize = 100;
    /// What a thread may keep from the others.
    const AT_HAND: usize = 64;
    let context = device().context().unwrap();
    trim();
    let before = (context.event_pool(), live().events);
    for _ in 0..8 {
        let together = Barrier::new(THREADS);
        thread::scope(|scope| {
            let threads = [(); THREADS].map(|()| {
                scope.spawn(|| {
                    let events = make(EVENTS);
                    together.wait();
                    drop(events);
                })
            });
            for thread in threads {
                thread.join().unwrap();
            }
        });
        let now = context.event_pool();
        let created = usize::try_from(now.created - before.0.created).unwrap();
        assert!((THREADS * EVENTS..=THREADS * (EVENTS + AT_HAND)).contains(&created), "{created}");
        assert_eq!((now.idle, live().events - before.1), (created, created as u64), "none is lost");
    }
}

/// The driver is asked nothing, nor told, whether its events come back before the pool's own destructor or after it.
#[test]
fn a_thread_that_ends_calls_no_driver() {
    /// An event that is dropped late, and how many driver calls there were before.
    struct AtTheEnd(RefCell<Option<Event>>, Cell<u64>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            drop(self.0.take());
            assert_eq!(all_calls(), self.1.get(), "the driver is called while the thread ends");
        }
    }
    thread_local! {
        static FIRST: AtTheEnd = const { AtTheEnd(RefCell::new(None), Cell::new(0)) };
        static LAST: AtTheEnd = const { AtTheEnd(RefCell::new(None), Cell::new(0)) };
    }
    let context = device().context().unwrap();
    trim();
    let ends = || {
        FIRST.with(|first| {
            let mut events = make(90);
            let (event, other) = (events.pop(), events.pop());
            drop(events);
            LAST.with(|last| {
                for (end, event) in [(first, event), (last, other)] {
                    end.0.replace(event);
                    end.1.set(all_calls());
                }
            });
        });
    };
    thread::scope(|scope| scope.spawn(ends).join()).expect("the thread ends well");
    assert_eq!(context.event_pool().idle, 90);
}

/// A second context with three idle events, and one that is in use.
fn second() -> (SecondContext, Context, Event) {
    let second = SecondContext::new(device());
    // SAFETY: the context is alive; the tests retire it, or ask nothing of it that the driver is told.
    let context = unsafe { Context::from_raw(second.as_raw()) }.unwrap();
    let theirs = TheirStream::new(context, NON_BLOCKING);
    // SAFETY: its owner is dropped after it.
    let stream = unsafe { ExternalStream::from_raw(theirs.as_raw()) }.unwrap();
    let events = [(); 4].map(|()| stream.record_event().unwrap());
    let [event, ..] = events;
    event.synchronize().unwrap();
    (second, stream.as_stream().context().unwrap(), event)
}

const OVER: Error = Error::ContextDestroyed { device: 0 };

#[test]
fn the_idle_events_of_a_retired_context_are_forgotten() {
    child::run("event_pool::the_idle_events_of_a_retired_context_are_forgotten", child::newest_driver, || {
        let _leaks = Scope::enter();
        let (second, context, event) = second();
        assert_eq!(context.event_pool().idle, 3);
        context.retire();
        let before = (all_calls(), live().events);
        assert_eq!((context.event_pool().idle, context.event_pool().created), (0, 4));
        drop(event);
        assert_eq!((context.event_pool().idle, context.trim_events()), (0, Err(OVER)));
        assert_eq!((all_calls(), live().events), before, "what was the context's reaches no driver, and is leaked");
        drop(second);
    });
}

/// A context that is reset, as the next call on it finds out.
#[test]
fn the_idle_events_of_a_context_that_died_are_not_used() -> Result<()> {
    child::run("event_pool::the_idle_events_of_a_context_that_died_are_not_used", child::newest_driver, || {
        let _leaks = Scope::enter();
        let old = device().context().unwrap();
        thread::scope(|scope| scope.spawn(|| drop(make(100))).join()).expect("the thread ends well");
        drop(make(70));
        assert_eq!(old.event_pool().idle, 100);
        // SAFETY: what is left of the context is asked for below, and the driver not told.
        assert_eq!(unsafe { raw::cuDevicePrimaryCtxReset_v2(raw::device_number(device())) }, raw::SUCCESS);
        let destroyed = calls("cuEventDestroy_v2");
        assert_eq!((old.trim_events(), old.event_pool().idle), (Err(OVER), 0));
        assert_eq!(calls("cuEventDestroy_v2"), destroyed);
        let stream = device().stream().unwrap();
        assert_ne!(stream.context(), old);
        let event = stream.record_event().unwrap();
        event.synchronize().unwrap();
        assert_eq!((stream.context().event_pool().created, stream.context().event_pool().reused), (1, 0));
        contexts::clear();
    });
    Device::get(0).map(drop)
}

/// A context after the other, which two threads use: what the pool has for one serves the next.
#[test]
fn contexts_that_come_and_go_take_no_memory_for_their_events() {
    child::run("event_pool::contexts_that_come_and_go_take_no_memory_for_their_events", child::newest_driver, || {
        const CONTEXTS: usize = 2_000;
        /// What is known of a context for good takes some 100 bytes.
        const EACH: usize = 500;
        let live_one_after_the_other = |count| {
            for _ in 0..count {
                let context = device().context().unwrap();
                drop(make(1));
                thread::scope(|scope| scope.spawn(|| drop(make(2))).join()).expect("the thread ends well");
                assert_eq!((context.trim_events(), context.event_pool().created), (Ok(3), 3));
                context.retire();
            }
        };
        live_one_after_the_other(100);
        let before = resident();
        live_one_after_the_other(CONTEXTS);
        let growth = resident().saturating_sub(before);
        // A sanitizer keeps what was freed.
        assert!(growth < CONTEXTS * EACH || cfg!(softcuda_linked), "{growth} bytes more");
        assert!(before > 0 || !cfg!(target_os = "linux"), "it is measured");
    });
}

/// What is dropped once others have the depot of its context goes to no depot.
#[test]
fn events_that_outlive_their_contexts_take_no_memory_when_they_are_dropped() {
    child::run("event_pool::events_that_outlive_their_contexts_take_no_memory_when_they_are_dropped", child::newest_driver, || {
        const CONTEXTS: usize = 2_000;
        /// What a thread has at hand of one context takes 2 KiB.
        const EACH: usize = 500;
        let make_in_a_context = |_| {
            let event = device().event(EventOptions::new()).expect("an event");
            event.context().expect("it has one").retire();
            event
        };
        // It has none at hand.
        let drop_on_a_thread =
            |events: Vec<Event>| thread::scope(|scope| scope.spawn(|| drop(events)).join()).expect("the thread ends well");
        drop_on_a_thread((0..100).map(make_in_a_context).collect());
        let events = (0..CONTEXTS).map(make_in_a_context).collect();
        let before = resident();
        drop_on_a_thread(events);
        let growth = resident().saturating_sub(before);
        assert!(growth < CONTEXTS * EACH || cfg!(softcuda_linked), "{growth} bytes more");
        assert!(before > 0 || !cfg!(target_os = "linux"), "it is measured");
    });
}

/// Others see the handle, or another context is asked to record the event: then a driver event is created for it, and as many
/// stay idle as were.
#[test]
fn an_event_that_gets_another_handle_leaves_no_more_idle_ones() {
    child::run("event_pool::an_event_that_gets_another_handle_leaves_no_more_idle_ones", child::newest_driver, || {
        const ROUNDS: u64 = 200;
        let second = SecondContext::new(device());
        let theirs = second.with_current(|| TheirStream::in_current(NON_BLOCKING, 0));
        // SAFETY: its owner is dropped after it.
        let elsewhere = unsafe { ExternalStream::from_raw(theirs.as_raw()) }.unwrap();
        let refused = |event: &Event| {
            assert!(matches!(event.record(&elsewhere), Err(Error::ContextMismatch(_))));
        };
        let lent = |event: &Event| assert!(event.as_raw().is_some());
        let context = device().context().unwrap();
        for use_of in [&refused as &dyn Fn(&Event), &lent] {
            trim();
            drop(make(1));
            let before = (context.event_pool(), live().events, calls("cuEventCreate"));
            for round in 1..=ROUNDS {
                make(1).iter().for_each(use_of);
                let (now, made) = (context.event_pool(), calls("cuEventCreate") - before.2);
                assert_eq!((now.idle, live().events, made), (1, before.1, round));
                assert_eq!((now.created - before.0.created, now.reused), (round, before.0.reused));
            }
        }
    });
}

/// Each creates one, of which one is used; the other is not an idle one more.
#[test]
fn threads_that_ask_for_a_handle_at_once_leave_no_more_idle_ones() {
    child::run("event_pool::threads_that_ask_for_a_handle_at_once_leave_no_more_idle_ones", child::newest_driver, || {
        const THREADS: usize = 2;
        const EVENTS: usize = 50;
        let context = device().context().unwrap();
        drop(make(EVENTS));
        let (before, mut made) = (context.event_pool(), 0);
        assert_eq!(before.idle, EVENTS);
        for _ in 0..20 {
            let (events, there) = (make(EVENTS), AtomicUsize::new(0));
            let lend = || {
                let lent = events.iter().zip(1..).map(|(event, round)| {
                    there.fetch_add(1, Ordering::Relaxed);
                    // A barrier would wake one of them after the other.
                    while there.load(Ordering::Relaxed) < round * THREADS {
                        hint::spin_loop();
                    }
                    event.as_raw().map(RawEvent::addr)
                });
                (lent.collect::<Vec<_>>(), calls("cuEventCreate"))
            };
            let threads = thread::scope(|scope| [scope.spawn(lend), scope.spawn(lend)].map(|thread| thread.join().unwrap()));
            assert_eq!(threads[0].0, threads[1].0);
            assert!(!threads[0].0.contains(&None), "each has a handle");
            made += threads[0].1 + threads[1].1;
        }
        let now = context.event_pool();
        assert_eq!((now.idle, live().events), (EVENTS, EVENTS as u64));
        assert_eq!(now.created - before.created, made, "none is missed");
    });
}
