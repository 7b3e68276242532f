//! Streams step by step: the test takes each job and says when it has ended.

use std::collections::BTreeMap;
use std::ffi::c_void;

use super::super::buffer::{Buffer, Span};
use super::super::codes;
use super::super::handle::Handle;
use super::super::job::{Pattern, UserData};
use super::super::state::primary_handle;
use super::*;

const NON_BLOCKING: Role = Role::Created { non_blocking: true };
const BLOCKING: Role = Role::Created { non_blocking: false };

/// A state with a context, and nobody who takes its jobs but the test.
fn state() -> (State, Serial) {
    let mut state = State::new();
    let context = state.add_context(primary_handle(0), 0, 0);
    (state, context)
}

fn job() -> Work {
    let target = Span::whole(Buffer::of_device(1).unwrap());
    Work::Run(Job::Fill { target, pattern: Pattern::Byte(0) })
}

fn host_function() -> Work {
    unsafe extern "C" fn nothing(_: *mut c_void) {}
    Work::Run(Job::HostFunction(nothing, UserData(std::ptr::null_mut())))
}

fn callback() -> Work {
    unsafe extern "C" fn nothing(_: *mut c_void, _: u32, _: *mut c_void) {}
    Work::Run(Job::Callback(nothing, Handle::NULL, UserData(std::ptr::null_mut())))
}

/// The stream whose job would run next, which then counts as running.
fn take(state: &mut State) -> Option<Serial> {
    state.take_job().map(|(stream, ..)| stream)
}

#[test]
fn work_without_jobs_is_done_at_once() {
    let (mut state, context) = state();
    let stream = state.add_stream(context, NON_BLOCKING, 0);
    let end = state.enqueue(stream, None, Work::Wait);
    assert!(state.is_passed(end));
    assert!(state.ready.is_empty());
}

#[test]
fn a_stream_does_one_thing_after_the_other() {
    let (mut state, context) = state();
    let stream = state.add_stream(context, NON_BLOCKING, 0);
    let first = state.enqueue(stream, None, job());
    let second = state.enqueue(stream, None, job());
    let last = state.enqueue(stream, None, Work::Wait);
    assert_eq!(take(&mut state), Some(stream));
    assert_eq!(take(&mut state), None);
    state.job_done(stream, false, Ok(()));
    assert!(state.is_passed(first) && !state.is_passed(second));
    assert_eq!(take(&mut state), Some(stream));
    state.job_done(stream, false, Ok(()));
    assert!(state.is_passed(last));
}

#[test]
fn a_wait_holds_until_its_point_is_passed() {
    let (mut state, context) = state();
    let [producer, consumer, third] = [(); 3].map(|()| state.add_stream(context, NON_BLOCKING, 0));
    let point = state.enqueue(producer, None, job());
    state.enqueue(producer, None, job());
    let wait = state.enqueue(consumer, Some(point), Work::Wait);
    let further = state.enqueue(third, Some(wait), Work::Wait);
    assert_eq!(take(&mut state), Some(producer));
    assert!(!state.is_passed(wait));
    state.job_done(producer, false, Ok(()));
    assert!(state.is_passed(wait) && state.is_passed(further));
}

#[test]
fn the_legacy_stream_and_the_blocking_ones_hold_each_other() {
    let (mut state, context) = state();
    let legacy = state.contexts[&context].legacy;
    let [blocking, other] = [(); 2].map(|()| state.add_stream(context, BLOCKING, 0));
    let free = state.add_stream(context, NON_BLOCKING, 0);
    state.enqueue(blocking, None, job());
    let on_legacy = state.enqueue(legacy, None, Work::Wait);
    let after_legacy = state.enqueue(other, None, Work::Wait);
    let on_free = state.enqueue(free, None, Work::Wait);
    assert!(state.is_passed(on_free));
    assert!(!state.is_passed(on_legacy) && !state.is_passed(after_legacy));
    take(&mut state);
    state.job_done(blocking, false, Ok(()));
    assert!(state.is_passed(on_legacy) && state.is_passed(after_legacy));
}

#[test]
fn the_legacy_stream_of_another_context_holds_nothing() {
    let (mut state, context) = state();
    let other = state.add_context(primary_handle(1), 1, 0);
    let legacy = state.contexts[&other].legacy;
    let stream = state.add_stream(context, BLOCKING, 0);
    state.enqueue(legacy, None, job());
    let end = state.enqueue(stream, None, Work::Wait);
    assert!(state.is_passed(end));
}

#[test]
fn host_functions_of_a_context_take_turns() {
    let (mut state, context) = state();
    let [first, second] = [(); 2].map(|()| state.add_stream(context, NON_BLOCKING, 0));
    for stream in [first, first, second] {
        state.enqueue(stream, None, host_function());
    }
    assert_eq!(take(&mut state), Some(first));
    assert_eq!(take(&mut state), None);
    state.job_done(first, true, Ok(()));
    assert_eq!(take(&mut state), Some(second));
    assert_eq!(take(&mut state), None);
    state.job_done(second, true, Ok(()));
    assert_eq!(take(&mut state), Some(first));
}

#[test]
fn the_turns_are_taken_in_the_order_of_asking() {
    let (mut state, context) = state();
    let streams = [(); 3].map(|()| state.add_stream(context, NON_BLOCKING, 0));
    for stream in streams {
        state.enqueue(stream, None, host_function());
    }
    for stream in streams {
        assert_eq!(take(&mut state), Some(stream));
        state.job_done(stream, true, Ok(()));
    }
}

#[test]
fn memory_is_freed_in_stream_order() {
    let (mut state, context) = state();
    let stream = state.add_stream(context, NON_BLOCKING, 0);
    let address = state.memory.add(context, 0, Buffer::of_device(8).unwrap());
    state.enqueue(stream, None, job());
    state.enqueue(stream, None, Work::Free(address));
    assert_eq!(state.memory.allocations().count(), 1);
    take(&mut state);
    state.job_done(stream, false, Ok(()));
    assert_eq!(state.memory.allocations().count(), 0);
}

#[test]
fn a_stream_is_busy_while_it_has_work() {
    let (mut state, context) = state();
    let [stream, idle] = [(); 2].map(|()| state.add_stream(context, NON_BLOCKING, 0));
    state.enqueue(idle, None, Work::Wait);
    let end = state.enqueue(stream, None, job());
    let ends = state.ends_of(context);
    assert_eq!(ends.iter().map(|end| (end.stream, end.position)).collect::<Vec<_>>(), [(end.stream, end.position)]);
    take(&mut state);
    state.job_done(stream, false, Ok(()));
    assert!(state.ends_of(context).is_empty());
}

#[test]
fn a_fault_ends_the_queues_of_streams_that_wait_for_nobody() {
    let (mut state, context) = state();
    let [faulty, running, ready] = [(); 3].map(|()| state.add_stream(context, NON_BLOCKING, 0));
    state.enqueue(faulty, None, job());
    let first = state.enqueue(running, None, job());
    let second = state.enqueue(running, None, job());
    assert_eq!([take(&mut state), take(&mut state)], [Some(faulty), Some(running)]);
    let never = state.enqueue(ready, None, job());
    state.job_done(faulty, false, Err(codes::LAUNCH_FAILED));
    assert!(state.is_passed(never), "it had not begun");
    assert!(!state.is_passed(first), "it has begun, and may use its memory");
    state.job_done(running, false, Ok(()));
    assert!(state.is_passed(second));
    assert_eq!(take(&mut state), None);
    assert!(state.ends_of(context).is_empty());
}

#[test]
fn a_fault_ends_the_work_of_all_contexts_of_its_scope() {
    let (mut state, context) = state();
    let other = state.add_context(primary_handle(1), 1, 0);
    let [faulty, behind] = [(); 2].map(|()| state.add_stream(context, NON_BLOCKING, 0));
    let elsewhere = state.add_stream(other, NON_BLOCKING, 0);
    let point = state.enqueue(faulty, None, job());
    state.enqueue(faulty, None, job());
    let end = state.enqueue(behind, Some(point), job());
    let wait = state.enqueue(elsewhere, Some(end), job());
    take(&mut state);
    state.job_done(faulty, false, Err(codes::LAUNCH_FAILED));
    assert!(state.is_passed(wait));
    assert_eq!(take(&mut state), None);
    assert_eq!(state.check(), Err(codes::LAUNCH_FAILED));
}

/// What `work` does as a thread of another scope.
fn elsewhere<T>(work: impl FnOnce() -> T) -> T {
    let before = scope::enter(scope::PROCESS + 1);
    let result = work();
    scope::enter(before);
    result
}

#[test]
fn a_fault_ends_no_work_of_other_scopes() {
    let (mut state, context) = state();
    let [shared, third] = [(); 2].map(|()| state.add_stream(context, NON_BLOCKING, 0));
    let faults = state.enqueue(shared, None, job());
    let ours = state.enqueue(shared, None, host_function());
    let theirs = elsewhere(|| state.enqueue(shared, None, host_function()));
    let running = state.enqueue(third, None, host_function());
    assert_eq!([take(&mut state), take(&mut state)], [Some(shared), Some(third)]);
    state.job_done(shared, false, Err(codes::LAUNCH_FAILED));
    assert!(state.is_passed(faults) && state.is_passed(ours) && !state.is_passed(theirs));
    assert_eq!(elsewhere(|| state.check()), Ok(()));
    assert_eq!(take(&mut state), None, "one host function at a time");
    state.job_done(third, true, Ok(()));
    assert!(state.is_passed(running));
    assert_eq!(take(&mut state), Some(shared));
    state.job_done(shared, true, Ok(()));
    assert!(state.is_passed(theirs));
}

#[test]
fn the_turn_of_a_lost_host_function_is_anothers() {
    let (mut state, context) = state();
    let [lost, lost_too, faulty, waiting, later] = [(); 5].map(|()| state.add_stream(context, NON_BLOCKING, 0));
    let dropped = elsewhere(|| state.enqueue(lost, None, host_function()));
    elsewhere(|| state.enqueue(lost_too, None, host_function()));
    state.enqueue(waiting, None, host_function());
    elsewhere(|| state.enqueue(faulty, None, Work::Fault(codes::LAUNCH_FAILED)));
    assert!(state.is_passed(dropped), "no thread had begun it");
    assert_eq!(take(&mut state), Some(waiting));
    state.job_done(waiting, true, Ok(()));
    state.enqueue(later, None, host_function());
    assert_eq!(take(&mut state), Some(later));
}

#[test]
fn the_lost_work_of_a_scope_is_not_done_after_its_end() {
    let (mut state, context) = state();
    let [faulty, shared] = [(); 2].map(|()| state.add_stream(context, NON_BLOCKING, 0));
    state.enqueue(shared, None, job());
    elsewhere(|| {
        state.enqueue(shared, None, job());
        state.enqueue(faulty, None, Work::Fault(codes::LAUNCH_FAILED));
    });
    state.end_scope(scope::PROCESS + 1);
    assert_eq!(state.check(), Ok(()));
    assert_eq!(take(&mut state), Some(shared));
    state.job_done(shared, false, Ok(()));
    assert_eq!(take(&mut state), None);
    assert!(state.ends_of(context).is_empty());
}

#[test]
fn a_fault_after_the_end_of_its_scope_is_nobodys() {
    let (mut state, context) = state();
    let [running, behind, third] = [(); 3].map(|()| state.add_stream(context, NON_BLOCKING, 0));
    let lost = elsewhere(|| [running, running, behind].map(|stream| state.enqueue(stream, None, job())));
    let ours = state.enqueue(behind, None, job());
    assert_eq!(take(&mut state), Some(running));
    state.end_scope(scope::PROCESS + 1);
    assert_eq!(state.faults, BTreeMap::new());
    state.job_done(running, false, Err(codes::LAUNCH_FAILED));
    assert_eq!(state.check(), Ok(()));
    assert!(lost.iter().all(|point| state.is_passed(*point)), "nothing of a scope goes on after its fault");
    assert_eq!(take(&mut state), Some(behind));
    state.job_done(behind, false, Ok(()));
    assert!(state.is_passed(ours));
    state.enqueue(third, None, Work::Wait);
    state.end_scope(scope::PROCESS + 2);
    assert_eq!(state.faults, BTreeMap::new(), "it is forgotten with the last work of its scope");
}

#[test]
fn callbacks_outlive_a_fault_and_take_their_turns() {
    let (mut state, context) = state();
    let [faulty, running, waiting, behind] = [(); 4].map(|()| state.add_stream(context, NON_BLOCKING, 0));
    let fault = state.enqueue(faulty, None, job());
    let lost = state.enqueue(faulty, None, host_function());
    let after_it = state.enqueue(faulty, None, callback());
    let first = state.enqueue(running, None, host_function());
    let for_its_turn = state.enqueue(waiting, None, callback());
    state.enqueue(behind, Some(fault), job());
    let of_another = state.enqueue(behind, None, callback());
    assert_eq!([take(&mut state), take(&mut state), take(&mut state)], [Some(faulty), Some(running), None]);
    state.job_done(faulty, false, Err(codes::LAUNCH_FAILED));
    assert!(state.is_passed(lost) && !state.is_passed(after_it));
    assert_eq!(take(&mut state), None, "one at a time in a context");
    state.job_done(running, true, Ok(()));
    assert!(state.is_passed(first));
    for (stream, end) in [(waiting, for_its_turn), (faulty, after_it), (behind, of_another)] {
        assert!(!state.is_passed(end));
        assert_eq!((take(&mut state), take(&mut state)), (Some(stream), None));
        state.job_done(stream, true, Ok(()));
        assert!(state.is_passed(end));
    }
    assert!(state.ends_of(context).is_empty());
}

#[test]
fn a_callback_that_is_about_to_run_keeps_its_turn_after_a_fault() {
    let (mut state, context) = state();
    let [faulty, ready, later] = [(); 3].map(|()| state.add_stream(context, NON_BLOCKING, 0));
    state.enqueue(ready, None, callback());
    state.enqueue(faulty, None, Work::Fault(codes::LAUNCH_FAILED));
    // As where chance has let the fault go in the same call.
    let end = state.enqueue(later, None, callback());
    state.enqueue(later, None, job());
    for stream in [ready, later] {
        assert_eq!((take(&mut state), take(&mut state)), (Some(stream), None));
        state.job_done(stream, true, Ok(()));
    }
    assert!(state.is_passed(end) && state.ends_of(context).is_empty());
}

#[test]
fn a_callback_of_a_scope_that_has_ended_is_told_of_its_fault() {
    let (mut state, context) = state();
    let stream = state.add_stream(context, NON_BLOCKING, 0);
    elsewhere(|| {
        state.enqueue(stream, None, job());
        state.enqueue(stream, None, callback());
    });
    assert_eq!(take(&mut state), Some(stream));
    state.end_scope(scope::PROCESS + 1);
    state.job_done(stream, false, Err(codes::LAUNCH_FAILED));
    state.end_scope(scope::PROCESS + 2);
    let (_, _, scope) = state.take_job().unwrap();
    assert_eq!(state.check_scope(scope), Err(codes::LAUNCH_FAILED));
    state.job_done(stream, true, Ok(()));
    assert!(state.ends_of(context).is_empty());
}

#[test]
fn a_destroyed_stream_ends_with_its_last_task() {
    let (mut state, context) = state();
    let stream = state.add_stream(context, NON_BLOCKING, 0);
    let end = state.enqueue(stream, None, job());
    state.streams.get_mut(&stream).unwrap().destroyed = true;
    take(&mut state);
    assert!(!state.is_passed(end));
    state.job_done(stream, false, Ok(()));
    assert!(state.is_passed(end));
    assert!(!state.streams.contains_key(&stream));
}
