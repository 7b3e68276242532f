//! `cuFuncGetAttribute`: what a twin's kernel would be, were it machine code.

use super::abi::Out;
use super::codes::{self, Outcome};
use super::handle::Handle;
use super::state::lock;
use super::{entry, profile};

/// The attributes, as C numbers them.
mod attribute {
    pub(super) const MAX_THREADS_PER_BLOCK: u32 = 0;
    /// Bytes of shared memory, of constants, and of a thread's own memory.
    pub(super) const SHARED_SIZE: u32 = 1;
    pub(super) const LOCAL_SIZE: u32 = 3;
    pub(super) const REGISTERS: u32 = 4;
    pub(super) const PTX_VERSION: u32 = 5;
    pub(super) const BINARY_VERSION: u32 = 6;
    pub(super) const CACHE_MODE_CA: u32 = 7;
    pub(super) const MAX_DYNAMIC_SHARED_SIZE: u32 = 8;
    pub(super) const PREFERRED_SHARED_CARVEOUT: u32 = 9;
    /// Clusters of blocks: whether they are needed, their size, whether others are allowed, how they are scheduled.
    pub(super) const CLUSTER_SIZE_NEEDED: u32 = 10;
    pub(super) const CLUSTER_SCHEDULING: u32 = 15;
}

/// A twin has no memory but what its parameters name, and no registers that anybody counts.
pub(super) fn attribute(out: Out<i32>, attribute: u32, handle: Handle) -> Outcome {
    /// The driver chooses.
    const DEFAULT_CARVEOUT: i32 = -1;
    let state = lock();
    let function = state.function(handle)?;
    state.check()?;
    let (major, minor) = profile::compute_capability();
    out.set(match attribute {
        attribute::MAX_THREADS_PER_BLOCK => profile::MAX_BLOCK_THREADS.cast_signed(),
        attribute::SHARED_SIZE..=attribute::LOCAL_SIZE | attribute::CACHE_MODE_CA => 0,
        attribute::REGISTERS => return Err(entry::unsupported()),
        attribute::PTX_VERSION => function.entry.target,
        attribute::BINARY_VERSION => major * 10 + minor,
        attribute::MAX_DYNAMIC_SHARED_SIZE => profile::MAX_SHARED_BYTES.cast_signed(),
        attribute::PREFERRED_SHARED_CARVEOUT => DEFAULT_CARVEOUT,
        attribute::CLUSTER_SIZE_NEEDED..=attribute::CLUSTER_SCHEDULING => 0,
        _ => return Err(codes::INVALID_VALUE),
    });
    Ok(())
}
