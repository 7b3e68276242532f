//! Counting and failing calls, of one thread or one scope: tests of one process run side by side.

use std::cell::{Cell, RefCell};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::codes::{Code, Outcome};
use super::scope::{self, ScopeId};
#[cfg(softcuda_shuttle)]
use super::sync::KeyOfCell as _;
use super::sync::{Mutex, global, thread_local};

/// Upper limit of implemented functions; `api.rs` checks it when it is compiled.
pub(super) const MAX_FUNCTIONS: usize = 256;

/// A driver function: its place in the table of `api.rs`, and its name.
#[derive(Clone, Copy)]
pub(super) struct Function {
    pub(super) index: usize,
    pub(super) name: &'static str,
}

/// A call of a function is to answer `code`.
struct Injection {
    id: u64,
    function: usize,
    /// Calls that pass before.
    after: u64,
    code: Code,
    /// Whose calls, if not one thread's.
    scope: Option<ScopeId>,
}

global! {
    /// What the calls of scopes are to answer.
    static OF_SCOPES: Mutex<Vec<Injection>> = Mutex::new(Vec::new());
}
/// How many these are: every call asks.
static IN_SCOPES: AtomicUsize = AtomicUsize::new(0);
static LAST_ID: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNTS: [Cell<u64>; MAX_FUNCTIONS] = const { [const { Cell::new(0) }; MAX_FUNCTIONS] };
    static CURRENT: Cell<Option<&'static str>> = const { Cell::new(None) };
    // Counted beside the list, so that a call without injections does not touch what has a destructor.
    static INJECTED: Cell<usize> = const { Cell::new(0) };
    static INJECTIONS: RefCell<Vec<Injection>> = const { RefCell::new(Vec::new()) };
}

/// Counts a call of this thread; the code of an injection is due if it is for this call.
pub(super) fn count(function: Function) -> Outcome {
    CURRENT.set(Some(function.name));
    tally(function);
    if INJECTED.get() == 0 && IN_SCOPES.load(Ordering::Relaxed) == 0 {
        return Ok(());
    }
    take_injection(function.index).map_or(Ok(()), Err)
}

/// Counts a call of this thread, without a lock.
pub(super) fn tally(function: Function) {
    COUNTS.with(|counts| counts[function.index].set(counts[function.index].get() + 1));
}

#[cold]
fn take_injection(function: usize) -> Option<Code> {
    let own = with_own(|list| take(list, function, None)).flatten();
    let scope = scope::current();
    own.or_else(|| with_scopes(|list| take(list, function, Some(scope))))
}

/// The code that is due, if one is; what is due later has one call less to wait for.
fn take(list: &mut Vec<Injection>, function: usize, scope: Option<ScopeId>) -> Option<Code> {
    let is_meant = |injection: &Injection| injection.function == function && injection.scope == scope;
    let due = list.iter().position(|injection| is_meant(injection) && injection.after == 0).map(|at| list.remove(at).code);
    for injection in list.iter_mut().filter(|injection| is_meant(injection)) {
        injection.after = injection.after.saturating_sub(1);
    }
    due
}

/// Lets the call of `function` that follows `after` others answer `code`: this thread's, or any of its
/// scope's. A number to take this back by.
pub(super) fn inject(function: usize, code: Code, after: u64, in_scope: bool) -> u64 {
    let id = LAST_ID.fetch_add(1, Ordering::Relaxed) + 1;
    let scope = in_scope.then(scope::current);
    let injection = Injection { id, function, after, code, scope };
    if in_scope {
        with_scopes(|list| list.push(injection));
    } else {
        with_own(|list| list.push(injection));
    }
    id
}

/// Forgets an injection of this thread, or of a scope.
pub(super) fn take_back(id: u64) {
    with_own(|list| list.retain(|injection| injection.id != id));
    with_scopes(|list| list.retain(|injection| injection.id != id));
}

/// Forgets the injections of a scope.
pub(super) fn end_scope(scope: ScopeId) {
    with_scopes(|list| list.retain(|injection| injection.scope != Some(scope)));
}

/// Changes this thread's list, unless the thread ends and it is gone: then nothing is injected any more.
fn with_own<T>(change: impl FnOnce(&mut Vec<Injection>) -> T) -> Option<T> {
    let changed = INJECTIONS.try_with(|list| {
        let mut list = list.borrow_mut();
        let result = change(&mut list);
        INJECTED.set(list.len());
        result
    });
    changed.ok()
}

fn with_scopes<T>(change: impl FnOnce(&mut Vec<Injection>) -> T) -> T {
    let mut list = OF_SCOPES.lock().unwrap_or_else(PoisonError::into_inner);
    let result = change(&mut list);
    IN_SCOPES.store(list.len(), Ordering::Relaxed);
    result
}

/// How many calls of `function` this thread has made.
pub(super) fn made(function: usize) -> u64 {
    COUNTS.with(|counts| counts[function].get())
}

/// How many calls this thread has made.
pub(super) fn made_in_all() -> u64 {
    COUNTS.with(|counts| counts.iter().map(Cell::get).sum())
}

/// The call that `count` counted is over.
pub(super) fn end() {
    CURRENT.set(None);
}

/// The driver function this thread is in.
pub(super) fn current() -> Option<&'static str> {
    CURRENT.get()
}
