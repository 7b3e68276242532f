//! How copies behave whose host memory is not page-locked.

use super::raw::{PAGEABLE_ASYNC, PAGEABLES};
use super::setting::Setting;

static SETTING: Setting = Setting::new("SOFTCUDA_PAGEABLE", &PAGEABLES);

/// Whether copies that the documentation lets be asynchronous are: then the caller's memory is read or
/// written when the copy's turn comes.
pub(super) fn is_async() -> bool {
    SETTING.get() == PAGEABLE_ASYNC
}

/// Changes the setting of the whole process. False for a number that is none.
pub(super) fn set(setting: u32) -> bool {
    SETTING.set(setting)
}
