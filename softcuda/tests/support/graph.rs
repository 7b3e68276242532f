//! Captures, graphs and user objects by the functions of C.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

pub(crate) use cudarc::driver::sys::CUgraphNodeType as Kind;
use cudarc::driver::sys::CUresult::CUDA_SUCCESS;
use cudarc::driver::sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
use cudarc::driver::sys::{
    self, CUdeviceptr, CUevent, CUgraph, CUgraphExec, CUgraphNode, CUresult, CUstream, CUstreamCaptureMode, CUstreamCaptureStatus,
    CUuserObject,
};
use cudarc::driver::{CudaEvent, CudaStream};

pub(crate) const NONE: CUstreamCaptureStatus = CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
pub(crate) const ACTIVE: CUstreamCaptureStatus = CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_ACTIVE;
pub(crate) const INVALIDATED: CUstreamCaptureStatus = CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_INVALIDATED;

pub(crate) fn begin_on(stream: CUstream, mode: CUstreamCaptureMode) -> CUresult {
    // SAFETY: the tests' streams are alive.
    unsafe { sys::cuStreamBeginCapture_v2(stream, mode) }
}

/// Begins a capture that only the calling thread may end.
pub(crate) fn begin(stream: &Arc<CudaStream>) {
    assert_eq!(begin_on(stream.cu_stream(), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), CUDA_SUCCESS);
}

/// Ends a capture: the code, and the graph if there is one.
pub(crate) fn end_on(stream: CUstream) -> (CUresult, Option<Graph>) {
    let mut graph = ptr::null_mut();
    // SAFETY: as above.
    let code = unsafe { sys::cuStreamEndCapture(stream, &raw mut graph) };
    assert_eq!(code == CUDA_SUCCESS, !graph.is_null());
    (code, (!graph.is_null()).then(|| Graph(graph)))
}

pub(crate) fn end(stream: &Arc<CudaStream>) -> Graph {
    let (code, graph) = end_on(stream.cu_stream());
    graph.unwrap_or_else(|| panic!("{code:?}"))
}

/// The graph of what `work` does with a stream.
pub(crate) fn captured(stream: &Arc<CudaStream>, work: impl FnOnce(&Arc<CudaStream>)) -> Graph {
    begin(stream);
    work(stream);
    end(stream)
}

pub(crate) fn status(stream: CUstream) -> Result<CUstreamCaptureStatus, CUresult> {
    let mut status = NONE;
    // SAFETY: the place is valid.
    match unsafe { sys::cuStreamIsCapturing(stream, &raw mut status) } {
        CUDA_SUCCESS => Ok(status),
        code => Err(code),
    }
}

/// The graph that a stream is captured into, and the nodes that its next one comes after.
pub(crate) fn info(stream: &Arc<CudaStream>) -> Option<(u64, CUgraph, Vec<CUgraphNode>)> {
    let (mut status, mut number, mut graph, mut nodes, mut count) = (NONE, 0, ptr::null_mut(), ptr::null(), 0);
    let edges = ptr::null_mut();
    // SAFETY: the places are valid, or null.
    let code = unsafe {
        sys::cuStreamGetCaptureInfo_v3(
            stream.cu_stream(),
            &raw mut status,
            &raw mut number,
            &raw mut graph,
            &raw mut nodes,
            edges,
            &raw mut count,
        )
    };
    assert_eq!(code, CUDA_SUCCESS);
    // SAFETY: so many are there until the next call.
    let node = |index| unsafe { ptr::read(nodes.wrapping_add(index)) };
    (status == ACTIVE).then(|| (number, graph, (0..count).map(node).collect()))
}

pub(crate) fn record(event: &CudaEvent, stream: &Arc<CudaStream>, flags: u32) -> CUresult {
    // SAFETY: both are alive.
    unsafe { sys::cuEventRecordWithFlags(event.cu_event(), stream.cu_stream(), flags) }
}

pub(crate) fn wait(stream: &Arc<CudaStream>, event: &CudaEvent, flags: u32) -> CUresult {
    // SAFETY: both are alive.
    unsafe { sys::cuStreamWaitEvent(stream.cu_stream(), event.cu_event(), flags) }
}

/// Lets one stream come after another.
pub(crate) fn join(later: &Arc<CudaStream>, earlier: &Arc<CudaStream>) {
    let event = earlier.context().new_event(None).expect("an event");
    assert_eq!(record(&event, earlier, 0), CUDA_SUCCESS);
    assert_eq!(wait(later, &event, 0), CUDA_SUCCESS);
}

pub(crate) fn query(event: &CudaEvent) -> CUresult {
    // SAFETY: alive.
    unsafe { sys::cuEventQuery(event.cu_event()) }
}

/// Sets words of a device.
pub(crate) fn set(address: CUdeviceptr, value: u32, words: usize, stream: &Arc<CudaStream>) -> CUresult {
    // SAFETY: the driver finds out what is there.
    unsafe { sys::cuMemsetD32Async(address, value, words, stream.cu_stream()) }
}

pub(crate) struct Graph(pub(crate) CUgraph);

impl Graph {
    pub(crate) fn new() -> Self {
        let mut graph = ptr::null_mut();
        // SAFETY: the place is valid.
        assert_eq!(unsafe { sys::cuGraphCreate(&raw mut graph, 0) }, CUDA_SUCCESS);
        Self(graph)
    }

    pub(crate) fn nodes(&self) -> Vec<CUgraphNode> {
        let mut count = 0;
        // SAFETY: alive; without room the count is asked for.
        assert_eq!(unsafe { sys::cuGraphGetNodes(self.0, ptr::null_mut(), &raw mut count) }, CUDA_SUCCESS);
        let mut nodes = vec![ptr::null_mut(); count];
        if count == 0 {
            // No room is refused.
            return nodes;
        }
        // SAFETY: there is room for so many.
        assert_eq!(unsafe { sys::cuGraphGetNodes(self.0, nodes.as_mut_ptr(), &raw mut count) }, CUDA_SUCCESS);
        nodes
    }

    pub(crate) fn roots(&self) -> Vec<CUgraphNode> {
        let mut nodes = vec![ptr::null_mut(); self.nodes().len()];
        let mut count = nodes.len();
        // SAFETY: there is room for so many.
        assert_eq!(unsafe { sys::cuGraphGetRootNodes(self.0, nodes.as_mut_ptr(), &raw mut count) }, CUDA_SUCCESS);
        nodes.truncate(count);
        nodes
    }

    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let kind = |node: &CUgraphNode| {
            let mut kind = Kind::CU_GRAPH_NODE_TYPE_EMPTY;
            // SAFETY: the graph's, and a valid place.
            assert_eq!(unsafe { sys::cuGraphNodeGetType(*node, &raw mut kind) }, CUDA_SUCCESS);
            kind
        };
        self.nodes().iter().map(kind).collect()
    }

    /// The edges by the places of their nodes.
    pub(crate) fn edges(&self) -> Vec<(usize, usize)> {
        type Edges = unsafe extern "C" fn(CUgraph, *mut CUgraphNode, *mut CUgraphNode, *mut usize) -> u32;
        let nodes = self.nodes();
        let address = softcuda::symbol(c"cuGraphGetEdges").expect("every driver has it");
        // SAFETY: the function of this name has these parameters.
        let edges = unsafe { std::mem::transmute::<*const c_void, Edges>(address) };
        let mut count = 0;
        // SAFETY: alive; without room the count is asked for.
        assert_eq!(unsafe { edges(self.0, ptr::null_mut(), ptr::null_mut(), &raw mut count) }, 0);
        let (mut from, mut to) = (vec![ptr::null_mut(); count], vec![ptr::null_mut(); count]);
        // SAFETY: there is room for so many.
        assert_eq!(unsafe { edges(self.0, from.as_mut_ptr(), to.as_mut_ptr(), &raw mut count) }, 0);
        let place = |node| nodes.iter().position(|known| *known == node).expect("a node of the graph");
        from.into_iter().zip(to).map(|(from, to)| (place(from), place(to))).collect()
    }

    pub(crate) fn instantiate(&self) -> Executable {
        let mut executable = ptr::null_mut();
        // SAFETY: alive, and a valid place.
        assert_eq!(unsafe { sys::cuGraphInstantiateWithFlags(&raw mut executable, self.0, 0) }, CUDA_SUCCESS);
        Executable(executable)
    }
}

impl Clone for Graph {
    fn clone(&self) -> Self {
        let mut graph = ptr::null_mut();
        // SAFETY: alive, and a valid place.
        assert_eq!(unsafe { sys::cuGraphClone(&raw mut graph, self.0) }, CUDA_SUCCESS);
        Self(graph)
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: alive, and not used any more.
        assert_eq!(unsafe { sys::cuGraphDestroy(self.0) }, CUDA_SUCCESS);
    }
}

pub(crate) struct Executable(pub(crate) CUgraphExec);

impl Executable {
    pub(crate) fn launch(&self, stream: &Arc<CudaStream>) -> CUresult {
        // SAFETY: both are alive; the driver finds out what else is.
        unsafe { sys::cuGraphLaunch(self.0, stream.cu_stream()) }
    }
}

impl Drop for Executable {
    fn drop(&mut self) {
        // SAFETY: alive, and not used any more.
        assert_eq!(unsafe { sys::cuGraphExecDestroy(self.0) }, CUDA_SUCCESS);
    }
}

/// A user object with one reference of the caller's.
pub(crate) fn user_object(on_destroy: impl FnOnce() + Send + 'static) -> CUuserObject {
    type Work = Box<dyn FnOnce() + Send>;
    unsafe extern "C" fn destroy(work: *mut c_void) {
        // SAFETY: a box, as passed below; the driver calls once.
        let work = unsafe { Box::from_raw(work.cast::<Work>()) };
        work();
    }
    let work: Box<Work> = Box::new(Box::new(on_destroy));
    let mut object = ptr::null_mut();
    // SAFETY: the function takes the box back.
    let code = unsafe { sys::cuUserObjectCreate(&raw mut object, Box::into_raw(work).cast(), Some(destroy), 1, 1) };
    assert_eq!(code, CUDA_SUCCESS);
    object
}

/// An event that nobody but the caller destroys.
pub(crate) fn raw_event() -> CUevent {
    cudarc::driver::result::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT).expect("an event")
}
