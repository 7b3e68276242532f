//! `cuCtx*`: contexts and what is current.

use super::abi::Out;
use super::codes::{self, Outcome};
use super::device;
use super::handle::{Handle, RawHandle};
use super::objects::{Context, Serial};
use super::state::{Locked, State, lock};
use super::{state, thread, worker};

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

pub(super) fn create(out: Out<'_, RawHandle>, flags: u32, ordinal: i32) -> Outcome {
    let device = device::index(ordinal)?;
    check_flags(flags)?;
    let mut state = lock();
    state.primaries[device].fault.map_or(Ok(()), Err)?;
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
    state.check(context)?;
    if state.primaries.iter().any(|primary| primary.context == Some(context)) {
        return Err(codes::INVALID_CONTEXT);
    }
    end(state, context);
    if thread::current() == handle {
        thread::pop()?;
    }
    Ok(())
}

/// Takes a context away once its work is done.
pub(super) fn end(mut state: Locked, context: Serial) {
    if let Some(context) = state.contexts.get_mut(&context) {
        context.ends = true;
    }
    loop {
        let ends = state.ends_of(context);
        if ends.is_empty() {
            state.remove_context(context);
            return;
        }
        state = worker::wait_for(state, &ends);
    }
}

pub(super) fn get_current(out: Out<'_, RawHandle>) {
    out.set(thread::current().raw());
}

pub(super) fn set_current(handle: Handle) -> Outcome {
    if handle != Handle::NULL {
        check_currency(handle)?;
    }
    thread::set_current(handle)
}

pub(super) fn push(handle: Handle) -> Outcome {
    if handle == Handle::NULL {
        return Err(codes::INVALID_VALUE);
    }
    check_currency(handle)?;
    thread::push(handle)
}

/// Whether a context can be made current: if it lives, or if it is a primary one, which may be
/// retained again.
fn check_currency(handle: Handle) -> Outcome {
    let is_primary = (0..device::COUNT).any(|device| state::primary_handle(device) == handle);
    if is_primary { Ok(()) } else { lock().named_context(handle).map(drop) }
}

pub(super) fn pop(out: Option<Out<'_, RawHandle>>) -> Outcome {
    let top = thread::pop()?;
    if let Some(out) = out {
        out.set(top.raw());
    }
    Ok(())
}

pub(super) fn device(out: Out<'_, i32>) -> Outcome {
    let state = lock();
    let context = state.current_even_faulted()?;
    out.set(device::ordinal(state.contexts[&context].device));
    Ok(())
}

pub(super) fn id(handle: Handle, out: Out<'_, u64>) -> Outcome {
    out.set(lock().context_or_current(handle)?);
    Ok(())
}

pub(super) fn flags(out: Out<'_, u32>) -> Outcome {
    let state = lock();
    let context = state.current_even_faulted()?;
    out.set(state.contexts[&context].flags);
    Ok(())
}

pub(super) fn api_version(handle: Handle, out: Out<'_, u32>) -> Outcome {
    lock().context_or_current(handle)?;
    out.set(API_VERSION);
    Ok(())
}

pub(super) fn synchronize() -> Outcome {
    let state = lock();
    let context = state.current()?;
    let ends = state.ends_of(context);
    worker::finish(state, context, &ends)
}

pub(super) fn priority_range(least: Option<Out<'_, i32>>, greatest: Option<Out<'_, i32>>) -> Outcome {
    lock().current()?;
    for (out, priority) in [(least, device::PRIORITIES.0), (greatest, device::PRIORITIES.1)] {
        if let Some(out) = out {
            out.set(priority);
        }
    }
    Ok(())
}

pub(super) fn enable_peer_access(peer: Handle, flags: u32) -> Outcome {
    if flags != 0 {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    let (context, device) = peers(&mut state, peer)?;
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
