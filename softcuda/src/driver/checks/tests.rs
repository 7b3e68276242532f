//! Accesses as they are enqueued; nothing runs here.

use std::ffi::c_void;

use super::super::buffer::Buffer;
use super::super::graphs::UserObject;
use super::super::history::History;
use super::super::job::UserData;
use super::super::objects::Role;
use super::super::scope::PROCESS;
use super::super::state::primary_handle;
use super::*;

const BYTES: usize = 1 << 12;

const FREE: Role = Role::Created { non_blocking: true };

fn state() -> (State, Serial, u64) {
    let mut state = State::new();
    let context = state.add_context(primary_handle(0), 0, 0);
    let address = state.memory.add(context, 0, Buffer::of_device(BYTES).unwrap());
    (state, context, address)
}

/// Streams that are created, used and destroyed, a hundred thousand of them.
fn use_streams(state: &mut State, context: Serial, mut work: impl FnMut(&mut State, Serial, usize)) -> usize {
    let mut most = 0;
    for number in 0..if cfg!(miri) { 100 } else { 100_000 } {
        let stream = state.add_stream(context, Role::Created { non_blocking: number % 2 == 0 }, 0);
        work(state, stream, number);
        state.retire_stream(stream);
        state.prune_order();
        most = most.max(state.order.growth);
    }
    most
}

/// Whether there is a report with all the words. The list is the process's, so one of them is an address.
fn is_reported(words: [&str; 3]) -> bool {
    let mut reports = (0..report::count(PROCESS)).filter_map(|index| report::get(PROCESS, index));
    reports.any(|report| words.iter().all(|word| report.text.contains(word)))
}

#[test]
fn a_value_orders_what_came_before_it_was_written() {
    let (mut state, context, _) = state();
    // An address that no other test has.
    let address = (0..7).map(|_| state.memory.add(context, 0, Buffer::of_device(BYTES).unwrap())).last().unwrap();
    let at = format!("{address:#x}");
    let [writer, waiting, other] = [(); 3].map(|()| state.add_stream(context, FREE, 0));
    state.touches(writer, address, 8, Touch::Write, None);
    state.writes_value(writer, address + 64, 4);
    state.waits_for_value(waiting, address + 64, 4);
    state.touches(waiting, address, 8, Touch::Read, None);
    state.waits_for_value(other, address + 64, 4);
    assert!(!is_reported([&at, "", ""]));
    let [third, fourth] = [(); 2].map(|()| state.add_stream(context, FREE, 0));
    state.touches(third, address + 64, 4, Touch::Read, None);
    assert!(is_reported([&at, "the read of bytes 64..68", "the atomic access of bytes 64..68"]));
    state.touches(fourth, address, 8, Touch::Read, None);
    assert!(is_reported([&at, "the read of bytes 0..8", "the write of bytes 0..8"]));
}

#[test]
fn pageable_memory_is_watched_until_the_host_knows() {
    const ADDRESS: u64 = 0x7_1234_5000;
    let (mut state, context, _) = state();
    let [first, second] = [(); 2].map(|()| state.add_stream(context, FREE, 0));
    state.touches_pageable(first, ADDRESS, 64, Touch::Write);
    state.host_touches(ADDRESS + 64, 64, Touch::Read);
    assert!(!is_reported(["pageable", "0x712345040", ""]));
    state.host_touches(ADDRESS + 60, 64, Touch::Read);
    assert!(is_reported(["the read of 64 bytes at 0x71234503c of pageable memory", "by the host", "the write of 64 bytes at 0x712345000"]));
    state.touches_pageable(second, ADDRESS + 8, 8, Touch::Read);
    assert!(is_reported(["the read of 8 bytes at 0x712345008", "cuStreamWaitEvent", "the write of"]));
    let reached = state.order.reached_by_context(context);
    state.learns(&reached);
    // The addresses may be other memory's now.
    state.host_touches(ADDRESS + 32, 1, Touch::Write);
    assert!(!is_reported(["the write of 1 bytes at 0x712345020", "", ""]));
    assert!(state.histories.pageable.values().all(History::is_empty));
}

#[test]
fn clocks_do_not_grow_with_the_number_of_streams_there_were() {
    let (mut state, context, address) = state();
    let legacy = state.contexts[&context].legacy;
    let main = state.add_stream(context, FREE, 0);
    let wait = |state: &mut State, stream, other| {
        let moment = state.order.moment(other).unwrap();
        state.order.wait(stream, &moment);
    };
    // Each after the one before; no host ever waits.
    let most = use_streams(&mut state, context, |state, stream, _| {
        wait(state, stream, main);
        state.touches(stream, address, BYTES, Touch::Write, None);
        wait(state, legacy, stream);
        state.touches(legacy, address, 1, Touch::Read, None);
        wait(state, main, legacy);
    });
    assert!(most <= 1 << 13, "{most} entries at once");
    state.order.growth = usize::MAX;
    state.prune_order();
    assert!(state.order.moment(main).unwrap().others.len() <= 4);
    assert_eq!(state.histories.all_mut().map(|history| history.len()).sum::<usize>(), 3, "a write, in two pieces, and a read");
}

#[test]
fn user_objects_do_not_grow_with_the_launches_there_were() {
    unsafe extern "C" fn destroy(_: *mut c_void) {}
    for waits in [true, false] {
        let (mut state, context, _) = state();
        let object = state.serial();
        let user = UserData(std::ptr::null_mut());
        let this = UserObject { scope: PROCESS, destroy, user, owned: 1, shared: 0, needed: Arc::default() };
        state.graphs.objects.insert(object, this);
        use_streams(&mut state, context, |state, stream, _| {
            state.order.arrive(stream, PROCESS);
            state.order.step(stream);
            let end = state.order.moment(stream).unwrap();
            state.needed_until(&[(object, 1)].into(), &end);
            if waits {
                state.learns(&Some(end).into());
            }
        });
        state.order.growth = usize::MAX;
        state.prune_order();
        assert!(state.graphs.objects[&object].needed.len() <= 1);
    }
}

#[test]
fn histories_do_not_grow_with_what_a_host_has_waited_for() {
    let (mut state, context, address) = state();
    let most = use_streams(&mut state, context, |state, stream, number| {
        let at = address + (number % BYTES) as u64;
        state.touches(stream, at, 1, Touch::Read, None);
        let reached = state.order.reached_by_stream(stream);
        state.learns(&reached);
    });
    assert!(most <= 1 << 13, "{most} entries at once");
    state.order.growth = usize::MAX;
    state.prune_order();
    assert!(state.histories.allocations.is_empty());
}
