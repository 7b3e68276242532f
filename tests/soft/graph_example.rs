//! The order and the calls of examples/graph.

#[path = "../../examples/graph/iteration.rs"]
mod iteration;
#[path = "../../examples/graph/kernel.rs"]
pub(super) mod kernel;
#[path = "../../examples/graph/memory.rs"]
mod memory;
#[path = "../../examples/graph/plan.rs"]
mod plan;

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cuda_streams::{Device, Error as StreamError};
use softcuda::{Schedule, Scope, Topic, all_calls, calls, inject};

use crate::common::{device, streams};
use crate::settle::settle;
use iteration::{Iteration, Lanes, Timer};
use memory::Memory;
use plan::{KERNELS, Model, Turn};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const ELEMENTS: u32 = 64;

/// The device, with its context: one that a scope retains first is that scope's.
fn ready() -> Device {
    let device = device();
    device.context().expect("the primary context");
    device
}

/// Waits until no graph keeps the memory any more: a scope's goes before the scope.
fn alone(memory: &Arc<Memory>) {
    let began = Instant::now();
    while Arc::strong_count(memory) > 1 {
        assert!(began.elapsed() < Duration::from_secs(30), "a graph keeps it");
        thread::yield_now();
    }
}

#[test]
fn both_ways_are_ordered_and_right_in_every_schedule() -> Result {
    let device = ready();
    for schedule in [Schedule::Plain, Schedule::Lazy, Schedule::Seeded(1), Schedule::Seeded(2)] {
        let scope = Scope::enter().scheduled(schedule);
        let [main, side] = streams();
        let memory = Arc::new(Memory::new(device, ELEMENTS)?);
        let lanes = Lanes::new(&memory, &main, &side);
        let mut iteration = Iteration::new(&memory, &lanes)?;
        let mut model = Model::new(ELEMENTS);
        let timer = Timer::new(device)?;
        for timer in [None, Some(&timer)] {
            let mut graphs = iteration.graphs(timer)?;
            iteration.calls(3)?;
            iteration.launches(&mut graphs, 3)?;
            model.advance(6);
            memory.verify(&model)?;
        }
        timer.elapsed()?;
        alone(&memory);
        assert_eq!(scope.scope().reports(), [], "{schedule:?}");
    }
    Ok(())
}

#[test]
fn an_iteration_is_its_launches_records_and_waits() -> Result {
    const ITERATIONS: u64 = 3;
    let device = ready();
    let [main, side] = streams();
    let memory = Arc::new(Memory::new(device, ELEMENTS)?);
    let lanes = Lanes::new(&memory, &main, &side);
    let mut iteration = Iteration::new(&memory, &lanes)?;
    // What else there is comes once.
    iteration.calls(1)?;
    let none = all_calls();
    iteration.calls(0)?;
    let (begin, around) = (all_calls(), all_calls() - none);
    let count = || ["cuLaunchKernel", "cuCtxGetCurrent", "cuEventRecord", "cuStreamWaitEvent"].map(calls);
    let before = count();
    iteration.calls(usize::try_from(ITERATIONS)?)?;
    let made: Vec<_> = count().iter().zip(before).map(|(after, before)| after - before).collect();
    // cudarc looks, for each launch, whether its context is current.
    let kernels = KERNELS as u64 * ITERATIONS;
    assert_eq!(made, [kernels, kernels, 2 * ITERATIONS, 2 * ITERATIONS]);
    assert_eq!(all_calls() - begin, made.iter().sum::<u64>() + around);

    let mut graphs = iteration.graphs(None)?;
    let before = calls("cuGraphLaunch");
    iteration.launches(&mut graphs, 3)?;
    assert_eq!(calls("cuGraphLaunch") - before, 3);
    Ok(())
}

#[test]
fn every_wait_of_the_calls_is_needed() -> Result {
    let device = ready();
    // Of each iteration the fork and the join. Before the first fork there is nothing that it would wait for, and behind
    // the last join nothing that would wait.
    for (index, needed) in [false, true, true, false].into_iter().enumerate() {
        // One stream after the other, so that bytes do not race where a wait is left out.
        let scope = Scope::enter().scheduled(Schedule::Lazy);
        let [main, side] = streams();
        let memory = Arc::new(Memory::new(device, ELEMENTS)?);
        let lanes = Lanes::new(&memory, &main, &side);
        let mut iteration = Iteration::new(&memory, &lanes)?;
        // It answers success and does nothing.
        let forgotten = inject("cuStreamWaitEvent", 0).after(index.try_into()?);
        for turn in Turn::BOTH {
            iteration.enqueue(turn)?;
            settle(&main);
            settle(&side);
        }
        drop(forgotten);
        let reports = scope.scope().take_reports();
        main.synchronize()?;
        side.synchronize()?;
        assert_eq!(!reports.is_empty(), needed, "{index}: {reports:#?}");
        assert!(reports.iter().all(|report| report.topic() == Topic::Race), "{reports:#?}");
    }
    Ok(())
}

#[test]
fn a_capture_without_the_join_is_refused_and_the_streams_work() -> Result {
    let device = ready();
    let [main, side] = streams();
    let memory = Arc::new(Memory::new(device, ELEMENTS)?);
    let lanes = Lanes::new(&memory, &main, &side);
    let mut iteration = Iteration::new(&memory, &lanes)?;
    let forgotten = inject("cuStreamWaitEvent", 0).after(1);
    let refused = iteration.capture(Turn::Even, None).map(drop).expect_err("the side stream has not joined back");
    drop(forgotten);
    assert_eq!(refused.downcast_ref(), Some(&StreamError::CaptureUnjoined));
    iteration.calls(1)?;
    let mut model = Model::new(ELEMENTS);
    model.advance(1);
    memory.verify(&model)
}
