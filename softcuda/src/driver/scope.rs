//! Scopes: groups of threads whose failures, schedule, counters and reports are their own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::raw::PROCESS_SCOPE;
#[cfg(softcuda_shuttle)]
use super::sync::KeyOfCell as _;
use super::sync::{Mutex, MutexGuard, global, thread_local};

/// The number of a scope, never reused.
pub(super) type ScopeId = u64;

/// The scope of every thread that is in no other.
pub(super) const PROCESS: ScopeId = PROCESS_SCOPE;

/// What has what scopes that have faulted could not destroy. No thread is in it.
pub(super) const NOBODY: ScopeId = ScopeId::MAX;

thread_local! {
    static CURRENT: Cell<ScopeId> = const { Cell::new(PROCESS) };
}

/// The scopes that live, but for the process's: how many threads are in each.
#[derive(Debug)]
struct Scopes {
    threads: BTreeMap<ScopeId, usize>,
    last: ScopeId,
}

global! {
    static SCOPES: Mutex<Scopes> = Mutex::new(Scopes { threads: BTreeMap::new(), last: PROCESS });
}

fn scopes() -> MutexGuard<'static, Scopes> {
    SCOPES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The calling thread's scope. A thread that does the work of a stream is in the scope of whoever enqueued it.
pub(super) fn current() -> ScopeId {
    CURRENT.get()
}

/// Puts the calling thread into a scope without being counted there; the one that it was in.
pub(super) fn enter(scope: ScopeId) -> ScopeId {
    CURRENT.replace(scope)
}

/// A new scope with the calling thread in it.
pub(super) fn begin() -> ScopeId {
    let mut scopes = scopes();
    scopes.last += 1;
    let scope = scopes.last;
    scopes.threads.insert(scope, 1);
    enter(scope);
    scope
}

/// Puts the calling thread into a scope. False if it has ended.
pub(super) fn join(scope: ScopeId) -> bool {
    if scope != PROCESS {
        let mut scopes = scopes();
        let Some(threads) = scopes.threads.get_mut(&scope) else { return false };
        *threads += 1;
    }
    enter(scope);
    true
}

/// Takes the calling thread out of a scope and back to one that it was in. True if the scope has ended.
pub(super) fn leave(scope: ScopeId, back_to: ScopeId) -> bool {
    let mut scopes = scopes();
    let back = if scopes.threads.contains_key(&back_to) { back_to } else { PROCESS };
    enter(back);
    let Some(threads) = scopes.threads.get_mut(&scope) else { return false };
    *threads -= 1;
    let ends = *threads == 0;
    if ends {
        scopes.threads.remove(&scope);
    }
    ends
}

/// Whether a scope has not ended yet. Work of one that has may go on: it keeps the number.
pub(super) fn lives(scope: ScopeId) -> bool {
    scope == PROCESS || scopes().threads.contains_key(&scope)
}

/// The scope that has what a scope leaves: itself while it lives, then the process's.
pub(super) fn heir(scope: ScopeId) -> ScopeId {
    if lives(scope) { scope } else { PROCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_ends_with_its_last_thread() {
        let scope = begin();
        assert_eq!((current(), heir(scope)), (scope, scope));
        std::thread::scope(|threads| {
            threads.spawn(|| {
                assert_eq!(current(), PROCESS);
                assert!(join(scope));
                assert!(!leave(scope, PROCESS), "another thread is in it");
            });
        });
        assert!(leave(scope, PROCESS));
        assert_eq!(current(), PROCESS);
        assert!(!join(scope), "it has ended");
        assert_eq!(heir(scope), PROCESS);
    }
}
