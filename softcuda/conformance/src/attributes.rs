//! The attributes of device 0, a line each.

use crate::code::Code;
use crate::driver::Driver;

/// Beyond the last one that any driver of today knows.
const NUMBERS: std::ops::RangeInclusive<u32> = 1..=160;

/// What a machine is set to, and where in it the device is: nothing that a kind of device has.
const OF_THE_MACHINE: [u32; 8] = [
    20,  // compute mode
    32,  // error correction
    33,  // PCI bus
    34,  // PCI device
    50,  // PCI domain
    85,  // group of boards
    131, // memory node
    134, // nearest memory node of the host
];

/// The name of an attribute's line.
pub(crate) const NAME: &str = "attribute ";

/// The attributes that a recording has.
pub(crate) fn numbers() -> impl Iterator<Item = u32> {
    NUMBERS.filter(|number| !OF_THE_MACHINE.contains(number))
}

/// Their names and values, or what the driver answers instead. The driver is initialised.
pub(crate) fn lines(driver: &Driver) -> impl Iterator<Item = (String, String)> {
    numbers().map(|number| {
        let mut value = 0;
        let outcome = match driver.cuDeviceGetAttribute(Some(&mut value), number, 0) {
            Code::SUCCESS => value.to_string(),
            code => driver.code_name(code),
        };
        (format!("{NAME}{number}"), outcome)
    })
}
