//! A driver without devices.

use cuda_streams::{Device, DeviceUuid, Error, ErrorCode, driver_version};
use softcuda::{Mode, inject, set_mode};

use crate::common::{child, raw};

#[test]
fn a_driver_without_devices_has_none() {
    let no_device = |command: &mut std::process::Command| {
        command.env("SOFTCUDA_MODE", "no-device");
    };
    child::run("modes::a_driver_without_devices_has_none", no_device, || {
        assert_eq!(Device::count(), Ok(0));
        assert_eq!(Device::all().unwrap().len(), 0);
        let not_there = |wanted: &str| Err(Error::NoSuchDevice { wanted: wanted.into(), count: 0 });
        assert_eq!(Device::get(0), not_there("0"));
        assert_eq!(Device::by_pci_bus_id("0000:01:00.0"), not_there("\"0000:01:00.0\""));
        let uuid = DeviceUuid::from_bytes([1; 16]);
        assert_eq!(Device::by_uuid(uuid), not_there(&uuid.to_string()));
        assert_eq!(Device::get(0).unwrap_err().to_string(), "no CUDA device 0: this machine has 0");

        assert!(driver_version().is_ok(), "there is a driver");

        set_mode(Mode::Full);
        assert_eq!(Device::count(), Ok(2), "that there was none is not remembered");
    });
}

/// Each call that may be the first to tell, in a process of its own.
#[test]
fn no_device_is_no_error_where_devices_are_counted() {
    let functions = ["cuInit", "cuDeviceGetCount"];
    child::run_each("modes::no_device_is_no_error_where_devices_are_counted", functions, |function| {
        let _failure = inject(function, ErrorCode::NO_DEVICE.get());
        assert_eq!(Device::count(), Ok(0));
        assert_eq!(Device::count(), Ok(2), "that there was none is not remembered");
    });
}

/// A driver may say so without an error code.
#[test]
fn a_count_of_zero_is_not_remembered() {
    let null = |command: &mut std::process::Command| {
        command.env("SOFTCUDA_MODE", "null");
    };
    child::run("modes::a_count_of_zero_is_not_remembered", null, || {
        assert_eq!(Device::count(), Ok(0));
        assert_eq!(Device::get(0).map(Device::ordinal), Err(Error::NoSuchDevice { wanted: "0".into(), count: 0 }));
        set_mode(Mode::Full);
        // The driver has not seen the crate's.
        // SAFETY: initialising is allowed at any time.
        assert_eq!(unsafe { raw::cuInit(0) }, raw::SUCCESS);
        assert_eq!(Device::count(), Ok(2));
    });
}
