//! Scopes: groups of threads whose failures, schedules, counters and reports are their own.

use std::cell::Cell;

/// The number of a scope, never reused.
pub(super) type ScopeId = u64;

/// The scope of every thread that is in no other.
pub(super) const PROCESS: ScopeId = 0;

thread_local! {
    static CURRENT: Cell<ScopeId> = const { Cell::new(PROCESS) };
}

/// The calling thread's scope. A thread that does the work of a stream is in the scope of whoever enqueued it.
pub(super) fn current() -> ScopeId {
    CURRENT.get()
}

/// Puts the calling thread into a scope; the one that it was in.
pub(super) fn enter(scope: ScopeId) -> ScopeId {
    CURRENT.replace(scope)
}
