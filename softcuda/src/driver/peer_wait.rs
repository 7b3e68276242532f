//! Streams that wait for a record of another process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::codes::{self, Outcome};
use super::tickets::Foreign;

/// How long a thread sleeps before it looks whether its wait is over, and whether the other process is there.
pub(super) const PATIENCE: Duration = Duration::from_millis(10);

/// A stream's wait for a record.
#[derive(Debug)]
pub(super) struct PeerWait {
    pub(super) record: Foreign,
    /// Set when nobody needs the wait to hold any more, because of a fault.
    pub(super) over: Arc<AtomicBool>,
}

impl PeerWait {
    /// Waits for the record. An error if the wait is over.
    pub(super) fn run(&self) -> Outcome {
        while !self.record.wait(PATIENCE) {
            if self.over.load(Ordering::Acquire) {
                return Err(codes::CONTEXT_IS_DESTROYED);
            }
        }
        Ok(())
    }
}
