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

type Place = Cell<Option<Slot>>;

thread_local! {
    /// What a thread has at hand, by the number of the context. Without a destructor: a thread-local that has one asks, each
    /// time, whether it has run.
    static AT_HAND: [Place; PLACES] = const { [const { Cell::new(None) }; PLACES] };
}

thread_local! {
    static LEAVING: Leaving = const { Leaving };
}

#[derive(Clone, Copy)]
struct Slot {
    context: NonZeroU32,
    magazines: &'static Magazines,
}

/// Gives back what the thread has at hand when it ends.
struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        if !exceptions::is_forked() {
            AT_HAND.with(|places| places.iter().filter_map(Cell::take).for_each(|slot| slot.magazines.depot().leave(slot.magazines)));
        }
    }
}

#[inline]
fn place(places: &[Place; PLACES], context: NonZeroU32) -> &Place {
    &places[context.get() as usize % PLACES]
}

/// The thread's magazines for the context, if it has any.
#[inline]
fn at_hand(context: NonZeroU32) -> Option<&'static Magazines> {
    AT_HAND.with(|places| place(places, context).get()).filter(|slot| slot.context == context).map(|slot| slot.magazines)
}

/// The thread's magazines for the context, which take the place of another's. `None` while the thread ends: then it has
/// given back what it had.
#[cold]
fn join(context: NonZeroU32) -> Option<&'static Magazines> {
    LEAVING.try_with(|_| ()).ok()?;
    let magazines = Depot::of(context).join();
    let other = AT_HAND.with(|places| place(places, context).replace(Some(Slot { context, magazines })));
    if let Some(Slot { magazines: other, .. }) = other {
        other.depot().leave(other);
    }
    Some(magazines)
}

/// An event that this thread has at hand.
#[inline]
pub(super) fn take(context: NonZeroU32, kind: Kind) -> Option<RawEvent> {
    at_hand(context)?.of(kind).pop()
}

/// An event from the depot, where the thread has none at hand.
#[cold]
pub(super) fn fetch(context: NonZeroU32, kind: Kind) -> Option<RawEvent> {
    match at_hand(context).or_else(|| join(context)) {
        Some(magazines) => magazines.depot().take(kind, Some(magazines.of(kind))),
        None => Depot::of(context).take(kind, None),
    }
}

/// Keeps an event that nobody uses, of this context, at hand; false if there is no place.
#[inline]
pub(super) fn keep(context: NonZeroU32, kind: Kind, event: RawEvent) -> bool {
    at_hand(context).is_some_and(|magazines| magazines.of(kind).push(event))
}

/// Takes an event that nobody uses, of this context. Not in a forked child.
#[cold]
pub(super) fn give(context: NonZeroU32, kind: Kind, event: RawEvent) {
    match at_hand(context).or_else(|| join(context)) {
        Some(magazines) if magazines.of(kind).push(event) => {}
        Some(magazines) => magazines.depot().give(kind, event, Some(magazines.of(kind))),
        None => Depot::of(context).give(kind, event, None),
    }
}

/// An event was created, because there was none. Whether it is the first of the context.
pub(super) fn created(context: NonZeroU32, kind: Kind) -> bool {
    at_hand(context).map_or_else(|| Depot::of(context), Magazines::depot).created(kind)
}

/// An event that was taken was not used: one was created instead.
pub(super) fn replaced(context: NonZeroU32, kind: Kind) {
    Depot::of(context).replaced(kind);
}

/// All idle events of the context but those that other threads have at hand; they are the caller's from now on.
pub(super) fn clear(context: NonZeroU32) -> Vec<RawEvent> {
    Depot::of(context).clear(at_hand(context))
}

/// The context has died, and its events with it.
#[cold]
pub(super) fn forget(context: NonZeroU32) {
    clear(context);
    Depot::of(context).end();
}

/// The contexts of which this is true have died, and their events with them.
pub(super) fn forget_where(has_died: impl Fn(NonZeroU32) -> bool) {
    Depot::all().into_iter().filter(|depot| has_died(depot.context())).for_each(Depot::end);
}

/// How many events were created, how often one was used again, and how many are idle.
pub(super) fn counts(context: NonZeroU32) -> (u64, u64, usize) {
    let counts = Depot::of(context).counts();
    (counts.created, counts.taken, counts.idle)
}
