//! `cuCtx*`: contexts and what is current.

use super::abi::Out;
use super::codes::{self, Outcome};
use super::handle::{Handle, Kind, RawHandle};
use super::objects::{Context, Point, Role, Serial, Stream};
use super::raw::Topic;
use super::scope::{NOBODY, PROCESS};
use super::state::{Locked, State, lock};
use super::{device, mode, profile, report, state, thread, worker};

/// What `cuCtxGetApiVersion` answers for every context.
const API_VERSION: u32 = 3020;
/// Scheduling, mapped host memory, resizing of local memory, core dumps, synchronous operations.
const FLAGS: u32 = 0xff;

/// `flags` if the driver knows them.
pub(super) fn check_flags(flags: u32) -> Outcome {
    const SCHEDULING: u32 = 0x7;
    let scheduling = flags & SCHEDULING;
    let one_at_most = scheduling == 0 || scheduling.is_power_of_two();
    if flags & !FLAGS == 0 && one_at_most { Ok(()) } else { Err(codes::INVALID_VALUE) }
}

/// `cuInit`.
pub(super) fn initialize(flags: u32) -> Outcome {
    mode::initialize(flags)?;
    lock().paces.begin(PROCESS);
    Ok(())
}

pub(super) fn create(out: Out<RawHandle>, flags: u32, ordinal: i32) -> Outcome {
    let device = device::index(ordinal)?;
    check_flags(flags)?;
    let mut state = lock();
    state.check()?;
    let handle = state.free_context_handle();
    let context = state.add_context(handle, device, flags);
    thread::push(handle).inspect_err(|_| state.remove_context(context))?;
    out.set(handle.raw());
    Ok(())
}

pub(super) fn destroy(handle: Handle) -> Outcome {
    if handle == Handle::NULL {
        return Err(codes::INVALID_VALUE);
    }
    let state = lock();
    let context = state.named_context(handle)?;
    let is_green = handle.kind() == Some(Kind::GreenContext);
    if is_green || state.primaries.iter().any(|primary| primary.context == Some(context)) {
        return Err(codes::INVALID_CONTEXT);
    }
    end(state, context)?;
    if thread::current() == handle {
        thread::pop()?;
    }
    Ok(())
}

/// Whether the caller may wait for the end of a context.
pub(super) fn check_end(state: &State, context: Serial) -> Outcome {
    worker::check_wait(state, &state.ends_of(context))
}

/// Takes a context away once its work is done.
pub(super) fn end(mut state: Locked, context: Serial) -> Outcome {
    check_end(&state, context)?;
    if let Some(context) = state.contexts.get_mut(&context) {
        context.ends = true;
    }
    loop {
        let ends = state.ends_of(context);
        if ends.is_empty() {
            remove(&mut state, context);
            state.start_workers(0);
            return Ok(());
        }
        let mut points = ends;
        if state.has_value_waits(context) {
            // Held work has to go before anyone can tell what is left to be waited for.
            state.demand(&points);
            points = steps_to_end(&state, context).unwrap_or(points);
        }
        state = worker::wait_for(state, &points)?;
    }
}

/// Takes a context away whose work is done.
fn remove(state: &mut State, context: Serial) {
    state.keep_green_contexts(context);
    report_leak(state, context);
    state.remove_context(context);
}

/// Reports what the caller has left in a context. Modules are meant to go with it, and after a fault nothing can be taken
/// back any more.
fn report_leak(state: &State, context: Serial) {
    if state.check().is_err() {
        return;
    }
    let created = |stream: &&Stream| {
        stream.context == context && !stream.destroyed && stream.scope != NOBODY && matches!(stream.role, Role::Created { .. })
    };
    let counts = [
        (state.streams.values().filter(created).count(), "stream"),
        (state.events.values().filter(|event| event.context == context && event.scope != NOBODY).count(), "event"),
        (state.memory.count_in(context), "allocation"),
    ];
    let left: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    if let [objects @ .., last] = left.as_slice() {
        let objects = if objects.is_empty() { last.clone() } else { format!("{} and {last}", objects.join(", ")) };
        let handle = state.contexts[&context].handle;
        report::add(Topic::Leak, format_args!("context {handle:?} ended with {objects} in it"));
    }
}

/// What to wait for next while a context ends whose streams wait for words in memory. Such a wait is
/// over once nothing that is at work can satisfy it.
fn steps_to_end(state: &State, context: Serial) -> Option<Vec<Point>> {
    if let Some(step) = state.next_step() {
        return Some(vec![step]);
    }
    let held = state.held_by_words(context);
    if held.is_empty() {
        return None;
    }
    for stream in &held {
        let handle = Handle::new(Kind::Stream, *stream);
        report::add(Topic::Misuse, format_args!("the context ends while stream {handle:?} waits for a word that nothing writes"));
        state.end_wait(*stream);
    }
    Some(held.into_iter().map(|stream| state.end_of(stream)).collect())
}

pub(super) fn get_current(out: Out<RawHandle>) -> Outcome {
    thread::may_use_contexts()?;
    out.set(thread::current().raw());
    Ok(())
}

/// A primary context can be made current also before it is retained again. Another one must live: with
/// one that is gone a real driver aborts.
pub(super) fn set_current(handle: Handle) -> Outcome {
    thread::may_use_contexts()?;
    if handle != Handle::NULL && !is_primary(handle) {
        lock().named_context(handle)?;
    }
    thread::set_current(handle)
}

pub(super) fn push(handle: Handle) -> Outcome {
    thread::may_use_contexts()?;
    if handle == Handle::NULL {
        return Err(codes::INVALID_VALUE);
    }
    // One that is gone is pushed like another, and reported: seen on a real driver.
    if !is_primary(handle) {
        lock().named_context(handle).map(drop).or_else(|code| if code == codes::CONTEXT_IS_DESTROYED { Ok(()) } else { Err(code) })?;
    }
    thread::push(handle)
}

fn is_primary(handle: Handle) -> bool {
    (0..device::COUNT).any(|device| state::primary_handle(device) == handle)
}

pub(super) fn pop(out: Option<Out<RawHandle>>) -> Outcome {
    thread::may_use_contexts()?;
    let top = thread::pop()?;
    if let Some(out) = out {
        out.set(top.raw());
    }
    Ok(())
}

/// The device is known also when the context is gone.
pub(super) fn device(out: Out<i32>) -> Outcome {
    thread::may_use_contexts()?;
    let device = lock().device_at(thread::current()).ok_or(codes::INVALID_CONTEXT)?;
    out.set(device::ordinal(device));
    Ok(())
}

pub(super) fn id(handle: Handle, out: Out<u64>) -> Outcome {
    out.set(lock().context_or_current(handle)?);
    Ok(())
}

pub(super) fn flags(out: Out<u32>) -> Outcome {
    let state = lock();
    let context = state.current_even_faulted()?;
    out.set(state.contexts[&context].flags);
    Ok(())
}

pub(super) fn api_version(handle: Handle, out: Out<u32>) -> Outcome {
    lock().context_or_current(handle)?;
    out.set(API_VERSION);
    Ok(())
}

pub(super) fn synchronize() -> Outcome {
    let mut state = lock();
    let context = state.current_place()?;
    state.check_wait_for_context(context)?;
    let (ends, reached) = (state.ends_for_caller(context), state.order.reached_by_context(context));
    worker::finish(state, &ends, &reached)
}

pub(super) fn priority_range(least: Option<Out<i32>>, greatest: Option<Out<i32>>) -> Outcome {
    lock().current()?;
    for (out, priority) in [(least, profile::PRIORITIES.0), (greatest, profile::PRIORITIES.1)] {
        if let Some(out) = out {
            out.set(priority);
        }
    }
    Ok(())
}

pub(super) fn enable_peer_access(peer: Handle, flags: u32) -> Outcome {
    let mut state = lock();
    let (context, device) = peers(&mut state, peer)?;
    if flags != 0 {
        return Err(codes::INVALID_VALUE);
    }
    if context.device == device {
        return Err(codes::PEER_ACCESS_UNSUPPORTED);
    }
    if std::mem::replace(&mut context.peers[device], true) { Err(codes::PEER_ACCESS_ALREADY_ENABLED) } else { Ok(()) }
}

pub(super) fn disable_peer_access(peer: Handle) -> Outcome {
    let mut state = lock();
    let (context, device) = peers(&mut state, peer)?;
    if std::mem::replace(&mut context.peers[device], false) { Ok(()) } else { Err(codes::PEER_ACCESS_NOT_ENABLED) }
}

/// The current context, and the device of another.
fn peers(state: &mut State, peer: Handle) -> Outcome<(&mut Context, usize)> {
    let context = state.current()?;
    let peer = state.named_context(peer)?;
    let device = state.contexts[&peer].device;
    let context = state.contexts.get_mut(&context).ok_or(codes::INVALID_CONTEXT)?;
    Ok((context, device))
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::super::job::{Job, UserData};
    use super::super::objects::{Role, Work};
    use super::*;

    #[test]
    fn a_context_ends_after_its_work() {
        unsafe extern "C" fn wait_until_released(released: *mut c_void) {
            // SAFETY: the test's flag, which outlives the stream's work.
            let released = unsafe { &*released.cast::<AtomicBool>() };
            while !released.load(Ordering::Acquire) {
                thread::yield_now();
            }
        }
        let released = AtomicBool::new(false);
        let mut state = lock();
        let context = state.add_context(state::primary_handle(0), 0, 0);
        let stream = state.add_stream(context, Role::Created { non_blocking: true }, 0);
        let function = Job::HostFunction(wait_until_released, UserData(released.as_ptr().cast()));
        let work = state.submit(stream, None, Work::Run(function));
        drop(state);
        let waits = thread::scope(|scope| {
            scope.spawn(|| end(lock(), context));
            // Until the end has begun, which then either waits or has taken the context away.
            let waits = loop {
                match lock().contexts.get(&context) {
                    Some(context) if !context.ends => {}
                    other => break other.is_some(),
                }
                thread::yield_now();
            };
            released.store(true, Ordering::Release);
            waits
        });
        assert!(waits, "the context went while a stream was at work");
        let state = worker::wait_for(lock(), &[work]).unwrap();
        assert!(!state.contexts.contains_key(&context));
    }
}
