//! `cuLaunchHostFunc`: a function of the caller, in stream order, one at a time in a context.

use std::ffi::c_void;

use super::abi::HostFunction;
use super::codes::{self, Outcome};
use super::handle::Handle;
use super::job::{Job, UserData};
use super::node::NodeWork;
use super::objects::{Serial, Work};
use super::state::{State, lock};

pub(super) fn launch(stream: Handle, function: Option<HostFunction>, user: *mut c_void) -> Outcome {
    let function = function.ok_or(codes::INVALID_VALUE)?;
    let mut state = lock();
    let stream = state.stream_for_work(stream)?;
    let user = UserData(user);
    if !state.captures_work(stream, || NodeWork::HostFunction(function, user)) {
        submit(&mut state, stream, function, user);
    }
    Ok(())
}

/// Enqueues a call.
pub(super) fn submit(state: &mut State, stream: Serial, function: HostFunction, user: UserData) {
    let point = state.submit(stream, None, Work::Run(Job::HostFunction(function, user)));
    state.tells(point);
}
