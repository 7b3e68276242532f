//! What a capture of this thread may have died of: the first call that the driver refused because of a capture.

use std::cell::Cell;
use std::marker::PhantomData;

use crate::error::ErrorCode;

/// A driver function and its answer.
type Refusal = (&'static str, ErrorCode);

thread_local! {
    static FIRST: Cell<Option<Refusal>> = const { Cell::new(None) };
}

/// Whether this is one of the codes that speak of captures.
fn is_of_capture(code: ErrorCode) -> bool {
    (ErrorCode::STREAM_CAPTURE_UNSUPPORTED..=ErrorCode::STREAM_CAPTURE_WRONG_THREAD).contains(&code)
}

/// Whether a capture may have ended by a call that is refused so: others it survives.
fn may_end_a_capture(call: &str, code: ErrorCode) -> bool {
    let survives = match call {
        "cuEventElapsedTime" | "cuEventElapsedTime_v2" | "cuStreamBeginCapture_v2" | "cuStreamIsCapturing" => true,
        // Of an event of several processes.
        "cuEventRecord" => code == ErrorCode::STREAM_CAPTURE_UNSUPPORTED,
        _ => false,
    };
    is_of_capture(code) && !survives
}

/// The driver has refused a call of this thread.
#[cold]
pub(super) fn note(call: &'static str, code: ErrorCode) {
    if may_end_a_capture(call, code) && FIRST.get().is_none() {
        FIRST.set(Some((call, code)));
    }
}

/// Looks for such a refusal while it lives. What an outer one has seen stays seen; what this has seen it does not tell an
/// outer one, whose capture may have survived it.
pub(crate) struct Watch {
    before: Option<Refusal>,
    /// What it sees belongs to the thread.
    _thread: PhantomData<*const ()>,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        Self { before: FIRST.take(), _thread: PhantomData }
    }

    /// The first refusal since the last begin on this thread, but for those during inner ones.
    ///
    /// Not one that says that the capture had ended before: by a call that was not seen.
    pub(crate) fn seen() -> Option<Refusal> {
        FIRST.get().filter(|(_, code)| *code != ErrorCode::STREAM_CAPTURE_INVALIDATED)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        FIRST.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusal_of_a_capture_is_kept() {
        let outer = Watch::begin();
        note("cuEventQuery", ErrorCode::INVALID_HANDLE);
        assert_eq!(Watch::seen(), None, "which says nothing of captures");
        note("cuStreamBeginCapture_v2", ErrorCode::STREAM_CAPTURE_UNSUPPORTED);
        assert_eq!(Watch::seen(), None, "which no capture ends by");
        note("cuStreamQuery", ErrorCode::STREAM_CAPTURE_UNSUPPORTED);
        note("cuEventQuery", ErrorCode::STREAM_CAPTURE_INVALIDATED);
        let first = Some(("cuStreamQuery", ErrorCode::STREAM_CAPTURE_UNSUPPORTED));
        assert_eq!(Watch::seen(), first);
        let inner = Watch::begin();
        assert_eq!(Watch::seen(), None);
        note("cuCtxSynchronize", ErrorCode::STREAM_CAPTURE_UNSUPPORTED);
        drop(inner);
        assert_eq!(Watch::seen(), first);
        drop(outer);
        assert_eq!(Watch::seen(), None);
    }

    #[test]
    fn who_ends_an_inner_capture_is_not_blamed_for_the_outer_one() {
        let (outer, inner) = (Watch::begin(), Watch::begin());
        note("cuStreamWaitEvent", ErrorCode::STREAM_CAPTURE_ISOLATION);
        drop(inner);
        assert_eq!(Watch::seen(), None);
        let second = ("cuStreamQuery", ErrorCode::STREAM_CAPTURE_UNSUPPORTED);
        note(second.0, second.1);
        assert_eq!(Watch::seen(), Some(second));
        drop(outer);
    }

    #[test]
    fn who_comes_too_late_is_not_blamed() {
        let watch = Watch::begin();
        note("cuEventRecord", ErrorCode::STREAM_CAPTURE_INVALIDATED);
        note("cuStreamQuery", ErrorCode::STREAM_CAPTURE_UNSUPPORTED);
        assert_eq!(Watch::seen(), None);
        drop(watch);
    }
}
