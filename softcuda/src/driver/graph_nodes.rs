//! `cuGraphAdd*Node`: nodes are added to a graph one by one.

use std::ffi::c_void;
use std::sync::Arc;

use super::abi::{Argument, HostFunction, In, Out};
use super::codes::{self, Outcome};
use super::copy::ReadyFill;
use super::graphs::Graph;
use super::handle::{Handle, Kind, RawHandle};
use super::job::{Pattern, UserData};
use super::node::{Fill, Node, NodeWork, Plan};
use super::objects::Serial;
use super::state::{State, lock};

/// Where a caller wants a node: in a graph, after others.
pub(super) struct Place {
    pub(super) out: Out<RawHandle>,
    pub(super) graph: Handle,
    pub(super) after: *const RawHandle,
    pub(super) count: usize,
}

/// Adds a node whose work, and context if that matters, `work` answers. That may change something: nothing is refused after it.
///
/// # Safety
///
/// `place` has an array of as many handles as it says, or null.
unsafe fn add_node(place: Place, work: impl FnOnce(&mut State) -> Outcome<(NodeWork, Option<Serial>)>) -> Outcome {
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
    let (work, context) = work(&mut state)?;
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

/// A node that records an event, or waits for one, in the event's context.
///
/// # Safety
///
/// As for `add_node`.
pub(super) unsafe fn add_event(place: Place, event: Handle, node: fn(Serial) -> NodeWork) -> Outcome {
    if event == Handle::NULL {
        return Err(codes::INVALID_VALUE);
    }
    let work = |state: &mut State| state.event(event).map(|(serial, event)| (node(serial), Some(event.context)));
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
    let work = |state: &mut State| {
        let context = state.named_context(context).map_err(|_| codes::INVALID_VALUE)?;
        ReadyFill::find(state, context, fill)?;
        Ok((NodeWork::Fill(fill), Some(context)))
    };
    // SAFETY: the caller's promise.
    unsafe { add_node(place, work) }
}

/// A node that does what another graph does by now.
///
/// # Safety
///
/// As for `add_node`.
pub(super) unsafe fn add_child(place: Place, child: Handle) -> Outcome {
    let parent = place.graph;
    let work = |state: &mut State| {
        let (parent, child) = (state.graph(parent)?, state.graph(child)?);
        let Graph { nodes, references, .. } = &state.graphs.all[&child];
        let (plan, references) = (Plan::new(nodes), references.clone());
        state.graphs.refer_again(&references);
        if let Some(parent) = state.graphs.all.get_mut(&parent) {
            for (object, count) in references {
                *parent.references.entry(object).or_default() += count;
            }
        }
        Ok((NodeWork::Child(Arc::new(plan)), None))
    };
    // SAFETY: the caller's promise.
    unsafe { add_node(place, work) }
}
