//! Bytes: those of an allocation, and ranges of them that queued work holds.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::codes::{self, Outcome};
use super::device_file::{DeviceRange, Import};
use super::exports::Exported;

/// What fresh memory holds, so that nobody takes it for zeros.
pub(super) const FRESH: u8 = 0xA5;
/// Alignment of device memory, as on hardware.
pub(super) const ALIGN: usize = 512;
/// A page, for memory of the host.
const PAGE: usize = 4096;

/// Bytes that stay where they are until the last user is gone: queued work holds its memory alive.
#[derive(Debug)]
pub(super) struct Buffer {
    start: NonNull<u8>,
    bytes: usize,
    owner: Owner,
    /// No allocation has it any more.
    gone: AtomicBool,
}

/// Whose the bytes are.
#[derive(Debug)]
enum Owner {
    /// The allocator's.
    Heap(Layout),
    /// A caller's, who registered them.
    Caller,
    /// In the file of a device, so that they can be exported.
    Device(DeviceRange),
    /// Another process's.
    Import(Import),
}

// SAFETY: a buffer is a plain address and a size. Its bytes are only reached through raw pointers, by work whose
// order the program has to see to, as on a device.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Fresh memory for a device.
    pub(super) fn of_device(bytes: usize) -> Outcome<Self> {
        Self::fresh(bytes, ALIGN)
    }

    /// Fresh memory for a device that other processes can import, where the system lets them.
    pub(super) fn of_device_for_all(device: usize, bytes: usize) -> Outcome<Self> {
        match DeviceRange::new(device, bytes) {
            Some(range) => Ok(Self::new(range.start(), bytes, Owner::Device(range)).filled()),
            None => Self::of_device(bytes),
        }
    }

    /// Memory of another process.
    pub(super) fn of_peer(import: Import) -> Self {
        Self::new(import.start(), import.bytes(), Owner::Import(import))
    }

    /// Fresh page-locked memory.
    pub(super) fn of_host(bytes: usize) -> Outcome<Self> {
        Self::fresh(bytes, PAGE)
    }

    fn fresh(bytes: usize, align: usize) -> Outcome<Self> {
        Ok(Self::unfilled(bytes, align)?.filled())
    }

    fn filled(self) -> Self {
        // SAFETY: so long, and just allocated. Nobody else has it: it is this buffer's of the heap, or a range of a device's
        // file that was free, which no import covers, of a process that is there: an import is of a whole export, as the
        // file's table says, and ends before its range is free again.
        unsafe { self.start.write_bytes(FRESH, self.bytes) };
        self
    }

    fn new(start: NonNull<u8>, bytes: usize, owner: Owner) -> Self {
        Self { start, bytes, owner, gone: AtomicBool::new(false) }
    }

    /// Memory that nobody reads before he writes it.
    pub(super) fn unfilled(bytes: usize, align: usize) -> Outcome<Self> {
        let layout = Layout::from_size_align(bytes, align).map_err(|_| codes::OUT_OF_MEMORY)?;
        if bytes == 0 {
            return Err(codes::INVALID_VALUE);
        }
        // SAFETY: the size is not zero.
        let start = unsafe { std::alloc::alloc(layout) };
        let start = NonNull::new(start).ok_or(codes::OUT_OF_MEMORY)?;
        Ok(Self::new(start, bytes, Owner::Heap(layout)))
    }

    /// Memory of a caller, who promises that it stays until nothing uses this.
    pub(super) fn of_caller(start: NonNull<u8>, bytes: usize) -> Outcome<Self> {
        Layout::from_size_align(bytes, 1).map_err(|_| codes::INVALID_VALUE)?;
        Ok(Self::new(start, bytes, Owner::Caller))
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What other processes need to import it; none if they cannot.
    pub(super) fn export(&self) -> Option<Exported> {
        if let Owner::Device(range) = &self.owner { range.export() } else { None }
    }

    /// Whether other processes may have it too.
    pub(super) fn is_shared(&self) -> bool {
        match &self.owner {
            Owner::Device(range) => range.is_exported(),
            Owner::Import(_) => true,
            Owner::Heap(_) | Owner::Caller => false,
        }
    }

    /// What tells an export of another process from all others, if this is one.
    pub(super) fn imported(&self) -> Option<u64> {
        if let Owner::Import(import) = &self.owner { Some(import.token()) } else { None }
    }

    /// No allocation has it from now on.
    pub(super) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Owner::Heap(layout) = self.owner {
            // SAFETY: allocated by `unfilled` with this layout, and this is the owner.
            unsafe { std::alloc::dealloc(self.start.as_ptr(), layout) };
        }
    }
}

/// A range inside a buffer, which it keeps alive.
#[derive(Clone, Debug)]
pub(super) struct Span {
    buffer: Arc<Buffer>,
    offset: usize,
    bytes: usize,
}

impl Span {
    /// `bytes` from `offset`, which the buffer has.
    pub(super) fn new(buffer: Arc<Buffer>, offset: usize, bytes: usize) -> Self {
        Self { buffer, offset, bytes }
    }

    /// All of a buffer.
    pub(super) fn whole(buffer: Buffer) -> Self {
        let bytes = buffer.bytes();
        Self { buffer: Arc::new(buffer), offset: 0, bytes }
    }

    pub(super) fn start(&self) -> *mut u8 {
        // Inside the buffer, as whoever made the span has checked. Wrapping, because that is no matter of memory safety here.
        self.buffer.start().wrapping_add(self.offset)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the allocation was freed: the bytes are there, but no correct program can mean them.
    pub(super) fn is_gone(&self) -> bool {
        self.buffer.gone.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_memory_is_not_zero() {
        for buffer in [Buffer::of_device(3), Buffer::of_host(3)] {
            let span = Span::whole(buffer.unwrap());
            // SAFETY: the buffer has three bytes, which were just filled.
            assert_eq!(unsafe { span.start().cast::<[u8; 3]>().read() }, [FRESH; 3]);
        }
    }
}
