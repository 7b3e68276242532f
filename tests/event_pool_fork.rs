//! Idle events in a process that was forked: they are the parent's, and so are its locks.

mod common;
#[path = "common/forks.rs"]
mod forks;

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::hold::Hold;
use common::{child, device};
use cuda_streams::{Error, Event, EventOptions, EventPoolStats, Result};
use forks::{Finding, in_child};

fn make(count: usize) -> Result<Vec<Event>> {
    (0..count).map(|_| device().event(EventOptions::new())).collect()
}

fn refused<R: std::fmt::Debug>(what: &str, answer: Result<R>) -> Finding {
    match answer {
        Err(Error::ForkedChild) => Ok(()),
        other => Err(format!("{what}: {other:?}")),
    }
}

/// While other threads of the parent go to the depot all the time. (That they have its lock just then is up to chance here, and
/// made certain in src/event/pool/depot/tests.rs.)
#[test]
fn a_child_takes_and_gives_none() {
    child::run("a_child_takes_and_gives_none", child::same_environment, || {
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        const THREADS: usize = 2;
        let (device, stopped, started) = (device(), AtomicBool::new(false), Barrier::new(THREADS + 1));
        let stream = device.stream().unwrap();
        thread::scope(|threads| {
            let _stop = Stop(&stopped);
            for _ in 0..THREADS {
                threads.spawn(|| {
                    started.wait();
                    while !stopped.load(Ordering::Relaxed) {
                        drop(make(100).unwrap());
                    }
                });
            }
            started.wait();
            for round in 0..100 {
                let (events, unused) = (make(70).unwrap(), device.event(EventOptions::new()).unwrap());
                // So that the thread has some at hand, or none.
                drop(make(round % 2).unwrap());
                in_child(|| {
                    let context = stream.context();
                    refused("event", device.event(EventOptions::new()))?;
                    refused("record_event", stream.record_event())?;
                    refused("record", unused.record(&stream))?;
                    refused("Device::trim_events", device.trim_events())?;
                    refused("Context::trim_events", context.trim_events())?;
                    drop(events);
                    let ended = thread::spawn(move || drop(unused)).join().is_ok();
                    if ended && context.event_pool() == EventPoolStats::default() { Ok(()) } else { Err("it has counts".into()) }
                });
            }
        });
        let before = stream.context().event_pool();
        let events = make(10).unwrap();
        let after = stream.context().event_pool();
        assert_eq!(after.created + after.reused - before.created - before.reused, 10, "the parent goes on");
        drop(events);
        let hold = Hold::new(&stream);
        let event = stream.record_event().unwrap();
        assert_eq!(event.query(), Ok(false));
        hold.release();
        event.synchronize().unwrap();
    });
}
