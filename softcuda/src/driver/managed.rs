//! `cuMemAllocManaged` and what goes with it: memory that the host and every device reach.
//!
//! The bytes are the host's, and devices use them in place. So attachment, advice and prefetches are
//! checked as documented and change nothing.

use super::abi::{Argument, Out};
use super::buffer::Buffer;
use super::codes::{self, Outcome};
use super::device;
use super::handle::Handle;
use super::memory::Origin;
use super::objects::Work;
use super::state::{State, lock};

/// To what managed memory is attached: all streams of all devices, none, or one.
const ATTACH_GLOBAL: u32 = 1;
const ATTACH_HOST: u32 = 2;
const ATTACH_SINGLE: u32 = 4;

/// A place for memory: `CUmemLocation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Location {
    pub(super) kind: u32,
    pub(super) id: i32,
}

impl Location {
    pub(super) const DEVICE: u32 = 1;
    const HOST: u32 = 2;
    const HOST_NUMA: u32 = 3;
    const HOST_NUMA_CURRENT: u32 = 4;
    /// What stood for the host before there were places.
    const HOST_ORDINAL: i32 = -1;

    /// The device that it is.
    pub(super) fn device(self) -> Outcome<usize> {
        if self.kind == Self::DEVICE { device::index(self.id).map_err(|_| codes::INVALID_VALUE) } else { Err(codes::INVALID_VALUE) }
    }
}

/// Where a call wants managed memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The device of an ordinal, or the host: what earlier functions take.
    Ordinal(i32),
    Location(Location),
}

impl Place {
    fn check(self) -> Outcome {
        match self {
            Self::Ordinal(Location::HOST_ORDINAL)
            | Self::Location(Location { kind: Location::HOST | Location::HOST_NUMA | Location::HOST_NUMA_CURRENT, .. }) => Ok(()),
            Self::Ordinal(ordinal) => device::index(ordinal).map(drop),
            Self::Location(location) => location.device().map(drop),
        }
    }
}

impl Argument for Location {
    type Abi = Self;

    unsafe fn accept(abi: Self) -> Outcome<Self> {
        Ok(abi)
    }
}

pub(super) fn allocate(out: Out<u64>, bytes: usize, flags: u32) -> Outcome {
    if flags != ATTACH_GLOBAL && flags != ATTACH_HOST {
        return Err(codes::INVALID_VALUE);
    }
    let mut state = lock();
    let context = state.current()?;
    state.check_unsafe_call()?;
    drop(state);
    // Filled without the lock.
    let buffer = Buffer::of_host(bytes)?;
    let mut state = lock();
    state.check_again(context)?;
    let start = state.memory.add_host(context, Origin::Managed, buffer);
    // The caller makes a pointer of it.
    out.set(start.expose_provenance() as u64);
    Ok(())
}

/// All of an allocation is attached, or what its length says, which must be all.
pub(super) fn attach(stream: Handle, address: u64, bytes: usize, flags: u32) -> Outcome {
    let mut state = lock();
    let serial = state.stream_outside_captures(stream)?;
    let one = match flags {
        ATTACH_GLOBAL | ATTACH_HOST => false,
        ATTACH_SINGLE => true,
        _ => return Err(codes::INVALID_VALUE),
    };
    // Nobody's stream; by its other handle a real driver was seen to take it.
    if one && stream == Handle::NULL {
        return Err(codes::INVALID_VALUE);
    }
    let allocation = state.memory.at(address).filter(|allocation| allocation.is_live_and_managed()).ok_or(codes::INVALID_VALUE)?;
    if bytes != 0 && bytes != allocation.bytes() {
        return Err(codes::INVALID_VALUE);
    }
    state.submit(serial, None, Work::Wait);
    Ok(())
}

pub(super) fn advise(address: u64, bytes: usize, advice: u32, place: Place) -> Outcome {
    /// Mostly read, preferred place, accessed by: set and taken back.
    const MOSTLY_READ: u32 = 1;
    const NOT_MOSTLY_READ: u32 = 2;
    const NO_PREFERRED_PLACE: u32 = 4;
    const LAST: u32 = 6;
    let state = lock();
    state.current()?;
    match advice {
        // These have no place.
        MOSTLY_READ | NOT_MOSTLY_READ | NO_PREFERRED_PLACE => {}
        1..=LAST => place.check()?,
        _ => return Err(codes::INVALID_VALUE),
    }
    check_managed(&state, address, bytes)
}

pub(super) fn prefetch(address: u64, bytes: usize, place: Place, flags: u32, stream: Handle) -> Outcome {
    let mut state = lock();
    let stream = state.stream_not_captured(stream)?;
    if flags != 0 {
        return Err(codes::INVALID_VALUE);
    }
    place.check()?;
    check_managed(&state, address, bytes)?;
    state.submit(stream, None, Work::Wait);
    Ok(())
}

/// Whether all of a range is managed memory, in one allocation.
fn check_managed(state: &State, address: u64, bytes: usize) -> Outcome {
    let found = state.memory.span(address, bytes).filter(|(allocation, _)| allocation.origin == Origin::Managed);
    match found {
        Some(_) if bytes != 0 => state.check(),
        _ => Err(codes::INVALID_VALUE),
    }
}
