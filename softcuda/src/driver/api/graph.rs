//! The functions for captures, graphs and user objects.

use std::ffi::{c_char, c_void};

use super::super::abi::{Argument, HostFunction, In, InOut, Out};
use super::super::calls::Function;
use super::super::capture::{self, Info};
use super::super::codes::Code;
use super::super::entry::{self, driver_api};
use super::super::graph;
use super::super::graph_nodes::{self, HostNode, MemsetNode, Place};
use super::super::handle::{Handle, RawHandle};
use super::super::node::NodeWork;
use super::super::{graph_launch, user_object};
use super::{Address, BEFORE_GRAPHS};

driver_api! {
    OF_GRAPHS from BEFORE_GRAPHS.len();

    // Captures.

    /// Lets the work of a stream become a graph from now on.
    cuStreamBeginCapture_v2(stream: Handle, mode: u32) => capture::begin(stream, mode);

    /// Ends that; the graph.
    cuStreamEndCapture(stream: Handle, graph: Option<Out<RawHandle>>) => capture::end(stream, graph);

    /// Whether a stream captures.
    cuStreamIsCapturing(stream: Handle, status: Out<u32>) => capture::is_capturing(stream, status);

    /// Whether a stream captures, and in which capture.
    cuStreamGetCaptureInfo(stream: Handle, status: Out<u32>, number: Option<Out<u64>>)
        => capture::info(stream, Info { status, number, graph: None, nodes: None, edges: None, count: None });

    /// Whether a stream captures, in which capture and graph, and the nodes that its next one comes after.
    cuStreamGetCaptureInfo_v2(
        stream: Handle, status: Out<u32>, number: Option<Out<u64>>, graph: Option<Out<RawHandle>>,
        nodes: Option<Out<*const RawHandle>>, count: Option<Out<usize>>,
    ) => capture::info(stream, Info { status, number, graph, nodes, edges: None, count });

    /// The same, with what the edges to these nodes have.
    cuStreamGetCaptureInfo_v3(
        stream: Handle, status: Out<u32>, number: Option<Out<u64>>, graph: Option<Out<RawHandle>>,
        nodes: Option<Out<*const RawHandle>>, edges: Option<Out<*const RawHandle>>, count: Option<Out<usize>>,
    ) => capture::info(stream, Info { status, number, graph, nodes, edges, count });

    // Graphs.

    /// Creates a graph without nodes.
    cuGraphCreate(graph: Out<RawHandle>, flags: u32) => graph::create(graph, flags);

    /// Copies a graph.
    cuGraphClone(clone: Out<RawHandle>, graph: Handle) => graph::clone(clone, graph);

    /// Destroys a graph; executables of it stay.
    cuGraphDestroy(graph: Handle) => graph::destroy(graph);

    /// The nodes of a graph.
    cuGraphGetNodes(graph: Handle, nodes: *mut c_void, count: InOut<usize>) => {
        // SAFETY: the caller passed null, or room for as many nodes as the count says.
        unsafe { graph::nodes(graph, nodes, count, false) }
    };

    /// The nodes of a graph that come after no other.
    cuGraphGetRootNodes(graph: Handle, nodes: *mut c_void, count: InOut<usize>) => {
        // SAFETY: the caller passed null, or room for as many nodes as the count says.
        unsafe { graph::nodes(graph, nodes, count, true) }
    };

    /// The edges of a graph.
    cuGraphGetEdges(graph: Handle, from: *mut c_void, to: *mut c_void, count: InOut<usize>) => {
        // SAFETY: the caller passed null, or room for as many nodes as the count says.
        unsafe { graph::edges(graph, from, to, std::ptr::null_mut(), count) }
    };

    /// The edges of a graph, with what they have.
    cuGraphGetEdges_v2(graph: Handle, from: *mut c_void, to: *mut c_void, data: *mut c_void, count: InOut<usize>) => {
        // SAFETY: the caller passed null, or room for as many nodes and data as the count says.
        unsafe { graph::edges(graph, from, to, data, count) }
    };

    /// What kind of node one is.
    cuGraphNodeGetType(node: Handle, kind: Out<u32>) => graph::node_type(node, kind);

    /// Adds a node that does nothing.
    cuGraphAddEmptyNode(node: Out<RawHandle>, graph: Handle, after: *const c_void, count: usize) => {
        // SAFETY: the caller passed as many nodes as the count says.
        unsafe { graph_nodes::add_empty(Place { out: node, graph, after: after.cast(), count }) }
    };

    /// Adds a node that calls a function.
    cuGraphAddHostNode(node: Out<RawHandle>, graph: Handle, after: *const c_void, count: usize, params: In<HostNode>) => {
        // SAFETY: the caller passed as many nodes as the count says.
        unsafe { graph_nodes::add_host(Place { out: node, graph, after: after.cast(), count }, params) }
    };

    /// Adds a node that records an event.
    cuGraphAddEventRecordNode(node: Out<RawHandle>, graph: Handle, after: *const c_void, count: usize, event: Handle) => {
        // SAFETY: the caller passed as many nodes as the count says.
        unsafe { graph_nodes::add_event(Place { out: node, graph, after: after.cast(), count }, event, NodeWork::Record) }
    };

    /// Adds a node that waits for an event.
    cuGraphAddEventWaitNode(node: Out<RawHandle>, graph: Handle, after: *const c_void, count: usize, event: Handle) => {
        // SAFETY: the caller passed as many nodes as the count says.
        unsafe { graph_nodes::add_event(Place { out: node, graph, after: after.cast(), count }, event, NodeWork::Wait) }
    };

    /// Adds a node that sets memory.
    cuGraphAddMemsetNode(
        node: Out<RawHandle>, graph: Handle, after: *const c_void, count: usize, params: In<MemsetNode>, context: Handle,
    ) => {
        // SAFETY: the caller passed as many nodes as the count says.
        unsafe { graph_nodes::add_memset(Place { out: node, graph, after: after.cast(), count }, params, context) }
    };

    /// Adds a node that does what another graph does.
    cuGraphAddChildGraphNode(node: Out<RawHandle>, graph: Handle, after: *const c_void, count: usize, child: Handle) => {
        // SAFETY: the caller passed as many nodes as the count says.
        unsafe { graph_nodes::add_child(Place { out: node, graph, after: after.cast(), count }, child) }
    };

    /// The event that a node records.
    cuGraphEventRecordNodeGetEvent(node: Handle, event: Out<RawHandle>) => graph::event_of(node, event);

    /// The event that a node waits for.
    cuGraphEventWaitNodeGetEvent(node: Handle, event: Out<RawHandle>) => graph::event_of(node, event);

    // Executables.

    /// Makes a graph executable. There is never anything to say of it.
    cuGraphInstantiate_v2(
        executable: Out<RawHandle>, graph: Handle, _node: *mut c_void, _text: *mut c_char, _length: usize,
    ) => graph::instantiate(executable, graph, 0);

    /// Makes a graph executable.
    cuGraphInstantiateWithFlags(executable: Out<RawHandle>, graph: Handle, flags: u64)
        => graph::instantiate(executable, graph, flags);

    /// The flags of an executable.
    cuGraphExecGetFlags(executable: Handle, flags: Out<u64>) => graph::executable_flags(executable, flags);

    /// Makes a device ready for launches of an executable.
    cuGraphUpload(executable: Handle, stream: Handle) => graph_launch::upload(executable, stream);

    /// Launches an executable in stream order.
    cuGraphLaunch(executable: Handle, stream: Handle) => graph_launch::launch(executable, stream);

    /// Destroys an executable; a launch that is under way goes on.
    cuGraphExecDestroy(executable: Handle) => graph::destroy_executable(executable);

    // User objects.

    /// Creates an object with a destructor.
    cuUserObjectCreate(
        object: Out<RawHandle>, user: *mut c_void, destroy: Option<HostFunction>, references: u32, flags: u32,
    ) => user_object::create(object, user, destroy, references, flags);

    /// Adds references of the caller's.
    cuUserObjectRetain(object: Handle, count: u32) => user_object::retain(object, count);

    /// Gives references of the caller's up.
    cuUserObjectRelease(object: Handle, count: u32) => user_object::release(object, count);

    /// Lets a graph refer to an object.
    cuGraphRetainUserObject(graph: Handle, object: Handle, count: u32, flags: u32)
        => user_object::retain_in_graph(graph, object, count, flags);

    /// Takes that back.
    cuGraphReleaseUserObject(graph: Handle, object: Handle, count: u32)
        => user_object::release_in_graph(graph, object, count);
}
