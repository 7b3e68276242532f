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
    main: &'a Stream,
    side: &'a Stream,
    forked: Event,
    joined: Event,
    /// Each branch, and what follows them.
    left: Vec<Launch<'a>>,
    right: Vec<Launch<'a>>,
    last: Vec<Launch<'a>>,
}

impl<'a> Iteration<'a> {
    pub(crate) fn new(memory: &'a Arc<Memory>, lanes: &'a Lanes<'_>) -> Result<Self> {
        let Lanes { main, side, cudarc: [on_main, on_side] } = lanes;
        let device = main.device();
        let launches =
            |numbers: std::ops::Range<usize>, stream: &'a CudaStream| numbers.map(|number| memory.launch(number, stream)).collect();
        Ok(Self {
            memory,
            main,
            side,
            forked: device.event(EventOptions::new())?,
            joined: device.event(EventOptions::new())?,
            left: launches(0..BRANCH, on_main),
            right: launches(BRANCH..2 * BRANCH, on_side),
            last: launches(2 * BRANCH..2 * BRANCH + 2, on_main),
        })
    }

    /// The calls of an iteration, whether they run or are captured.
    pub(crate) fn enqueue(&mut self) -> Result {
        self.forked.record(self.main)?;
        self.side.wait_event(&self.forked)?;
        for (left, right) in self.left.iter_mut().zip(&mut self.right) {
            // SAFETY: it reads the state, which no work between the fork and the join changes, and changes what only
            // work on its own stream uses until the join.
            unsafe { left.enqueue() }?;
            // SAFETY: as above.
            unsafe { right.enqueue() }?;
        }
        self.joined.record(self.side)?;
        self.main.wait_event(&self.joined)?;
        for last in &mut self.last {
            // SAFETY: it follows both branches; the next iteration's, and whoever reads the results, follow it.
            unsafe { last.enqueue() }?;
        }
        Ok(())
    }

    /// Runs iterations by their calls; how long all of them took, until they were done.
    pub(crate) fn calls(&mut self, iterations: usize) -> Result<Duration> {
        let (main, side) = (self.main, self.side);
        let taken = time(iterations, main, || self.enqueue());
        if taken.is_err() {
            // What was enqueued uses the memory.
            side.synchronize()?;
        }
        taken
    }

    /// The calls of an iteration as a graph, between two events of a timer if there is one. The graph keeps the memory.
    pub(crate) fn capture(&mut self, timer: Option<&Timer>) -> Result<Graph> {
        self.main.capture(CaptureMode::default(), |scope| {
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
        time(iterations, self.main, || {
            // SAFETY: the graph keeps its memory and its kernels; other work on the memory is on this stream, or joined to it.
            unsafe { graph.launch(self.main) }?;
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
