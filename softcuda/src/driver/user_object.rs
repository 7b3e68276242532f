//! `cuUserObject*`: what graphs keep for their callers.

use std::ffi::c_void;
use std::sync::Arc;

use super::abi::{HostFunction, Out};
use super::codes::{self, Outcome};
use super::graphs::{Graphs, UserObject};
use super::handle::{Handle, Kind, RawHandle};
use super::job::UserData;
use super::objects::Serial;
use super::raw::Topic;
use super::state::lock;
use super::{report, scope, worker};

fn check_count(count: u32) -> Outcome<u32> {
    if count == 0 { Err(codes::INVALID_VALUE) } else { Ok(count) }
}

pub(super) fn create(out: Out<RawHandle>, user: *mut c_void, destroy: Option<HostFunction>, count: u32, flags: u32) -> Outcome {
    /// The destructor runs whenever: it must be said.
    const NO_DESTRUCTOR_SYNC: u32 = 1;
    let destroy = destroy.ok_or(codes::INVALID_VALUE)?;
    let owned = i64::from(check_count(count)?);
    if flags != NO_DESTRUCTOR_SYNC {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    let serial = state.serial();
    let object = UserObject { scope: scope::current(), destroy, user: UserData(user), owned, shared: 0, needed: Arc::default() };
    state.graphs.objects.insert(serial, object);
    out.set(Handle::new(Kind::UserObject, serial).raw());
    Ok(())
}

pub(super) fn retain(handle: Handle, count: u32) -> Outcome {
    let count = check_count(count)?;
    let mut state = lock();
    let serial = state.user_object(handle)?;
    if let Some(object) = state.graphs.objects.get_mut(&serial) {
        object.owned += i64::from(count);
    }
    Ok(())
}

pub(super) fn release(handle: Handle, count: u32) -> Outcome {
    let count = check_count(count)?;
    let mut state = lock();
    let serial = state.user_object(handle)?;
    take_owned(&mut state.graphs, serial, count);
    let unused = state.graphs.take_if_unused(serial);
    worker::destroy(state, unused);
    Ok(())
}

/// Takes references of the caller's, which ought to be there. A real driver was seen to take more, and not to destroy the
/// object.
fn take_owned(graphs: &mut Graphs, serial: Serial, count: u32) {
    let Some(object) = graphs.objects.get_mut(&serial) else { return };
    let count = i64::from(count);
    if object.owned < count {
        report::add(Topic::Misuse, format_args!("{count} references are given up, and the caller has {}", object.owned.max(0)));
    }
    object.owned -= count;
}

/// Lets a graph refer to an object: once more, or instead of the caller.
pub(super) fn retain_in_graph(graph: Handle, handle: Handle, count: u32, flags: u32) -> Outcome {
    const MOVE: u32 = 1;
    let count = check_count(count)?;
    if flags & !MOVE != 0 {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    let (graph, serial) = (state.graph(graph)?, state.user_object(handle)?);
    let graphs = &mut state.graphs;
    if flags == MOVE {
        take_owned(graphs, serial, count);
    }
    let object = graphs.objects.get_mut(&serial).ok_or(codes::INVALID_VALUE)?;
    object.shared += u64::from(count);
    let graph = graphs.all.get_mut(&graph).ok_or(codes::INVALID_VALUE)?;
    *graph.references.entry(serial).or_default() += u64::from(count);
    Ok(())
}

/// Of references that the graph does not have none is given up: a real driver was seen to answer as if all were well.
pub(super) fn release_in_graph(graph: Handle, handle: Handle, count: u32) -> Outcome {
    let count = u64::from(check_count(count)?);
    let mut state = lock();
    let (graph, serial) = (state.graph(graph)?, state.user_object(handle)?);
    let graph = state.graphs.all.get_mut(&graph).ok_or(codes::INVALID_VALUE)?;
    let known = graph.references.get(&serial).copied().unwrap_or(0);
    let Some(left) = known.checked_sub(count) else {
        report::add(Topic::Misuse, format_args!("{count} references are given up, and the graph has {known}"));
        return Ok(());
    };
    if left == 0 {
        graph.references.remove(&serial);
    } else {
        graph.references.insert(serial, left);
    }
    let unused = state.graphs.give_up([(serial, count)].into());
    worker::destroy(state, unused);
    Ok(())
}
