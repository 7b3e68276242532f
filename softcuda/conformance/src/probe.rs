//! What a probe is: a name, a revision, and a function that answers with what it saw.

use crate::driver::Driver;
use crate::fixture::Fixture;
use crate::outcome::Outcome;

/// One probe. Its outcome is one line of a recording.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    pub(crate) name: &'static str,
    pub(crate) revision: u32,
    pub(crate) body: Body,
}

/// Where a probe runs. Each has a thread of its own, so that what it makes current is its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    /// With the primary context of device 0 current.
    Current(fn(&Fixture) -> Outcome),
    /// With no context current.
    Bare(fn(&Fixture) -> Outcome),
    /// In a process of its own that has not called `cuInit`: what may crash, or spoil the process.
    Alone(fn(&'static Driver) -> Outcome),
}

impl Probe {
    pub(crate) const fn current(name: &'static str, body: fn(&Fixture) -> Outcome) -> Self {
        Self { name, revision: 1, body: Body::Current(body) }
    }

    pub(crate) const fn bare(name: &'static str, body: fn(&Fixture) -> Outcome) -> Self {
        Self { name, revision: 1, body: Body::Bare(body) }
    }

    pub(crate) const fn alone(name: &'static str, body: fn(&'static Driver) -> Outcome) -> Self {
        Self { name, revision: 1, body: Body::Alone(body) }
    }

    /// Marks a probe whose function now asks something else: goldens are to be recorded anew.
    #[expect(dead_code, reason = "every probe still has its first revision")]
    pub(crate) const fn revision(self, revision: u32) -> Self {
        Self { revision, ..self }
    }

    /// Runs only where there are two devices.
    pub(crate) fn needs_two_devices(&self) -> bool {
        self.name.starts_with("two: ")
    }

    /// Must it have a process of its own?
    pub(crate) fn runs_alone(&self) -> bool {
        matches!(self.body, Body::Alone(_))
    }
}
