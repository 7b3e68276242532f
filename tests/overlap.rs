//! The pipeline of examples/overlap: what overlaps on two streams, and does not on one.

mod common;

#[path = "../examples/overlap/chunks.rs"]
mod chunks;
#[path = "../examples/overlap/kernel.rs"]
mod kernel;
#[path = "../examples/overlap/pipeline.rs"]
mod pipeline;
#[path = "../examples/overlap/timeline.rs"]
mod timeline;

use std::error::Error;

use chunks::{Chunks, Size};
use common::hold::Hold;
use common::{device, streams};
use cuda_streams::Stream;
use pipeline::Work;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const CHUNKS: usize = 5;

/// Copies and kernels that last until they are released.
#[derive(Default)]
struct Held {
    copies: Vec<Hold>,
    kernels: Vec<Hold>,
}

impl Work for Held {
    fn copy(&mut self, _chunk: usize, stream: &Stream) -> Result {
        self.copies.push(Hold::new(stream));
        Ok(())
    }

    fn compute(&mut self, _chunk: usize, stream: &Stream) -> Result {
        self.kernels.push(Hold::new(stream));
        Ok(())
    }
}

#[test]
fn on_two_streams_a_copy_runs_beside_the_kernel_before() -> Result {
    let [copies, kernels] = streams();
    let mut held = Held::default();
    let recording = pipeline::enqueue(CHUNKS, &copies, &kernels, &mut held)?;
    let (mut held_copies, mut held_kernels) = (held.copies.into_iter(), held.kernels.into_iter());
    for chunk in 0..CHUNKS {
        // The copy of this chunk and the kernel before it are released when both have begun.
        recording.copies[chunk].start.synchronize()?;
        if let Some(before) = chunk.checked_sub(1) {
            recording.kernels[before].start.synchronize()?;
            held_kernels.next().expect("a kernel a chunk").release();
        }
        held_copies.next().expect("a copy a chunk").release();
    }
    held_kernels.next().expect("the last kernel").release();
    kernels.synchronize()?;
    let timeline = recording.timeline()?;
    for (chunk, (kernel, copy)) in timeline.kernels.iter().zip(&timeline.copies[1..]).enumerate() {
        assert!(kernel.overlap(*copy) > 0.0, "chunk {chunk}: {timeline:?}");
    }
    assert!(timeline.overlap() > 0.0 && timeline.overlap() < timeline.end(), "{timeline:?}");
    Ok(())
}

#[test]
fn on_two_streams_a_copy_waits_for_the_kernel_that_reads_its_buffer() -> Result {
    let [copies, kernels] = streams();
    let mut held = Held::default();
    let recording = pipeline::enqueue(CHUNKS, &copies, &kernels, &mut held)?;
    for copy in held.copies {
        copy.release();
    }
    for (chunk, kernel) in held.kernels.into_iter().enumerate() {
        recording.kernels[chunk].start.synchronize()?;
        if let Some(next) = recording.copies.get(chunk + pipeline::BUFFERS) {
            assert!(!next.start.query()?, "chunk {chunk}");
            kernel.release();
            next.end.synchronize()?;
        } else {
            kernel.release();
        }
    }
    kernels.synchronize()?;
    Ok(())
}

#[test]
fn on_one_stream_nothing_overlaps() -> Result {
    let [stream] = streams();
    let mut held = Held::default();
    let recording = pipeline::enqueue(CHUNKS, &stream, &stream, &mut held)?;
    let operations: Vec<_> = recording.copies.iter().zip(&recording.kernels).flat_map(|(copy, kernel)| [copy, kernel]).collect();
    for (index, hold) in held.copies.into_iter().zip(held.kernels).flat_map(|(copy, kernel)| [copy, kernel]).enumerate() {
        operations[index].start.synchronize()?;
        if let Some(next) = operations.get(index + 1) {
            assert!(!next.start.query()?, "operation {index}");
        }
        hold.release();
    }
    stream.synchronize()?;
    let timeline = recording.timeline()?;
    assert!(timeline.overlap() == 0.0, "{timeline:?}");
    Ok(())
}

#[test]
fn both_ways_compute_what_the_host_does() -> Result {
    let [first, second] = streams();
    // On a real device three blocks of threads, of which the last has one vector of elements.
    let elements = if cfg!(miri) { 64 } else { 2_052 };
    let mut chunks = Chunks::new(device(), Size { chunks: CHUNKS, elements, rounds: 7 })?;
    for kernels in [&first, &second] {
        chunks.clear()?;
        assert!(chunks.verify().is_err(), "nothing is computed yet");
        pipeline::run(CHUNKS, &first, kernels, &mut chunks)?;
        chunks.verify()?;
    }
    Ok(())
}
