//! The table of the calls about the current stream, which no driver function stands behind.

use std::hint::black_box;

use cuda_streams::{Device, Stream};

use crate::bench::Bench;
use crate::measure::{Quartiles, contender, interleave};

/// Calls in a round: none of them goes to a stream.
const CALLS: u32 = 4_096;

pub(crate) fn table(bench: &Bench) {
    println!("\nNanoseconds a call without a driver call; medians and quartiles of a call minus an empty one.\n");
    println!("| call | ours |");
    println!("|---|--:|");
    let stream = &bench.lane.stream;
    row(bench, "Stream::scope, enter and leave", || stream.scope(|| black_box(())));
    row(bench, "Stream::scope, three deep", || stream.scope(|| stream.scope(|| stream.scope(|| black_box(())))));
    stream.scope(|| {
        let device = stream.device();
        row(bench, "Stream::current, in a scope", || drop(black_box(Stream::current())));
        row(bench, "Device::current_stream, in a scope", || drop(black_box(device.current_stream())));
        row(bench, "Device::current, in a scope", || drop(black_box(Device::current())));
    });
}

fn row(bench: &Bench, call: &str, ours: impl FnMut()) {
    let contenders = [contender(ours), contender(|| black_box(()))];
    let samples = interleave(bench.rounds, CALLS, |run| run(), contenders);
    println!("| {call} | {} |", Quartiles::of(samples.iter().map(|[ours, nothing]| ours - nothing)));
}
