//! What users have handed over, given up: it may call the driver when it is dropped, as cudarc's slices do.

use crate::context::{Context, Relaxed, Restore};
use crate::exceptions;
use crate::reaper;

/// Drops it with this context current, if that lives, and so that it ends no capture.
pub(crate) fn drop_now(context: Context, owner: impl Send) {
    if exceptions::check().is_err() {
        return drop(owner);
    }
    let _restore = Restore::new(context.driver());
    let _current = context.enter();
    let _relaxed = Relaxed::enter(context.driver());
    drop(owner);
}

/// The same soon after, on another thread.
pub(crate) fn drop_later(context: Context, owner: impl Send + 'static) {
    reaper::later(move || drop_now(context, owner));
}
