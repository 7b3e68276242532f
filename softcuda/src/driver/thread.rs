//! What the driver keeps for each thread: a number, the stack of current contexts, and what it is for.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::codes::{self, Outcome};
use super::handle::Handle;
use super::modes::Mode;
use super::raw::Topic;
use super::report;
#[cfg(softcuda_shuttle)]
use super::sync::KeyOfCell as _;
use super::sync::thread_local;

/// Deeper than any program goes; a fixed size needs no destructor, so that drivers calls work while a thread ends.
const MAX_DEPTH: usize = 256;

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// Whether this thread does the work of a stream.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
    /// Which captures the thread's calls may end, as C numbers it.
    static CAPTURE_MODE: Cell<u32> = const { Cell::new(Mode::Global as u32) };
    /// Whether the destructor of a user object runs on this thread.
    static IN_DESTRUCTOR: Cell<bool> = const { Cell::new(false) };
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static STACK: [Cell<Handle>; MAX_DEPTH] = const { [const { Cell::new(Handle::NULL) }; MAX_DEPTH] };
}

/// The number of the calling thread, never reused.
pub(super) fn number() -> u64 {
    if NUMBER.get() == 0 {
        NUMBER.set(NEXT_NUMBER.fetch_add(1, Ordering::Relaxed));
    }
    NUMBER.get()
}

/// The calling thread does the work of streams from now on.
pub(super) fn becomes_worker() {
    IS_WORKER.set(true);
}

/// Whether the calling thread does the work of a stream.
pub(super) fn is_worker() -> bool {
    IS_WORKER.get()
}

/// Whether the caller may do what a host function and a kernel may not.
pub(super) fn may(what: &str) -> Outcome {
    if IS_WORKER.get() {
        report::add(Topic::Misuse, format_args!("a host function or a kernel cannot {what}"));
        return Err(codes::NOT_PERMITTED);
    }
    Ok(())
}

/// Whether the caller may ask for contexts and change what is current. A real driver lets a host function
/// use the handles that it knows, and nothing that needs a current context.
pub(super) fn may_use_contexts() -> Outcome {
    may("use the current context")
}

/// Sets the mode of captures of the calling thread; the one that it had. A real driver was seen to take a number that is
/// no mode, too.
pub(super) fn exchange_capture_mode(mode: u32) -> u32 {
    if Mode::from_number(mode).is_none() {
        report::add(Topic::Misuse, format_args!("{mode} is no mode of captures: the thread's calls end what they may end in mode 0"));
    }
    CAPTURE_MODE.replace(mode)
}

/// The mode of captures of the calling thread: the strictest one for a number that is none.
pub(super) fn capture_mode() -> Mode {
    Mode::from_number(CAPTURE_MODE.get()).unwrap_or(Mode::Global)
}

/// The destructor of a user object begins, or ends, on the calling thread; whether it was in one before.
pub(super) fn set_in_destructor(is_in: bool) -> bool {
    IN_DESTRUCTOR.replace(is_in)
}

/// Whether the destructor of a user object runs on the calling thread.
pub(super) fn is_in_destructor() -> bool {
    IN_DESTRUCTOR.get()
}

/// The current context, or null.
pub(super) fn current() -> Handle {
    match DEPTH.get() {
        0 => Handle::NULL,
        depth => STACK.with(|stack| stack[depth - 1].get()),
    }
}

/// Replaces the top of the stack; null takes it away.
pub(super) fn set_current(context: Handle) -> Outcome {
    match (DEPTH.get(), context) {
        (0, Handle::NULL) => Ok(()),
        (depth, Handle::NULL) => {
            DEPTH.set(depth - 1);
            Ok(())
        }
        (0, _) => push(context),
        (depth, _) => {
            STACK.with(|stack| stack[depth - 1].set(context));
            Ok(())
        }
    }
}

/// Makes `context` current until it is popped.
pub(super) fn push(context: Handle) -> Outcome {
    let depth = DEPTH.get();
    if depth == MAX_DEPTH {
        return Err(codes::OUT_OF_MEMORY);
    }
    STACK.with(|stack| stack[depth].set(context));
    DEPTH.set(depth + 1);
    Ok(())
}

/// Takes the current context off the stack.
pub(super) fn pop() -> Outcome<Handle> {
    let top = current();
    DEPTH.set(DEPTH.get().checked_sub(1).ok_or(codes::INVALID_CONTEXT)?);
    Ok(top)
}
