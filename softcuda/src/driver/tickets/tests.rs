//! Pages of one process, which may map one several times.

use std::thread;

use super::super::ipc_handle;
use super::*;

/// The pages of two who share an event.
fn both() -> [Arc<Tickets>; 2] {
    let (own, token) = (Peer::own().unwrap(), ipc_handle::token());
    let (first, file) = Tickets::new(own, token).unwrap();
    assert!(Tickets::of(own, own, file.descriptor(), token ^ 2).is_none(), "another page");
    let second = Tickets::of(own, own, file.descriptor(), token).unwrap();
    [first, second].map(Arc::new)
}

/// A process that was there before this one.
fn gone(number: u64) -> Peer {
    Peer::from_word((1 << 22) + number).unwrap()
}

fn of(tickets: &Arc<Tickets>, ticket: Ticket) -> Foreign {
    Foreign { tickets: Arc::clone(tickets), ticket }
}

#[test]
fn a_record_is_pending_until_it_is_dropped() {
    let [here, there] = both();
    assert_eq!(there.last(), Ticket::NONE);
    assert!(of(&there, Ticket::NONE).is_done());
    let first = here.record().unwrap();
    let second = there.record().unwrap();
    assert_eq!((here.last(), there.last()), (second.ticket(), second.ticket()));
    let seen = [&first, &second].map(|record| of(&there, record.ticket()));
    drop(second);
    assert_eq!(seen.each_ref().map(Foreign::is_done), [false, true]);
    drop(first);
    assert_eq!(seen.each_ref().map(Foreign::is_done), [true, true]);
}

#[test]
fn a_wait_ends_with_the_record() {
    let [here, there] = both();
    let record = here.record().unwrap();
    let seen = of(&there, record.ticket());
    assert!(!seen.wait(Duration::from_millis(1)));
    thread::scope(|scope| {
        // It would sleep for ever if nobody woke it.
        let waits = scope.spawn(|| seen.wait(Duration::from_secs(1000)));
        while here.page().sleepers.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        drop(record);
        assert!(waits.join().unwrap());
    });
}

#[test]
fn tickets_of_a_process_that_is_gone_are_done() {
    let [here, there] = both();
    let ticket = here.page().take(gone(1)).unwrap();
    let seen = of(&there, ticket);
    assert!(!seen.is_said_done());
    assert!(seen.is_done() && seen.is_said_done(), "and everybody knows");
}

#[test]
fn slots_and_places_of_processes_that_are_gone_are_used_again() {
    let [here, _there] = both();
    let page = here.page();
    for number in 0..OWNERS as u64 {
        for _ in 0..SLOTS / OWNERS {
            assert!(page.take(gone(number + 1)).is_ok());
        }
    }
    assert!(page.tickets().count() == SLOTS);
    assert_eq!(here.record().unwrap_err(), NoRoom::Processes, "nobody has looked for them");
    assert!(here.needs_room());
    let record = |_| {
        if here.needs_room() {
            here.make_room();
        }
        here.record().unwrap()
    };
    let records: Vec<Pending> = (0..SLOTS).map(record).collect();
    here.make_room();
    assert_eq!(here.record().unwrap_err(), NoRoom::Records, "all are pending, and their process is there");
    let last = here.last();
    drop(records);
    assert!(of(&here, last).is_done());
    assert!(!here.needs_room() && here.record().is_ok());
}

#[test]
fn a_place_that_was_being_taken_over_can_be() {
    let [here, _there] = both();
    for owner in &here.page().owners {
        owner.store(gone(1).to_word() | TAKES_OVER, Ordering::SeqCst);
    }
    here.make_room();
    assert!(here.record().is_ok());
}

/// A process is asked after once its ticket was seen: one that takes the place of another while somebody makes room keeps
/// what it records.
#[test]
fn room_is_made_of_no_record_of_who_took_a_place_over() {
    const ROUNDS: usize = 200;
    let [here, _there] = both();
    let page = here.page();
    let own = Peer::own().unwrap();
    for _ in 0..ROUNDS {
        page.owners[0].store(gone(1).to_word(), Ordering::SeqCst);
        let left = page.take_slot(0).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| page.clear_abandoned());
            assert!(page.take_over(0, own.to_word()));
            assert!(page.is_done(left));
            let ticket = page.take_slot(0).unwrap();
            page.clear_abandoned();
            assert!(!page.is_done(ticket), "its process is there");
            page.finish(ticket);
        });
    }
}

/// Threads as processes: every record of each is seen done after it was dropped and not before.
#[test]
fn records_of_many_at_once_are_told_apart() {
    const ROUNDS: usize = 2000;
    let pages = both();
    thread::scope(|scope| {
        for page in pages.iter().chain(&pages) {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let (first, second) = (page.record().unwrap(), page.record().unwrap());
                    let seen = [&first, &second].map(|record| of(page, record.ticket()));
                    assert_eq!(seen.each_ref().map(Foreign::is_said_done), [false; 2]);
                    thread::yield_now();
                    drop(first);
                    assert_eq!(seen.each_ref().map(Foreign::is_said_done), [true, false]);
                    drop(second);
                    assert!(seen[1].is_said_done());
                }
            });
        }
    });
    assert_eq!(pages[0].page().tickets().count(), 0);
}
