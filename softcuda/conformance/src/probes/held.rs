//! Work behind a held stream changes no byte until the release.
//!
//! Outcomes are a word's value while the stream is held and after the release: 1 before, 2 after.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, address, host};
use crate::hold::Hold;
use crate::kernels::{Shape, launch};
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("held: a memset of bytes", |f| on_device(f, |f, to, stream| f.driver.cuMemsetD8Async(to, 2, 1, stream))),
    Probe::current("held: a memset of words", |f| on_device(f, |f, to, stream| f.driver.cuMemsetD32Async(to, 2, 1, stream))),
    Probe::current("held: a kernel", |f| on_device(f, |f, to, stream| f.kernels.fill(f.driver, to, 2, stream))),
    Probe::current("held: a kernel that writes pinned memory", |f| {
        on_host(f, |f, to, _, stream| f.kernels.fill(f.driver, host(to) as u64, 2, stream))
    }),
    Probe::current("held: a copy from pinned memory", |f| {
        let from = f.pinned(1);
        from[0].store(2, Ordering::Release);
        on_device(f, |f, to, stream| f.driver.cuMemcpyHtoDAsync_v2(to, host(&from[0]), 4, stream))
    }),
    Probe::current("held: a copy to pinned memory", |f| {
        on_host(f, |f, to, from, stream| f.driver.cuMemcpyDtoHAsync_v2(host(to), from, 4, stream))
    }),
    Probe::current("held: a copy on the device", |f| {
        let from = f.memory(1, 2);
        on_device(f, |f, to, stream| f.driver.cuMemcpyDtoDAsync_v2(to, from.address, 4, stream))
    }),
    Probe::current("held: a copy from pinned memory, changed after the call", |f| {
        let from = f.pinned(1);
        from[0].store(9, Ordering::Release);
        on_device(f, |f, to, stream| {
            let code = f.driver.cuMemcpyHtoDAsync_v2(to, host(&from[0]), 4, stream);
            from[0].store(2, Ordering::Release);
            code
        })
    }),
    Probe::current("held: a copy from pageable memory, changed after the call", |f| {
        static FROM: AtomicU32 = AtomicU32::new(2);
        on_device(f, |f, to, stream| {
            let code = f.driver.cuMemcpyHtoDAsync_v2(to, FROM.as_ptr().cast(), 4, stream);
            FROM.store(9, Ordering::Release);
            code
        })
    }),
    Probe::current("held: a copy to pageable memory", |f| {
        let (stream, from) = (f.stream(), f.memory(1, 1));
        let hold = f.hold(*stream);
        f.kernels.fill(f.driver, from.address, 2, *stream);
        let word = AtomicU32::new(0);
        let outcome = hold.wait_and_release(|d| d.cuMemcpyDtoHAsync_v2(word.as_ptr().cast(), from.address, 4, *stream));
        f.driver.cuStreamSynchronize(*stream);
        outcome.and(word.into_inner().to_string())
    }),
    Probe::current("held: a blocking stream, a copy to the host of the null stream", |f| {
        let (stream, from, word) = (f.blocking_stream(), f.memory(1, 1), AtomicU32::new(0));
        let hold = f.hold(*stream);
        f.kernels.fill(f.driver, from.address, 2, *stream);
        let outcome = hold.wait_and_release(|d| d.cuMemcpyDtoH_v2(word.as_ptr().cast(), from.address, 4));
        outcome.and(word.into_inner().to_string())
    }),
    Probe::current("held: a blocking stream, a copy to the device of the null stream", |f| {
        let (stream, to) = (f.blocking_stream(), f.memory(1, 1));
        let hold = f.hold(*stream);
        hold.wait_and_release(|d| d.cuMemcpyHtoD_v2(to.address, [2_u32].as_ptr().cast(), 4))
    }),
    Probe::current("held: a blocking stream, a memset of the null stream", |f| {
        let (stream, to) = (f.blocking_stream(), f.memory(1, 1));
        let hold = f.hold(*stream);
        hold.wait_and_release(|d| d.cuMemsetD8_v2(to.address, 2, 4))
    }),
    Probe::current("held: a non-blocking stream, a copy of the null stream", |f| {
        let (stream, from, word) = (f.stream(), f.memory(1, 2), AtomicU32::new(0));
        let hold = f.hold(*stream);
        let outcome = hold.wait_and_release(|d| d.cuMemcpyDtoH_v2(word.as_ptr().cast(), from.address, 4));
        outcome.and(word.into_inner().to_string())
    }),
    Probe::current("held: a kernel's parameters, changed after the call", |f| {
        static ADDRESS: AtomicU64 = AtomicU64::new(0);
        static VALUE: AtomicU32 = AtomicU32::new(2);
        on_device(f, |f, to, stream| {
            ADDRESS.store(to, Ordering::Release);
            let parameters = [ADDRESS.as_ptr().cast_const().cast(), VALUE.as_ptr().cast_const().cast()];
            let code = launch(f.driver, f.kernels.fill, Shape::ONE_THREAD, stream, &parameters);
            ADDRESS.store(0, Ordering::Release);
            VALUE.store(9, Ordering::Release);
            code
        })
    }),
    Probe::current("held: a value of 32 bits", |f| on_device(f, |f, to, stream| f.driver.cuStreamWriteValue32_v2(stream, to, 2, 0))),
    Probe::current("held: a value of 32 bits to pinned memory", |f| {
        on_host(f, |f, to, _, stream| f.driver.cuStreamWriteValue32_v2(stream, address(to), 2, 0))
    }),
    Probe::current("held: a memset of half words", |f| {
        on_device(f, |f, to, stream| {
            f.driver.cuMemsetD32Async(to, 0, 1, stream);
            f.driver.cuMemsetD16Async(to, 2, 1, stream)
        })
    }),
    Probe::current("held: three writes in order", |f| {
        on_device(f, |f, to, stream| {
            f.driver.cuMemsetD32Async(to, 7, 1, stream);
            f.kernels.fill(f.driver, to, 8, stream);
            f.driver.cuMemsetD32Async(to, 2, 1, stream)
        })
    }),
    Probe::current("held: memory freed in stream order", |f| {
        let (stream, word, mut address) = (f.stream(), f.pinned(1), 0);
        f.driver.cuMemAllocAsync(Some(&mut address), 4, *stream);
        f.driver.cuStreamSynchronize(*stream);
        let hold = f.hold(*stream);
        f.driver.cuMemsetD32Async(address, 2, 1, *stream);
        f.driver.cuMemcpyDtoHAsync_v2(host(&word[0]), address, 4, *stream);
        let code = f.driver.cuMemFreeAsync(address, *stream);
        let outcome = hold.query_and_release(*f.recorded(*stream));
        Outcome::from(code).and(outcome).and(word[0].load(Ordering::Acquire).to_string())
    }),
];

/// The word on the device that `enqueue` changes, seen from another stream.
fn on_device(f: &Fixture, enqueue: impl FnOnce(&Fixture, u64, Handle) -> Code) -> Outcome {
    let (stream, memory, word) = (f.stream(), f.memory(1, 1), f.pinned(1));
    let hold = f.hold(*stream);
    let code = enqueue(f, memory.address, *stream);
    observe(f, *stream, hold, code, || f.read(memory.address, &word[0]))
}

/// The pinned word that `enqueue` changes, perhaps from a word of 2 on the device.
fn on_host(f: &Fixture, enqueue: impl FnOnce(&Fixture, &'static AtomicU32, u64, Handle) -> Code) -> Outcome {
    let (stream, from, word) = (f.stream(), f.memory(1, 2), f.pinned(1));
    word[0].store(1, Ordering::Release);
    let hold = f.hold(*stream);
    let code = enqueue(f, &word[0], from.address, *stream);
    observe(f, *stream, hold, code, || word[0].load(Ordering::Acquire))
}

fn observe(f: &Fixture, stream: Handle, hold: Hold<'_>, code: Code, read: impl Fn() -> u32) -> Outcome {
    let tail = f.recorded(stream);
    f.settled_query(*tail);
    let before = read();
    hold.release();
    f.driver.cuEventSynchronize(*tail);
    Outcome::from(code).and(format!("{before}, {}", read()))
}
