//! Graphs that are built node by node, and what they tell of themselves.

mod support;

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cudarc::driver::sys::CUgraphNodeType::{
    CU_GRAPH_NODE_TYPE_EMPTY as EMPTY, CU_GRAPH_NODE_TYPE_EVENT_RECORD as RECORD, CU_GRAPH_NODE_TYPE_HOST as HOST,
    CU_GRAPH_NODE_TYPE_WAIT_EVENT as WAIT,
};
use cudarc::driver::sys::CUresult::{CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_READY, CUDA_SUCCESS};
use cudarc::driver::sys::{self, CUDA_HOST_NODE_PARAMS, CUDA_MEMSET_NODE_PARAMS, CUgraphNode, CUresult};
use cudarc::driver::{CudaContext, CudaEvent, DevicePtr as _, DriverError, result};
use support::graph::{Graph, captured, query};
use support::reported::in_every_schedule;
use support::world::{blocking, legacy};
use support::{context, misuse};

/// Adds a node by one of the functions for that.
fn add(graph: &Graph, after: &[CUgraphNode], add: impl FnOnce(*mut CUgraphNode, *const CUgraphNode, usize) -> CUresult) -> CUgraphNode {
    let mut node = null_mut();
    assert_eq!(add(&raw mut node, after.as_ptr(), after.len()), CUDA_SUCCESS);
    assert!(graph.nodes().contains(&node));
    node
}

fn empty(graph: &Graph, after: &[CUgraphNode]) -> CUgraphNode {
    // SAFETY: all are alive, here and below.
    add(graph, after, |node, after, count| unsafe { sys::cuGraphAddEmptyNode(node, graph.0, after, count) })
}

fn record(graph: &Graph, after: &[CUgraphNode], event: &CudaEvent) -> CUgraphNode {
    // SAFETY: as above.
    add(graph, after, |node, after, count| unsafe { sys::cuGraphAddEventRecordNode(node, graph.0, after, count, event.cu_event()) })
}

fn wait(graph: &Graph, after: &[CUgraphNode], event: &CudaEvent) -> CUgraphNode {
    // SAFETY: as above.
    add(graph, after, |node, after, count| unsafe { sys::cuGraphAddEventWaitNode(node, graph.0, after, count, event.cu_event()) })
}

/// A host function that counts.
fn host(graph: &Graph, after: &[CUgraphNode], calls: &Arc<AtomicU32>) -> CUgraphNode {
    unsafe extern "C" fn call(calls: *mut c_void) {
        // SAFETY: the test keeps it until the last launch is done.
        unsafe { &*calls.cast::<AtomicU32>() }.fetch_add(1, Ordering::SeqCst);
    }
    let params = CUDA_HOST_NODE_PARAMS { fn_: Some(call), userData: Arc::as_ptr(calls).cast_mut().cast() };
    // SAFETY: as above.
    add(graph, after, |node, after, count| unsafe { sys::cuGraphAddHostNode(node, graph.0, after, count, &raw const params) })
}

#[test]
fn a_graph_of_events_and_host_functions() {
    in_every_schedule(|context, _| {
        let stream = context.new_stream().expect("a stream");
        let (gate, end) = (context.new_event(None).expect("an event"), context.new_event(None).expect("an event"));
        let calls = Arc::new(AtomicU32::new(0));
        let graph = Graph::new();
        let root = empty(&graph, &[]);
        let left = host(&graph, &[root], &calls);
        let right = wait(&graph, &[root], &gate);
        let both = record(&graph, &[left, right], &end);
        host(&graph, &[both], &calls);
        assert_eq!(graph.edges(), [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)]);
        assert_eq!(graph.roots(), [root]);
        assert_eq!(graph.kinds(), [EMPTY, HOST, WAIT, RECORD, HOST]);
        let clone = graph.clone();
        assert_eq!((clone.kinds(), clone.edges()), (graph.kinds(), graph.edges()));
        assert!(clone.nodes().iter().all(|node| !graph.nodes().contains(node)));
        drop(graph);
        let executable = clone.instantiate();
        for launch in 1..=3 {
            assert_eq!(executable.launch(&stream), CUDA_SUCCESS);
            end.synchronize().expect("its end");
            stream.synchronize().expect("its end");
            assert_eq!(calls.load(Ordering::SeqCst), 2 * launch);
        }
    });
}

#[test]
fn a_record_of_a_graph_is_pending_until_its_node_has_run() -> Result<(), DriverError> {
    let context = context(0);
    let (stream, other) = (context.new_stream()?, context.new_stream()?);
    let end = context.new_event(None)?;
    let graph = Graph::new();
    record(&graph, &[], &end);
    let executable = graph.instantiate();
    let hold = support::Hold::new(&stream);
    assert_eq!(query(&end), CUDA_SUCCESS);
    assert_eq!(executable.launch(&stream), CUDA_SUCCESS);
    assert_eq!(query(&end), CUDA_ERROR_NOT_READY);
    other.wait(&end)?;
    let behind = other.record_event(None)?;
    support::round_trips(&context)?;
    assert_eq!(query(&behind), CUDA_ERROR_NOT_READY, "a wait holds as for any record");
    hold.release();
    behind.synchronize()?;
    assert_eq!(query(&end), CUDA_SUCCESS);
    Ok(())
}

#[test]
fn rows_of_a_memset() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let graph = Graph::new();
    // SAFETY: a context is current.
    let memory = unsafe { result::malloc_sync(64) }?;
    // SAFETY: alive.
    unsafe { result::memset_d8_async(memory, 0, 64, stream.cu_stream()) }?;
    let params = |value, element_size, width, height| CUDA_MEMSET_NODE_PARAMS {
        dst: memory,
        pitch: 32,
        value,
        elementSize: element_size,
        width,
        height,
    };
    let add_memset = |params: CUDA_MEMSET_NODE_PARAMS| {
        let mut node = null_mut();
        // SAFETY: all are alive.
        unsafe { sys::cuGraphAddMemsetNode(&raw mut node, graph.0, std::ptr::null(), 0, &raw const params, context.cu_ctx()) }
    };
    for wrong in [params(1, 3, 1, 1), params(0x100, 1, 1, 1), params(1, 4, 0, 1), params(1, 4, 1, 0)] {
        assert_eq!(add_memset(wrong), CUDA_ERROR_INVALID_VALUE);
    }
    assert_eq!(add_memset(params(0x0102, 2, 3, 2)), CUDA_SUCCESS);
    let executable = graph.instantiate();
    assert_eq!(executable.launch(&stream), CUDA_SUCCESS);
    let mut halves = [0_u16; 32];
    // SAFETY: alive, and waited for.
    unsafe { result::memcpy_dtoh_async(&mut halves, memory, stream.cu_stream()) }?;
    stream.synchronize()?;
    let mut expected = [0; 32];
    expected[..3].fill(0x0102);
    expected[16..19].fill(0x0102);
    assert_eq!(halves, expected);
    // SAFETY: all is done.
    unsafe { result::free_sync(memory) }
}

#[test]
fn nodes_of_other_graphs_and_repeated_ones_are_refused() {
    let _context = context(0);
    let (graph, other) = (Graph::new(), Graph::new());
    let (node, foreign) = (empty(&graph, &[]), empty(&other, &[]));
    for after in [&[foreign][..], &[node, node], &[null_mut()]] {
        // SAFETY: all are alive.
        let code = unsafe { sys::cuGraphAddEmptyNode(&mut null_mut(), graph.0, after.as_ptr(), after.len()) };
        assert_eq!(code, CUDA_ERROR_INVALID_VALUE);
    }
    assert_eq!(graph.nodes(), [node]);
}

#[test]
fn a_memset_node_sets_rows_that_do_not_overlap() -> Result<(), DriverError> {
    let context = context(0);
    let _misuse = misuse();
    let stream = context.new_stream()?;
    let data = stream.clone_htod(&[1_u16; 16])?;
    let dst = data.device_ptr(&stream).0;
    let graph = Graph::new();
    let set = |node: *mut CUgraphNode, after: &[CUgraphNode], [width, height, pitch]: [usize; 3]| {
        let params = CUDA_MEMSET_NODE_PARAMS { dst, pitch, value: 7, elementSize: 2, width, height };
        // SAFETY: all are alive.
        unsafe { sys::cuGraphAddMemsetNode(node, graph.0, after.as_ptr(), after.len(), &raw const params, context.cu_ctx()) }
    };
    // Rows over each other, then rows behind the end.
    for rows in [[2, 2, 3], [1, 2, 0], [2, 5, 8], [1, 1 << 40, 0], [1, 1 << 40, 2], [1, usize::MAX, usize::MAX]] {
        assert_eq!(set(&mut null_mut(), &[], rows), CUDA_ERROR_INVALID_VALUE, "{rows:?}");
    }
    // One after the other: the first row of each is the same.
    let mut after = Vec::new();
    for rows in [[2, 1, 0], [2, 2, 4], [1, 3, 10]] {
        after = vec![add(&graph, &after, |node, _, _| set(node, &after, rows))];
    }
    assert_eq!(graph.instantiate().launch(&stream), CUDA_SUCCESS);
    assert_eq!(stream.clone_dtoh(&data)?, [7, 7, 7, 7, 1, 7, 1, 1, 1, 1, 7, 1, 1, 1, 1, 1]);
    Ok(())
}

#[test]
fn lists_end_in_null_where_there_is_more_room() {
    let _context = context(0);
    let graph = Graph::new();
    let nodes = [empty(&graph, &[]), empty(&graph, &[])];
    let list = |room: usize| {
        let (mut list, mut count) = (vec![std::ptr::without_provenance_mut(1); room], room);
        // SAFETY: there is as much room.
        assert_eq!(unsafe { sys::cuGraphGetNodes(graph.0, list.as_mut_ptr(), &raw mut count) }, CUDA_SUCCESS);
        (list, count)
    };
    assert_eq!(list(1), (vec![nodes[0]], 1));
    assert_eq!(list(3), (vec![nodes[0], nodes[1], null_mut()], 2));
}

#[test]
fn nodes_of_a_context_that_is_gone_are_not_launched() -> Result<(), DriverError> {
    let scope = misuse();
    let stream = context(0).new_stream()?;
    let mut raw = null_mut();
    // SAFETY: a valid place; the parameters are those of a plain context.
    unsafe { sys::cuCtxCreate_v4(&raw mut raw, null_mut(), 0, 0) }.result()?;
    let there = result::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT)?;
    let graph = Graph::new();
    // SAFETY: all are alive.
    assert_eq!(unsafe { sys::cuGraphAddEventRecordNode(&mut null_mut(), graph.0, std::ptr::null(), 0, there) }, CUDA_SUCCESS);
    let executable = graph.instantiate();
    // SAFETY: alive, and nothing of it is used any more.
    unsafe { sys::cuCtxDestroy_v2(raw) }.result()?;
    assert_eq!(executable.launch(&stream), CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED);
    let reports: Vec<String> = scope.scope().take_reports().iter().map(ToString::to_string).collect();
    assert!(reports.iter().any(|report| report.contains("cuGraphLaunch: the graph has a node of context")), "{reports:#?}");
    Ok(())
}

#[test]
fn branches_of_several_devices() -> Result<(), DriverError> {
    let contexts: [Arc<CudaContext>; 2] = [0, 1].map(context);
    let [here, there] = contexts.each_ref().map(|context| {
        context.bind_to_thread().expect("a context");
        blocking(context)
    });
    let memory = contexts.each_ref().map(|context| {
        context.bind_to_thread().expect("a context");
        // SAFETY: a context is current.
        unsafe { result::malloc_sync(64) }.expect("memory")
    });
    let graph = captured(&here, |here| {
        support::graph::join(&there, here);
        assert_eq!(support::graph::set(memory[0], 7, 16, here), CUDA_SUCCESS);
        assert_eq!(support::graph::set(memory[1], 8, 16, &there), CUDA_SUCCESS);
        support::graph::join(here, &there);
    });
    let executable = graph.instantiate();
    for stream in [&here, &there] {
        assert_eq!(executable.launch(stream), CUDA_SUCCESS);
        stream.synchronize()?;
    }
    for (context, (memory, expected)) in contexts.iter().zip(memory.into_iter().zip([7, 8])) {
        context.bind_to_thread()?;
        let mut word = [0_u32];
        // SAFETY: alive.
        unsafe { result::memcpy_dtoh_sync(&mut word, memory) }?;
        assert_eq!(word, [expected]);
        // SAFETY: all is done.
        unsafe { result::free_sync(memory) }?;
    }
    drop((executable, graph));
    for stream in [here, there] {
        // SAFETY: alive, and not used any more.
        unsafe { result::stream::destroy(stream.cu_stream()) }?;
    }
    Ok(())
}

#[test]
fn all_branches_keep_to_the_rules_of_the_legacy_stream() -> Result<(), DriverError> {
    let context = context(0);
    let (origin, other) = (context.new_stream()?, context.new_stream()?);
    let (left, right) = (context.new_event(None)?, context.new_event(None)?);
    let graph = captured(&origin, |origin| {
        support::graph::join(&other, origin);
        assert_eq!(support::graph::record(&left, origin, 1), CUDA_SUCCESS);
        assert_eq!(support::graph::record(&right, &other, 1), CUDA_SUCCESS);
        support::graph::join(origin, &other);
    });
    let executable = graph.instantiate();
    let (dependent, legacy) = (blocking(&context), legacy(&context));
    for (held, launched) in [(&legacy, &dependent), (&dependent, &legacy)] {
        let hold = support::Hold::new(held);
        assert_eq!(executable.launch(launched), CUDA_SUCCESS);
        support::round_trips(&context)?;
        assert_eq!([&left, &right].map(query), [CUDA_ERROR_NOT_READY; 2]);
        hold.release();
        launched.synchronize()?;
        assert_eq!([&left, &right].map(query), [CUDA_SUCCESS; 2]);
    }
    // SAFETY: alive, and not used any more.
    unsafe { result::stream::destroy(dependent.cu_stream()) }
}
