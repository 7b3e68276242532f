//! The slots of a pool of streams, compiled from the crate's own file, between threads that take, put back, give up and
//! take again.
//!
//! What is planted is in the word that the file is given: there is no other copy of it.

mod faulty_word;
#[path = "sync.rs"]
#[allow(unused_imports, unused_macros, reason = "more than this file takes")]
mod of_shuttle;
#[path = "../../src/stream/pool/slots.rs"]
mod slots;

/// What the file takes from `std` in the crate.
mod sync {
    pub(crate) use super::faulty_word::AtomicU64;
    pub(crate) use super::of_shuttle::{AtomicUsize, OfThread, thread_local};
}

use std::sync::Arc;

use faulty_word::{Plant, plant};
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use shuttle::{check_pct, check_random, thread};
use slots::Slots;

const ORDERS: usize = 4_000;
/// How many places of a run PCT changes its mind in.
const DEPTH: usize = 3;

fn explore(planted: Plant, program: fn()) {
    let run = move || {
        plant(planted);
        program();
    };
    check_random(run, ORDERS);
    check_pct(run, ORDERS, DEPTH);
}

/// What a slot is for: a stream, of which there is one.
struct Value {
    number: usize,
    alive: Arc<AtomicUsize>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Slots with what is known of them from outside.
struct World {
    slots: Slots<Value>,
    /// Which slots are taken.
    taken: Vec<AtomicBool>,
    /// Which values somebody has.
    lent: Vec<AtomicBool>,
    made: AtomicUsize,
    alive: Arc<AtomicUsize>,
}

impl World {
    fn new(count: usize) -> Self {
        let flags = |count| (0..count).map(|_| AtomicBool::new(false)).collect();
        Self { slots: Slots::new(count), taken: flags(count), lent: flags(64), made: AtomicUsize::new(0), alive: Arc::default() }
    }

    /// Takes a slot, and gives it back with its value if `puts`; false if all are taken.
    fn take(&self, puts: bool) -> bool {
        let Some((slot, value)) = self.slots.take() else { return false };
        let taken = &self.taken[slot.index()];
        assert!(!taken.swap(true, Ordering::SeqCst), "mixed up: a slot is taken by two");
        let value = value.unwrap_or_else(|| {
            self.alive.fetch_add(1, Ordering::SeqCst);
            Value { number: self.made.fetch_add(1, Ordering::SeqCst), alive: self.alive.clone() }
        });
        let lent = &self.lent[value.number];
        assert!(!lent.swap(true, Ordering::SeqCst), "mixed up: a value is lent to two");
        assert!(self.alive.load(Ordering::SeqCst) <= self.taken.len(), "mixed up: there are more values than slots");
        lent.store(false, Ordering::SeqCst);
        taken.store(false, Ordering::SeqCst);
        if puts {
            slot.put(value);
        } else {
            drop(value);
            drop(slot);
        }
        true
    }

    /// How many values are in the slots.
    fn left(&self) -> usize {
        let all: Vec<_> = std::iter::from_fn(|| self.slots.take()).collect();
        all.iter().filter(|(_, value)| value.is_some()).count()
    }
}

/// Runs `thread` on so many threads.
fn threads(count: usize, world: &Arc<World>, thread: fn(&World, usize)) {
    let start = |number| {
        let world = world.clone();
        thread::spawn(move || thread(&world, number))
    };
    let threads: Vec<_> = (0..count).map(start).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// More threads than slots, of which each takes, puts back and gives up.
fn many_take() {
    let world = Arc::new(World::new(2));
    threads(3, &world, |world, number| {
        for round in 0..3 {
            world.take((round + number) % 3 != 0);
        }
    });
    let alive = world.alive.load(Ordering::SeqCst);
    assert_eq!(world.left(), alive, "mixed up: a value is lost");
}

/// As many threads as slots: each gets one, whichever the other has at the time.
fn each_has_one() {
    let world = Arc::new(World::new(2));
    // Both are empty, so that a thread that gives up the one takes the other next.
    let both = [world.slots.take(), world.slots.take()];
    drop(both);
    threads(2, &world, |world, _| {
        for _ in 0..40 {
            let slot = world.slots.take();
            assert!(slot.is_some(), "a thread is refused though a slot is free");
        }
    });
}

#[test]
fn a_slot_is_taken_by_one_and_no_value_is_lost() {
    explore(Plant::Nothing, many_take);
}

#[test]
fn as_many_threads_as_slots_are_never_refused() {
    explore(Plant::Nothing, each_has_one);
}

/// Values that are put back go to others as they are, one after the other.
#[test]
fn what_is_put_back_is_used_again() {
    explore(Plant::Nothing, || {
        let world = Arc::new(World::new(3));
        threads(2, &world, |world, _| (0..3).for_each(|_| assert!(world.take(true))));
        let made = world.made.load(Ordering::SeqCst);
        assert!(made <= 2 && made == world.left(), "no more are made than were lent at once");
    });
}

#[test]
#[should_panic(expected = "mixed up")]
fn a_planted_take_in_two_steps_is_found() {
    explore(Plant::TwoSteps, many_take);
}

#[test]
#[should_panic(expected = "a thread is refused though a slot is free")]
fn a_planted_word_that_recurs_is_found() {
    explore(Plant::Recurs, each_has_one);
}
