//! What this driver pretends to be, and whether it has been initialised.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::codes::{self, Outcome};
use super::raw::{MODE_FULL, MODE_NO_DEVICE, MODES};
use super::report;

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
    let known = MODES.iter().any(|(_, number)| *number == mode);
    if known {
        MODE.store(mode, Ordering::Relaxed);
    }
    known
}

#[cold]
fn from_environment() -> u32 {
    let name = std::env::var("SOFTCUDA_MODE").unwrap_or_default();
    let mode = match MODES.iter().find(|(known, _)| *known == name) {
        Some((_, mode)) => *mode,
        None if name.is_empty() => MODE_FULL,
        None => report::refuse_variable("SOFTCUDA_MODE", &name, &MODES.map(|(known, _)| known).join(", ")),
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
    if get() == MODE_NO_DEVICE {
        return Err(codes::NO_DEVICE);
    }
    INITIALIZED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Whether calls other than `cuInit` are let in.
pub(super) fn is_initialized() -> bool {
    INITIALIZED.load(Ordering::Relaxed) && get() != MODE_NO_DEVICE
}
