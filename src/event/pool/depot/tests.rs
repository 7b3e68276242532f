//! A forked child takes none of the locks: another thread of its parent has them at the fork here, and they are never
//! released in the child. On the software driver.

#[path = "../../../../tests/common/forks.rs"]
mod forks;

use std::sync::mpsc::channel;
use std::thread;

use super::{DEPOTS, find, locked};
use crate::context::Context;
use crate::device::Device;
use crate::error::Error;
use crate::event::interprocess::tests::another_context;
use crate::event::pool::Leaving;
use crate::event::pool::magazine::FULL;
use crate::event::{Event, EventPoolStats};
use forks::{Finding, in_child};

/// Calls `f` while another thread has the lock of all depots and that of the context's.
fn while_locked(context: Context, f: impl FnOnce()) {
    let ((tell, told), (release, released)) = (channel(), channel::<()>());
    // All of it moves, so that the thread is released also where `f` panics.
    thread::scope(move |scope| {
        scope.spawn(move || {
            let depots = locked(&DEPOTS);
            let _depot = find(&depots, context.number()).expect("the context has a depot");
            tell.send(()).unwrap();
            released.recv().unwrap_err();
        });
        told.recv().expect("the thread has the locks");
        f();
        drop(release);
    });
}

fn make(context: Context, count: usize) -> Vec<Event> {
    (0..count).map(|_| Event::bound(context).unwrap()).collect()
}

/// There is nothing to trim, nor anything known.
fn refused(context: Context) -> Finding {
    match (context.event_pool(), context.trim_events()) {
        (counts, Err(Error::ForkedChild)) if counts == EventPoolStats::default() => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn a_forked_child_takes_no_lock() {
    softcuda::install().unwrap();
    let device = Device::get(0).unwrap();
    let (context, over) = (device.context().unwrap(), another_context(device));
    over.retire();
    // A child drops its copy, and not by value: the parent would drop what it has meanwhile, and wait for the lock.
    let (mut events, mut others) = (Some(make(context, FULL + 1)), Some(make(context, 1)));
    while_locked(context, || {
        in_child(|| {
            // This thread has no place for the last one.
            drop(events.take());
            Ok(())
        });
        in_child(|| {
            // And this one has no place at all.
            let dropped = thread::scope(|scope| scope.spawn(|| drop(others.take())).join());
            dropped.map_err(|_| "the thread panics".to_owned())
        });
        in_child(|| {
            // As at the end of this thread, which has that one at hand.
            drop(others.take());
            drop(Leaving);
            Ok(())
        });
        in_child(|| refused(context));
        in_child(|| refused(over));
    });
}
