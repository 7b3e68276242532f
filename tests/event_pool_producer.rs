//! One thread makes events and another drops them, for long: no more are created than are in flight at once, and memory does
//! not grow.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use common::memory::resident;
use common::{device, streams};
use cuda_streams::{Event, Result};

const BATCH: usize = 1_000;
/// In the channel. One more is being made, and one more dropped.
const BATCHES_SENT: usize = 4;
const BATCHES: usize = if cfg!(miri) {
    8
} else if cfg!(debug_assertions) {
    300
} else {
    3_000
};
/// How much more memory the process may have at the end than after half of the batches: a byte or two for each event that
/// was made since.
const GROWTH: usize = 2 << 20;

/// How many events are in flight, and were at most.
#[derive(Default)]
struct InFlight {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl InFlight {
    /// After the event is made.
    fn one_more(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
    }

    /// Before it is dropped: so it is never said that there are more than there are.
    fn one_less(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn as_many_are_created_as_are_in_flight() -> Result<()> {
    let [stream] = streams();
    device().trim_events()?;
    let before = stream.context().event_pool();
    let in_flight = InFlight::default();
    let (sender, receiver) = sync_channel::<Vec<Event>>(BATCHES_SENT);
    let (begin, may_begin) = channel();
    let counted = &in_flight;
    let growth = thread::scope(|scope| {
        let consumer = scope.spawn(move || {
            // The channel is full.
            may_begin.recv().expect("the producer says when");
            let (mut half, mut batches) = (0, 0);
            for batch in receiver {
                for event in batch {
                    counted.one_less();
                    drop(event);
                }
                batches += 1;
                if batches == BATCHES / 2 {
                    half = resident();
                }
            }
            assert_eq!(batches, BATCHES);
            resident().saturating_sub(half)
        });
        for batch in 0..BATCHES {
            // A driver keeps what it has not begun, and may begin nothing before somebody waits.
            stream.synchronize()?;
            let mut events = Vec::with_capacity(BATCH);
            for _ in 0..BATCH {
                events.push(stream.record_event()?);
                counted.one_more();
            }
            if batch == BATCHES_SENT {
                begin.send(()).expect("it waits");
            }
            sender.send(events).expect("the consumer takes all");
        }
        drop(sender);
        Ok(consumer.join().expect("the consumer ends well"))
    })?;
    let after = stream.context().event_pool();
    let (created, most) = (after.created - before.created, in_flight.most.into_inner());
    assert!((BATCH * (BATCHES_SENT + 1)..=BATCH * (BATCHES_SENT + 2)).contains(&most), "{most} in flight");
    assert!(10 * created <= 11 * most as u64, "{created} are created for {most} in flight");
    assert_eq!(created + after.reused - before.reused, (BATCH * BATCHES) as u64, "each is counted");
    assert_eq!(after.idle as u64, created, "none is lost");
    // A sanitizer keeps what was freed.
    assert!(growth < GROWTH || cfg!(softcuda_linked), "{growth} bytes more");
    assert!(resident() > 0 || cfg!(miri) || !cfg!(target_os = "linux"), "it is measured");
    Ok(())
}
