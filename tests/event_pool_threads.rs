//! Idle events and threads: what one drops another uses, and what ends leaves what it had.

mod common;

use std::cell::RefCell;
use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::thread;

use common::contexts::SecondContext;
use common::hold::Hold;
use common::theirs::{NON_BLOCKING, TheirStream};
use common::{device, raw, streams};
use cuda_streams::{Event, EventOptions, EventPoolStats, ExternalStream, Result};

const UNTIMED: EventOptions = EventOptions::new();

fn pool() -> EventPoolStats {
    device().context().expect("the primary context").event_pool()
}

/// Makes so many events, and has all of them at once.
fn make(count: usize) -> Vec<Event> {
    (0..count).map(|_| device().event(UNTIMED).expect("an event")).collect()
}

/// Nothing is idle, and there is a context.
fn trim() -> EventPoolStats {
    device().context().expect("the primary context").trim_events().expect("idle events are destroyed");
    pool()
}

/// The whole thread: a scope does not wait for the destructors of what is local to a thread.
fn on_a_thread_that_ends<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(f).join()).expect("the thread ends well")
}

#[test]
fn what_a_thread_has_at_hand_is_used_by_others_when_it_has_ended() {
    const EVENTS: usize = if cfg!(miri) { 70 } else { 150 };
    const ROUNDS: u64 = if cfg!(miri) { 1 } else { 4 };
    let before = trim();
    for round in 0..ROUNDS {
        on_a_thread_that_ends(|| drop(make(EVENTS)));
        assert_eq!(pool().idle, EVENTS);
        let events = make(EVENTS);
        let now = pool();
        assert_eq!((now.created - before.created, now.reused - before.reused), (EVENTS as u64, (2 * round + 1) * EVENTS as u64));
        assert_eq!(now.idle, 0);
        // On yet another one, which has none at hand of its own.
        on_a_thread_that_ends(|| drop(events));
        assert_eq!(pool().idle, EVENTS);
    }
}

/// One of the two destructors runs after that of the pool's own, in whichever order they run.
#[test]
fn an_event_is_dropped_and_made_while_its_thread_ends() {
    struct AtTheEnd(RefCell<Option<Event>>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            let made = make(2);
            assert!(made.iter().all(|event| event.query() == Ok(true)));
            drop((self.0.take().expect("an event"), made));
        }
    }
    thread_local! {
        static FIRST: AtTheEnd = const { AtTheEnd(RefCell::new(None)) };
        static LAST: AtTheEnd = const { AtTheEnd(RefCell::new(None)) };
    }
    let before = trim();
    for _ in 0..3 {
        on_a_thread_that_ends(|| {
            FIRST.with(|first| {
                let [stream] = streams();
                let [event, other, idle] = [(); 3].map(|()| stream.record_event().expect("an event"));
                // Now the thread has some at hand.
                drop(idle);
                first.0.replace(Some(event));
                LAST.with(|last| last.0.replace(Some(other)));
            });
        });
        let now = pool();
        // The first destructor makes two while the other event is out, and one of them is the idle one.
        assert_eq!((now.created - before.created, now.idle), (4, 4), "none is lost, and each is used again");
    }
}

#[test]
fn trimming_leaves_others_what_they_have_at_hand() -> Result<()> {
    const THEIRS: usize = 20;
    const MINE: usize = 30;
    let before = trim();
    let ((ready, is_ready), (go, may_go)) = (channel(), channel());
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            drop(make(THEIRS));
            ready.send(()).expect("it is waited for");
            may_go.recv().expect("it is told");
            make(THEIRS)
        });
        is_ready.recv().expect("the thread has events at hand");
        drop(make(MINE));
        assert_eq!(pool().idle, THEIRS + MINE);
        assert_eq!((device().trim_events()?, pool().idle), (MINE, THEIRS));
        go.send(()).expect("it waits");
        let events = other.join().expect("the thread ends well");
        let now = pool();
        assert_eq!((now.created - before.created, now.reused - before.reused), ((THEIRS + MINE) as u64, THEIRS as u64));
        drop(events);
        assert_eq!((device().trim_events()?, pool().idle), (THEIRS, 0));
        Ok(())
    })
}

/// Whatever their numbers are: two of nine that follow each other have one place in a thread.
#[test]
fn a_thread_has_events_of_eight_contexts_at_hand() -> Result<()> {
    device().context()?;
    let seconds: Vec<_> = (0..9).map(|_| SecondContext::new(device())).collect();
    let mut streams = Vec::new();
    for second in &seconds {
        let theirs = second.with_current(|| TheirStream::in_current(NON_BLOCKING, 0));
        // SAFETY: its owner is dropped after it, and the context last.
        streams.push((unsafe { ExternalStream::from_raw(theirs.as_raw()) }?, theirs));
    }
    let mut used: Vec<&ExternalStream> = streams.iter().map(|(stream, _)| stream).collect();
    let other = used.remove(4);
    let used = &used;
    // Without ids each has another number each time, and keeps none.
    let at_hand = usize::from(raw::has_ids());
    thread::scope(|scope| {
        let ((ready, is_ready), (go, may_go)) = (channel(), channel());
        let created = || used.iter().map(|stream| stream.context().event_pool().created).collect::<Vec<_>>();
        let thread = scope.spawn(move || {
            let use_all = || used.iter().try_for_each(|stream| stream.record_event()?.synchronize());
            // It is used no more, and is to be the one that makes place.
            drop(other.record_event()?);
            (0..3).try_for_each(|_| use_all())?;
            ready.send(created()).expect("it is waited for");
            may_go.recv().expect("it is told");
            use_all()
        });
        let before = is_ready.recv().expect("the thread has events at hand");
        for stream in used {
            let context = stream.context();
            assert_eq!((context.trim_events()?, context.event_pool().idle), (0, at_hand), "the thread has it at hand");
        }
        go.send(()).expect("it waits");
        thread.join().expect("the thread ends well")?;
        assert_eq!(created(), before, "each is used again");
        Ok(())
    })
}

/// Threads that record an idle event for the first time, while others ask for its handle: there is one, before and after,
/// and the records are of it.
#[test]
fn a_handle_that_is_lent_during_the_first_record_is_the_one_that_is_recorded() -> Result<()> {
    // A real stream takes some hundred records that cannot run.
    const RECORDS: usize = 100;
    let holds = if cfg!(miri) { 1 } else { 8 };
    let records = if cfg!(miri) { 4 } else { RECORDS };
    let [busy] = streams();
    for _ in 0..holds {
        let hold = Hold::new(&busy);
        for _ in 0..records {
            drop(busy.record_event()?);
            let reused = pool().reused;
            let event = device().event(UNTIMED)?;
            assert_eq!(pool().reused, reused + 1, "one that is pending");
            let together = Barrier::new(4);
            let give_handle = || {
                together.wait();
                event.as_raw().expect("it is bound").addr()
            };
            let record = || {
                together.wait();
                event.record(&busy)
            };
            let lent = thread::scope(|scope| {
                let (lenders, recorders) =
                    ([scope.spawn(give_handle), scope.spawn(give_handle)], [scope.spawn(record), scope.spawn(record)]);
                recorders.into_iter().try_for_each(|recorder| recorder.join().expect("it records"))?;
                Ok(lenders.map(|lender| lender.join().expect("it lends")))
            })?;
            let handle = event.as_raw().expect("it is bound");
            assert_eq!(lent, [handle.addr(); 2]);
            assert_eq!((raw::event_query(handle), event.query()?), (raw::NOT_READY, false), "it is recorded, and held");
        }
        hold.release();
        busy.synchronize()?;
    }
    Ok(())
}
