//! The words by which the host and the kernel of a hold talk.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

/// The kernel gives up by itself after this time, so that nothing hangs a device.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// What the kernel writes into its first word when it gave up.
pub(crate) const GAVE_UP: u32 = 2;

/// Pinned words for the holds of a process, allocated before any stream is held.
#[derive(Debug)]
pub(crate) struct Slots {
    words: &'static [AtomicU32],
    next: AtomicUsize,
}

/// The two words of one hold: the host sets the first, the kernel the second when it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) release: &'static AtomicU32,
    pub(crate) running: &'static AtomicU32,
}

impl Slots {
    /// A hold has two words; a probe never has more than a few holds, so the slots go round.
    pub(crate) const WORDS: usize = 64;

    pub(crate) fn new(words: &'static [AtomicU32]) -> Self {
        Self { words, next: AtomicUsize::new(0) }
    }

    pub(crate) fn take(&self) -> Slot {
        let first = self.next.fetch_add(2, Ordering::Relaxed) % Self::WORDS;
        let slot = Slot { release: &self.words[first], running: &self.words[first + 1] };
        for word in [slot.release, slot.running] {
            word.store(0, Ordering::Relaxed);
        }
        slot
    }
}
