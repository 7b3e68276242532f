//! What errors name: contexts, events, libraries.

use std::fmt;

use super::ErrorCode;

/// Two contexts where one was needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{call}`: the event belongs to {event}, the other side to {other}: {}", advice(.call, *.code))]
#[non_exhaustive]
pub struct ContextMismatch {
    /// The driver function.
    pub call: &'static str,
    /// The event's context (of [`Which::Start`] for elapsed time).
    pub event: ContextName,
    /// The context of the stream or the end event.
    pub other: ContextName,
    /// The driver's answer; `None` if it need not be asked.
    pub code: Option<ErrorCode>,
}

/// What to do. A wait that the driver was not asked for is one for an interprocess event.
fn advice(call: &str, code: Option<ErrorCode>) -> &'static str {
    if call == "cuStreamWaitEvent" && code.is_none() {
        "an interprocess event is waited for by streams of its own context; let this stream wait for one of those (`wait_stream`)"
    } else {
        "both must be of one context"
    }
}

/// One place where the driver was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The library's name or path.
    pub name: &'static str,
    /// Why it is not the driver.
    pub reason: String,
}

impl Attempt {
    pub(crate) fn new(name: &'static str, reason: String) -> Self {
        Self { name, reason }
    }
}

/// The two events of an elapsed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// The one before the work.
    Start,
    /// The one after it.
    End,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::End => "end",
        })
    }
}

/// A context in an error message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ContextName {
    /// The device's ordinal.
    pub device: u32,
    /// The driver's id of the context, where the driver has ids (12.0).
    pub id: Option<u64>,
}

impl fmt::Display for ContextName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "context {id} of device {}", self.device),
            None => write!(f, "a context of device {}", self.device),
        }
    }
}

/// In one line.
pub(super) struct Attempts<'a>(pub(super) &'a [Attempt]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Attempt { name, reason }) in self.0.iter().enumerate() {
            write!(f, "{}{name} ({reason})", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
