//! How captures begin, spread over streams, and end.

mod support;

use std::ptr::null_mut;
use std::thread;

use cudarc::driver::sys::CUresult::{
    CUDA_ERROR_CAPTURED_EVENT, CUDA_ERROR_ILLEGAL_STATE, CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT as IMPLICIT,
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, CUDA_ERROR_STREAM_CAPTURE_ISOLATION, CUDA_ERROR_STREAM_CAPTURE_MERGE,
    CUDA_ERROR_STREAM_CAPTURE_UNJOINED, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
    CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, CUDA_SUCCESS,
};
use cudarc::driver::sys::CUstreamCaptureMode::{
    CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_RELAXED, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
};
use cudarc::driver::{DriverError, result, sys};
use softcuda::Scope;
use support::graph::{
    ACTIVE, INVALIDATED, Kind, NONE, begin, begin_on, captured, end, end_on, info, join, query, record, set, status, wait,
};
use support::world::{blocking, legacy, per_thread};
use support::{context, misuse};

#[test]
fn a_capture_begins_and_ends_once() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let raw = stream.cu_stream();
    assert_eq!(status(raw), Ok(NONE));
    assert_eq!(end_on(raw).0, CUDA_ERROR_ILLEGAL_STATE);
    for mode in [CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_RELAXED] {
        assert_eq!(begin_on(raw, mode), CUDA_SUCCESS);
        assert_eq!(begin_on(raw, mode), CUDA_ERROR_ILLEGAL_STATE);
        assert_eq!(status(raw), Ok(ACTIVE));
        let graph = end(&stream);
        assert_eq!((graph.nodes().len(), graph.edges().len()), (0, 0));
        assert_eq!(status(raw), Ok(NONE));
    }
    assert_eq!(end_on(raw).0, CUDA_ERROR_ILLEGAL_STATE);
    Ok(())
}

#[test]
fn default_streams_do_not_capture_but_for_a_threads_own() {
    let context = context(0);
    for legacy in [null_mut(), std::ptr::without_provenance_mut(1)] {
        assert_eq!(begin_on(legacy, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    }
    let own = per_thread(&context);
    begin(&own);
    assert_eq!(end(&own).nodes().len(), 0);
}

#[test]
fn streams_join_by_waiting_for_a_captured_event_and_leave_with_the_capture() -> Result<(), DriverError> {
    let context = context(0);
    let [origin, left, right] = [context.new_stream()?, context.new_stream()?, context.new_stream()?];
    // SAFETY: a context is current.
    let memory = unsafe { result::malloc_sync(64) }?;
    begin(&origin);
    assert_eq!(set(memory, 1, 4, &origin), CUDA_SUCCESS);
    join(&left, &origin);
    join(&right, &origin);
    assert_eq!([&origin, &left, &right].map(|stream| status(stream.cu_stream())), [Ok(ACTIVE); 3]);
    assert_eq!(set(memory, 2, 4, &left), CUDA_SUCCESS);
    assert_eq!(set(memory + 32, 3, 4, &right), CUDA_SUCCESS);
    join(&left, &right);
    join(&origin, &left);
    assert_eq!(set(memory, 4, 4, &origin), CUDA_SUCCESS);
    let graph = end(&origin);
    assert_eq!([&origin, &left, &right].map(|stream| status(stream.cu_stream())), [Ok(NONE); 3]);
    assert_eq!(graph.kinds(), [Kind::CU_GRAPH_NODE_TYPE_MEMSET; 4]);
    // `origin` waits for both: its own last node stays among what it comes after.
    assert_eq!(graph.edges(), [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]);
    assert_eq!(graph.roots(), [graph.nodes()[0]]);
    drop(graph);
    // SAFETY: nothing was enqueued.
    unsafe { result::free_sync(memory) }
}

#[test]
fn work_that_did_not_join_spoils_the_end() -> Result<(), DriverError> {
    let context = context(0);
    let (origin, other) = (context.new_stream()?, context.new_stream()?);
    // SAFETY: a context is current.
    let memory = unsafe { result::malloc_sync(64) }?;
    begin(&origin);
    join(&other, &origin);
    assert_eq!(set(memory, 1, 4, &other), CUDA_SUCCESS);
    assert_eq!(end_on(origin.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
    assert_eq!([&origin, &other].map(|stream| status(stream.cu_stream())), [Ok(NONE); 2]);
    assert_eq!(set(memory, 7, 16, &other), CUDA_SUCCESS, "both can be used again");
    let mut words = [0_u32; 16];
    // SAFETY: alive, and the array has room.
    unsafe { result::memcpy_dtoh_async(&mut words, memory, other.cu_stream()) }?;
    other.synchronize()?;
    assert_eq!(words, [7; 16]);
    // SAFETY: allocated above.
    unsafe { result::free_sync(memory) }
}

#[test]
fn only_the_stream_that_began_ends_it() -> Result<(), DriverError> {
    let context = context(0);
    let (origin, other) = (context.new_stream()?, context.new_stream()?);
    begin(&origin);
    join(&other, &origin);
    assert_eq!(end_on(other.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    assert_eq!(status(origin.cu_stream()), Ok(INVALIDATED));
    assert_eq!(end_on(origin.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    assert_eq!([&origin, &other].map(|stream| status(stream.cu_stream())), [Ok(NONE); 2]);
    Ok(())
}

#[test]
fn only_the_thread_that_began_gets_the_graph_unless_it_is_relaxed() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    for mode in [CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL] {
        assert_eq!(begin_on(stream.cu_stream(), mode), CUDA_SUCCESS);
        let there = thread::scope(|threads| threads.spawn(|| end_on(stream.cu_stream()).0).join());
        assert_eq!(there.expect("no panic"), CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
        assert_eq!(end_on(stream.cu_stream()).0, CUDA_ERROR_ILLEGAL_STATE, "it is over all the same");
    }
    assert_eq!(begin_on(stream.cu_stream(), CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
    let there = thread::scope(|threads| threads.spawn(|| end_on(stream.cu_stream()).0).join());
    assert_eq!(there.expect("no panic"), CUDA_SUCCESS);
    Ok(())
}

#[test]
fn captures_stay_apart() -> Result<(), DriverError> {
    let context = context(0);
    let (first, second) = (context.new_stream()?, context.new_stream()?);
    let (event, outside) = (context.new_event(None)?, context.new_event(None)?);
    let idle = context.new_stream()?;
    outside.record(&idle)?;
    begin(&first);
    begin(&second);
    assert_eq!(record(&event, &first, 0), CUDA_SUCCESS);
    assert_eq!(wait(&second, &event, 0), CUDA_ERROR_STREAM_CAPTURE_MERGE);
    assert_eq!([&first, &second].map(|stream| end_on(stream.cu_stream()).0), [CUDA_ERROR_STREAM_CAPTURE_INVALIDATED; 2]);
    begin(&first);
    assert_eq!(wait(&first, &outside, 0), CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    assert_eq!(status(first.cu_stream()), Ok(INVALIDATED));
    assert_eq!(record(&event, &first, 0), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    assert_eq!(end_on(first.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    assert_eq!(wait(&first, &outside, 0), CUDA_SUCCESS);
    let never = context.new_event(None)?;
    let graph = captured(&first, |first| assert_eq!(wait(first, &never, 0), CUDA_SUCCESS, "there is nothing to wait for"));
    assert_eq!(graph.nodes().len(), 0);
    Ok(())
}

#[test]
fn a_captured_event_is_none_until_it_is_recorded_again() -> Result<(), DriverError> {
    let context = context(0);
    let (origin, other) = (context.new_stream()?, context.new_stream()?);
    let event = context.new_event(Some(sys::CUevent_flags::CU_EVENT_DEFAULT))?;
    event.record(&other)?;
    begin(&origin);
    assert_eq!(record(&event, &origin, 0), CUDA_SUCCESS);
    assert_eq!(query(&event), CUDA_ERROR_CAPTURED_EVENT);
    assert_eq!(end_on(origin.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "the query has ended it");

    captured(&origin, |origin| assert_eq!(record(&event, origin, 0), CUDA_SUCCESS));
    assert_eq!(query(&event), CUDA_ERROR_INVALID_VALUE);
    // SAFETY: alive.
    assert_eq!(unsafe { sys::cuEventSynchronize(event.cu_event()) }, CUDA_ERROR_INVALID_VALUE);
    // SAFETY: alive.
    let elapsed = unsafe { result::event::elapsed(event.cu_event(), event.cu_event()) };
    assert_eq!(elapsed.map_err(|error| error.0), Err(CUDA_ERROR_INVALID_VALUE));
    assert_eq!(wait(&other, &event, 0), CUDA_ERROR_INVALID_VALUE);
    for flags in [0, 1] {
        begin(&other);
        assert_eq!(wait(&other, &event, flags), CUDA_ERROR_INVALID_VALUE);
        assert_eq!(end_on(other.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    }
    event.record(&other)?;
    other.synchronize()?;
    assert_eq!(query(&event), CUDA_SUCCESS);
    Ok(())
}

#[test]
fn external_records_are_nodes_and_nothing_outside() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let event = context.new_event(None)?;
    assert_eq!(record(&event, &stream, 1), CUDA_ERROR_ILLEGAL_STATE);
    assert_eq!(wait(&stream, &event, 1), CUDA_ERROR_ILLEGAL_STATE);
    let graph = captured(&stream, |stream| {
        assert_eq!(wait(stream, &event, 1), CUDA_SUCCESS, "also of one that was never recorded");
        assert_eq!(record(&event, stream, 1), CUDA_SUCCESS);
        assert_eq!(record(&event, stream, 2), CUDA_ERROR_INVALID_VALUE);
    });
    assert_eq!(graph.kinds(), [Kind::CU_GRAPH_NODE_TYPE_WAIT_EVENT, Kind::CU_GRAPH_NODE_TYPE_EVENT_RECORD]);
    assert_eq!(query(&event), CUDA_SUCCESS, "it was captured by no record");
    Ok(())
}

#[test]
fn the_legacy_stream_depends_on_captures_of_blocking_streams() -> Result<(), DriverError> {
    let context = context(0);
    let (dependent, independent, legacy) = (blocking(&context), context.new_stream()?, legacy(&context));
    let event = context.new_event(None)?;
    begin(&independent);
    assert_eq!(record(&event, &legacy, 0), CUDA_SUCCESS);
    drop(end(&independent));
    begin(&dependent);
    assert_eq!(status(legacy.cu_stream()), Err(IMPLICIT));
    assert_eq!(status(dependent.cu_stream()), Ok(ACTIVE), "asking ends nothing");
    assert_eq!(record(&event, &legacy, 0), IMPLICIT);
    assert_eq!(end_on(dependent.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    begin(&dependent);
    assert_eq!(wait(&legacy, &event, 0), IMPLICIT);
    assert_eq!(end_on(dependent.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    begin(&dependent);
    // SAFETY: alive, and a valid place.
    assert_eq!(unsafe { sys::cuStreamGetId(legacy.cu_stream(), &mut 0) }, IMPLICIT);
    assert_eq!(end_on(dependent.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    assert_eq!(record(&event, &legacy, 0), CUDA_SUCCESS);
    // SAFETY: alive, and not used any more.
    unsafe { result::stream::destroy(dependent.cu_stream()) }
}

#[test]
fn a_capture_tells_its_graph_and_its_last_nodes() -> Result<(), DriverError> {
    let context = context(0);
    let (stream, other) = (context.new_stream()?, context.new_stream()?);
    let event = context.new_event(None)?;
    assert!(info(&stream).is_none());
    begin(&stream);
    let (number, graph, nodes) = info(&stream).expect("it captures");
    assert!(nodes.is_empty());
    assert_eq!(record(&event, &stream, 1), CUDA_SUCCESS);
    join(&other, &stream);
    assert_eq!(record(&event, &other, 1), CUDA_SUCCESS);
    let [(_, _, first), (same, _, second)] = [&stream, &other].map(|stream| info(stream).expect("both capture"));
    assert_eq!((first.len(), second.len(), same), (1, 1, number));
    join(&stream, &other);
    let (_, _, nodes) = info(&stream).expect("it captures");
    assert_eq!(nodes, [first[0], second[0]]);
    let ended = end(&stream);
    assert_eq!((ended.0, ended.nodes()), (graph, nodes));
    begin(&stream);
    assert_ne!(info(&stream).expect("it captures").0, number, "numbers do not recur");
    drop(end(&stream));
    Ok(())
}

#[test]
fn destroying_the_origin_ends_the_capture() -> Result<(), DriverError> {
    let _misuse = misuse();
    let context = context(0);
    let (origin, other) = (blocking(&context), context.new_stream()?);
    begin(&origin);
    join(&other, &origin);
    // SAFETY: alive, and not used any more.
    unsafe { result::stream::destroy(origin.cu_stream()) }?;
    assert_eq!(status(other.cu_stream()), Ok(NONE));
    assert_eq!(softcuda::live().graphs, 0);
    assert_eq!(Scope::current().reports(), []);
    Ok(())
}

#[test]
fn what_a_scope_leaves_is_reported_outside() -> Result<(), DriverError> {
    let outer = misuse();
    let context = context(0);
    let (stream, graph, executable);
    {
        let _inner = Scope::enter();
        stream = context.new_stream()?;
        graph = captured(&stream, |_| ());
        executable = graph.instantiate();
        begin(&stream);
        let live = softcuda::live();
        assert_eq!((live.graphs, live.executables), (1, 1), "one that is being captured is not counted");
    }
    let reports = outer.scope().take_reports();
    assert_eq!(reports.len(), 1, "{reports:#?}");
    assert!(reports[0].to_string().contains("a scope ended with 1 capture, 1 graph and 1 executable graph in it"), "{}", reports[0]);
    assert_eq!(status(stream.cu_stream()), Ok(NONE), "its captures are over");
    drop((executable, graph));
    Ok(())
}
