//! Forked children: a real driver knows itself to be in one, and so does this.
//!
//! A child has the memory of its parent and one thread of it. Nothing here may be locked there: whoever held a
//! lock in the parent does not release it in the child.

#[cfg(not(any(miri, softcuda_shuttle)))]
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use super::codes::{self, Outcome};

static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// What answers success to a child, as a real driver was seen to do (580.159.04). Here nothing is done, and no place written.
const ANSWERED: [&str; 10] = [
    "cuEventQuery",
    "cuEventDestroy_v2",
    "cuEventRecord",
    "cuStreamQuery",
    "cuStreamIsCapturing",
    "cuStreamBeginCapture_v2",
    "cuThreadExchangeStreamCaptureMode",
    "cuGraphLaunch",
    "cuUserObjectRelease",
    "cuLaunchHostFunc",
];

/// From now on a child of this process knows that it is one.
#[cfg(not(any(miri, softcuda_shuttle)))]
pub(super) fn watch() {
    type Handler = Option<unsafe extern "C" fn()>;
    unsafe extern "C" {
        fn pthread_atfork(prepare: Handler, parent: Handler, child: Handler) -> i32;
    }
    unsafe extern "C" fn in_child() {
        IS_CHILD.store(true, Ordering::Relaxed);
    }
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        // SAFETY: the handler stores to an atomic, which is allowed in any child; a library that is unloaded takes its handlers along.
        unsafe { pthread_atfork(None, None, Some(in_child)) };
    });
}

/// There are no children.
#[cfg(any(miri, softcuda_shuttle))]
pub(super) fn watch() {}

/// What a call answers in a child of a process that has initialised the driver, without doing anything. None elsewhere,
/// and for what needs no driver.
pub(super) fn answer(function: &str, before_init: bool) -> Option<Outcome> {
    if is_child() { answer_in_child(function, before_init) } else { None }
}

/// Whether this is a child of a process that has initialised the driver.
pub(super) fn is_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

#[cold]
fn answer_in_child(function: &str, before_init: bool) -> Option<Outcome> {
    if ANSWERED.contains(&function) {
        Some(Ok(()))
    } else if before_init && function != "cuInit" {
        None
    } else {
        Some(Err(codes::NOT_INITIALIZED))
    }
}

#[cfg(test)]
mod tests {
    use super::super::api::EXPORTS;
    use super::*;

    #[test]
    fn a_child_has_its_parents_handles_and_no_driver() {
        assert_eq!(answer("cuStreamCreate", false), None, "no child");
        assert_eq!(answer_in_child("cuEventQuery", true), Some(Ok(())));
        for function in ANSWERED {
            assert!(EXPORTS.iter().any(|(name, _)| *name == function), "{function}");
        }
        assert_eq!(answer_in_child("cuGetErrorName", true), None);
        for function in ["cuInit", "cuEventCreate"] {
            assert_eq!(answer_in_child(function, function == "cuInit"), Some(Err(codes::NOT_INITIALIZED)));
        }
    }
}
