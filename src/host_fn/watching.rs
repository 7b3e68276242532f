//! Who looks after futures, which nobody may ever poll again if the driver never calls: a thread that is there while
//! one is pending.

use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::exit::AtWork;

/// Something that ends by itself, mostly.
pub(super) trait Pending: Send + Sync {
    /// Ends it if it cannot end by itself any more. Whether it is pending still.
    fn look(&self) -> bool;
}

struct Watched {
    pending: Vec<Weak<dyn Pending>>,
    /// Counts what has changed.
    changes: u64,
    has_thread: bool,
}

static WATCHED: Mutex<Watched> = Mutex::new(Watched { pending: Vec::new(), changes: 0, has_thread: false });
static CHANGED: Condvar = Condvar::new();

/// The pauses between two looks: the driver may have to be asked before it begins, so the first is short.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(100);

/// Not in a forked child: another thread of its parent may have held the lock.
fn watched() -> MutexGuard<'static, Watched> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks after it until it has ended or is gone. False where no thread can be had.
pub(super) fn watch(pending: Weak<dyn Pending>) -> bool {
    let mut watched = watched();
    if !watched.has_thread {
        watched.has_thread = thread::Builder::new().name("cuda-streams futures".into()).spawn(look_after).is_ok();
    }
    if watched.has_thread {
        watched.pending.push(pending);
        watched.changes += 1;
        CHANGED.notify_one();
    }
    watched.has_thread
}

/// One of them has ended, so that the thread may.
pub(super) fn ended() {
    watched().changes += 1;
    CHANGED.notify_one();
}

fn look_after() {
    let mut pause = SHORTEST;
    loop {
        let mut table = watched();
        let (changes, mut pending) = (table.changes, mem::take(&mut table.pending));
        drop(table);
        {
            let Some(_at_work) = AtWork::begin() else { return };
            pending.retain(|pending| pending.upgrade().is_some_and(|pending| pending.look()));
        }

        let mut table = watched();
        table.pending.append(&mut pending);
        if table.pending.is_empty() {
            table.has_thread = false;
            return;
        }
        let unchanged = |table: &mut Watched| table.changes == changes;
        let (table, timed_out) = CHANGED.wait_timeout_while(table, pause, unchanged).unwrap_or_else(PoisonError::into_inner);
        drop(table);
        pause = if timed_out.timed_out() { LONGEST.min(2 * pause) } else { SHORTEST };
    }
}
