//! The iteration: 20 kernels on two streams, ordered by events; as calls and as a graph of the same calls.
//!
//! cudarc's `launch_builder` allocates for its parameters, so there is one for each kernel, made beforehand. What cudarc
//! adds to a launch then is one call that asks which context is current, some nanoseconds.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cuda_streams::{CaptureMode, Device, ElapsedTime, Event, EventOptions, Graph, GraphExec, Stream, Timed};
use cudarc::driver::CudaStream;

use super::memory::{Launch, Memory};
use super::plan::BRANCH;

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
    /// On the main stream and on the side stream.
    branches: [Branch<'a>; 2],
    forked: Event,
    joined: Event,
}

struct Branch<'a> {
    stream: &'a Stream,
    kernels: Vec<Launch<'a>>,
    /// Its first kernel has read the other's edge.
    has_read: Event,
}

impl<'a> Iteration<'a> {
    pub(crate) fn new(memory: &'a Arc<Memory>, lanes: &'a Lanes<'_>) -> Result<Self> {
        let Lanes { main, side, cudarc } = lanes;
        let device = main.device();
        let branch = |number: usize, stream: &'a Stream| -> Result<Branch<'a>> {
            let kernels = number * BRANCH..(number + 1) * BRANCH;
            let kernels = kernels.map(|kernel| memory.launch(kernel, &cudarc[number])).collect();
            Ok(Branch { stream, kernels, has_read: device.event(EventOptions::new())? })
        };
        let new_event = || device.event(EventOptions::new());
        Ok(Self { memory, branches: [branch(0, main)?, branch(1, side)?], forked: new_event()?, joined: new_event()? })
    }

    /// The calls of an iteration, whether they run or are captured.
    pub(crate) fn enqueue(&mut self) -> Result {
        let [main, side] = &mut self.branches;
        self.forked.record(main.stream)?;
        side.stream.wait_event(&self.forked)?;
        for number in 0..BRANCH {
            if number == BRANCH - 1 {
                main.stream.wait_event(&side.has_read)?;
                side.stream.wait_event(&main.has_read)?;
            }
            for branch in [&mut *main, &mut *side] {
                // SAFETY: what it uses is its branch's alone, but for the edges: those are changed by the last kernels only,
                // which wait for the first of the other branch, the only one that reads them.
                unsafe { branch.kernels[number].enqueue() }?;
                if number == 0 {
                    branch.has_read.record(branch.stream)?;
                }
            }
        }
        self.joined.record(side.stream)?;
        main.stream.wait_event(&self.joined)?;
        Ok(())
    }

    /// Runs iterations by their calls; how long all of them took, until they were done.
    pub(crate) fn calls(&mut self, iterations: usize) -> Result<Duration> {
        let [main, side] = [0, 1].map(|branch| self.branches[branch].stream);
        let taken = time(iterations, main, || self.enqueue());
        if taken.is_err() {
            // What was enqueued uses the memory.
            side.synchronize()?;
        }
        taken
    }

    /// The calls of an iteration as a graph, between two events of a timer if there is one. The graph keeps the memory.
    pub(crate) fn capture(&mut self, timer: Option<&Timer>) -> Result<Graph> {
        let main = self.branches[0].stream;
        main.capture(CaptureMode::default(), |scope| {
            scope.keep(self.memory.clone())?;
            if let Some(timer) = timer {
                scope.record(&timer.start)?;
            }
            self.enqueue()?;
            if let Some(timer) = timer {
                scope.record(&timer.end)?;
            }
            Ok(())
        })
    }

    /// Runs iterations by launches of their graph; how long all of them took, until they were done.
    pub(crate) fn launches(&mut self, graph: &mut GraphExec, iterations: usize) -> Result<Duration> {
        let main = self.branches[0].stream;
        time(iterations, main, || {
            // SAFETY: the graph keeps its memory and its kernels; other work on the memory is on this stream, or joined to it.
            unsafe { graph.launch(main) }?;
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
