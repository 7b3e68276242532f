//! What this driver pretends to be, and whether it has been initialised.

use std::sync::atomic::{AtomicBool, Ordering};

use super::codes::{self, Outcome};
use super::fork;
use super::raw::{MODE_FULL, MODE_MISMATCH, MODE_NO_DEVICE, MODE_NULL, MODE_STUB, MODES};
use super::setting::Setting;

static MODE: Setting = Setting::new("SOFTCUDA_MODE", &MODES);
static INITIALIZED: AtomicBool = AtomicBool::new(false);

/// Changes the mode of the whole process. False for a number that is none.
pub(super) fn set(mode: u32) -> bool {
    MODE.set(mode)
}

/// What every call answers, whatever it is, in a mode where none does anything.
pub(super) fn answer_to_all() -> Option<Outcome> {
    match MODE.get() {
        MODE_NULL => Some(Ok(())),
        MODE_STUB => Some(Err(codes::STUB_LIBRARY)),
        _ => None,
    }
}

/// `cuInit`.
pub(super) fn initialize(flags: u32) -> Outcome {
    if flags != 0 {
        return Err(codes::INVALID_VALUE);
    }
    match MODE.get() {
        MODE_NO_DEVICE => return Err(codes::NO_DEVICE),
        MODE_MISMATCH => return Err(codes::SYSTEM_DRIVER_MISMATCH),
        _ => {}
    }
    fork::watch();
    INITIALIZED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Whether calls other than `cuInit` are let in.
pub(super) fn is_initialized() -> bool {
    INITIALIZED.load(Ordering::Relaxed) && MODE.get() == MODE_FULL
}
