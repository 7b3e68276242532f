//! What threads have too many of, and too few: the idle events of one context.

use std::num::NonZeroU32;
use std::sync::PoisonError;

use super::kind::{KINDS, Kind};
use super::magazine::{HALF, Idle, Magazine};
use crate::handle::RawEvent;
use crate::sync::{AtomicPtr, Mutex, MutexGuard, global};

/// What a thread has at hand of one context: a magazine for each kind. In cache lines of its own.
#[repr(align(128))]
pub(super) struct Magazines {
    kinds: [Magazine; KINDS],
    depot: &'static Depot,
}

impl Magazines {
    #[inline]
    pub(super) fn of(&self, kind: Kind) -> &Magazine {
        &self.kinds[kind.index()]
    }

    pub(super) fn depot(&self) -> &'static Depot {
        self.depot
    }
}

/// Of one context, of which there is one for good. Its lock is never held during a driver call, and not taken in a forked
/// child.
pub(super) struct Depot {
    context: NonZeroU32,
    state: Mutex<State>,
}

struct State {
    shelves: [Shelf; KINDS],
    /// Of the threads.
    magazines: Vec<&'static Magazines>,
    /// Of threads that have ended: empty.
    spare: Vec<&'static Magazines>,
    /// The context has died, and its events with it.
    is_over: bool,
}

/// It grows to the most events that were ever out at once.
struct Shelf {
    events: Vec<Idle>,
    created: u64,
    /// Without the magazines, so that it may be less than none: it wraps.
    taken: u64,
}

/// What there is, and was, of all kinds.
pub(super) struct Counts {
    pub(super) created: u64,
    pub(super) taken: u64,
    pub(super) idle: usize,
}

global! {
    static DEPOTS: Mutex<Vec<&'static Depot>> = Mutex::new(Vec::new());
}

impl Depot {
    /// The depot of the context with this number.
    pub(super) fn of(context: NonZeroU32) -> &'static Self {
        let mut depots = DEPOTS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(depot) = depots.iter().find(|depot| depot.context == context) {
            return depot;
        }
        let shelves = std::array::from_fn(|_| Shelf { events: Vec::new(), created: 0, taken: 0 });
        let state = State { shelves, magazines: Vec::new(), spare: Vec::new(), is_over: false };
        let depot: &'static Self = Box::leak(Box::new(Self { context, state: Mutex::new(state) }));
        depots.push(depot);
        depot
    }

    /// Those there are.
    pub(super) fn all() -> Vec<&'static Self> {
        DEPOTS.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn context(&self) -> NonZeroU32 {
        self.context
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Magazines for a thread, which it gives back by `leave`.
    pub(super) fn join(&'static self) -> &'static Magazines {
        let mut state = self.state();
        let new = || &*Box::leak(Box::new(Magazines { kinds: std::array::from_fn(|_| Magazine::new()), depot: self }));
        let magazines = state.spare.pop().unwrap_or_else(new);
        state.magazines.push(magazines);
        magazines
    }

    /// The thread that has them ends.
    pub(super) fn leave(&self, magazines: &'static Magazines) {
        let mut state = self.state();
        for kind in Kind::all() {
            magazines.of(kind).empty(0, &mut state.shelves[kind.index()].events);
        }
        state.magazines.retain(|other| !std::ptr::eq(*other, magazines));
        state.spare.push(magazines);
        state.forget_if_over();
    }

    /// An event of the shelf, and more of them for the thread's magazine.
    pub(super) fn take(&self, kind: Kind, magazine: Option<&Magazine>) -> Option<RawEvent> {
        let mut state = self.state();
        let Shelf { events, taken, .. } = &mut state.shelves[kind.index()];
        let Idle(event) = events.pop()?;
        *taken = taken.wrapping_add(1);
        if let Some(magazine) = magazine {
            magazine.fill(events);
        }
        Some(event.into_inner())
    }

    /// An event for the shelf, and what the thread's magazine has too many of.
    pub(super) fn give(&self, kind: Kind, event: RawEvent, magazine: Option<&Magazine>) {
        let mut state = self.state();
        let events = &mut state.shelves[kind.index()].events;
        events.push(Idle(AtomicPtr::new(event)));
        if let Some(magazine) = magazine {
            magazine.empty(HALF, events);
        }
        state.forget_if_over();
    }

    /// An event was created, because there was none. Whether it is the first.
    pub(super) fn created(&self, kind: Kind) -> bool {
        let mut state = self.state();
        let is_first = state.shelves.iter().all(|shelf| shelf.created == 0);
        state.shelves[kind.index()].created += 1;
        is_first
    }

    /// An event that was taken, from here or at hand, was not used: one was created instead.
    pub(super) fn replaced(&self, kind: Kind) {
        let mut state = self.state();
        let Shelf { created, taken, .. } = &mut state.shelves[kind.index()];
        *created += 1;
        *taken = taken.wrapping_sub(1);
    }

    /// All idle events but those of other threads, which are the caller's now.
    pub(super) fn clear(&self, magazines: Option<&Magazines>) -> Vec<RawEvent> {
        let mut state = self.state();
        let mut idle = Vec::new();
        for kind in Kind::all() {
            idle.append(&mut state.shelves[kind.index()].events);
            if let Some(magazines) = magazines {
                magazines.of(kind).empty(0, &mut idle);
            }
        }
        idle.into_iter().map(|Idle(event)| event.into_inner()).collect()
    }

    /// The context has died: nobody takes or gives any more, and what is given yet is forgotten.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        state.forget_if_over();
    }

    pub(super) fn counts(&self) -> Counts {
        let state = self.state();
        let mut counts = Counts { created: 0, taken: 0, idle: 0 };
        for kind in Kind::all() {
            let Shelf { events, created, taken } = &state.shelves[kind.index()];
            counts.created += created;
            counts.taken = counts.taken.wrapping_add(*taken);
            counts.idle += events.len();
            for magazines in state.magazines.iter().chain(&state.spare) {
                counts.taken = counts.taken.wrapping_add(magazines.of(kind).taken());
                counts.idle += magazines.of(kind).len();
            }
        }
        // What threads have at hand yet, they never use.
        counts.idle *= usize::from(!state.is_over);
        counts
    }
}

impl State {
    fn forget_if_over(&mut self) {
        if self.is_over {
            self.shelves.iter_mut().for_each(|shelf| shelf.events = Vec::new());
        }
    }
}
