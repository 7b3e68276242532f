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
#[path = "../common/lane.rs"]
mod lane;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/measure.rs"]
mod measure;
#[expect(dead_code, reason = "some functions are of the benchmark `table` only")]
#[path = "../common/raw.rs"]
mod raw;
mod rows;

use std::error::Error;

use bench::{Bench, CALLS};
use cuda_streams::Device;
use machine::machine;
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
