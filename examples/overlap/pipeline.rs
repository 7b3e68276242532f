//! The pipeline: a kernel computes on a chunk of data while the next chunk is copied to the device.
//!
//! It is the same program on one stream and on two. Events order the copies and the kernels, and they
//! take the times.

use std::error::Error;

use cuda_streams::{Device, Event, EventOptions, Stream, Timed};

use super::timeline::{Span, Timeline};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// How many chunks are on the device at a time: one that is copied, one that is computed on.
pub(crate) const BUFFERS: usize = 2;

/// What there is to do for a chunk. Its place on the device is the buffer `chunk % BUFFERS`, from the
/// begin of its copy to the end of its kernel.
pub(crate) trait Work {
    /// Enqueues the copy of the chunk into its buffer.
    fn copy(&mut self, chunk: usize, stream: &Stream) -> Result;
    /// Enqueues the kernel that reads the buffer.
    fn compute(&mut self, chunk: usize, stream: &Stream) -> Result;
}

/// Does the work for all chunks, and tells when each part of it was in flight.
pub(crate) fn run(chunks: usize, copies: &Stream, kernels: &Stream, work: &mut impl Work) -> Result<Timeline> {
    let recording = enqueue(chunks, copies, kernels, work);
    // Also after an error: what was enqueued uses the caller's memory.
    copies.synchronize()?;
    kernels.synchronize()?;
    Ok(recording?.timeline()?)
}

/// Enqueues the work for all chunks.
pub(crate) fn enqueue(chunks: usize, copies: &Stream, kernels: &Stream, work: &mut impl Work) -> Result<Recording> {
    let recording = Recording::new(copies.device(), chunks)?;
    recording.start.record(copies)?;
    for (chunk, (copied, computed)) in recording.copies.iter().zip(&recording.kernels).enumerate() {
        // The buffer is free when the kernel on the chunk that was there before is done.
        if let Some(before) = chunk.checked_sub(BUFFERS) {
            copies.wait_event(&recording.kernels[before].end)?;
        }
        copied.start.record(copies)?;
        work.copy(chunk, copies)?;
        copied.end.record(copies)?;

        // The chunk is there when its copy is done.
        kernels.wait_event(&copied.end)?;
        computed.start.record(kernels)?;
        work.compute(chunk, kernels)?;
        computed.end.record(kernels)?;
    }
    Ok(recording)
}

/// The events of a run.
pub(crate) struct Recording {
    pub(crate) start: Event<Timed>,
    /// By chunk, as the kernels.
    pub(crate) copies: Vec<Operation>,
    pub(crate) kernels: Vec<Operation>,
}

/// A copy or a kernel, between two events.
pub(crate) struct Operation {
    pub(crate) start: Event<Timed>,
    pub(crate) end: Event<Timed>,
}

impl Recording {
    /// Creates all events now, so that the run itself creates none.
    fn new(device: Device, chunks: usize) -> cuda_streams::Result<Self> {
        let operations = || (0..chunks).map(|_| Operation::new(device)).collect::<cuda_streams::Result<_>>();
        Ok(Self { start: timed(device)?, copies: operations()?, kernels: operations()? })
    }

    /// The times of the run, which must be over.
    pub(crate) fn timeline(&self) -> cuda_streams::Result<Timeline> {
        let spans = |lane: &[Operation]| lane.iter().map(|operation| operation.span(&self.start)).collect::<cuda_streams::Result<_>>();
        Ok(Timeline { copies: spans(&self.copies)?, kernels: spans(&self.kernels)? })
    }
}

impl Operation {
    fn new(device: Device) -> cuda_streams::Result<Self> {
        Ok(Self { start: timed(device)?, end: timed(device)? })
    }

    fn span(&self, start: &Event<Timed>) -> cuda_streams::Result<Span> {
        let [begin, end] = [start.elapsed_time(&self.start)?, start.elapsed_time(&self.end)?];
        Ok(Span { begin: begin.as_millis_f32().into(), end: end.as_millis_f32().into() })
    }
}

fn timed(device: Device) -> cuda_streams::Result<Event<Timed>> {
    device.event(EventOptions::new().timed())
}
