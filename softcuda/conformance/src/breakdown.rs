//! How a probe ends that has no outcome of its own: it broke down, or the process under it did.

/// A signal ended the process.
pub(crate) const CRASH: &str = "crash: ";
/// The process was gone before its time, with this status.
pub(crate) const EXIT: &str = "exit: ";
/// The process did not answer in time.
pub(crate) const HANGS: &str = "hangs";
/// The probe panicked, because a call that it builds on was refused.
pub(crate) const PANICS: &str = "panics";
/// What the probes share could not be made.
pub(crate) const NO_FIXTURE: &str = "no fixture: ";
/// The process ended as if it had nothing to do.
pub(crate) const NO_OUTCOME: &str = "no outcome";
/// Nothing released a hold: the probe has not seen what it looks for.
pub(crate) const HOLD_TIMED_OUT: &str = "hold timed out: ";

/// Whether an outcome is one of these.
pub(crate) fn is_breakdown(outcome: &str) -> bool {
    let all = [CRASH, EXIT, HANGS, PANICS, NO_FIXTURE, NO_OUTCOME, HOLD_TIMED_OUT];
    outcome.is_empty() || all.iter().any(|breakdown| outcome.starts_with(breakdown))
}
