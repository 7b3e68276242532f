//! Memory pools: what stream-ordered allocations come from.
//!
//! A pool here keeps no memory that nobody uses: what is freed goes back to the device at once. So a
//! release threshold can be set and read, but holds nothing, and there is never anything to trim.

use std::collections::BTreeMap;

use super::codes::{self, Outcome};
use super::device;

/// A pool.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) device: usize,
    /// Bytes that it may have at most; no limit if there is none.
    pub(super) limit: Option<usize>,
    /// Whether freed memory may be used again: by order of events, when found free, by added waits.
    pub(super) reuse: [i32; 3],
    pub(super) release_threshold: u64,
    /// Devices whose kernels reach its memory. Peer access between contexts is no matter here.
    pub(super) reached_by: [bool; device::COUNT],
    pub(super) used: usize,
    pub(super) most_used: usize,
    /// Its handle is gone; it ends with its last allocation.
    destroyed: bool,
}

/// All pools by number, and which of them devices allocate from.
#[derive(Debug)]
pub(super) struct Pools {
    all: BTreeMap<u64, Pool>,
    /// By device: the pool that it came with, and the one that it allocates from.
    default: [Option<u64>; device::COUNT],
    current: [Option<u64>; device::COUNT],
    last: u64,
}

impl Pools {
    pub(super) const fn new() -> Self {
        Self { all: BTreeMap::new(), default: [None; device::COUNT], current: [None; device::COUNT], last: 0 }
    }

    pub(super) fn create(&mut self, device: usize, limit: Option<usize>) -> u64 {
        let mut reached_by = [false; device::COUNT];
        reached_by[device] = true;
        let pool = Pool { device, limit, reuse: [1; 3], release_threshold: 0, reached_by, used: 0, most_used: 0, destroyed: false };
        self.last += 1;
        self.all.insert(self.last, pool);
        self.last
    }

    /// The pool that a device came with.
    pub(super) fn default_of(&mut self, device: usize) -> u64 {
        if let Some(pool) = self.default[device] {
            return pool;
        }
        let pool = self.create(device, None);
        self.default[device] = Some(pool);
        pool
    }

    /// The pool that a device allocates from.
    pub(super) fn current_of(&mut self, device: usize) -> u64 {
        self.current[device].unwrap_or_else(|| self.default_of(device))
    }

    /// Lets a device allocate from a pool that is its own.
    pub(super) fn set_current(&mut self, device: usize, pool: u64) -> Outcome {
        if self.get(pool)?.device != device {
            return Err(codes::INVALID_VALUE);
        }
        self.current[device] = Some(pool);
        Ok(())
    }

    /// A pool whose handle lives.
    pub(super) fn get(&self, pool: u64) -> Outcome<&Pool> {
        self.all.get(&pool).filter(|pool| !pool.destroyed).ok_or(codes::INVALID_VALUE)
    }

    pub(super) fn get_mut(&mut self, pool: u64) -> Outcome<&mut Pool> {
        self.all.get_mut(&pool).filter(|pool| !pool.destroyed).ok_or(codes::INVALID_VALUE)
    }

    /// Takes a pool's handle away. The device goes back to the pool that it came with, which stays.
    pub(super) fn destroy(&mut self, number: u64) -> Outcome {
        let pool = self.get(number)?;
        let (device, idle) = (pool.device, pool.used == 0);
        if self.default.contains(&Some(number)) {
            return Err(codes::INVALID_VALUE);
        }
        self.current[device].take_if(|current| *current == number);
        if idle {
            self.all.remove(&number);
        } else if let Some(pool) = self.all.get_mut(&number) {
            pool.destroyed = true;
        }
        Ok(())
    }

    /// Whether a pool may have `bytes` more.
    pub(super) fn check_room(&self, pool: u64, bytes: usize) -> Outcome {
        let pool = self.get(pool)?;
        let within = |limit| pool.used.checked_add(bytes).is_some_and(|sum| sum <= limit);
        if pool.limit.is_none_or(within) { Ok(()) } else { Err(codes::OUT_OF_MEMORY) }
    }

    /// Whether kernels of a device reach the memory of a pool.
    pub(super) fn is_reached_by(&self, pool: u64, device: usize) -> bool {
        self.all.get(&pool).is_some_and(|pool| pool.reached_by[device])
    }

    pub(super) fn take(&mut self, pool: u64, bytes: usize) {
        if let Some(pool) = self.all.get_mut(&pool) {
            pool.used += bytes;
            pool.most_used = pool.most_used.max(pool.used);
        }
    }

    pub(super) fn give_back(&mut self, number: u64, bytes: usize) {
        let Some(pool) = self.all.get_mut(&number) else { return };
        pool.used -= bytes;
        if pool.destroyed && pool.used == 0 {
            self.all.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destroyed_pool_ends_with_its_last_allocation() {
        let mut pools = Pools::new();
        let pool = pools.create(0, None);
        pools.take(pool, 8);
        assert_eq!(pools.destroy(pool), Ok(()));
        assert_eq!(pools.get(pool).err(), Some(codes::INVALID_VALUE));
        assert!(pools.is_reached_by(pool, 0), "its memory is still there");
        pools.give_back(pool, 8);
        assert!(pools.all.is_empty());
    }

    #[test]
    fn a_device_falls_back_to_the_pool_it_came_with() {
        let mut pools = Pools::new();
        let (own, made) = (pools.default_of(1), pools.create(1, Some(16)));
        assert_eq!(pools.set_current(0, made), Err(codes::INVALID_VALUE), "it is of device 1");
        pools.set_current(1, made).unwrap();
        assert_eq!(pools.current_of(1), made);
        assert_eq!((pools.check_room(made, 16), pools.check_room(made, 17)), (Ok(()), Err(codes::OUT_OF_MEMORY)));
        pools.destroy(made).unwrap();
        assert_eq!(pools.current_of(1), own);
        assert_eq!(pools.destroy(own), Err(codes::INVALID_VALUE));
    }
}
