//! What exists inside the driver.

use crate::raw;
use crate::software::required;

/// What exists inside the driver, of what the threads of a [`Scope`](crate::Scope) have created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Live {
    /// Streams that were created and not destroyed.
    pub streams: u64,
    /// Events that were created and not destroyed.
    pub events: u64,
    /// Allocations of device and pinned memory that were not freed.
    pub allocations: u64,
    /// Primary contexts that are retained.
    pub contexts: u64,
    /// Threads that do work. None is left when the driver has nothing to do.
    pub threads: u64,
    /// Graphs that were captured or created and not destroyed. They are of no device, and so are the next two.
    pub graphs: u64,
    /// Executable graphs that were not destroyed.
    pub executables: u64,
    /// User objects that the program, a graph or an executable still refers to: one that only a launch under way keeps is
    /// none of them.
    pub user_objects: u64,
}

/// What a scope has on a device.
pub(crate) fn live_in(scope: u64, device: u32) -> Live {
    let driver = required();
    let count = |kind| {
        // SAFETY: the function takes numbers and may be called at any time.
        unsafe { (driver.softcuda_live)(kind, scope, device) }
    };
    Live {
        streams: count(raw::LIVE_STREAMS),
        events: count(raw::LIVE_EVENTS),
        allocations: count(raw::LIVE_ALLOCATIONS),
        contexts: count(raw::LIVE_CONTEXTS),
        threads: count(raw::LIVE_THREADS),
        graphs: count(raw::LIVE_GRAPHS),
        executables: count(raw::LIVE_EXECUTABLES),
        user_objects: count(raw::LIVE_USER_OBJECTS),
    }
}
