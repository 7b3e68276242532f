//! How do two processes hand data to each other on a GPU, and what is gained where events order it?
//!
//! This program starts itself again as the consumer, and shares four buffers with it. The producer fills them
//! with frames, one kernel each, and the consumer verifies every element, one kernel each, in turns. Three ways:
//!
//! * **Events**: each stream waits for an event that the other process records. The hosts run ahead; they only
//!   tell each other that an event *has been recorded*, since a wait made before would wait for nothing.
//! * **Host, 4 frames at a time**: each host enqueues all that it may, waits until a frame is done, and says so.
//! * **Host, 1 frame at a time**: the same, with one frame enqueued at a time.
//!
//! ```text
//! cargo run --release --example ipc [FRAMES [BYTES]]
//! ```
//!
//! A hand-over is measured with one buffer, which goes to and fro; it includes the kernel. Without MPS a GPU
//! runs the work of one process at a time: each hand-over is a switch from one to the other, and with four
//! buffers up to four frames share one. What is printed is the run with the median time. An H200 (the log beside this
//! file) took 12,483 frames a second by events, 3,635 where the hosts synchronise each, and 13,350 where they
//! synchronise up to four at a time; with MPS, 81,889, 72,335 and 74,386.
//!
//! Without a GPU the software driver runs the kernels' Rust twins: the same program, and times that say nothing
//! about a GPU.

mod consumer;
mod kernel;
mod line;
#[forbid(unsafe_code)] // to share takes none
mod producer;
mod ring;
mod slot;

use std::error::Error;
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{array, env};

use consumer::Consumer;
use cuda_streams::Device;
use line::Line;
use producer::Producer;
use ring::{BUFFERS, Order};
use softcuda::Choice;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const ORDERS: [(&str, Order); 3] = [
    ("events", Order::Events),
    ("host, 4 frames at a time", Order::Host { ahead: 4 }),
    ("host, 1 frame at a time", Order::Host { ahead: 1 }),
];

/// Of each way. The first is a warm-up, which is verified only.
const RUNS: usize = 6;

/// How the program is called as the consumer.
const CONSUMER: &str = "consumer";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let (name, result) = match &*arguments {
        [only] if only == CONSUMER => ("the consumer: ", consume()),
        _ => ("", compare(&arguments)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}{error}");
            ExitCode::FAILURE
        }
    }
}

fn consume() -> Result {
    softcuda::choose()?;
    Consumer::serve(Device::get(0)?, Line::stdin()?, |_, _| Ok(()))
}

fn compare(arguments: &[String]) -> Result {
    let (driver, bytes) = match softcuda::choose()? {
        Choice::Software => ("software", 16 << 10),
        Choice::Real | Choice::Nothing => ("real", 1 << 20),
    };
    let number = |index: usize, otherwise| arguments.get(index).map_or(Ok(otherwise), |text| text.parse::<u32>());
    let (frames, bytes) = (number(0, 1_000)?, number(1, bytes)?);
    if frames == 0 || bytes == 0 || bytes % 16 != 0 {
        return Err("there is at least one frame, and a frame has a multiple of 16 bytes".into());
    }

    let device = Device::get(0)?;
    let name = device.name()?;
    println!("device: {name}, driver: {driver}; {frames} frames of {bytes} bytes, {BUFFERS} buffers, 2 processes");
    let mut command = Command::new(env::current_exe()?);
    command.arg(CONSUMER);
    let rates = Producer::with(device, command, bytes / 4, |producer| measure(producer, frames))?;

    let [events, ahead, one_by_one] = rates;
    println!("events: {:.2} times as many frames as the better way through the host", events / ahead.max(one_by_one));
    Ok(())
}

/// Prints what each way does, and tells its frames a second.
fn measure(producer: &mut Producer, frames: u32) -> Result<[f64; 3]> {
    let mut times: [[Vec<Duration>; 2]; 3] = array::from_fn(|_| array::from_fn(|_| Vec::new()));
    for _ in 0..RUNS {
        for ((name, order), times) in ORDERS.iter().zip(&mut times) {
            for (buffers, times) in [BUFFERS, 1].into_iter().zip(times) {
                let (time, wrong) = producer.run(*order, buffers, frames)?;
                if wrong != 0 {
                    return Err(format!("{name}, buffers: {buffers}: {wrong} of {frames} frames are wrong").into());
                }
                times.push(time);
            }
        }
    }

    println!("{:<26} {:>12} {:>12}", "", "frames/s", "hand-over");
    let rates = times.map(|times| times.map(|times| median(times) / f64::from(frames)));
    for ((name, _), [frame, there_and_back]) in ORDERS.iter().zip(rates) {
        println!("{name:<26} {:>12.0} {:>9.1} µs", frame.recip(), there_and_back / 2.0 * 1e6);
    }
    println!("every element of every frame is right");
    Ok(rates.map(|[frame, _]| frame.recip()))
}

/// In seconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.remove(0);
    times.sort();
    times[times.len() / 2].as_secs_f64()
}
