//! Counting and failing calls, for the calls of one thread: tests of one process run side by side.

use std::cell::{Cell, RefCell};

use super::codes::{Code, Outcome};

/// Upper limit of implemented functions; `api.rs` checks it when it is compiled.
pub(super) const MAX_FUNCTIONS: usize = 192;

/// A driver function: its place in the table of `api.rs`, and its name.
#[derive(Clone, Copy)]
pub(super) struct Function {
    pub(super) index: usize,
    pub(super) name: &'static str,
}

/// The call numbered `call` of a function answers `code`.
struct Injection {
    function: usize,
    call: u64,
    code: Code,
}

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
    let call = COUNTS.with(|counts| counts[function.index].replace(counts[function.index].get() + 1));
    if INJECTED.get() == 0 {
        return Ok(());
    }
    take_injection(function.index, call).map_or(Ok(()), Err)
}

#[cold]
fn take_injection(function: usize, call: u64) -> Option<Code> {
    let due = |injection: &Injection| injection.function == function && injection.call == call;
    with_injections(|list| list.iter().position(due).map(|at| list.swap_remove(at).code)).flatten()
}

/// Lets this thread's call of `function` that follows `after` others answer `code`.
pub(super) fn inject(function: usize, code: Code, after: u64) {
    let call = made(function).saturating_add(after);
    with_injections(|list| list.push(Injection { function, call, code }));
}

/// Forgets what this thread's calls were to answer.
pub(super) fn clear_injections() {
    with_injections(Vec::clear);
}

/// Changes the list, unless the thread ends and it is gone: then nothing is injected any more.
fn with_injections<T>(change: impl FnOnce(&mut Vec<Injection>) -> T) -> Option<T> {
    let changed = INJECTIONS.try_with(|list| {
        let mut list = list.borrow_mut();
        let result = change(&mut list);
        INJECTED.set(list.len());
        result
    });
    changed.ok()
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
