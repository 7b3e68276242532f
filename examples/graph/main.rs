//! What is gained where the same work is launched as a graph, instead of by its calls?
//!
//! An iteration is 20 small kernels on two streams, which fork and join by events, since each branch needs what the other
//! made in the iteration before. It runs as calls, the best ones that can be written: nothing is created in the loop, and
//! it does not wait. And it runs as a graph, captured from the same function (one for even and one for odd iterations,
//! which exchange other buffers). Both are verified: each kernel needs the results of the ones before.
//!
//! ```text
//! cargo run --release --example graph [ITERATIONS]
//! ```
//!
//! Without a GPU the software driver runs the kernel's Rust twin: the same program, and times that say nothing about a
//! GPU.

mod iteration;
mod kernel;
mod memory;
mod plan;

use std::cmp::Ordering;
use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cuda_streams::{Device, ElapsedTime};
use iteration::{Iteration, Lanes, Timer};
use memory::Memory;
use plan::{KERNELS, Model};
use softcuda::Choice;

/// Of each way, in turn. What is printed is the median.
const RUNS: usize = 9;
/// Launches of the graph with events in it.
const TIMED: usize = 101;
const ELEMENTS: u32 = 256;

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
    let driver = match softcuda::choose()? {
        Choice::Software => "software",
        Choice::Real | Choice::Nothing => "real",
    };
    let mut iterations = 1_000_u32;
    if let Some(argument) = env::args().nth(1) {
        iterations = argument.parse().ok().filter(|&number| number > 0).ok_or("the iterations are a whole number, at least 1")?;
    }
    let device = Device::get(0)?;
    println!("device: {}, driver: {driver}; {KERNELS} kernels on two streams, {iterations} times", device.name()?);

    let times = measure(device, iterations as usize)?;
    let an_iteration = |time: Duration| time / iterations;
    println!("calls: {:>9.2?} an iteration", an_iteration(times.calls));
    println!("graph: {:>9.2?} an iteration", an_iteration(times.graph));
    println!(
        "the graph is {:.2} times as fast; inside a launch its work takes {}",
        times.calls.as_secs_f64() / times.graph.as_secs_f64(),
        times.inside
    );
    Ok(())
}

/// Medians.
struct Times {
    calls: Duration,
    graph: Duration,
    /// Between the events in a launch.
    inside: ElapsedTime,
}

/// The times of so many iterations both ways. The results of every run are verified.
fn measure(device: Device, iterations: usize) -> Result<Times, Box<dyn Error>> {
    let (main, side) = (device.stream()?, device.stream()?);
    let memory = Arc::new(Memory::new(device, ELEMENTS)?);
    let lanes = Lanes::new(&memory, &main, &side);
    let mut iteration = Iteration::new(&memory, &lanes)?;
    let mut model = Model::new(ELEMENTS);

    let mut graphs = iteration.graphs(None)?;
    graphs.iter_mut().try_for_each(|graph| graph.upload(&main))?;
    let (mut calls, mut launches) = (Vec::new(), Vec::new());
    for _ in 0..=RUNS {
        calls.push(iteration.calls(iterations)?);
        model.advance(iterations);
        memory.verify(&model)?;
        launches.push(iteration.launches(&mut graphs, iterations)?);
        model.advance(iterations);
        memory.verify(&model)?;
    }

    let timer = Timer::new(device)?;
    let mut graphs = iteration.graphs(Some(&timer))?;
    let mut inside = Vec::new();
    for _ in 0..=TIMED {
        iteration.launches(&mut graphs, 1)?;
        inside.push(timer.elapsed()?);
    }
    model.advance(inside.len());
    memory.verify(&model)?;

    // The first are warm-ups.
    let [calls, graph] = [calls, launches].map(|mut times| median(times.split_off(1), Duration::cmp));
    let inside = median(inside.split_off(1), |a, b| a.as_millis_f32().total_cmp(&b.as_millis_f32()));
    Ok(Times { calls, graph, inside })
}

fn median<T>(mut times: Vec<T>, compare: impl FnMut(&T, &T) -> Ordering) -> T {
    times.sort_by(compare);
    times.swap_remove(times.len() / 2)
}
