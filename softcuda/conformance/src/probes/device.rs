//! Devices and their properties, which need no context.

use std::ffi::c_char;

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

/// No machine has a device of this ordinal.
const BEYOND: i32 = 999;

pub(super) const PROBES: &[Probe] = &[
    Probe::bare("null out parameter: cuDeviceGetCount", |f| f.driver.cuDeviceGetCount(None).into()),
    Probe::bare("null out parameter: cuDeviceGet", |f| f.driver.cuDeviceGet(None, 0).into()),
    Probe::bare("null out parameter: cuDeviceGetAttribute", |f| f.driver.cuDeviceGetAttribute(None, 10, 0).into()),
    Probe::bare("null out parameter: cuDeviceTotalMem", |f| f.driver.cuDeviceTotalMem_v2(None, 0).into()),
    Probe::bare("null out parameter: cuDeviceGetName", |f| f.driver.cuDeviceGetName(std::ptr::null_mut(), 16, 0).into()),
    Probe::bare("null out parameter: cuDeviceGetUuid_v2", |f| f.driver.cuDeviceGetUuid_v2(None, 0).into()),
    Probe::bare("null out parameter: cuDevicePrimaryCtxRetain", |f| f.driver.cuDevicePrimaryCtxRetain(None, 0).into()),
    Probe::bare("device: ordinal 0", |f| f.driver.cuDeviceGet(Some(&mut 0), 0).into()),
    Probe::bare("device: ordinal -1", |f| f.driver.cuDeviceGet(Some(&mut 0), -1).into()),
    Probe::bare("device: ordinal 999", |f| f.driver.cuDeviceGet(Some(&mut 0), BEYOND).into()),
    Probe::bare("device: name of -1, of 999", |f| [name(f.driver, 64, -1).0, name(f.driver, 64, BEYOND).0].into()),
    Probe::bare("device: name into 0 bytes", |f| name(f.driver, 0, 0).0.into()),
    Probe::bare("device: name into 4 bytes", |f| {
        let (code, name) = name(f.driver, 4, 0);
        Outcome::from(code).and(verdict(name[3] == 0, "terminated"))
    }),
    Probe::bare("device: attribute 0", |f| f.driver.cuDeviceGetAttribute(Some(&mut 0), 0, 0).into()),
    Probe::bare("device: attribute 9999", |f| f.driver.cuDeviceGetAttribute(Some(&mut 0), 9999, 0).into()),
    Probe::bare("device: attribute of -1, of 999", |f| {
        let of = |device| f.driver.cuDeviceGetAttribute(Some(&mut 0), 10, device);
        [of(-1), of(BEYOND)].into()
    }),
    Probe::bare("device: most threads of a block, in x, y, z", |f| attributes(f.driver, &[1, 2, 3, 4])),
    Probe::bare("device: most blocks of a grid in x, y, z", |f| attributes(f.driver, &[5, 6, 7])),
    Probe::bare("device: warp size", |f| attributes(f.driver, &[10])),
    Probe::bare("device: maps host memory, concurrent kernels, UVA", |f| attributes(f.driver, &[19, 31, 41])),
    Probe::bare("device: stream priorities, memory pools", |f| attributes(f.driver, &[78, 115])),
    Probe::bare("device: compute capability and its attributes", |f| {
        let (mut major, mut minor, mut attributes) = (0, 0, [0, 0]);
        let code = f.driver.cuDeviceComputeCapability(Some(&mut major), Some(&mut minor), 0);
        f.driver.cuDeviceGetAttribute(Some(&mut attributes[0]), 75, 0);
        f.driver.cuDeviceGetAttribute(Some(&mut attributes[1]), 76, 0);
        Outcome::from(code).and(verdict(attributes == [major, minor], "equal"))
    }),
    Probe::bare("device: total memory", |f| {
        let mut bytes = 0;
        Outcome::from(f.driver.cuDeviceTotalMem_v2(Some(&mut bytes), 0)).and(verdict(bytes > 0, "more than none"))
    }),
    Probe::bare("device: total memory of 999", |f| f.driver.cuDeviceTotalMem_v2(Some(&mut 0), BEYOND).into()),
    Probe::bare("device: both forms of the UUID", |f| {
        let (mut old, mut new) = ([0; 16], [0; 16]);
        let codes = [f.driver.cuDeviceGetUuid(Some(&mut old), 0), f.driver.cuDeviceGetUuid_v2(Some(&mut new), 0)];
        Outcome::from(codes).and(verdict(old == new && new != [0; 16], "equal"))
    }),
    Probe::bare("device: UUID of 999", |f| f.driver.cuDeviceGetUuid_v2(Some(&mut [0; 16]), BEYOND).into()),
    Probe::bare("device: PCI bus id and back", |f| {
        let (mut device, mut id) = (-1, [0_u8; 32]);
        let codes = [
            f.driver.cuDeviceGetPCIBusId(id.as_mut_ptr().cast(), 32, 0),
            f.driver.cuDeviceGetByPCIBusId(Some(&mut device), id.as_ptr().cast()),
        ];
        Outcome::from(codes).and(verdict(device == 0, "device 0"))
    }),
    Probe::bare("device: form of the PCI bus id", |f| {
        let mut id = [0_u8; 32];
        f.driver.cuDeviceGetPCIBusId(id.as_mut_ptr().cast(), 32, 0);
        let form: String = id.iter().take_while(|&&byte| byte != 0).map(|&byte| digit_or_mark(byte)).collect();
        form.into()
    }),
    Probe::bare("device: PCI bus id into 4 bytes", |f| f.driver.cuDeviceGetPCIBusId([0_u8; 4].as_mut_ptr().cast(), 4, 0).into()),
    Probe::bare("device: PCI bus id of 999", |f| f.driver.cuDeviceGetPCIBusId([0_u8; 32].as_mut_ptr().cast(), 32, BEYOND).into()),
    Probe::bare("device: by a PCI bus id of no device", |f| f.driver.cuDeviceGetByPCIBusId(Some(&mut 0), c"ffff:ff:1f.0".as_ptr()).into()),
    Probe::bare("device: by a PCI bus id that is none", |f| f.driver.cuDeviceGetByPCIBusId(Some(&mut 0), c"no bus id".as_ptr()).into()),
    Probe::bare("device: peer access to itself", |f| {
        let mut can = -1;
        Outcome::from(f.driver.cuDeviceCanAccessPeer(Some(&mut can), 0, 0)).and(can.to_string())
    }),
    Probe::bare("device: peer access to 999", |f| f.driver.cuDeviceCanAccessPeer(Some(&mut 0), 0, BEYOND).into()),
    Probe::bare("device: primary context of -1, of 999", |f| {
        let of = |device| f.driver.cuDevicePrimaryCtxRetain(Some(&mut Handle(0)), device);
        [of(-1), of(BEYOND)].into()
    }),
    Probe::bare("device: primary context of 999: state, release", |f| {
        [f.driver.cuDevicePrimaryCtxGetState(BEYOND, Some(&mut 0), Some(&mut 0)), f.driver.cuDevicePrimaryCtxRelease_v2(BEYOND)].into()
    }),
    Probe::bare("device: primary context of 999: reset, set flags", |f| {
        [f.driver.cuDevicePrimaryCtxReset_v2(BEYOND), f.driver.cuDevicePrimaryCtxSetFlags_v2(BEYOND, 0)].into()
    }),
];

/// The device's name, into so many bytes of a larger buffer of ones.
fn name(driver: &Driver, length: i32, device: i32) -> (Code, [u8; 256]) {
    let mut name = [0xff; 256];
    let code = driver.cuDeviceGetName(name.as_mut_ptr().cast::<c_char>(), length, device);
    (code, name)
}

/// The values of attributes that are the same on every device of today.
fn attributes(driver: &Driver, attributes: &[u32]) -> Outcome {
    let values: Vec<String> = attributes
        .iter()
        .map(|&attribute| {
            let mut value = 0;
            match driver.cuDeviceGetAttribute(Some(&mut value), attribute, 0) {
                Code::SUCCESS => value.to_string(),
                code => driver.code_name(code),
            }
        })
        .collect();
    values.join(", ").into()
}

/// Any hexadecimal digit as `x`, other characters as they are.
fn digit_or_mark(byte: u8) -> char {
    let character = char::from(byte);
    if character.is_ascii_hexdigit() { 'x' } else { character }
}
