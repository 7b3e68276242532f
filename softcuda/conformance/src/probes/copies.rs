//! Copies that find out themselves where memory is, and copies between contexts.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, NOWHERE, address, host, page, pages};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

/// More than a driver takes along with the call itself.
const LARGE: usize = 4 << 20;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("copy, any: device to device", |f| between(f, f.memory(1, 0).address, f.memory(1, 7).address)),
    Probe::current("copy, any: pinned to device", |f| between(f, f.memory(1, 0).address, word(&f.pinned(1)[0]))),
    Probe::current("copy, any: device to pinned", |f| between(f, address(&f.pinned(1)[0]), f.memory(1, 7).address)),
    Probe::current("copy, any: pageable to device", |f| between(f, f.memory(1, 0).address, word(&page()[0]))),
    Probe::current("copy, any: device to pageable", |f| between(f, address(&page()[0]), f.memory(1, 7).address)),
    Probe::current("copy, any: pinned to pinned", |f| between(f, address(&f.pinned(1)[0]), word(&f.pinned(1)[0]))),
    Probe::current("copy, any: pageable to pageable", |f| between(f, address(&page()[0]), word(&page()[0]))),
    Probe::current("copy, any: 0 bytes", |f| {
        let memory = f.memory(1, 0);
        [f.driver.cuMemcpy(memory.address, memory.address, 0), f.driver.cuMemcpyAsync(memory.address, memory.address, 0, *f.stream())]
            .into()
    }),
    Probe::current("copy, any: to null, from null", |f| {
        let (memory, stream) = (f.memory(1, 0), f.stream());
        [
            f.driver.cuMemcpy(0, memory.address, 4),
            f.driver.cuMemcpy(memory.address, 0, 4),
            f.driver.cuMemcpyAsync(0, memory.address, 4, *stream),
            f.driver.cuMemcpyAsync(memory.address, 0, 4, *stream),
        ]
        .into()
    }),
    Probe::current("copy, any: beyond the end of an allocation", |f| {
        let (from, to) = (f.memory(LARGE / 4, 0), f.memory(LARGE / 2, 0));
        f.driver.cuMemcpy(to.address, from.address, 2 * LARGE).into()
    }),
    Probe::current("copy, any: on the handles 0, 1, 2", |f| {
        let (to, from) = (f.memory(1, 0), f.memory(1, 7));
        [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD]
            .map(|stream| f.driver.cuMemcpyAsync(to.address, from.address, 4, stream))
            .into()
    }),
    Probe::current("copy to the device by a call to the host", |f| {
        let (to, from, stream) = (f.memory(1, 0), f.memory(1, 7), f.stream());
        let codes = [
            f.driver.cuMemcpyDtoH_v2(to.address as *mut _, from.address, 4),
            f.driver.cuMemcpyDtoHAsync_v2(to.address as *mut _, from.address, 4, *stream),
        ];
        f.driver.cuStreamSynchronize(*stream);
        Outcome::from(codes).and(f.read(to.address, &f.pinned(1)[0]).to_string())
    }),
    Probe::current("copy on the device of pinned memory", |f| {
        let (to, from, stream) = (f.memory(1, 0), word(&f.pinned(1)[0]), f.stream());
        let codes = [f.driver.cuMemcpyDtoD_v2(to.address, from, 4), f.driver.cuMemcpyDtoDAsync_v2(to.address, from, 4, *stream)];
        f.driver.cuStreamSynchronize(*stream);
        Outcome::from(codes).and(f.read(to.address, &f.pinned(1)[0]).to_string())
    }),
    Probe::current("copy on the device of pageable memory", |f| {
        let (to, from, stream) = (f.memory(1, 0), word(&page()[0]), f.stream());
        [f.driver.cuMemcpyDtoD_v2(to.address, from, 4), f.driver.cuMemcpyDtoDAsync_v2(to.address, from, 4, *stream)].into()
    }),
    Probe::current("copy on the device: there", |f| {
        let (to, from) = (f.memory(1, 0), f.memory(1, 7));
        let code = f.driver.cuMemcpyDtoD_v2(to.address, from.address, 4);
        f.driver.cuCtxSynchronize();
        Outcome::from(code).and(f.read(to.address, &f.pinned(1)[0]).to_string())
    }),
    Probe::current("copy on the device: to nowhere, from nowhere, 0 bytes", |f| {
        let memory = f.memory(1, 0);
        [
            f.driver.cuMemcpyDtoD_v2(NOWHERE, memory.address, 4),
            f.driver.cuMemcpyDtoD_v2(memory.address, NOWHERE, 4),
            f.driver.cuMemcpyDtoD_v2(memory.address, memory.address, 0),
        ]
        .into()
    }),
    Probe::current("copy on the device: onto itself, overlapping", |f| {
        let memory = f.memory(4, 0);
        [f.driver.cuMemcpyDtoD_v2(memory.address, memory.address, 8), f.driver.cuMemcpyDtoD_v2(memory.address + 4, memory.address, 8)]
            .into()
    }),
    Probe::current("copy between contexts: one context, by its handle, by null", |f| {
        let (to, from, stream) = (f.memory(1, 0), f.memory(1, 7), f.stream());
        [
            f.driver.cuMemcpyPeer(to.address, f.primary, from.address, f.primary, 4),
            f.driver.cuMemcpyPeer(to.address, Handle::NULL, from.address, Handle::NULL, 4),
            f.driver.cuMemcpyPeerAsync(to.address, f.primary, from.address, f.primary, 4, *stream),
            f.driver.cuMemcpyPeerAsync(to.address, Handle::NULL, from.address, f.primary, 4, *stream),
        ]
        .into()
    }),
    Probe::current("copy between contexts: from a second context", |f| {
        let (context, to, mut from) = (f.second_context(), f.memory(1, 0), 0);
        f.within(context, || {
            f.driver.cuMemAlloc_v2(Some(&mut from), 4);
            f.driver.cuMemsetD32_v2(from, 7, 1);
            f.driver.cuCtxSynchronize()
        });
        let code = f.driver.cuMemcpyPeer(to.address, f.primary, from, context, 4);
        f.driver.cuCtxSynchronize();
        let outcome = Outcome::from(code).and(f.read(to.address, &f.pinned(1)[0]).to_string());
        f.driver.cuCtxDestroy_v2(context);
        outcome
    }),
    Probe::current("copy between contexts: the wrong context of the memory", |f| {
        let (context, to, from) = (f.second_context(), f.memory(1, 0), f.memory(1, 7));
        let code = f.driver.cuMemcpyPeer(to.address, f.primary, from.address, context, 4);
        f.driver.cuCtxDestroy_v2(context);
        code.into()
    }),
    Probe::current("copy between contexts: from pinned memory, from pageable", |f| {
        let to = f.memory(1, 0);
        [word(&f.pinned(1)[0]), word(&page()[0])].map(|from| f.driver.cuMemcpyPeer(to.address, f.primary, from, f.primary, 4)).into()
    }),
    Probe::current("copy: from memory that is registered in part", |f| {
        let (to, from, stream) = (f.memory(2048, 0), pages(2), f.stream());
        let registered = f.driver.cuMemHostRegister_v2(host(&from[0]), 4096, 0);
        let codes = [
            f.driver.cuMemcpyHtoD_v2(to.address, host(&from[0]), 8192),
            f.driver.cuMemcpyHtoDAsync_v2(to.address, host(&from[0]), 8192, *stream),
            f.driver.cuMemcpy(to.address, address(&from[0]), 8192),
            f.driver.cuStreamSynchronize(*stream),
        ];
        Outcome::from(registered).and(codes).and(f.driver.cuMemHostUnregister(host(&from[0])))
    }),
    Probe::current("copy between contexts: 0 bytes, nowhere", |f| {
        let memory = f.memory(1, 0);
        [
            f.driver.cuMemcpyPeer(memory.address, f.primary, memory.address, f.primary, 0),
            f.driver.cuMemcpyPeer(NOWHERE, f.primary, memory.address, f.primary, 4),
            f.driver.cuMemcpyPeer(memory.address, f.primary, NOWHERE, f.primary, 4),
        ]
        .into()
    }),
    Probe::current("held: a blocking stream, cuMemcpyDtoD", |f| {
        let (stream, to, from) = (f.blocking_stream(), f.memory(1, 0), f.memory(1, 7));
        f.hold(*stream).wait_and_release(|d| d.cuMemcpyDtoD_v2(to.address, from.address, 4))
    }),
    Probe::current("held: a blocking stream, cuMemcpy on the device", |f| {
        let (stream, to, from) = (f.blocking_stream(), f.memory(1, 0), f.memory(1, 7));
        f.hold(*stream).wait_and_release(|d| d.cuMemcpy(to.address, from.address, 4))
    }),
    Probe::current("held: a blocking stream, cuMemcpy to pinned memory", |f| {
        let (stream, to, from) = (f.blocking_stream(), address(&f.pinned(1)[0]), f.memory(1, 7));
        f.hold(*stream).wait_and_release(|d| d.cuMemcpy(to, from.address, 4))
    }),
    Probe::current("held: a blocking stream, cuMemcpyPeer", |f| {
        let (stream, to, from, context) = (f.blocking_stream(), f.memory(1, 0), f.memory(1, 7), f.primary);
        f.hold(*stream).wait_and_release(|d| d.cuMemcpyPeer(to.address, context, from.address, context, 4))
    }),
    Probe::current("held: a blocking stream, a copy from pinned memory", |f| {
        let (stream, to, from) = (f.blocking_stream(), f.memory(1, 0), f.pinned(1));
        f.hold(*stream).wait_and_release(|d| d.cuMemcpyHtoD_v2(to.address, host(&from[0]), 4))
    }),
    Probe::current("held: cuMemcpyAsync on the device", |f| async_copy(f, f.memory(1, 0).address, f.memory(1, 7).address)),
    Probe::current("held: cuMemcpyAsync from pinned memory", |f| async_copy(f, f.memory(1, 0).address, word(&f.pinned(1)[0]))),
    Probe::current("held: cuMemcpyAsync to pageable memory", |f| async_copy(f, address(&page()[0]), f.memory(1, 7).address)),
    Probe::current("held: cuMemcpyAsync from pageable memory", |f| async_copy(f, f.memory(1, 0).address, word(&page()[0]))),
    Probe::current("held: cuMemcpyAsync from pinned to pinned memory", |f| async_copy(f, address(&f.pinned(1)[0]), word(&f.pinned(1)[0]))),
    Probe::current("held: cuMemcpyAsync from pageable to pageable memory", |f| async_copy(f, address(&page()[0]), word(&page()[0]))),
    Probe::current("held: a non-blocking stream, cuMemcpyPeer", |f| {
        let (stream, to, from, context) = (f.stream(), f.memory(1, 0), f.memory(1, 7), f.primary);
        f.hold(*stream).wait_and_release(|d| d.cuMemcpyPeer(to.address, context, from.address, context, 4))
    }),
    Probe::current("held: cuMemcpyPeerAsync", |f| {
        let (stream, to, from, context) = (f.stream(), f.memory(1, 0), f.memory(1, 7), f.primary);
        f.hold(*stream).wait_and_release(|d| d.cuMemcpyPeerAsync(to.address, context, from.address, context, 4, *stream))
    }),
    Probe::current("held: a copy of 4 MiB from pageable memory", |f| {
        let (stream, to) = (f.stream(), f.memory(LARGE / 4, 0));
        let from: &'static [u8] = vec![5; LARGE].leak();
        f.hold(*stream).wait_and_release(|d| d.cuMemcpyHtoDAsync_v2(to.address, from.as_ptr().cast(), LARGE, *stream))
    }),
    Probe::current("held: a copy of 4 MiB from pinned memory", |f| {
        let (stream, to, from) = (f.stream(), f.memory(LARGE / 4, 0), f.pinned(LARGE / 4));
        f.hold(*stream).wait_and_release(|d| d.cuMemcpyHtoDAsync_v2(to.address, host(&from[0]), LARGE, *stream))
    }),
    Probe::current("held: a copy of 4 MiB to pageable memory", |f| {
        let (stream, from) = (f.stream(), f.memory(LARGE / 4, 0));
        let to: &'static [AtomicU32] = (0..LARGE / 4).map(|_| AtomicU32::new(0)).collect::<Vec<_>>().leak();
        f.hold(*stream).wait_and_release(|d| d.cuMemcpyDtoHAsync_v2(to[0].as_ptr().cast(), from.address, LARGE, *stream))
    }),
    Probe::current("held: a copy from registered memory, changed after the call", |f| {
        let (stream, to, from) = (f.stream(), f.memory(1, 1), page());
        from[0].store(9, Ordering::Release);
        let code = f.driver.cuMemHostRegister_v2(host(&from[0]), 4096, 0);
        let hold = f.hold(*stream);
        let copy = f.driver.cuMemcpyHtoDAsync_v2(to.address, host(&from[0]), 4, *stream);
        from[0].store(2, Ordering::Release);
        hold.release();
        f.driver.cuStreamSynchronize(*stream);
        let outcome = Outcome::from([code, copy]).and(f.read(to.address, &f.pinned(1)[0]).to_string());
        outcome.and(f.driver.cuMemHostUnregister(host(&from[0])))
    }),
    Probe::current("copy: 4 MiB there and back, pageable", |f| {
        let (memory, sent, mut back) = (f.memory(LARGE / 4, 0), vec![0x5a_u8; LARGE], vec![0_u8; LARGE]);
        let codes = [
            f.driver.cuMemcpyHtoD_v2(memory.address, sent.as_ptr().cast(), LARGE),
            f.driver.cuMemcpyDtoH_v2(back.as_mut_ptr().cast(), memory.address, LARGE),
        ];
        Outcome::from(codes).and(verdict(sent == back, "the same bytes"))
    }),
];

/// The address of a word that is now 7.
fn word(word: &'static AtomicU32) -> u64 {
    word.store(7, Ordering::Release);
    address(word)
}

/// A word of 7 copied by both calls; what is there after each.
fn between(f: &Fixture, to: u64, from: u64) -> Outcome {
    let (stream, read) = (f.stream(), f.pinned(1));
    let see = || {
        f.driver.cuCtxSynchronize();
        // From wherever it is.
        f.driver.cuMemcpy(address(&read[0]), to, 4);
        read[0].swap(0, Ordering::AcqRel).to_string()
    };
    let first = f.driver.cuMemcpy(to, from, 4);
    let seen = see();
    let second = f.driver.cuMemcpyAsync(to, from, 4, *stream);
    Outcome::from(first).and(seen).and(second).and(see())
}

/// Does the call wait for the stream?
fn async_copy(f: &Fixture, to: u64, from: u64) -> Outcome {
    let stream = f.stream();
    let hold = f.hold(*stream);
    let outcome = hold.wait_and_release(|d| d.cuMemcpyAsync(to, from, 4, *stream));
    match f.driver.cuStreamSynchronize(*stream) {
        Code::SUCCESS => outcome,
        code => outcome.and(code),
    }
}
