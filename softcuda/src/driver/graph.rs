//! `cuGraph*`: graphs, what is in them, and executables of them.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::Arc;

use super::abi::{Argument, HostFunction, In, InOut, Out};
use super::codes::{self, Outcome};
use super::copy::ReadyFill;
use super::graphs::{Executable, Graph, References};
use super::handle::{Handle, Kind, RawHandle};
use super::job::{Pattern, UserData};
use super::node::{Fill, Node, NodeWork, Plan};
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
    state.graphs.remove(serial);
    worker::destroy_unused(state);
    Ok(())
}

/// Nodes of a copy of a graph, and what it refers to.
fn copy(state: &mut State, serial: Serial) -> Outcome<(Vec<Node>, References)> {
    let Graph { nodes, references, .. } = &state.graphs.all[&serial];
    state.check_nodes(nodes)?;
    let (mut nodes, references) = (nodes.clone(), references.clone());
    for node in &mut nodes {
        node.serial = state.serial();
    }
    state.graphs.refer_again(&references);
    Ok((nodes, references))
}

pub(super) fn clone(out: Out<RawHandle>, handle: Handle) -> Outcome {
    thread::may("copy a graph")?;
    let mut state = lock();
    let serial = state.graph(handle)?;
    let (nodes, references) = copy(&mut state, serial)?;
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
    let (nodes, references) = copy(&mut state, serial)?;
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
    state.remove_executable(serial);
    worker::destroy_unused(state);
    Ok(())
}

/// Writes as many of these as there is room for; without room says how many there are. What is left of the room
/// becomes null.
///
/// # Safety
///
/// `out` is null or has room for as many handles as `count` says.
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

/// Where a caller wants a node: in a graph, after others.
pub(super) struct Place {
    pub(super) out: Out<RawHandle>,
    pub(super) graph: Handle,
    pub(super) after: *const RawHandle,
    pub(super) count: usize,
}

/// Adds a node whose work, and context if that matters, `work` answers.
///
/// # Safety
///
/// `place` has an array of as many handles as it says, or null.
unsafe fn add_node(place: Place, work: impl FnOnce(&State) -> Outcome<(NodeWork, Option<Serial>)>) -> Outcome {
    let Place { out, graph, after, count } = place;
    if after.is_null() && count != 0 {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    let graph = state.graph(graph)?;
    let mut places = Vec::with_capacity(count);
    for index in 0..count {
        // SAFETY: the caller's array has that many.
        let handle = unsafe { after.wrapping_add(index).read() };
        // SAFETY: a handle is a number.
        let handle = unsafe { Handle::accept(handle) }?;
        let serial = handle.serial(Kind::GraphNode).ok_or(codes::INVALID_VALUE)?;
        let place = state.graphs.all[&graph].nodes.iter().position(|node| node.serial == serial).ok_or(codes::INVALID_VALUE)?;
        if places.contains(&place) {
            return Err(codes::INVALID_VALUE);
        }
        places.push(place);
    }
    let (work, context) = work(&state)?;
    let (serial, memory) = (state.serial(), state.memory.used_by(&work));
    if let Some(graph) = state.graphs.all.get_mut(&graph) {
        graph.add(Node { serial, context, work, memory, after: places });
    }
    out.set(Handle::new(Kind::GraphNode, serial).raw());
    Ok(())
}

/// # Safety
///
/// As for `add_node`.
pub(super) unsafe fn add_empty(place: Place) -> Outcome {
    // SAFETY: the caller's promise.
    unsafe { add_node(place, |_| Ok((NodeWork::Nothing, None))) }
}

/// `CUDA_HOST_NODE_PARAMS`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct HostNode {
    function: Option<HostFunction>,
    user: *mut c_void,
}

/// # Safety
///
/// As for `add_node`.
pub(super) unsafe fn add_host(place: Place, params: In<HostNode>) -> Outcome {
    let HostNode { function, user } = params.get();
    let function = function.ok_or(codes::INVALID_VALUE)?;
    // SAFETY: the caller's promise.
    unsafe { add_node(place, |_| Ok((NodeWork::HostFunction(function, UserData(user)), None))) }
}

/// A node that does what another graph does by now.
///
/// # Safety
///
/// As for `add_node`.
pub(super) unsafe fn add_child(place: Place, child: Handle) -> Outcome {
    let parent = place.graph;
    let work = |state: &State| {
        let child = state.graph(child)?;
        Ok((NodeWork::Child(Arc::new(Plan::new(&state.graphs.all[&child].nodes))), None))
    };
    // SAFETY: the caller's promise.
    unsafe { add_node(place, work) }?;
    let mut state = lock();
    let (parent, child) = (state.graph(parent)?, state.graph(child)?);
    let references = state.graphs.all[&child].references.clone();
    state.graphs.refer_again(&references);
    if let Some(parent) = state.graphs.all.get_mut(&parent) {
        for (object, count) in references {
            *parent.references.entry(object).or_default() += count;
        }
    }
    Ok(())
}

/// A node that records an event, or waits for one, in the event's context.
///
/// # Safety
///
/// As for `add_node`.
pub(super) unsafe fn add_event(place: Place, event: Handle, node: fn(Serial) -> NodeWork) -> Outcome {
    if event == Handle::NULL {
        return Err(codes::INVALID_VALUE);
    }
    let work = |state: &State| state.event(event).map(|(serial, event)| (node(serial), Some(event.context)));
    // SAFETY: the caller's promise.
    unsafe { add_node(place, work) }
}

/// `CUDA_MEMSET_NODE_PARAMS`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MemsetNode {
    target: u64,
    pitch: usize,
    value: u32,
    element_size: u32,
    width: usize,
    height: usize,
}

/// # Safety
///
/// As for `add_node`.
pub(super) unsafe fn add_memset(place: Place, params: In<MemsetNode>, context: Handle) -> Outcome {
    let MemsetNode { target, pitch, value, element_size, width, height } = params.get();
    let pattern = match (element_size, value) {
        (1, 0..=0xff) => Pattern::Byte(value.to_le_bytes()[0]),
        (2, 0..=0xffff) => Pattern::Half(u16::from_le_bytes([value.to_le_bytes()[0], value.to_le_bytes()[1]])),
        (4, _) => Pattern::Word(value),
        _ => return Err(codes::INVALID_VALUE),
    };
    let overlaps = height > 1 && width.checked_mul(pattern.size()).is_none_or(|bytes| pitch < bytes);
    if width == 0 || height == 0 || overlaps {
        return Err(codes::INVALID_VALUE);
    }
    let fill = Fill { target, pattern, count: width, rows: height, pitch };
    let work = |state: &State| {
        let context = state.named_context(context).map_err(|_| codes::INVALID_VALUE)?;
        ReadyFill::find(state, context, fill)?;
        Ok((NodeWork::Fill(fill), Some(context)))
    };
    // SAFETY: the caller's promise.
    unsafe { add_node(place, work) }
}
