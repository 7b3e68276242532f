//! The devices: two of one kind.

use super::abi::{Out, Text};
use super::codes::{self, Outcome};
use super::profile;

/// How many devices there are.
pub(super) const COUNT: usize = 2;
/// Memory of a device.
pub(super) const MEMORY: usize = 4 << 30;
const PCI_BUS: [i32; COUNT] = [0x17, 0x65];
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
    out.set(profile::name());
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
    let device = index(ordinal)?;
    let value = profile::attribute(attribute).ok_or(codes::INVALID_VALUE)?;
    out.set(if attribute == PCI_BUS_ID { PCI_BUS[device] } else { value });
    Ok(())
}

pub(super) fn total_memory(out: Out<usize>, ordinal: i32) -> Outcome {
    index(ordinal)?;
    out.set(MEMORY);
    Ok(())
}

pub(super) fn compute_capability(major: Out<i32>, minor: Out<i32>, ordinal: i32) -> Outcome {
    index(ordinal)?;
    let capability = profile::compute_capability();
    major.set(capability.0);
    minor.set(capability.1);
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
