//! What calls cost with 1, 4 and 16 threads, beside the driver functions and cudarc's safe layer.
//!
//! ```text
//! cargo bench --bench table -- [--rows PATTERN] [--rounds N]
//! ```
//!
//! PATTERN is a part of the names of the rows wanted, N is 3. All threads of a row make the calls of one contender
//! at the same time, in slices of some 250 µs, then those of the next: this crate, the driver function, cudarc, and
//! the driver function again. A thread stays on a core of its own. Each line is measured several times, by new threads:
//! those times count in which the driver is within 3 % of itself in every round, and of them the one in which it is
//! fastest. Without such a time the line is not reported. Beside each figure is what this project wants it to be. What
//! Python libraries take on the same machine is measured by `peers.py` beside this file.

mod barrier;
mod bound;
mod date;
#[expect(dead_code, reason = "nothing faults here")]
#[path = "../../tests/common/hold.rs"]
mod hold;
#[path = "../common/lane.rs"]
mod lane;
#[path = "../common/machine.rs"]
mod machine;
#[expect(dead_code, reason = "some functions are of the benchmark `calls` only")]
#[path = "../common/measure.rs"]
mod measure;
mod options;
mod pin;
#[path = "../common/raw.rs"]
mod raw;
mod rounds;
mod row;
mod rows;
mod table;

use std::error::Error;
use std::thread;
use std::time::Duration;

use cuda_streams::Device;
use machine::machine;
use options::Options;
use rounds::Effort;
use row::Seat;
use softcuda::Choice;
use table::{Table, thread_counts};

fn main() -> Result<(), Box<dyn Error>> {
    // As programs have it: with the 32 hardware queues that the tests ask for, the driver's query of a
    // pending event takes four times as long.
    // SAFETY: there is no other thread yet.
    unsafe { std::env::remove_var("CUDA_DEVICE_MAX_CONNECTIONS") };
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let title = if arguments.is_empty() { String::new() } else { format!(" -- {}", arguments.join(" ")) };
    let Options { rows, rounds } = Options::parse(arguments)?;
    let software = softcuda::choose()? == Choice::Software;
    let device = Device::get(0)?;
    let cores = thread::available_parallelism()?.get();
    let (turns, slice) = if software { (5, 20) } else { (60, 250) };
    let effort = Effort { rounds, turns, slice: Duration::from_micros(slice) };

    println!("# cargo bench --bench table{title}\n");
    println!("{}. {cores} cores. {}.", machine(device, software)?, date::today());
    let counts = thread_counts(cores);
    let most = counts[counts.len() - 1];
    if most < 16 {
        println!("Too few for 16 threads: {most} at most.");
    }
    println!(
        "\nNanoseconds a call: medians of {rounds} rounds; the figure of a round is the mean of the threads' medians of {turns} slices.
Each thread has a core and a stream; *objects* says whether it has an event of its own too. *driver / driver* is how far the driver
function was from itself in the worst round.\n"
    );
    let seats = Seat::all(device, most)?;
    let mut table = Table::new(&seats, effort, &rows);
    rows::all(&mut table, &seats);
    table.end();
    Ok(())
}
