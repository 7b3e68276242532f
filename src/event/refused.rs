//! Why the driver has refused a call on an event.

use super::flags::EventFlags;
use super::inner::Inner;
use super::{captured, mismatch};
use crate::context::Context;
use crate::driver::Answer;
use crate::error::{ContextName, Error, ErrorCode};

impl Inner {
    /// Why the driver refused a call that asks something of the last record: an event that was
    /// captured has none.
    #[cold]
    pub(super) fn refused_or_captured(&self, answer: Answer, other: Context) -> Error {
        captured(answer).unwrap_or_else(|| self.refused(answer, other))
    }

    /// Why the driver refused a call on this event and something of `other`.
    #[cold]
    pub(super) fn refused(&self, answer: Answer, other: Context) -> Error {
        let home = self.home().unwrap_or(other);
        match answer.code() {
            Some(ErrorCode::INVALID_HANDLE) if home != other => self.mismatch(answer.call(), other.name(), answer.code()),
            Some(ErrorCode::CONTEXT_IS_DESTROYED) if home != other => {
                home.verify().and(other.verify()).err().unwrap_or_else(|| answer.error())
            }
            Some(code @ ErrorCode::STREAM_CAPTURE_UNSUPPORTED)
                if answer.call() == "cuEventRecord" && self.flags().contains(EventFlags::INTERPROCESS) =>
            {
                Error::NotExternal { call: answer.call(), code }
            }
            _ => other.refused(answer),
        }
    }

    #[cold]
    pub(super) fn mismatch(&self, call: &'static str, other: ContextName, code: Option<ErrorCode>) -> Error {
        mismatch(call, self.home().map_or(other, Context::name), other, code)
    }
}
