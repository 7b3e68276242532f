//! The captures of this crate that are open, and what other calls must know of them.
//!
//! Asked only where [`exceptions::is_capturing`]: with no capture open, no call gets here. Of captures that others have
//! begun nothing is known, and the driver's answer is passed on.

use std::cell::Cell;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::error::{Error, Result};
use crate::exceptions;
use crate::sync::{AtomicU64, Mutex, MutexGuard, global, thread_local};

/// What is open now.
struct State {
    captures: Vec<Entry>,
    /// How many have been.
    count: u64,
    /// Which capture a record of an event is in, by the record's mark; of captures that are open.
    records: Option<HashMap<u64, u64>>,
    /// What is kept for good: of graphs that others may have.
    for_good: Vec<Kept>,
}

struct Entry {
    /// Which of all captures it is.
    number: u64,
    /// The driver's number of it, once that has begun it.
    id: Option<u64>,
    /// The driver's handles of the contexts of its streams, as far as they have joined by calls of this crate: drivers
    /// before 12.0 have no ids, so that a context has more than one record.
    contexts: Vec<usize>,
    /// Whether the calls of every thread concern it.
    global: bool,
    /// The driver is about to end it.
    is_ending: bool,
    /// What its graph is to keep alive, until that has it.
    kept: Option<Vec<Kept>>,
}

/// Something that is there until this is dropped.
pub(crate) type Kept = Box<dyn Send>;

global! {
    static STATE: Mutex<State> = Mutex::new(State { captures: Vec::new(), count: 0, records: None, for_good: Vec::new() });
}

global! {
    /// How many captures have begun that concern every thread.
    static GLOBAL: AtomicU64 = AtomicU64::new(0);
}

thread_local! {
    /// How many captures this thread has open.
    static HERE: Cell<u32> = const { Cell::new(0) };
}

/// Never held during a driver call, and not taken in a forked child.
fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A capture of this crate that is about to begin, or open: until this is dropped.
pub(crate) struct Open {
    number: u64,
    _counted: exceptions::Capturing,
    /// It ends on its thread.
    _thread: PhantomData<*const ()>,
}

impl Open {
    /// To be called before the driver is: whatever thread asks once that has begun it is told.
    pub(crate) fn begin(context: usize, global: bool) -> Self {
        HERE.set(HERE.get() + 1);
        let counted = exceptions::Capturing::begin();
        let mut state = state();
        state.count += 1;
        let number = state.count;
        state.captures.push(Entry { number, id: None, contexts: vec![context], global, is_ending: false, kept: Some(Vec::new()) });
        drop(state);
        // Whoever sees the new count finds the capture open.
        if global {
            GLOBAL.fetch_add(1, Ordering::SeqCst);
        }
        Self { number, _counted: counted, _thread: PhantomData }
    }

    /// The driver has begun it, and calls it this.
    pub(crate) fn begun(&self, id: u64) {
        let _ = self.change(|open| open.id = Some(id));
    }

    /// The driver is about to end it: a record from now on may be none of it.
    pub(crate) fn ends(&self) {
        let _ = self.change(|open| open.is_ending = true);
    }

    /// It has ended by its own thread: what its graph is to keep alive. From now on [`keep`] finds no such capture. In a
    /// forked child that is leaked, and where nobody asks for it, it is kept for good.
    pub(crate) fn take_kept(&self) -> Vec<Kept> {
        if exceptions::is_forked() {
            return Vec::new();
        }
        self.change(|open| open.kept.take()).flatten().unwrap_or_default()
    }

    fn change<R>(&self, change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        state().captures.iter_mut().find(|open| open.number == self.number).map(change)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        HERE.set(HERE.get() - 1);
        if exceptions::is_forked() {
            return;
        }
        let mut state = state();
        let ended: Vec<Entry> = state.captures.extract_if(.., |open| open.number == self.number).collect();
        if let Some(records) = &mut state.records {
            records.retain(|_, capture| ended.iter().all(|open| open.id != Some(*capture)));
        }
        state.for_good.extend(ended.into_iter().filter_map(|open| open.kept).flatten());
    }
}

/// A number that is another once a capture has begun that concerns every thread. To be asked before it is asked whether one
/// is open: so whoever is overtaken by a capture learns of it.
#[inline]
pub(crate) fn count_of_global() -> u64 {
    GLOBAL.load(Ordering::Acquire)
}

/// Whether calls of this thread that are unsafe during a capture would end one.
pub(crate) fn concerns_this_thread() -> bool {
    HERE.get() > 0 || state().captures.iter().any(|open| open.global)
}

/// For a call that waits for a whole context, with this handle, which no capture with a stream of it survives, of whatever
/// thread: [`Error::Capturing`] where one would end.
#[inline]
pub(crate) fn outside_captures(context: usize, call: &'static str) -> Result<()> {
    if exceptions::is_capturing() { outside_open_captures(context, call) } else { Ok(()) }
}

#[cold]
fn outside_open_captures(context: usize, call: &'static str) -> Result<()> {
    exceptions::check()?;
    let is_captured = state().captures.iter().any(|open| open.contexts.contains(&context));
    if is_captured { Err(Error::Capturing { call }) } else { Ok(()) }
}

/// Whether it is an open capture of this crate.
pub(crate) fn is_ours(id: u64) -> bool {
    state().captures.iter().any(|open| open.id == Some(id))
}

/// Whether a capture of this crate has no number yet: which the driver may have begun all the same, and others may know.
pub(crate) fn is_one_unknown() -> bool {
    state().captures.iter().any(|open| open.id.is_none())
}

/// Has the graph that an open capture of this crate is to become keep something alive. It comes back if this is none.
pub(crate) fn keep<T: Send + 'static>(id: u64, kept: T) -> Result<(), T> {
    let mut state = state();
    match state.captures.iter_mut().find(|open| open.id == Some(id)).and_then(|open| open.kept.as_mut()) {
        Some(list) => list.push(Box::new(kept)),
        None => return Err(kept),
    }
    Ok(())
}

/// An event was recorded while its stream was in this capture; `mark` is the record's. Whether the record is known to be
/// a part of it: otherwise another thread may have ended the capture before.
pub(crate) fn recorded(mark: u64, id: u64) -> bool {
    let mut state = state();
    let is_in_it = state.captures.iter().any(|open| open.id == Some(id) && !open.is_ending);
    if is_in_it {
        state.records.get_or_insert_default().insert(mark, id);
    }
    is_in_it
}

/// A stream of this context joins the capture.
pub(crate) fn joins(id: u64, context: usize) {
    if let Some(open) = state().captures.iter_mut().find(|open| open.id == Some(id))
        && !open.contexts.contains(&context)
    {
        open.contexts.push(context);
    }
}

/// The open capture that the record with this mark is in.
pub(crate) fn capture_of(mark: u64) -> Option<u64> {
    state().records.as_ref()?.get(&mark).copied()
}

#[cfg(all(test, not(softcuda_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_in_its_capture_until_that_ends() {
        let (mark, id) = (u64::MAX - 3, u64::MAX);
        assert!(!recorded(mark, id), "which nobody has begun");
        assert_eq!(capture_of(mark), None);
        let capture = Open::begin(1, false);
        capture.begun(id);
        assert!(recorded(mark, id) && is_ours(id) && concerns_this_thread());
        assert_eq!(capture_of(mark), Some(id));
        capture.ends();
        assert!(!recorded(mark - 4, id) && is_ours(id));
        assert_eq!((capture_of(mark - 4), capture_of(mark)), (None, Some(id)));
        drop(capture);
        assert!(!is_ours(id));
        assert_eq!(capture_of(mark), None);
    }

    #[test]
    fn a_capture_concerns_the_contexts_of_its_streams() {
        let (here, elsewhere) = (1, 2);
        let refused = Err(Error::Capturing { call: "cuCtxSynchronize" });
        let wait = |context| outside_captures(context, "cuCtxSynchronize");
        let capture = Open::begin(here, false);
        capture.begun(u64::MAX - 1);
        assert_eq!([wait(here), wait(elsewhere)], [refused.clone(), Ok(())]);
        joins(u64::MAX - 1, elsewhere);
        assert_eq!([wait(here), wait(elsewhere)], [refused.clone(), refused]);
        drop(capture);
        assert_eq!([wait(here), wait(elsewhere)], [Ok(()), Ok(())]);
    }
}
