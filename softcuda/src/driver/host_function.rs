//! `cuLaunchHostFunc` and `cuStreamAddCallback`: a function of the caller, in stream order, one at a time in a context.

use std::ffi::c_void;

use super::abi::{Callback, HostFunction};
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
    enqueue(state, stream, Job::HostFunction(function, user));
}

fn enqueue(state: &mut State, stream: Serial, call: Job) {
    let point = state.submit(stream, None, Work::Run(call));
    state.tells(point);
}

/// The older form, which no graph captures.
pub(super) fn add_callback(handle: Handle, function: Option<Callback>, user: *mut c_void, flags: u32) -> Outcome {
    let function = function.filter(|_| flags == 0).ok_or(codes::INVALID_VALUE)?;
    let mut state = lock();
    let stream = state.stream_outside_captures(handle)?;
    enqueue(&mut state, stream, Job::Callback(function, handle, UserData(user)));
    Ok(())
}
