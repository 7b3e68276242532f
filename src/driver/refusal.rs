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

/// The driver has refused a call of this thread.
#[cold]
pub(super) fn note(call: &'static str, code: ErrorCode) {
    if is_of_capture(code) && FIRST.get().is_none() {
        FIRST.set(Some((call, code)));
    }
}

/// Looks for such a refusal while it lives. What an outer one has seen stays seen.
pub(crate) struct Watch {
    before: Option<Refusal>,
    /// What it sees belongs to the thread.
    _thread: PhantomData<*const ()>,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        Self { before: FIRST.take(), _thread: PhantomData }
    }

    /// The first refusal since the last begin on this thread.
    pub(crate) fn seen() -> Option<Refusal> {
        FIRST.get()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        FIRST.set(self.before.or(FIRST.get()));
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
        FIRST.set(None);
    }
}
