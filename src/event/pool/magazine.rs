//! The events that one thread has at hand.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::Ordering::Relaxed;

use crate::handle::RawEvent;
use crate::sync::{AtomicPtr, AtomicU64, AtomicUsize};

/// How many events go to the depot and come from it at once.
pub(super) const HALF: usize = 32;
/// How many a thread has at hand, of a kind: so that one that makes and drops by turns needs no depot.
pub(super) const FULL: usize = 2 * HALF;

/// Idle events of one kind. One thread changes it; the depot's lock hands it on to another. Whoever has that lock may read
/// how many there are, and how many were taken.
pub(super) struct Magazine {
    events: [AtomicPtr<c_void>; FULL],
    len: AtomicUsize,
    taken: AtomicU64,
}

impl Magazine {
    pub(super) fn new() -> Self {
        let empty = |_| AtomicPtr::new(ptr::null_mut());
        Self { events: std::array::from_fn(empty), len: AtomicUsize::new(0), taken: AtomicU64::new(0) }
    }

    /// By its thread.
    #[inline]
    pub(super) fn pop(&self) -> Option<RawEvent> {
        let rest = self.len.load(Relaxed).wrapping_sub(1);
        let event = self.events.get(rest)?.load(Relaxed);
        self.len.store(rest, Relaxed);
        self.taken.store(self.taken.load(Relaxed) + 1, Relaxed);
        Some(event)
    }

    /// By its thread. False if it is full.
    #[inline]
    pub(super) fn push(&self, event: RawEvent) -> bool {
        let len = self.len.load(Relaxed);
        let Some(place) = self.events.get(len) else { return false };
        place.store(event, Relaxed);
        self.len.store(len + 1, Relaxed);
        true
    }

    /// Moves events into it until it is half full. By its thread.
    pub(super) fn fill(&self, from: &mut Vec<Idle>) {
        let missing = HALF.saturating_sub(self.len());
        for Idle(event) in from.drain(from.len().saturating_sub(missing)..) {
            self.push(event.into_inner());
        }
    }

    /// Moves all events out of it but so many. By its thread.
    pub(super) fn empty(&self, rest: usize, to: &mut Vec<Idle>) {
        let len = self.len();
        to.extend(self.events[rest.min(len)..len].iter().map(|event| Idle(AtomicPtr::new(event.load(Relaxed)))));
        self.len.store(rest.min(len), Relaxed);
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// How often an event was taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// The same, and from now on it counts anew. By its thread.
    pub(super) fn forget_taken(&self) -> u64 {
        let taken = self.taken();
        self.taken.store(0, Relaxed);
        taken
    }
}

/// An event that nobody uses. (Atomic only so that other threads may have it.)
pub(super) struct Idle(pub(super) AtomicPtr<c_void>);
