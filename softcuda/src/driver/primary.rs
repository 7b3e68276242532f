//! `cuDevicePrimaryCtx*`: the context that every device has, for whoever retains it.

use super::abi::Out;
use super::codes::{self, Outcome};
use super::handle::RawHandle;
use super::objects::Serial;
use super::state::{self, Locked, State, lock};
use super::{context, device};

/// The flag that the host's memory is mapped. A primary context has it, and nobody sets it: seen on a real driver.
const MAPS_HOST: u32 = 8;

pub(super) fn retain(out: Option<Out<RawHandle>>, ordinal: i32) -> Outcome {
    let device = device::index(ordinal)?;
    let out = out.ok_or(codes::INVALID_VALUE)?;
    let mut state = lock();
    let id = retain_on(&mut state, device)?;
    out.set(state.contexts[&id].handle.raw());
    Ok(())
}

/// The context of a device, retained once more.
pub(super) fn retain_on(state: &mut State, device: usize) -> Outcome<Serial> {
    let primary = state.primaries[device];
    let id = if let Some(id) = primary.context {
        id
    } else {
        state.check()?;
        state.add_context(state::primary_handle(device), device, primary.flags | MAPS_HOST)
    };
    state.primaries[device].context = Some(id);
    state.primaries[device].retained += 1;
    Ok(id)
}

pub(super) fn release(ordinal: i32) -> Outcome {
    let device = device::index(ordinal)?;
    release_on(lock(), device)
}

/// Retained once less.
pub(super) fn release_on(mut state: Locked, device: usize) -> Outcome {
    let primary = state.primaries[device];
    let retained = primary.retained.checked_sub(1).ok_or(codes::INVALID_CONTEXT)?;
    // After a reset there is none.
    let ends = primary.context.filter(|_| retained == 0);
    ends.map_or(Ok(()), |id| context::check_end(&state, id))?;
    state.primaries[device].retained = retained;
    ends.map_or(Ok(()), |id| end(state, device, id))
}

/// Ends the context, however often it is retained, which it stays.
pub(super) fn reset(ordinal: i32) -> Outcome {
    let device = device::index(ordinal)?;
    let state = lock();
    let Some(id) = state.primaries[device].context else { return Ok(()) };
    context::check_end(&state, id)?;
    end(state, device, id)
}

/// Ends the context of a device, which has none from now on.
fn end(mut state: Locked, device: usize, id: Serial) -> Outcome {
    state.primaries[device].context = None;
    context::end(state, id)
}

pub(super) fn get_state(ordinal: i32, flags: Out<u32>, active: Out<i32>) -> Outcome {
    let primary = lock().primaries[device::index(ordinal)?];
    flags.set(primary.flags);
    active.set(i32::from(primary.context.is_some()));
    Ok(())
}

/// Of the context too, where there is one already.
pub(super) fn set_flags(ordinal: i32, flags: u32) -> Outcome {
    let device = device::index(ordinal)?;
    context::check_flags(flags)?;
    if flags & MAPS_HOST != 0 {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    state.primaries[device].flags = flags;
    let active = state.primaries[device].context;
    if let Some(context) = active.and_then(|id| state.contexts.get_mut(&id)) {
        context.flags = flags | MAPS_HOST;
    }
    Ok(())
}
