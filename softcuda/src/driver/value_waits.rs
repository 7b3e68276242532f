//! Streams that wait for a word in memory, and when they give up.
//!
//! On hardware such a wait holds its stream until somebody writes the word; if nobody does, the end of
//! the context hangs. Here a wait is over when its scope faults, and when its context ends while
//! nothing is at work that could still write the word.
//!
//! A wait for another process is over when its scope faults, and when that process is gone. Until then the end of the
//! context waits for it, as on hardware: that process is at work.

use std::sync::atomic::Ordering;

use super::job::{Job, Wait};
use super::objects::{Activity, Point, Serial, Stream, Work};
use super::state::State;

impl Stream {
    /// Whether its first task is such a wait, and has its turn.
    fn is_held_by_word(&self) -> bool {
        match self.activity {
            Activity::Running => matches!(self.wait, Some(Wait::Word(_))),
            Activity::Ready => self.queue.front().is_some_and(|task| is_value_wait(&task.work)),
            Activity::Free | Activity::Blocked => false,
        }
    }
}

fn is_value_wait(work: &Work) -> bool {
    matches!(work, Work::Run(Job::ValueWait(_)))
}

impl State {
    /// Whether a stream of `context` waits for a word, or will.
    pub(super) fn has_value_waits(&self, context: Serial) -> bool {
        let mut streams = self.streams.values().filter(|stream| self.is_part(stream.context, context));
        streams.any(|stream| matches!(stream.wait, Some(Wait::Word(_))) || stream.queue.iter().any(|task| is_value_wait(&task.work)))
    }

    /// The end of some task, of any context, that is done sooner or later whatever the host does.
    pub(super) fn next_step(&self) -> Option<Point> {
        let steps = |stream: &Stream| !stream.is_idle() && stream.activity != Activity::Blocked && !stream.is_held_by_word();
        let (serial, stream) = self.streams.iter().find(|(_, stream)| steps(stream))?;
        Some(Point { stream: *serial, position: stream.done + 1 })
    }

    /// The streams of `context` that a word holds.
    pub(super) fn held_by_words(&self, context: Serial) -> Vec<Serial> {
        let held = self.streams.iter().filter(|(_, stream)| self.is_part(stream.context, context) && stream.is_held_by_word());
        held.map(|(serial, _)| *serial).collect()
    }

    /// Lets a stream that a word or another process holds give up: what is behind the wait is not done either.
    pub(super) fn end_wait(&self, stream: Serial) {
        let Some(stream) = self.streams.get(&stream) else { return };
        let is_at_work = stream.activity == Activity::Running;
        let wait = if is_at_work { stream.wait.clone() } else { stream.queue.front().and_then(|task| task.work.job()?.wait()) };
        if let Some(wait) = wait {
            wait.over().store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::super::buffer::{Buffer, Span};
    use super::super::objects::Role;
    use super::super::state::{self, lock};
    use super::super::word::{Condition, ValueWait, ValueWrite, Width, Word};
    use super::super::{codes, context, job, scope, worker};
    use super::*;

    fn word(memory: &Span) -> Word {
        Word::new(memory.clone(), Width::Bits64).unwrap()
    }

    fn until_one(memory: &Span) -> Work {
        let over = Arc::new(AtomicBool::new(false));
        Work::Run(Job::ValueWait(ValueWait { word: word(memory), condition: Condition::Equal, value: 1, over }))
    }

    fn memory(value: u64) -> Span {
        let memory = Span::whole(Buffer::of_device(8).unwrap());
        word(&memory).store(value);
        memory
    }

    #[test]
    fn the_end_of_a_context_ends_a_wait_that_nothing_satisfies() {
        let (memory, after) = (memory(0), memory(0));
        let mut state = lock();
        let context = state.add_context(state::primary_handle(0), 0, 0);
        let stream = state.add_stream(context, Role::Created { non_blocking: true }, 0);
        state.submit(stream, None, until_one(&memory));
        state.submit(stream, None, Work::Write(ValueWrite { word: word(&after), value: 7 }));
        assert_eq!(context::end(state, context), Ok(()));
        assert_eq!(lock().check(), Ok(()));
        // SAFETY: eight bytes, and nobody writes them.
        assert_eq!(unsafe { after.start().cast::<[u8; 8]>().read() }, [0; 8], "what came after the wait is not done");
    }

    #[test]
    fn a_fault_ends_a_wait() {
        // No other test has this fault.
        let own = scope::begin();
        let memory = memory(0);
        let mut state = lock();
        let context = state.add_context(state::primary_handle(0), 0, 0);
        let [held, faulty] = [(); 2].map(|()| state.add_stream(context, Role::Created { non_blocking: true }, 0));
        let end = state.submit(held, None, until_one(&memory));
        while state.streams[&held].activity != Activity::Running {
            drop(state);
            std::thread::yield_now();
            state = lock();
        }
        state.submit(faulty, None, Work::Fault(codes::LAUNCH_FAILED));
        let mut state = worker::wait_for(state, &[end]).unwrap();
        assert_eq!(state.check(), Err(codes::LAUNCH_FAILED));
        state.remove_context(context);
        scope::leave(own, scope::PROCESS);
        state.end_scope(own);
    }

    #[test]
    fn the_end_of_a_context_waits_for_work_that_satisfies_a_wait() {
        let (first, second) = (memory(0), memory(0));
        let mut state = lock();
        let context = state.add_context(state::primary_handle(0), 0, 0);
        let mut stream = || state.add_stream(context, Role::Created { non_blocking: true }, 0);
        let [a, b] = [stream(), stream()];
        // Stream b is held by stream a, which is held by the other context.
        let other = state.add_context(state::primary_handle(1), 1, 0);
        let writer = state.add_stream(other, Role::Created { non_blocking: true }, 0);
        let end = state.submit(b, None, until_one(&second));
        state.submit(a, None, until_one(&first));
        state.submit(a, None, Work::Write(ValueWrite { word: word(&second), value: 1 }));
        let copy = memory(1);
        let place = |span: &Span| job::Place::Known(span.clone());
        let write = Job::Copy { from: place(&copy), to: place(&memory(0)), bytes: 8 };
        state.submit(writer, None, Work::Run(write));
        state.submit(writer, None, Work::Write(ValueWrite { word: word(&first), value: 1 }));
        drop(state);
        assert_eq!(context::end(lock(), context), Ok(()));
        assert!(lock().is_passed(end));
        context::end(lock(), other).unwrap();
    }
}
