//! Memory: what is allocated where, and how an address becomes bytes.

use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::Arc;

use super::codes::{self, Outcome};
use super::device;
use super::scope::{self, ScopeId};

/// What fresh memory holds, so that nobody takes it for zeros.
const FRESH: u8 = 0xA5;
/// Alignment of every allocation, as on hardware.
const ALIGN: usize = 512;
/// A page, for memory of the host.
const PAGE: usize = 4096;
/// Device addresses begin where no host address can be: reading one on the host faults at once.
const DEVICE_SPACE: u64 = 1 << 48;

/// Bytes that stay where they are until the last user is gone: queued work holds its memory alive.
#[derive(Debug)]
pub(super) struct Buffer {
    start: NonNull<u8>,
    layout: Layout,
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

    /// Fresh page-locked memory.
    pub(super) fn of_host(bytes: usize) -> Outcome<Self> {
        Self::fresh(bytes, PAGE)
    }

    fn fresh(bytes: usize, align: usize) -> Outcome<Self> {
        let buffer = Self::unfilled(bytes, align)?;
        // SAFETY: the allocation was just made, `bytes` long.
        unsafe { buffer.start.write_bytes(FRESH, bytes) };
        Ok(buffer)
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
        Ok(Self { start, layout })
    }

    fn bytes(&self) -> usize {
        self.layout.size()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated by `unfilled` with this layout, and this is the owner.
        unsafe { std::alloc::dealloc(self.start.as_ptr(), self.layout) };
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
    /// All of a buffer.
    pub(super) fn whole(buffer: Buffer) -> Self {
        let bytes = buffer.bytes();
        Self { buffer: Arc::new(buffer), offset: 0, bytes }
    }

    pub(super) fn start(&self) -> *mut u8 {
        // Inside the buffer: `Memory::span` checked it. Wrapping, because that is no matter of memory safety here.
        self.buffer.start.as_ptr().wrapping_add(self.offset)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Where an allocation lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// The device of this number.
    Device(usize),
    /// Page-locked memory of the host, which devices reach by the same address.
    Host,
}

/// One allocation.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) context: u64,
    /// Who allocated it.
    pub(super) scope: ScopeId,
    pub(super) home: Home,
    /// The call that frees it has been made: work enqueued later is wrong in any order.
    pub(super) freed: bool,
    buffer: Arc<Buffer>,
}

impl Allocation {
    fn new(context: u64, home: Home, buffer: Buffer) -> Self {
        Self { context, scope: scope::current(), home, freed: false, buffer: Arc::new(buffer) }
    }

    /// Whether this is memory of a device that can be freed.
    pub(super) fn is_live_on_device(&self) -> bool {
        self.home != Home::Host && !self.freed
    }
}

/// Everything that is allocated, by address.
#[derive(Debug)]
pub(super) struct Memory {
    allocations: BTreeMap<u64, Allocation>,
    /// Bytes handed out so far; addresses are never reused, so that a stale one is found out.
    reached: [u64; device::COUNT],
    used: [usize; device::COUNT],
}

impl Memory {
    pub(super) const fn new() -> Self {
        Self { allocations: BTreeMap::new(), reached: [0; device::COUNT], used: [0; device::COUNT] }
    }

    /// Whether a device has room for `bytes`.
    pub(super) fn check_room(&self, device: usize, bytes: usize) -> Outcome {
        if bytes <= self.free_bytes(device) { Ok(()) } else { Err(codes::OUT_OF_MEMORY) }
    }

    /// Makes a buffer memory of a device that has room.
    pub(super) fn add(&mut self, context: u64, device: usize, buffer: Buffer) -> u64 {
        let bytes = buffer.bytes();
        let address = DEVICE_SPACE * (device as u64 + 1) + self.reached[device];
        // One gap at least, so that the end of an allocation is not the start of the next.
        self.reached[device] += (bytes + 1).next_multiple_of(ALIGN) as u64;
        self.used[device] += bytes;
        self.allocations.insert(address, Allocation::new(context, Home::Device(device), buffer));
        address
    }

    /// Makes a buffer page-locked memory of the host; its device address is its own.
    pub(super) fn add_host(&mut self, context: u64, buffer: Buffer) -> *mut u8 {
        let start = buffer.start.as_ptr();
        self.allocations.insert(start.addr() as u64, Allocation::new(context, Home::Host, buffer));
        start
    }

    /// The allocation that begins at `address`.
    pub(super) fn at(&mut self, address: u64) -> Option<&mut Allocation> {
        self.allocations.get_mut(&address)
    }

    /// Takes the allocation at `address` away; its bytes stay as long as queued work holds them.
    pub(super) fn remove(&mut self, address: u64) {
        if let Some(allocation) = self.allocations.remove(&address) {
            give_back(&mut self.used, &allocation);
        }
    }

    /// Takes away all that `context` has allocated.
    pub(super) fn remove_context(&mut self, context: u64) {
        let used = &mut self.used;
        self.allocations.retain(|_, allocation| {
            let stays = allocation.context != context;
            if !stays {
                give_back(used, allocation);
            }
            stays
        });
    }

    /// Where the allocation that holds `address` begins, and its length.
    pub(super) fn bounds(&self, address: u64) -> Option<(u64, usize)> {
        let (start, allocation) = self.allocations.range(..=address).next_back()?;
        let bytes = allocation.buffer.bytes();
        (address - start < bytes as u64).then_some((*start, bytes))
    }

    /// The allocation that holds all of `bytes` at `address`, and the range in it.
    pub(super) fn span(&self, address: u64, bytes: usize) -> Option<(&Allocation, Span)> {
        let (start, allocation) = self.allocations.range(..=address).next_back()?;
        let offset = usize::try_from(address - start).ok()?;
        let inside = offset.checked_add(bytes)? <= allocation.buffer.bytes();
        (inside && !allocation.freed).then(|| (allocation, Span { buffer: Arc::clone(&allocation.buffer), offset, bytes }))
    }

    pub(super) fn free_bytes(&self, device: usize) -> usize {
        device::MEMORY - self.used[device]
    }

    /// All that is allocated.
    pub(super) fn allocations(&self) -> impl Iterator<Item = &Allocation> {
        self.allocations.values()
    }

    pub(super) fn allocations_mut(&mut self) -> impl Iterator<Item = &mut Allocation> {
        self.allocations.values_mut()
    }

    /// How many allocations of a context have not been freed.
    pub(super) fn count_in(&self, context: u64) -> usize {
        self.allocations.values().filter(|allocation| allocation.context == context && !allocation.freed).count()
    }
}

fn give_back(used: &mut [usize; device::COUNT], allocation: &Allocation) {
    if let Home::Device(device) = allocation.home {
        used[device] -= allocation.buffer.bytes();
    }
}

/// Whether `address` can only be a device's.
pub(super) fn is_device_address(address: u64) -> bool {
    address >= DEVICE_SPACE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_lies_in_one_allocation() {
        let mut memory = Memory::new();
        let a = memory.add(1, 0, Buffer::of_device(1000).unwrap());
        let b = memory.add(1, 0, Buffer::of_device(1000).unwrap());
        assert!(memory.span(a, 1000).is_some());
        assert!(memory.span(a + 1, 1000).is_none());
        assert!(memory.span(a, usize::try_from(b - a).unwrap()).is_none());
        assert!(memory.span(b - 1, 1).is_none());
    }

    #[test]
    fn a_span_outlives_its_allocation() {
        let mut memory = Memory::new();
        let address = memory.add(1, 1, Buffer::of_device(64).unwrap());
        let (_, span) = memory.span(address + 8, 8).unwrap();
        memory.remove(address);
        // SAFETY: the span keeps its buffer, and nobody writes to it.
        assert_eq!(unsafe { span.start().read() }, FRESH);
        assert_eq!(memory.free_bytes(1), device::MEMORY);
        assert!(memory.span(address, 1).is_none());
    }

    #[test]
    fn fresh_memory_is_not_zero() {
        for buffer in [Buffer::of_device(3), Buffer::of_host(3)] {
            let span = Span::whole(buffer.unwrap());
            // SAFETY: the buffer has three bytes, which were just filled.
            assert_eq!(unsafe { span.start().cast::<[u8; 3]>().read() }, [FRESH; 3]);
        }
    }

    #[test]
    fn a_device_has_room_for_what_is_free() {
        let mut memory = Memory::new();
        memory.add(1, 0, Buffer::of_device(1000).unwrap());
        assert_eq!(memory.check_room(0, device::MEMORY - 1000), Ok(()));
        assert_eq!(memory.check_room(0, device::MEMORY - 999), Err(codes::OUT_OF_MEMORY));
        assert_eq!(memory.check_room(1, device::MEMORY), Ok(()));
    }

    #[test]
    fn devices_have_ranges_of_their_own() {
        let mut memory = Memory::new();
        let first = memory.add(1, 0, Buffer::of_device(16).unwrap());
        let second = memory.add(2, 1, Buffer::of_device(16).unwrap());
        assert!(second - first >= DEVICE_SPACE);
    }
}
