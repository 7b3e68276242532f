//! Handles: opaque numbers that tell their kind, shaped like the aligned addresses of a real driver.

use std::ffi::c_void;
use std::fmt;
use std::ptr;

use super::abi::Argument;
use super::codes::Outcome;

/// What a handle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Context = 1,
    Stream,
    Event,
    Module,
    Function,
    Pool,
    GreenContext,
    /// What a green context is to have: no object, the number says it.
    Resources,
    Graph,
    GraphNode,
    Executable,
    UserObject,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Context,
        Self::Stream,
        Self::Event,
        Self::Module,
        Self::Function,
        Self::Pool,
        Self::GreenContext,
        Self::Resources,
        Self::Graph,
        Self::GraphNode,
        Self::Executable,
        Self::UserObject,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Context => "context",
            Self::Stream => "stream",
            Self::Event => "event",
            Self::Module => "module",
            Self::Function => "function",
            Self::Pool => "memory pool",
            Self::GreenContext => "green context",
            Self::Resources => "resource descriptor",
            Self::Graph => "graph",
            Self::GraphNode => "node of a graph",
            Self::Executable => "executable graph",
            Self::UserObject => "user object",
        })
    }
}

/// Above the serial number, below the end of a 47-bit address space.
const KIND_SHIFT: u32 = 43;
/// Aligned as an allocation would be: callers may keep marks in the low bits.
const ALIGN_SHIFT: u32 = 4;

/// A handle as C sees it.
pub(super) type RawHandle = *mut c_void;

/// A handle as it came from the caller, or as it goes to him. Never dereferenced by anyone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle(u64);

impl Handle {
    pub(super) const NULL: Self = Self(0);
    /// The legacy default stream by its other name.
    pub(super) const LEGACY_STREAM: Self = Self(1);
    /// The default stream of the calling thread.
    pub(super) const PER_THREAD_STREAM: Self = Self(2);

    /// The handle of the object `serial`. Serial numbers are never reused, except those of contexts.
    pub(super) fn new(kind: Kind, serial: u64) -> Self {
        Self((kind as u64) << KIND_SHIFT | serial << ALIGN_SHIFT)
    }

    /// What it stands for, if it is shaped like a handle.
    pub(super) fn kind(self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| self.serial(*kind).is_some())
    }

    /// The serial number, if this is a handle of `kind`.
    pub(super) fn serial(self, kind: Kind) -> Option<u64> {
        let unaligned = self.0 & ((1 << ALIGN_SHIFT) - 1);
        (self.0 >> KIND_SHIFT == kind as u64 && unaligned == 0).then_some((self.0 & ((1 << KIND_SHIFT) - 1)) >> ALIGN_SHIFT)
    }

    /// As C sees it.
    pub(super) fn raw(self) -> RawHandle {
        // Lossless where handles are made: addresses have 64 bits on every platform with this driver.
        ptr::without_provenance_mut(usize::try_from(self.0).unwrap_or(0))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Argument for Handle {
    type Abi = RawHandle;

    unsafe fn accept(abi: RawHandle) -> Outcome<Self> {
        Ok(Self(abi.addr() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_tells_its_kind() {
        let stream = Handle::new(Kind::Stream, 7);
        assert_eq!(stream.serial(Kind::Stream), Some(7));
        assert_eq!(stream.serial(Kind::Event), None);
        assert_eq!(Handle::PER_THREAD_STREAM.serial(Kind::Stream), None);
    }

    #[test]
    fn a_marked_handle_is_none() {
        let Handle(value) = Handle::new(Kind::Event, 3);
        assert_eq!(Handle(value | 1).serial(Kind::Event), None);
    }
}
