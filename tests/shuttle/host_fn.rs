//! Host functions: tickets and outcomes, compiled from the crate's own files, between a launching thread, a driver that
//! calls more than once, and others who give up, wait, poll and detach.

#![allow(dead_code, reason = "a part of each file is for the driver, which is not here")]

#[path = "../../src/host_fn/outcome.rs"]
mod outcome;
#[path = "../../src/host_fn/tickets.rs"]
mod tickets;

/// What the files take from `std` in the crate.
mod sync {
    pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub(super) use std::sync::PoisonError;
}

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use outcome::Outcome;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use shuttle::{check_pct, check_random, thread};
use tickets::{Ticket, Tickets};

const ORDERS: usize = 4_000;
/// How many places of a run PCT changes its mind in.
const DEPTH: usize = 3;

fn explore(program: fn()) {
    check_random(program, ORDERS);
    check_pct(program, ORDERS, DEPTH);
}

/// What a thread has for the driver: a number.
#[derive(Clone, Copy)]
struct Raw(*mut c_void);

// SAFETY: a number.
unsafe impl Send for Raw {}

/// A function with its number, and how often it has run and been dropped.
struct Function {
    number: usize,
    fates: Arc<[Fate]>,
    outcome: Arc<Outcome<usize>>,
}

#[derive(Default)]
struct Fate {
    runs: AtomicUsize,
    drops: AtomicUsize,
}

impl Function {
    fn run(self) {
        self.fates[self.number].runs.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        self.outcome.fill(self.number);
    }

    fn give_up(self) {
        self.outcome.fill(usize::MAX);
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Something was found, and no other thread is to run before it is told.
            return;
        }
        let before = self.fates[self.number].drops.fetch_add(1, Ordering::SeqCst);
        assert_eq!(before, 0, "function {} is freed twice", self.number);
    }
}

/// What the threads of a program share.
struct Shared {
    tickets: Tickets<Function>,
    fates: Arc<[Fate]>,
    outcomes: [Arc<Outcome<usize>>; COUNT],
    /// The ticket given out last, for each place. No lock: one that is held while a thread beside it panics is poisoned, and
    /// the next panic would hide what was found.
    newest: [AtomicUsize; COUNT],
}

const COUNT: usize = 3;

impl Shared {
    fn function(&self, number: usize) -> Function {
        Function { number, fates: self.fates.clone(), outcome: self.outcomes[number].clone() }
    }
}

/// How the driver finds a function when it calls with the ticket of this number.
type Find = fn(&Shared, usize, usize) -> Option<Function>;

fn find(shared: &Shared, ticket: usize, _number: usize) -> Option<Function> {
    shared.tickets.take(Ticket::from_raw(ptr::without_provenance_mut(ticket)))
}

/// The place in the table that a ticket is for.
fn place(ticket: usize) -> usize {
    ticket & ((1 << (usize::BITS / 2)) - 1)
}

/// A driver calls with each ticket twice, as of a graph that has captured it, while others are launched and given up:
/// each function runs or is given up, once, and no call runs the function of another ticket.
fn driver_calls_twice(find: Find) {
    let shared = Arc::new(Shared {
        tickets: Tickets::new(),
        fates: (0..COUNT).map(|_| Fate::default()).collect(),
        outcomes: std::array::from_fn(|_| Arc::new(Outcome::new())),
        newest: Default::default(),
    });
    let launch = |number: usize| {
        let (ticket, _) = shared.tickets.put(shared.function(number)).unwrap();
        let ticket = ticket.to_raw().addr();
        shared.newest[place(ticket)].store(ticket, Ordering::SeqCst);
        let shared = shared.clone();
        let driver = thread::spawn(move || {
            for _ in 0..2 {
                if let Some(function) = find(&shared, ticket, number) {
                    assert_eq!(function.number, number, "a call runs another function, whose turn it is not");
                    function.run();
                }
                thread::yield_now();
            }
        });
        // Its place is free for the next by now, or not.
        thread::yield_now();
        (ticket, driver)
    };
    let launched = [0, 1, 2].map(launch);
    for (ticket, _) in [&launched[0], &launched[2]] {
        shared.tickets.take(Ticket::from_raw(ptr::without_provenance_mut(*ticket))).into_iter().for_each(Function::give_up);
    }
    launched.into_iter().for_each(|(_, driver)| driver.join().unwrap());
    for (number, fate) in shared.fates.iter().enumerate() {
        let result = shared.outcomes[number].take().expect("it has run, or was given up");
        let (runs, drops) = (fate.runs.load(Ordering::SeqCst), fate.drops.load(Ordering::SeqCst));
        assert_eq!((runs, drops), (usize::from(result == number), 1), "function {number}");
    }
}

#[test]
fn a_function_runs_or_is_given_up_and_once() {
    explore(|| driver_calls_twice(find));
}

/// What the generation is for: a call that looks at the place alone finds who is there now.
#[test]
#[should_panic(expected = "a call runs another function")]
fn a_planted_call_that_checks_no_generation_is_found() {
    explore(|| {
        driver_calls_twice(|shared, ticket, number| {
            let newest = shared.newest[place(ticket)].load(Ordering::SeqCst);
            find(shared, newest, number)
        });
    });
}

/// What taking out is for: a call that finds what runs once as it finds what a graph shares leaves it to the next, and to
/// who gives it up.
#[test]
#[should_panic(expected = "is freed twice")]
fn a_planted_double_free_is_found() {
    explore(|| {
        driver_calls_twice(|shared, ticket, _| {
            let ticket = Ticket::from_raw(ptr::without_provenance_mut(ticket));
            shared.tickets.copy_or_take(ticket, |function| Some(shared.function(function.number)))
        });
    });
}

/// Those that are wanted are taken out while others run and launch.
#[test]
fn a_sweep_takes_nothing_twice() {
    explore(|| {
        let tickets = Arc::new(Tickets::new());
        let fates: Arc<[Fate]> = (0..4).map(|_| Fate::default()).collect();
        let put = |tickets: &Tickets<Function>, number| {
            let function = Function { number, fates: fates.clone(), outcome: Arc::new(Outcome::new()) };
            Raw(tickets.put(function).unwrap().0.to_raw())
        };
        let raws = [0, 1].map(|number| put(&tickets, number));
        let driver = thread::spawn({
            let tickets = tickets.clone();
            move || {
                let raws = raws;
                for raw in raws {
                    tickets.take(Ticket::from_raw(raw.0)).into_iter().for_each(Function::run);
                }
            }
        });
        let sweeper = thread::spawn({
            let tickets = tickets.clone();
            move || tickets.take_all(|function| function.number != 2).into_iter().for_each(Function::give_up)
        });
        let late = [2, 3].map(|number| put(&tickets, number));
        driver.join().unwrap();
        sweeper.join().unwrap();
        for raw in late {
            tickets.take(Ticket::from_raw(raw.0)).into_iter().for_each(Function::run);
        }
        assert!(fates.iter().all(|fate| fate.drops.load(Ordering::SeqCst) == 1 && fate.runs.load(Ordering::SeqCst) <= 1));
        assert_eq!(fates[2].runs.load(Ordering::SeqCst), 1, "which was not wanted");
    });
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A result is told to who waits and to who polls; a wake-up that is lost is a deadlock.
#[test]
fn nobody_misses_the_result() {
    explore(|| {
        let outcomes = [(); 2].map(|()| Arc::new(Outcome::new()));
        let fillers = outcomes.clone().map(|outcome| thread::spawn(move || assert_eq!(outcome.fill(7), None)));
        let [waited, polled] = outcomes;
        let waiter = thread::spawn(move || {
            while waited.wait(Duration::MAX) {}
            assert_eq!(waited.take(), Some(7));
        });
        // Two wakers: a future moves from task to task.
        let wakers = [(); 2].map(|()| Arc::new(Woken(AtomicBool::new(false))));
        let [first, last] = &wakers;
        let result = match polled.poll(&Waker::from(first.clone())) {
            Poll::Ready(result) => result,
            Poll::Pending => match polled.poll(&Waker::from(last.clone())) {
                Poll::Ready(result) => result,
                Poll::Pending => {
                    while !last.0.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                    polled.take()
                }
            },
        };
        assert_eq!(result, Some(7));
        waiter.join().unwrap();
        fillers.into_iter().for_each(|filler| filler.join().unwrap());
    });
}

/// Of the function and who gives it up one has the last word; of the result and who detaches, one has the result.
#[test]
fn a_result_is_had_by_one() {
    explore(|| {
        let outcome = Arc::new(Outcome::new());
        let fillers = [1, 2].map(|result| {
            let outcome = outcome.clone();
            thread::spawn(move || outcome.fill(result).is_none())
        });
        let taken = outcome.take().or_else(|| outcome.detach());
        let kept = fillers.into_iter().map(|filler| filler.join().unwrap()).filter(|kept| *kept).count();
        assert_eq!(kept, usize::from(taken.is_some()), "a result is lost, or had twice");
        assert!(!outcome.is_pending() && outcome.take().is_none());
    });
}
