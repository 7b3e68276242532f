//! `cuGreenCtx*`: green contexts. Each has all multiprocessors of its device here, whatever it was made with.

use super::abi::Out;
use super::codes::{self, Outcome};
use super::handle::{Handle, Kind, RawHandle};
use super::state::lock;
use super::{context, device, primary, resource};

/// The flag that it has a default stream, without which none is made.
const DEFAULT_STREAM: u32 = 1;

/// Retains the primary context. The new one is not made current.
pub(super) fn create(out: Out<RawHandle>, descriptor: Handle, ordinal: i32, flags: u32) -> Outcome {
    let device = device::index(ordinal)?;
    if flags != DEFAULT_STREAM || resource::device_of(descriptor) != Some(device) {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    state.check()?;
    let primary = primary::retain_on(&mut state, device)?;
    let green = state.add_green_context(primary);
    out.set(Handle::new(Kind::GreenContext, green).raw());
    Ok(())
}

/// Takes it away once its work is done, and releases the primary context. Events that were recorded in it stay.
pub(super) fn destroy(handle: Handle) -> Outcome {
    let state = lock();
    let green = state.green_context(handle)?;
    let device = state.contexts[&green].device;
    context::end(state, green)?;
    primary::release_on(lock(), device)
}

/// The handle that other functions take.
pub(super) fn context(out: Out<RawHandle>, handle: Handle) -> Outcome {
    let state = lock();
    let green = state.green_context(handle)?;
    out.set(state.contexts[&green].handle.raw());
    Ok(())
}
