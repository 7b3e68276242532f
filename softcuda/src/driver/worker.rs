//! Threads: one for each stream that has a job at the moment, none when the driver is idle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, PoisonError};
use std::thread;
use std::time::Duration;

use super::codes::{self, Outcome};
use super::job::Job;
use super::objects::{Point, Serial, Work};
use super::report;
use super::state::{Locked, State, lock};

/// Told whenever work is done while somebody waits.
static PROGRESS: Condvar = Condvar::new();
/// When to ask again for a thread that the system refused.
const RETRY: Duration = Duration::from_millis(10);

impl State {
    /// Appends work to a stream, after `point` if there is one, with a thread for what needs one.
    pub(super) fn submit(&mut self, stream: Serial, point: Option<Point>, work: Work) -> Point {
        let faults = matches!(work, Work::Fault(_));
        let end = self.enqueue(stream, point, work);
        self.start_workers(0);
        if faults {
            self.tell();
        }
        end
    }

    /// Tells whoever waits that there is progress.
    fn tell(&self) {
        if self.waiting > 0 {
            PROGRESS.notify_all();
        }
    }

    /// Sees to it that every job that may run gets a thread. `free` threads are about to look for
    /// one anyway.
    fn start_workers(&mut self, free: usize) {
        while self.ready.len() > self.starting + free {
            // Detached: a thread ends by itself once there is nothing to do.
            let started = thread::Builder::new().name("softcuda".to_owned()).spawn(work);
            if let Err(error) = started {
                // Whoever waits tries again.
                report::add(format_args!("no thread for the work of a stream: {error}"));
                return;
            }
            self.starting += 1;
            self.workers += 1;
        }
    }
}

/// Runs jobs until there are none.
fn work() {
    let mut state = lock();
    state.starting -= 1;
    while let Some((stream, job)) = state.take_job() {
        let is_host_function = matches!(job, Job::HostFunction(..));
        drop(state);
        let outcome = catch_unwind(AssertUnwindSafe(|| job.run())).unwrap_or_else(|_| {
            report::add("the work of a stream panicked, which is a bug of the software driver");
            Err(codes::UNKNOWN)
        });
        state = lock();
        state.job_done(stream, is_host_function, outcome);
        state.start_workers(1);
        state.tell();
    }
    state.workers -= 1;
    state.tell();
}

/// How many threads there are. Those that found their job taken by another are waited for, so that
/// an idle driver has none.
pub(super) fn count() -> usize {
    let mut state = lock();
    while state.ready.is_empty() && state.starting > 0 {
        state = wait(state, Duration::MAX);
    }
    state.workers
}

/// Waits for progress, at most as long as `patience`.
fn wait(mut state: Locked, patience: Duration) -> Locked {
    state.waiting += 1;
    let (mut state, _) = PROGRESS.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
    state.waiting -= 1;
    state
}

/// Waits until all points are passed. The state is unlocked meanwhile.
pub(super) fn wait_for(mut state: Locked, points: &[Point]) -> Locked {
    while !points.iter().all(|point| state.is_passed(*point)) {
        state.start_workers(0);
        // Without any thread nobody would tell: the next try to start one comes after a while.
        let patience = if state.workers == 0 { RETRY } else { Duration::MAX };
        state = wait(state, patience);
    }
    state
}

/// Waits for points of a context, and answers the code of a fault.
pub(super) fn finish(state: Locked, context: Serial, points: &[Point]) -> Outcome {
    wait_for(state, points).check(context)
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::job::UserData;
    use super::super::objects::Role;
    use super::super::state::{lock, primary_handle};
    use super::*;

    #[test]
    fn jobs_run_on_threads_that_end_with_them() {
        unsafe extern "C" fn wait_for_one(word: *mut c_void) {
            // SAFETY: the test's word, which lives until the stream is idle.
            let word = unsafe { &*word.cast::<AtomicU32>() };
            while word.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
        }
        let word = AtomicU32::new(0);
        let mut state = lock();
        let context = state.add_context(primary_handle(0), 0, 0);
        let stream = state.add_stream(context, Role::Created { non_blocking: true }, 0);
        let function = Job::HostFunction(wait_for_one, UserData(word.as_ptr().cast()));
        let end = state.submit(stream, None, Work::Run(function));
        assert_eq!(state.workers, 1);
        assert!(!state.is_passed(end));
        drop(state);
        word.store(1, Ordering::Release);
        let mut state = wait_for(lock(), &[end]);
        assert_eq!(state.workers, 0);
        state.remove_context(context);
    }
}
