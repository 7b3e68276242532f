//! Idle events, to be used again: creating and destroying one takes the driver's lock.
//!
//! A thread has some at hand, and shares nothing with others while it makes and drops as many. What it has too many of, and
//! too few, goes to the depot of the context and comes from there, many at once. Nothing here calls the driver.
//!
//! An event may come back while its last record is pending, or in a capture: a wait that was made has its own copy of the
//! mark, and whoever takes the event answers from its word, which says that it was never recorded, until it is.

mod depot;
mod kind;
mod magazine;

use std::cell::Cell;
use std::num::NonZeroU32;

use crate::exceptions;
use crate::handle::RawEvent;
use crate::sync::thread_local;
use depot::{Depot, Magazines};
pub(super) use kind::Kind;

/// How many contexts a thread has events at hand of.
const PLACES: usize = 8;

thread_local! {
    static AT_HAND: AtHand = const { AtHand([const { Cell::new(None) }; PLACES]) };
}

/// What a thread has at hand, by the number of the context.
struct AtHand([Cell<Option<Slot>>; PLACES]);

#[derive(Clone, Copy)]
struct Slot {
    context: NonZeroU32,
    depot: &'static Depot,
    magazines: &'static Magazines,
}

impl AtHand {
    #[inline]
    fn place(&self, context: NonZeroU32) -> &Cell<Option<Slot>> {
        &self.0[context.get() as usize % PLACES]
    }

    #[inline]
    fn slot(&self, context: NonZeroU32) -> Option<Slot> {
        self.place(context).get().filter(|slot| slot.context == context)
    }

    /// The slot of the context, which takes its place from another's.
    #[cold]
    fn join(&self, context: NonZeroU32) -> Slot {
        let depot = Depot::of(context);
        let slot = Slot { context, depot, magazines: depot.join() };
        if let Some(other) = self.place(context).replace(Some(slot)) {
            other.depot.leave(other.magazines);
        }
        slot
    }
}

impl Drop for AtHand {
    fn drop(&mut self) {
        if exceptions::is_forked() {
            return;
        }
        for slot in self.0.iter().filter_map(Cell::take) {
            slot.depot.leave(slot.magazines);
        }
    }
}

/// An event that this thread has at hand.
#[inline]
pub(super) fn take(context: NonZeroU32, kind: Kind) -> Option<RawEvent> {
    AT_HAND.try_with(|at_hand| at_hand.slot(context)?.magazines.of(kind).pop()).ok()?
}

/// An event from the depot, where the thread has none at hand.
#[cold]
pub(super) fn fetch(context: NonZeroU32, kind: Kind) -> Option<RawEvent> {
    let fetched = AT_HAND.try_with(|at_hand| {
        let slot = at_hand.slot(context).unwrap_or_else(|| at_hand.join(context));
        slot.depot.take(kind, Some(slot.magazines.of(kind)))
    });
    // A thread that ends has nothing at hand any more.
    fetched.unwrap_or_else(|_| Depot::of(context).take(kind, None))
}

/// Takes an event that nobody uses, of this context. Not in a forked child.
#[inline]
pub(super) fn give(context: NonZeroU32, kind: Kind, event: RawEvent) {
    let given = AT_HAND.try_with(|at_hand| at_hand.slot(context).is_some_and(|slot| slot.magazines.of(kind).push(event)));
    if given != Ok(true) {
        bring(context, kind, event);
    }
}

#[cold]
fn bring(context: NonZeroU32, kind: Kind, event: RawEvent) {
    let brought = AT_HAND.try_with(|at_hand| match at_hand.slot(context) {
        Some(slot) => slot.depot.give(kind, event, Some(slot.magazines.of(kind))),
        None => {
            at_hand.join(context).magazines.of(kind).push(event);
        }
    });
    if brought.is_err() {
        Depot::of(context).give(kind, event, None);
    }
}

/// An event was created, because there was none.
pub(super) fn created(context: NonZeroU32, kind: Kind) {
    Depot::of(context).created(kind);
}

/// All idle events of the context but those that other threads have at hand; they are the caller's from now on.
pub(super) fn clear(context: NonZeroU32) -> Vec<RawEvent> {
    let cleared = AT_HAND.try_with(|at_hand| Depot::of(context).clear(at_hand.slot(context).map(|slot| slot.magazines)));
    cleared.unwrap_or_else(|_| Depot::of(context).clear(None))
}

/// The context has died, and its events with it.
#[cold]
pub(super) fn forget(context: NonZeroU32) {
    clear(context);
    Depot::of(context).end();
}

/// How many events were created, how often one was used again, and how many are idle.
pub(super) fn counts(context: NonZeroU32) -> (u64, u64, usize) {
    let counts = Depot::of(context).counts();
    (counts.created, counts.taken, counts.idle)
}
