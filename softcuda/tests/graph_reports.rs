//! Misuse of graphs is reported: races, memory that is gone, events and executables that were destroyed.

mod support;

use std::sync::Arc;

use cudarc::driver::sys::CUresult::{CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_VALUE, CUDA_SUCCESS};
use cudarc::driver::sys::{self, CUdeviceptr, CUgraphInstantiate_flags, CUresult, CUstreamCaptureMode};
use cudarc::driver::{CudaStream, DevicePtr as _, DriverError, PushKernelArg as _, result};
use softcuda::{Schedule, Scope};
use support::graph::{Graph, captured, join, raw_event, set};
use support::reported::{check_reported, check_silent, in_every_schedule, in_every_schedule_with_a_world};
use support::world::{World, non_blocking, settle};
use support::{ONE, add, context, misuse};

#[test]
fn unordered_work_beside_a_launch_is_reported() {
    in_every_schedule_with_a_world(|world| {
        let World { first: stream, second: other, data, .. } = world;
        let executable = captured(stream, |stream| assert_eq!(set(*data, 1, 16, stream), CUDA_SUCCESS)).instantiate();
        stream.synchronize().expect("idle");
        check_reported("a memset on another stream", &["cuMemsetD32Async: the write of", "after the write of", "by cuGraphLaunch"], || {
            assert_eq!(executable.launch(stream), CUDA_SUCCESS);
            settle(stream);
            set(*data, 2, 16, other);
        });
        check_silent("after an event", || {
            join(stream, other);
            assert_eq!(executable.launch(stream), CUDA_SUCCESS);
            join(other, stream);
            set(*data, 2, 16, other);
        });
        settle(other);
        check_reported("a launch on another stream", &["cuGraphLaunch: the write of", "by cuMemsetD32Async"], || {
            assert_eq!(executable.launch(stream), CUDA_SUCCESS);
        });
    });
}

#[test]
fn branches_that_nothing_orders_are_reported() {
    in_every_schedule(|context, pace| {
        // Where a sanitizer looks, one after the other: nothing can come between the branches of one launch.
        if cfg!(softcuda_linked) && !matches!(pace, Schedule::Seeded(_)) {
            return;
        }
        let World { first: stream, second: other, data, .. } = &World::of(context, non_blocking);
        let graph = captured(stream, |stream| {
            join(other, stream);
            assert_eq!(set(*data, 1, 16, stream), CUDA_SUCCESS);
            assert_eq!(set(*data, 2, 16, other), CUDA_SUCCESS);
            join(stream, other);
        });
        let executable = graph.instantiate();
        let words =
            ["cuGraphLaunch: the write of", "a branch of the executable graph 0x", "by cuGraphLaunch", "an edge in its graph would"];
        check_reported("", &words, || assert_eq!(executable.launch(stream), CUDA_SUCCESS));
    });
}

#[test]
fn work_beside_a_branch_is_to_be_ordered_with_the_launch() {
    in_every_schedule(|context, pace| {
        // As above.
        if cfg!(softcuda_linked) && !matches!(pace, Schedule::Seeded(_)) {
            return;
        }
        let World { first: stream, second: other, data, .. } = &World::of(context, non_blocking);
        let third = non_blocking(context);
        // The second branch is a stream of the graph.
        let executable = captured(stream, |stream| {
            join(&third, stream);
            assert_eq!(set(*data, 1, 8, stream), CUDA_SUCCESS);
            assert_eq!(set(*data + 32, 1, 8, &third), CUDA_SUCCESS);
            join(stream, &third);
        })
        .instantiate();
        let words = [
            "cuMemsetD32Async: the write of",
            "on a branch of",
            "; cuEventRecord on the stream of its launch after the write and cuStreamWaitEvent on stream 0x",
        ];
        check_reported("after a launch", &words, || {
            assert_eq!(executable.launch(stream), CUDA_SUCCESS);
            settle(stream);
            set(*data + 32, 2, 8, other);
        });
        settle(other);
        let words =
            ["cuGraphLaunch: the write of", "on a branch of", "after the write and cuStreamWaitEvent on the stream of its launch before"];
        check_reported("before a launch", &words, || assert_eq!(executable.launch(stream), CUDA_SUCCESS));
        settle(stream);
        // SAFETY: alive, and not used any more.
        unsafe { result::stream::destroy(third.cu_stream()) }.expect("its end");
    });
}

#[test]
fn an_upload_is_nothing_that_later_launches_come_after() {
    in_every_schedule_with_a_world(|world| {
        let World { first: stream, second: other, data, .. } = world;
        let executable = captured(stream, |stream| assert_eq!(set(*data, 1, 16, stream), CUDA_SUCCESS)).instantiate();
        // SAFETY: all are alive.
        let upload = |stream: &CudaStream| unsafe { sys::cuGraphUpload(executable.0, stream.cu_stream()) };
        check_silent("it comes after earlier launches", || {
            assert_eq!((executable.launch(stream), upload(other)), (CUDA_SUCCESS, CUDA_SUCCESS));
            set(*data, 2, 16, other);
        });
        settle(other);
        check_reported("a launch beside what is before it", &["cuGraphLaunch: the write of", "by cuMemsetD32Async"], || {
            assert_eq!(upload(other), CUDA_SUCCESS);
            assert_eq!(executable.launch(stream), CUDA_SUCCESS);
        });
    });
}

#[test]
fn an_event_that_was_destroyed_is_reported_and_not_recorded() -> Result<(), DriverError> {
    let scope = misuse();
    let context = context(0);
    let stream = context.new_stream()?;
    let event = raw_event();
    let executable = captured(&stream, |stream| {
        // SAFETY: both are alive.
        assert_eq!(unsafe { sys::cuEventRecordWithFlags(event, stream.cu_stream(), 1) }, CUDA_SUCCESS);
    })
    .instantiate();
    // SAFETY: alive; the graph is misuse from now on.
    unsafe { result::event::destroy(event) }?;
    assert_eq!(executable.launch(&stream), CUDA_SUCCESS);
    stream.synchronize()?;
    let reports = scope.scope().take_reports();
    assert_eq!(reports.len(), 1, "{reports:#?}");
    assert!(reports[0].to_string().contains("cuGraphLaunch: the graph records, or waits for, event 0x"), "{}", reports[0]);
    Ok(())
}

/// What a graph and a clone of it answer that are instantiated to nothing.
fn instantiated(graph: &Graph) -> [CUresult; 2] {
    let instantiate = |graph: &Graph| {
        let mut executable = std::ptr::null_mut();
        // SAFETY: alive, and a valid place; what the graph refers to is for the driver to find out.
        let answer = unsafe { sys::cuGraphInstantiateWithFlags(&raw mut executable, graph.0, 0) };
        assert!(executable.is_null());
        answer
    };
    [instantiate(graph), instantiate(&graph.clone())]
}

/// The texts of the reports so far.
fn texts(scope: &softcuda::Entered) -> Vec<String> {
    scope.scope().take_reports().iter().map(ToString::to_string).collect()
}

#[test]
fn a_graph_with_an_event_that_was_destroyed_is_refused() -> Result<(), DriverError> {
    let scope = misuse();
    let stream = context(0).new_stream()?;
    // SAFETY: alive.
    let record = |event| unsafe { sys::cuEventRecordWithFlags(event, stream.cu_stream(), 1) };
    // SAFETY: as above.
    let wait = |event| unsafe { sys::cuStreamWaitEvent(stream.cu_stream(), event, 1) };
    for is_wait in [false, true] {
        let event = raw_event();
        let graph = captured(&stream, |_| assert_eq!(if is_wait { wait(event) } else { record(event) }, CUDA_SUCCESS));
        let executable = graph.instantiate();
        let parent = Graph::new();
        let node = &mut std::ptr::null_mut();
        // SAFETY: both are alive.
        assert_eq!(unsafe { sys::cuGraphAddChildGraphNode(node, parent.0, std::ptr::null(), 0, graph.0) }, CUDA_SUCCESS);
        // SAFETY: alive; the graphs are misuse from now on.
        unsafe { result::event::destroy(event) }?;
        for graph in [&graph, &parent] {
            assert_eq!(instantiated(graph), [CUDA_ERROR_INVALID_HANDLE; 2]);
        }
        let expected = "cuGraphInstantiateWithFlags: the graph records, or waits for, event";
        assert_eq!(texts(&scope), [format!("{expected} {event:?}, which was destroyed (4 times)")]);
        // A record was seen to go somewhere on a real driver, a wait to crash.
        let launched = if is_wait { CUDA_ERROR_INVALID_HANDLE } else { CUDA_SUCCESS };
        assert_eq!(executable.launch(&stream), launched);
        assert_eq!(texts(&scope).len(), 1);
    }
    stream.synchronize()
}

#[test]
fn a_graph_with_a_kernel_whose_module_was_unloaded_is_refused() -> Result<(), DriverError> {
    let scope = misuse();
    let context = context(0);
    let stream = context.new_stream()?;
    let data = stream.clone_htod(&[1_u32; 4])?;
    let (address, kernel) = (read_address(&data, &stream), add(&context));
    let graph = captured(&stream, |stream| {
        // SAFETY: the arguments are those of the PTX.
        unsafe { stream.launch_builder(&kernel).arg(&4_u32).arg(&1_u32).arg(&address).launch(ONE) }.expect("a launch");
    });
    let executable = graph.instantiate();
    assert_eq!(executable.launch(&stream), CUDA_SUCCESS);
    // The last that has the module.
    drop(kernel);
    assert_eq!(instantiated(&graph), [CUDA_ERROR_INVALID_HANDLE; 2]);
    assert_eq!(executable.launch(&stream), CUDA_ERROR_INVALID_HANDLE);
    let expected = [("cuGraphInstantiateWithFlags", " (2 times)"), ("cuGraphLaunch", "")]
        .map(|(call, times)| format!("{call}: the graph launches kernel `add`, whose module was unloaded{times}"));
    assert_eq!(texts(&scope), expected);
    assert_eq!(stream.clone_dtoh(&data)?, [2; 4]);
    Ok(())
}

#[test]
fn memory_that_was_freed_is_reported_and_not_touched() -> Result<(), DriverError> {
    let context = context(0);
    let stream = context.new_stream()?;
    let _scope = Scope::enter();
    let (mut gone, kept) = (stream.clone_htod(&[1_u32; 4])?, stream.clone_htod(&[1_u32; 4])?);
    stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)?;
    stream.memset_zeros(&mut gone)?;
    let graph = stream.end_capture(CUgraphInstantiate_flags(0))?.expect("a graph");
    drop(gone);
    check_reported("a memset", &["cuGraphLaunch: 16 bytes at 0x", "are not all in one live allocation, freed by cuMemFree"], || {
        assert_eq!(graph.launch().map_err(|error| error.0), Err(CUDA_ERROR_INVALID_VALUE));
    });
    assert_eq!(stream.clone_dtoh(&kept)?, [1; 4]);
    // SAFETY: a context is current.
    let pinned = unsafe { result::malloc_host(16, 0) }?;
    let (to, from) = (pinned.expose_provenance() as u64, read_address(&kept, &stream));
    let graph = captured(&stream, |stream| {
        // SAFETY: alive for now.
        assert_eq!(unsafe { sys::cuMemcpyAsync(to, from, 16, stream.cu_stream()) }, CUDA_SUCCESS);
    });
    let executable = graph.instantiate();
    // SAFETY: nothing uses it yet.
    unsafe { result::free_host(pinned) }?;
    check_reported("page-locked memory", &["cuGraphLaunch: 16 bytes at 0x", "freed by cuMemFreeHost"], || {
        assert_eq!(executable.launch(&stream), CUDA_ERROR_INVALID_VALUE);
    });
    stream.synchronize()
}

#[test]
fn a_memset_of_no_memory_is_reported_when_it_is_captured_and_when_it_is_launched() -> Result<(), DriverError> {
    let scope = misuse();
    let stream = context(0).new_stream()?;
    let executable = captured(&stream, |stream| assert_eq!(set(0, 7, 1, stream), CUDA_SUCCESS)).instantiate();
    assert_eq!(executable.launch(&stream), CUDA_ERROR_INVALID_VALUE);
    let expected = ["cuMemsetD32Async", "cuGraphLaunch"].map(|call| format!("{call}: 4 bytes at 0x0 are not all in one live allocation"));
    assert_eq!(texts(&scope), expected);
    assert_eq!(set(0, 7, 1, &stream), CUDA_ERROR_INVALID_VALUE, "outside a capture");
    assert_eq!(texts(&scope).len(), 1);
    stream.synchronize()
}

/// Enqueues something that uses memory.
type Use<'a> = &'a dyn Fn(&Arc<CudaStream>) -> CUresult;

#[test]
fn other_memory_at_the_same_address_is_not_taken_for_it() -> Result<(), DriverError> {
    let scope = misuse();
    let context = context(0);
    let stream = context.new_stream()?;
    let kernel = add(&context);
    let (device, host) = (stream.clone_htod(&[1_u32; 4])?, Box::into_raw(Box::new([2_u32; 4])));
    let (device, address) = (read_address(&device, &stream), host.expose_provenance() as u64);
    // SAFETY: the memory stays until the end of the test, here and below.
    let register = || unsafe { sys::cuMemHostRegister_v2(host.cast(), 16, 0) }.result();
    // SAFETY: registered.
    let unregister = || unsafe { sys::cuMemHostUnregister(host.cast()) }.result();
    // SAFETY: all memory is alive, here and below.
    let copy = |to, from, stream: &CudaStream| unsafe { sys::cuMemcpyAsync(to, from, 16, stream.cu_stream()) };
    let uses: [Use<'_>; 5] = [
        &|stream| copy(address, device, stream),
        &|stream| copy(device, address, stream),
        &|stream| set(address, 7, 4, stream),
        // SAFETY: as above.
        &|stream| unsafe { sys::cuStreamWriteValue32_v2(stream.cu_stream(), address, 7, 0) },
        &|stream| {
            // SAFETY: the arguments are those of the PTX.
            unsafe { stream.launch_builder(&kernel).arg(&4_u32).arg(&1_u32).arg(&address).launch(ONE) }.expect("a launch");
            CUDA_SUCCESS
        },
    ];
    for (place, enqueue) in uses.into_iter().enumerate() {
        register()?;
        let executable = captured(&stream, |stream| assert_eq!(enqueue(stream), CUDA_SUCCESS)).instantiate();
        unregister()?;
        register()?;
        assert_eq!(executable.launch(&stream), CUDA_ERROR_INVALID_VALUE, "{place}");
        stream.synchronize()?;
        unregister()?;
        let reports = texts(&scope);
        assert_eq!(reports.len(), 1, "{place}: {reports:#?}");
        assert!(
            reports[0].contains("another allocation has its address") && reports[0].contains("freed by cuMemHostUnregister"),
            "{reports:#?}"
        );
    }
    // SAFETY: nothing uses it, and it was made of a box.
    assert_eq!(*unsafe { Box::from_raw(host) }, [2; 4]);
    Ok(())
}

fn read_address(data: &cudarc::driver::CudaSlice<u32>, stream: &Arc<CudaStream>) -> CUdeviceptr {
    data.device_ptr(stream).0
}

#[test]
fn a_stale_executable_is_refused() -> Result<(), DriverError> {
    let scope = misuse();
    let stream = context(0).new_stream()?;
    let executable = captured(&stream, |_| ()).instantiate();
    let raw = executable.0;
    drop(executable);
    // SAFETY: the software driver finds out that it is gone.
    assert_eq!(unsafe { sys::cuGraphLaunch(raw, stream.cu_stream()) }, CUDA_ERROR_INVALID_VALUE);
    let reports = scope.scope().take_reports();
    assert!(reports[0].times() == 1 && reports[0].to_string().contains("executable graph 0x"), "{reports:#?}");
    Ok(())
}
