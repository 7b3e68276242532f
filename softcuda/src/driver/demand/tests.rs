//! What goes, step by step: nobody takes the jobs but the test.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use super::super::buffer::{Buffer, Span};
use super::super::job::{Job, Pattern, UserData};
use super::super::objects::{Role, Work};
use super::super::state::primary_handle;
use super::super::word::{Condition, ValueWait, Width, Word};
use super::*;

const NON_BLOCKING: Role = Role::Created { non_blocking: true };

/// A state with a context whose work a schedule holds, and some streams.
fn state<const STREAMS: usize>(schedule: Schedule) -> (State, Serial, [Serial; STREAMS]) {
    let mut state = State::new();
    state.paces.set(PROCESS, schedule);
    let context = state.add_context(primary_handle(0), 0, 0);
    let streams = [(); STREAMS].map(|()| state.add_stream(context, NON_BLOCKING, 0));
    (state, context, streams)
}

fn copy() -> Work {
    let target = Span::whole(Buffer::of_device(1).unwrap());
    Work::Run(Job::Fill { target, pattern: Pattern::Byte(0) })
}

fn host_function() -> Work {
    unsafe extern "C" fn nothing(_: *mut c_void) {}
    Work::Run(Job::HostFunction(nothing, UserData(ptr::null_mut())))
}

/// A wait for a word that nobody writes.
fn value_wait() -> Work {
    let word = Word::new(Span::whole(Buffer::of_device(8).unwrap()), Width::Bits64).unwrap();
    Work::Run(Job::ValueWait(ValueWait { word, condition: Condition::Equal, value: 1, over: Arc::default() }))
}

/// Runs all that may run, and answers the streams in the order of its starts.
fn run(state: &mut State) -> Vec<Serial> {
    let mut order = Vec::new();
    while let Some((stream, job, _)) = state.take_job() {
        order.push(stream);
        state.job_done(stream, job.is_host_function(), Ok(()));
    }
    order
}

#[test]
fn nothing_goes_before_it_is_demanded() {
    let (mut state, _, [first, second]) = state(Schedule::Lazy);
    let (record, job) = (state.enqueue(first, None, Work::Wait), state.enqueue(first, None, copy()));
    let other = state.enqueue(second, None, Work::Wait);
    assert!(state.take_job().is_none());
    assert!(![record, job, other].iter().any(|point| state.is_passed(*point)));

    state.demand(&[record]);
    assert!(state.is_passed(record) && state.take_job().is_none(), "no more than what was demanded");
    state.demand(&[job]);
    assert_eq!(run(&mut state), [first]);
    assert!(state.is_passed(job) && !state.is_passed(other));
}

#[test]
fn a_demand_reaches_what_comes_before_in_other_streams() {
    let (mut state, context, [first, second, third]) = state(Schedule::Lazy);
    let begin = state.enqueue(first, None, copy());
    let rest = state.enqueue(first, None, copy());
    state.enqueue(second, Some(begin), Work::Wait);
    let middle = state.enqueue(second, None, copy());
    let end = state.enqueue(third, Some(middle), Work::Wait);
    state.demand(&[end]);
    assert_eq!(run(&mut state), [first, second]);
    assert!(state.is_passed(end) && !state.is_passed(rest));

    let legacy = state.contexts[&context].legacy;
    let blocking = state.add_stream(context, Role::Created { non_blocking: false }, 0);
    state.enqueue(blocking, None, copy());
    let on_legacy = state.enqueue(legacy, None, copy());
    state.demand(&[on_legacy]);
    assert_eq!(run(&mut state), [blocking, legacy]);
    assert!(!state.is_passed(rest));
}

#[test]
fn a_demand_reaches_behind_work_that_nothing_holds() {
    let (mut state, _, [held, free]) = state(Schedule::Lazy);
    let point = state.enqueue(held, None, copy());
    state.paces.set(PROCESS, Schedule::Plain);
    let wait = state.enqueue(free, Some(point), Work::Wait);
    assert!(state.take_job().is_none(), "what was held stays so");
    state.paces.set(1, Schedule::Lazy);
    state.demand(&[wait]);
    assert_eq!(run(&mut state), [held]);
    assert!(state.is_passed(wait));
}

#[test]
fn scopes_do_not_wait_for_what_others_hold() {
    let (mut state, context, [own, shared, foreign]) = state(Schedule::Lazy);
    let [process, here, elsewhere] = [PROCESS, 1, 2];
    let mut enqueue = |scope, stream| {
        state.paces.set(scope, Schedule::Lazy);
        scope::enter(scope);
        state.enqueue(stream, None, Work::Wait)
    };
    let expected = [enqueue(here, own), enqueue(here, shared)];
    enqueue(elsewhere, shared);
    enqueue(elsewhere, foreign);
    let ends = |state: &State, scope| {
        scope::enter(scope);
        state.ends_for_caller(context).into_iter().map(|end| (end.stream, end.position)).collect::<Vec<_>>()
    };
    let [(first, last), (second, begin)] = expected.map(|point| (point.stream, point.position));
    assert_eq!(ends(&state, here), [(first, last), (second, begin), (foreign, 0)]);
    assert_eq!(ends(&state, elsewhere), [(first, 0), (second, 2), (foreign, 1)]);
    assert_eq!(ends(&state, process), [(first, 1), (second, 2), (foreign, 1)]);
}

#[test]
fn the_plain_schedule_lets_all_go() {
    let (mut state, _, [first, second]) = state(Schedule::Lazy);
    let ends = [first, second, first].map(|stream| state.enqueue(stream, None, copy()));
    state.set_schedule(PROCESS, Schedule::Plain);
    assert_eq!(run(&mut state), [first, second, first]);
    assert!(ends.iter().all(|end| state.is_passed(*end)));
    let end = state.enqueue(first, None, Work::Wait);
    assert!(state.is_passed(end));
}

#[test]
fn queries_count_as_a_wait_in_the_end() {
    let (mut state, _, [stream]) = state(Schedule::Lazy);
    for _ in 0..2 {
        let end = state.enqueue(stream, None, Work::Wait);
        for _ in 0..QUERIES {
            state.queried(&[end]);
            assert!(!state.is_passed(end));
        }
        state.queried(&[end]);
        assert!(state.is_passed(end));
    }
}

#[test]
fn a_held_host_function_takes_no_turn() {
    let (mut state, _, [first, second]) = state(Schedule::Lazy);
    let held = state.enqueue(first, None, host_function());
    let end = state.enqueue(second, None, host_function());
    state.demand(&[end]);
    assert_eq!(run(&mut state), [second]);
    assert!(!state.is_passed(held));
}

#[test]
fn a_fault_ends_what_its_scope_holds() {
    let (mut state, context, [faulty, held]) = state(Schedule::Lazy);
    let fault = state.enqueue(faulty, None, Work::Fault(super::super::codes::LAUNCH_FAILED));
    let end = state.enqueue(held, None, copy());
    assert!(state.check().is_ok(), "it is held too");
    state.demand(&[fault]);
    assert!(state.check().is_err());
    assert!(state.is_passed(end) && state.take_job().is_none());
    assert!(state.ends_of(context).is_empty());
}

/// An enqueue looks at these streams only, however many there are.
#[test]
fn streams_are_listed_while_they_may_wait_for_a_word() {
    let (mut state, _, [copies, waits, faulty, _idle]) = state(Schedule::Lazy);
    let listed = |state: &State| state.awaiting.iter().copied().collect::<Vec<_>>();
    let take = |state: &mut State| state.take_job().map(|(stream, ..)| stream);
    state.enqueue(copies, None, copy());
    state.enqueue(copies, None, value_wait());
    let wait = state.enqueue(waits, None, value_wait());
    assert_eq!(listed(&state), [], "held");
    state.demand(&[wait]);
    assert_eq!(listed(&state), [waits], "about to wait; the other one is about to copy");
    assert_eq!([take(&mut state), take(&mut state)], [Some(copies), Some(waits)]);
    assert_eq!(listed(&state), [waits], "at work");
    state.job_done(copies, false, Ok(()));
    assert_eq!(listed(&state), [copies, waits], "what may write the word was let go too");
    state.job_done(waits, false, Ok(()));
    assert_eq!(listed(&state), [copies]);

    let fed = state.enqueue(waits, None, value_wait());
    assert!(!state.is_let_go(fed));
    state.feed(fed);
    assert_eq!(listed(&state), [copies, waits]);
    let fault = state.enqueue(faulty, None, Work::Fault(super::super::codes::LAUNCH_FAILED));
    state.feed(fault);
    assert_eq!(listed(&state), [], "no thread had begun");
}

/// Host functions on three streams, of which the last waits for the first; the order in which they start.
/// Threads may take part at every step.
fn order(seed: u64, runs_meanwhile: impl Fn(usize) -> bool) -> Vec<Serial> {
    let (mut state, context, [first, second, third]) = state(Schedule::Seeded(seed));
    let mut order = Vec::new();
    let mut points = Vec::new();
    for (step, stream) in [first, second, third, first, second, third].into_iter().enumerate() {
        let after = points.first().copied().filter(|_| stream == third);
        state.draw();
        points.push(state.enqueue(stream, after, host_function()));
        if runs_meanwhile(step) {
            order.extend(run(&mut state));
        }
    }
    let ends = state.ends_of(context);
    state.demand(&ends);
    order.extend(run(&mut state));
    assert!(ends.iter().all(|end| state.is_passed(*end)));
    order
}

#[test]
fn a_seed_decides_the_order_whatever_threads_do() {
    for seed in 0..if cfg!(miri) { 2 } else { 50 } {
        let expected = order(seed, |_| false);
        for running in 0..1 << 6 {
            assert_eq!(order(seed, |step| running >> step & 1 == 1), expected, "seed {seed}, threads at {running:b}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "thousands of runs")]
fn seeds_reach_every_order_that_is_allowed() {
    let mut orders: Vec<_> = (0..2000).map(|seed| order(seed, |_| false)).collect();
    orders.sort();
    orders.dedup();
    let [first, _, third] = [2, 3, 4];
    for order in &orders {
        let position = |stream| order.iter().position(|started| *started == stream);
        assert!(position(first) < position(third), "the third waits for the first: {order:?}");
    }
    // Of the 6!/(2! 2! 2!) = 90 orders those in which the first of six begins before the third: half.
    assert_eq!(orders.len(), 45);
}

#[test]
fn a_wait_lets_other_work_of_the_scope_go_before_or_not() {
    let other_went = |seed| {
        let (mut state, _, [asked, other]) = state(Schedule::Seeded(seed));
        let beside = state.enqueue(other, None, copy());
        let end = state.enqueue(asked, None, copy());
        state.demand(&[end]);
        assert!(state.is_passed(end), "a copy is done on the spot");
        state.is_passed(beside)
    };
    let went = (0..20).filter(|seed| other_went(*seed)).count();
    assert!(went > 0 && went < 20, "{went} of 20");
}
