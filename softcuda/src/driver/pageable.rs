//! How copies behave whose host memory is not page-locked.

use std::sync::atomic::{AtomicU32, Ordering};

use super::raw::{PAGEABLE_ASYNC, PAGEABLE_OBSERVED, PAGEABLES};
use super::report;

const NOT_READ_YET: u32 = u32::MAX;

static SETTING: AtomicU32 = AtomicU32::new(NOT_READ_YET);

/// Whether copies that the documentation lets be asynchronous are: then the caller's memory is read or
/// written when the copy's turn comes. Read from `SOFTCUDA_PAGEABLE` at the first copy unless set before.
pub(super) fn is_async() -> bool {
    let setting = match SETTING.load(Ordering::Relaxed) {
        NOT_READ_YET => from_environment(),
        setting => setting,
    };
    setting == PAGEABLE_ASYNC
}

/// Changes the setting of the whole process. False for a number that is none.
pub(super) fn set(setting: u32) -> bool {
    let known = PAGEABLES.iter().any(|(_, number)| *number == setting);
    if known {
        SETTING.store(setting, Ordering::Relaxed);
    }
    known
}

#[cold]
fn from_environment() -> u32 {
    let name = std::env::var("SOFTCUDA_PAGEABLE").unwrap_or_default();
    let setting = match PAGEABLES.iter().find(|(known, _)| *known == name) {
        Some((_, setting)) => *setting,
        None if name.is_empty() => PAGEABLE_OBSERVED,
        // Whoever loads this driver by its control API has been told in a better way.
        None => {
            report::to_stderr(&format!("SOFTCUDA_PAGEABLE={name} is none of {}", PAGEABLES.map(|(known, _)| known).join(", ")));
            std::process::abort();
        }
    };
    // Two threads may read at once; both find the same.
    match SETTING.compare_exchange(NOT_READ_YET, setting, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => setting,
        Err(set_meanwhile) => set_meanwhile,
    }
}
