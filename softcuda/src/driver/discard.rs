//! What is dropped without the driver's lock: giving much memory back takes a while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

static DISCARDED: Mutex<Vec<Box<dyn Send>>> = Mutex::new(Vec::new());
/// Whether there is something to drop: every call asks.
static ANY: AtomicBool = AtomicBool::new(false);

/// Keeps `thing` until the lock is given up.
pub(super) fn add(thing: impl Send + 'static) {
    DISCARDED.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(thing));
    ANY.store(true, Ordering::Relaxed);
}

/// Drops what was discarded. The driver's lock is not held here.
pub(super) fn empty() {
    if ANY.load(Ordering::Relaxed) {
        ANY.store(false, Ordering::Relaxed);
        let discarded = std::mem::take(&mut *DISCARDED.lock().unwrap_or_else(PoisonError::into_inner));
        drop(discarded);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_discarded_is_dropped_later() {
        let thing = Arc::new(());
        add(Arc::clone(&thing));
        empty();
        assert_eq!(Arc::strong_count(&thing), 1);
    }
}
