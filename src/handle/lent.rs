//! Whether others have had the handle of a stream.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody else has had the handle of a stream: if nobody has, nobody can begin a capture of it. For good.
///
/// Behind a pointer: a stream is a key of maps, and must not seem to change.
pub(crate) struct Lent(NonNull<AtomicBool>);

// SAFETY: as a box of it would be.
unsafe impl Send for Lent {}
// SAFETY: as a box of it would be.
unsafe impl Sync for Lent {}

impl Lent {
    pub(crate) fn new(is_lent: bool) -> Self {
        Self(NonNull::from(Box::leak(Box::new(AtomicBool::new(is_lent)))))
    }

    #[inline]
    fn flag(&self) -> &AtomicBool {
        // SAFETY: from a box in `new`, which lives until `drop`.
        unsafe { self.0.as_ref() }
    }

    /// To be called before the handle is given out: whoever then captures is told in the same way.
    #[inline]
    pub(crate) fn set(&self) {
        // A thread that enters scopes of a stream writes nothing that others read.
        if !self.is_set() {
            self.flag().store(true, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.flag().load(Ordering::Relaxed)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: from a box in `new`, and never dropped twice.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
