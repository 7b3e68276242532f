//! What is said of two accesses that nothing orders.

use std::fmt;
use std::ops::Range;

use super::history::{Access, Touch};
use super::objects::{Role, StreamName};
use super::raw::Topic;
use super::report;

/// Memory as reports name it.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Allocation(u64),
    Pageable,
}

/// The bytes of a range.
struct Bytes<'a>(Place, &'a Range<u64>);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(place, Range { start, end }) = self;
        match place {
            Place::Allocation(_) => write!(f, "bytes {start}..{end}"),
            Place::Pageable => write!(f, "{} bytes at {start:#x}", end - start),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allocation(base) => write!(f, "the allocation at {base:#x}"),
            Self::Pageable => f.write_str("pageable memory"),
        }
    }
}

/// What is done with memory, for reports.
#[derive(Clone, Copy)]
pub(super) struct Deed<'a>(pub(super) Touch, pub(super) &'a str);

impl fmt::Display for Deed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self(_, call) if call.starts_with("cuMemAlloc") => "allocation",
            Self(_, call) if call.starts_with("cuMemFree") => "free",
            Self(_, "cuMemHostUnregister") => "end of the registration",
            Self(Touch::Read, _) => "read",
            Self(Touch::Write, _) => "write",
            Self(Touch::Atomic, _) => "atomic access",
        })
    }
}

impl Access {
    fn deed(&self) -> Deed<'_> {
        Deed(self.touch, self.call)
    }

    /// What did it.
    fn author(&self) -> String {
        self.kernel.as_ref().map_or_else(|| self.call.to_owned(), |entry| format!("kernel `{}`", entry.name))
    }
}

/// A stream that callers can name; for a branch of a graph the one that this is launched on.
struct Caller(StreamName);

impl Caller {
    fn is_branch(&self) -> bool {
        matches!(self.0.role, Role::Branch { .. })
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_branch() { f.write_str("the stream of its launch") } else { self.0.fmt(f) }
    }
}

/// What would order two accesses of streams.
fn remedy(first: &Access, second: &Access) -> String {
    let (one, two) = (first.deed(), second.deed());
    let (a, b) = (Caller(first.stream), Caller(second.stream));
    let calls = format!(
        "cuEventRecord on {a} after the {one} and cuStreamWaitEvent on {b} before the {two} would order them, \
         or a call between them that waits for {a}"
    );
    let edge = "an edge in its graph would order them";
    match (a.0.role, b.0.role) {
        // Of one launch: those of one executable follow each other.
        (Role::Branch { executable: one }, Role::Branch { executable: other }) if one == other => edge.to_owned(),
        _ if (a.is_branch() || b.is_branch()) && first.call == second.call => format!("if one launch does both, {edge}; else {calls}"),
        _ => calls,
    }
}

/// Reports two accesses of streams. The call that makes the second is told by the report.
pub(super) fn between_streams(first: &Access, second: &Access, place: Place) {
    let (one, two) = (first.deed(), second.deed());
    let kernel = second.kernel.as_ref().map_or_else(String::new, |entry| format!(" by kernel `{}`", entry.name));
    let bytes = Bytes(place, &second.range);
    let text = format!(
        "the {two} of {bytes} of {place} on {b}{kernel} is not ordered after the {one} of {before} on {a} by {author}; {remedy}",
        a = first.stream,
        b = second.stream,
        author = first.author(),
        before = Bytes(place, &first.range),
        remedy = remedy(first, second),
    );
    report::add(Topic::Race, text);
}

/// Reports an access of a stream that the host does not know to be done.
pub(super) fn with_the_host(first: &Access, deed: Deed<'_>, place: Place, range: &Range<u64>) {
    let text = format!(
        "the {deed} of {bytes} of {place} by the host is not ordered after the {one} of {before} on {a} by {author}; \
         cuStreamSynchronize of {caller} before the {deed} would order them, or cuEventSynchronize of an event recorded on it \
         after the {one}",
        bytes = Bytes(place, range),
        caller = Caller(first.stream),
        one = first.deed(),
        a = first.stream,
        author = first.author(),
        before = Bytes(place, &first.range),
    );
    report::add(Topic::Race, text);
}
