//! Memory: what is allocated where, and how an address becomes bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::buffer::{ALIGN, Buffer, Span};
use super::codes::{self, Outcome};
use super::exports::Exported;
use super::pools::Pools;
use super::scope::{self, NOBODY, ScopeId};
use super::{device, discard};

/// Device addresses begin where no host address can be: reading one on the host faults at once.
const DEVICE_SPACE: u64 = 1 << 48;

/// Where an allocation lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// The device of this number.
    Device(usize),
    /// Memory of the host, which devices reach by the same address.
    Host,
}

/// What has made an allocation, and so what frees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// `cuMemAlloc`
    Plain,
    /// `cuMemAllocAsync` and its like, from the pool of this number.
    Pool(u64),
    /// `cuMemHostAlloc`; the flags that the driver tells.
    Pinned(u32),
    /// `cuMemHostRegister`; the flags that the driver tells. Memory of the caller.
    Registered(u32),
    /// `cuMemAllocManaged`
    Managed,
    /// `cuIpcOpenMemHandle`; how often it is open. Memory of another process.
    Imported(u32),
}

/// One allocation.
#[derive(Debug)]
pub(super) struct Allocation {
    /// Never another's, as an address of the host may be.
    pub(super) id: u64,
    pub(super) context: u64,
    /// Who allocated it.
    pub(super) scope: ScopeId,
    pub(super) home: Home,
    pub(super) origin: Origin,
    /// The call that frees it has been made: work enqueued later is wrong in any order.
    pub(super) freed: bool,
    buffer: Arc<Buffer>,
}

impl Allocation {
    /// Whether this is memory of a device that can be freed.
    pub(super) fn is_live_on_device(&self) -> bool {
        self.home != Home::Host && !self.is_imported() && !self.freed
    }

    /// Whether this is memory of another process.
    pub(super) fn is_imported(&self) -> bool {
        matches!(self.origin, Origin::Imported(_))
    }

    /// What other processes need to import it; none if they cannot.
    pub(super) fn export(&self) -> Option<Exported> {
        self.buffer.export()
    }

    /// Whether other processes may have it too.
    pub(super) fn is_shared(&self) -> bool {
        self.buffer.is_shared()
    }

    /// Whether this is managed memory that can be freed.
    pub(super) fn is_live_and_managed(&self) -> bool {
        self.origin == Origin::Managed && !self.freed
    }

    /// Whether this is page-locked memory, of the driver or of a caller.
    pub(super) fn is_page_locked(&self) -> bool {
        matches!(self.origin, Origin::Pinned(_) | Origin::Registered(_))
    }

    pub(super) fn bytes(&self) -> usize {
        self.buffer.bytes()
    }
}

/// Everything that is allocated, by address.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) pools: Pools,
    allocations: BTreeMap<u64, Allocation>,
    last_id: u64,
    /// Bytes handed out so far; addresses are never reused, so that a stale one is found out.
    reached: [u64; device::COUNT],
    used: [usize; device::COUNT],
}

impl Memory {
    pub(super) const fn new() -> Self {
        Self { pools: Pools::new(), allocations: BTreeMap::new(), last_id: 0, reached: [0; device::COUNT], used: [0; device::COUNT] }
    }

    /// Whether a device has room for `bytes`.
    pub(super) fn check_room(&self, device: usize, bytes: usize) -> Outcome {
        if bytes <= self.free_bytes(device) { Ok(()) } else { Err(codes::OUT_OF_MEMORY) }
    }

    /// Makes a buffer memory of a device that has room.
    pub(super) fn add(&mut self, context: u64, device: usize, buffer: Buffer) -> u64 {
        self.add_to_device(context, device, Origin::Plain, buffer)
    }

    /// Makes a buffer memory of a pool whose device has room.
    pub(super) fn add_to_pool(&mut self, context: u64, device: usize, pool: u64, buffer: Buffer) -> u64 {
        self.pools.take(pool, buffer.bytes());
        self.add_to_device(context, device, Origin::Pool(pool), buffer)
    }

    /// Makes memory of a device that another process has exported known under an address of this one.
    pub(super) fn add_import(&mut self, context: u64, device: usize, buffer: Buffer) -> u64 {
        self.add_to_device(context, device, Origin::Imported(1), buffer)
    }

    /// Where `context` has imported this already, which counts as once more.
    pub(super) fn import_again(&mut self, context: u64, token: u64) -> Option<u64> {
        let mut of_context = self.allocations.iter_mut().filter(|(_, allocation)| allocation.context == context && !allocation.freed);
        let (address, allocation) = of_context.find(|(_, allocation)| allocation.buffer.imported() == Some(token))?;
        if let Origin::Imported(times) = &mut allocation.origin {
            *times += 1;
        }
        Some(*address)
    }

    fn add_to_device(&mut self, context: u64, device: usize, origin: Origin, buffer: Buffer) -> u64 {
        let bytes = buffer.bytes();
        let address = DEVICE_SPACE * (device as u64 + 1) + self.reached[device];
        // One gap at least, so that the end of an allocation is not the start of the next.
        self.reached[device] += (bytes + 1).next_multiple_of(ALIGN) as u64;
        if !matches!(origin, Origin::Imported(_)) {
            self.used[device] += bytes;
        }
        self.insert(address, context, Home::Device(device), origin, buffer);
        address
    }

    /// Makes a buffer memory of the host that devices reach; its device address is its own.
    pub(super) fn add_host(&mut self, context: u64, origin: Origin, buffer: Buffer) -> *mut u8 {
        let start = buffer.start();
        self.insert(start.addr() as u64, context, Home::Host, origin, buffer);
        start
    }

    fn insert(&mut self, address: u64, context: u64, home: Home, origin: Origin, buffer: Buffer) {
        self.last_id += 1;
        let (id, scope, buffer) = (self.last_id, scope::current(), Arc::new(buffer));
        let allocation = Allocation { id, context, scope, home, origin, freed: false, buffer };
        self.allocations.insert(address, allocation);
    }

    /// The last allocation that has one of `bytes` at `address`.
    pub(super) fn overlapping(&self, address: u64, bytes: usize) -> Option<&Allocation> {
        let before_end = self.allocations.range(..address.saturating_add(bytes as u64)).next_back();
        before_end.filter(|(start, allocation)| *start + allocation.bytes() as u64 > address).map(|(_, allocation)| allocation)
    }

    /// The allocation that begins at `address`.
    pub(super) fn at(&mut self, address: u64) -> Option<&mut Allocation> {
        self.allocations.get_mut(&address)
    }

    /// Takes the allocation at `address` away; its bytes stay as long as queued work holds them.
    pub(super) fn remove(&mut self, address: u64) {
        if let Some(allocation) = self.allocations.remove(&address) {
            self.give_back(allocation);
        }
    }

    /// The same if it is still the allocation of this id: the lock was given up meanwhile.
    pub(super) fn remove_same(&mut self, address: u64, id: u64) {
        if self.allocations.get(&address).is_some_and(|allocation| allocation.id == id) {
            self.remove(address);
        }
    }

    /// Takes away all that `context` has allocated.
    pub(super) fn remove_context(&mut self, context: u64) {
        let of_context = |(address, allocation): (&u64, &Allocation)| (allocation.context == context).then_some(*address);
        let addresses: Vec<u64> = self.allocations.iter().filter_map(of_context).collect();
        for address in addresses {
            self.remove(address);
        }
    }

    fn give_back(&mut self, allocation: Allocation) {
        if let (Home::Device(device), false) = (allocation.home, allocation.is_imported()) {
            self.used[device] -= allocation.bytes();
        }
        if let Origin::Pool(pool) = allocation.origin {
            self.pools.give_back(pool, allocation.bytes());
        }
        allocation.buffer.set_gone();
        discard::add(allocation.buffer);
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
        let inside = offset.checked_add(bytes)? <= allocation.bytes();
        (inside && !allocation.freed).then(|| (allocation, Span::new(Arc::clone(&allocation.buffer), offset, bytes)))
    }

    /// The live allocation that has the byte at `address`, and where it begins.
    pub(super) fn around(&self, address: u64) -> Option<(u64, &Allocation)> {
        let (start, allocation) = self.allocations.range(..=address).next_back()?;
        let inside = address - start < allocation.bytes() as u64;
        (inside && !allocation.freed).then_some((*start, allocation))
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

    /// How many allocations of a context somebody has not freed.
    pub(super) fn count_in(&self, context: u64) -> usize {
        self.allocations
            .values()
            .filter(|allocation| allocation.context == context && !allocation.freed && allocation.scope != NOBODY)
            .count()
    }
}

/// Whether `address` can only be a device's.
pub(super) fn is_device_address(address: u64) -> bool {
    address >= DEVICE_SPACE
}

#[cfg(test)]
mod tests {
    use super::super::buffer;
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
        assert_eq!(unsafe { span.start().read() }, buffer::FRESH);
        assert_eq!(memory.free_bytes(1), device::MEMORY);
        assert!(memory.span(address, 1).is_none());
    }

    #[test]
    fn another_allocation_at_the_address_is_not_taken_for_the_same() {
        let mut memory = Memory::new();
        let mut own = [0_u8; 4];
        let mut register = || {
            let start = std::ptr::NonNull::new(own.as_mut_ptr()).unwrap();
            memory.add_host(1, Origin::Registered(0), Buffer::of_caller(start, 4).unwrap());
            let address = start.addr().get() as u64;
            (address, memory.around(address).unwrap().1.id)
        };
        let [(address, first), (_, second)] = [register(), register()];
        memory.remove_same(address, first);
        assert!(memory.around(address).is_some());
        memory.remove_same(address, second);
        assert!(memory.around(address).is_none());
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
