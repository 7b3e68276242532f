//! `cuGreenCtx*`: green contexts. Each has all multiprocessors of its device here, whatever it was made with.

use super::abi::Out;
use super::codes::{self, Outcome};
use super::handle::{Handle, RawHandle};
use super::state::lock;
use super::{context, device, primary, resource};

/// The flag that it has a default stream, without which none is made.
const DEFAULT_STREAM: u32 = 1;

/// Retains the primary context. The new one is not made current. No descriptor stands for all that the device has.
pub(super) fn create(out: Out<RawHandle>, descriptor: Handle, ordinal: i32, flags: u32) -> Outcome {
    let device = device::index(ordinal)?;
    let fits = descriptor == Handle::NULL || resource::device_of(descriptor) == Some(device);
    if flags != DEFAULT_STREAM || !fits {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    state.check()?;
    let primary = primary::retain_on(&mut state, device)?;
    let green = state.add_green_context(primary);
    out.set(state.contexts[&green].handle.raw());
    Ok(())
}

/// Takes it away at once, and releases the primary context. Its work is still done, and events that were recorded in it
/// stay. One that has outlived its primary context ends as that would.
pub(super) fn destroy(handle: Handle) -> Outcome {
    let mut state = lock();
    let green = state.green_context(handle)?;
    let device = state.contexts[&green].device;
    if state.owner(green) == green {
        context::end(state, green)?;
        state = lock();
    } else {
        state.remove_green_context(green);
        state.start_workers(0);
    }
    primary::release_on(state, device)
}

/// The handle that other functions take: the same one, which they do not know before.
pub(super) fn context(out: Out<RawHandle>, handle: Handle) -> Outcome {
    let mut state = lock();
    let green = state.green_context(handle)?;
    out.set(state.name_context(green).raw());
    Ok(())
}
