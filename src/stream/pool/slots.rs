//! A fixed number of slots for values, each taken by one user at a time: without a lock, and without a cache line that
//! every thread writes to.
//!
//! There is no list of what is free, which all threads would change. A thread looks first where it took or put last: a take
//! is one compare-exchange there, a return one store. One that finds another thread there takes an empty slot before it
//! takes a value that a third may be about to take again: so threads at work soon have a slot each.

use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::atomic::Ordering;

use crate::sync::{AtomicU64, AtomicUsize, thread_local};

thread_local! {
    /// The slot that this thread took last, or put a value in, of whichever object. None of a new thread.
    static NEAR: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// A number that no other living thread has. Never 0.
#[inline]
fn this_thread() -> usize {
    NEAR.with(|near| ptr::from_ref(near).addr())
}

/// Nothing is in it.
const EMPTY: u64 = 0;
/// A value is in it.
const FULL: u64 = 1;
/// Somebody has it, and its value.
const TAKEN: u64 = 2;
/// The bits of the state; those above count its changes, so that a state that recurs is another word.
const STATE: u64 = 0b11;

const fn next(word: u64, state: u64) -> u64 {
    (word & !STATE).wrapping_add(STATE + 1) | state
}

/// Two cache lines of its own, since processors fetch them in pairs.
#[repr(align(128))]
struct Slot<T> {
    word: AtomicU64,
    index: usize,
    /// The thread that took it last, 0 before the first: a hint.
    taker: AtomicUsize,
    /// Of whoever has made the state `TAKEN`, until he makes it another.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: a value goes from thread to thread, which `T: Send` allows, and only one thread has it at a time.
unsafe impl<T: Send> Sync for Slot<T> {}

/// The slots.
pub(super) struct Slots<T> {
    all: Box<[Slot<T>]>,
    /// How many, from the first on, were ever taken: the others need not be looked at.
    used: AtomicUsize,
}

/// A taken slot: empty again when it is dropped, unless something was put in it.
#[must_use]
pub(super) struct Taken<'a, T>(&'a Slot<T>);

/// What a walk over all slots found, where it took none.
struct Walk {
    /// The sum of the words, if all are taken.
    all_taken: Option<u64>,
}

impl<T> Slots<T> {
    pub(super) fn new(count: usize) -> Self {
        let slot = |index| Slot { word: AtomicU64::new(EMPTY), index, taker: AtomicUsize::new(0), value: UnsafeCell::new(None) };
        Self { all: (0..count).map(slot).collect(), used: AtomicUsize::new(0) }
    }

    /// Takes a slot with its value, or an empty slot: if none has a value, or another thread has what this one had last.
    /// `None` if all are taken: at one moment, so that as many threads as there are slots, each with one at most, never
    /// get that.
    #[inline]
    pub(super) fn take(&self) -> Option<(Taken<'_, T>, Option<T>)> {
        let near = self.all.get(NEAR.get());
        if let Some(near) = near {
            let word = near.word.load(Ordering::Relaxed);
            if word & STATE == FULL
                && let Some(taken) = near.take(word)
            {
                return Some(taken);
            }
        }
        self.look_around(near)
    }

    #[cold]
    fn look_around(&self, near: Option<&Slot<T>>) -> Option<(Taken<'_, T>, Option<T>)> {
        let is_displaced = near.is_some_and(Slot::is_of_another_thread);
        let mut before = None;
        loop {
            match self.walk(is_displaced) {
                Ok(taken) => {
                    NEAR.set(taken.0.0.index);
                    return Some(taken);
                }
                // The words only grow: with the same sum, each is the same, and has been so at the moment in between.
                Err(Walk { all_taken: Some(sum) }) if before == Some(sum) => return None,
                Err(Walk { all_taken }) => before = all_taken,
            }
        }
    }

    /// Looks at each slot once, and takes one if it can: one with a value, or rather an empty one.
    fn walk(&self, rather_empty: bool) -> Result<(Taken<'_, T>, Option<T>), Walk> {
        let used = self.used.load(Ordering::Acquire);
        let (before, after) = self.all[..used].split_at(NEAR.get().saturating_add(1).min(used));
        let (mut sum, mut empty, mut full, mut missed) = (0_u64, None, None, false);
        for slot in after.iter().chain(before) {
            // Acquire, and AcqRel in `take`: whoever sees that a thread has taken a slot sees, when he looks again, that
            // it had put the one before.
            let word = slot.word.load(Ordering::Acquire);
            match word & STATE {
                // Its own, a value that nobody else has had since, it takes all the same: with another object it has lost sight
                // of it.
                FULL if rather_empty && slot.taker.load(Ordering::Relaxed) != this_thread() => full = full.or(Some((slot, word))),
                FULL => match slot.take(word) {
                    Some(taken) => return Ok(taken),
                    None => missed = true,
                },
                EMPTY if empty.is_none() => empty = Some((slot, word)),
                _ => {}
            }
            sum = sum.wrapping_add(word);
        }
        let unused = || self.all.get(used).map(|slot| (slot, slot.word.load(Ordering::Acquire)));
        match empty.or_else(unused).or(full) {
            Some((slot, word)) => {
                let taken = slot.take(word);
                self.used.fetch_max(slot.index + 1, Ordering::AcqRel);
                taken.ok_or(Walk { all_taken: None })
            }
            None => Err(Walk { all_taken: (!missed).then_some(sum) }),
        }
    }
}

impl<T> Slot<T> {
    /// Whether somebody has it whom another thread has given it to.
    fn is_of_another_thread(&self) -> bool {
        self.word.load(Ordering::Relaxed) & STATE == TAKEN && self.taker.load(Ordering::Relaxed) != this_thread()
    }

    /// Takes it with its value, if nobody has it by this word, and the word is this one still.
    #[inline]
    fn take(&self, word: u64) -> Option<(Taken<'_, T>, Option<T>)> {
        if word & STATE == TAKEN {
            return None;
        }
        self.word.compare_exchange(word, next(word, TAKEN), Ordering::AcqRel, Ordering::Relaxed).ok()?;
        self.taker.store(this_thread(), Ordering::Relaxed);
        // SAFETY: nobody had the value, and nobody else has it now: this has made the state `TAKEN`.
        let value = unsafe { self.value.get().replace(None) };
        Some((Taken(self), value))
    }
}

impl<T> Taken<'_, T> {
    /// For whoever takes the slot next.
    #[inline]
    pub(super) fn put(self, value: T) {
        // SAFETY: this has the slot alone, and there is no reference to its value, which is none: nothing is dropped.
        unsafe { self.0.value.get().write(Some(value)) };
        NEAR.set(self.0.index);
        self.end(FULL);
        std::mem::forget(self);
    }

    /// Which of the slots it is.
    #[cfg(any(test, softcuda_shuttle))]
    pub(super) fn index(&self) -> usize {
        self.0.index
    }

    #[inline]
    fn end(&self, state: u64) {
        // Nobody else changes the word of a taken slot.
        let word = self.0.word.load(Ordering::Relaxed);
        self.0.word.store(next(word, state), Ordering::Release);
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        self.end(EMPTY);
    }
}

#[cfg(all(test, not(softcuda_shuttle)))]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::thread;

    use super::*;

    #[test]
    fn an_empty_slot_is_taken_only_where_none_is_full() {
        let slots = Slots::new(3);
        let (first, none) = slots.take().unwrap();
        assert_eq!((first.index(), none), (0, None));
        let (second, _) = slots.take().unwrap();
        first.put("a value");
        second.put("another");
        let (near, value) = slots.take().unwrap();
        assert_eq!((near.index(), value), (1, Some("another")), "the thread's last is its next");
        let (other, value) = slots.take().unwrap();
        assert_eq!((other.index(), value), (0, Some("a value")));
        let (empty, none) = slots.take().unwrap();
        assert_eq!((empty.index(), none), (2, None));
        assert!(slots.take().is_none());
        drop(other);
        assert_eq!(slots.take().unwrap().1, None, "what was not put back is gone");
    }

    /// Which would displace a third thread, and so on.
    #[test]
    fn who_is_displaced_displaces_nobody() {
        let slots = Slots::new(3);
        let take = || slots.take().map(|(slot, value)| (slot.index(), slot, value)).unwrap();
        let ((_, first, _), (_, second, _)) = (take(), take());
        first.put("a value");
        second.put("another");
        thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::channel();
            let (has_put, may_take) = std::sync::mpsc::channel();
            let other = scope.spawn(move || {
                let (index, slot, value) = take();
                assert_eq!((index, value), (0, Some("a value")), "a new thread takes a value");
                slot.put("a value");
                has_put.send(()).unwrap();
                told.recv().unwrap();
                let (index, _slot, value) = take();
                assert_eq!((index, value), (2, None), "and one whose slot is taken an empty one");
            });
            may_take.recv().unwrap();
            let ((_, near, another), (index, theirs, _)) = (take(), take());
            near.put(another.unwrap());
            assert_eq!(index, 0);
            tell.send(()).unwrap();
            other.join().unwrap();
            drop(theirs);
        });
    }

    /// A thread that uses two objects by turns looks first where it was last in the other one.
    #[test]
    fn who_uses_two_by_turns_finds_its_own_again() {
        let (first, second) = (Slots::new(8), Slots::new(8));
        let slots = &second;
        thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::channel::<()>();
            let (has, is_taken) = std::sync::mpsc::channel();
            scope.spawn(move || {
                let near = slots.take().unwrap();
                has.send(()).unwrap();
                told.recv().unwrap();
                drop(near);
            });
            is_taken.recv().unwrap();
            let mut made = 0;
            for _ in 0..10 {
                first.take().unwrap().0.put(());
                let (slot, value) = second.take().unwrap();
                made += usize::from(value.is_none());
                slot.put(());
            }
            assert_eq!(made, 1);
            tell.send(()).unwrap();
        });
    }

    #[test]
    fn none_of_none() {
        assert!(Slots::<()>::new(0).take().is_none());
    }

    /// As many threads as slots: none is refused, no slot is taken by two, no value is lost.
    #[test]
    fn threads_take_and_put() {
        const THREADS: usize = 4;
        let rounds = if cfg!(miri) { 50 } else { 20_000 };
        let (slots, made) = (Slots::new(THREADS), AtomicUsize::new(0));
        let taken: [AtomicBool; THREADS] = Default::default();
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (slots, made, taken) = (&slots, &made, &taken);
                scope.spawn(move || {
                    for round in 0..rounds {
                        let (slot, value) = slots.take().expect("a slot for each thread");
                        assert!(!taken[slot.index()].swap(true, Ordering::Relaxed));
                        let value = value.unwrap_or_else(|| Box::new(made.fetch_add(1, Ordering::Relaxed)));
                        taken[slot.index()].store(false, Ordering::Relaxed);
                        if (round + thread) % 16 == 0 {
                            drop(value);
                            made.fetch_sub(1, Ordering::Relaxed);
                        } else {
                            slot.put(value);
                        }
                    }
                });
            }
        });
        let left = std::iter::from_fn(|| slots.take()).map(|(slot, value)| {
            std::mem::forget(slot);
            usize::from(value.is_some())
        });
        assert_eq!(left.sum::<usize>(), made.into_inner());
    }
}
