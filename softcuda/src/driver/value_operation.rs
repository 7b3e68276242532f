//! What a caller wants a stream to do with a word in memory.

use super::word::Width;

/// What a stream does with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Wait,
    Write,
}

/// One operation, as a caller asks for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub(super) kind: Kind,
    pub(super) width: Width,
    pub(super) address: u64,
    pub(super) value: u64,
    pub(super) flags: u32,
}
