//! The work, the times and the picture of examples/overlap.

#[path = "../../examples/overlap/chunks.rs"]
mod chunks;
#[path = "../../examples/overlap/kernel.rs"]
mod kernel;
#[path = "../../examples/overlap/picture.rs"]
mod picture;
#[path = "../../examples/overlap/pipeline.rs"]
mod pipeline;
#[path = "../../examples/overlap/timeline.rs"]
mod timeline;

use std::error::Error;

use cuda_streams::{Device, Stream};
use softcuda::{Report, Schedule, Scope, Topic, calls, inject};

use crate::common::{device, streams};
use crate::settle::settle;
use chunks::{Chunks, Size};
use picture::Panel;
use pipeline::{BUFFERS, Work};
use timeline::{Span, Timeline};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const SIZE: Size = Size { chunks: 5, elements: 64, rounds: 3 };

/// The device, with its context: one that a scope retains first is that scope's.
fn ready() -> Device {
    let device = device();
    device.context().expect("the primary context");
    device
}

#[test]
fn both_ways_are_ordered_and_right_in_every_schedule() -> Result {
    let device = ready();
    for schedule in [Schedule::Plain, Schedule::Lazy, Schedule::Seeded(1), Schedule::Seeded(2)] {
        let scope = Scope::enter().scheduled(schedule);
        let [first, second] = streams();
        let mut chunks = Chunks::new(device, SIZE)?;
        for kernels in [&first, &second] {
            chunks.clear()?;
            let timeline = pipeline::run(SIZE.chunks, &first, kernels, &mut chunks)?;
            chunks.verify()?;
            assert_eq!((timeline.copies.len(), timeline.kernels.len()), (SIZE.chunks, SIZE.chunks));
            assert!(kernels == &second || timeline.overlap() == 0.0, "{schedule:?}: {timeline:?}");
        }
        drop((chunks, first, second));
        assert_eq!(scope.scope().reports(), [], "{schedule:?}");
    }
    Ok(())
}

/// Work of which each part is settled before the next is enqueued, so that bytes do not race where a wait is left out.
struct Settled<W>(W);

impl<W: Work> Work for Settled<W> {
    fn copy(&mut self, chunk: usize, stream: &Stream) -> Result {
        self.0.copy(chunk, stream)?;
        settle(stream);
        Ok(())
    }

    fn compute(&mut self, chunk: usize, stream: &Stream) -> Result {
        self.0.compute(chunk, stream)?;
        settle(stream);
        Ok(())
    }
}

/// The reports of a run on two streams in which the driver forgets one wait, and how many waits there are.
fn reports_without_the_wait(index: u64) -> Result<(Vec<Report>, u64)> {
    const WAIT: &str = "cuStreamWaitEvent";
    let device = ready();
    let scope = Scope::enter();
    let [copies, kernels] = streams();
    let mut work = Settled(Chunks::new(device, SIZE)?);
    let before = calls(WAIT);
    // It answers success and does nothing.
    let forgotten = inject(WAIT, 0).after(index);
    pipeline::run(SIZE.chunks, &copies, &kernels, &mut work)?;
    drop(forgotten);
    let waits = calls(WAIT) - before;
    drop((work, copies, kernels));
    Ok((scope.scope().take_reports(), waits))
}

#[test]
fn every_wait_of_the_pipeline_is_needed() -> Result {
    let (reports, waits) = reports_without_the_wait(u64::MAX)?;
    assert_eq!(reports, []);
    let mut needed = 0;
    for index in 0..waits {
        let (reports, _) = reports_without_the_wait(index)?;
        needed += usize::from(!reports.is_empty());
        assert!(reports.iter().all(|report| report.topic() == Topic::Race), "{reports:#?}");
    }
    // Of each kernel for its copy, and of the copies into a buffer that was used before. cudarc's own,
    // for page-locked memory, wait for what the stream has done anyway.
    assert_eq!(needed, SIZE.chunks + (SIZE.chunks - BUFFERS));
    Ok(())
}

#[test]
fn overlap_is_what_copies_and_kernels_have_in_common() {
    let span = |begin, end| Span { begin, end };
    let mut timeline = Timeline { copies: vec![span(0.0, 2.0), span(2.0, 5.0)], kernels: vec![span(2.0, 3.0), span(4.0, 8.0)] };
    assert_eq!((timeline.overlap(), timeline.end()), (2.0, 8.0));
    timeline.kernels = vec![span(1.0, 4.5)];
    assert_eq!((timeline.overlap(), timeline.end()), (3.5, 5.0));
    timeline.kernels = vec![span(5.0, 6.0)];
    assert_eq!((timeline.overlap(), timeline.end()), (0.0, 6.0));
}

#[test]
fn the_picture_has_a_bar_for_each_operation_and_marks_with_units() {
    let span = |begin, end| Span { begin, end };
    let one = Timeline { copies: vec![span(0.0, 4.0), span(8.0, 12.0)], kernels: vec![span(4.0, 8.0), span(12.0, 16.0)] };
    let two = Timeline { copies: vec![span(0.0, 4.0), span(4.0, 8.0)], kernels: vec![span(4.0, 8.0), span(8.0, 12.0)] };
    let panels = [&one, &two].map(|timeline| Panel { heading: "a <panel> & more".to_owned(), timeline });
    let svg = picture::svg("a title", "a subtitle", &panels);
    for copy_or_kernel in ["copy", "kernel"] {
        for chunk in [0, 1] {
            assert_eq!(svg.matches(&format!("<title>{copy_or_kernel} of chunk {chunk}: ")).count(), 2, "{svg}");
        }
    }
    // The same time is at the same place in both panels.
    let bars: Vec<_> = svg.lines().filter(|line| line.contains("kernel of chunk 0")).map(|bar| bar.split(' ').nth(1)).collect();
    assert!(bars[0].is_some_and(|x| x.starts_with("x=")) && bars[0] == bars[1], "{bars:?}");
    for mark in [">0 ms<", ">2 ms<", ">16 ms<", ">16.00 ms<", ">12.00 ms<"] {
        assert_eq!(svg.matches(mark).count(), 1, "{mark}: {svg}");
    }
    assert!(!svg.contains("<panel>"));
}
