//! What a caller names as one side of a copy.

use std::ffi::c_void;
use std::ptr;

/// Memory of the host that a caller named: readable, or writable, as the call needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostMemory(pub(super) *mut u8);

// SAFETY: whoever passed it promised that nobody uses it in a way that conflicts with the copy, on whichever thread.
unsafe impl Send for HostMemory {}
// SAFETY: as above; the address itself never changes.
unsafe impl Sync for HostMemory {}

impl HostMemory {
    /// The bytes at `start`, as many as the copy has.
    ///
    /// # Safety
    ///
    /// They are valid during the call, and until the copy is done unless the call waits for it: if they
    /// are page-locked, or if pageable memory is copied asynchronously. If a graph captures the copy they are
    /// valid whenever it runs.
    pub(super) unsafe fn new(start: *const c_void) -> Self {
        Self(start.cast_mut().cast())
    }

    pub(super) fn address(self) -> u64 {
        self.0.addr() as u64
    }
}

/// One side of a copy, as a caller names it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    /// Memory that devices reach.
    Device(u64),
    Host(HostMemory),
    /// Either: there is one address space for all memory.
    Unified(u64, HostMemory),
}

impl Side {
    /// Whatever is at `address`.
    ///
    /// # Safety
    ///
    /// If that is memory of the host, what `HostMemory::new` asks.
    pub(super) unsafe fn unified(address: u64) -> Self {
        // Lossless: addresses have 64 bits on every platform with this driver.
        let start = ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0));
        // SAFETY: the same promise.
        Self::Unified(address, unsafe { HostMemory::new(start) })
    }

    /// The address of memory that the driver is to know.
    pub(super) fn device_address(self) -> Option<u64> {
        if let Self::Device(address) = self { Some(address) } else { None }
    }

    pub(super) fn address(self) -> u64 {
        match self {
            Self::Device(address) | Self::Unified(address, _) => address,
            Self::Host(memory) => memory.address(),
        }
    }
}
