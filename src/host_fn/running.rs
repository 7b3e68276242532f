//! What the driver calls: one function for all host functions, which finds by the ticket what to do.

use std::any::Any;
use std::ffi::c_void;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::outcome::Outcome;
use super::tickets::{Ticket, Tickets};
use crate::context::Context;
use crate::error::{Error, ErrorCode, Result};
use crate::exceptions::{self, HostFunction};
use crate::owners;

/// What runs once, or never.
pub(super) trait Job: Send {
    /// On a stream of this context.
    fn run(self: Box<Self>, context: Context);
    /// It will not run, for this reason. What it holds is dropped on another thread.
    fn give_up(self: Box<Self>, context: Context, error: Error);
}

/// What runs with each launch of a graph.
pub(super) struct Repeated(Box<dyn Fn() + Send + Sync>);

enum Entry {
    Once(Context, Box<dyn Job>),
    Repeated(Context, Arc<Repeated>),
}

impl Entry {
    /// Where it would run.
    fn context(&self) -> Context {
        match self {
            Self::Once(context, _) | Self::Repeated(context, _) => *context,
        }
    }

    /// It will not run any more, for this reason.
    fn give_up(self, error: &Error) {
        match self {
            Self::Once(context, job) => job.give_up(context, error.clone()),
            Self::Repeated(context, function) => owners::drop_later(context, function),
        }
    }

    /// `None` for what runs once.
    fn share(&self) -> Option<Self> {
        match self {
            Self::Once(..) => None,
            Self::Repeated(context, function) => Some(Self::Repeated(*context, function.clone())),
        }
    }
}

static FUNCTIONS: Tickets<Entry> = Tickets::new();

/// The one function that the driver calls. A ticket that it has used before, or of something that is gone, finds
/// nothing.
pub(super) unsafe extern "C" fn run(ticket: *mut c_void) {
    let _inside = HostFunction::enter();
    match FUNCTIONS.copy_or_take(Ticket::from_raw(ticket), Entry::share) {
        Some(Entry::Once(context, job)) => job.run(context),
        Some(Entry::Repeated(context, function)) => {
            let _ = contained(context, || (function.0)());
            // What the last share holds may call the driver when it is dropped.
            if let Some(function) = Arc::into_inner(function) {
                owners::drop_later(context, function);
            }
        }
        None => {}
    }
}

/// Calls `f`; a panic goes to the panic hook, and its message comes back.
fn contained<R>(context: Context, f: impl FnOnce() -> R) -> Result<R> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let message = message(&*payload);
        owners::drop_later(context, payload);
        Error::HostFunctionPanicked { message }
    })
}

fn message(payload: &(dyn Any + Send)) -> Box<str> {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("its payload is no text").into()
}

/// A closure with the place for its result.
pub(super) struct Closure<T, F> {
    pub(super) function: F,
    pub(super) outcome: Arc<Outcome<Result<T>>>,
}

impl<T: Send + 'static, F: FnOnce() -> T + Send + 'static> Job for Closure<T, F> {
    fn run(self: Box<Self>, context: Context) {
        let Self { function, outcome } = *self;
        let result = contained(context, function);
        let mut unwanted = None;
        // Who is woken may panic.
        let _ = contained(context, || unwanted = outcome.fill(result));
        if let Some(Ok(result)) = unwanted
            && mem::needs_drop::<T>()
        {
            owners::drop_later(context, result);
        }
    }

    fn give_up(self: Box<Self>, context: Context, error: Error) {
        let Self { function, outcome } = *self;
        owners::drop_later(context, function);
        let _ = contained(context, || outcome.fill(Err(error)));
    }
}

/// A ticket for what runs once, on a stream of this context.
pub(super) fn put(context: Context, job: Box<dyn Job>) -> Result<Ticket> {
    put_entry(Entry::Once(context, job))
}

fn put_entry(entry: Entry) -> Result<Ticket> {
    /// With so many in the table those of dead contexts are looked for.
    static SWEEP_AT: AtomicUsize = AtomicUsize::new(FEW);
    const FEW: usize = 64;

    let put = FUNCTIONS.put(entry);
    let (ticket, count) = put.ok_or(Error::Driver { call: super::CALL, code: ErrorCode::OUT_OF_MEMORY })?;
    if count >= SWEEP_AT.load(Ordering::Relaxed) {
        let swept = give_up_the_dead();
        SWEEP_AT.store(FEW.max(2 * count.saturating_sub(swept)), Ordering::Relaxed);
    }
    Ok(ticket)
}

/// Takes back what would run once; `None` if it runs or has run.
pub(super) fn take(ticket: Ticket) -> Option<Box<dyn Job>> {
    match FUNCTIONS.take(ticket)? {
        Entry::Once(_, job) => Some(job),
        Entry::Repeated(..) => None,
    }
}

/// An error that says that nothing of this context will run any more gives up what is in the table of it.
pub(super) fn given_up_with(context: Context, error: &Error) {
    if error.is_sticky() || matches!(error, Error::ContextDestroyed { .. }) {
        give_up(context, error);
    }
}

fn give_up(context: Context, error: &Error) {
    FUNCTIONS.take_all(|entry| entry.context() == context).into_iter().for_each(|entry| entry.give_up(error));
}

/// Gives up what belongs to contexts that are known to be dead; how many those were.
pub(super) fn give_up_the_dead() -> usize {
    let dead = FUNCTIONS.take_all(|entry| entry.context().has_died());
    let count = dead.len();
    for entry in dead {
        let error = entry.context().destroyed();
        entry.give_up(&error);
    }
    count
}

/// A function for the host nodes of a graph, until this is dropped. A node that runs after that does nothing; what the
/// function holds is never dropped on a thread of the driver's.
pub(crate) struct HostNode(Ticket);

impl HostNode {
    /// For a graph of this context: if that dies, the function is given up.
    pub(crate) fn new(context: Context, function: Box<dyn Fn() + Send + Sync>) -> Result<Self> {
        // Of a forked child another thread of its parent may have held the lock.
        exceptions::check()?;
        put_entry(Entry::Repeated(context, Arc::new(Repeated(function)))).map(Self)
    }

    /// What the driver is to call with [`user_data`](Self::user_data).
    pub(crate) const FUNCTION: unsafe extern "C" fn(*mut c_void) = run;

    pub(crate) fn user_data(&self) -> *mut c_void {
        self.0.to_raw()
    }
}

impl Drop for HostNode {
    fn drop(&mut self) {
        if exceptions::is_forked() {
            return;
        }
        if let Some(entry) = FUNCTIONS.take(self.0)
            && exceptions::in_host_function()
        {
            owners::drop_later(entry.context(), entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};
    use std::thread::{self, ThreadId};

    use super::*;

    /// Tells on which thread it is dropped.
    struct Told(Sender<ThreadId>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().id());
        }
    }

    fn node_of(function: Box<dyn Fn() + Send + Sync>) -> Result<HostNode> {
        HostNode::new(crate::Device::get(0)?.context()?, function)
    }

    fn call(ticket: *mut c_void) {
        // SAFETY: takes any number.
        unsafe { HostNode::FUNCTION(ticket) };
    }

    #[test]
    fn a_node_runs_each_time_and_not_after_its_end() {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        let node = node_of(Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            assert_eq!(exceptions::check(), Err(Error::InHostFunction));
        }))
        .unwrap();
        let ticket = node.user_data();
        (0..3).for_each(|_| call(ticket));
        drop(node);
        assert_eq!(Arc::strong_count(&runs), 1, "it is dropped with the node");
        call(ticket);
        assert_eq!(runs.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_panic_of_a_node_ends_there() {
        let node = node_of(Box::new(|| panic!("on purpose"))).unwrap();
        (0..2).for_each(|_| call(node.user_data()));
        assert_eq!(exceptions::check(), Ok(()), "it is left all the same");
    }

    #[test]
    fn the_last_share_is_never_dropped_inside() {
        let ((tell, told), node) = (channel(), Arc::new(Mutex::new(None)));
        let (held, shared) = (Told(tell), node.clone());
        let function = move || {
            let _held = &held;
            // While it runs, the node ends.
            drop(shared.lock().unwrap().take());
        };
        let new = node_of(Box::new(function)).unwrap();
        let ticket = new.user_data();
        *node.lock().unwrap() = Some(new);
        call(ticket);
        assert_ne!(told.recv(), Ok(thread::current().id()));
    }

    #[test]
    fn a_node_that_ends_inside_of_another_is_dropped_elsewhere() {
        let (tell, told) = channel();
        let held = Told(tell);
        let function = move || {
            let _held = &held;
        };
        let ended = node_of(Box::new(function)).unwrap();
        let ended = Mutex::new(Some(ended));
        let node = node_of(Box::new(move || drop(ended.lock().unwrap().take()))).unwrap();
        call(node.user_data());
        assert_ne!(told.recv(), Ok(thread::current().id()));
    }

    #[test]
    fn a_payload_that_is_no_text_is_said_to_be_none() {
        let context = crate::Device::get(0).unwrap().context().unwrap();
        let said = |f: fn()| contained(context, f).unwrap_err().to_string();
        assert_eq!(said(|| panic!("a {}", "text")), "the host function panicked: a text");
        assert_eq!(said(|| std::panic::panic_any(7)), "the host function panicked: its payload is no text");
    }
}
