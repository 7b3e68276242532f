//! `cuDevicePrimaryCtx*`: the context that every device has, for whoever retains it.

use super::abi::Out;
use super::codes::{self, Outcome};
use super::handle::RawHandle;
use super::objects::Serial;
use super::state::{self, Locked, lock};
use super::{context, device};

pub(super) fn retain(out: Out<RawHandle>, ordinal: i32) -> Outcome {
    let device = device::index(ordinal)?;
    let mut state = lock();
    let primary = state.primaries[device];
    let id = match (primary.context, primary.fault) {
        (Some(id), _) => id,
        (None, Some(code)) => return Err(code),
        (None, None) => state.add_context(state::primary_handle(device), device, primary.flags),
    };
    state.primaries[device].context = Some(id);
    state.primaries[device].retained += 1;
    out.set(state.contexts[&id].handle.raw());
    Ok(())
}

pub(super) fn release(ordinal: i32) -> Outcome {
    let device = device::index(ordinal)?;
    let mut state = lock();
    let primary = state.primaries[device];
    primary.fault.map_or(Ok(()), Err)?;
    let retained = primary.retained.checked_sub(1).ok_or(codes::INVALID_CONTEXT)?;
    // After a reset there is none.
    let ends = primary.context.filter(|_| retained == 0);
    ends.map_or(Ok(()), |id| context::check_end(&state, id))?;
    state.primaries[device].retained = retained;
    ends.map_or(Ok(()), |id| end(state, device, id))
}

/// Ends the context, however often it is retained, which it stays. A fault stays too.
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

pub(super) fn get_state(ordinal: i32, flags: Option<Out<u32>>, active: Option<Out<i32>>) -> Outcome {
    let primary = lock().primaries[device::index(ordinal)?];
    if let Some(flags) = flags {
        flags.set(primary.flags);
    }
    if let Some(active) = active {
        active.set(i32::from(primary.context.is_some()));
    }
    Ok(())
}

pub(super) fn set_flags(ordinal: i32, flags: u32) -> Outcome {
    let device = device::index(ordinal)?;
    context::check_flags(flags)?;
    lock().primaries[device].flags = flags;
    Ok(())
}
