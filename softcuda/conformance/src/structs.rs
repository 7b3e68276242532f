//! Structures that the driver takes by pointer, laid out as its headers declare them.

use std::ffi::c_void;
use std::fmt;

/// A host function; `None` is the null pointer.
pub(crate) type HostFunction = Option<extern "C" fn(*mut c_void)>;

/// `CUstreamBatchMemOpParams`: a union, here with the members of all kinds.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Operation {
    pub(crate) code: u32,
    /// The flags of a barrier and of a flush.
    pub(crate) short_flags: u32,
    pub(crate) address: u64,
    pub(crate) value: u64,
    pub(crate) flags: u32,
    pub(crate) alias: u64,
    padding: u64,
}

impl Operation {
    pub(crate) const WAIT_32: u32 = 1;
    pub(crate) const WRITE_32: u32 = 2;
    pub(crate) const FLUSH: u32 = 3;
    pub(crate) const WAIT_64: u32 = 4;
    pub(crate) const WRITE_64: u32 = 5;
    pub(crate) const BARRIER: u32 = 6;

    pub(crate) const fn new(code: u32, address: u64, value: u64, flags: u32) -> Self {
        Self { code, short_flags: 0, address, value, flags, alias: 0, padding: 0 }
    }

    pub(crate) const fn barrier(flags: u32) -> Self {
        Self { short_flags: flags, ..Self::new(Self::BARRIER, 0, 0, 0) }
    }
}

/// `CUmemLocation`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Location {
    pub(crate) kind: u32,
    pub(crate) id: i32,
}

impl Location {
    /// Device 0.
    pub(crate) const DEVICE: Self = Self { kind: 1, id: 0 };
}

/// `CUmemPoolProps`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct PoolProperties {
    pub(crate) allocation: u32,
    pub(crate) handles: u32,
    pub(crate) location: Location,
    pub(crate) security: usize,
    pub(crate) most_bytes: usize,
    pub(crate) usage: u16,
    pub(crate) reserved: [u8; 54],
}

impl PoolProperties {
    /// Pinned memory of device 0, for this process alone.
    pub(crate) const PLAIN: Self =
        Self { allocation: 1, handles: 0, location: Location::DEVICE, security: 0, most_bytes: 0, usage: 0, reserved: [0; 54] };
}

/// `CUipcEventHandle` and `CUipcMemHandle`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct IpcHandle(pub(crate) [u8; 64]);

impl IpcHandle {
    pub(crate) const ZERO: Self = Self([0; 64]);

    /// One that was printed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut handle = Self::ZERO;
        for (index, byte) in handle.0.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(handle)
    }
}

impl fmt::Display for IpcHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// `CUmemAccessDesc`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Access {
    pub(crate) location: Location,
    pub(crate) flags: u32,
}

/// `CUdevResource`, with the member for multiprocessors.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(8))]
pub(crate) struct Resource {
    pub(crate) kind: u32,
    private: [u32; 23],
    pub(crate) count: u32,
    pub(crate) fewest: u32,
    pub(crate) alignment: u32,
    rest: [u32; 9],
}

impl Resource {
    pub(crate) const MULTIPROCESSORS: u32 = 1;

    /// Nothing, of a type.
    pub(crate) fn of(kind: u32) -> Self {
        Self { kind, ..Self::default() }
    }
}

/// `CUgraphEdgeData`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Edge([u8; 8]);

/// `CUDA_MEMSET_NODE_PARAMS`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct MemsetParameters {
    pub(crate) to: u64,
    pub(crate) pitch: usize,
    pub(crate) value: u32,
    pub(crate) element_bytes: u32,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl MemsetParameters {
    /// Writes one word.
    pub(crate) const fn word(to: u64, value: u32) -> Self {
        Self { to, pitch: 0, value, element_bytes: 4, width: 1, height: 1 }
    }
}

/// `CUDA_HOST_NODE_PARAMS`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct HostParameters {
    pub(crate) function: HostFunction,
    pub(crate) user: *mut c_void,
}

const _: () = assert!(size_of::<MemsetParameters>() == 40 && size_of::<HostParameters>() == 16);
const _: () = assert!(size_of::<Operation>() == 48 && size_of::<PoolProperties>() == 88 && size_of::<Access>() == 12);
const _: () = assert!(size_of::<Resource>() == 144);
