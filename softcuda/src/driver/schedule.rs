//! Order: which work may go next. Everything here happens under the lock; threads are `worker.rs`.
//!
//! A stream is a queue. Its first task goes when no schedule holds it and the points that it comes
//! after are passed: the record it waits for, and what the barriers of the legacy stream put before it.
//! What needs no time (records, waits, frees) is done on the spot by whoever finds that it may go, so
//! that a record on an idle stream needs no thread. The rest is handed to a thread.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::codes::{Code, Outcome};
use super::job::Job;
use super::objects::{Activity, Point, Role, Serial, Task, Waiter, Work};
use super::scope::{self, ScopeId};
use super::state::State;

impl State {
    /// Appends work to a stream, after `point` if there is one, and does what can be done at once.
    pub(super) fn enqueue(&mut self, stream: Serial, point: Option<Point>, work: Work) -> Point {
        let mut after = self.barrier(stream);
        after.extend(point.filter(|point| !self.is_passed(*point)));
        let context = self.streams.get(&stream).map(|this| this.context);
        let works = self.check().is_ok();
        let is_done = works || work.outlives_faults();
        // What a fault has left is not held: nobody can wait for it any more.
        let task = Task::new(after, work, works && self.paces.hold(scope::current()));
        let Some(this) = self.streams.get_mut(&stream).filter(|_| is_done) else {
            // Gone, or faulted, since the caller asked for it: nothing is done, nobody waits.
            return Point { stream, position: 0 };
        };
        let end = Point { stream, position: this.append(task) };
        self.advance(stream);
        // Not earlier: most records are done by now.
        if !self.is_passed(end)
            && let Some(context) = context.and_then(|context| self.contexts.get_mut(&context))
        {
            context.busy.insert(stream);
        }
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
    pub(super) fn advance(&mut self, stream: Serial) {
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
        if this.is_held() {
            return false;
        }
        if self.faults.contains_key(&task.scope) && !task.work.outlives_faults() {
            // Dropped.
            self.streams.get_mut(&stream).and_then(|this| this.queue.pop_front());
            self.pass(stream, woken);
            return true;
        }
        if let Some(point) = task.after.iter().find(|point| !self.is_passed(**point)).copied() {
            self.set_activity(stream, Activity::Blocked);
            if let Some(other) = self.streams.get_mut(&point.stream) {
                other.waiters.push((point.position, Waiter::Stream(stream)));
            }
            return false;
        }
        // Where chance decides, short work is done on the spot: threads would decide in its place.
        let on_a_thread = |job: &&Job| !(job.is_short() && self.paces.is_seeded(task.scope));
        if let Some(job) = task.work.job().filter(on_a_thread) {
            let waits_for_words = job.waits_for_words();
            if job.is_host_function() && !self.take_host_function_turn(stream) {
                self.set_activity(stream, Activity::Blocked);
                return false;
            }
            if waits_for_words {
                self.awaiting.insert(stream);
            }
            self.set_activity(stream, Activity::Ready);
            self.ready.push_back(stream);
            return false;
        }
        let Some(Task { work, scope, .. }) = self.streams.get_mut(&stream).and_then(|this| this.queue.pop_front()) else { return false };
        match work {
            Work::Record { event, record, shared } => {
                self.stamp(event, record);
                if shared.is_some() {
                    let position = self.streams.get(&stream).map_or(0, |this| this.done + 1);
                    self.order.told(Point { stream, position });
                }
            }
            Work::Free(address) => self.memory.remove(address),
            Work::Write(write) => write.run(),
            Work::Fault(code) => self.fault(scope, code, woken),
            Work::Run(job) => {
                if let Err(code) = job.run(Ok(())) {
                    self.fault(scope, code, woken);
                }
            }
            Work::Wait => {}
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
        // What was drained is passed already.
        this.done = this.enqueued.min(this.done + 1);
        let done = this.done;
        self.order.told(Point { stream, position: done });
        if this.is_idle()
            && let Some(context) = self.contexts.get_mut(&this.context)
        {
            context.busy.remove(&stream);
        }
        let passed: Vec<_> = this.waiters.extract_if(.., |(position, _)| *position <= done).collect();
        for (_, waiter) in passed {
            match waiter {
                Waiter::Stream(waiter) => {
                    self.unblock(waiter);
                    woken.push(waiter);
                }
                Waiter::Caller(told) => told.notify_one(),
            }
        }
        if !self.graphs.in_flight.is_empty() {
            self.ends_launches();
        }
    }

    fn unblock(&mut self, stream: Serial) {
        if let Some(this) = self.streams.get_mut(&stream).filter(|this| this.activity == Activity::Blocked) {
            this.activity = Activity::Free;
        }
    }

    /// Whether a host function of this stream may run: one does at a time in a context and its green ones.
    fn take_host_function_turn(&mut self, stream: Serial) -> bool {
        let Some(this) = self.streams.get(&stream) else { return true };
        let owner = self.owner(this.context);
        let Some(context) = self.contexts.get_mut(&owner) else { return true };
        if context.in_host_function {
            // What was held has the turn that it was let go with, or it would be up to threads.
            let turn = this.queue.front().and_then(|task| task.turn).unwrap_or_else(|| {
                self.last_turn += 1;
                self.last_turn
            });
            // What it waited for before a fault may wake it up while it has one.
            if !context.host_function_turns.values().any(|waiting| *waiting == stream) {
                context.host_function_turns.insert(turn, stream);
            }
            return false;
        }
        context.in_host_function = true;
        true
    }

    /// The next job for a thread, the stream it belongs to, and who enqueued it.
    pub(super) fn take_job(&mut self) -> Option<(Serial, Job, ScopeId)> {
        while let Some(stream) = self.ready.pop_front() {
            let Some(this) = self.streams.get_mut(&stream) else { continue };
            if let Some(Task { work: Work::Run(job), scope, .. }) = this.queue.pop_front() {
                this.activity = Activity::Running;
                this.at_work = scope;
                this.wait = job.wait();
                let point = Point { stream, position: this.done + 1 };
                if job.is_host_function() {
                    self.order.told(point);
                }
                return Some((stream, job, scope));
            }
        }
        None
    }

    /// Takes note of a job that has ended, and lets go on whatever waited for it.
    pub(super) fn job_done(&mut self, stream: Serial, was_host_function: bool, outcome: Outcome) {
        let mut woken = Vec::new();
        self.awaiting.remove(&stream);
        let Some(this) = self.streams.get_mut(&stream) else { return };
        this.activity = Activity::Free;
        let gave_up = this.wait.take().is_some_and(|wait| wait.over().load(Ordering::Relaxed)) && outcome.is_err();
        let (context, scope) = (this.context, this.at_work);
        match outcome {
            // Its context ends, unless its scope has faulted.
            Err(_) if gave_up && !self.faults.contains_key(&scope) => this.clear(),
            Err(code) if !gave_up => self.fault(scope, code, &mut woken),
            _ => {}
        }
        self.pass(stream, &mut woken);
        for stream in woken {
            self.advance(stream);
        }
        self.advance(stream);
        if was_host_function {
            self.end_host_function(context);
        }
    }

    /// Lets the next host function of a context run. All that this one has let go has asked for its turn by now.
    fn end_host_function(&mut self, context: Serial) {
        if let Some(turn) = self.free_host_function(context) {
            self.advance(turn);
        }
    }

    /// No host function of a context runs any more. The stream whose turn it is.
    fn free_host_function(&mut self, context: Serial) -> Option<Serial> {
        let owner = self.owner(context);
        let context = self.contexts.get_mut(&owner)?;
        context.in_host_function = false;
        let (_, turn) = context.host_function_turns.pop_first()?;
        self.unblock(turn);
        Some(turn)
    }

    /// The device has faulted in work of a scope: its calls answer `code` from now on, and none of its
    /// work runs any more, but for callbacks. What runs is left to end, but nobody has to wait for it.
    fn fault(&mut self, scope: ScopeId, code: Code, woken: &mut Vec<Serial>) {
        if self.faults.contains_key(&scope) {
            return;
        }
        self.faults.insert(scope, code);
        self.order.fault(scope);
        let streams: Vec<Serial> = self.streams.keys().copied().collect();
        for stream in streams {
            self.give_up(stream, scope, woken);
        }
        // Only now, so that none of these has the turn of one that is lost.
        let contexts: Vec<Serial> =
            self.contexts.iter().filter(|(_, this)| this.green_of.is_none() && !this.in_host_function).map(|(id, _)| *id).collect();
        woken.extend(contexts.into_iter().filter_map(|context| self.free_host_function(context)));
        self.wake_callers();
    }

    /// Lets a stream go on to what is not of a scope that has faulted.
    fn give_up(&mut self, stream: Serial, scope: ScopeId, woken: &mut Vec<Serial>) {
        let Some(owner) = self.streams.get(&stream).map(|stream| self.owner(stream.context)) else { return };
        let Some(this) = self.streams.get_mut(&stream) else { return };
        this.let_go_of_scope(scope);
        if this.activity == Activity::Running {
            if this.at_work == scope {
                self.end_wait(stream);
            }
        } else if let Some(task) = this.queue.front().filter(|task| task.scope == scope) {
            woken.push(stream);
            if task.work.outlives_faults() {
                // It has its turn, or waits for it, or was held.
                return;
            }
            let had_its_turn = this.activity == Activity::Ready && task.work.job().is_some_and(Job::is_host_function);
            this.activity = Activity::Free;
            if let Some(context) = self.contexts.get_mut(&owner) {
                context.host_function_turns.retain(|_, waiting| *waiting != stream);
                context.in_host_function &= !had_its_turn;
            }
            self.ready.retain(|ready| *ready != stream);
            self.awaiting.remove(&stream);
        }
    }

    /// Wakes the callers that wait: they look again at what they wait for.
    pub(super) fn wake_callers(&self) {
        for (_, waiter) in self.streams.values().flat_map(|stream| &stream.waiters) {
            if let Waiter::Caller(told) = waiter {
                told.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests;
