//! Accesses that nothing orders are reported, in every schedule; those that something orders are not.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::sys::{self, CUevent_flags, CUevent_wait_flags};
use cudarc::driver::{CudaContext, CudaStream, DriverError, PushKernelArg, result};
use softcuda::ParamKind::Pointer;
use softcuda::{Kernel, Schedule, Scope};
use support::means::{MEANS, Means};
use support::planted::{Mistake, PROGRAMS, Pace, Program, run};
use support::world::{Lane, World, blocking, from_device, legacy, non_blocking, per_thread, set, settle, to_device};
use support::{Hold, ONE, context, kernel, schedules};

/// Runs a test in every schedule, each time in a scope of its own, which is left without a report.
fn in_every_schedule(test: impl Fn(&Arc<CudaContext>, Schedule)) {
    let context = context(0);
    for schedule in schedules() {
        println!("in the schedule {schedule:?}");
        let _scope = Scope::enter().scheduled(schedule);
        check_silent("the rest", || test(&context, schedule));
    }
}

/// The same with two streams and memory that both use.
fn in_every_schedule_with_a_world(test: impl Fn(&World)) {
    in_every_schedule(|context, _| test(&World::of(context, non_blocking)));
}

/// The reports that `program` makes, or adds to.
fn reports_of(program: impl FnOnce()) -> Vec<String> {
    assert_eq!(Scope::current().reports(), [], "before the program");
    program();
    Scope::current().take_reports().iter().map(ToString::to_string).collect()
}

/// Checks that a program makes no report.
fn check_silent(name: &str, program: impl FnOnce()) {
    assert_eq!(reports_of(program), Vec::<String>::new(), "{name}");
}

/// Checks that a program makes one report, with all the words.
fn check_reported(name: &str, words: &[&str], program: impl FnOnce()) {
    let reports = reports_of(program);
    assert_eq!(reports.len(), 1, "{name}: {reports:#?}");
    for word in words {
        assert!(reports[0].contains(word), "{name}: {:?} lacks {word:?}", reports[0]);
    }
}

/// All cases, but one in so many where Miri would take minutes.
fn some<T>(of_miri: usize, cases: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    cases.step_by(if cfg!(miri) { of_miri } else { 1 })
}

/// Checks that a program without anything between its accesses is reported at every pace.
fn check_planted(program: &Program, schedule: Schedule, world: impl Fn() -> World) {
    for pace in program.paces(schedule) {
        check_reported(&format!("{}, {pace:?}", program.name), program.report, || run(program, &world(), *pace, |_| ()));
    }
}

/// Checks that all programs with this mistake are reported.
fn check_mistake(mistake: Mistake) {
    in_every_schedule(|context, schedule| {
        let programs = PROGRAMS.iter().filter(|program| program.mistake == mistake);
        let cases = programs.flat_map(|program| [non_blocking as Lane, blocking].map(|lane| (program, lane)));
        for (program, lane) in some(12, cases) {
            check_planted(program, schedule, || World::of(context, lane));
        }
    });
}

#[test]
fn a_missing_wait_is_reported_in_every_schedule() {
    check_mistake(Mistake::MissingWait);
}

#[test]
fn an_early_free_is_reported_in_every_schedule() {
    check_mistake(Mistake::EarlyFree);
}

#[test]
fn an_early_host_read_or_write_is_reported_in_every_schedule() {
    check_mistake(Mistake::EarlyHostAccess);
}

#[test]
fn every_means_of_order_is_known_in_every_schedule() {
    in_every_schedule(|context, _| {
        let programs = |means: &'static Means| PROGRAMS.iter().filter(|program| means.for_host || !program.by_host);
        let cases = MEANS.iter().flat_map(|means| programs(means).map(move |program| (means, program)));
        for (means, program) in some(29, cases) {
            let lane: Lane = if means.blocking { blocking } else { non_blocking };
            let name = format!("{}, with {} between", program.name, means.name);
            check_silent(&name, || run(program, &World::of(context, lane), Pace::Any, means.act));
        }
    });
}

#[test]
fn the_legacy_stream_orders_blocking_streams_only() {
    let ordered: [(Lane, Lane); 5] = [(legacy, blocking), (blocking, legacy), (legacy, per_thread), (per_thread, legacy), (legacy, legacy)];
    let unordered: [(Lane, Lane); 4] = [(legacy, non_blocking), (non_blocking, legacy), (per_thread, blocking), (blocking, per_thread)];
    in_every_schedule(|context, schedule| {
        let programs = || PROGRAMS.iter().filter(|program| !program.by_host);
        for (program, (first, second)) in some(13, programs().flat_map(|program| ordered.map(|lanes| (program, lanes)))) {
            check_silent(program.name, || run(program, &World::new(context, first(context), second(context)), Pace::Any, |_| ()));
        }
        for (program, (first, second)) in some(13, programs().flat_map(|program| unordered.map(|lanes| (program, lanes)))) {
            check_planted(program, schedule, || World::new(context, first(context), second(context)));
        }
    });
}

#[test]
fn a_record_before_the_access_orders_nothing() {
    in_every_schedule_with_a_world(|world| {
        let mark = world.first.record_event(None).expect("a record");
        set(world.data, 8, &world.first);
        world.second.wait(&mark).expect("a wait");
        settle(&world.first);
        check_reported("", &["cuMemcpyDtoHAsync_v2"], || from_device(world.data, &world.second));
    });
}

/// What is waited for is the record at the time of the call.
#[test]
fn a_wait_keeps_its_record_when_the_event_is_recorded_again() {
    in_every_schedule_with_a_world(|world| {
        let third = world.context.new_stream().expect("a stream");
        let event = result::event::create(CUevent_flags::CU_EVENT_DISABLE_TIMING).expect("an event");
        let record = |stream: &CudaStream| {
            // SAFETY: both are alive.
            unsafe { result::event::record(event, stream.cu_stream()) }.expect("a record");
        };
        let wait = |stream: &CudaStream| {
            // SAFETY: both are alive.
            unsafe { result::stream::wait_event(stream.cu_stream(), event, CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT) }.expect("a wait");
        };
        set(world.data, 8, &world.first);
        record(&world.first);
        wait(&world.second);
        record(&third);
        check_silent("waited for before", || set(world.data, 8, &world.second));
        wait(&third);
        settle(&world.first);
        check_reported("waited for after", &["cuMemcpyDtoHAsync_v2", "by cuMemsetD8Async"], || from_device(world.data, &third));
        third.synchronize().expect("the copy is done");
        // SAFETY: alive, and not used any more.
        unsafe { result::event::destroy(event) }.expect("the event");
    });
}

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

#[test]
fn a_wait_that_is_not_documented_orders_nothing() {
    in_every_schedule_with_a_world(|world| {
        // SAFETY: a context is current.
        let unrelated = unsafe { result::malloc_sync(8) }.expect("memory");
        to_device(world.data, &world.first);
        // SAFETY: allocated above. On this driver, as on a real one, it waits for all work of the context.
        unsafe { result::free_sync(unrelated) }.expect("a free");
        settle(&world.first);
        check_reported("", &["by cuMemcpyHtoDAsync_v2"], || from_device(world.data, &world.second));
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
fn a_copy_between_contexts_without_a_stream_orders_their_streams() {
    in_every_schedule_with_a_world(|world| {
        let context = world.context.cu_ctx();
        check_silent("documented", || {
            to_device(world.data, &world.first);
            // SAFETY: both are as long, and stay.
            let code = unsafe { sys::cuMemcpyPeer(world.other, context, world.data, context, 8) };
            assert_eq!(code, sys::CUresult::CUDA_SUCCESS);
            from_device(world.other, &world.second);
        });
    });
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

/// The host may release the stream after anything.
#[test]
fn what_is_held_by_a_word_of_the_host_is_not_taken_for_unordered() {
    in_every_schedule_with_a_world(|world| {
        check_silent("", || {
            let hold = Hold::new(&world.first);
            set(world.data, 8, &world.first);
            from_device(world.data, &world.second);
            hold.release();
            world.first.synchronize().expect("a wait");
        });
        set(world.data, 8, &world.first);
        settle(&world.first);
        check_reported("after the host has waited", &["by cuMemsetD8Async"], || from_device(world.data, &world.second));
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
