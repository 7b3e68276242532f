//! When the copies and the kernels of a run were in flight.

/// From when until when something was in flight, in milliseconds after the start of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) begin: f64,
    pub(crate) end: f64,
}

impl Span {
    /// For how long both were in flight, in milliseconds.
    pub(crate) fn overlap(self, other: Self) -> f64 {
        (self.end.min(other.end) - self.begin.max(other.begin)).max(0.0)
    }
}

/// A run: the copy and the kernel of each chunk.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    pub(crate) copies: Vec<Span>,
    pub(crate) kernels: Vec<Span>,
}

impl Timeline {
    /// How long the run took, in milliseconds.
    pub(crate) fn end(&self) -> f64 {
        self.copies.iter().chain(&self.kernels).map(|span| span.end).fold(0.0, f64::max)
    }

    /// For how long a copy and a kernel were both in flight, in milliseconds.
    ///
    /// The copies are of one stream, and so are the kernels: neither overlap among themselves, and no
    /// time is counted twice.
    pub(crate) fn overlap(&self) -> f64 {
        self.copies.iter().flat_map(|copy| self.kernels.iter().map(|kernel| copy.overlap(*kernel))).sum()
    }
}
