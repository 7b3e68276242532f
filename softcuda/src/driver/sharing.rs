//! Whether other processes share an event, and how this one came to it.

use std::sync::Arc;

use super::memory_file::MemoryFile;
use super::tickets::Tickets;

/// What an event is to other processes.
#[derive(Debug)]
pub(super) enum Sharing {
    /// Nothing: it was created so.
    Never,
    /// Nothing so far.
    NotYet,
    /// Theirs too. They find it as long as the file is open.
    Exported(Arc<Tickets>, MemoryFile),
    /// One of them has created it.
    Imported(Arc<Tickets>),
}

impl Sharing {
    /// The records of all processes.
    pub(super) fn tickets(&self) -> Option<&Arc<Tickets>> {
        match self {
            Self::Never | Self::NotYet => None,
            Self::Exported(tickets, _) | Self::Imported(tickets) => Some(tickets),
        }
    }
}
