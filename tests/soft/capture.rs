//! Captures and graphs as the driver sees them: what is refused never reaches it, what is made is given back, and what
//! `unsafe` stands for.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cuda_streams::{AsStream, CaptureMode, CaptureStatus, Error, ErrorCode, Event, EventOptions, IpcMemory, Result, Stream};
use cudarc::driver::{CudaContext, CudaStream, PushKernelArg};
use cudarc::nvrtc::Ptx;
use softcuda::{Live, Scope, Topic, inject};

use crate::common::hold::Hold;
use crate::common::{child, device, drops_are_done, raw, streams};
use crate::counts::expect;
use crate::graph_example::kernel;
use crate::live::live;
use crate::table::info;

const IS_CAPTURING: (&str, u64) = ("cuStreamIsCapturing", 1);
const MODES: [CaptureMode; 3] = [CaptureMode::Global, CaptureMode::ThreadLocal, CaptureMode::Relaxed];

/// The driver functions that `f`, which is refused, calls.
#[track_caller]
fn refused<T: std::fmt::Debug>(expected: &[(&str, u64)], f: impl FnOnce() -> Result<T>) {
    let result = expect(expected, || Ok(f()));
    assert!(matches!(result, Err(Error::Capturing { .. } | Error::Captured { .. })), "{result:?}");
}

/// Does it while the stream is captured, which must go on.
#[track_caller]
fn while_captured(stream: &Stream, work: impl Fn()) {
    for mode in MODES {
        let graph = stream.capture::<Error>(mode, |scope| {
            work();
            assert_eq!(scope.status(), Ok(CaptureStatus::Active), "{mode:?}");
            Ok(())
        });
        graph.unwrap();
    }
}

#[test]
fn what_is_refused_does_not_reach_the_driver() {
    let [stream, other] = streams();
    let (captured, outside) = (Event::new(), other.record_event().unwrap());
    let graph = stream.capture_events::<Error>(|_| Ok(())).unwrap();
    let mut exec = graph.instantiate().unwrap();
    let asked: [(&str, u64); 1] = [(info(), 1)];
    while_captured(&stream, || stream.record(&captured).unwrap());
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
        scope.record(&captured)?;
        refused(&[], || captured.query());
        refused(&[], || captured.synchronize());
        refused(&[], || stream.context().synchronize());
        refused(&[("cuCtxGetId", 1)], || device().synchronize());
        refused(&[IS_CAPTURING], || stream.query());
        refused(&[IS_CAPTURING], || stream.synchronize());
        refused(&asked, || scope.wait_event(&outside));
        refused(&[(info(), 2)], || scope.wait_stream(&other));
        refused(&asked, || exec.launch(&stream));
        refused(&[IS_CAPTURING], || stream.as_stream().id());
        Ok(())
    });
    assert!(graph.is_ok());
    refused(&[], || captured.query());
    refused(&[], || captured.synchronize());
}

#[test]
fn what_is_allowed_is_made_relaxed() {
    const EXCHANGE: (&str, u64) = ("cuThreadExchangeStreamCaptureMode", 2);
    let [stream, other] = streams();
    let recorded = || {
        let event = other.record_event().unwrap();
        event.synchronize().unwrap();
        other.record(&event).unwrap();
        event
    };
    while_captured(&stream, || {
        let event = recorded();
        expect(&[("cuEventQuery", 1), EXCHANGE], || event.query());
        let event = recorded();
        expect(&[("cuEventSynchronize", 1), EXCHANGE], || event.synchronize());
        expect(&[IS_CAPTURING, ("cuStreamQuery", 1), EXCHANGE], || other.query());
        expect(&[IS_CAPTURING, ("cuStreamSynchronize", 1), EXCHANGE], || other.synchronize());
    });
}

/// A graph with an event, a host function and something that is kept.
fn use_graphs(stream: &Stream, side: &Stream) -> Result<()> {
    let event = EventOptions::new().external(true).build();
    let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
        side.wait_stream(scope)?;
        side.record(&event)?;
        scope.host_fn(|| ())?;
        scope.keep(stream.clone())?;
        scope.wait_stream(side)
    })?;
    let clone = graph.try_clone()?;
    // SAFETY: the graph keeps what it needs.
    let mut exec = unsafe { graph.instantiate() }?;
    drop((graph, event));
    // SAFETY: as above.
    unsafe { exec.launch(stream) }?;
    drop(exec);
    let contained = stream.capture_events::<Error>(|scope| {
        let branch = scope.fork();
        branch.record(&stream.record_event()?)?;
        scope.host_fn(|| ())?;
        scope.join(branch);
        scope.keep(Event::new())
    })?;
    contained.instantiate()?.launch(side)?;
    drop(clone);
    stream.synchronize()?;
    side.synchronize()
}

/// What exists once what is dropped elsewhere is gone.
fn settled(expected: Live) -> Live {
    let began = Instant::now();
    while live() != expected && began.elapsed() < Duration::from_secs(10) {
        thread::yield_now();
    }
    live()
}

#[test]
fn everything_is_given_back() {
    child::run("capture::everything_is_given_back", child::same_environment, || {
        let [stream, side] = streams();
        let before = live();
        for _ in 0..20 {
            use_graphs(&stream, &side).unwrap();
        }
        assert_eq!(settled(before), before);
        assert_eq!(softcuda::reports(), []);
    });
}

/// An error, a panic, an invalidation: each ends the capture, and leaves nothing.
#[test]
fn a_capture_that_fails_leaves_nothing() {
    child::run("capture::a_capture_that_fails_leaves_nothing", child::same_environment, || {
        let [stream, side] = streams();
        let _misuse = Scope::enter();
        let before = live();
        let fail = |how: &dyn Fn() -> Result<()>| {
            let event = EventOptions::new().external(true).build();
            let captured = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                stream.capture::<Error>(CaptureMode::default(), |scope| {
                    side.wait_stream(scope)?;
                    side.record(&event)?;
                    scope.keep(Event::new())?;
                    scope.host_fn(|| ())?;
                    how()
                })
            }));
            assert!(!matches!(captured, Ok(Ok(_))));
            assert_eq!((stream.capture_status(), side.capture_status()), (Ok(CaptureStatus::None), Ok(CaptureStatus::None)));
            stream.synchronize().unwrap();
            side.synchronize().unwrap();
        };
        fail(&|| Ok(()));
        fail(&|| Err(Error::StreamShared));
        fail(&|| std::panic::resume_unwind(Box::new("on purpose")));
        fail(&|| {
            assert_ne!(raw::query(&side), raw::SUCCESS);
            Ok(())
        });
        assert_eq!(settled(before), before);
    });
}

/// The event of a node goes with the last graph, and not before.
#[test]
fn the_event_of_a_node_goes_with_the_last_graph() {
    child::run("capture::the_event_of_a_node_goes_with_the_last_graph", child::same_environment, || {
        let [stream] = streams();
        let before = live();
        let event = EventOptions::new().external(true).build();
        let graph = stream.capture::<Error>(CaptureMode::default(), |scope| {
            scope.record(&event)?;
            scope.wait_event(&event)
        });
        let graph = graph.unwrap();
        // SAFETY: the graph keeps its event.
        let exec = unsafe { graph.instantiate() }.unwrap();
        let with_event = live().events;
        assert_eq!(with_event, before.events + 1);
        event.destroy().unwrap();
        drop(graph);
        assert_eq!(live().events, with_event, "the executable graph has it");
        drop(exec);
        assert_eq!(settled(before), before);

        // And not with a graph, where its owner has it.
        let event = EventOptions::new().external(true).build();
        stream.capture::<Error>(CaptureMode::default(), |scope| scope.record(&event)).unwrap().destroy().unwrap();
        stream.record(&event).unwrap();
        event.synchronize().unwrap();
        drop(event);
        assert_eq!(settled(before), before);
        assert_eq!(softcuda::reports(), []);
    });
}

/// The driver has no more memory for the first, or a later, of what a graph is to keep: no graph, and all is given up.
#[test]
fn a_graph_that_cannot_keep_what_it_needs_is_none() {
    child::run("capture::a_graph_that_cannot_keep_what_it_needs_is_none", child::same_environment, || {
        let [stream] = streams();
        let (before, owner) = (live(), Arc::new(()));
        for (function, after) in
            [("cuUserObjectCreate", 0), ("cuGraphRetainUserObject", 0), ("cuUserObjectCreate", 2), ("cuGraphRetainUserObject", 2)]
        {
            let code = ErrorCode::OUT_OF_MEMORY;
            let failure = inject(function, code.get()).after(after);
            let result = stream.capture::<Error>(CaptureMode::default(), |scope| {
                for _ in 0..2 {
                    scope.record(EventOptions::new().external(true).build())?;
                    scope.keep(owner.clone())?;
                }
                Ok(())
            });
            drop(failure);
            assert_eq!(result.map(drop), Err(Error::Driver { call: function, code }));
            drops_are_done(&stream);
            assert_eq!(Arc::strong_count(&owner), 1, "{function}, {after}");
            assert_eq!(settled(before), before, "{function}, {after}");
        }
        assert_eq!(softcuda::reports(), []);
    });
}

/// The driver refuses the end once, or the question before it.
#[test]
fn a_capture_ends_though_the_driver_refuses() {
    let [stream] = streams();
    for (function, after) in [("cuStreamEndCapture", 0), (info(), 0), (info(), 1)] {
        let code = ErrorCode::OUT_OF_MEMORY;
        let failure = inject(function, code.get()).after(after);
        let result = stream.capture::<Error>(CaptureMode::default(), |_| Ok(()));
        drop(failure);
        assert_eq!(result.map(drop), Err(Error::Driver { call: function, code }));
        assert_eq!(stream.capture_status(), Ok(CaptureStatus::None), "{function}");
        stream.synchronize().unwrap();
    }
}

/// Memory is freed while its process captures in each mode, on this thread and on another.
#[test]
fn what_is_dropped_beside_a_capture_is_given_back() {
    let [stream] = streams();
    let before = live().allocations;
    for mode in MODES {
        let memory = [0, 1].map(|_| IpcMemory::new(device(), 1).unwrap());
        let scope = Scope::current();
        let graph = stream.capture::<Error>(mode, |_| {
            let [first, second] = memory;
            drop(first);
            let drop_there = move || {
                let _joined = (scope != Scope::PROCESS).then(|| scope.join());
                drop(second);
            };
            thread::scope(|threads| threads.spawn(drop_there).join()).unwrap();
            Ok(())
        });
        assert!(graph.is_ok(), "{mode:?}");
    }
    assert_eq!(live().allocations, before);
}

/// What the `unsafe` of [`GraphExec::launch`](cuda_streams::GraphExec) stands for: the slice is captured and dropped by
/// safe code, of this crate and of cudarc.
#[test]
fn a_slice_that_is_dropped_before_the_launch_is_used_after_free() -> Result<(), Box<dyn StdError>> {
    let misuse = Scope::enter();
    let stream = CudaContext::new(0)?.per_thread_stream();
    let mut slice = stream.alloc_zeros::<u32>(64)?;
    stream.synchronize()?;
    let graph = stream.as_stream().capture::<Box<dyn StdError>>(CaptureMode::default(), |_| Ok(stream.memset_zeros(&mut slice)?))?;
    assert_eq!(graph.node_count()?, 1);
    // SAFETY: the slice is there until the work is done.
    let mut exec = unsafe { graph.instantiate() }?;
    // SAFETY: as above.
    unsafe { exec.launch(&stream) }?;
    stream.synchronize()?;
    assert_eq!(misuse.scope().take_reports(), []);
    drop(slice);
    stream.synchronize()?;
    // SAFETY: none: the memory is gone. This is what the driver is to report.
    let launched = unsafe { exec.launch(&stream) };
    let reports = misuse.scope().take_reports();
    assert!(reports.iter().any(|report| report.topic() == Topic::Memory && report.text().contains("free")), "{launched:?}: {reports:?}");
    Ok(())
}

/// What the `unsafe` of [`Graph::instantiate`] stands for: cudarc drops the module with its last handle, in safe code, and
/// a real driver crashes.
#[test]
fn a_module_that_is_dropped_before_its_graph_is_instantiated_is_missed() -> Result<(), Box<dyn StdError>> {
    kernel::twin().register();
    let misuse = Scope::enter();
    let context = CudaContext::new(0)?;
    let step = context.load_module(Ptx::from_src(kernel::PTX))?.load_function(kernel::NAME)?;
    let stream = context.per_thread_stream();
    let (source, mut target) = (stream.clone_htod(&[1_u32; 4])?, stream.clone_htod(&[2_u32; 4])?);
    let graph = stream.as_stream().capture::<Box<dyn StdError>>(CaptureMode::default(), |_| {
        let mut launch = stream.launch_builder(&step);
        launch.arg(&4_u32).arg(&3_u32).arg(&source).arg(&mut target);
        // SAFETY: the arguments are those of the PTX, and both slices have so many elements.
        unsafe { launch.launch(kernel::shape(4)) }?;
        Ok(())
    })?;
    // SAFETY: the module and the slices are there until the work is done.
    let mut exec = unsafe { graph.instantiate() }?;
    // SAFETY: as above.
    unsafe { exec.launch(&stream) }?;
    assert_eq!(stream.clone_dtoh(&target)?, [kernel::step(2, 1, 3); 4]);
    drop(step);
    assert_eq!(graph.node_count()?, 1);
    exec.upload(&stream)?;
    stream.synchronize()?;
    assert_eq!(misuse.scope().take_reports(), [], "which need no module");
    // SAFETY: none: the module is gone. This is what the driver is to report.
    let missed = unsafe { graph.instantiate() };
    assert_eq!(missed.map(drop).map_err(|error| error.code()), Err(Some(ErrorCode::INVALID_HANDLE)));
    let reports = misuse.scope().take_reports();
    assert_eq!(reports.len(), 1, "{reports:#?}");
    assert!(reports[0].text().contains("the graph launches kernel `step`, whose module was unloaded"), "{}", reports[0]);
    Ok(())
}

/// The same attempt where launching is safe: the work of others runs at once, and no launch does it again.
#[test]
fn work_of_others_does_not_get_into_a_graph_that_launches_safely() -> Result<(), Box<dyn StdError>> {
    let misuse = Scope::enter();
    let stream = CudaContext::new(0)?.per_thread_stream();
    let mut slice = stream.alloc_zeros::<u32>(64)?;
    let graph = stream.as_stream().capture_events::<Box<dyn StdError>>(|_| Ok(stream.memset_zeros(&mut slice)?))?;
    assert!(graph.is_empty()?);
    drop(slice);
    graph.instantiate()?.launch(&stream)?;
    stream.synchronize()?;
    assert_eq!(misuse.scope().take_reports(), []);
    Ok(())
}

/// cudarc's stream of the slice would wait for the fill, and so join.
#[test]
fn shared_memory_that_was_captured_elsewhere_is_dropped_inside() -> Result<(), Box<dyn StdError>> {
    /// The streams, of which the slice's share is leaked: where a leak checker finds them.
    static STREAMS: Mutex<Vec<Arc<CudaStream>>> = Mutex::new(Vec::new());

    let misuse = Scope::enter();
    let cudarc = CudaContext::new(0)?;
    let (captured, other) = (cudarc.new_stream()?, cudarc.new_stream()?);
    STREAMS.lock().unwrap().push(other.clone());
    let mut slice = IpcMemory::new(device(), 256)?.into_cudarc::<u32>(&other, 64).map_err(|(_, error)| error)?;
    let graph = captured.as_stream().capture::<Box<dyn StdError>>(CaptureMode::default(), |scope| {
        captured.memset_zeros(&mut slice.as_view_mut())?;
        drop(slice);
        assert_eq!((scope.status()?, other.as_stream().is_capturing()?), (CaptureStatus::Active, false));
        Ok(())
    })?;
    assert_eq!(graph.node_count()?, 1);
    cudarc.check_err()?;
    assert_eq!(misuse.scope().take_reports(), []);
    Ok(())
}

/// What is held in one capture does not hold another.
#[test]
fn a_graph_of_held_work_is_captured_and_waits_for_nothing() {
    let [stream, other] = streams();
    let hold = Hold::new(&stream);
    let graph = other.capture::<Error>(CaptureMode::Global, |scope| scope.host_fn(|| ())).unwrap();
    assert_eq!(stream.query(), Ok(false));
    hold.release();
    assert_eq!(graph.node_count(), Ok(1));
    stream.synchronize().unwrap();
}
