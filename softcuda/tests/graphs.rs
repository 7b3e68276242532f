//! Launches of graphs: what was captured runs in the order in which it was captured, each time.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cudarc::driver::sys::CUgraphNodeType::{
    CU_GRAPH_NODE_TYPE_HOST as HOST, CU_GRAPH_NODE_TYPE_KERNEL as KERNEL, CU_GRAPH_NODE_TYPE_MEMCPY as COPY,
    CU_GRAPH_NODE_TYPE_MEMSET as SET,
};
use cudarc::driver::sys::CUresult::{
    CUDA_ERROR_NOT_READY, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, CUDA_SUCCESS,
};
use cudarc::driver::sys::{self, CUdeviceptr, CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaFunction, CudaStream, DriverError, PushKernelArg, result};
use softcuda::Schedule;
use support::graph::{Kind, begin, captured, end_on, join, query, record, set, wait};
use support::reported::{check_silent, in_every_schedule, in_every_schedule_with_a_world};
use support::world::{World, host_function};
use support::{Hold, ONE, add, context, round_trips};

/// The first word.
fn read(address: CUdeviceptr, stream: &Arc<CudaStream>) -> u32 {
    let mut word = [0];
    // SAFETY: alive, and waited for.
    unsafe { result::memcpy_dtoh_async(&mut word, address, stream.cu_stream()) }.expect("a copy");
    stream.synchronize().expect("its end");
    word[0]
}

/// Adds to each of four words.
fn launch_add(kernel: &CudaFunction, address: CUdeviceptr, by: u32, stream: &Arc<CudaStream>) {
    let mut launch = stream.launch_builder(kernel);
    launch.arg(&4_u32).arg(&by).arg(&address);
    // SAFETY: the arguments are those of the PTX, and the memory has four words.
    unsafe { launch.launch(ONE) }.expect("a launch");
}

#[test]
fn the_safe_layer_of_cudarc_captures_and_launches() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let mut data = stream.clone_htod(&[1_u32; 4])?;
    stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)?;
    stream.memset_zeros(&mut data)?;
    let graph = stream.end_capture(CUgraphInstantiate_flags(0))?.expect("a graph");
    assert_eq!(stream.clone_dtoh(&data)?, [1; 4], "nothing runs before the launch");
    graph.upload()?;
    graph.launch()?;
    assert_eq!(stream.clone_dtoh(&data)?, [0; 4]);
    Ok(())
}

#[test]
fn each_launch_runs_all_nodes_in_order() {
    in_every_schedule_with_a_world(|world| {
        let kernel = add(&world.context);
        let World { first: stream, data, other, pinned, .. } = world;
        let (stream, pinned) = (stream, pinned.expose_provenance() as u64);
        let calls = Arc::new(AtomicU32::new(0));
        let called = Arc::clone(&calls);
        set(*data, 0, 16, stream);
        stream.synchronize().expect("its end");
        let graph = captured(stream, |stream| {
            launch_add(&kernel, *data, 3, stream);
            // SAFETY: alive, whenever the graph is launched.
            unsafe { result::memcpy_dtod_async(*other, *data, 64, stream.cu_stream()) }.expect("a copy");
            // SAFETY: as above.
            assert_eq!(unsafe { sys::cuMemcpyAsync(pinned, *other, 64, stream.cu_stream()) }, CUDA_SUCCESS);
            repeated(stream, called);
            assert_eq!(set(*other, 0, 16, stream), CUDA_SUCCESS);
        });
        assert_eq!(graph.kinds(), [KERNEL, COPY, COPY, HOST, SET]);
        assert_eq!(graph.edges(), [(0, 1), (1, 2), (2, 3), (3, 4)]);
        let executable = graph.instantiate();
        drop(graph);
        for launch in 1..=3 {
            assert_eq!(executable.launch(stream), CUDA_SUCCESS);
            stream.synchronize().expect("its end");
            // SAFETY: the copy is done.
            assert_eq!(unsafe { world.pinned.read() }, 3 * launch);
            assert_eq!((read(*data, stream), read(*other, stream), calls.load(Ordering::SeqCst)), (3 * launch, 0, launch));
        }
    });
}

/// A host function that may run more than once.
fn repeated(stream: &Arc<CudaStream>, calls: Arc<AtomicU32>) {
    unsafe extern "C" fn call(calls: *mut std::ffi::c_void) {
        // SAFETY: leaked by the caller.
        unsafe { &*calls.cast::<AtomicU32>() }.fetch_add(1, Ordering::SeqCst);
    }
    // The test ends after the last launch.
    let calls = Arc::into_raw(calls).cast_mut().cast();
    // SAFETY: the stream is alive.
    unsafe { result::stream::launch_host_function(stream.cu_stream(), call, calls) }.expect("a host function");
    // SAFETY: the caller of this has another reference for as long as the graph is launched.
    unsafe { Arc::decrement_strong_count(calls.cast::<AtomicU32>()) };
}

#[test]
fn branches_join_at_both_ends() {
    in_every_schedule_with_a_world(|world| {
        let kernel = add(&world.context);
        let World { first: stream, second: other, data, .. } = world;
        let third = world.context.new_stream().expect("a stream");
        let graph = captured(stream, |stream| {
            launch_add(&kernel, *data, 1, stream);
            join(other, stream);
            join(&third, stream);
            for (index, branch) in [stream, other, &third].into_iter().enumerate() {
                launch_add(&kernel, *data + 16 * index as u64, 10, branch);
            }
            join(stream, other);
            join(stream, &third);
            launch_add(&kernel, *data, 100, stream);
        });
        assert_eq!(graph.nodes().len(), 5);
        let executable = graph.instantiate();
        check_silent("what comes before and after", || {
            set(*data, 0, 16, stream);
            for _ in 0..3 {
                assert_eq!(executable.launch(stream), CUDA_SUCCESS);
            }
            assert_eq!([0, 16, 32].map(|offset| read(*data + offset, stream)), [333, 30, 30]);
        });
        check_silent("launches of one executable follow each other", || {
            assert_eq!(executable.launch(stream), CUDA_SUCCESS);
            assert_eq!(executable.launch(other), CUDA_SUCCESS);
            assert_eq!(read(*data + 16, other), 50);
        });
    });
}

#[test]
fn a_launch_waits_for_its_stream_and_is_waited_for() -> Result<(), DriverError> {
    let context = context(0);
    let (stream, other) = (context.new_stream()?, context.new_stream()?);
    // SAFETY: a context is current.
    let memory = unsafe { result::malloc_sync(64) }?;
    let graph = captured(&stream, |stream| {
        join(&other, stream);
        set(memory, 1, 4, stream);
        set(memory + 32, 2, 4, &other);
        join(stream, &other);
    });
    let executable = graph.instantiate();
    let hold = Hold::new(&stream);
    assert_eq!(executable.launch(&stream), CUDA_SUCCESS);
    assert_eq!(executable.launch(&other), CUDA_SUCCESS, "after the launch that is held");
    let end = other.record_event(None)?;
    round_trips(&context)?;
    assert_eq!(query(&end), CUDA_ERROR_NOT_READY);
    hold.release();
    end.synchronize()?;
    assert_eq!((read(memory, &other), read(memory + 32, &other)), (1, 2));
    drop(hold);
    // SAFETY: all is done.
    unsafe { result::free_sync(memory) }
}

#[test]
fn external_nodes_record_and_wait_at_each_launch() {
    in_every_schedule(|context, schedule| {
        let (stream, other) = (context.new_stream().expect("a stream"), context.new_stream().expect("a stream"));
        let timed = || context.new_event(Some(sys::CUevent_flags::CU_EVENT_DEFAULT)).expect("an event");
        let (before, after, gate) = (timed(), timed(), timed());
        let executable = captured(&stream, |stream| {
            record(&before, stream, 1);
            wait(stream, &gate, 1);
            record(&after, stream, 1);
        })
        .instantiate();
        // SAFETY: alive.
        let elapsed = || unsafe { result::event::elapsed(before.cu_event(), after.cu_event()) };
        assert!(elapsed().is_err(), "nothing was recorded yet");
        let hold = (schedule == Schedule::Plain).then(|| Hold::new(&other));
        gate.record(&other).expect("a record");
        assert_eq!(executable.launch(&stream), CUDA_SUCCESS);
        if let Some(hold) = hold {
            before.synchronize().expect("nothing holds it");
            assert_eq!(query(&after), CUDA_ERROR_NOT_READY, "it waits for the gate");
            hold.release();
        }
        after.synchronize().expect("its end");
        assert!(elapsed().expect("both are recorded") >= 0.0);
        assert_eq!(executable.launch(&stream), CUDA_SUCCESS);
        stream.synchronize().expect("its end");
        assert_eq!(query(&after), CUDA_SUCCESS);
    });
}

#[test]
fn pageable_memory_is_read_at_each_launch() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    // SAFETY: a context is current.
    let memory = unsafe { result::malloc_sync(4) }?;
    let (mut from, mut to) = (Box::new([1_u32]), Box::new([0_u32]));
    let (from, to) = (&raw mut *from, &raw mut *to);
    let executable = captured(&stream, |stream| {
        // SAFETY: both stay until the test ends.
        assert_eq!(unsafe { sys::cuMemcpyHtoDAsync_v2(memory, from.cast(), 4, stream.cu_stream()) }, CUDA_SUCCESS);
        // SAFETY: as above.
        assert_eq!(unsafe { sys::cuMemcpyDtoHAsync_v2(to.cast(), memory, 4, stream.cu_stream()) }, CUDA_SUCCESS);
    })
    .instantiate();
    for value in [7, 8] {
        // SAFETY: the last launch is done.
        unsafe { from.write([value]) };
        assert_eq!(executable.launch(&stream), CUDA_SUCCESS);
        // SAFETY: it was read at the launch.
        unsafe { from.write([0]) };
        stream.synchronize()?;
        // SAFETY: the copy is done.
        assert_eq!(unsafe { to.read() }, [value]);
    }
    // SAFETY: all is done.
    unsafe { result::free_sync(memory) }
}

#[test]
fn a_child_runs_between_its_neighbours() {
    in_every_schedule_with_a_world(|world| {
        let World { first: stream, second: other, data, .. } = world;
        let kernel = add(&world.context);
        let child = captured(stream, |stream| {
            launch_add(&kernel, *data, 1, stream);
            join(other, stream);
            launch_add(&kernel, *data + 16, 1, other);
            launch_add(&kernel, *data + 32, 1, stream);
            join(stream, other);
        });
        let graph = captured(stream, |stream| assert_eq!(set(*data, 0, 16, stream), CUDA_SUCCESS));
        for _ in 0..2 {
            let last = graph.nodes().pop().expect("a node");
            // SAFETY: all are alive.
            let code = unsafe { sys::cuGraphAddChildGraphNode(&mut std::ptr::null_mut(), graph.0, &raw const last, 1, child.0) };
            assert_eq!(code, CUDA_SUCCESS);
        }
        assert_eq!(graph.kinds(), [SET, Kind::CU_GRAPH_NODE_TYPE_GRAPH, Kind::CU_GRAPH_NODE_TYPE_GRAPH]);
        drop(child);
        let executable = graph.instantiate();
        assert_eq!(executable.launch(stream), CUDA_SUCCESS);
        assert_eq!([0, 16, 32].map(|offset| read(*data + offset, stream)), [2; 3]);
    });
}

#[test]
fn a_launch_is_not_captured() -> Result<(), DriverError> {
    let stream = context(0).new_stream()?;
    let executable = captured(&stream, |_| ()).instantiate();
    begin(&stream);
    assert_eq!(executable.launch(&stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    assert_eq!(end_on(stream.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    assert_eq!(executable.launch(&stream), CUDA_SUCCESS);
    stream.synchronize()
}

#[test]
fn an_executable_destroyed_in_flight_goes_on() {
    in_every_schedule_with_a_world(|world| {
        let kernel = add(&world.context);
        let World { first: stream, second: other, data, .. } = world;
        let graph = captured(stream, |stream| {
            join(other, stream);
            launch_add(&kernel, *data, 1, stream);
            launch_add(&kernel, *data + 16, 1, other);
            join(stream, other);
        });
        set(*data, 0, 16, stream);
        let executable = graph.instantiate();
        assert_eq!(executable.launch(stream), CUDA_SUCCESS);
        drop((executable, graph));
        assert_eq!([0, 16].map(|offset| read(*data + offset, stream)), [1; 2]);
        assert_eq!(softcuda::live().executables, 0);
    });
}

#[test]
fn a_captured_host_function_runs_at_no_other_time() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let calls = Arc::new(AtomicU32::new(0));
    let graph = captured(&stream, |stream| repeated(stream, Arc::clone(&calls)));
    host_function(&stream, || ());
    stream.synchronize()?;
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let executable = graph.instantiate();
    assert_eq!([executable.launch(&stream), executable.launch(&stream)], [CUDA_SUCCESS; 2]);
    stream.synchronize()?;
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    Ok(())
}

#[test]
fn words_are_written_and_waited_for_at_each_launch() {
    in_every_schedule_with_a_world(|world| {
        let World { first: stream, second: other, data, .. } = world;
        set(*data, 0, 16, stream);
        stream.synchronize().expect("its end");
        let write = captured(stream, |stream| {
            // SAFETY: alive, whenever the graph is launched.
            assert_eq!(unsafe { sys::cuStreamWriteValue32_v2(stream.cu_stream(), *data, 7, 0) }, CUDA_SUCCESS);
        });
        let wait = captured(stream, |stream| {
            // SAFETY: as above; it waits for the word to be 7.
            assert_eq!(unsafe { sys::cuStreamWaitValue32_v2(stream.cu_stream(), *data, 7, 1) }, CUDA_SUCCESS);
        });
        assert_eq!([&write, &wait].map(support::graph::Graph::kinds), [[Kind::CU_GRAPH_NODE_TYPE_BATCH_MEM_OP]; 2]);
        assert_eq!(wait.instantiate().launch(other), CUDA_SUCCESS);
        assert_eq!(write.instantiate().launch(stream), CUDA_SUCCESS);
        other.synchronize().expect("its end");
        assert_eq!(read(*data, other), 7);
    });
}
