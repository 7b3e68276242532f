//! Threads: one for each stream that has a job at the moment, none when the driver is idle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::codes::{self, Outcome};
use super::graphs::Destructor;
use super::job::Job;
use super::objects::{Point, Serial, Waiter, Work};
use super::order::Reached;
use super::raw::Topic;
use super::scope::{self, PROCESS, ScopeId};
use super::state::{Locked, State, lock};
use super::sync::{self, Condvar, global};
use super::{discard, report, thread};

global! {
    /// Told whenever a thread begins.
    static BEGUN: Condvar = Condvar::new();
}
/// When to ask again for a thread that the system refused.
const RETRY: Duration = Duration::from_millis(10);

impl State {
    /// Appends work to a stream, after `point` if there is one, with a thread for what needs one.
    pub(super) fn submit(&mut self, stream: Serial, point: Option<Point>, work: Work) -> Point {
        self.draw();
        self.order.arrive(stream, scope::current());
        let end = self.enqueue(stream, point, work);
        self.feed(end);
        self.prune_order();
        self.start_workers(0);
        end
    }

    /// Sees to it that every job that may run gets a thread. `free` threads are about to look for
    /// one anyway.
    pub(super) fn start_workers(&mut self, free: usize) {
        while self.ready.len() + self.graphs.destructors.len() > self.starting + free {
            // Detached: a thread ends by itself once there is nothing to do.
            if let Err(error) = sync::thread::Builder::new().name("softcuda".to_owned()).spawn(work) {
                if !self.threads_refused {
                    self.threads_refused = true;
                    report::add(Topic::Bug, format_args!("no thread for the work of a stream, for now: {error}"));
                    // Whoever waits has to try again, and wakes up by himself from now on.
                    self.wake_callers();
                }
                return;
            }
            self.threads_refused = false;
            self.starting += 1;
            self.workers += 1;
        }
    }
}

/// Runs jobs until there are none.
fn work() {
    thread::becomes_worker();
    let mut state = lock();
    state.starting -= 1;
    BEGUN.notify_all();
    loop {
        state = if let Some((stream, job, scope)) = state.take_job() {
            run(state, stream, job, scope)
        } else if let Some(destructor) = state.graphs.take_destructor() {
            state.graphs.destroying.push(destructor.scope);
            let mut state = run_destructor(state, &destructor);
            state.graphs.destroyed(destructor.scope);
            state
        } else {
            break;
        };
    }
    state.workers -= 1;
    drop(state);
    discard::empty();
}

/// Runs a job of a stream.
fn run(state: Locked, stream: Serial, job: Job, scope: ScopeId) -> Locked {
    let (is_host_function, before) = (job.is_host_function(), state.check_scope(scope));
    drop(state);
    report::print();
    discard::empty();
    scope::enter(scope);
    let outcome = catch_unwind(AssertUnwindSafe(|| job.run(before))).unwrap_or_else(|_| {
        report::add(Topic::Bug, "the work of a stream panicked, which is a bug of the software driver");
        Err(codes::UNKNOWN)
    });
    scope::enter(PROCESS);
    report::print();
    let mut state = lock();
    state.job_done(stream, is_host_function, outcome);
    state.start_workers(1);
    state
}

/// Destroys the user objects that a call has made superfluous, and no others: on the caller's thread, as a real driver
/// was seen to.
pub(super) fn destroy(mut state: Locked, unused: impl IntoIterator<Item = Destructor>) {
    for destructor in unused {
        state = run_destructor(state, &destructor);
    }
}

/// Runs the destructor of a user object.
fn run_destructor(mut state: Locked, destructor: &Destructor) -> Locked {
    state.order.learn_unknown(destructor.scope, &destructor.passed);
    drop(state);
    discard::empty();
    let before = scope::enter(destructor.scope);
    // One may give up what has another.
    let was_in_another = thread::set_in_destructor(true);
    // SAFETY: the caller of cuUserObjectCreate promised that this call may be made, once, on any thread.
    unsafe { (destructor.destroy)(destructor.user.0) };
    thread::set_in_destructor(was_in_another);
    scope::enter(before);
    report::print();
    lock()
}

/// How many threads there are for the work of a scope, on a device if one is given. The process has
/// all that are no other scope's. Threads that found their job taken by another are waited for, so
/// that an idle driver has none.
pub(super) fn count(scope: ScopeId, device: Option<usize>) -> usize {
    let mut state = lock();
    while state.ready.is_empty() && state.graphs.destructors.is_empty() && state.starting > 0 {
        state = BEGUN.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    let at_work = |is_counted: &dyn Fn(ScopeId) -> bool| {
        let streams = state.streams.values().filter(|stream| stream.scope_at_work().is_some_and(is_counted));
        let at_work = streams.filter(|stream| device.is_none_or(|device| state.device_of(stream.context) == Some(device))).count();
        let destroying = state.graphs.destroying.iter().filter(|scope| device.is_none() && is_counted(**scope)).count();
        at_work + destroying
    };
    if scope == PROCESS && device.is_none() {
        state.workers.saturating_sub(at_work(&|other| scope::heir(other) != PROCESS))
    } else {
        at_work(&|other| scope::heir(other) == scope)
    }
}

/// Whether the caller may wait for what is not done yet. A host function or a kernel may not: the
/// work it would wait for is its own, or may come after it.
pub(super) fn may_wait() -> Outcome {
    thread::may("wait for work: it would wait for ever")
}

/// Whether the caller may wait for these points.
pub(super) fn check_wait(state: &State, points: &[Point]) -> Outcome {
    if points.iter().all(|point| state.is_passed(*point)) { Ok(()) } else { may_wait() }
}

/// Waits until all points are passed. The state is unlocked meanwhile.
pub(super) fn wait_for(state: Locked, points: &[Point]) -> Outcome<Locked> {
    wait(state, points, |_| false)
}

/// Waits for points, at most until a fault, and answers its code.
pub(super) fn wait_unless_faulted(state: Locked, points: &[Point]) -> Outcome<Locked> {
    let state = wait(state, points, |state| state.check().is_err())?;
    state.check()?;
    Ok(state)
}

/// The same for a wait that is documented: the host knows from then on what the points reached.
pub(super) fn finish(state: Locked, points: &[Point], reached: &Reached) -> Outcome {
    wait_unless_faulted(state, points)?.learns(reached);
    Ok(())
}

fn wait(mut state: Locked, points: &[Point], is_over: impl Fn(&State) -> bool) -> Outcome<Locked> {
    check_wait(&state, points)?;
    state.demand(points);
    // What was let go may be done already, and a destructor of a user object come after it.
    state.start_workers(0);
    let told = Arc::new(Condvar::new());
    for point in points {
        while !state.is_passed(*point) && !is_over(&state) {
            state.start_workers(0);
            if report::is_unprinted() {
                drop(state);
                report::print();
                state = lock();
            } else {
                state = wait_once(state, *point, &told);
            }
        }
    }
    Ok(state)
}

/// Waits until a point is passed, or something else happened that matters to who waits for it.
fn wait_once(mut state: Locked, point: Point, told: &Arc<Condvar>) -> Locked {
    if let Some(stream) = state.streams.get_mut(&point.stream) {
        stream.waiters.push((point.position, Waiter::Caller(Arc::clone(told))));
    }
    // A job that got no thread has to ask for one again, which is up to who waits.
    let patience = if state.ready.len() + state.graphs.destructors.len() > state.starting { RETRY } else { Duration::MAX };
    let (mut state, _) = told.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
    if let Some(stream) = state.streams.get_mut(&point.stream) {
        stream.waiters.retain(|(_, waiter)| !matches!(waiter, Waiter::Caller(other) if Arc::ptr_eq(other, told)));
    }
    state
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::job::UserData;
    use super::super::objects::{Activity, Role};
    use super::super::state::{lock, primary_handle};
    use super::super::sync::thread;
    use super::*;

    /// Spins until the word is not zero.
    unsafe extern "C" fn wait_for_one(word: *mut c_void) {
        // SAFETY: the test's word, which lives until the stream is idle.
        let word = unsafe { &*word.cast::<AtomicU32>() };
        while word.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
    }

    fn until_set(word: &AtomicU32) -> Work {
        Work::Run(Job::HostFunction(wait_for_one, UserData(word.as_ptr().cast())))
    }

    /// A context with two streams.
    fn streams(state: &mut State) -> (Serial, [Serial; 2]) {
        let context = state.add_context(primary_handle(0), 0, 0);
        (context, [(); 2].map(|()| state.add_stream(context, Role::Created { non_blocking: true }, 0)))
    }

    #[test]
    fn jobs_run_on_threads() {
        let word = AtomicU32::new(0);
        let mut state = lock();
        let (context, [stream, _]) = streams(&mut state);
        let workers = state.workers;
        let end = state.submit(stream, None, until_set(&word));
        assert_eq!(state.workers, workers + 1);
        assert!(!state.is_passed(end));
        drop(state);
        word.store(1, Ordering::Release);
        wait_for(lock(), &[end]).unwrap().remove_context(context);
    }

    #[test]
    fn a_wait_ends_with_a_fault() {
        let word = AtomicU32::new(0);
        // No other test has this fault.
        let own = scope::begin();
        let mut state = lock();
        let (context, [held, faulty]) = streams(&mut state);
        let end = state.submit(held, None, until_set(&word));
        thread::scope(|scope| {
            // The lock is held until the wait gives it up, so that the fault comes after its begin.
            scope.spawn(|| {
                scope::enter(own);
                let mut state = lock();
                while state.streams[&held].activity != Activity::Running {
                    drop(state);
                    thread::yield_now();
                    state = lock();
                }
                state.submit(faulty, None, Work::Fault(codes::LAUNCH_FAILED));
            });
            assert_eq!(finish(state, &[end], &None.into()), Err(codes::LAUNCH_FAILED));
        });
        assert!(!lock().is_passed(end), "the wait was over before the work");
        word.store(1, Ordering::Release);
        let mut state = wait_for(lock(), &[end]).unwrap();
        state.remove_context(context);
        scope::leave(own, PROCESS);
        state.end_scope(own);
    }

    #[test]
    fn a_worker_does_not_wait() {
        unsafe extern "C" fn try_to_wait(answer: *mut c_void) {
            // SAFETY: the test's word, which lives until the stream is idle.
            let answer = unsafe { &*answer.cast::<AtomicU32>() };
            let state = lock();
            // The stream's own end, which is not passed while this runs.
            let busy = state.streams.iter().find(|(_, stream)| stream.activity == Activity::Running && stream.priority == MARK);
            let end = state.end_of(*busy.unwrap().0);
            answer.store(wait_for(state, &[end]).map_or_else(|code| code, |_| codes::SUCCESS), Ordering::Release);
        }
        /// Tells the test's stream from those of others.
        const MARK: i32 = -3;
        let answer = AtomicU32::new(u32::MAX);
        let mut state = lock();
        let (context, _) = streams(&mut state);
        let stream = state.add_stream(context, Role::Created { non_blocking: true }, MARK);
        let end = state.submit(stream, None, Work::Run(Job::HostFunction(try_to_wait, UserData(answer.as_ptr().cast()))));
        let mut state = wait_for(state, &[end]).unwrap();
        assert_eq!(answer.load(Ordering::Acquire), codes::NOT_PERMITTED);
        state.remove_context(context);
    }
}
