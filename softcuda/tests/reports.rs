//! What is reported, how often and in which words, and what is not.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::sys::{self, CUevent_flags};
use cudarc::driver::{CudaStream, DriverError, PushKernelArg, result};
use softcuda::ParamKind::Pointer;
use softcuda::{Kernel, Scope};
use support::reported::{check_reported, check_silent, in_every_schedule, in_every_schedule_with_a_world, reports_of};
use support::world::{World, from_device, non_blocking, set, settle};
use support::{ONE, context, kernel};

#[test]
fn neighbours_are_not_confused() {
    in_every_schedule_with_a_world(|world| {
        check_silent("two halves", || {
            set(world.data, 32, &world.first);
            set(world.data + 32, 32, &world.second);
        });
        settle(&world.first);
        check_reported("one byte", &["bytes 31..33", "of bytes 0..32"], || set(world.data + 31, 2, &world.second));
    });
}

#[test]
fn two_readers_are_no_race() {
    in_every_schedule_with_a_world(|world| {
        result::ctx::synchronize().expect("a wait");
        check_silent("", || {
            from_device(world.data, &world.first);
            from_device(world.data, &world.second);
        });
    });
}

#[test]
fn what_repeats_is_one_report() {
    const TIMES: usize = if cfg!(miri) { 3 } else { 20 };
    in_every_schedule_with_a_world(|world| {
        let reports = reports_of(|| {
            for _ in 0..TIMES {
                for stream in [&world.first, &world.second] {
                    set(world.data, 8, stream);
                    settle(stream);
                }
            }
        });
        // In one direction and in the other.
        assert_eq!(reports.len(), 2, "{reports:#?}");
        assert!(reports[0].ends_with(&format!("({TIMES} times)")), "{reports:#?}");
        assert!(reports[1].ends_with(&format!("({} times)", TIMES - 1)), "{reports:#?}");
    });
}

/// A free waits for work of the memory's context, if for any.
#[test]
fn a_free_needs_order_with_work_of_other_contexts() -> Result<(), DriverError> {
    let (world, there) = (World::of(&context(0), non_blocking), context(1));
    let _scope = Scope::enter();
    let stream = there.new_stream()?;
    // SAFETY: a context is current.
    let target = unsafe { result::malloc_sync(64) }?;
    world.context.bind_to_thread()?;
    let read_there = |memory: u64| {
        // SAFETY: both are as long, and stay until the copy is done or the driver keeps them.
        unsafe { result::memcpy_dtod_async(target, memory, 64, stream.cu_stream()) }.expect("a copy");
        settle(&stream);
    };
    // SAFETY: a context is current.
    let allocate = || unsafe { result::malloc_sync(64) }.expect("memory");
    // SAFETY: allocated by the test.
    let free = |memory| unsafe { result::free_sync(memory) }.expect("a free");
    check_reported("memory of a device", &["cuMemFree_v2: the free of bytes 0..64", "by cuMemcpyDtoDAsync_v2;"], || {
        let memory = allocate();
        read_there(memory);
        free(memory);
    });
    let mut own = [0_u8; 64];
    let own = own.as_mut_ptr();
    check_reported("registered memory", &["cuMemHostUnregister: the end of the registration of bytes 0..64", "after the read of"], || {
        // SAFETY: memory of the test.
        unsafe { sys::cuMemHostRegister_v2(own.cast(), 64, 0) }.result().expect("a registration");
        read_there(own.expose_provenance() as u64);
        while softcuda::live().threads > 0 {
            std::thread::yield_now();
        }
        // SAFETY: nothing is at work on it.
        unsafe { sys::cuMemHostUnregister(own.cast()) }.result().expect("its end");
    });
    check_silent("a program that waits", || {
        let memory = allocate();
        read_there(memory);
        stream.synchronize().expect("a wait");
        world.context.bind_to_thread().expect("a context");
        free(memory);
    });
    stream.synchronize()?;
    free(target);
    drop((stream, there));
    world.context.bind_to_thread()
}

#[test]
fn atomic_accesses_need_no_order_among_themselves() {
    in_every_schedule_with_a_world(|world| {
        Kernel::new("count", [Pointer])
            .declare(|_, memory| memory.atomic::<u32>(0, 1))
            .run(|launch| {
                launch.atomic_u32(0, 0).fetch_add(1, Ordering::Relaxed);
            })
            .register();
        let kernel = kernel(&world.context, "count").expect("its twin is registered");
        let count = |stream: &Arc<CudaStream>| {
            let mut launch = stream.launch_builder(&kernel);
            launch.arg(&world.data);
            // SAFETY: the argument is that of the PTX, and the memory has a word.
            unsafe { launch.launch(ONE) }.expect("a launch");
        };
        set(world.data, 4, &world.first);
        let mark = world.first.record_event(None).expect("a record");
        world.second.wait(&mark).expect("a wait");
        check_silent("two kernels", || {
            count(&world.first);
            count(&world.second);
        });
        settle(&world.second);
        check_reported("a copy", &["the read of", "after the atomic access of", "by kernel `count`"], || {
            from_device(world.data, &world.first);
        });
    });
}

#[test]
fn a_late_use_says_how_the_memory_was_freed() {
    in_every_schedule_with_a_world(|world| {
        let stream = world.first.cu_stream();
        // SAFETY: the stream is alive.
        let address = unsafe { result::malloc_async(stream, 64) }.expect("memory");
        // SAFETY: allocated above.
        unsafe { result::free_async(address, stream) }.expect("a free");
        let name = format!("{:#x}", stream.addr());
        check_reported("", &["cuMemsetD8Async", ", freed by cuMemFreeAsync on stream", &name], || {
            // SAFETY: the software driver refuses what is freed.
            assert!(unsafe { result::memset_d8_async(address + 8, 0, 8, stream) }.is_err());
        });
    });
}

#[test]
fn a_context_that_ends_with_objects_in_it_is_reported() {
    let ended = |leave: fn()| {
        let mut raw = std::ptr::null_mut();
        // SAFETY: a valid place; the parameters are those of a plain context.
        unsafe { sys::cuCtxCreate_v4(&raw mut raw, std::ptr::null_mut(), 0, 1) }.result().expect("a context");
        leave();
        // SAFETY: alive, and nothing of it is used any more.
        unsafe { sys::cuCtxDestroy_v2(raw) }.result().expect("its end");
    };
    in_every_schedule(|_, _| {
        check_reported("", &["cuCtxDestroy_v2: context 0x", "ended with 2 streams, 1 event and 1 allocation in it"], || {
            ended(|| {
                for _ in 0..2 {
                    result::stream::create(StreamKind::NonBlocking).expect("a stream");
                }
                result::event::create(CUevent_flags::CU_EVENT_DEFAULT).expect("an event");
                // SAFETY: a context is current.
                unsafe { result::malloc_sync(64) }.expect("memory");
            });
        });
        check_silent("everything was taken back", || {
            ended(|| {
                let stream = result::stream::create(StreamKind::NonBlocking).expect("a stream");
                // SAFETY: alive, and not used any more.
                unsafe { result::stream::destroy(stream) }.expect("its end");
            });
        });
    });
}
