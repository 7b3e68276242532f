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
    /// What a thread has at hand. The number of a context says its place, and where that is another's, it has one of the others
    /// until it is used again. Without a destructor: a thread-local that has one asks, each time, whether it has run.
    static AT_HAND: [Place; PLACES] = const { [const { Cell::new(None) }; PLACES] };
}

thread_local! {
    static LEAVING: Leaving = const { Leaving };
}

#[derive(Clone, Copy)]
struct Slot {
    context: NonZeroU32,
    /// From 1, a greater number than those of the slots that were there before.
    joined: u32,
    magazines: &'static Magazines,
}

impl Slot {
    fn leave(self) {
        self.magazines.depot().leave(self.magazines);
    }
}

/// Gives back what the thread has at hand when it ends.
struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        if !exceptions::is_forked() {
            AT_HAND.with(|places| places.iter().filter_map(Cell::take).for_each(Slot::leave));
        }
    }
}

#[inline]
fn place(places: &[Place; PLACES], context: NonZeroU32) -> &Place {
    &places[context.get() as usize % PLACES]
}

/// The thread's magazines for the context, if they are in its place.
#[inline]
fn in_place(context: NonZeroU32) -> Option<&'static Magazines> {
    AT_HAND.with(|places| place(places, context).get()).filter(|slot| slot.context == context).map(|slot| slot.magazines)
}

/// The thread's magazines for the context, if it has any: in its place from now on.
#[inline]
fn at_hand(context: NonZeroU32) -> Option<&'static Magazines> {
    in_place(context).or_else(|| elsewhere(context))
}

#[cold]
fn elsewhere(context: NonZeroU32) -> Option<&'static Magazines> {
    AT_HAND.with(|places| {
        let its = places.iter().find(|place| place.get().is_some_and(|slot| slot.context == context))?;
        its.swap(place(places, context));
        in_place(context)
    })
}

/// Magazines for the context, of which the thread has none. `None` while the thread ends: then it has given back what it had.
#[cold]
fn join(context: NonZeroU32) -> Option<&'static Magazines> {
    LEAVING.try_with(|_| ()).ok()?;
    let magazines = Depot::join(context);
    let left = AT_HAND.with(|places| {
        let (home, joined) = (place(places, context), |place: &&Place| place.get().map_or(0, |slot| slot.joined));
        let last = places.iter().map(|place| joined(&place)).max().unwrap_or(0);
        // One that is free, or the oldest: were it its own, two contexts could make each other leave again and again.
        let free = places.iter().min_by_key(joined).unwrap_or(home);
        let left = free.take();
        free.swap(home);
        home.set(Some(Slot { context, joined: last.saturating_add(1), magazines }));
        left
    });
    left.into_iter().for_each(Slot::leave);
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
        None => Depot::of(context)?.take(kind, None),
    }
}

/// Keeps an event that nobody uses, of this context, at hand; false if there is no place.
#[inline]
pub(super) fn keep(context: NonZeroU32, kind: Kind, event: RawEvent) -> bool {
    in_place(context).is_some_and(|magazines| magazines.of(kind).push(event))
}

/// Takes an event that nobody uses, of this context. Not in a forked child.
#[cold]
pub(super) fn give(context: NonZeroU32, kind: Kind, event: RawEvent) {
    match at_hand(context).or_else(|| join(context)) {
        Some(magazines) if magazines.of(kind).push(event) => {}
        Some(magazines) => magazines.depot().give(kind, event, Some(magazines.of(kind))),
        None => Depot::of_or_new(context).give(kind, event, None),
    }
}

/// An event was created, because there was none. Whether it is the first of the context.
pub(super) fn created(context: NonZeroU32, kind: Kind) -> bool {
    at_hand(context).map_or_else(|| Depot::of_or_new(context), Magazines::depot).created(kind)
}

/// An event that was taken has been given back, and nobody has used it.
pub(super) fn given_back(context: NonZeroU32, kind: Kind) {
    if let Some(mut depot) = Depot::of(context) {
        depot.given_back(kind);
    }
}

/// All idle events of the context but those that other threads have at hand; they are the caller's from now on.
pub(super) fn clear(context: NonZeroU32) -> Vec<RawEvent> {
    Depot::of(context).map_or_else(Vec::new, |mut depot| depot.clear(at_hand(context)))
}

/// The context has died, and its events with it.
#[cold]
pub(super) fn forget(context: NonZeroU32) {
    clear(context);
    if let Some(mut depot) = Depot::of(context) {
        depot.end();
    }
}

/// The contexts of which this is true have died, and their events with them.
pub(super) fn forget_where(has_died: impl Fn(NonZeroU32) -> bool) {
    Depot::end_where(has_died);
}

/// How many events were created, how often one was used again, and how many are idle.
pub(super) fn counts(context: NonZeroU32) -> (u64, u64, usize) {
    let counts = Depot::of(context).map(|depot| depot.counts()).unwrap_or_default();
    (counts.created, counts.taken, counts.idle)
}
