//! What a call of this crate costs beyond the driver function behind it, and what cudarc's costs.
//!
//! ```text
//! cargo bench --bench calls
//! ```
//!
//! One thread times four contenders, interleaved: this crate, the driver function, cudarc's safe
//! layer, and the driver function again. What the two driver contenders differ by is noise. What was
//! measured on an H200 is in `h200-580.159.04.md` beside this file.

mod bench;
mod current;
#[expect(dead_code, reason = "nothing faults here")]
#[path = "../../tests/common/hold.rs"]
mod hold;
mod measure;
mod raw;
mod rows;

use std::error::Error;
use std::fs;

use bench::{Bench, CALLS};
use cuda_streams::{Device, Result, driver_version};
use softcuda::Choice;

fn main() -> Result<(), Box<dyn Error>> {
    // As programs have it: with the 32 hardware queues that the tests ask for, the driver's query of a
    // pending event takes four times as long.
    // SAFETY: there is no other thread yet.
    unsafe { std::env::remove_var("CUDA_DEVICE_MAX_CONNECTIONS") };
    let software = softcuda::choose()? == Choice::Software;
    let device = Device::get(0)?;
    let bench = Bench::new(device, if software { 500 } else { 2_000 })?;

    println!("# cargo bench --bench calls\n");
    println!("{}.\n", machine(device, software)?);
    println!("Nanoseconds a call: medians of {} rounds of {CALLS} calls; differences are of one round, with quartiles.\n", bench.rounds);
    println!("| call | driver functions | ours | driver | cudarc | ours − driver | driver − driver | ours / driver | cudarc / driver |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
    rows::all(&bench)?;
    current::table(&bench);
    Ok(())
}

/// What is measured on.
fn machine(device: Device, software: bool) -> Result<String> {
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
