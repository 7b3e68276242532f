//! What threads have too many of, and too few: the idle events of one context.

#[cfg(all(test, unix, not(any(miri, softcuda_shuttle))))]
mod tests;

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
    depot: &'static Mutex<Depot>,
}

impl Magazines {
    #[inline]
    pub(super) fn of(&self, kind: Kind) -> &Magazine {
        &self.kinds[kind.index()]
    }

    /// The depot they are of: until they are left, that of the context that they were had for.
    pub(super) fn depot(&self) -> MutexGuard<'static, Depot> {
        locked(self.depot)
    }
}

/// Of one context. When that has died, and no thread has magazines any more, it is another's: so there are no more depots,
/// nor magazines, than were in use at once. Its lock is never held during a driver call, and not taken in a forked child.
pub(super) struct Depot {
    shelves: [Shelf; KINDS],
    /// Of the threads.
    magazines: Vec<&'static Magazines>,
    /// Of threads that have left: empty.
    spare: Vec<&'static Magazines>,
    /// The context has died, and its events with it.
    is_over: bool,
}

/// It grows to the most events that were ever out at once.
struct Shelf {
    events: Vec<Idle>,
    created: u64,
    /// Without the magazines of the threads, so that it may be less than none: it wraps.
    taken: u64,
}

/// What there is, and was, of all kinds.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) created: u64,
    pub(super) taken: u64,
    pub(super) idle: usize,
}

global! {
    /// Each with the number of its context. Locked before a depot is, never after.
    static DEPOTS: Mutex<Vec<(NonZeroU32, &'static Mutex<Depot>)>> = Mutex::new(Vec::new());
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Found = (&'static Mutex<Depot>, MutexGuard<'static, Depot>);

/// The depot of the context with this number. It is locked while the list is: in between it might become another's.
fn find(depots: &[(NonZeroU32, &'static Mutex<Depot>)], context: NonZeroU32) -> Option<Found> {
    let (_, depot) = depots.iter().find(|(number, _)| *number == context)?;
    Some((depot, locked(depot)))
}

/// The same; one that nobody needs any more, or a new one, if there is none.
fn find_or_new(context: NonZeroU32) -> Found {
    let mut depots = locked(&DEPOTS);
    if let Some(found) = find(&depots, context) {
        return found;
    }
    for (number, depot) in depots.iter_mut() {
        let mut spare = locked(depot);
        if spare.is_over && spare.magazines.is_empty() {
            *number = context;
            *spare = Depot::new(std::mem::take(&mut spare.spare));
            return (depot, spare);
        }
    }
    let depot: &'static Mutex<Depot> = Box::leak(Box::new(Mutex::new(Depot::new(Vec::new()))));
    depots.push((context, depot));
    (depot, locked(depot))
}

impl Depot {
    fn new(spare: Vec<&'static Magazines>) -> Self {
        let shelves = std::array::from_fn(|_| Shelf { events: Vec::new(), created: 0, taken: 0 });
        Self { shelves, magazines: Vec::new(), spare, is_over: false }
    }

    /// The depot of the context with this number, if it has one.
    pub(super) fn of(context: NonZeroU32) -> Option<MutexGuard<'static, Self>> {
        find(&locked(&DEPOTS), context).map(|(_, depot)| depot)
    }

    /// The same, which it has from now on.
    pub(super) fn of_or_new(context: NonZeroU32) -> MutexGuard<'static, Self> {
        find_or_new(context).1
    }

    /// Magazines for a thread, which it gives back by `leave`: until then the depot is of this context.
    pub(super) fn join(context: NonZeroU32) -> &'static Magazines {
        let (depot, mut state) = find_or_new(context);
        let new = || &*Box::leak(Box::new(Magazines { kinds: std::array::from_fn(|_| Magazine::new()), depot }));
        let magazines = state.spare.pop().unwrap_or_else(new);
        state.magazines.push(magazines);
        magazines
    }

    /// The thread that has them ends, or has no place for them.
    pub(super) fn leave(&mut self, magazines: &'static Magazines) {
        for kind in Kind::all() {
            let Shelf { events, taken, .. } = &mut self.shelves[kind.index()];
            magazines.of(kind).empty(0, events);
            *taken = taken.wrapping_add(magazines.of(kind).forget_taken());
        }
        self.magazines.retain(|other| !std::ptr::eq(*other, magazines));
        self.spare.push(magazines);
        self.forget_if_over();
    }

    /// An event of the shelf, and more of them for the thread's magazine.
    pub(super) fn take(&mut self, kind: Kind, magazine: Option<&Magazine>) -> Option<RawEvent> {
        let Shelf { events, taken, .. } = &mut self.shelves[kind.index()];
        let Idle(event) = events.pop()?;
        *taken = taken.wrapping_add(1);
        if let Some(magazine) = magazine {
            magazine.fill(events);
        }
        Some(event.into_inner())
    }

    /// An event for the shelf, and what the thread's magazine has too many of.
    pub(super) fn give(&mut self, kind: Kind, event: RawEvent, magazine: Option<&Magazine>) {
        let events = &mut self.shelves[kind.index()].events;
        events.push(Idle(AtomicPtr::new(event)));
        if let Some(magazine) = magazine {
            magazine.empty(HALF, events);
        }
        self.forget_if_over();
    }

    /// An event was created, because there was none. Whether it is the first of the context.
    pub(super) fn created(&mut self, kind: Kind) -> bool {
        let is_first = self.shelves.iter().all(|shelf| shelf.created == 0);
        self.shelves[kind.index()].created += 1;
        is_first
    }

    /// An event that was taken, from here or at hand, has been given back: nobody has used it.
    pub(super) fn given_back(&mut self, kind: Kind) {
        let Shelf { taken, .. } = &mut self.shelves[kind.index()];
        *taken = taken.wrapping_sub(1);
    }

    /// All idle events but those of other threads, which are the caller's now.
    pub(super) fn clear(&mut self, magazines: Option<&Magazines>) -> Vec<RawEvent> {
        let mut idle = Vec::new();
        for kind in Kind::all() {
            idle.append(&mut self.shelves[kind.index()].events);
            if let Some(magazines) = magazines {
                magazines.of(kind).empty(0, &mut idle);
            }
        }
        idle.into_iter().map(|Idle(event)| event.into_inner()).collect()
    }

    /// The context has died: nobody takes or gives any more, and what is given yet is forgotten.
    pub(super) fn end(&mut self) {
        self.is_over = true;
        self.forget_if_over();
    }

    /// The same, where this is true of the context.
    pub(super) fn end_where(has_died: impl Fn(NonZeroU32) -> bool) {
        locked(&DEPOTS).iter().filter(|(number, _)| has_died(*number)).for_each(|(_, depot)| locked(depot).end());
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for kind in Kind::all() {
            let Shelf { events, created, taken } = &self.shelves[kind.index()];
            counts.created += created;
            counts.taken = counts.taken.wrapping_add(*taken);
            counts.idle += events.len();
            for magazines in &self.magazines {
                counts.taken = counts.taken.wrapping_add(magazines.of(kind).taken());
                counts.idle += magazines.of(kind).len();
            }
        }
        // What threads have at hand yet, they never use.
        counts.idle *= usize::from(!self.is_over);
        counts
    }

    fn forget_if_over(&mut self) {
        if self.is_over {
            self.shelves.iter_mut().for_each(|shelf| shelf.events = Vec::new());
        }
    }
}
