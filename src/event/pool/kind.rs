//! Which events can stand for each other.

use crate::event::flags::EventFlags;

/// Of the driver's flags `BLOCKING_SYNC` and `DISABLE_TIMING`, which are the lowest bits.
#[derive(Clone, Copy)]
pub(in crate::event) struct Kind(u32);

/// Of the kind with both.
const LAST: u32 = EventFlags::BLOCKING_SYNC.bits() | EventFlags::DISABLE_TIMING.bits();
pub(super) const KINDS: usize = LAST as usize + 1;

const _: () = assert!(KINDS == 4, "these are the lowest bits");

impl Kind {
    /// The kind of an event with these flags; `None` if it has others: such an event is its owner's alone.
    #[inline]
    pub(in crate::event) fn of(flags: u32) -> Option<Self> {
        (flags <= LAST).then_some(Self(flags))
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..=LAST).map(Self)
    }

    #[inline]
    pub(super) fn index(self) -> usize {
        self.0 as usize % KINDS
    }
}
