//! Driver events that graphs have nodes of: each is destroyed with the last of its event and those graphs, because the
//! driver would give its place to another event, which the graphs would then record.

use std::collections::HashMap;
use std::mem;
use std::num::NonZeroU32;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::context::Context;
use crate::driver::{CUevent, CUgraph};
use crate::error::Result;
use crate::exceptions;
use crate::guard;
use crate::handle::Object;
use crate::sync::{AtomicUsize, Mutex, MutexGuard, global};
use crate::user_object;

/// The number of its context and its address, which recurs only after it is destroyed.
type Key = (NonZeroU32, usize);

/// A graph that comes into being, by a number that no other has: its address may be another's soon.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Build {
    /// As the driver numbers captures.
    Capture(u64),
    /// As this crate numbers the graphs that it builds.
    Own(u64),
}

struct Share {
    /// How many graphs have it.
    graphs: usize,
    /// The last of them.
    last: Option<Build>,
    /// Nobody else has it: it is destroyed with the last graph.
    is_given_up: bool,
}

global! {
    static SHARES: Mutex<Option<HashMap<Key, Share>>> = Mutex::new(None);
}
global! {
    /// How many events are in the table: mostly none.
    static SHARED: AtomicUsize = AtomicUsize::new(0);
}

/// Never held during a driver call, and not taken in a forked child.
fn shares() -> MutexGuard<'static, Option<HashMap<Key, Share>>> {
    SHARES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(event: CUevent, home: Context) -> Key {
    (home.number(), event.addr())
}

/// A graph is about to get a node of the event, which is there until the graph is gone. On an error it may go before,
/// and the graph must not have the node.
///
/// # Safety
///
/// The graph lives, and nobody else uses it at the same time; the event lives, and is of this context.
pub(super) unsafe fn share(event: CUevent, home: Context, graph: CUgraph, build: Build) -> Result<()> {
    // Before the graph has it, and may be gone.
    let Some(node) = Node::new(event, home, Some(build)) else { return Ok(()) };
    // SAFETY: the caller's contract.
    unsafe { user_object::attach(home, graph, node) }?;
    set_last(key(event, home), build);
    Ok(())
}

/// The same of a capture that was open just now; whether that is one of this crate's, whose graph is the capturing
/// thread's. To be asked by any thread that enqueues into it.
pub(super) fn share_in_capture(event: CUevent, home: Context, capture: u64) -> bool {
    let build = Build::Capture(capture);
    // Before it is looked for: so what has no number then is not missed.
    let may_be_unknown = guard::is_one_unknown();
    let Some(node) = Node::new(event, home, Some(build)) else { return true };
    match guard::keep(capture, node) {
        Ok(()) => {
            set_last(key(event, home), build);
            true
        }
        Err(node) => {
            if may_be_unknown {
                // For good.
                mem::forget(node);
            }
            may_be_unknown
        }
    }
}

/// A graph that nobody knows may have a node of the event: it is never destroyed.
pub(super) fn keep_for_good(event: CUevent, home: Context) {
    mem::forget(Node::new(event, home, None));
}

/// A graph has the event, or may have it, until this is dropped.
struct Node {
    key: Key,
    event: Object,
    home: Context,
}

impl Node {
    /// `None` if the last that has it is this one.
    fn new(event: CUevent, home: Context, build: Option<Build>) -> Option<Self> {
        let key = key(event, home);
        let mut shares = shares();
        let shares = shares.get_or_insert_default();
        let share = shares.entry(key).or_insert(Share { graphs: 0, last: None, is_given_up: false });
        if build.is_some() && share.last == build {
            return None;
        }
        share.graphs += 1;
        SHARED.store(shares.len(), Ordering::Release);
        Some(Self { key, event: Object::Event(event), home })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let_go(self.key, self.event, self.home);
    }
}

fn set_last(key: Key, build: Build) {
    if let Some(share) = shares().as_mut().and_then(|shares| shares.get_mut(&key)) {
        share.last = Some(build);
    }
}

/// Its owner gives it up: whether it is to be destroyed now, since no graph has it.
pub(super) fn give_up(event: CUevent, home: Context) -> bool {
    if SHARED.load(Ordering::Acquire) == 0 || exceptions::is_forked() {
        return true;
    }
    match shares().as_mut().and_then(|shares| shares.get_mut(&key(event, home))) {
        Some(share) => {
            share.is_given_up = true;
            false
        }
        None => true,
    }
}

/// A graph is gone, or has not got it.
fn let_go(key: Key, event: Object, home: Context) {
    let mut guard = shares();
    let Some(shares) = guard.as_mut() else { return };
    let Some(share) = shares.get_mut(&key) else { return };
    share.graphs -= 1;
    if share.graphs > 0 {
        return;
    }
    let is_given_up = share.is_given_up;
    shares.remove(&key);
    SHARED.store(shares.len(), Ordering::Release);
    drop(guard);
    if is_given_up {
        // SAFETY: its owner has given it up, and no graph has it any more.
        let destroyed = unsafe { event.destroy(home) };
        // Nobody is there to be told.
        let _ = destroyed;
    }
}
