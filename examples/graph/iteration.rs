//! The iteration: 20 kernels on two streams, which fork and join by events; as calls and as graphs of the same calls.
//!
//! cudarc's `launch_builder` allocates for its parameters, so there is one for each kernel, made beforehand. What cudarc
//! adds to a launch then is one call that asks which context is current, some nanoseconds.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cuda_streams::{CaptureMode, Device, ElapsedTime, Event, EventOptions, Graph, GraphExec, Stream, Timed};
use cudarc::driver::CudaStream;

use super::memory::{Launch, Memory};
use super::plan::{BRANCH, Turn};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The streams, ours and as cudarc's, which borrows them.
pub(crate) struct Lanes<'s> {
    main: &'s Stream,
    side: &'s Stream,
    cudarc: [Arc<CudaStream>; 2],
}

impl<'s> Lanes<'s> {
    pub(crate) fn new(memory: &Memory, main: &'s Stream, side: &'s Stream) -> Self {
        // SAFETY: the streams are borrowed for as long as this lives, and it hands no share out.
        let cudarc = [main, side].map(|stream| unsafe { memory.on(stream) });
        Self { main, side, cudarc }
    }
}

/// Everything that an iteration needs, made beforehand: it creates nothing.
pub(crate) struct Iteration<'a> {
    memory: &'a Arc<Memory>,
    main: &'a Stream,
    side: &'a Stream,
    /// The kernels of both branches, which are enqueued side by side; of both turns.
    kernels: [[Vec<Launch<'a>>; 2]; 2],
    forked: Event,
    joined: Event,
    /// Of the next iteration.
    turn: Turn,
}

impl<'a> Iteration<'a> {
    pub(crate) fn new(memory: &'a Arc<Memory>, lanes: &'a Lanes<'_>) -> Result<Self> {
        let Lanes { main, side, cudarc } = lanes;
        let branch = |turn, branch: usize| {
            let kernels = branch * BRANCH..(branch + 1) * BRANCH;
            kernels.map(|kernel| memory.launch(turn, kernel, &cudarc[branch])).collect()
        };
        let kernels = Turn::BOTH.map(|turn| [branch(turn, 0), branch(turn, 1)]);
        let new_event = || main.device().event(EventOptions::new());
        Ok(Self { memory, main, side, kernels, forked: new_event()?, joined: new_event()?, turn: Turn::Even })
    }

    /// The calls of an iteration, whether they run or are captured.
    pub(crate) fn enqueue(&mut self, turn: Turn) -> Result {
        self.forked.record(self.main)?;
        self.side.wait_event(&self.forked)?;
        let [main, side] = &mut self.kernels[turn as usize];
        for kernel in main.iter_mut().zip(side).flat_map(<[_; 2]>::from) {
            // SAFETY: what it changes is its branch's alone in this iteration, and ordered by the branch's stream; those
            // before and after are ordered by the fork and the join.
            unsafe { kernel.enqueue() }?;
        }
        self.joined.record(self.side)?;
        self.main.wait_event(&self.joined)?;
        Ok(())
    }

    /// Runs iterations by their calls; how long all of them took, until they were done.
    pub(crate) fn calls(&mut self, iterations: usize) -> Result<Duration> {
        let (main, side) = (self.main, self.side);
        let taken = time(iterations, main, || {
            self.enqueue(self.turn)?;
            self.turn = self.turn.next();
            Ok(())
        });
        if taken.is_err() {
            // What was enqueued uses the memory.
            side.synchronize()?;
        }
        taken
    }

    /// The calls of an iteration as a graph, between two events of a timer if there is one. The graph keeps the memory.
    pub(crate) fn capture(&mut self, turn: Turn, timer: Option<&Timer>) -> Result<Graph> {
        self.main.capture(CaptureMode::default(), |scope| {
            scope.keep(self.memory.clone())?;
            if let Some(timer) = timer {
                scope.record(&timer.start)?;
            }
            self.enqueue(turn)?;
            if let Some(timer) = timer {
                scope.record(&timer.end)?;
            }
            Ok(())
        })
    }

    /// A graph for each turn, ready to be launched.
    pub(crate) fn graphs(&mut self, timer: Option<&Timer>) -> Result<[GraphExec; 2]> {
        let mut of = |turn| -> Result<GraphExec> {
            let graph = self.capture(turn, timer)?;
            // SAFETY: the graph keeps its memory and its kernels.
            Ok(unsafe { graph.instantiate() }?)
        };
        Ok([of(Turn::Even)?, of(Turn::Odd)?])
    }

    /// Runs iterations by launches of their graphs; how long all of them took, until they were done.
    pub(crate) fn launches(&mut self, graphs: &mut [GraphExec; 2], iterations: usize) -> Result<Duration> {
        time(iterations, self.main, || {
            // SAFETY: the graph keeps its memory and its kernels; other work on the memory is on this stream, or joined to it.
            unsafe { graphs[self.turn as usize].launch(self.main) }?;
            self.turn = self.turn.next();
            Ok(())
        })
    }
}

/// Does something so often, and waits for the stream: how long that took.
fn time(times: usize, stream: &Stream, mut enqueue: impl FnMut() -> Result) -> Result<Duration> {
    let begin = Instant::now();
    let enqueued = (0..times).try_for_each(|_| enqueue());
    // Also after an error: what was enqueued uses the memory.
    stream.synchronize()?;
    enqueued.map(|()| begin.elapsed())
}

/// Two events that each launch of a graph records.
pub(crate) struct Timer {
    start: Event<Timed>,
    end: Event<Timed>,
}

impl Timer {
    pub(crate) fn new(device: Device) -> Result<Self> {
        let external = EventOptions::new().timed().external(true);
        Ok(Self { start: device.event(external)?, end: device.event(external)? })
    }

    /// The time between the two in the last launch, which must be over.
    pub(crate) fn elapsed(&self) -> Result<ElapsedTime> {
        Ok(self.start.elapsed_time(&self.end)?)
    }
}
