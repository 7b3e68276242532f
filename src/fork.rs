//! Forked children: CUDA does not work in a process that was forked from one that uses it.
//!
//! There the driver answers nonsense or crashes, and a lock that another thread of the parent held at the fork is
//! never released. So whatever can fail asks [`exceptions::check`] before it takes a lock, waits for a cell or calls the
//! driver; dropping leaks.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Result;
use crate::exceptions;

/// How many threads have initialised the driver, or are opening it now.
static USERS: AtomicU32 = AtomicU32::new(0);

/// A use of the driver that may be its first: what is forked while this lives is a child of a process that uses it,
/// since nobody knows there how far the use came and what it has locked.
pub(crate) struct Use(());

impl Use {
    /// To be called before a lock is taken. As [`exceptions::check`].
    pub(crate) fn begin() -> Result<Self> {
        exceptions::check()?;
        watch()?;
        // Not relaxed: what is locked from now on must not reach a child's memory without this.
        USERS.fetch_add(1, Ordering::SeqCst);
        Ok(Self(()))
    }

    /// The driver is initialised, for good.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        USERS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// From now on a child looks whether its parent uses the driver.
///
/// Without a lock, or a child that is forked meanwhile would wait for it. So two threads may both do it, which
/// changes nothing.
#[cfg(all(unix, not(miri)))]
fn watch() -> Result<()> {
    use std::sync::atomic::AtomicBool;

    use crate::error::{Error, ErrorCode};

    static WATCHED: AtomicBool = AtomicBool::new(false);

    extern "C" fn in_child() {
        if USERS.load(Ordering::Relaxed) != 0 {
            exceptions::forked();
        }
    }

    if !WATCHED.load(Ordering::Relaxed) {
        // SAFETY: the handler is a function of this library, which takes its handlers along if it is unloaded, and only
        // does what a signal handler may.
        let refused = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        if refused != 0 {
            // The only reason there is.
            return Err(Error::Driver { call: "pthread_atfork", code: ErrorCode::OUT_OF_MEMORY });
        }
        WATCHED.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// There are no children.
#[cfg(not(all(unix, not(miri))))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn watch() -> Result<()> {
    Ok(())
}
