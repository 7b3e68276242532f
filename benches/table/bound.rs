//! What a figure should be at most.

use std::fmt;

/// The figures of a row in nanoseconds a call.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) ours: f64,
    pub(crate) driver: f64,
    pub(crate) cudarc: f64,
    /// How far the driver was from itself, as a fraction: see [`crate::table`].
    pub(crate) spread: f64,
}

/// Of ours.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// Less than so many nanoseconds.
    Below(f64),
    /// The driver's and so many nanoseconds.
    Plus(f64),
    /// The driver's so many times.
    Times(f64),
    /// So many times in the driver's.
    FasterThanDriver(f64),
    /// So many times in cudarc's.
    FasterThanCudarc(f64),
}

/// At which numbers of threads a bound is meant; at each, if there are none.
pub(crate) type Bounds = &'static [(&'static [usize], Bound)];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// By less than the driver was from itself: this measurement cannot tell.
    MissedByNoise,
}

impl Bound {
    pub(crate) fn verdict(self, figures: Figures) -> Verdict {
        let Figures { ours, driver, cudarc, spread } = figures;
        let ceiling = match self {
            Self::Below(nanos) => return if ours < nanos { Verdict::Met } else { Verdict::Missed },
            Self::Plus(nanos) => driver + nanos,
            Self::Times(factor) => driver * factor,
            Self::FasterThanDriver(factor) => driver / factor,
            Self::FasterThanCudarc(factor) => cudarc / factor,
        };
        if ours <= ceiling {
            Verdict::Met
        } else if ours <= ceiling * (1.0 + spread) {
            Verdict::MissedByNoise
        } else {
            Verdict::Missed
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(nanos) => write!(f, "< {nanos}"),
            Self::Plus(nanos) => write!(f, "≤ driver + {nanos}"),
            Self::Times(factor) => write!(f, "≤ {factor} × driver"),
            Self::FasterThanDriver(factor) => write!(f, "driver / ours ≥ {factor}"),
            Self::FasterThanCudarc(factor) => write!(f, "cudarc / ours ≥ {factor}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "ok",
            Self::Missed => "MISSED",
            Self::MissedByNoise => "missed by less than driver / driver",
        })
    }
}
