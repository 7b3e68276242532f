//! `cuEvent*`: events.

use std::time::Instant;

use super::abi::Out;
use super::clock::Moment;
use super::codes::{self, Outcome};
use super::handle::{Handle, Kind, RawHandle};
use super::node::NodeWork;
use super::objects::{Event, Record, Serial, Work};
use super::sharing::Sharing;
use super::state::{State, lock};
use super::tickets::{Pending, Ticket};
use super::{peers, scope, stream, worker};

const BLOCKING_SYNC: u32 = 1;
const DISABLE_TIMING: u32 = 2;
const INTERPROCESS: u32 = 4;

/// Other than for a stream, the context is looked at first: seen on a real driver.
pub(super) fn create(out: Option<Out<RawHandle>>, flags: u32) -> Outcome {
    let mut state = lock();
    let context = state.current()?;
    let known = flags & !(BLOCKING_SYNC | DISABLE_TIMING | INTERPROCESS) == 0;
    let untimed = flags & DISABLE_TIMING != 0;
    if !known || (flags & INTERPROCESS != 0 && !untimed) {
        return Err(codes::INVALID_VALUE);
    }
    let out = out.ok_or(codes::INVALID_VALUE)?;
    let serial = state.serial();
    let sharing = if flags & INTERPROCESS != 0 { Sharing::NotYet } else { Sharing::Never };
    state
        .events
        .insert(serial, Event { context, scope: scope::current(), timed: !untimed, sharing, record: None, moment: None, captured: None });
    out.set(Handle::new(Kind::Event, serial).raw());
    Ok(())
}

/// Takes the handle away; waits that were made keep their point, and a queued record finds nothing.
pub(super) fn destroy(handle: Handle) -> Outcome {
    let mut state = lock();
    let (serial, _) = state.event(handle)?;
    state.events.remove(&serial);
    Ok(())
}

pub(super) fn record(handle: Handle, stream: Handle, flags: u32) -> Outcome {
    let mut state = peers::with_room(lock(), handle);
    let stream = state.stream_for_work(stream)?;
    let (event, Event { context, sharing, .. }) = state.event(handle)?;
    let is_at_home = *context == state.owner(state.streams[&stream].context);
    let is_shared = !matches!(sharing, Sharing::Never);
    let mark = state.mark(stream);
    // Another context's event can become a node: seen on a real driver.
    let is_node = mark.is_some() && stream::is_external(flags) == Ok(true);
    if !is_at_home && !is_node {
        return Err(codes::INVALID_HANDLE);
    }
    let is_external = stream::is_external(flags)?;
    match mark {
        None if is_external => Err(codes::ILLEGAL_STATE),
        None => submit_record(&mut state, event, stream),
        Some(_) if is_external => {
            state.captures_work(stream, || NodeWork::Record(event));
            Ok(())
        }
        Some(_) if is_shared => Err(codes::STREAM_CAPTURE_UNSUPPORTED),
        Some(_) => {
            if let Some(event) = state.events.get_mut(&event) {
                event.captured = mark;
            }
            Ok(())
        }
    }
}

/// Records the work of a stream so far.
pub(super) fn submit_record(state: &mut State, event: Serial, stream: Serial) -> Outcome {
    let tickets = state.events.get(&event).and_then(|event| event.sharing.tickets());
    let shared = tickets.map(peers::record).transpose()?;
    let ticket = shared.as_ref().map_or(Ticket::NONE, Pending::ticket);
    let record = state.serial();
    // Set before the work is enqueued, which may stamp the record at once.
    let mut point = state.end_of(stream);
    point.position += 1;
    state.order.arrive(stream, scope::current());
    let moment = state.order.moment(stream);
    if let Some(event) = state.events.get_mut(&event) {
        event.record = Some(Record { serial: record, point, ticket, time: None });
        event.moment = moment;
        event.captured = None;
    }
    let is_shared = shared.is_some();
    let end = state.submit(stream, None, Work::Record { event, record, shared });
    if is_shared {
        state.tells_peers_of_record(event);
        // Others may wait for it, and this process would not know.
        state.demand(&[end]);
        state.start_workers(0);
    }
    Ok(())
}

pub(super) fn query(handle: Handle) -> Outcome {
    let mut state = lock();
    let serial = event_to_wait_for(&mut state, handle)?;
    let event = &state.events[&serial];
    if let Some(foreign) = event.foreign() {
        return peers::query(state, &foreign);
    }
    let record = event.record;
    if let Some(record) = record {
        state.queried(&[record.point]);
    }
    // As for a stream.
    state.start_workers(0);
    // What was let go may have been a fault.
    state.check()?;
    match record {
        Some(record) if !state.is_passed(record.point) => return Err(codes::NOT_READY),
        Some(_) => state.learns_event(serial),
        None => {}
    }
    Ok(())
}

/// The event of a caller's handle, for a call that waits for its record or asks for it.
fn event_to_wait_for(state: &mut State, handle: Handle) -> Outcome<Serial> {
    let (serial, event) = state.event(handle)?;
    if let Some(capture) = event.captured.as_ref().map(|mark| mark.capture) {
        return Err(state.refuse_captured(capture));
    }
    state.check_unsafe_call()?;
    Ok(serial)
}

pub(super) fn synchronize(handle: Handle) -> Outcome {
    let mut state = lock();
    let serial = event_to_wait_for(&mut state, handle)?;
    let event = &state.events[&serial];
    if let Some(foreign) = event.foreign() {
        return peers::finish(state, &foreign);
    }
    if let (Some(record), moment) = (event.record, event.moment.clone()) {
        worker::finish(state, &[record.point], &moment.into())?;
    }
    Ok(())
}

pub(super) fn elapsed(out: Option<Out<f32>>, start: Handle, end: Handle) -> Outcome {
    // Not INVALID_VALUE: seen on a real driver.
    let out = out.ok_or(codes::INVALID_HANDLE)?;
    let mut state = lock();
    let (start_context, start, start_moment) = recorded(&state, start)?;
    let (end_context, end, end_moment) = recorded(&state, end)?;
    if start_context != end_context {
        return Err(codes::INVALID_HANDLE);
    }
    let (Some(start), Some(end)) = (start.time, end.time) else {
        // Asking is a query too.
        state.queried(&[start.point, end.point]);
        state.start_workers(0);
        return Err(codes::NOT_READY);
    };
    for moment in [start_moment, end_moment] {
        state.learns(&moment.into());
    }
    let milliseconds = |from: Instant, to: Instant| (to - from).as_secs_f32() * 1e3;
    // Computed from the same difference either way, so that exchanged events give the exact negative.
    out.set(if start <= end { milliseconds(start, end) } else { -milliseconds(end, start) });
    Ok(())
}

/// The context and the record of an event that can be timed, and what comes before that.
fn recorded(state: &State, handle: Handle) -> Outcome<(u64, Record, Option<Moment>)> {
    let (_, event) = state.event(handle)?;
    if let Some(mark) = &event.captured {
        return Err(if state.is_active(mark.capture) { codes::CAPTURED_EVENT } else { codes::INVALID_VALUE });
    }
    let record = event.record.filter(|_| event.timed).ok_or(codes::INVALID_HANDLE)?;
    Ok((event.context, record, event.moment.clone()))
}
