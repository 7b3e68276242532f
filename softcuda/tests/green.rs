//! Green contexts: streams of their own, and the memory, events and modules of the primary context.

mod support;

use std::ptr::null_mut;

use cudarc::driver::sys::{self, CUcontext, CUevent, CUevent_flags, CUgreenCtx, CUresult, CUstream};
use cudarc::driver::{CudaStream, PushKernelArg, result};
use softcuda::{Scope, Topic, live};
use support::green::{DEFAULT_STREAM, Green, NON_BLOCKING, all, answer, descriptor, destroy};
use support::peer_event::{interprocess_event, query, record, wait};
use support::reported::{check_reported, check_silent, in_every_schedule};
use support::world::{World, from_device, non_blocking, set, settle};
use support::{Hold, ONE, add, context, misuse};

/// The default stream of the calling thread.
const PER_THREAD: CUstream = std::ptr::without_provenance_mut(2);

fn event() -> CUevent {
    result::event::create(CUevent_flags::CU_EVENT_DEFAULT).expect("an event")
}

/// The contexts that a stream answers: by the first function for that, and by the two that know of green ones.
fn contexts_of(stream: CUstream) -> (CUcontext, (CUcontext, CUgreenCtx), CUgreenCtx) {
    let (mut primary, mut green) = (null_mut(), null_mut());
    // SAFETY: the stream is alive, and the places are for contexts.
    let code = unsafe { sys::cuStreamGetCtx_v2(stream, &raw mut primary, &raw mut green) };
    assert_eq!(code, CUresult::CUDA_SUCCESS);
    (
        // SAFETY: as above.
        answer(null_mut(), |out| unsafe { sys::cuStreamGetCtx(stream, out) }).expect("a context"),
        (primary, green),
        // SAFETY: as above.
        answer(null_mut(), |out| unsafe { sys::cuStreamGetGreenCtx(stream, out) }).expect("a green context, or none"),
    )
}

#[test]
fn a_stream_knows_its_green_context_and_the_primary_one() {
    let primary = context(0);
    let green = Green::of(&primary);
    let (stream, ordinary) = (green.stream(), non_blocking(&primary));
    let of_green = (green.context(), (primary.cu_ctx(), green.raw), green.raw);
    let of_primary = (primary.cu_ctx(), (primary.cu_ctx(), null_mut()), null_mut());
    assert_ne!(green.context(), primary.cu_ctx());
    assert_eq!(
        [contexts_of(stream.cu_stream()), contexts_of(ordinary.cu_stream()), contexts_of(null_mut())],
        [of_green, of_primary, of_primary]
    );
    green.current(|| {
        let made_there = non_blocking(&primary);
        assert_eq!([contexts_of(made_there.cu_stream()), contexts_of(null_mut())], [of_green; 2]);
        destroy(&made_there);
        // SAFETY: the default stream of the thread.
        let per_thread = answer(null_mut(), |out| unsafe { sys::cuStreamGetCtx(PER_THREAD, out) });
        assert_eq!(per_thread, Err(CUresult::CUDA_ERROR_INVALID_HANDLE), "it has none");
    });
    // SAFETY: the stream is alive, and neither place has to be there.
    let nowhere = unsafe { sys::cuStreamGetCtx_v2(stream.cu_stream(), null_mut(), null_mut()) };
    assert_eq!(nowhere, CUresult::CUDA_SUCCESS);
    // SAFETY: null is the current context.
    let id = || answer(0, |out| unsafe { sys::cuCtxGetId(null_mut(), out) });
    assert_ne!(id(), green.current(id));
    destroy(&stream);
    destroy(&ordinary);
    green.destroy().expect("its end");
}

#[test]
fn events_are_of_one_family() {
    let primary = context(0);
    let green = Green::of(&primary);
    let (stream, ordinary) = (green.raw_stream(), non_blocking(&primary));
    let [of_primary, of_green] = [event(), green.current(event)];
    for (event, stream) in [(of_primary, stream), (of_green, ordinary.cu_stream())] {
        // SAFETY: both are alive.
        unsafe { result::event::record(event, stream) }.expect("a record across");
        // SAFETY: both are alive.
        unsafe { result::event::synchronize(event) }.expect("it is recorded");
    }
    // SAFETY: both are alive.
    assert!(unsafe { result::event::elapsed(of_primary, of_green) }.expect("a time across") >= 0.0);
    destroy(&ordinary);
    // SAFETY: alive, and not used any more.
    unsafe { result::stream::destroy(stream) }.expect("its end");
    green.destroy().expect("its end");
    for event in [of_primary, of_green] {
        // SAFETY: alive.
        assert_eq!(unsafe { sys::cuEventQuery(event) }, CUresult::CUDA_SUCCESS, "an event outlives its green context");
        // SAFETY: alive, and not used any more.
        unsafe { result::event::destroy(event) }.expect("its end");
    }
}

#[test]
fn a_stream_of_a_green_context_waits_for_interprocess_events_of_the_primary_one() {
    in_every_schedule(|primary, _| {
        let green = Green::of(primary);
        let (stream, ordinary, event) = (green.stream(), non_blocking(primary), interprocess_event());
        record(event, &ordinary);
        wait(&stream, event);
        stream.synchronize().expect("it is recorded");
        assert_eq!(query(event), CUresult::CUDA_SUCCESS);
        support::peer_event::destroy(event);
        destroy(&stream);
        destroy(&ordinary);
        green.destroy().expect("its end");
    });
}

#[test]
fn a_stream_whose_green_context_is_gone_answers_that() {
    let _misuse = misuse();
    let primary = context(0);
    let green = Green::of(&primary);
    let (stream, event) = (green.raw_stream(), event());
    let destroyed = green.raw;
    green.destroy().expect("its end");
    let codes = [
        // SAFETY: the driver answers for all of them, as documented.
        unsafe { sys::cuStreamQuery(stream) },
        // SAFETY: as above.
        unsafe { sys::cuStreamSynchronize(stream) },
        // SAFETY: as above.
        unsafe { sys::cuEventRecord(event, stream) },
        // SAFETY: as above.
        unsafe { sys::cuStreamGetCtx(stream, &mut null_mut()) },
    ];
    assert_eq!(codes, [CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED; 4]);
    assert_eq!(softcuda::reports(), [], "the documentation says what is answered");
    assert_eq!((live().streams, live().events), (1, 1));
    // SAFETY: it was not destroyed yet.
    assert_eq!(unsafe { sys::cuStreamDestroy_v2(stream) }, CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED);
    assert_eq!(live().streams, 0, "the caller has done what is documented");
    assert_eq!(softcuda::reports(), []);
    let stale = [
        // SAFETY: the software driver refuses what is not alive.
        unsafe { sys::cuGreenCtxDestroy(destroyed) },
        // SAFETY: as above.
        unsafe { sys::cuGreenCtxStreamCreate(&mut null_mut(), destroyed, NON_BLOCKING, 0) },
    ];
    assert_eq!(stale, [CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED; 2]);
    assert!(Scope::current().take_reports().iter().all(|report| report.topic() == Topic::Handle));
    // SAFETY: alive, and not used any more.
    unsafe { result::event::destroy(event) }.expect("its end");
}

#[test]
fn memory_and_kernels_are_those_of_the_primary_context() {
    let primary = context(0);
    let green = Green::of(&primary);
    let stream = green.stream();
    // SAFETY: a context is current.
    let data = green.current(|| unsafe { result::malloc_sync(4) }).expect("memory");
    // SAFETY: the stream is alive.
    let ordered = unsafe { result::malloc_async(stream.cu_stream(), 4) }.expect("memory");
    for memory in [data, ordered] {
        set(memory, 4, &stream);
        let kernel = add(&primary);
        let mut launch = stream.launch_builder(&kernel);
        launch.arg(&1_u32).arg(&1_u32).arg(&memory);
        // SAFETY: the arguments are those of the PTX, and there is one word.
        unsafe { launch.launch(ONE) }.expect("a launch");
    }
    stream.synchronize().expect("a wait");
    destroy(&stream);
    green.destroy().expect("its end");
    for memory in [data, ordered] {
        let mut read = [0_u8; 4];
        // SAFETY: the memory is the primary context's, which is alive.
        unsafe { result::memcpy_dtoh_sync(&mut read, memory) }.expect("a copy");
        assert_eq!(u32::from_ne_bytes(read), 0x0707_0708);
        // SAFETY: as above, and not used any more.
        unsafe { result::free_sync(memory) }.expect("its end");
    }
}

#[test]
fn the_primary_context_waits_for_its_green_ones_but_not_the_other_way() {
    in_every_schedule(|primary, _| {
        let green = Green::of(primary);
        let (stream, ordinary) = (green.stream(), non_blocking(primary));
        let hold = Hold::new(&ordinary);
        set_one_word(&stream);
        green.current(|| result::ctx::synchronize().expect("a wait for what is not held"));
        // SAFETY: alive.
        assert_eq!(unsafe { sys::cuStreamQuery(stream.cu_stream()) }, CUresult::CUDA_SUCCESS);
        hold.release();
        drop(hold);
        let event = stream.record_event(None).expect("a record");
        result::ctx::synchronize().expect("a wait for all");
        assert_eq!(event.try_is_complete(), Ok(true));
        destroy(&stream);
        destroy(&ordinary);
        green.destroy().expect("its end");
    });
}

#[test]
fn the_end_of_a_green_context_waits_for_nothing() {
    in_every_schedule(|primary, _| {
        let green = Green::of(primary);
        let (stream, behind) = (green.stream(), event());
        let hold = Hold::new(&stream);
        set_one_word(&stream);
        // SAFETY: both are alive.
        unsafe { result::event::record(behind, stream.cu_stream()) }.expect("a record");
        green.destroy().expect("its end");
        // SAFETY: alive.
        assert_eq!(unsafe { sys::cuEventQuery(behind) }, CUresult::CUDA_ERROR_NOT_READY);
        hold.release();
        // SAFETY: it was not destroyed yet.
        assert_eq!(unsafe { sys::cuStreamQuery(stream.cu_stream()) }, CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED);
        result::ctx::synchronize().expect("a wait for what it has left, too");
        drop(hold);
        // SAFETY: it was not destroyed yet.
        assert_eq!(unsafe { sys::cuStreamDestroy_v2(stream.cu_stream()) }, CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED);
        // SAFETY: alive.
        assert_eq!(unsafe { sys::cuEventQuery(behind) }, CUresult::CUDA_SUCCESS);
        // SAFETY: alive, and not used any more.
        unsafe { result::event::destroy(behind) }.expect("its end");
    });
}

#[test]
fn without_a_descriptor_it_has_all_of_the_device() {
    let primary = context(0);
    // SAFETY: no descriptor.
    let raw = answer(null_mut(), |out| unsafe { sys::cuGreenCtxCreate(out, null_mut(), 0, DEFAULT_STREAM) });
    let raw = raw.expect("a green context");
    // SAFETY: it is alive.
    let context = answer(null_mut(), |out| unsafe { sys::cuCtxFromGreenCtx(out, raw) }).expect("a context");
    assert_eq!((context, primary.cu_ctx() == context), (raw.cast(), false), "the same handle");
    // SAFETY: alive, and not used any more.
    unsafe { sys::cuGreenCtxDestroy(raw) }.result().expect("its end");
}

/// Work on memory of its own.
fn set_one_word(stream: &CudaStream) {
    // SAFETY: the stream is alive.
    let memory = unsafe { result::malloc_async(stream.cu_stream(), 4) }.expect("memory");
    set(memory, 4, stream);
    // SAFETY: allocated above.
    unsafe { result::free_async(memory, stream.cu_stream()) }.expect("its end");
}

#[test]
fn order_between_green_and_ordinary_streams_is_watched() {
    in_every_schedule(|primary, _| {
        let green = Green::of(primary);
        let world = World::new(primary, green.stream(), non_blocking(primary));
        check_silent("an event between", || {
            set(world.data, 8, &world.first);
            world.record_mark();
            world.second.wait(&world.mark).expect("a wait");
            from_device(world.data, &world.second);
            world.first.wait(&world.second.record_event(None).expect("a record")).expect("a wait");
        });
        set(world.data, 8, &world.first);
        settle(&world.first);
        check_reported("nothing between", &["cuMemcpyDtoHAsync_v2", "by cuMemsetD8Async;"], || from_device(world.data, &world.second));
        world.second.synchronize().expect("a wait");
        set(world.data, 8, &world.first);
        settle(&world.first);
        green.destroy().expect("its end, after its work");
        check_reported("its end", &["cuMemcpyDtoHAsync_v2", "by cuMemsetD8Async;"], || from_device(world.data, &world.second));
        result::ctx::synchronize().expect("a wait");
        check_silent("a wait for the primary context", || from_device(world.data, &world.second));
    });
}

#[test]
fn a_green_context_retains_the_primary_one() {
    let _misuse = misuse();
    softcuda::install().expect("the software driver");
    let active = || {
        // SAFETY: the places are for numbers.
        answer(0, |active| unsafe { sys::cuDevicePrimaryCtxGetState(1, &mut 0, active) }).expect("a device") == 1
    };
    result::init().expect("a driver");
    assert!(!active(), "no other test of this file uses the device");
    // SAFETY: the descriptor is one of the device.
    let create = || answer(null_mut(), |out| unsafe { sys::cuGreenCtxCreate(out, descriptor(1), 1, DEFAULT_STREAM) });
    let [first, second] = [create(), create()].map(|green| green.expect("a green context"));
    assert!(active());
    // SAFETY: alive, and not used any more.
    unsafe { sys::cuGreenCtxDestroy(first) }.result().expect("its end");
    assert!(active());
    // SAFETY: alive.
    let stream = answer(null_mut(), |out| unsafe { sys::cuGreenCtxStreamCreate(out, second, NON_BLOCKING, 0) }).expect("a stream");
    // SAFETY: whoever has objects there is this test, which uses them no more but to see that.
    unsafe { sys::cuDevicePrimaryCtxReset_v2(1) }.result().expect("a reset");
    let codes = [
        // SAFETY: the software driver refuses what is not alive.
        unsafe { sys::cuStreamQuery(stream) },
        // SAFETY: as above.
        unsafe { sys::cuGreenCtxDestroy(second) },
        // SAFETY: as above.
        unsafe { sys::cuStreamQuery(stream) },
    ];
    let over = CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED;
    assert_eq!(codes, [CUresult::CUDA_SUCCESS, CUresult::CUDA_SUCCESS, over], "a green context outlives the reset");
    assert!(!active());
    let topics: Vec<_> = softcuda::reports().iter().map(softcuda::Report::topic).collect();
    assert_eq!(topics, [Topic::Leak, Topic::Handle], "of the stream");
}

#[test]
fn what_a_green_context_cannot_be_made_from_is_refused() {
    let _misuse = misuse();
    let primary = context(0);
    let create = |descriptor, device, flags| {
        // SAFETY: the descriptor is one, or null.
        answer(null_mut(), |out| unsafe { sys::cuGreenCtxCreate(out, descriptor, device, flags) }).expect_err("it is refused")
    };
    let refused = [create(descriptor(0), 0, 0), create(descriptor(0), 0, 2), create(descriptor(1), 0, DEFAULT_STREAM)];
    assert_eq!(refused, [CUresult::CUDA_ERROR_INVALID_VALUE; 3]);
    assert_eq!(create(descriptor(0), 2, DEFAULT_STREAM), CUresult::CUDA_ERROR_INVALID_DEVICE);
    let green = Green::of(&primary);
    // SAFETY: it is alive.
    let blocking = answer(null_mut(), |out| unsafe { sys::cuGreenCtxStreamCreate(out, green.raw, 0, 0) });
    assert_eq!(blocking, Err(CUresult::CUDA_ERROR_INVALID_VALUE));
    let taken_for_another = [
        // SAFETY: the software driver tells a green context from a context.
        unsafe { sys::cuCtxSetCurrent(green.raw.cast()) },
        // SAFETY: as above.
        unsafe { sys::cuGreenCtxDestroy(primary.cu_ctx().cast()) },
    ];
    assert_eq!(taken_for_another, [CUresult::CUDA_ERROR_INVALID_CONTEXT; 2]);
    assert_eq!(green.context(), green.raw.cast(), "which makes the handle a context's");
    // SAFETY: it is refused.
    let ended_as_another = unsafe { sys::cuCtxDestroy_v2(green.context()) };
    assert_eq!(ended_as_another, CUresult::CUDA_ERROR_INVALID_CONTEXT);
    green.destroy().expect("its end");
}

#[test]
fn multiprocessors_are_divided() {
    let _primary = context(0);
    let (whole, mut parts, mut rest) = (all(0), [all(0); 2], all(0));
    let mut count = 2;
    // SAFETY: there is room for two parts, and for the rest.
    let code = unsafe { sys::cuDevSmResourceSplitByCount(parts.as_mut_ptr(), &raw mut count, &raw const whole, &raw mut rest, 0, 30) };
    assert_eq!((code, count), (CUresult::CUDA_SUCCESS, 2));
    // SAFETY: all are of this type.
    let sizes = [parts[0], parts[1], rest, whole].map(|resource| unsafe { resource.__bindgen_anon_1.sm }.smCount);
    assert_eq!(sizes, [32, 32, 68, 132]);
    // SAFETY: without a place for parts only their number is answered.
    let code = unsafe { sys::cuDevSmResourceSplitByCount(null_mut(), &raw mut count, &raw const whole, null_mut(), 0, 30) };
    assert_eq!((code, count), (CUresult::CUDA_SUCCESS, 4));
}
