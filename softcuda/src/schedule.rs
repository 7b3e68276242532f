//! When work goes that nothing holds.

use crate::raw::{SCHEDULE_LAZY, SCHEDULE_PLAIN, SCHEDULE_SEEDED};

/// When the work of a [`Scope`](crate::Scope) goes: each schedule is one that a real driver might take.
///
/// Whatever the schedule, a stream does one thing after the other, and event waits and the barriers of
/// the legacy stream are kept. A program whose result depends on the schedule lacks a wait.
///
/// `SOFTCUDA_SCHEDULE=plain|lazy|seeded:N` is the schedule that the process's scope and every new one
/// begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// At once, beside all other work that may go.
    #[default]
    Plain,
    /// Not before somebody waits for it, and then only what has to be done for that, records of events
    /// included.
    ///
    /// Waiting is: to synchronise a stream, an event or a context, to copy synchronously, to free memory
    /// or end a context where that waits. After three queries in a row that found a stream's work held
    /// back, the next one counts as a wait, so that a program which polls goes on. A host that spins on
    /// memory instead of calling the driver waits for ever; so it may on hardware, which promises to
    /// begin nothing before a wait.
    Lazy,
    /// When chance says so, and at the latest when somebody waits for it as with [`Lazy`](Self::Lazy);
    /// work of other streams may then go before.
    ///
    /// The seed and the calls of the scope decide in which order work is let go: the same calls with the
    /// same seed give the same order. Copies and memsets are done on the spot, one at a time. Kernels and
    /// host functions begin in that order and run beside the host and each other, so that what waits for
    /// one that runs goes when it ends.
    Seeded(u64),
}

impl Schedule {
    /// Its number and its seed, as the driver knows it.
    pub(crate) fn raw(self) -> (u32, u64) {
        match self {
            Self::Plain => (SCHEDULE_PLAIN, 0),
            Self::Lazy => (SCHEDULE_LAZY, 0),
            Self::Seeded(seed) => (SCHEDULE_SEEDED, seed),
        }
    }
}
