//! `cuDevicePrimaryCtx*`: the context that every device has, for whoever retains it.

use super::abi::Out;
use super::codes::{self, Outcome};
use super::handle::RawHandle;
use super::state::{self, lock};
use super::{context, device};

pub(super) fn retain(out: Out<'_, RawHandle>, ordinal: i32) -> Outcome {
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
    let primary = &mut state.primaries[device];
    primary.fault.map_or(Ok(()), Err)?;
    primary.retained = primary.retained.checked_sub(1).ok_or(codes::INVALID_CONTEXT)?;
    // After a reset there is none.
    if primary.retained == 0
        && let Some(id) = primary.context.take()
    {
        context::end(state, id);
    }
    Ok(())
}

/// Ends the context, however often it is retained, which it stays. A fault stays too.
pub(super) fn reset(ordinal: i32) -> Outcome {
    let device = device::index(ordinal)?;
    let mut state = lock();
    if let Some(id) = state.primaries[device].context.take() {
        context::end(state, id);
    }
    Ok(())
}

pub(super) fn get_state(ordinal: i32, flags: Option<Out<'_, u32>>, active: Option<Out<'_, i32>>) -> Outcome {
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
