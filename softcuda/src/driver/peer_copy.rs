//! `cuMemcpyPeer*`: copies from one context to another. The contexts need only be there, and null is the current
//! one, as was seen on a real driver: an address tells whose memory it is.

use super::codes::Outcome;
use super::copy;
use super::handle::Handle;
use super::history::Touch;
use super::job::{Job, Place};
use super::objects::{Serial, Stream, Work};
use super::side::Side;
use super::state::{State, lock};

/// Copies in stream order.
pub(super) fn copy(to: (u64, Handle), from: (u64, Handle), bytes: usize, stream: Handle) -> Outcome {
    check_contexts(&lock(), to.1, from.1)?;
    copy::copy(Side::Device(to.0), Side::Device(from.0), bytes, stream)
}

/// Copies on the legacy stream, after all work of the current and both other contexts, and before all later
/// work of the streams that they have. Nobody waits for that.
pub(super) fn copy_between_all_work(to: (u64, Handle), from: (u64, Handle), bytes: usize) -> Outcome {
    let mut state = lock();
    let current = state.current()?;
    state.stream_for_work(Handle::NULL)?;
    let (to_context, from_context) = check_contexts(&state, to.1, from.1)?;
    if bytes == 0 {
        return Ok(());
    }
    let (_, source) = copy::device_memory(&state, from.0, bytes)?;
    let (_, target) = copy::device_memory(&state, to.0, bytes)?;
    let contexts = [current, state.owner(to_context), state.owner(from_context)];
    let legacy = state.contexts[&current].legacy;
    for context in contexts {
        let reached = state.order.reached_by_context(context);
        state.order.wait_for_all(legacy, &reached);
        for end in state.ends_of(context).into_iter().filter(|end| end.stream != legacy) {
            state.submit(legacy, Some(end), Work::Wait);
        }
    }
    state.touches(legacy, from.0, bytes, Touch::Read, None);
    state.touches(legacy, to.0, bytes, Touch::Write, None);
    let end = state.submit(legacy, None, Work::Run(Job::Copy { from: Place::Known(source), to: Place::Known(target), bytes }));
    let moment = state.order.moment(legacy);
    let is_later = |serial: Serial, this: &Stream| {
        serial != legacy && !this.destroyed && !this.detached && contexts.contains(&state.owner(this.context))
    };
    let streams: Vec<Serial> = state.streams.iter().filter(|(serial, this)| is_later(**serial, this)).map(|(serial, _)| *serial).collect();
    for stream in streams {
        if let Some(moment) = &moment {
            state.order.wait(stream, moment);
        }
        state.submit(stream, Some(end), Work::Wait);
    }
    Ok(())
}

fn check_contexts(state: &State, to: Handle, from: Handle) -> Outcome<(Serial, Serial)> {
    let (to, from) = (state.context_or_current(to)?, state.context_or_current(from)?);
    state.check()?;
    Ok((to, from))
}
