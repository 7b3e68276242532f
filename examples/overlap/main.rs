//! What is gained where copies and kernels run on two streams, ordered by events, instead of on one?
//!
//! Chunks of data are copied to the device, and a kernel computes on each. Prints the times of both
//! ways and draws them, from the events that were recorded:
//!
//! ```text
//! cargo run --release --example overlap [SVG [ROUNDS]]
//! ```
//!
//! writes `target/overlap.svg`, or the file that is named. The gain is largest where a kernel takes as
//! long as a copy; its time is proportional to the number of rounds.
//!
//! Without a GPU the software driver runs the kernel's Rust twin: the same program, and times that say
//! nothing about a GPU.

mod chunks;
mod kernel;
mod picture;
mod pipeline;
mod timeline;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use chunks::{Chunks, Size};
use cuda_streams::{Device, ElapsedTime, Stream};
use picture::Panel;
use softcuda::Choice;
use timeline::Timeline;

/// With these rounds a kernel takes about as long as a copy on an H200: 64 MiB, at 55 GB/s.
const REAL: Size = Size { chunks: 8, elements: 1 << 24, rounds: 1_200 };
const SOFTWARE: Size = Size { chunks: 8, elements: 1 << 18, rounds: 8 };

/// Of each way. What is printed and drawn is the one with the median time.
const RUNS: usize = 5;

fn main() -> ExitCode {
    match compare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<(), Box<dyn Error>> {
    let (driver, mut size) = match softcuda::choose()? {
        Choice::Software => ("software", SOFTWARE),
        Choice::Real | Choice::Nothing => ("real", REAL),
    };
    let mut arguments = env::args_os().skip(1);
    let path = arguments.next().map_or_else(|| "target/overlap.svg".into(), PathBuf::from);
    if let Some(rounds) = arguments.next() {
        size.rounds = rounds.to_str().and_then(|rounds| rounds.parse().ok()).ok_or("the rounds are a whole number")?;
    }

    let device = Device::get(0)?;
    let name = device.name()?;
    let amount = format!("{} chunks of {} MiB", size.chunks, size.elements >> 18);
    println!("device: {name}, driver: {driver}; {amount}, {} rounds", size.rounds);
    let (one, two) = measure(device, size)?;

    println!("{:<11} {:>12} {:>12}", "", "time", "overlap");
    for (streams, timeline) in [("one stream", &one), ("two streams", &two)] {
        println!("{streams:<11} {:>12} {:>12}", time(timeline.end()), time(timeline.overlap()));
    }
    let (overlap, ratio) = (time(two.overlap()), one.end() / two.end());
    println!("on two streams copies and kernels overlapped for {overlap}: {ratio:.2} times as fast");

    let panels = [
        Panel { heading: "One stream".to_owned(), timeline: &one },
        Panel { heading: format!("Two streams: {ratio:.2} times as fast, copies and kernels overlap for {overlap:.2}"), timeline: &two },
    ];
    let subtitle = format!("{amount}, {name}, {driver} driver; times of CUDA events, median of {RUNS} runs");
    write(&path, &picture::svg("Copies and kernels on one stream and on two", &subtitle, &panels))?;
    println!("drawn: {}", path.display());
    Ok(())
}

/// The runs with the median time on one stream and on two. The results of every run are verified.
fn measure(device: Device, size: Size) -> Result<(Timeline, Timeline), Box<dyn Error>> {
    let (first, second) = (device.stream()?, device.stream()?);
    let mut chunks = Chunks::new(device, size)?;
    let mut run = |copies: &Stream, kernels: &Stream| {
        chunks.clear()?;
        let timeline = pipeline::run(size.chunks, copies, kernels, &mut chunks)?;
        chunks.verify()?;
        Ok::<_, Box<dyn Error>>(timeline)
    };
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..=RUNS {
        one.push(run(&first, &first)?);
        two.push(run(&first, &second)?);
    }
    // The first are warm-ups.
    Ok((median(one.split_off(1)), median(two.split_off(1))))
}

fn median(mut runs: Vec<Timeline>) -> Timeline {
    runs.sort_by(|a, b| a.end().total_cmp(&b.end()));
    runs.swap_remove(runs.len() / 2)
}

/// Milliseconds as a time.
#[expect(clippy::cast_possible_truncation, reason = "the driver says no more than single precision holds")]
fn time(millis: f64) -> ElapsedTime {
    ElapsedTime::from_millis_f32(millis as f32)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    folder.and_then(|()| fs::write(path, text)).map_err(|error| format!("{}: {error}", path.display()))
}
