//! What exists in the driver and is in use: idle events, which are kept to be used again, are given back before.

use cuda_streams::Device;
use softcuda::Live;

/// What exists but for threads, which end when they have nothing to do.
pub(crate) fn live() -> Live {
    trim();
    Live { threads: 0, ..softcuda::live() }
}

/// From now on the next event is a new one.
pub(crate) fn trim() {
    for device in Device::all().expect("the devices") {
        device.trim_events().expect("idle events are destroyed");
    }
}
