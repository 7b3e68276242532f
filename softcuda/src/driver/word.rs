//! Words in memory that streams wait for and write, while the host and other streams do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::buffer::Span;
use super::codes::{self, Outcome};
use super::raw::Topic;
use super::report;

/// How long a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Bits32,
    Bits64,
}

impl Width {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Bits32 => size_of::<u32>(),
            Self::Bits64 => size_of::<u64>(),
        }
    }
}

/// A word, and the memory that it lies in.
#[derive(Debug)]
pub(super) struct Word {
    memory: Span,
    width: Width,
}

impl Word {
    /// The word that fills `memory`; none if that is not as long, or not aligned.
    pub(super) fn new(memory: Span, width: Width) -> Option<Self> {
        let fits = memory.bytes() == width.bytes() && memory.start().addr().is_multiple_of(width.bytes());
        fits.then_some(Self { memory, width })
    }

    fn load(&self) -> u64 {
        match self.width {
            // SAFETY: aligned, and in memory that the span holds, by `new`, or that its caller registered and has to keep
            // until the work on it is done. Who writes it meanwhile does so by an atomic store: anything else is a race
            // on a device too.
            Width::Bits32 => unsafe { AtomicU32::from_ptr(self.memory.start().cast()) }.load(Ordering::Acquire).into(),
            // SAFETY: as above.
            Width::Bits64 => unsafe { AtomicU64::from_ptr(self.memory.start().cast()) }.load(Ordering::Acquire),
        }
    }

    /// Writes the word; of a word of 32 bits the lower half of `value`.
    pub(super) fn store(&self, value: u64) {
        match self.width {
            // SAFETY: as for `load`.
            Width::Bits32 => unsafe { AtomicU32::from_ptr(self.memory.start().cast()) }.store(lower_half(value), Ordering::Release),
            // SAFETY: as for `load`.
            Width::Bits64 => unsafe { AtomicU64::from_ptr(self.memory.start().cast()) }.store(value, Ordering::Release),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "which is what this is for")]
fn lower_half(value: u64) -> u32 {
    value as u32
}

/// How a word must compare with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// At or after it, on a circle.
    AtLeast,
    Equal,
    /// A bit is set in both.
    And,
    /// A bit is set in neither.
    Nor,
}

impl Condition {
    fn holds(self, width: Width, word: u64, value: u64) -> bool {
        match (self, width) {
            (Self::AtLeast, Width::Bits32) => lower_half(word).wrapping_sub(lower_half(value)).cast_signed() >= 0,
            (Self::AtLeast, Width::Bits64) => word.wrapping_sub(value).cast_signed() >= 0,
            (Self::Equal, Width::Bits32) => lower_half(word) == lower_half(value),
            (Self::Equal, Width::Bits64) => word == value,
            (Self::And, Width::Bits32) => lower_half(word & value) != 0,
            (Self::And, Width::Bits64) => word & value != 0,
            (Self::Nor, Width::Bits32) => lower_half(!(word | value)) != 0,
            (Self::Nor, Width::Bits64) => !(word | value) != 0,
        }
    }
}

/// A stream's wait for a word.
#[derive(Debug)]
pub(super) struct ValueWait {
    pub(super) word: Word,
    pub(super) condition: Condition,
    pub(super) value: u64,
    /// Set when nobody needs the wait to hold any more, because of a fault or because its context ends.
    pub(super) over: Arc<AtomicBool>,
}

/// How often the word is looked at before the thread sleeps in between, and for how long it sleeps.
const EAGER_LOOKS: u32 = 64;
const SHORTEST_SLEEP: Duration = Duration::from_micros(10);
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

impl ValueWait {
    /// Looks at the word until it fits. An error if it is over, or if the word was freed.
    pub(super) fn run(&self) -> Outcome {
        let mut sleep = SHORTEST_SLEEP;
        for look in 0_u64.. {
            // Asked before the word is looked at: what was written before the end counts.
            let (over, gone) = (self.over.load(Ordering::Acquire), self.word.memory.is_gone());
            if self.condition.holds(self.word.width, self.word.load(), self.value) {
                return Ok(());
            }
            if over {
                return Err(codes::CONTEXT_IS_DESTROYED);
            }
            if gone {
                report::add(Topic::Memory, "a stream waits for a word in memory that was freed");
                return Err(codes::ILLEGAL_ADDRESS);
            }
            if look < EAGER_LOOKS.into() {
                thread::yield_now();
            } else {
                // Nobody can tell this thread: the host writes the word by a plain store.
                thread::sleep(sleep);
                sleep = LONGEST_SLEEP.min(sleep * 2);
            }
        }
        unreachable!("the range has no end")
    }
}

/// A stream's write to a word.
#[derive(Debug)]
pub(super) struct ValueWrite {
    pub(super) word: Word,
    pub(super) value: u64,
}

impl ValueWrite {
    pub(super) fn run(&self) {
        self.word.store(self.value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::buffer::Buffer;
    use super::*;

    #[test]
    fn values_are_compared_on_a_circle() {
        let at_least = |word, value| Condition::AtLeast.holds(Width::Bits32, word, value);
        assert!(at_least(5, 5) && at_least(6, 5) && !at_least(4, 5));
        assert!(at_least(1, 0xffff_fffe), "one after the greatest but one");
        assert!(!at_least(0xffff_fffe, 1));
        assert!(Condition::AtLeast.holds(Width::Bits64, 0xffff_fffe, 1));
        assert!(Condition::AtLeast.holds(Width::Bits64, 1, u64::MAX));
    }

    #[test]
    fn bits_above_a_word_do_not_count() {
        let high = 1 << 40;
        assert!(Condition::Equal.holds(Width::Bits32, 7, high | 7));
        assert!(!Condition::Equal.holds(Width::Bits64, 7, high | 7));
        assert!(!Condition::And.holds(Width::Bits32, high, high));
        assert!(Condition::And.holds(Width::Bits64, high, high));
        assert!(!Condition::Nor.holds(Width::Bits32, 0xffff_0000, 0xffff));
        assert!(Condition::Nor.holds(Width::Bits64, 0xffff_0000, 0xffff));
    }

    #[test]
    fn a_word_is_as_long_as_its_memory() {
        let memory = || Span::whole(Buffer::of_device(8).unwrap());
        assert!(Word::new(memory(), Width::Bits32).is_none());
        let word = Word::new(memory(), Width::Bits64).unwrap();
        word.store(u64::MAX - 1);
        assert_eq!(word.load(), u64::MAX - 1);
    }

    #[test]
    fn a_freed_word_ends_a_wait_unless_it_fits() {
        let buffer = Buffer::of_device(4).unwrap();
        buffer.set_gone();
        let memory = Span::whole(buffer);
        Word::new(memory.clone(), Width::Bits32).unwrap().store(1);
        let wait = |value| {
            let word = Word::new(memory.clone(), Width::Bits32).unwrap();
            ValueWait { word, condition: Condition::Equal, value, over: Arc::new(AtomicBool::new(false)) }
        };
        assert_eq!(wait(1).run(), Ok(()));
        assert_eq!(wait(2).run(), Err(codes::ILLEGAL_ADDRESS));
    }

    #[test]
    fn a_wait_that_is_over_still_sees_what_was_written() {
        let word = Word::new(Span::whole(Buffer::of_device(4).unwrap()), Width::Bits32).unwrap();
        word.store(1);
        let wait = |value| {
            let word = Word::new(word.memory.clone(), word.width).unwrap();
            ValueWait { word, condition: Condition::Equal, value, over: Arc::new(AtomicBool::new(true)) }
        };
        assert_eq!(wait(1).run(), Ok(()));
        assert_eq!(wait(2).run(), Err(codes::CONTEXT_IS_DESTROYED));
    }
}
