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
    primary.fault.map_or(Ok(()), Err)?;
    let id = primary.context.unwrap_or_else(|| state.add_context(state::primary_handle(device), device, primary.flags));
    state.primaries[device].context = Some(id);
    state.primaries[device].retained += 1;
    out.set(state.contexts[&id].handle.raw());
    Ok(())
}

pub(super) fn release(ordinal: i32) -> Outcome {
    let device = device::index(ordinal)?;
    let mut state = lock();
    let primary = &mut state.primaries[device];
    let id = primary.context.ok_or(codes::INVALID_CONTEXT)?;
    primary.fault.map_or(Ok(()), Err)?;
    primary.retained = primary.retained.saturating_sub(1);
    if primary.retained == 0 {
        primary.context = None;
        context::end(state, id);
    }
    Ok(())
}

/// Ends the context whoever retains it. A fault stays.
pub(super) fn reset(ordinal: i32) -> Outcome {
    let device = device::index(ordinal)?;
    let mut state = lock();
    let primary = &mut state.primaries[device];
    primary.retained = 0;
    if let Some(id) = primary.context.take() {
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
    let mut state = lock();
    let primary = &mut state.primaries[device];
    if primary.context.is_some() && primary.flags != flags {
        return Err(codes::PRIMARY_CONTEXT_ACTIVE);
    }
    primary.flags = flags;
    Ok(())
}
