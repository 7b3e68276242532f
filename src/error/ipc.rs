//! What is said of things that processes share.

use std::fmt;

use super::ErrorCode;

/// What processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IpcKind {
    /// An [`Event<Interprocess>`](crate::Interprocess).
    Event,
    /// Memory of a device.
    Memory,
}

impl fmt::Display for IpcKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => "event",
            Self::Memory => "memory",
        })
    }
}

/// Why something is not shared between processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IpcRefusal {
    /// The handle names nothing that this process can reach.
    Unreachable,
    /// Something that cannot be exported.
    NotExportable,
    /// The device, or the system, shares nothing between processes.
    Unsupported,
}

impl fmt::Display for IpcRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => {
                "the handle names nothing that this process can reach; are these the 64 bytes, does the process that exported it live, \
                 on this machine, with the same /dev/shm and process ids (containers), and is the device visible here?"
            }
            Self::NotExportable => {
                "only events made for it (`Event::interprocess`) and memory of `cuMemAlloc` can be exported, by the process that made \
                 them; memory that is allocated in stream order, as cudarc's, cannot: use `IpcMemory`"
            }
            Self::Unsupported => "this device shares nothing between processes (`DeviceAttribute::IPC_EVENT_SUPPORTED`)",
        })
    }
}

/// Who else may have exported what this process has, if the driver says so by this code: it goes by process ids.
pub(super) fn namesake(code: Option<ErrorCode>) -> &'static str {
    if code.is_some() { " (a process with the same id in another container is taken for this one)" } else { "" }
}
