//! The devices: two of one kind, with the figures of an H200 where this driver does what they say.

use super::abi::{Out, Text};
use super::absent::ABSENT;
use super::codes::{self, Outcome};

/// How many devices there are.
pub(super) const COUNT: usize = 2;
/// Memory of a device.
pub(super) const MEMORY: usize = 4 << 30;
/// Threads in a block, and the limits of a block and a grid by dimension.
pub(super) const MAX_BLOCK_THREADS: u32 = 1024;
pub(super) const MAX_BLOCK: [u32; 3] = [1024, 1024, 64];
pub(super) const MAX_GRID: [u32; 3] = [i32::MAX as u32, 65535, 65535];
/// Shared memory of a block, without asking for more.
pub(super) const MAX_SHARED_BYTES: u32 = 48 << 10;
/// Least and greatest priority of streams.
pub(super) const PRIORITIES: (i32, i32) = (0, -5);
/// The driver's version.
pub(super) const DRIVER_VERSION: i32 = 13000;

const NAME: &str = "Software CUDA device";
pub(super) const COMPUTE_CAPABILITY: (i32, i32) = (9, 0);
const PCI_BUS: [i32; COUNT] = [0x17, 0x65];
/// The last attribute that a driver of this version knows.
const LAST_ATTRIBUTE: u32 = 143;

/// Attributes that are not zero, by their number. What this driver lacks is in `ABSENT`.
const ATTRIBUTES: &[(u32, i32)] = &[
    (1, MAX_BLOCK_THREADS.cast_signed()),
    (2, MAX_BLOCK[0].cast_signed()),
    (3, MAX_BLOCK[1].cast_signed()),
    (4, MAX_BLOCK[2].cast_signed()),
    (5, MAX_GRID[0].cast_signed()),
    (6, MAX_GRID[1].cast_signed()),
    (7, MAX_GRID[2].cast_signed()),
    (8, MAX_SHARED_BYTES.cast_signed()),
    (9, 64 << 10),   // constant memory
    (10, 32),        // threads of a warp
    (11, i32::MAX),  // pitch
    (12, 65536),     // registers of a block
    (13, 1_980_000), // clock, kHz
    (14, 512),       // texture alignment
    (15, 1),         // copies overlap with kernels
    (16, 132),       // multiprocessors
    (19, 1),         // maps host memory
    (30, 512),       // surface alignment
    (31, 1),         // concurrent kernels
    (36, 3_201_000), // memory clock, kHz
    (37, 6144),      // memory bus, bits
    (38, 60 << 20),  // second-level cache
    (39, 2048),      // threads of a multiprocessor
    (40, 3),         // copy engines
    (41, 1),         // one address space with the host
    (51, 32),        // texture pitch alignment
    (75, COMPUTE_CAPABILITY.0),
    (76, COMPUTE_CAPABILITY.1),
    (78, 1),         // stream priorities
    (79, 1),         // global memory is cached in the first level
    (80, 1),         // local memory too
    (81, 228 << 10), // shared memory of a multiprocessor
    (82, 65536),     // registers of a multiprocessor
    (87, 2),         // single to double precision
    (90, 1),         // preemption
    (91, 1),         // pinned host pointers are device pointers
    (106, 32),       // blocks of a multiprocessor
    (111, 1 << 10),  // reserved shared memory of a block
    (115, 1),        // stream-ordered allocation
];

/// The number of a device in arrays.
pub(super) fn index(ordinal: i32) -> Outcome<usize> {
    usize::try_from(ordinal).ok().filter(|device| *device < COUNT).ok_or(codes::INVALID_DEVICE)
}

/// The ordinal of the device at `index`.
pub(super) fn ordinal(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

pub(super) fn get(out: Out<i32>, ordinal: i32) -> Outcome {
    index(ordinal)?;
    out.set(ordinal);
    Ok(())
}

pub(super) fn count(out: Out<i32>) {
    out.set(ordinal(COUNT));
}

pub(super) fn name(out: Text<'_>, ordinal: i32) -> Outcome {
    index(ordinal)?;
    out.set(NAME);
    Ok(())
}

pub(super) fn uuid(out: Out<[u8; 16]>, ordinal: i32) -> Outcome {
    let mut uuid = *b"softcuda device ";
    uuid[15] = b'0' + u8::try_from(index(ordinal)?).unwrap_or(u8::MAX);
    out.set(uuid);
    Ok(())
}

pub(super) fn pci_bus_id(out: Text<'_>, ordinal: i32) -> Outcome {
    let device = index(ordinal)?;
    out.set_all(&format!("0000:{:02X}:00.0", PCI_BUS[device]))
}

pub(super) fn by_pci_bus_id(out: Out<i32>, name: &str) -> Outcome {
    let place = PciPlace::parse(name).ok_or(codes::INVALID_VALUE)?;
    let device = PCI_BUS.iter().position(|bus| place == PciPlace { domain: 0, bus: bus.cast_unsigned(), device: 0, function: 0 });
    out.set(ordinal(device.ok_or(codes::INVALID_DEVICE)?));
    Ok(())
}

/// A place on the PCI bus.
#[derive(PartialEq, Eq)]
struct PciPlace {
    domain: u32,
    bus: u32,
    device: u32,
    function: u32,
}

impl PciPlace {
    /// `[domain:]bus:device[.function]`, in hexadecimal.
    fn parse(name: &str) -> Option<Self> {
        let number = |digits: &str| u32::from_str_radix(digits, 16).ok();
        let (rest, function) = name.split_once('.').unwrap_or((name, "0"));
        let (rest, device) = rest.rsplit_once(':')?;
        let (domain, bus) = rest.rsplit_once(':').unwrap_or(("0", rest));
        Some(Self { domain: number(domain)?, bus: number(bus)?, device: number(device)?, function: number(function)? })
    }
}

pub(super) fn attribute(out: Out<i32>, attribute: u32, ordinal: i32) -> Outcome {
    const PCI_BUS_ID: u32 = 33;
    if attribute == 0 || attribute > LAST_ATTRIBUTE {
        return Err(codes::INVALID_VALUE);
    }
    let device = index(ordinal)?;
    out.set(match attribute {
        PCI_BUS_ID => PCI_BUS[device],
        _ => match ABSENT.iter().find(|absent| absent.attribute == attribute) {
            Some(absent) => absent.answer,
            None => ATTRIBUTES.iter().find(|row| row.0 == attribute).map_or(0, |row| row.1),
        },
    });
    Ok(())
}

pub(super) fn total_memory(out: Out<usize>, ordinal: i32) -> Outcome {
    index(ordinal)?;
    out.set(MEMORY);
    Ok(())
}

pub(super) fn compute_capability(major: Out<i32>, minor: Out<i32>, ordinal: i32) -> Outcome {
    index(ordinal)?;
    major.set(COMPUTE_CAPABILITY.0);
    minor.set(COMPUTE_CAPABILITY.1);
    Ok(())
}

pub(super) fn can_access_peer(out: Out<i32>, ordinal: i32, peer: i32) -> Outcome {
    out.set(i32::from(index(ordinal)? != index(peer)?));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pci_place_may_lack_domain_and_function() {
        let full = PciPlace::parse("0000:65:00.0");
        assert!(full.is_some());
        assert!(PciPlace::parse("65:0") == full && PciPlace::parse("0:65:00") == full);
        assert!(PciPlace::parse("65").is_none() && PciPlace::parse("x:0").is_none() && PciPlace::parse("").is_none());
    }
}
