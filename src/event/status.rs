//! The states of an event, as far as they can be told.

use super::inner::Inner;
use crate::error::{Error, Result};
use crate::exceptions;

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventStatus {
    /// Never recorded. Not told for an event that others may record: whose raw handle was given out, that
    /// is shared with other processes, or that a graph has a node of.
    NotRecorded,
    /// The work before the mark is not done.
    Pending,
    /// The work before the mark is done.
    Complete,
    /// Last recorded inside a stream capture: it stands for no work.
    Captured,
}

pub(super) fn status(inner: &Inner) -> Result<EventStatus> {
    if inner.is_never_recorded() {
        return exceptions::check().map(|()| EventStatus::NotRecorded);
    }
    from_query(inner.query())
}

/// What the answer to a query says of an event that may have been recorded.
pub(super) fn from_query(answer: Result<bool>) -> Result<EventStatus> {
    match answer {
        Ok(true) => Ok(EventStatus::Complete),
        Ok(false) => Ok(EventStatus::Pending),
        Err(Error::Captured { .. }) => Ok(EventStatus::Captured),
        Err(error) => Err(error),
    }
}
