//! Threads that record and query one event, as the crate does it, with a model of the driver's.

#![allow(dead_code, reason = "not all of it is used under shuttle")]

use std::sync::Arc;

use crate::sync::{Data, Mutex, thread};
use crate::word::Word;

/// How often an event is recorded at most.
const RECORDS: usize = 4;

/// The driver's event: calls take turns, as they do on the lock of its context. Records are of different streams, so
/// that the work of a later one may be done first.
#[derive(Default)]
struct Driver {
    turn: Mutex<()>,
    /// Not a thing of the explored threads, which see it in its turn; the tests see it at any time.
    records: std::sync::Mutex<Vec<Record>>,
    /// What the work before each record writes.
    data: [Data; RECORDS],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Record {
    Pending,
    Done,
}

impl Driver {
    /// What it has, at this moment.
    fn records(&self) -> std::sync::MutexGuard<'_, Vec<Record>> {
        self.records.lock().expect("no thread panics while it has the lock")
    }

    /// The number of the record.
    fn record(&self) -> usize {
        let _turn = self.turn.lock();
        let mut records = self.records();
        records.push(Record::Pending);
        records.len() - 1
    }

    /// Whether the work of the last record is done.
    fn query(&self) -> bool {
        let _turn = self.turn.lock();
        self.records().last().is_none_or(|last| *last == Record::Done)
    }

    /// The device does the work of this record, if it has been made.
    fn finish(&self, number: usize) {
        let _turn = self.turn.lock();
        if let Some(record) = self.records().get_mut(number) {
            self.data[number].write();
            *record = Record::Done;
        }
    }
}

/// An event, which is recorded and queried as the crate's are.
pub struct Event {
    word: Word,
    driver: Driver,
    order: Order,
}

/// In which order the driver and the word are asked and told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The driver records, and the word is told after; the word is read, and the driver asked after.
    Right,
    /// Planted: the word is told first that there is a record.
    MarkFirst,
    /// Planted: the driver is asked first.
    AskFirst,
}

impl Event {
    fn new(order: Order) -> Arc<Self> {
        Self::of(Word::new(), Driver::default(), order)
    }

    /// Recorded before anybody else has it.
    fn recorded(order: Order) -> Arc<Self> {
        let driver = Driver::default();
        driver.record();
        Self::of(Word::recorded(), driver, order)
    }

    fn of(word: Word, driver: Driver, order: Order) -> Arc<Self> {
        // The first access, which the accesses of other threads must come after.
        word.load();
        Arc::new(Self { word, driver, order })
    }

    /// The number of the record.
    fn record(&self) -> usize {
        let mut number = None;
        if self.order == Order::MarkFirst {
            self.word.record(|| Ok::<_, ()>(())).unwrap();
        } else {
            let record = || {
                number = Some(self.driver.record());
                Ok::<_, ()>(())
            };
            self.word.record(record).unwrap();
        }
        number.unwrap_or_else(|| self.driver.record())
    }

    fn query(&self) -> bool {
        let asked = (self.order == Order::AskFirst).then(|| self.driver.query());
        let seen = self.word.load();
        if !seen.is_recorded() || seen.is_complete() {
            return true;
        }
        let ask = || if asked.unwrap_or_else(|| self.driver.query()) { Ok(()) } else { Err("not ready") };
        self.word.ask(seen, ask).is_ok()
    }

    /// Queries after the record of this number has returned: if the answer is yes, the work of a record that is not
    /// older is done.
    fn query_after(&self, number: usize) -> bool {
        let is_done = self.query();
        assert!(!is_done || self.driver.records()[number..].contains(&Record::Done), "complete, and its work is not done");
        is_done
    }

    /// Queries, when nobody records any more.
    fn query_last(&self) {
        let is_done = self.query();
        let last = self.driver.records().last().copied();
        assert!(!is_done || last == Some(Record::Done), "complete, and its work is not done, which is the last");
        assert_eq!(is_done, last == Some(Record::Done), "its work is done, and it is not complete");
        assert_eq!(is_done, self.word.load().is_complete(), "what the driver has said is remembered");
    }
}

/// One thread records an event again, and asks, while another asks and the device works.
pub fn record_again(order: Order) {
    let event = Event::recorded(order);
    let recorder = spawn(&event, |event| {
        let number = event.record();
        if event.query_after(number) {
            event.driver.data[number].check();
        }
    });
    let asker = spawn(&event, |event| {
        event.query();
        event.query();
    });
    event.driver.finish(0);
    event.driver.finish(1);
    recorder.join().unwrap();
    asker.join().unwrap();
    event.query_last();
}

/// Threads record an event that nobody has recorded before, while another asks and the device works.
pub fn recorders<const COUNT: usize>(order: Order) {
    let event = Event::new(order);
    let recorders = [(); COUNT].map(|()| {
        spawn(&event, |event| {
            event.record();
        })
    });
    event.driver.finish(0);
    event.query();
    event.driver.finish(1);
    recorders.into_iter().for_each(|recorder| recorder.join().unwrap());
    event.query_last();
}

/// Threads that do not record ask: who is told that the work is done sees what it wrote, whoever asked the driver.
pub fn askers() {
    let event = Event::recorded(Order::Right);
    let askers = [(); 2].map(|()| {
        spawn(&event, |event| {
            if event.query() {
                event.driver.data[0].check();
            }
        })
    });
    event.driver.finish(0);
    askers.into_iter().for_each(|asker| asker.join().unwrap());
    event.query_last();
}

fn spawn(event: &Arc<Event>, work: impl FnOnce(&Event) + Send + 'static) -> thread::JoinHandle<()> {
    let event = event.clone();
    thread::spawn(move || work(&event))
}
