//! Records of an event that several processes share: a page that each of them maps.
//!
//! Each record has a ticket, which stands in a slot of the page until the work before the record is done. The last
//! ticket is what a query or a wait of any process is for. A process that ends does no work any more: its tickets
//! count as done, and who waits for one looks now and then whether its process lives.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::memory_file::{Mapping, MemoryFile};
use super::os;
use super::peer::Peer;

const NAME: &CStr = c"softcuda-event";
const OWNERS: usize = 1 << 8;
const SLOTS: usize = 1 << 12;
const OWNER_SHIFT: u32 = SLOTS.trailing_zeros();
const SERIAL_SHIFT: u32 = OWNER_SHIFT + OWNERS.trailing_zeros();

/// A record of some process. It says its slot and its owner's place, and is never another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Ticket {
    /// None: nothing was recorded, and nothing is to be waited for.
    pub(super) const NONE: Self = Self(0);

    fn slot(self) -> usize {
        place(self.0, SLOTS)
    }

    fn owner(self) -> usize {
        place(self.0 >> OWNER_SHIFT, OWNERS)
    }
}

/// The place among `count` that the low bits say.
fn place(word: u64, count: usize) -> usize {
    usize::try_from(word % count as u64).unwrap_or(0)
}

/// What is in the page: numbers that every process changes by atomic operations, zero at first.
#[derive(Debug)]
#[repr(C)]
struct Page {
    /// Whose page this is; a handle says the same.
    token: AtomicU64,
    /// The ticket of the last record.
    last: AtomicU64,
    /// The last serial number of a ticket.
    serial: AtomicU64,
    /// Moves when a ticket is done while somebody sleeps, who sleeps at this word.
    told: AtomicU32,
    sleepers: AtomicU32,
    /// Processes that have recorded, as numbers; marked while one takes the place of another.
    owners: [AtomicU64; OWNERS],
    slots: [AtomicU64; SLOTS],
}

const BYTES: usize = size_of::<Page>().next_multiple_of(os::PAGE);
/// Above what the number of a process has.
const TAKES_OVER: u64 = 1 << 63;

impl Page {
    fn is_done(&self, ticket: Ticket) -> bool {
        ticket == Ticket::NONE || self.slots[ticket.slot()].load(Ordering::SeqCst) != ticket.0
    }

    /// The ticket is done. Whoever sleeps looks again.
    fn finish(&self, ticket: Ticket) {
        let slot = &self.slots[ticket.slot()];
        let done = slot.compare_exchange(ticket.0, 0, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        if done && self.sleepers.load(Ordering::SeqCst) > 0 {
            self.told.fetch_add(1, Ordering::SeqCst);
            os::wake(&self.told);
        }
    }

    /// Whether the process of a ticket is gone.
    fn is_abandoned(&self, ticket: Ticket) -> bool {
        is_gone(self.owners[ticket.owner()].load(Ordering::SeqCst))
    }

    /// A new ticket of a process, in a slot.
    fn take(&self, peer: Peer) -> Result<Ticket, NoRoom> {
        let owner = self.enter(peer).ok_or(NoRoom::Processes)?;
        self.take_slot(owner).ok_or(NoRoom::Records)
    }

    /// Makes room where there is none for a ticket of a process: what processes have left that are gone is done. Files are
    /// read for that.
    fn make_room(&self, peer: Peer) {
        if self.enter(peer).is_none() {
            (0..OWNERS).any(|place| self.take_over(place, peer.to_word()));
        }
        if self.is_full() {
            self.clear_abandoned();
        }
    }

    fn is_full(&self) -> bool {
        self.slots.iter().all(|slot| slot.load(Ordering::Relaxed) != 0)
    }

    fn take_slot(&self, owner: usize) -> Option<Ticket> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed) + 1;
        // Processes begin apart from each other, and use few slots again and again.
        (0..SLOTS).map(|step| (owner * (SLOTS / OWNERS) + step) % SLOTS).find_map(|place| {
            let ticket = serial << SERIAL_SHIFT | (owner as u64) << OWNER_SHIFT | place as u64;
            let slot = &self.slots[place];
            let is_free = slot.load(Ordering::Relaxed) == 0;
            let is_taken = is_free && slot.compare_exchange(0, ticket, Ordering::SeqCst, Ordering::Relaxed).is_ok();
            is_taken.then_some(Ticket(ticket))
        })
    }

    /// The place of a process: the one that it has, or a free one.
    fn enter(&self, peer: Peer) -> Option<usize> {
        let own = peer.to_word();
        let mut places = self.owners.iter();
        places.position(|owner| {
            let found = owner.load(Ordering::SeqCst);
            found == own || (found == 0 && owner.compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst).is_ok())
        })
    }

    /// Takes the place of a process that is gone, once its tickets are done: a new one of that place is not
    /// to be mistaken for one of its.
    fn take_over(&self, place: usize, own: u64) -> bool {
        let owner = &self.owners[place];
        let found = owner.load(Ordering::SeqCst);
        if !is_gone(found) || owner.compare_exchange(found, own | TAKES_OVER, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return false;
        }
        for ticket in self.tickets().filter(|ticket| ticket.owner() == place) {
            self.finish(ticket);
        }
        owner.store(own, Ordering::SeqCst);
        true
    }

    /// Finishes what processes have left that are gone. Whose a ticket is, is asked after it was seen: its place may be
    /// another's by then, who has finished it before, and tickets of that one are not to be taken for it.
    fn clear_abandoned(&self) {
        let mut known = BTreeMap::new();
        for ticket in self.tickets() {
            let owner = self.owners[ticket.owner()].load(Ordering::SeqCst);
            if *known.entry(owner).or_insert_with(|| is_gone(owner)) {
                self.finish(ticket);
            }
        }
    }

    fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.slots.iter().map(|slot| Ticket(slot.load(Ordering::SeqCst))).filter(|ticket| *ticket != Ticket::NONE)
    }
}

/// Whether the process of a place is gone.
fn is_gone(owner: u64) -> bool {
    Peer::from_word(owner & !TAKES_OVER).is_none_or(Peer::is_gone)
}

/// Why there is no room for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// Too many processes have recorded that are there.
    Processes,
    /// Too many records are pending.
    Records,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processes => write!(f, "more than {OWNERS} processes record an event"),
            Self::Records => write!(f, "more than {SLOTS} records of an event of several processes are pending"),
        }
    }
}

/// A page that this process maps.
#[derive(Debug)]
pub(super) struct Tickets {
    mapping: Mapping,
    own: Peer,
}

impl Tickets {
    /// A page of an event that is exported, and the file by which others find it, as long as that is open. `token` tells
    /// it from all others.
    pub(super) fn new(own: Peer, token: u64) -> io::Result<(Self, MemoryFile)> {
        let file = MemoryFile::new(NAME, BYTES)?;
        let tickets = Self { mapping: file.map(0, BYTES)?, own };
        tickets.page().token.store(token, Ordering::SeqCst);
        Ok((tickets, file))
    }

    /// The page that another process has exported.
    pub(super) fn of(own: Peer, peer: Peer, descriptor: u32, token: u64) -> Option<Self> {
        let file = MemoryFile::of(peer, descriptor, NAME, BYTES)?;
        let tickets = Self { mapping: file.map(0, BYTES).ok()?, own };
        (tickets.page().token.load(Ordering::SeqCst) == token).then_some(tickets)
    }

    fn page(&self) -> &Page {
        // SAFETY: mapped as long as this is there, at a page, as long as a `Page`, which is made of atomics: any bytes
        // are some, and every process changes them by atomic operations.
        unsafe { self.mapping.start().cast::<Page>().as_ref() }
    }

    /// What tells it from all others.
    pub(super) fn token(&self) -> u64 {
        self.page().token.load(Ordering::SeqCst)
    }

    /// The last record of any process.
    pub(super) fn last(&self) -> Ticket {
        Ticket(self.page().last.load(Ordering::SeqCst))
    }

    /// Whether a record may find room only by `make_room`.
    pub(super) fn needs_room(&self) -> bool {
        self.page().is_full() || self.page().enter(self.own).is_none()
    }

    /// Takes back what processes have that are gone, for which files are read.
    pub(super) fn make_room(&self) {
        self.page().make_room(self.own);
    }

    /// A record of this process, which is the last from now on.
    pub(super) fn record(self: &Arc<Self>) -> Result<Pending, NoRoom> {
        let ticket = self.page().take(self.own)?;
        self.page().last.store(ticket.0, Ordering::SeqCst);
        Ok(Pending(Foreign { tickets: Arc::clone(self), ticket }))
    }
}

/// A record of this process that is not done: dropped, it is.
#[derive(Debug)]
pub(super) struct Pending(Foreign);

impl Pending {
    pub(super) fn ticket(&self) -> Ticket {
        self.0.ticket
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.tickets.page().finish(self.0.ticket);
    }
}

/// A record of whichever process.
#[derive(Clone, Debug)]
pub(super) struct Foreign {
    pub(super) tickets: Arc<Tickets>,
    pub(super) ticket: Ticket,
}

/// How often the page is looked at before the thread sleeps in between.
const EAGER_LOOKS: u32 = 64;

impl Foreign {
    /// Whether its work is done, as far as its process has said so.
    pub(super) fn is_said_done(&self) -> bool {
        self.tickets.page().is_done(self.ticket)
    }

    /// Whether its work is done, or its process gone, for which a file is read.
    pub(super) fn is_done(&self) -> bool {
        if self.is_said_done() {
            return true;
        }
        let page = self.tickets.page();
        let is_abandoned = page.is_abandoned(self.ticket);
        if is_abandoned {
            page.finish(self.ticket);
        }
        is_abandoned
    }

    /// Waits for it, about as long as that; whether it is done.
    pub(super) fn wait(&self, patience: Duration) -> bool {
        for _ in 0..EAGER_LOOKS {
            if self.is_said_done() {
                return true;
            }
            std::thread::yield_now();
        }
        let page = self.tickets.page();
        page.sleepers.fetch_add(1, Ordering::SeqCst);
        let seen = page.told.load(Ordering::SeqCst);
        if !self.is_said_done() {
            os::wait(&page.told, seen, patience);
        }
        page.sleepers.fetch_sub(1, Ordering::SeqCst);
        self.is_done()
    }
}

#[cfg(test)]
#[cfg(not(any(miri, softcuda_shuttle)))]
mod tests;
