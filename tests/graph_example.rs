//! The iteration of examples/graph: by its calls and by launches of its graph the same is computed.

mod common;

#[path = "../examples/graph/iteration.rs"]
mod iteration;
#[path = "../examples/graph/kernel.rs"]
mod kernel;
#[path = "../examples/graph/memory.rs"]
mod memory;
#[path = "../examples/graph/plan.rs"]
mod plan;

use std::error::Error;
use std::sync::Arc;

use common::{device, streams};
use cuda_streams::ElapsedTime;
use iteration::{Iteration, Lanes, Timer};
use memory::Memory;
use plan::{KERNELS, Model, Turn};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// On a real device three blocks of threads, of which the last has threads without an element.
const ELEMENTS: u32 = if cfg!(miri) { 3 } else { 515 };

#[test]
fn calls_and_launches_compute_what_the_host_does() -> Result {
    let [main, side] = streams();
    let memory = Arc::new(Memory::new(device(), ELEMENTS)?);
    let lanes = Lanes::new(&memory, &main, &side);
    let mut iteration = Iteration::new(&memory, &lanes)?;
    let mut model = Model::new(ELEMENTS);
    let mut graphs = iteration.graphs(None)?;
    memory.verify(&model)?;
    for iterations in [1, 2, 5] {
        model.advance(iterations);
        assert!(memory.verify(&model).is_err(), "{iterations} iterations are not done yet");
        iteration.calls(iterations)?;
        memory.verify(&model)?;
        model.advance(iterations);
        assert!(memory.verify(&model).is_err(), "{iterations} launches are not done yet");
        iteration.launches(&mut graphs, iterations)?;
        memory.verify(&model)?;
    }
    Ok(())
}

#[test]
fn the_graph_has_two_branches() -> Result {
    let [main, side] = streams();
    let memory = Arc::new(Memory::new(device(), ELEMENTS)?);
    let lanes = Lanes::new(&memory, &main, &side);
    let mut iteration = Iteration::new(&memory, &lanes)?;
    for turn in Turn::BOTH {
        let graph = iteration.capture(turn, None)?;
        assert_eq!((graph.node_count()?, graph.edge_count()?), (KERNELS, 2 * (plan::BRANCH - 1)));
        let graph = iteration.capture(turn, Some(&Timer::new(device())?))?;
        // From the first event to both branches, and from both to the other event.
        assert_eq!((graph.node_count()?, graph.edge_count()?), (KERNELS + 2, 2 * (plan::BRANCH - 1) + 2 + 2));
    }
    // Nothing has run.
    memory.verify(&Model::new(ELEMENTS))
}

#[test]
fn each_launch_takes_its_own_time() -> Result {
    let [main, side] = streams();
    let memory = Arc::new(Memory::new(device(), ELEMENTS)?);
    let lanes = Lanes::new(&memory, &main, &side);
    let mut iteration = Iteration::new(&memory, &lanes)?;
    let timer = Timer::new(device())?;
    let mut graphs = iteration.graphs(Some(&timer))?;
    assert!(timer.elapsed().is_err(), "no launch has recorded the events");
    let mut model = Model::new(ELEMENTS);
    for _ in 0..3 {
        iteration.launches(&mut graphs, 1)?;
        model.advance(1);
        assert!(timer.elapsed()? > ElapsedTime::from_millis_f32(0.0));
        memory.verify(&model)?;
    }
    Ok(())
}

#[test]
fn the_graph_keeps_the_memory() -> Result {
    let [main, side] = streams();
    let memory = Arc::new(Memory::new(device(), ELEMENTS)?);
    let kept = Arc::downgrade(&memory);
    let mut graph = {
        let lanes = Lanes::new(&memory, &main, &side);
        let graph = Iteration::new(&memory, &lanes)?.capture(Turn::Even, None)?;
        // SAFETY: the graph keeps its memory and its kernels, and nobody else uses the memory.
        unsafe { graph.instantiate() }?
    };
    drop(memory);
    // SAFETY: as above.
    unsafe { graph.launch(&main) }?;
    main.synchronize()?;
    let memory = kept.upgrade().expect("nobody else has it");
    drop(graph);
    let mut model = Model::new(ELEMENTS);
    model.advance(1);
    memory.verify(&model)
}
