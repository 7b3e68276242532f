//! The pool of idle events, compiled from the crate's own files: threads take and give the events of one context, and end.

#![allow(dead_code, reason = "a part of each file is for what is not here")]

#[path = "../../src/exceptions.rs"]
mod exceptions;
mod stand_ins;
mod sync;

use std::collections::HashSet;
use std::ffi::c_void;
use std::num::NonZeroU32;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::parts;
use shuttle::sync::mpsc::channel;
use shuttle::{check_pct, check_random, thread};
// What the crate's files take from its root.
use stand_ins::{context, driver, error, handle};

/// Those of a run are many steps: a magazine is full before it goes to the depot.
const ORDERS: usize = 1_000;
/// How many places of a run PCT changes its mind in.
const DEPTH: usize = 3;

fn explore(program: impl Fn() + Send + Sync + Copy + 'static) {
    check_random(program, ORDERS);
    check_pct(program, ORDERS, DEPTH);
}

#[path = "../../src/event"]
mod event {
    mod pool;

    /// As far as the pool has them.
    mod flags {
        pub(super) struct EventFlags(u32);

        impl EventFlags {
            pub(super) const BLOCKING_SYNC: Self = Self(1);
            pub(super) const DISABLE_TIMING: Self = Self(2);

            pub(super) const fn bits(&self) -> u32 {
                self.0
            }
        }
    }

    use std::num::NonZeroU32;

    use crate::handle::RawEvent;
    use pool::Kind;

    /// Its parts once more, for those who do not keep to the rules.
    #[path = "pool"]
    pub(super) mod parts {
        mod depot;
        mod kind;
        mod magazine;

        use std::num::NonZeroU32;

        use crate::handle::RawEvent;
        use depot::{Depot, Magazines};
        use kind::Kind;

        /// What a thread has at hand of one context.
        #[derive(Clone, Copy)]
        pub(crate) struct Hands(&'static Magazines);

        impl Hands {
            pub(crate) fn join(context: NonZeroU32) -> Self {
                Self(Depot::join(context))
            }

            pub(crate) fn leave(self) {
                self.0.depot().leave(self.0);
            }

            pub(crate) fn take(self) -> Option<RawEvent> {
                let magazine = self.0.of(Self::kind());
                magazine.pop().or_else(|| self.0.depot().take(Self::kind(), Some(magazine)))
            }

            pub(crate) fn give(self, event: RawEvent) {
                let magazine = self.0.of(Self::kind());
                if !magazine.push(event) {
                    self.0.depot().give(Self::kind(), event, Some(magazine));
                }
            }

            pub(crate) fn give_to_depot(self, event: RawEvent) {
                self.0.depot().give(Self::kind(), event, None);
            }

            fn kind() -> Kind {
                Kind::of(0).expect("one of the kinds")
            }
        }

        pub(crate) fn clear(context: NonZeroU32) -> Vec<RawEvent> {
            Depot::of(context).map_or_else(Vec::new, |mut depot| depot.clear(None))
        }

        pub(crate) fn forget(context: NonZeroU32) {
            Depot::of(context).into_iter().for_each(|mut depot| depot.end());
        }
    }

    fn kind() -> Kind {
        Kind::of(flags::EventFlags::DISABLE_TIMING.bits()).expect("one of the kinds")
    }

    /// As the crate takes and gives them.
    pub(super) fn take(context: NonZeroU32) -> Option<RawEvent> {
        pool::take(context, kind()).or_else(|| pool::fetch(context, kind()))
    }

    pub(super) fn created(context: NonZeroU32) {
        pool::created(context, kind());
    }

    pub(super) fn give(context: NonZeroU32, event: RawEvent) {
        pool::give(context, kind(), event);
    }

    pub(super) fn clear(context: NonZeroU32) -> Vec<RawEvent> {
        pool::clear(context)
    }

    pub(super) fn forget(context: NonZeroU32) {
        pool::forget(context);
    }

    pub(super) fn counts(context: NonZeroU32) -> (u64, u64, usize) {
        pool::counts(context)
    }
}

/// An event, which is a number here, and how the threads of a program have had it.
struct Raw(*mut c_void);

// SAFETY: a number.
unsafe impl Send for Raw {}

/// What the threads of a program share, and check: of the standard library's, since it is no part of what is explored.
struct World {
    context: NonZeroU32,
    made: Mutex<usize>,
    out: Mutex<HashSet<usize>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    fn new(context: u32) -> Arc<Self> {
        let context = NonZeroU32::new(context).expect("a number of a context");
        Arc::new(Self { context, made: Mutex::default(), out: Mutex::default() })
    }

    /// The event that was taken, or else a new one.
    fn had(&self, taken: Option<*mut c_void>, created: impl FnOnce(NonZeroU32)) -> Raw {
        let event = taken.unwrap_or_else(|| {
            created(self.context);
            self.new_event()
        });
        self.check_context(event);
        assert!(locked(&self.out).insert(event.addr()), "an event is out twice");
        // It is out for a while: what checks is no step that others come between.
        thread::yield_now();
        Raw(event)
    }

    fn new_event(&self) -> *mut c_void {
        let mut made = locked(&self.made);
        *made += 1;
        ptr::without_provenance_mut((self.context.get() as usize) << 32 | *made << 4)
    }

    fn check_context(&self, event: *mut c_void) {
        assert_eq!(event.addr() >> 32, self.context.get() as usize, "an event of another context");
    }

    fn is_given(&self, event: &Raw) {
        assert!(locked(&self.out).remove(&event.0.addr()), "it was out");
    }

    fn take(&self) -> Raw {
        self.had(event::take(self.context), event::created)
    }

    fn give(&self, event: Raw) {
        self.is_given(&event);
        event::give(self.context, event.0);
    }

    fn take_some(&self, count: usize) -> Vec<Raw> {
        (0..count).map(|_| self.take()).collect()
    }

    fn give_all(&self, events: Vec<Raw>) {
        events.into_iter().for_each(|event| self.give(event));
    }

    /// Nothing is out, and no other thread has any at hand: all that were made are idle.
    fn check(&self, idle: Vec<*mut c_void>) {
        assert!(locked(&self.out).is_empty());
        idle.iter().for_each(|event| self.check_context(*event));
        let different: HashSet<usize> = idle.iter().map(|event| event.addr()).collect();
        assert_eq!(different.len(), idle.len(), "an event is idle twice");
        assert_eq!(idle.len(), *locked(&self.made), "an event is lost");
    }

    /// The same, and that the counts say so; so often was one taken.
    fn check_all(&self, taken: usize) {
        let made = *locked(&self.made);
        let (created, reused, idle) = event::counts(self.context);
        assert_eq!((created, reused, idle), (made as u64, (taken - made) as u64, made));
        self.check(event::clear(self.context));
        assert_eq!(event::counts(self.context), (created, reused, 0));
    }
}

/// More than a thread has at hand.
const MANY: usize = 70;

#[test]
fn what_one_thread_gives_another_takes() {
    explore(|| {
        let world = World::new(1);
        let (sender, receiver) = channel();
        let consumer = thread::spawn({
            let world = world.clone();
            move || receiver.iter().for_each(|events| world.give_all(events))
        });
        let beside = thread::spawn({
            let world = world.clone();
            move || (0..3).for_each(|_| world.give(world.take()))
        });
        for _ in 0..3 {
            sender.send(world.take_some(MANY)).unwrap();
        }
        drop(sender);
        consumer.join().unwrap();
        beside.join().unwrap();
        world.check_all(3 * MANY + 3);
        assert!(*locked(&world.made) <= 3 * MANY + 1, "as many as are out at once");
    });
}

#[test]
fn threads_that_end_leave_what_they_have() {
    explore(|| {
        let world = World::new(1);
        let threads = [1, 2, MANY].map(|count| {
            let world = world.clone();
            thread::spawn(move || {
                world.give_all(world.take_some(count));
                let world = world.clone();
                let last = thread::spawn(move || world.give(world.take()));
                last.join().unwrap();
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        world.check_all(1 + 2 + MANY + 3);
    });
}

/// Gives and takes when its thread ends, before the pool's own destructor and after it.
struct AtTheEnd(std::cell::RefCell<Option<(Arc<World>, Raw)>>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        let (world, event) = self.0.take().expect("it was set");
        let other = world.take();
        world.give(event);
        world.give(other);
    }
}

shuttle::thread_local! {
    static FIRST: AtTheEnd = AtTheEnd(std::cell::RefCell::new(None));
    static LAST: AtTheEnd = AtTheEnd(std::cell::RefCell::new(None));
}

#[test]
fn an_event_is_given_and_taken_while_its_thread_ends() {
    explore(|| {
        let world = World::new(1);
        let threads = [(); 2].map(|()| {
            let world = world.clone();
            thread::spawn(move || {
                FIRST.with(|first| {
                    first.0.replace(Some((world.clone(), world.take())));
                    world.give(world.take());
                    LAST.with(|last| last.0.replace(Some((world.clone(), world.take()))));
                });
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        world.check_all(10);
    });
}

/// More contexts than a thread has places for.
#[test]
fn contexts_take_each_others_places_and_no_events() {
    const CONTEXTS: u32 = 9;
    explore(|| {
        let worlds: Vec<_> = (1..=CONTEXTS).map(World::new).collect();
        let threads = [0, 1].map(|turn| {
            let worlds = worlds.clone();
            thread::spawn(move || {
                for world in worlds.iter().cycle().skip(turn).take(2 * worlds.len()) {
                    world.give_all(world.take_some(2));
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        for world in worlds {
            world.check_all(8);
        }
    });
}

/// A context dies, and another one comes, while events of the first are given back: by threads that had none at hand.
#[test]
fn what_comes_late_goes_to_no_other_context() {
    explore(|| {
        let [first, second] = [1, 2].map(World::new);
        let made = {
            let first = first.clone();
            thread::spawn(move || first.take_some(2)).join().unwrap()
        };
        let late = made.into_iter().map(|event| {
            let first = first.clone();
            thread::spawn(move || first.give(event))
        });
        let late: Vec<_> = late.collect();
        event::forget(first.context);
        (0..2).for_each(|_| second.give_all(second.take_some(2)));
        for thread in late {
            thread.join().unwrap();
        }
        second.check_all(4);
    });
}

/// As above. What a thread has left is not its own any more: nor is the depot.
#[test]
#[should_panic(expected = "an event of another context")]
fn a_planted_thread_that_uses_a_depot_it_has_left_is_found() {
    explore(|| {
        let [first, second] = [1, 2].map(World::new);
        let left = parts::Hands::join(first.context);
        left.leave();
        let late = thread::spawn({
            let first = first.clone();
            move || left.give_to_depot(first.new_event())
        });
        parts::forget(first.context);
        let hands = parts::Hands::join(second.context);
        for _ in 0..2 {
            let event = second.had(hands.take(), |_| ());
            second.is_given(&event);
            hands.give(event.0);
        }
        hands.leave();
        late.join().unwrap();
        second.check(parts::clear(second.context));
    });
}

/// Threads with something at hand, which end as this says.
fn hands(end: fn(parts::Hands)) {
    let world = World::new(1);
    let threads = [(); 2].map(|()| {
        let world = world.clone();
        thread::spawn(move || {
            let hands = parts::Hands::join(world.context);
            let event = world.had(hands.take(), |_| ());
            world.is_given(&event);
            hands.give(event.0);
            end(hands);
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    world.check(parts::clear(world.context));
}

#[test]
fn hands_that_are_left_are_empty() {
    explore(|| hands(parts::Hands::leave));
}

#[test]
#[should_panic(expected = "an event is lost")]
fn a_planted_thread_that_keeps_what_it_has_is_found() {
    explore(|| hands(|_| ()));
}

/// What a magazine relies on: one thread changes it.
#[test]
#[should_panic(expected = "an event is out twice")]
fn a_planted_magazine_of_two_threads_is_found() {
    explore(|| {
        let world = World::new(1);
        let hands = parts::Hands::join(world.context);
        let threads = [(); 2].map(|()| {
            let world = world.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    let event = world.had(hands.take(), |_| ());
                    world.is_given(&event);
                    hands.give(event.0);
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
    });
}
