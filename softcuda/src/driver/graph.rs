//! `cuGraph*`: graphs, what is in them, and executables of them.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::Arc;

use super::abi::{InOut, Out};
use super::codes::{self, Outcome};
use super::graphs::{Executable, Graph, References};
use super::handle::{Handle, Kind, RawHandle};
use super::node::{Node, NodeWork, Plan};
use super::objects::Serial;
use super::raw::Topic;
use super::state::{State, lock};
use super::{report, scope, thread, worker};

pub(super) fn create(out: Out<RawHandle>, flags: u32) -> Outcome {
    thread::may("create a graph")?;
    if flags != 0 {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    add(&mut state, out, Graph::new(false));
    Ok(())
}

fn add(state: &mut State, out: Out<RawHandle>, graph: Graph) {
    let serial = state.serial();
    state.graphs.all.insert(serial, graph);
    out.set(Handle::new(Kind::Graph, serial).raw());
}

pub(super) fn destroy(handle: Handle) -> Outcome {
    thread::may("destroy a graph")?;
    let mut state = lock();
    let serial = state.graph(handle)?;
    if state.graphs.all[&serial].in_capture {
        return Err(codes::ILLEGAL_STATE);
    }
    let unused = state.graphs.remove(serial);
    worker::destroy(state, unused);
    Ok(())
}

/// Nodes of a copy of a graph, and what it refers to.
fn copy(state: &mut State, serial: Serial) -> (Vec<Node>, References) {
    let Graph { nodes, references, .. } = &state.graphs.all[&serial];
    let (mut nodes, references) = (nodes.clone(), references.clone());
    for node in &mut nodes {
        node.serial = state.serial();
    }
    state.graphs.refer_again(&references);
    (nodes, references)
}

/// What the nodes refer to may be gone: a real driver does not look before the clone is instantiated.
pub(super) fn clone(out: Out<RawHandle>, handle: Handle) -> Outcome {
    thread::may("copy a graph")?;
    let mut state = lock();
    let serial = state.graph(handle)?;
    let (nodes, references) = copy(&mut state, serial);
    add(&mut state, out, Graph { nodes, references, ..Graph::new(false) });
    Ok(())
}

pub(super) fn instantiate(out: Out<RawHandle>, handle: Handle, flags: u64) -> Outcome {
    /// Of memory that nodes allocate, of which there are none.
    const AUTO_FREE: u64 = 1;
    /// Launches by kernels, which a real driver was seen to refuse for graphs that they are not for.
    const DEVICE_LAUNCH: u64 = 4;
    /// Of priorities, which streams have none of.
    const NODE_PRIORITY: u64 = 8;
    thread::may("instantiate a graph")?;
    if flags & DEVICE_LAUNCH != 0 {
        report::add(Topic::Unsupported, "a graph cannot be launched by kernels");
    }
    if flags & !(AUTO_FREE | NODE_PRIORITY) != 0 {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    let serial = state.graph(handle)?;
    state.current()?;
    state.check_unsafe_call()?;
    state.check_nodes(&state.graphs.all[&serial].nodes)?;
    let (nodes, references) = copy(&mut state, serial);
    let executable =
        Executable { scope: scope::current(), plan: Arc::new(Plan::new(&nodes)), flags, references, streams: BTreeMap::new(), last: None };
    let serial = state.serial();
    state.graphs.executables.insert(serial, executable);
    out.set(Handle::new(Kind::Executable, serial).raw());
    Ok(())
}

pub(super) fn executable_flags(handle: Handle, out: Out<u64>) -> Outcome {
    let state = lock();
    let serial = state.executable(handle)?;
    out.set(state.graphs.executables[&serial].flags);
    Ok(())
}

/// A launch that is under way goes on.
pub(super) fn destroy_executable(handle: Handle) -> Outcome {
    thread::may("destroy an executable graph")?;
    let mut state = lock();
    let serial = state.executable(handle)?;
    state.check_unsafe_call()?;
    let unused = state.remove_executable(serial);
    worker::destroy(state, unused);
    Ok(())
}

/// Writes as many of these as there is room for. What is left of the room becomes null.
///
/// # Safety
///
/// `out` has room for as many handles as `room` says.
unsafe fn list(handles: &[Handle], out: *mut RawHandle, room: usize) {
    for place in 0..room {
        let handle = handles.get(place).copied().unwrap_or(Handle::NULL);
        // SAFETY: the caller's room.
        unsafe { out.wrapping_add(place).write(handle.raw()) };
    }
}

/// Lists nodes of a graph: all, or those that come after no other.
///
/// # Safety
///
/// `out` is null or has room for as many handles as `count` says.
pub(super) unsafe fn nodes(handle: Handle, out: *mut c_void, count: InOut<usize>, only_roots: bool) -> Outcome {
    let state = lock();
    let serial = state.graph(handle)?;
    let nodes = state.graphs.all[&serial].nodes.iter().filter(|node| !only_roots || node.after.is_empty());
    let nodes: Vec<Handle> = nodes.map(|node| Handle::new(Kind::GraphNode, node.serial)).collect();
    if out.is_null() {
        count.set(nodes.len());
        return Ok(());
    }
    let room = count.get();
    if room == 0 {
        return Err(codes::INVALID_VALUE);
    }
    // SAFETY: the caller's promise.
    unsafe { list(&nodes, out.cast(), room) };
    count.set(nodes.len().min(room));
    Ok(())
}

/// Lists edges of a graph by the nodes at their ends.
///
/// # Safety
///
/// `from` and `to` are null, or have room for as many handles as `count` says, and `data` for as many times eight bytes.
pub(super) unsafe fn edges(handle: Handle, from: *mut c_void, to: *mut c_void, data: *mut c_void, count: InOut<usize>) -> Outcome {
    let state = lock();
    let serial = state.graph(handle)?;
    if from.is_null() != to.is_null() {
        return Err(codes::INVALID_VALUE);
    }
    let graph = &state.graphs.all[&serial];
    let handle = |place: usize| Handle::new(Kind::GraphNode, graph.nodes[place].serial);
    let edges: Vec<(usize, usize)> = graph.edges().collect();
    if from.is_null() {
        count.set(edges.len());
        return Ok(());
    }
    let room = count.get();
    let ends = edges.iter().map(|(from, to)| (handle(*from), handle(*to)));
    let (from_nodes, to_nodes): (Vec<Handle>, Vec<Handle>) = ends.unzip();
    // SAFETY: the caller's promise.
    unsafe { list(&from_nodes, from.cast(), room) };
    // SAFETY: the caller's promise.
    unsafe { list(&to_nodes, to.cast(), room) };
    if !data.is_null() {
        // SAFETY: the caller's promise; an edge without data has eight zeros.
        unsafe { data.cast::<[u8; 8]>().write_bytes(0, room) };
    }
    count.set(edges.len().min(room));
    Ok(())
}

pub(super) fn node_type(handle: Handle, out: Out<u32>) -> Outcome {
    let state = lock();
    let found = handle.serial(Kind::GraphNode).and_then(|serial| state.graphs.node(serial));
    let (graph, place) = found.ok_or(codes::INVALID_VALUE)?;
    out.set(graph.nodes[place].work.number());
    Ok(())
}

/// The event of a node that has one.
pub(super) fn event_of(handle: Handle, out: Out<RawHandle>) -> Outcome {
    let state = lock();
    let found = handle.serial(Kind::GraphNode).and_then(|serial| state.graphs.node(serial));
    let (graph, place) = found.ok_or(codes::INVALID_VALUE)?;
    let (NodeWork::Record(event) | NodeWork::Wait(event)) = graph.nodes[place].work else { return Err(codes::INVALID_VALUE) };
    out.set(Handle::new(Kind::Event, event).raw());
    Ok(())
}
