//! `cuStream*`: streams.

use super::abi::Out;
use super::codes::{self, Outcome};
use super::handle::{Handle, Kind, RawHandle};
use super::node::NodeWork;
use super::objects::{Role, Serial, Work};
use super::raw::Topic;
use super::report;
use super::sharing::Sharing;
use super::state::{State, lock};
use super::{device, profile, worker};

const NON_BLOCKING: u32 = 1;

pub(super) fn create(out: Out<RawHandle>, flags: u32, priority: i32) -> Outcome {
    if flags & !NON_BLOCKING != 0 {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    let context = state.current_place()?;
    create_in(&mut state, context, out, flags, priority);
    Ok(())
}

fn create_in(state: &mut State, context: Serial, out: Out<RawHandle>, flags: u32, priority: i32) {
    let (least, greatest) = profile::PRIORITIES;
    let role = Role::Created { non_blocking: flags == NON_BLOCKING };
    let stream = state.add_stream(context, role, priority.clamp(greatest, least));
    out.set(Handle::new(Kind::Stream, stream).raw());
}

/// One of a green context, whatever is current. The default stream is nothing that it could wait for.
pub(super) fn create_green(out: Out<RawHandle>, green: Handle, flags: u32, priority: i32) -> Outcome {
    if flags != NON_BLOCKING {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    let context = state.green_context(green)?;
    state.check()?;
    create_in(&mut state, context, out, flags, priority);
    Ok(())
}

/// Takes the handle away at once; queued work is still done.
pub(super) fn destroy(handle: Handle) -> Outcome {
    let mut state = lock();
    let serial = match handle {
        Handle::NULL => return Err(codes::INVALID_HANDLE),
        // Seen on a real driver: null is not looked for in any context, the others are.
        Handle::LEGACY_STREAM | Handle::PER_THREAD_STREAM => {
            state.current()?;
            return Err(codes::INVALID_HANDLE);
        }
        _ => state.stream_to_destroy(handle)?,
    };
    let detached = state.streams[&serial].detached;
    let unused = state.leaves_captures(serial);
    state.retire_stream(serial);
    worker::destroy(state, unused);
    // The documentation has it that this is to be called all the same: the caller owes nothing more.
    if detached { Err(codes::CONTEXT_IS_DESTROYED) } else { Ok(()) }
}

pub(super) fn query(handle: Handle) -> Outcome {
    let mut state = lock();
    let serial = state.stream_to_wait_for(handle)?;
    let ends = state.ends_with(serial);
    state.queried(&ends);
    // A caller that polls never waits, which would ask again for a thread that was refused.
    state.start_workers(0);
    // What was let go may have been a fault.
    state.check()?;
    if !ends.into_iter().all(|end| state.is_passed(end)) {
        return Err(codes::NOT_READY);
    }
    let reached = state.order.reached_by_stream(serial);
    state.learns(&reached);
    Ok(())
}

pub(super) fn synchronize(handle: Handle) -> Outcome {
    let mut state = lock();
    let serial = state.stream_to_wait_for(handle)?;
    let (ends, reached) = (state.ends_with(serial), state.order.reached_by_stream(serial));
    worker::finish(state, &ends, &reached)
}

pub(super) fn wait_event(handle: Handle, event: Handle, flags: u32) -> Outcome {
    let mut state = lock();
    let stream = state.stream_for_work(handle)?;
    // Before the event, other than for a record: seen on a real driver.
    let is_external = is_external(flags)?;
    // Seen as well: in a capture an event that is none, or is no longer captured, ends that.
    let (serial, event) = match state.event(event) {
        Ok((serial, event)) => (serial, event),
        Err(code) => return Err(state.breaks_own_capture(stream, code)),
    };
    let is_interprocess = !matches!(event.sharing, Sharing::Never);
    if is_interprocess && !is_external && event.context != state.owner(state.streams[&stream].context) {
        // Seen to crash there (580.159.04), on the same device too; a graph may wait.
        report::add(Topic::Handle, format_args!("{handle:?} is to wait for an interprocess event of another context"));
        return Err(codes::INVALID_HANDLE);
    }
    let (mark, is_recorded) = (event.captured.clone(), event.record.is_some());
    if mark.as_ref().is_some_and(|mark| !state.is_active(mark.capture)) {
        return Err(state.breaks_own_capture(stream, codes::INVALID_VALUE));
    }
    let captures = state.is_capturing(stream);
    match mark {
        _ if is_external && !captures => return Err(codes::ILLEGAL_STATE),
        _ if is_external => drop(state.captures_work(stream, || NodeWork::Wait(serial))),
        Some(mark) => return state.waits_for_mark(stream, &mark),
        // Seen, recorded or not: what other processes know of is no edge of a graph.
        None if captures && is_interprocess => return Err(state.breaks_own_capture(stream, codes::STREAM_CAPTURE_UNSUPPORTED)),
        None if captures && is_recorded => return Err(state.breaks_own_capture(stream, codes::STREAM_CAPTURE_ISOLATION)),
        None if captures => {}
        None => submit_wait(&mut state, stream, serial),
    }
    Ok(())
}

/// Lets a stream wait for the last record of an event.
pub(super) fn submit_wait(state: &mut State, stream: Serial, event: Serial) {
    let Some(event) = state.events.get(&event) else { return };
    if let Some(foreign) = event.foreign() {
        state.waits_for_peer(stream, foreign);
        return;
    }
    let (record, moment) = (event.record, event.moment.clone());
    if let Some(record) = record {
        if let Some(moment) = moment {
            state.order.wait(stream, &moment);
        }
        state.submit(stream, Some(record.point), Work::Wait);
    }
}

/// The flag of records and waits that become graph nodes, which nothing is outside a capture.
pub(super) fn is_external(flags: u32) -> Outcome<bool> {
    const EXTERNAL: u32 = 1;
    match flags {
        0 => Ok(false),
        EXTERNAL => Ok(true),
        _ => Err(codes::INVALID_VALUE),
    }
}

pub(super) fn id(handle: Handle, out: Out<u64>) -> Outcome {
    out.set(lock().stream_outside_captures(handle)?);
    Ok(())
}

pub(super) fn context(handle: Handle, out: Out<RawHandle>) -> Outcome {
    let mut state = lock();
    let serial = state.stream(handle)?;
    let context = state.streams[&serial].context;
    out.set(state.name_context(context).raw());
    Ok(())
}

/// The green context, and the context whose memory it uses; for other streams null, and theirs.
pub(super) fn contexts(handle: Handle, context: Option<Out<RawHandle>>, green: Option<Out<RawHandle>>) -> Outcome {
    let mut state = lock();
    let serial = state.stream(handle)?;
    let place = state.streams[&serial].context;
    for (out, handle) in [(context, state.contexts[&state.owner(place)].handle), (green, green_handle(&state, place))] {
        if let Some(out) = out {
            out.set(handle.raw());
        }
    }
    Ok(())
}

pub(super) fn green_context(handle: Handle, out: Out<RawHandle>) -> Outcome {
    let mut state = lock();
    let serial = state.stream(handle)?;
    out.set(green_handle(&state, state.streams[&serial].context).raw());
    Ok(())
}

fn green_handle(state: &State, context: Serial) -> Handle {
    let handle = state.contexts[&context].handle;
    if handle.kind() == Some(Kind::GreenContext) { handle } else { Handle::NULL }
}

pub(super) fn device(handle: Handle, out: Out<i32>) -> Outcome {
    let mut state = lock();
    let serial = state.stream_outside_captures(handle)?;
    let context = state.streams[&serial].context;
    out.set(device::ordinal(state.contexts[&context].device));
    Ok(())
}

pub(super) fn flags(handle: Handle, out: Out<u32>) -> Outcome {
    let mut state = lock();
    let serial = state.stream_outside_captures(handle)?;
    let non_blocking = !state.streams[&serial].is_blocking();
    out.set(if non_blocking { NON_BLOCKING } else { 0 });
    Ok(())
}

pub(super) fn priority(handle: Handle, out: Out<i32>) -> Outcome {
    let mut state = lock();
    let serial = state.stream(handle)?;
    out.set(state.streams[&serial].priority);
    Ok(())
}
