//! Drivers that work on no device: without one, or no driver at all behind the library.

use cuda_streams::{Device, DeviceUuid, Error, ErrorCode, driver_version};
use softcuda::{Mode, inject, set_mode};

use crate::common::{child, raw};

#[test]
fn a_driver_without_devices_has_none() {
    child::run("modes::a_driver_without_devices_has_none", mode("no-device"), || {
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

/// A child whose driver is in a mode.
fn mode(mode: &'static str) -> impl FnOnce(&mut std::process::Command) {
    move |command| {
        command.env("SOFTCUDA_MODE", mode);
    }
}

/// What the first call answers: it is told, with what to do, and not remembered.
fn check_told(code: ErrorCode, name: &str, advice: &str) {
    let error = Device::get(0).unwrap_err();
    assert_eq!(error, Error::Driver { call: "cuInit", code });
    assert_eq!(error.to_string(), format!("`cuInit` failed: {name} ({}): {advice}", code.get()));
    assert_eq!(Device::count(), Err(error));
    set_mode(Mode::Full);
    assert_eq!(Device::count(), Ok(2));
}

#[test]
fn a_stub_is_told() {
    child::run("modes::a_stub_is_told", mode("stub"), || {
        assert_eq!(driver_version(), Err(Error::Driver { call: "cuDriverGetVersion", code: ErrorCode::STUB_LIBRARY }));
        let advice = "this is the toolkit's stub; put the real driver first in the search path";
        check_told(ErrorCode::STUB_LIBRARY, "CUDA_ERROR_STUB_LIBRARY", advice);
    });
}

#[test]
fn a_library_of_another_version_than_the_kernel_module_is_told() {
    child::run("modes::a_library_of_another_version_than_the_kernel_module_is_told", mode("mismatch"), || {
        assert!(driver_version().is_ok());
        let advice = "the driver library and the kernel module are of two versions; reboot after an update";
        check_told(ErrorCode::SYSTEM_DRIVER_MISMATCH, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", advice);
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
    child::run("modes::a_count_of_zero_is_not_remembered", mode("null"), || {
        assert_eq!(Device::count(), Ok(0));
        assert_eq!(Device::get(0).map(Device::ordinal), Err(Error::NoSuchDevice { wanted: "0".into(), count: 0 }));
        set_mode(Mode::Full);
        // The driver has not seen the crate's.
        // SAFETY: initialising is allowed at any time.
        assert_eq!(unsafe { raw::cuInit(0) }, raw::SUCCESS);
        assert_eq!(Device::count(), Ok(2));
    });
}
