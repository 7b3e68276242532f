//! Which events can stand for each other.

use crate::event::flags::EventFlags;

/// Of the driver's flags `BLOCKING_SYNC` and `DISABLE_TIMING`, which are the lowest bits.
#[derive(Clone, Copy)]
pub(in crate::event) struct Kind(u8);

pub(super) const KINDS: usize = 4;

const _: () = assert!((EventFlags::BLOCKING_SYNC.bits() | EventFlags::DISABLE_TIMING.bits()) as usize == KINDS - 1);

impl Kind {
    /// The kind of an event with these flags; `None` if it has others: such an event is its owner's alone.
    #[inline]
    pub(in crate::event) fn of(flags: u32) -> Option<Self> {
        u8::try_from(flags).ok().map(Self).filter(|kind| usize::from(kind.0) < KINDS)
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..).take(KINDS).map(Self)
    }

    #[inline]
    pub(super) fn index(self) -> usize {
        usize::from(self.0) % KINDS
    }
}
