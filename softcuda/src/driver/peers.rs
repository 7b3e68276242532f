//! Order that goes by way of other processes. What they do nobody sees here: whoever waits for one of them may
//! come after everything that this process has told them of, and a stream that does after anything.

use std::sync::Arc;

use super::codes::{self, Outcome};
use super::handle::{Handle, Kind};
use super::job::Job;
use super::objects::{Event, Point, Serial, Task, Work};
use super::peer_wait::{PATIENCE, PeerWait};
use super::raw::Topic;
use super::scope;
use super::state::{Locked, State, lock};
use super::tickets::{Foreign, Pending, Ticket, Tickets};
use super::{report, worker};

impl Event {
    /// The last record, if another process has made it, or this one by another import.
    pub(super) fn foreign(&self) -> Option<Foreign> {
        let tickets = self.sharing.tickets()?;
        let (last, own) = (tickets.last(), self.record.map_or(Ticket::NONE, |record| record.ticket));
        (last != own).then(|| Foreign { tickets: Arc::clone(tickets), ticket: last })
    }
}

impl State {
    /// The record at a point, if it is not done, tells others when it is.
    pub(super) fn shares_record(&mut self, point: Point, pending: Pending) {
        let Some(stream) = self.streams.get_mut(&point.stream) else { return };
        let index = point.position.checked_sub(stream.begun() + 1).and_then(|index| usize::try_from(index).ok());
        if let Some(Task { work: Work::Record { shared, .. }, .. }) = index.and_then(|index| stream.queue.get_mut(index)) {
            *shared = Some(pending);
        }
    }

    /// Other processes may come after the record of an event. Once it is done they may tell the calling thread's scope
    /// of it, by ways that no driver sees.
    pub(super) fn tells_peers_of_record(&mut self, event: Serial) {
        let Some(Event { record: Some(record), moment: Some(moment), .. }) = self.events.get(&event) else { return };
        self.order.tell_peers(moment);
        let point = record.point;
        self.order.tell_of(point, scope::current(), moment.clone());
        if self.is_passed(point) {
            self.order.told(point);
        }
    }

    /// Lets a stream wait for a record of another process.
    pub(super) fn waits_for_peer(&mut self, stream: Serial, record: Foreign) {
        self.order.arrive(stream, scope::current());
        self.order.wait_for_peers(stream);
        let work = if record.is_said_done() { Work::Wait } else { Work::Run(Job::PeerWait(PeerWait { record, over: Arc::default() })) };
        self.submit(stream, None, work);
    }

    /// The calling thread has found the record of another process done.
    pub(super) fn learns_of_peers(&mut self) {
        let reached = self.order.reached_by_peers();
        self.learns(&reached);
    }
}

/// Answers a query of the last record of another process. It may look for the process, and so needs no lock.
pub(super) fn query(state: Locked, record: &Foreign) -> Outcome {
    drop(state);
    if !record.is_done() {
        return Err(codes::NOT_READY);
    }
    lock().learns_of_peers();
    Ok(())
}

/// Waits for a record of another process, at most until a fault.
pub(super) fn finish(mut state: Locked, record: &Foreign) -> Outcome {
    drop(state);
    if !record.is_done() {
        worker::may_wait()?;
        // It may depend on anything that is held here.
        state = lock();
        state.demand_all();
        state.start_workers(0);
        drop(state);
        report::print();
        while !record.wait(PATIENCE) {
            let mut state = lock();
            state.check()?;
            // A job that got no thread asks again.
            state.start_workers(0);
        }
    }
    let mut state = lock();
    state.check()?;
    state.learns_of_peers();
    Ok(())
}

/// The state, with room for a record of an event as far as there can be: files are read for that without the lock.
pub(super) fn with_room(state: Locked, event: Handle) -> Locked {
    let tickets = event.serial(Kind::Event).and_then(|event| state.events.get(&event)?.sharing.tickets());
    let Some(tickets) = tickets.filter(|tickets| tickets.needs_room()).cloned() else { return state };
    drop(state);
    tickets.make_room();
    lock()
}

/// A record of an event that is shared, which is the last one from now on.
pub(super) fn record(tickets: &Arc<Tickets>) -> Outcome<Pending> {
    tickets.record().map_err(|why| {
        report::add(Topic::Unsupported, why);
        codes::OUT_OF_MEMORY
    })
}
