//! Which CUDA devices does this machine have?
//!
//! ```text
//! cargo run --example devices
//! ```
//!
//! None of these questions creates a context. Ends with an error where there is no driver or no
//! device.

use std::process::ExitCode;

use cuda_streams::{Device, DeviceAttribute, Result, driver_version};

fn main() -> ExitCode {
    match show() {
        Ok(0) => {
            eprintln!("the CUDA driver sees no device; check CUDA_VISIBLE_DEVICES");
            ExitCode::FAILURE
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the table and returns how many devices there are.
fn show() -> Result<u32> {
    let count = Device::count()?;
    if count > 0 {
        let (major, minor) = driver_version()?;
        println!("driver: CUDA {major}.{minor}");
        line(["ordinal", "name", "compute", "memory", "SMs", "PCI address", "UUID", "peers"]);
    }
    for device in Device::all()? {
        let (major, minor) = device.compute_capability()?;
        line([
            &device.ordinal().to_string(),
            &device.name()?,
            &format!("{major}.{minor}"),
            &format!("{} MiB", device.total_memory()? >> 20),
            &device.attribute(DeviceAttribute::MULTIPROCESSOR_COUNT)?.to_string(),
            &device.pci_bus_id()?,
            &device.uuid()?.to_string(),
            &peers(device)?,
        ]);
    }
    Ok(count)
}

fn line([ordinal, name, compute, memory, multiprocessors, address, uuid, peers]: [&str; 8]) {
    println!("{ordinal:<7}  {name:<24}  {compute:>7}  {memory:>10}  {multiprocessors:>4}  {address:<12}  {uuid:<40}  {peers}");
}

/// The ordinals of the devices whose memory it reaches directly.
fn peers(device: Device) -> Result<String> {
    let mut ordinals = Vec::new();
    for peer in Device::all()? {
        if device.can_access_peer(peer)? {
            ordinals.push(peer.ordinal().to_string());
        }
    }
    Ok(if ordinals.is_empty() { "none".to_owned() } else { ordinals.join(", ") })
}
