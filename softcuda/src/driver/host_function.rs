//! `cuLaunchHostFunc`: a function of the caller, in stream order, one at a time in a context.

use std::ffi::c_void;

use super::abi::HostFunction;
use super::codes::{self, Outcome};
use super::handle::Handle;
use super::job::{Job, UserData};
use super::objects::Work;
use super::state::lock;

pub(super) fn launch(stream: Handle, function: Option<HostFunction>, user: *mut c_void) -> Outcome {
    let function = function.ok_or(codes::INVALID_VALUE)?;
    let mut state = lock();
    let stream = state.stream(stream)?;
    let point = state.submit(stream, None, Work::Run(Job::HostFunction(function, UserData(user))));
    state.tells(point);
    Ok(())
}
