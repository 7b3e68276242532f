//! Modes of captures.

/// Which calls of which threads end a capture; for a thread, which captures its calls may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Global,
    ThreadLocal,
    Relaxed,
}

impl Mode {
    /// The mode of a number that C has for it.
    pub(super) fn from_number(number: u32) -> Option<Self> {
        [Self::Global, Self::ThreadLocal, Self::Relaxed].get(number as usize).copied()
    }
}
