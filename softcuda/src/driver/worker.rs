//! Threads: one for each stream that has a job at the moment, none when the driver is idle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, PoisonError};
use std::thread;

use super::codes::{self, Outcome};
use super::job::Job;
use super::objects::{Point, Serial, Work};
use super::report;
use super::state::{Locked, State, lock};

/// Told whenever work is done while somebody waits.
static PROGRESS: Condvar = Condvar::new();

impl State {
    /// Appends work to a stream, after `point` if there is one, with a thread for what needs one.
    pub(super) fn submit(&mut self, stream: Serial, point: Option<Point>, work: Work) -> Point {
        let end = self.enqueue(stream, point, work);
        self.start_workers(0);
        end
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
        let outcome = catch_unwind(AssertUnwindSafe(|| job.run())).unwrap_or(Err(codes::UNKNOWN));
        state = lock();
        state.job_done(stream, is_host_function, outcome);
        state.start_workers(1);
        tell(&state);
    }
    state.workers -= 1;
    tell(&state);
}

fn tell(state: &State) {
    if state.waiting > 0 {
        PROGRESS.notify_all();
    }
}

/// Waits until all points are passed. The state is unlocked meanwhile.
pub(super) fn wait_for(mut state: Locked, points: &[Point]) -> Locked {
    while !points.iter().all(|point| state.is_passed(*point)) {
        state.start_workers(0);
        state.waiting += 1;
        state = PROGRESS.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
    }
    state
}

/// Waits for points of a context, and answers the code of a fault.
pub(super) fn finish(state: Locked, context: Serial, points: &[Point]) -> Outcome {
    wait_for(state, points).check(context)
}
