//! Accesses that nothing orders are reported, in every schedule; those that something orders are not.

mod support;

use cudarc::driver::sys::{self, CUevent_flags, CUevent_wait_flags};
use cudarc::driver::{CudaStream, result};
use softcuda::Schedule;
use support::Hold;
use support::means::{MEANS, Means};
use support::planted::{Mistake, PROGRAMS, Pace, Program, run};
use support::reported::{check_reported, check_silent, in_every_schedule, in_every_schedule_with_a_world};
use support::world::{Lane, World, blocking, from_device, legacy, non_blocking, per_thread, set, settle, to_device};

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
