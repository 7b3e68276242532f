//! Records in captures.

/// A record in a capture.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) capture: u64,
    /// The nodes that come before it, by their places.
    pub(super) nodes: Vec<usize>,
}
