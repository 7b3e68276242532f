//! The default stream of each thread, which goes with its thread.

use std::cell::Cell;

use super::fork;
use super::objects::{Role, Serial};
use super::state::{State, lock};
use super::sync::thread_local;
use super::thread;

/// Takes the thread's streams away when the thread ends.
struct Guard {
    thread: Cell<u64>,
}

thread_local! {
    static GUARD: Guard = const { Guard { thread: Cell::new(NOBODY) } };
}

/// No thread has this number.
const NOBODY: u64 = 0;

impl Drop for Guard {
    fn drop(&mut self) {
        // A child ends with the thread that forked, whose streams are the parent's.
        if self.thread.get() != NOBODY && !fork::is_child() {
            lock().retire_streams_of_thread(self.thread.get());
        }
    }
}

impl State {
    /// The calling thread's default stream in a context.
    pub(super) fn per_thread_stream(&mut self, context: Serial) -> Serial {
        let number = thread::number();
        if let Some(stream) = self.contexts[&context].per_thread.get(&number) {
            return *stream;
        }
        // Gone while the thread ends: then the stream stays as long as its context.
        let _ = GUARD.try_with(|guard| guard.thread.set(number));
        let stream = self.add_stream(context, Role::PerThread, 0);
        if let Some(context) = self.contexts.get_mut(&context) {
            context.per_thread.insert(number, stream);
        }
        stream
    }

    /// What their captures have kept threads of the driver destroy: this one has run its last code.
    fn retire_streams_of_thread(&mut self, thread: u64) {
        let streams: Vec<Serial> = self.contexts.values_mut().filter_map(|context| context.per_thread.remove(&thread)).collect();
        for stream in streams {
            let unused = self.leaves_captures(stream);
            self.graphs.destroy_later(unused);
            self.retire_stream(stream);
        }
        self.start_workers(0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::primary_handle;
    use super::*;

    #[test]
    fn the_stream_of_a_thread_goes_with_it() {
        let context = lock().add_context(primary_handle(0), 0, 0);
        let stream = std::thread::spawn(move || {
            let mut state = lock();
            let stream = state.per_thread_stream(context);
            assert_eq!(state.per_thread_stream(context), stream);
            assert!(state.streams.contains_key(&stream));
            stream
        });
        let stream = stream.join().unwrap();
        let mut state = lock();
        assert!(!state.streams.contains_key(&stream));
        assert!(state.contexts[&context].per_thread.is_empty());
        state.remove_context(context);
    }
}
