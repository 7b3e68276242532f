//! The functions for captures, graphs and user objects.

use std::ffi::{c_char, c_uint, c_ulonglong, c_void};

use cudarc::driver::sys::{
    self, CUDA_HOST_NODE_PARAMS, CUDA_MEMSET_NODE_PARAMS, CUcontext, CUevent, CUgraph, CUgraphEdgeData, CUgraphExec, CUgraphNode,
    CUgraphNodeType, CUhostFn, CUresult, CUstream, CUstreamCaptureMode, CUstreamCaptureStatus, CUuserObject,
};

use super::{Pass, result};
use crate::driver;

checked_exports! {
    fn cuStreamBeginCapture_v2(stream: CUstream, mode: CUstreamCaptureMode);
    fn cuStreamEndCapture(stream: CUstream, graph: *mut CUgraph);
    fn cuStreamIsCapturing(stream: CUstream, status: *mut CUstreamCaptureStatus);
    fn cuStreamGetCaptureInfo_v3(
        stream: CUstream,
        status: *mut CUstreamCaptureStatus,
        number: *mut c_ulonglong,
        graph: *mut CUgraph,
        nodes: *mut *const CUgraphNode,
        edges: *mut *const CUgraphEdgeData,
        count: *mut usize
    );

    fn cuGraphCreate(graph: *mut CUgraph, flags: c_uint);
    fn cuGraphClone(clone: *mut CUgraph, graph: CUgraph);
    fn cuGraphDestroy(graph: CUgraph);
    fn cuGraphGetNodes(graph: CUgraph, nodes: *mut CUgraphNode, count: *mut usize);
    fn cuGraphGetRootNodes(graph: CUgraph, nodes: *mut CUgraphNode, count: *mut usize);
    fn cuGraphNodeGetType(node: CUgraphNode, kind: *mut CUgraphNodeType);
    fn cuGraphAddEmptyNode(node: *mut CUgraphNode, graph: CUgraph, after: *const CUgraphNode, count: usize);
    fn cuGraphAddHostNode(
        node: *mut CUgraphNode,
        graph: CUgraph,
        after: *const CUgraphNode,
        count: usize,
        params: *const CUDA_HOST_NODE_PARAMS
    );
    fn cuGraphAddEventRecordNode(node: *mut CUgraphNode, graph: CUgraph, after: *const CUgraphNode, count: usize, event: CUevent);
    fn cuGraphAddEventWaitNode(node: *mut CUgraphNode, graph: CUgraph, after: *const CUgraphNode, count: usize, event: CUevent);
    fn cuGraphAddMemsetNode(
        node: *mut CUgraphNode,
        graph: CUgraph,
        after: *const CUgraphNode,
        count: usize,
        params: *const CUDA_MEMSET_NODE_PARAMS,
        context: CUcontext
    );
    fn cuGraphAddChildGraphNode(node: *mut CUgraphNode, graph: CUgraph, after: *const CUgraphNode, count: usize, child: CUgraph);
    fn cuGraphEventRecordNodeGetEvent(node: CUgraphNode, event: *mut CUevent);
    fn cuGraphEventWaitNodeGetEvent(node: CUgraphNode, event: *mut CUevent);
    fn cuGraphInstantiateWithFlags(executable: *mut CUgraphExec, graph: CUgraph, flags: c_ulonglong);
    fn cuGraphExecGetFlags(executable: CUgraphExec, flags: *mut c_ulonglong);
    fn cuGraphUpload(executable: CUgraphExec, stream: CUstream);
    fn cuGraphLaunch(executable: CUgraphExec, stream: CUstream);
    fn cuGraphExecDestroy(executable: CUgraphExec);

    fn cuUserObjectCreate(object: *mut CUuserObject, user: *mut c_void, destroy: CUhostFn, references: c_uint, flags: c_uint);
    fn cuUserObjectRetain(object: CUuserObject, count: c_uint);
    fn cuUserObjectRelease(object: CUuserObject, count: c_uint);
    fn cuGraphRetainUserObject(graph: CUgraph, object: CUuserObject, count: c_uint, flags: c_uint);
    fn cuGraphReleaseUserObject(graph: CUgraph, object: CUuserObject, count: c_uint);
}

// Those that only some versions declare.
exports! {
    fn cuStreamGetCaptureInfo(stream: CUstream, status: *mut CUstreamCaptureStatus, number: *mut c_ulonglong);
    fn cuStreamGetCaptureInfo_v2(
        stream: CUstream,
        status: *mut CUstreamCaptureStatus,
        number: *mut c_ulonglong,
        graph: *mut CUgraph,
        nodes: *mut *const CUgraphNode,
        count: *mut usize
    );
    fn cuGraphInstantiate_v2(executable: *mut CUgraphExec, graph: CUgraph, node: *mut CUgraphNode, text: *mut c_char, length: usize);
    fn cuGraphGetEdges(graph: CUgraph, from: *mut CUgraphNode, to: *mut CUgraphNode, count: *mut usize);
    fn cuGraphGetEdges_v2(graph: CUgraph, from: *mut CUgraphNode, to: *mut CUgraphNode, data: *mut CUgraphEdgeData, count: *mut usize);
}
