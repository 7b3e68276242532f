//! Two devices: on the software driver always, on hardware where there are two.

#[path = "../common/mod.rs"]
mod common;

mod contexts;
mod events;
mod external;
#[cfg(not(miri))]
mod ipc;
mod order;
mod scope;

use cuda_streams::{Device, Stream};

/// The first two devices.
fn devices() -> [Device; 2] {
    [0, 1].map(|ordinal| Device::get(ordinal).expect("these tests need two devices"))
}

/// A stream of each.
fn streams() -> [Stream; 2] {
    devices().map(|device| device.stream().expect("a stream"))
}
