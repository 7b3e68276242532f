//! Tickets: what the driver is given in the place of an address. It may call with one twice, or when what it stands
//! for is gone: then there is nothing to be found.

use std::ffi::c_void;
use std::ptr;

use super::sync::{Mutex, MutexGuard, PoisonError};

/// A place in a table and which of those that were there in turn. Never given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(usize);

impl Ticket {
    const HALF: u32 = usize::BITS / 2;
    const LAST: usize = (1 << Self::HALF) - 1;

    fn new(place: usize, generation: usize) -> Self {
        Self(generation << Self::HALF | place)
    }

    fn place(self) -> usize {
        self.0 & Self::LAST
    }

    /// As the driver has it: a number.
    pub(super) fn to_raw(self) -> *mut c_void {
        ptr::without_provenance_mut(self.0)
    }

    pub(super) fn from_raw(raw: *mut c_void) -> Self {
        Self(raw.addr())
    }
}

/// What has a ticket. Nothing is dropped under its lock.
pub(super) struct Tickets<T>(Mutex<Places<T>>);

struct Places<T> {
    places: Vec<Place<T>>,
    free: Vec<usize>,
}

struct Place<T> {
    generation: usize,
    content: Option<T>,
}

impl<T> Tickets<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Places { places: Vec::new(), free: Vec::new() }))
    }

    /// Not in a forked child: another thread of its parent may have held the lock.
    fn lock(&self) -> MutexGuard<'_, Places<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ticket for this, and how many there are now; `None` where half of an address does not count as many.
    pub(super) fn put(&self, content: T) -> Option<(Ticket, usize)> {
        let mut table = self.lock();
        let place = match table.free.pop() {
            Some(place) => place,
            None if table.places.len() > Ticket::LAST => return None,
            None => {
                table.places.push(Place { generation: 0, content: None });
                table.places.len() - 1
            }
        };
        table.places[place].content = Some(content);
        let ticket = Ticket::new(place, table.places[place].generation);
        Some((ticket, table.places.len() - table.free.len()))
    }

    /// Takes out what the ticket stands for, if that is still there.
    pub(super) fn take(&self, ticket: Ticket) -> Option<T> {
        let mut table = self.lock();
        table.of(ticket)?;
        table.take(ticket.place())
    }

    /// The copy of what the ticket stands for, if `copy` makes one; else it is taken out.
    pub(super) fn copy_or_take(&self, ticket: Ticket, copy: impl FnOnce(&T) -> Option<T>) -> Option<T> {
        let mut table = self.lock();
        copy(table.of(ticket)?).or_else(|| table.take(ticket.place()))
    }

    /// Takes out everything that is wanted.
    pub(super) fn take_all(&self, is_wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let mut table = self.lock();
        let wanted = |place: &usize| table.places[*place].content.as_ref().is_some_and(&is_wanted);
        let wanted: Vec<usize> = (0..table.places.len()).filter(wanted).collect();
        wanted.into_iter().filter_map(|place| table.take(place)).collect()
    }
}

impl<T> Places<T> {
    fn of(&self, ticket: Ticket) -> Option<&T> {
        let place = self.places.get(ticket.place())?;
        place.content.as_ref().filter(|_| ticket == Ticket::new(ticket.place(), place.generation))
    }

    /// Empties a place, for the next.
    fn take(&mut self, place: usize) -> Option<T> {
        let emptied = &mut self.places[place];
        let content = emptied.content.take();
        // One that has had all its tickets stays empty.
        if emptied.generation < Ticket::LAST {
            emptied.generation += 1;
            self.free.push(place);
        }
        content
    }
}

#[cfg(all(test, not(softcuda_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_taken_once() {
        let tickets = Tickets::new();
        let (first, count) = tickets.put("first").unwrap();
        assert_eq!((tickets.copy_or_take(first, |content| Some(*content)), count), (Some("first"), 1));
        assert_eq!(tickets.take(Ticket::from_raw(first.to_raw())), Some("first"));
        assert_eq!((tickets.take(first), tickets.copy_or_take(first, |_| None)), (None, None));
    }

    #[test]
    fn a_ticket_does_not_find_who_is_in_its_place_next() {
        let tickets = Tickets::new();
        let before = tickets.put("before").unwrap().0;
        tickets.take(before).unwrap();
        let (after, count) = tickets.put("after").unwrap();
        assert_eq!((before.place(), count), (after.place(), 1), "the place is used again");
        assert_eq!((tickets.take(before), tickets.copy_or_take(before, |_| None)), (None, None));
        assert_eq!(tickets.take(after), Some("after"));
    }

    #[test]
    fn what_was_never_a_ticket_finds_nothing() {
        let tickets = Tickets::new();
        tickets.put(()).unwrap();
        for raw in [1, 2, usize::MAX, 1 << Ticket::HALF] {
            assert_eq!(tickets.take(Ticket(raw)), None, "{raw:#x}");
        }
    }

    #[test]
    fn a_place_that_has_had_all_its_tickets_is_not_used_again() {
        let tickets = Tickets::new();
        let first = tickets.put(0).unwrap().0;
        tickets.lock().places[0].generation = Ticket::LAST;
        assert_eq!(tickets.take(first), None);
        let last = Ticket::new(0, Ticket::LAST);
        assert_eq!(tickets.take(last), Some(0));
        assert_eq!(tickets.put(1).unwrap().0.place(), 1);
        assert_eq!(tickets.take(last), None);
    }

    #[test]
    fn those_that_are_wanted_are_taken_out() {
        let tickets = Tickets::new();
        let numbers: Vec<Ticket> = (0..6).map(|number| tickets.put(number).unwrap().0).collect();
        tickets.take(numbers[1]).unwrap();
        assert_eq!(tickets.take_all(|number| number % 2 == 1), [3, 5]);
        assert_eq!(tickets.take(numbers[3]), None);
        assert_eq!(tickets.take(numbers[4]), Some(4));
        assert_eq!(tickets.put(7).unwrap().1, 3);
    }
}
