//! The event word: which record an event stands for, and whether its work is known to be done.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use crate::sync::{AtomicU64, global, thread_local};

/// Zero until the first record; then the mark of the last one, and [`COMPLETE`](Self::COMPLETE)
/// once its work is known to be done.
///
/// Two rules keep it right while threads record and query at once:
/// * `record` calls the driver first and stores its mark after. Marks are never repeated, so a plain
///   store will do.
/// * Completion is published only by exchanging the very value that was read before the driver was
///   asked: if a record came between, the exchange fails and nothing is remembered.
pub(super) struct Word(AtomicU64);

/// What a word held at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen(u64);

impl Word {
    const COMPLETE: u64 = 1;
    /// The record is in a capture: it stands for no work.
    const CAPTURED: u64 = 2;
    /// Marks step over the low bits, which hold what is known of the record.
    const STEP: u64 = 4;

    /// Never recorded.
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Recorded by the call that builds the event.
    #[inline]
    pub(super) fn recorded() -> Self {
        Self(AtomicU64::new(next_mark()))
    }

    /// The same, of an event that takes this one's place.
    pub(super) fn moved(&self) -> Self {
        Self(AtomicU64::new(self.load().0))
    }

    #[inline]
    pub(super) fn load(&self) -> Seen {
        Seen(self.0.load(Ordering::Acquire))
    }

    /// Records: `driver` makes the driver's record.
    #[inline]
    pub(super) fn record<E>(&self, driver: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        driver()?;
        self.0.store(next_mark(), Ordering::Release);
        Ok(())
    }

    /// The same; it is in a capture if `is_captured` says so of its mark.
    pub(super) fn record_captured_if<E>(
        &self,
        driver: impl FnOnce() -> Result<(), E>,
        is_captured: impl FnOnce(u64) -> bool,
    ) -> Result<(), E> {
        driver()?;
        let mark = next_mark();
        let captured = if is_captured(mark) { Self::CAPTURED } else { 0 };
        self.0.store(mark | captured, Ordering::Release);
        Ok(())
    }

    /// Asks whether the work of the record that was `seen` is done: `driver` asks the driver, and that after, since it is called
    /// here. An error is any other answer than that it is.
    #[inline]
    pub(super) fn ask<E>(&self, seen: Seen, driver: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        driver()?;
        self.complete(seen);
        Ok(())
    }

    /// The driver has said, after `seen` was read, that the work is done.
    #[inline]
    fn complete(&self, seen: Seen) {
        if seen.is_recorded() && !seen.is_complete() {
            let _ = self.0.compare_exchange(seen.0, seen.0 | Self::COMPLETE, Ordering::Release, Ordering::Relaxed);
        }
    }
}

impl Seen {
    #[inline]
    pub(super) fn is_recorded(self) -> bool {
        self.0 != 0
    }

    #[inline]
    pub(super) fn is_complete(self) -> bool {
        self.0 & Word::COMPLETE != 0
    }

    /// Whether the record is in a capture.
    #[inline]
    pub(super) fn is_captured(self) -> bool {
        self.0 & Word::CAPTURED != 0
    }

    /// The mark of the record.
    pub(super) fn mark(self) -> u64 {
        self.0 & !(Word::STEP - 1)
    }

    /// Whether both stand for the same record.
    #[inline]
    pub(super) fn same_record(self, other: Self) -> bool {
        (self.0 ^ other.0) / Word::STEP == 0
    }
}

/// A mark that no other record in this process has: threads take them from blocks of their own.
#[inline]
fn next_mark() -> u64 {
    const BLOCK: u64 = Word::STEP << 20;
    thread_local! {
        static NEXT: Cell<u64> = const { Cell::new(0) };
    }

    #[cold]
    fn new_block() -> u64 {
        global! {
            static BLOCKS: AtomicU64 = AtomicU64::new(1);
        }
        BLOCKS.fetch_add(1, Ordering::Relaxed) * BLOCK
    }

    let next = NEXT.get();
    // A block's first mark is a multiple of its size; so is the mark after its last.
    let mark = if next.is_multiple_of(BLOCK) { new_block() } else { next };
    NEXT.set(mark + Word::STEP);
    mark
}

#[cfg(all(test, not(softcuda_shuttle)))]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::convert::Infallible;

    const MADE: fn() -> Result<(), Infallible> = || Ok(());

    #[test]
    fn completion_of_an_earlier_record_is_not_remembered() {
        let word = Word::new();
        word.record(MADE).unwrap();
        let seen = word.load();
        word.record(MADE).unwrap();
        word.complete(seen);
        assert!(!word.load().is_complete());
        assert!(!seen.same_record(word.load()));
    }

    #[test]
    fn completion_is_remembered_until_the_next_record() {
        let word = Word::recorded();
        let seen = word.load();
        word.complete(seen);
        assert!(word.load().is_complete());
        assert!(seen.same_record(word.load()));
        word.record(MADE).unwrap();
        assert!(word.load().is_recorded() && !word.load().is_complete());
    }

    #[test]
    fn a_captured_record_is_so_until_the_next() {
        let word = Word::new();
        let mut told = 0;
        let captured = |mark| {
            told = mark;
            true
        };
        word.record_captured_if(MADE, captured).unwrap();
        assert!(word.load().is_captured() && !word.load().is_complete());
        assert_eq!(word.load().mark(), told);
        word.record(MADE).unwrap();
        assert!(word.load().is_recorded() && !word.load().is_captured());
        word.record_captured_if(MADE, |_| false).unwrap();
        assert!(word.load().is_recorded() && !word.load().is_captured());
    }

    #[test]
    fn a_record_that_fails_changes_nothing() {
        let word = Word::recorded();
        let before = word.load();
        assert_eq!(word.record(|| Err("refused")), Err("refused"));
        assert_eq!(word.record_captured_if(|| Err("refused"), |_| true), Err("refused"));
        assert!(word.load() == before);
    }

    #[test]
    fn never_recorded_stays_so() {
        let word = Word::new();
        word.complete(word.load());
        assert!(!word.load().is_recorded());
    }

    #[test]
    fn marks_are_never_repeated() {
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(|| (0..1000).map(|_| next_mark()).collect::<Vec<_>>())).collect();
        let marks: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert!(marks.iter().all(|mark| *mark != 0 && mark % Word::STEP == 0));
        assert_eq!(marks.iter().collect::<HashSet<_>>().len(), marks.len());
    }
}
