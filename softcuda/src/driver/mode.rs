//! What this driver pretends to be, and whether it has been initialised.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::codes::{self, Outcome};
use super::report;

/// The driver works.
pub(super) const FULL: u32 = 0;
/// Every call answers success and does nothing: what still passes then tests nothing.
pub(super) const NULL: u32 = 1;
/// A driver on a machine without devices.
pub(super) const NO_DEVICE: u32 = 2;

const NOT_READ_YET: u32 = u32::MAX;

static MODE: AtomicU32 = AtomicU32::new(NOT_READ_YET);
static INITIALIZED: AtomicBool = AtomicBool::new(false);

/// The mode, read from `SOFTCUDA_MODE` at the first call unless it was set before.
pub(super) fn get() -> u32 {
    match MODE.load(Ordering::Relaxed) {
        NOT_READ_YET => from_environment(),
        mode => mode,
    }
}

/// Changes the mode of the whole process. False for a number that is none.
pub(super) fn set(mode: u32) -> bool {
    let known = mode <= NO_DEVICE;
    if known {
        MODE.store(mode, Ordering::Relaxed);
    }
    known
}

#[cold]
fn from_environment() -> u32 {
    let mode = match std::env::var("SOFTCUDA_MODE").as_deref() {
        Err(_) | Ok("" | "full") => FULL,
        Ok("null") => NULL,
        Ok("no-device") => NO_DEVICE,
        Ok(other) => {
            report::to_stderr(&format!("SOFTCUDA_MODE={other} is none of full, null, no-device"));
            std::process::abort();
        }
    };
    // Two threads may read at once; both find the same.
    match MODE.compare_exchange(NOT_READ_YET, mode, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => mode,
        Err(set_meanwhile) => set_meanwhile,
    }
}

/// `cuInit`.
pub(super) fn initialize(flags: u32) -> Outcome {
    if flags != 0 {
        return Err(codes::INVALID_VALUE);
    }
    if get() == NO_DEVICE {
        return Err(codes::NO_DEVICE);
    }
    INITIALIZED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Whether calls other than `cuInit` are let in.
pub(super) fn is_initialized() -> bool {
    INITIALIZED.load(Ordering::Relaxed) && get() != NO_DEVICE
}
