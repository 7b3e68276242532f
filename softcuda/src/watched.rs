//! A word that others write while a kernel reads it.

use std::sync::atomic::{AtomicU32, Ordering};

/// A word of memory that the host, or another stream, may write meanwhile: an atomic that is only
/// read. See [`Launch::watched_u32`](crate::Launch::watched_u32).
#[derive(Clone, Copy, Debug)]
pub struct WatchedU32<'a>(&'a AtomicU32);

impl<'a> WatchedU32<'a> {
    pub(crate) fn new(word: &'a AtomicU32) -> Self {
        Self(word)
    }

    /// The word as it is now; see [`AtomicU32::load`].
    ///
    /// # Panics
    ///
    /// If `order` is `Release` or `AcqRel`.
    #[must_use]
    pub fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }
}
