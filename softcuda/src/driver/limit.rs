//! `cuCtxGetLimit` and `cuCtxSetLimit`: what a context would give device code. This driver runs none, so
//! that a limit is a number that is kept.

use super::abi::Out;
use super::codes::{self, Outcome};
use super::profile;
use super::state::lock;

const STACK_SIZE: u32 = 0;
const STACK_ALIGN: usize = 16;
/// Whether the context belongs to a client of a graphics interface: to be asked for, not to be set.
const CIG_ENABLED: u32 = 8;

pub(super) fn get(out: Out<usize>, limit: u32) -> Outcome {
    let state = lock();
    let context = state.current()?;
    let default = profile::limit(limit)?;
    out.set(state.contexts[&context].limits.get(&limit).copied().unwrap_or(default));
    Ok(())
}

/// A stack is as long as alignment has it; other numbers are kept as they are.
pub(super) fn set(limit: u32, value: usize) -> Outcome {
    let mut state = lock();
    let context = state.current()?;
    profile::limit(limit)?;
    if limit == CIG_ENABLED {
        return Err(codes::INVALID_VALUE);
    }
    let value = match limit {
        STACK_SIZE => value.checked_next_multiple_of(STACK_ALIGN).ok_or(codes::INVALID_VALUE)?,
        _ => value,
    };
    if let Some(context) = state.contexts.get_mut(&context) {
        context.limits.insert(limit, value);
    }
    Ok(())
}
