//! Misuse that a real driver answers with silence or a crash is written down here, and to stderr.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::calls;

static REPORTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Adds a report, with the call it was found in.
pub(super) fn add(what: impl std::fmt::Display) {
    let report = match calls::current() {
        Some(call) => format!("{call}: {what}"),
        None => what.to_string(),
    };
    to_stderr(&report);
    all().push(report);
}

/// One line that no test harness swallows, as it does with `eprintln!`.
pub(super) fn to_stderr(line: &str) {
    // Nothing can be done where stderr is closed.
    let _ = std::io::stderr().write_all(format!("softcuda: {line}\n").as_bytes());
}

/// Every report of this process so far.
pub(super) fn all() -> MutexGuard<'static, Vec<String>> {
    REPORTS.lock().unwrap_or_else(PoisonError::into_inner)
}
