//! Memsets of every width.

use std::sync::atomic::Ordering;

use crate::driver::{Driver, Handle};
use crate::fixture::{NOWHERE, address, page};
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("memset: of every width, read back", |f| {
        let (memory, stream, read) = (f.memory(6, 0), f.stream(), f.pinned(1));
        let at = |word: u64| memory.address + 4 * word;
        let codes = [
            f.driver.cuMemsetD8_v2(at(0), 0x5a, 3),
            f.driver.cuMemsetD16_v2(at(1), 0x1234, 1),
            f.driver.cuMemsetD32_v2(at(2), 0x0102_0304, 1),
            f.driver.cuMemsetD8Async(at(3), 0x5a, 3, *stream),
            f.driver.cuMemsetD16Async(at(4), 0x1234, 1, *stream),
            f.driver.cuMemsetD32Async(at(5), 0x0102_0304, 1, *stream),
        ];
        f.driver.cuCtxSynchronize();
        let words: Vec<String> = (0..6).map(|word| format!("{:#x}", f.read(at(word), &read[0]))).collect();
        Outcome::from(codes).and(words.join(" "))
    }),
    Probe::current("memset: of no elements, of no elements nowhere", |f| {
        let (memory, stream) = (f.memory(1, 0), f.stream());
        every(f.driver, memory.address, 0, *stream).and(every(f.driver, NOWHERE, 0, *stream))
    }),
    Probe::current("memset: 1 byte on", |f| every(f.driver, f.memory(4, 0).address + 1, 1, *f.stream())),
    Probe::current("memset: 2 bytes on", |f| every(f.driver, f.memory(4, 0).address + 2, 1, *f.stream())),
    Probe::current("memset: at null", |f| every(f.driver, 0, 1, *f.stream())),
    Probe::current("memset: nowhere, every width", |f| every(f.driver, NOWHERE, 1, *f.stream())),
    Probe::current("memset: of pinned memory", |f| {
        let (words, stream) = (f.pinned(4), f.stream());
        let outcome = every(f.driver, address(&words[0]), 1, *stream);
        f.driver.cuCtxSynchronize();
        outcome.and(words[0].load(Ordering::Acquire).to_string())
    }),
    Probe::current("memset: of pageable memory", |f| every(f.driver, address(&page()[0]), 1, *f.stream())),
    Probe::current("memset: beyond the end of an allocation", |f| {
        const WORDS: usize = 1 << 20;
        let (memory, stream) = (f.memory(WORDS, 0), f.stream());
        [f.driver.cuMemsetD32_v2(memory.address, 1, 2 * WORDS), f.driver.cuMemsetD32Async(memory.address, 1, 2 * WORDS, *stream)].into()
    }),
    Probe::current("memset: on the handles 0, 1, 2", |f| {
        let memory = f.memory(1, 0);
        [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD].map(|stream| f.driver.cuMemsetD32Async(memory.address, 1, 1, stream)).into()
    }),
    Probe::current("held: a blocking stream, cuMemsetD32", |f| {
        let (stream, to) = (f.blocking_stream(), f.memory(1, 1));
        f.hold(*stream).wait_and_release(|d| d.cuMemsetD32_v2(to.address, 2, 1))
    }),
    Probe::current("held: a blocking stream, cuMemsetD32 of pinned memory", |f| {
        let (stream, to) = (f.blocking_stream(), address(&f.pinned(1)[0]));
        f.hold(*stream).wait_and_release(|d| d.cuMemsetD32_v2(to, 2, 1))
    }),
    Probe::current("held: cuMemsetD32Async of pinned memory", |f| {
        let (stream, to) = (f.stream(), address(&f.pinned(1)[0]));
        f.hold(*stream).wait_and_release(|d| d.cuMemsetD32Async(to, 2, 1, *stream))
    }),
];

/// The answers of all widths, 8, 16 and 32 bits, first without a stream and then on one.
fn every(driver: &Driver, to: u64, count: usize, stream: Handle) -> Outcome {
    [
        driver.cuMemsetD8_v2(to, 1, count),
        driver.cuMemsetD16_v2(to, 1, count),
        driver.cuMemsetD32_v2(to, 1, count),
        driver.cuMemsetD8Async(to, 1, count, stream),
        driver.cuMemsetD16Async(to, 1, count, stream),
        driver.cuMemsetD32Async(to, 1, count, stream),
    ]
    .into()
}
