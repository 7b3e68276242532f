//! Many threads do at random what can be done with events and streams that they share, beside kernels whose result is
//! wrong if one of them comes too early.
//!
//! What a thread does is a seed; what comes of it is up to the threads too. `CUDA_STREAMS_SEED=7 cargo test --test
//! many_threads` runs them with that seed, and `CUDA_STREAMS_OPERATIONS=100000` has each thread do as many things.

mod common;

#[path = "many_threads/actor.rs"]
mod actor;
#[path = "many_threads/cells.rs"]
mod cells;
#[path = "../examples/graph/kernel.rs"]
mod kernel;
#[allow(dead_code, reason = "has more than is used here")]
#[path = "capture_random/random.rs"]
mod random;

use std::env;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Barrier;
use std::thread;

use actor::{Actor, World};
use common::device;
use cuda_streams::Result;
use softcuda::Choice;

const THREADS: u64 = if cfg!(miri) { 3 } else { 16 };

/// Of each thread, if nothing else is asked for.
const OPERATIONS: usize = match () {
    () if cfg!(miri) => 16,
    // With a sanitizer.
    () if cfg!(softcuda_linked) => 1_000,
    () if cfg!(debug_assertions) => 20_000,
    () => 100_000,
};

#[test]
fn no_operation_on_shared_events_and_streams_lets_work_come_too_early() -> Result<()> {
    let (seed, operations) = (number("CUDA_STREAMS_SEED"), number("CUDA_STREAMS_OPERATIONS"));
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    let operations = operations.map_or(OPERATIONS, |operations| usize::try_from(operations).expect("a number of operations"));
    println!("CUDA_STREAMS_SEED={seed}");
    let world = World::new(device())?;
    let begin = Barrier::new(usize::try_from(THREADS).expect("a small number"));
    let results: Vec<_> = thread::scope(|scope| {
        let run = |number| {
            let (mut actor, begin) = (Actor::new(&world, seed.wrapping_add(number)), &begin);
            scope.spawn(move || {
                begin.wait();
                actor.act_often(operations)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(run).collect();
        threads.into_iter().map(|thread| thread.join().ok()).collect()
    });
    assert!(results.iter().all(|result| *result == Some(Ok(()))), "{results:?}");
    if softcuda::choose() == Ok(Choice::Software) {
        assert_eq!(softcuda::reports(), []);
    }
    world.check()
}

/// What the environment asks for.
fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("a number"))
}
