//! Order: which work may go next. Everything here happens under the lock; threads are `worker.rs`.
//!
//! A stream is a queue. Its first task goes when the points that it comes after are passed: the
//! record it waits for, and what the barriers of the legacy stream put before it. What needs no
//! time (records, waits, frees) is done on the spot by whoever finds that it may go, so that a
//! record on an idle stream needs no thread. The rest is handed to a thread.

use std::time::Instant;

use super::codes::{Code, Outcome};
use super::job::Job;
use super::objects::{Activity, Point, Role, Serial, Task, Work};
use super::state::State;

impl State {
    /// Appends work to a stream, after `point` if there is one, and does what can be done at once.
    pub(super) fn enqueue(&mut self, stream: Serial, point: Option<Point>, work: Work) -> Point {
        let mut after = self.barrier(stream);
        after.extend(point.filter(|point| !self.is_passed(*point)));
        let context = self.streams.get(&stream).map(|this| this.context);
        let works = context.is_some_and(|context| self.check(context).is_ok());
        let Some(this) = self.streams.get_mut(&stream).filter(|_| works) else {
            // Gone, or faulted, since the caller asked for it: nothing is done, nobody waits.
            return Point { stream, position: 0 };
        };
        this.enqueued += 1;
        this.queue.push_back(Task { after, work });
        let end = Point { stream, position: this.enqueued };
        self.advance(stream);
        end
    }

    /// What comes before new work of a stream by the rules of the legacy stream: for the legacy
    /// stream all work of the blocking streams of its context, for those all work of the legacy
    /// stream.
    fn barrier(&self, stream: Serial) -> Vec<Point> {
        let Some(this) = self.streams.get(&stream).filter(|this| this.is_blocking()) else {
            return Vec::new();
        };
        if this.role == Role::Legacy {
            return self.blocking_ends(stream);
        }
        let legacy = self.contexts.get(&this.context).map(|context| self.end_of(context.legacy));
        legacy.filter(|end| !self.is_passed(*end)).into_iter().collect()
    }

    /// Lets a stream go on, and every stream that waited for what it does.
    fn advance(&mut self, stream: Serial) {
        let mut next = Some(stream);
        let mut woken = Vec::new();
        while let Some(stream) = next {
            while self.step(stream, &mut woken) {}
            next = woken.pop();
        }
    }

    /// Does the first task of a stream, or sees to it that it will be done. True if it was done.
    fn step(&mut self, stream: Serial, woken: &mut Vec<Serial>) -> bool {
        let Some(this) = self.streams.get(&stream) else { return false };
        if this.activity != Activity::Free {
            return false;
        }
        let Some(task) = this.queue.front() else {
            if this.destroyed {
                self.streams.remove(&stream);
            }
            return false;
        };
        if let Some(point) = task.after.iter().find(|point| !self.is_passed(**point)).copied() {
            self.set_activity(stream, Activity::Blocked);
            if let Some(other) = self.streams.get_mut(&point.stream) {
                other.waiters.push((point.position, stream));
            }
            return false;
        }
        if let Work::Run(job) = &task.work {
            if matches!(job, Job::HostFunction(..)) && !self.take_host_function_turn(stream) {
                self.set_activity(stream, Activity::Blocked);
                return false;
            }
            self.set_activity(stream, Activity::Ready);
            self.ready.push_back(stream);
            return false;
        }
        let work = self.streams.get_mut(&stream).and_then(|this| this.queue.pop_front());
        match work.map(|task| task.work) {
            Some(Work::Record { event, record }) => self.stamp(event, record),
            Some(Work::Free(address)) => self.memory.remove(address),
            Some(Work::Fault(code)) => self.fault(stream, code, woken),
            Some(Work::Wait | Work::Run(_)) | None => {}
        }
        self.pass(stream, woken);
        true
    }

    fn set_activity(&mut self, stream: Serial, activity: Activity) {
        if let Some(this) = self.streams.get_mut(&stream) {
            this.activity = activity;
        }
    }

    /// Gives a record its time, unless the event was recorded anew or is gone.
    fn stamp(&mut self, event: Serial, record: Serial) {
        let Some(event) = self.events.get_mut(&event) else { return };
        if let Some(last) = event.record.as_mut().filter(|last| last.serial == record && event.timed) {
            last.time = Some(Instant::now());
        }
    }

    /// Counts a task of a stream as done and collects the streams that waited for it.
    fn pass(&mut self, stream: Serial, woken: &mut Vec<Serial>) {
        let Some(this) = self.streams.get_mut(&stream) else { return };
        // A fault has passed everything already.
        this.done = this.enqueued.min(this.done + 1);
        let done = this.done;
        let passed = this.waiters.extract_if(.., |(position, _)| *position <= done);
        let waiters: Vec<Serial> = passed.map(|(_, waiter)| waiter).collect();
        for waiter in &waiters {
            self.unblock(*waiter);
        }
        woken.extend(waiters);
    }

    fn unblock(&mut self, stream: Serial) {
        if let Some(this) = self.streams.get_mut(&stream).filter(|this| this.activity == Activity::Blocked) {
            this.activity = Activity::Free;
        }
    }

    /// Whether a host function of this stream may run: one does at a time in a context.
    fn take_host_function_turn(&mut self, stream: Serial) -> bool {
        let context = self.streams.get(&stream).map(|this| this.context);
        let Some(context) = context.and_then(|context| self.contexts.get_mut(&context)) else { return true };
        if context.in_host_function {
            context.host_function_turns.push_back(stream);
            return false;
        }
        context.in_host_function = true;
        true
    }

    /// The next job for a thread, and the stream it belongs to.
    pub(super) fn take_job(&mut self) -> Option<(Serial, Job)> {
        while let Some(stream) = self.ready.pop_front() {
            let Some(this) = self.streams.get_mut(&stream) else { continue };
            if let Some(Task { work: Work::Run(job), .. }) = this.queue.pop_front() {
                this.activity = Activity::Running;
                return Some((stream, job));
            }
        }
        None
    }

    /// Takes note of a job that has ended, and lets go on whatever waited for it.
    pub(super) fn job_done(&mut self, stream: Serial, was_host_function: bool, outcome: Outcome) {
        let mut woken = Vec::new();
        let Some(this) = self.streams.get_mut(&stream) else { return };
        this.activity = Activity::Free;
        let context = this.context;
        let faulted = self.contexts.get(&context).is_some_and(|context| context.fault.is_some());
        if let Err(code) = outcome {
            self.fault(stream, code, &mut woken);
        } else if faulted {
            self.drain(stream, &mut woken);
        } else {
            self.pass(stream, &mut woken);
        }
        if was_host_function && let Some(context) = self.contexts.get_mut(&context) {
            context.in_host_function = false;
            // Whose turn it is goes first, or it would wait behind this stream for ever.
            if let Some(turn) = context.host_function_turns.pop_front() {
                self.unblock(turn);
                self.advance(turn);
            }
        }
        for stream in woken {
            self.advance(stream);
        }
        self.advance(stream);
    }

    /// The device has faulted in a task of `stream`: its context answers `code` from now on, and
    /// nothing of it runs any more.
    fn fault(&mut self, stream: Serial, code: Code, woken: &mut Vec<Serial>) {
        let Some(id) = self.streams.get(&stream).map(|this| this.context) else { return };
        let Some(context) = self.contexts.get_mut(&id) else { return };
        context.fault.get_or_insert(code);
        context.host_function_turns.clear();
        self.primaries[context.device].fault.get_or_insert(code);
        let streams: Vec<Serial> = self.streams.iter().filter(|(_, other)| other.context == id).map(|(serial, _)| *serial).collect();
        self.ready.retain(|ready| !streams.contains(ready));
        for stream in streams {
            self.drain(stream, woken);
        }
    }

    /// Drops the work of a stream whose context has faulted. A task that runs is left to end.
    fn drain(&mut self, stream: Serial, woken: &mut Vec<Serial>) {
        let Some(this) = self.streams.get_mut(&stream) else { return };
        if this.activity == Activity::Running {
            return;
        }
        this.queue.clear();
        this.activity = Activity::Free;
        this.done = this.enqueued;
        self.pass(stream, woken);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;

    use super::super::codes;
    use super::super::job::{Pattern, UserData};
    use super::super::memory::{Buffer, Span};
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
        let target = Span::whole(Buffer::new(1, 1).unwrap());
        Work::Run(Job::Fill { target, pattern: Pattern::Byte(0) })
    }

    fn host_function() -> Work {
        unsafe extern "C" fn nothing(_: *mut c_void) {}
        Work::Run(Job::HostFunction(nothing, UserData(std::ptr::null_mut())))
    }

    /// The stream whose job would run next, which then counts as running.
    fn take(state: &mut State) -> Option<Serial> {
        state.take_job().map(|(stream, _)| stream)
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
    fn a_fault_ends_the_work_of_its_context_and_holds_nobody_else() {
        let (mut state, context) = state();
        let other = state.add_context(primary_handle(1), 1, 0);
        let [faulty, behind] = [(); 2].map(|()| state.add_stream(context, NON_BLOCKING, 0));
        let elsewhere = state.add_stream(other, NON_BLOCKING, 0);
        let point = state.enqueue(faulty, None, job());
        state.enqueue(faulty, None, job());
        let end = state.enqueue(behind, Some(point), job());
        let wait = state.enqueue(elsewhere, Some(end), Work::Wait);
        take(&mut state);
        state.job_done(faulty, false, Err(codes::LAUNCH_FAILED));
        assert!(state.is_passed(wait));
        assert_eq!(take(&mut state), None);
        assert_eq!(state.check(context), Err(codes::LAUNCH_FAILED));
        assert_eq!(state.check(other), Ok(()));
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
}
