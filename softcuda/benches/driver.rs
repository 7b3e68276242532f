//! What calls of the software driver cost: `cargo bench -p softcuda`. It prints medians; what they
//! should be is nothing that a test could assert.

use std::time::Instant;

use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::sys::{CUevent, CUevent_flags, CUevent_wait_flags, CUstream};
use cudarc::driver::{CudaContext, DriverError, result};
use softcuda::{Schedule, Scope};

/// Samples of each row, and calls of each sample where the calls are short.
const SAMPLES: usize = 101;
const CALLS: u32 = 2000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    softcuda::install()?;
    let _context = CudaContext::new(0)?;
    let [a, b] = [stream()?, stream()?];
    let event = result::event::create(CUevent_flags::CU_EVENT_DISABLE_TIMING)?;
    // SAFETY: a context is current.
    let memory = unsafe { result::malloc_sync(4096) }?;

    row("record + wait", CALLS, || record_and_wait(event, a, b))?;
    row("record + wait, in turns", CALLS, || record_and_wait(event, a, b).and_then(|()| record_and_wait(event, b, a)))?;
    // SAFETY: the event is alive.
    row("event query", CALLS, || unsafe { result::event::query(event) }.map(drop))?;
    row("memset async, and its end", 20, || {
        memset(memory, 4096, a)?;
        // SAFETY: the stream is alive.
        unsafe { result::stream::synchronize(a) }
    })?;
    let streams: Vec<CUstream> = (0..64).map(|_| stream()).collect::<Result<_, _>>()?;
    row("64 streams x 1,000 operations", 1, || many(&streams, event, memory))?;
    for stream in streams {
        // SAFETY: alive, and not used any more.
        unsafe { result::stream::destroy(stream) }?;
    }
    beside_many(event, a, b)?;
    for stream in [a, b] {
        // SAFETY: alive, and not used any more.
        unsafe { result::stream::destroy(stream) }?;
    }
    // SAFETY: as above.
    unsafe { result::event::destroy(event) }?;
    // SAFETY: as above.
    unsafe { result::free_sync(memory) }?;
    Ok(())
}

/// Prints the median of one call in nanoseconds.
fn row(name: &str, calls: u32, mut call: impl FnMut() -> Result<(), DriverError>) -> Result<(), DriverError> {
    let samples = if calls == 1 { 5 } else { SAMPLES };
    let mut nanos = Vec::with_capacity(samples);
    for _ in 0..samples {
        let start = Instant::now();
        for _ in 0..calls {
            call()?;
        }
        nanos.push(start.elapsed().as_nanos() / u128::from(calls));
    }
    nanos.sort_unstable();
    println!("{name:36} {:>12} ns", nanos[samples / 2]);
    Ok(())
}

/// A lazy enqueue beside very many streams, which have nothing to do.
fn beside_many(event: CUevent, a: CUstream, b: CUstream) -> Result<(), DriverError> {
    let _scope = Scope::enter().scheduled(Schedule::Lazy);
    let idle: Vec<CUstream> = (0..20_000).map(|_| stream()).collect::<Result<_, _>>()?;
    row("lazy, 20,000 streams: record + wait", 1000, || record_and_wait(event, a, b))?;
    for stream in idle {
        // SAFETY: alive, and not used any more.
        unsafe { result::stream::destroy(stream) }?;
    }
    result::ctx::synchronize()
}

fn stream() -> Result<CUstream, DriverError> {
    result::stream::create(StreamKind::NonBlocking)
}

fn record_and_wait(event: CUevent, from: CUstream, to: CUstream) -> Result<(), DriverError> {
    // SAFETY: both are alive.
    unsafe { result::event::record(event, from) }?;
    // SAFETY: both are alive.
    unsafe { result::stream::wait_event(to, event, CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT) }
}

fn memset(memory: u64, bytes: usize, stream: CUstream) -> Result<(), DriverError> {
    // SAFETY: the memory has as many bytes, and the stream is alive.
    unsafe { result::memset_d8_async(memory, 0, bytes, stream) }
}

/// Each stream sets its part of one allocation and waits for the one before it, 500 times.
fn many(streams: &[CUstream], event: CUevent, memory: u64) -> Result<(), DriverError> {
    for _ in 0..500 {
        let mut last = streams[streams.len() - 1];
        for (part, stream) in (0..).zip(streams) {
            record_and_wait(event, last, *stream)?;
            memset(memory + 64 * part, 64, *stream)?;
            last = *stream;
        }
    }
    result::ctx::synchronize()
}
