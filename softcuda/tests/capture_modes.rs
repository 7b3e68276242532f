//! Which calls end a capture: of its own thread and of others, in each mode.

mod support;

use std::sync::Arc;
use std::thread;

use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::sys::CUresult::{
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED as UNSUPPORTED, CUDA_SUCCESS,
};
use cudarc::driver::sys::CUstreamCaptureMode::{
    CU_STREAM_CAPTURE_MODE_GLOBAL as GLOBAL, CU_STREAM_CAPTURE_MODE_RELAXED as RELAXED, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL as THREAD_LOCAL,
};
use cudarc::driver::sys::{self, CUresult, CUstreamCaptureMode};
use cudarc::driver::{CudaContext, CudaEvent, CudaStream, DriverError, result};
use softcuda::Scope;
use support::graph::{ACTIVE, INVALIDATED, begin, begin_on, end_on, info, query, record, status};
use support::green::Green;
use support::user_object::{destroyed, move_to, watched};
use support::{context, misuse};

fn code(result: Result<(), DriverError>) -> CUresult {
    result.map_or_else(|error| error.0, |()| CUDA_SUCCESS)
}

/// What calls are made on, beside a capture.
struct Beside {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    event: CudaEvent,
}

impl Beside {
    fn new() -> Self {
        let context = context(0);
        let stream = context.new_stream().expect("a stream");
        let event = stream.record_event(None).expect("a record");
        event.synchronize().expect("its end");
        Self { context, stream, event }
    }
}

type Call = (&'static str, fn(&Beside) -> CUresult);

/// Calls that might disturb a capture, whatever they are about.
const UNSAFE_CALLS: &[Call] = &[
    // SAFETY: alive.
    ("cuEventQuery", |beside| unsafe { sys::cuEventQuery(beside.event.cu_event()) }),
    // SAFETY: alive.
    ("cuEventSynchronize", |beside| unsafe { sys::cuEventSynchronize(beside.event.cu_event()) }),
    // SAFETY: alive.
    ("cuStreamQuery", |beside| unsafe { sys::cuStreamQuery(beside.stream.cu_stream()) }),
    // SAFETY: alive.
    ("cuStreamSynchronize", |beside| unsafe { sys::cuStreamSynchronize(beside.stream.cu_stream()) }),
    ("cuMemAlloc_v2", |_| {
        // SAFETY: a context is current.
        let memory = unsafe { result::malloc_sync(16) };
        // SAFETY: allocated just now.
        code(memory.and_then(|memory| unsafe { result::free_sync(memory) }))
    }),
    ("cuMemFreeAsync", |beside| {
        let (stream, mut memory) = (beside.stream.cu_stream(), 0);
        // SAFETY: alive, and a valid place.
        let allocated = relaxed(|| unsafe { sys::cuMemAllocAsync(&raw mut memory, 16, stream) });
        assert_eq!(allocated, CUDA_SUCCESS);
        // SAFETY: allocated just now; a refused call frees nothing.
        let free = || unsafe { sys::cuMemFreeAsync(memory, stream) };
        let answer = free();
        assert!(answer == CUDA_SUCCESS || relaxed(free) == CUDA_SUCCESS);
        answer
    }),
];

/// Calls that disturb none.
const SAFE_CALLS: &[Call] = &[
    ("cuEventRecord", |beside| record(&beside.event, &beside.stream, 0)),
    ("cuStreamCreate", |_| {
        let created = result::stream::create(StreamKind::NonBlocking);
        // SAFETY: created just now.
        code(created.and_then(|stream| unsafe { result::stream::destroy(stream) }))
    }),
    ("cuEventCreate", |beside| code(beside.context.new_event(None).map(drop))),
    // SAFETY: alive.
    ("cuStreamGetId", |beside| unsafe { sys::cuStreamGetId(beside.stream.cu_stream(), &mut 0) }),
];

/// Answers of a call, and whether the capture has survived it.
fn beside(capture: CUstreamCaptureMode, call: impl FnOnce() -> CUresult) -> (CUresult, bool) {
    let stream = context(0).new_stream().expect("a stream");
    assert_eq!(begin_on(stream.cu_stream(), capture), CUDA_SUCCESS);
    let answer = call();
    let after = status(stream.cu_stream());
    let (end, _) = end_on(stream.cu_stream());
    let survived = end == CUDA_SUCCESS;
    assert_eq!(after, Ok(if survived { ACTIVE } else { INVALIDATED }));
    assert!(survived || end == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "{end:?}");
    (answer, survived)
}

fn on_another_thread(call: impl FnOnce() -> CUresult + Send) -> CUresult {
    let scope = Scope::current();
    thread::scope(|threads| {
        let made = threads.spawn(|| {
            let _joined = (scope != Scope::PROCESS).then(|| scope.join());
            context(0).bind_to_thread().expect("a context");
            call()
        });
        made.join().expect("no panic")
    })
}

fn relaxed(call: impl FnOnce() -> CUresult) -> CUresult {
    let mut mode = RELAXED;
    // SAFETY: a valid place.
    assert_eq!(unsafe { sys::cuThreadExchangeStreamCaptureMode(&raw mut mode) }, CUDA_SUCCESS);
    let answer = call();
    // SAFETY: as above.
    assert_eq!(unsafe { sys::cuThreadExchangeStreamCaptureMode(&raw mut mode) }, CUDA_SUCCESS);
    assert_eq!(mode, RELAXED, "it was exchanged");
    answer
}

const ENDED: (CUresult, bool) = (UNSUPPORTED, false);
const ALLOWED: (CUresult, bool) = (CUDA_SUCCESS, true);

#[test]
fn unsafe_calls_of_its_thread_end_a_capture_unless_one_of_them_is_relaxed() {
    for (name, call) in UNSAFE_CALLS {
        let made = Beside::new();
        for (capture, answer) in [(GLOBAL, ENDED), (THREAD_LOCAL, ENDED), (RELAXED, ALLOWED)] {
            assert_eq!(beside(capture, || call(&made)), answer, "{name} beside {capture:?}");
            assert_eq!(beside(capture, || relaxed(|| call(&made))), ALLOWED, "{name} of a relaxed thread beside {capture:?}");
        }
    }
}

#[test]
fn unsafe_calls_of_other_threads_end_global_captures() {
    for (name, call) in UNSAFE_CALLS {
        let made = Beside::new();
        for (capture, answer) in [(GLOBAL, ENDED), (THREAD_LOCAL, ALLOWED), (RELAXED, ALLOWED)] {
            assert_eq!(beside(capture, || on_another_thread(|| call(&made))), answer, "{name} beside {capture:?}");
            assert_eq!(beside(capture, || on_another_thread(|| relaxed(|| call(&made)))), ALLOWED, "{name}, relaxed, beside {capture:?}");
        }
    }
}

#[test]
fn other_calls_end_none() {
    for (name, call) in SAFE_CALLS {
        let made = Beside::new();
        for capture in [GLOBAL, THREAD_LOCAL, RELAXED] {
            assert_eq!(beside(capture, || call(&made)), ALLOWED, "{name} beside {capture:?}");
            assert_eq!(beside(capture, || on_another_thread(|| call(&made))), ALLOWED, "{name} on another thread beside {capture:?}");
        }
    }
}

#[test]
fn what_is_about_the_capture_itself_ends_it_in_any_mode() {
    type CallOn = fn(&CudaStream) -> CUresult;
    let context = context(0);
    let calls: [(&str, CallOn); 6] = [
        // SAFETY: alive.
        ("cuStreamQuery", |stream| unsafe { sys::cuStreamQuery(stream.cu_stream()) }),
        // SAFETY: alive.
        ("cuStreamSynchronize", |stream| unsafe { sys::cuStreamSynchronize(stream.cu_stream()) }),
        // SAFETY: alive.
        ("cuStreamGetId", |stream| unsafe { sys::cuStreamGetId(stream.cu_stream(), &mut 0) }),
        // SAFETY: alive.
        ("cuStreamGetFlags", |stream| unsafe { sys::cuStreamGetFlags(stream.cu_stream(), &mut 0) }),
        ("cuStreamGetDevice", |stream| {
            let mut device = 0;
            // SAFETY: alive, and a valid place.
            unsafe { sys::cuStreamGetDevice(stream.cu_stream(), &raw mut device) }
        }),
        // SAFETY: a context is current.
        ("cuCtxSynchronize", |_| unsafe { sys::cuCtxSynchronize() }),
    ];
    for (name, call) in calls {
        for mode in [GLOBAL, THREAD_LOCAL, RELAXED] {
            let stream = context.new_stream().expect("a stream");
            assert_eq!(begin_on(stream.cu_stream(), mode), CUDA_SUCCESS);
            assert_eq!(relaxed(|| call(&stream)), UNSUPPORTED, "{name} beside {mode:?}");
            assert_eq!(end_on(stream.cu_stream()).0, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "{name} beside {mode:?}");
        }
    }
}

#[test]
fn a_wait_for_all_work_of_another_context_ends_no_capture() -> Result<(), DriverError> {
    let (captures, other) = (context(0), context(1));
    let stream = captures.new_stream()?;
    assert_eq!(begin_on(stream.cu_stream(), GLOBAL), CUDA_SUCCESS);
    other.bind_to_thread()?;
    // SAFETY: a context is current.
    assert_eq!(unsafe { sys::cuCtxSynchronize() }, CUDA_SUCCESS);
    captures.bind_to_thread()?;
    assert_eq!(status(stream.cu_stream()), Ok(ACTIVE));
    assert_eq!(end_on(stream.cu_stream()).0, CUDA_SUCCESS);
    Ok(())
}

#[test]
fn a_number_that_is_no_mode_is_taken_reported_and_strict() {
    let scope = misuse();
    let made = Beside::new();
    let exchange = |mut mode: u32| {
        // SAFETY: a valid place: a mode is such a number.
        assert_eq!(unsafe { sys::cuThreadExchangeStreamCaptureMode((&raw mut mode).cast()) }, CUDA_SUCCESS);
        mode
    };
    assert_eq!(exchange(RELAXED as u32), GLOBAL as u32);
    assert_eq!(exchange(3), RELAXED as u32);
    assert_eq!(scope.scope().take_reports().len(), 1);
    let query = || query(&made.event);
    assert_eq!(beside(THREAD_LOCAL, query), ENDED);
    assert_eq!(exchange(GLOBAL as u32), 3);
    assert_eq!(scope.scope().take_reports(), []);
}

#[test]
fn a_synchronous_copy_ends_no_capture() -> Result<(), DriverError> {
    let _context = context(0);
    // SAFETY: a context is current.
    let memory = unsafe { result::malloc_sync(16) }?;
    // SAFETY: alive, and the array is as long.
    let copy = || code(unsafe { result::memcpy_dtoh_sync(&mut [0_u8; 16], memory) });
    assert_eq!(beside(THREAD_LOCAL, copy), ALLOWED);
    // SAFETY: allocated above.
    unsafe { result::free_sync(memory) }
}

#[test]
fn a_capture_ends_with_its_scope() -> Result<(), DriverError> {
    let outer = misuse();
    let stream = context(0).new_stream()?;
    let inner = Scope::enter();
    assert_eq!(begin_on(stream.cu_stream(), GLOBAL), CUDA_SUCCESS);
    drop(inner);
    assert_eq!(end_on(stream.cu_stream()).0, CUresult::CUDA_ERROR_ILLEGAL_STATE);
    assert_eq!(outer.scope().take_reports().len(), 1);
    Ok(())
}

#[test]
fn a_capture_ends_with_its_green_context() -> Result<(), DriverError> {
    let primary = context(0);
    let green = Green::of(&primary);
    let (stream, event) = (green.stream(), primary.new_event(None)?);
    let (object, told) = watched();
    assert_eq!(begin_on(stream.cu_stream(), GLOBAL), CUDA_SUCCESS);
    move_to(info(&stream).expect("it captures").1, object);
    assert_eq!(query(&event), UNSUPPORTED);
    assert_eq!(green.destroy(), Ok(()));
    assert_eq!(query(&event), CUDA_SUCCESS);
    assert_ne!(destroyed(&told), thread::current().id());
    // SAFETY: it was not destroyed yet.
    assert_eq!(unsafe { sys::cuStreamDestroy_v2(stream.cu_stream()) }, CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED);
    Ok(())
}

#[test]
fn parallel_scopes_do_not_end_each_others_captures() -> Result<(), DriverError> {
    let made = Beside::new();
    let stream = made.context.new_stream()?;
    let _own = Scope::enter();
    begin(&stream);
    assert_eq!(begin_on(made.stream.cu_stream(), GLOBAL), CUDA_SUCCESS);
    let event = made.event.cu_event().expose_provenance();
    thread::scope(|threads| {
        let there = threads.spawn(|| {
            let _other = Scope::enter();
            // SAFETY: alive.
            unsafe { sys::cuEventQuery(std::ptr::with_exposed_provenance_mut(event)) }
        });
        assert_eq!(there.join().expect("no panic"), CUDA_SUCCESS);
    });
    assert_eq!([&stream, &made.stream].map(|stream| end_on(stream.cu_stream()).0), [CUDA_SUCCESS; 2]);
    Ok(())
}
