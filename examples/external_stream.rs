//! How do streams of another library and of this crate work in one pipeline?
//!
//! cudarc's own stream fills memory, a stream of this crate copies it on, cudarc's takes it back: each side
//! waits for the other on the device, once for a stream, once for an event that cudarc has made. A stream
//! that is known by its number only, as from Python, is used in the end.
//!
//! ```text
//! cargo run --example external_stream
//! ```
//!
//! Without a GPU the software driver runs it, where the feature `software` is on.

use std::error::Error;
use std::process::ExitCode;
use std::ptr;

use cuda_streams::{Device, Event, ExternalStream, driver_version};
use cudarc::driver::CudaContext;

const ELEMENTS: u32 = 1 << 20;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (device, (major, minor)) = (Device::get(0)?, driver_version()?);
    println!("device: {}, driver: CUDA {major}.{minor}", device.name()?);

    let cudarc = CudaContext::new(device.ordinal() as usize)?;
    let (theirs, ours) = (cudarc.new_stream()?, device.stream()?);
    // The same stream of ours under cudarc's safe layer, which copies.
    let lent = ours.to_cudarc(&cudarc)?;

    let data: Vec<u32> = (0..ELEMENTS).collect();
    let source = theirs.clone_htod(&data)?;
    let [mut there, mut back] = [lent.alloc_zeros(data.len())?, theirs.alloc_zeros(data.len())?];
    println!("cudarc's stream: copies {ELEMENTS} numbers to the device, and records an event of its own");
    let filled = theirs.record_event(None)?;

    // cudarc orders its own slices. What it knows nothing of is ordered so, too.
    ours.wait_event(&filled)?;
    lent.memcpy_dtod(&source, &mut there)?;
    println!("our stream:      waits for that event, and copies them on");
    let copied = Event::new();
    ours.record(&copied)?;

    // The owner in it keeps cudarc's stream alive.
    let external = ExternalStream::try_from(theirs)?;
    external.wait_event(&copied)?;
    external.owner().memcpy_dtod(&there, &mut back)?;
    println!("cudarc's stream: waits for our event, and takes them back");

    // From Python: `torch.cuda.current_stream().cuda_stream`, an integer.
    let number = external.as_raw().expose_provenance();
    // SAFETY: `external` keeps the stream alive until the end.
    let by_number = unsafe { ExternalStream::from_raw_on(device, ptr::with_exposed_provenance_mut(number)) }?;
    ours.wait_stream(&by_number)?;
    let result = lent.clone_dtoh(&back)?;
    ours.synchronize()?;
    println!("our stream:      waits for the stream with that number, and reads them");

    if result != data {
        return Err("the numbers are not those that were sent".into());
    }
    println!("all {ELEMENTS} numbers are right");
    Ok(())
}
