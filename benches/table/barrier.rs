//! A barrier that threads leave within a microsecond of each other.

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Threads spin here, where [`std::sync::Barrier`] would wake one after the other, so that the first ones
/// would be measured alone.
pub(crate) struct Barrier {
    threads: usize,
    waiting: AtomicUsize,
    /// How often all have met.
    met: AtomicUsize,
    broken: AtomicBool,
}

/// A share of the barrier that nobody waits for in vain: the others panic if its thread does.
pub(crate) struct Member<'a>(&'a Barrier);

impl Barrier {
    pub(crate) const fn new(threads: usize) -> Self {
        Self { threads, waiting: AtomicUsize::new(0), met: AtomicUsize::new(0), broken: AtomicBool::new(false) }
    }

    pub(crate) const fn member(&self) -> Member<'_> {
        Member(self)
    }
}

impl Member<'_> {
    /// Returns when all threads have called it.
    pub(crate) fn wait(&self) {
        const SPINS: u32 = 10_000;
        let Barrier { threads, waiting, met, broken } = self.0;
        let before = met.load(Ordering::Acquire);
        if waiting.fetch_add(1, Ordering::AcqRel) + 1 == *threads {
            waiting.store(0, Ordering::Relaxed);
            met.store(before.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut spins = 0;
        while met.load(Ordering::Acquire) == before {
            assert!(!broken.load(Ordering::Relaxed), "another thread has panicked");
            if spins < SPINS {
                spins += 1;
                hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.broken.store(true, Ordering::Relaxed);
        }
    }
}
