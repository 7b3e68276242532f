//! Random programs of captures: whatever they do, in whatever order, each call answers what it must, every capture
//! ends, the streams work afterwards, and nothing is left behind.
//!
//! A program is a seed. `CUDA_STREAMS_SEED=7 cargo test --test capture_random` runs the one with that seed.

mod common;

#[path = "capture_random/memory.rs"]
mod memory;
#[path = "capture_random/model.rs"]
mod model;
#[path = "capture_random/objects.rs"]
mod objects;
#[path = "capture_random/program.rs"]
mod program;
#[path = "capture_random/random.rs"]
mod random;
#[path = "capture_random/threads.rs"]
mod threads;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::abort;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::{choose_driver, device, expect_misuse};
use memory::Memory;
use program::Program;
use softcuda::{Choice, Scope};

/// As long as this a program may take, which takes milliseconds, and something that is to happen.
const BOUND: Duration = Duration::from_secs(if cfg!(miri) { 10_000 } else { 60 });

#[test]
fn random_programs_of_captures_leave_streams_that_work_and_nothing_else() {
    choose_driver();
    let (mut memory, watch) = (Memory::new(), watch());
    for seed in seeds() {
        watch.send(seed).expect("somebody watches");
        run(seed, &mut memory);
    }
}

fn is_software() -> bool {
    softcuda::choose() == Ok(Choice::Software)
}

fn seeds() -> Range<u64> {
    if let Ok(seed) = std::env::var("CUDA_STREAMS_SEED") {
        let seed = seed.parse().expect("the number of a program");
        return seed..seed + 1;
    }
    let programs = match () {
        () if cfg!(miri) => 3,
        // With a sanitizer, or one of the schedules that CI goes through.
        () if cfg!(softcuda_linked) => 200,
        () if ["SOFTCUDA_SCHEDULE", "SOFTCUDA_VERSION"].iter().any(|other| std::env::var_os(other).is_some()) => 1_000,
        () if is_software() => 10_000,
        () => 500,
    };
    0..programs
}

/// Ends the process if no program is told of for too long.
fn watch() -> Sender<u64> {
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut last = None;
        loop {
            match told.recv_timeout(BOUND) {
                Ok(seed) => last = Some(seed),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    eprintln!("program {last:?} hangs");
                    abort();
                }
            }
        }
    });
    tell
}

/// Waits until something is so that other threads do.
fn eventually(mut is_so: impl FnMut() -> bool, otherwise: impl FnOnce() -> String) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < BOUND, "{}", otherwise());
        thread::yield_now();
    }
}

fn run(seed: u64, memory: &mut Memory) {
    let scope = expect_misuse();
    let kept_for_good = catch_unwind(AssertUnwindSafe(|| Program::new(seed, memory).run())).unwrap_or_else(|panic| {
        eprintln!("program {seed} failed");
        resume_unwind(panic);
    });
    if scope.is_some() {
        let expected = [0, kept_for_good as u64, 0, 0, 0, 0];
        eventually(|| left() == expected, || format!("program {seed} has left behind {:?}", softcuda::live()));
        let reports = Scope::current().take_reports();
        assert!(reports.is_empty(), "program {seed}: {reports:?}");
    }
}

/// What the program has in the software driver, and uses: idle events are given back.
fn left() -> [u64; 6] {
    device().trim_events().expect("idle events are destroyed");
    let live = softcuda::live();
    [live.streams, live.events, live.allocations, live.graphs, live.executables, live.user_objects]
}
