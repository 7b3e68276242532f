//! What is measured on.

use std::fs;

use cuda_streams::{Device, Result, driver_version};

/// The device and the driver, in words.
pub(crate) fn machine(device: Device, software: bool) -> Result<String> {
    let name = device.name()?;
    let (major, minor) = driver_version()?;
    if software {
        return Ok(format!("{name}, driver: software, CUDA {major}.{minor}. These numbers say nothing about a real driver"));
    }
    // The kernel module tells the driver's own version, on most systems.
    let version = fs::read_to_string("/sys/module/nvidia/version");
    let version = version.as_deref().map_or("of unknown version", str::trim);
    Ok(format!("{name}, driver: real, {version}, CUDA {major}.{minor}"))
}
