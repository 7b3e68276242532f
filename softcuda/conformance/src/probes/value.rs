//! Streams that wait until a word has a value, and streams that write one.
//!
//! Where a wait holds its stream, what is behind it is `NOT_READY` first and `SUCCESS` in the end.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, NON_BLOCKING, address, host};
use crate::handles::DISABLE_TIMING;
use crate::outcome::Outcome;
use crate::probe::Probe;

/// `CU_STREAM_WAIT_VALUE_*`: how the word compares.
pub(super) const GREATER_OR_EQUAL: u32 = 0;
pub(super) const EQUAL: u32 = 1;
const AND: u32 = 2;
const NOR: u32 = 3;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("value, waited for: the host writes a pinned word", |f| pinned(f, |_, word, _| set(word))),
    Probe::current("value, waited for: a stream writes it to a pinned word", |f| {
        pinned(f, |f, word, free| f.driver.cuStreamWriteValue32_v2(free, address(word), 1, 0))
    }),
    Probe::current("value, waited for: a kernel writes a pinned word", |f| {
        pinned(f, |f, word, free| f.kernels.fill(f.driver, address(word), 1, free))
    }),
    Probe::current("value, waited for: a memset of a pinned word", |f| {
        pinned(f, |f, word, free| f.driver.cuMemsetD32Async(address(word), 1, 1, free))
    }),
    Probe::current("value, waited for: a stream writes it to the device", |f| {
        on_device(f, |f, to, free| f.driver.cuStreamWriteValue32_v2(free, to, 1, 0))
    }),
    Probe::current("value, waited for: written without a barrier", |f| {
        on_device(f, |f, to, free| f.driver.cuStreamWriteValue32_v2(free, to, 1, 1))
    }),
    Probe::current("value, waited for: a kernel on the device", |f| on_device(f, |f, to, free| f.kernels.fill(f.driver, to, 1, free))),
    Probe::current("value, waited for: a memset on the device", |f| on_device(f, |f, to, free| f.driver.cuMemsetD32Async(to, 1, 1, free))),
    Probe::current("value, waited for: a copy from pinned memory to the device", |f| {
        let from = f.pinned(1);
        from[0].store(1, Ordering::Release);
        on_device(f, |f, to, free| f.driver.cuMemcpyHtoDAsync_v2(to, host(&from[0]), 4, free))
    }),
    Probe::current("value, waited for: another value first", |f| {
        let (stream, free, word) = (f.stream(), f.stream(), &f.pinned(1)[0]);
        let code = f.driver.cuStreamWaitValue32_v2(*stream, address(word), 2, EQUAL);
        let tail = f.recorded(*stream);
        f.driver.cuStreamWriteValue32_v2(*free, address(word), 1, 0);
        f.driver.cuStreamSynchronize(*free);
        let held = f.settled_query(*tail);
        word.store(2, Ordering::Release);
        [code, held, f.ends(*tail)].into()
    }),
    Probe::current("value, waited for: by two streams", |f| {
        let (first, second, word) = (f.stream(), f.stream(), &f.pinned(1)[0]);
        let codes = [&first, &second].map(|stream| f.driver.cuStreamWaitValue32_v2(**stream, address(word), 1, EQUAL));
        let tails = [f.recorded(*first), f.recorded(*second)];
        let held = tails.each_ref().map(|tail| f.settled_query(**tail));
        word.store(1, Ordering::Release);
        Outcome::from(codes).and(held).and(tails.each_ref().map(|tail| f.ends(**tail)))
    }),
    Probe::current("value, waited for: query of the stream", |f| {
        let (stream, word) = (f.stream(), &f.pinned(1)[0]);
        f.driver.cuStreamWaitValue32_v2(*stream, address(word), 1, EQUAL);
        let held = f.driver.cuStreamQuery(*stream);
        word.store(1, Ordering::Release);
        [held, f.ends(*f.recorded(*stream)), f.driver.cuStreamQuery(*stream)].into()
    }),
    Probe::current("value, waited for: the stream is destroyed", |f| {
        let (stream, word) = (f.stream(), &f.pinned(1)[0]);
        f.driver.cuStreamWaitValue32_v2(*stream, address(word), 1, EQUAL);
        let tail = f.recorded(*stream);
        let code = f.driver.cuStreamDestroy_v2(stream.into_handle());
        let held = f.settled_query(*tail);
        word.store(1, Ordering::Release);
        [code, held, f.ends(*tail)].into()
    }),
    Probe::current("value, waited for: by an event of another stream", |f| {
        let (stream, other, word) = (f.stream(), f.stream(), &f.pinned(1)[0]);
        f.driver.cuStreamWaitValue32_v2(*stream, address(word), 1, EQUAL);
        let event = f.recorded(*stream);
        f.driver.cuStreamWaitEvent(*other, *event, 0);
        let tail = f.recorded(*other);
        let held = f.settled_query(*tail);
        word.store(1, Ordering::Release);
        [held, f.ends(*tail)].into()
    }),
    Probe::current("value, waited for: on 0, work on a blocking stream", |f| held(f, Handle::DEFAULT, *f.blocking_stream(), set)),
    Probe::current("value, waited for: on a blocking stream, work on 0", |f| held(f, *f.blocking_stream(), Handle::DEFAULT, set)),
    Probe::current("value, waited for: on a stream, work on another", |f| held(f, *f.stream(), *f.stream(), set)),
    Probe::current("value, waited for: in a second context", |f| {
        let context = f.second_context();
        let outcome = {
            let (stream, tail) = (f.stream_in(context, NON_BLOCKING), f.event_in(context, DISABLE_TIMING));
            let word = &f.pinned(1)[0];
            let code = f.driver.cuStreamWaitValue32_v2(*stream, address(word), 1, EQUAL);
            f.driver.cuEventRecord(*tail, *stream);
            let held = f.settled_query(*tail);
            word.store(1, Ordering::Release);
            Outcome::from([code, held, f.ends(*tail)])
        };
        f.driver.cuCtxDestroy_v2(context);
        outcome
    }),
    Probe::current("value: what was done before it was written is there", |f| {
        let (first, second) = (f.stream(), f.stream());
        let (data, copy, word, read) = (f.memory(1, 1), f.memory(1, 0), &f.pinned(1)[0], f.pinned(1));
        let hold = f.hold(*first);
        f.kernels.fill(f.driver, data.address, 2, *first);
        f.driver.cuStreamWriteValue32_v2(*first, address(word), 1, 0);
        f.driver.cuStreamWaitValue32_v2(*second, address(word), 1, EQUAL);
        f.driver.cuMemcpyDtoDAsync_v2(copy.address, data.address, 4, *second);
        let tail = f.recorded(*second);
        let held = f.settled_query(*tail);
        hold.release();
        let end = f.ends(*tail);
        word.store(1, Ordering::Release);
        Outcome::from([held, end]).and(f.read(copy.address, &read[0]).to_string())
    }),
    Probe::current("value: of 32 bits, the upper half of the word", |f| {
        halves(f, |f, to, stream| f.driver.cuStreamWriteValue32_v2(stream, to, 5, 0))
    }),
    Probe::current("value: of 64 bits, both halves", |f| {
        halves(f, |f, to, stream| f.driver.cuStreamWriteValue64_v2(stream, to, (7 << 32) | 6, 0))
    }),
    Probe::current("value, at least 5: 4, 5, 6, 2^31 + 4, 2^31 + 5", |f| {
        compare(f, 5, &[4, 5, 6, 0x8000_0004, 0x8000_0005], GREATER_OR_EQUAL, 5)
    }),
    Probe::current("value, at least 2^31: 0, 2^31 - 1, 2^31, 2^32 - 1", |f| {
        compare(f, 1 << 31, &[0, 0x7fff_ffff, 1 << 31, u32::MAX], GREATER_OR_EQUAL, 1 << 31)
    }),
    Probe::current("value, equal to 5: 4, 5, 6", |f| compare(f, 5, &[4, 5, 6], EQUAL, 5)),
    Probe::current("value, a bit of 6: 1, 2, 8, 15", |f| compare(f, 6, &[1, 2, 8, 15], AND, 6)),
    Probe::current("value, a zero beside 0xffff0000: 0xffff, 0xfffe, 2^32 - 1", |f| {
        compare(f, 0xffff_0000, &[0xffff, 0xfffe, u32::MAX], NOR, 0)
    }),
    Probe::current("value of 64 bits, at least 2^40: one less, it, half a round on", |f| {
        let value = 1 << 40;
        compare_long(f, value, &[value - 1, value, value + (i64::MAX as u64), value + (1 << 63)], GREATER_OR_EQUAL, value)
    }),
    Probe::current("value of 64 bits, equal to 2^40 + 5: 5, it", |f| {
        let value = (1 << 40) | 5;
        compare_long(f, value, &[5, value], EQUAL, value)
    }),
    Probe::current("value of 64 bits, bit 40: 2^32 - 1, 2^41 - 1", |f| {
        compare_long(f, 1 << 40, &[u32::MAX.into(), (1 << 41) - 1], AND, 1 << 40)
    }),
    Probe::current("value of 64 bits, bit 40 zero: 2^40, 0", |f| compare_long(f, !(1 << 40), &[1 << 40, 0], NOR, 0)),
];

/// The host writes the word.
fn set(word: &'static AtomicU32) -> Code {
    word.store(1, Ordering::Release);
    Code::SUCCESS
}

/// A stream waits for a pinned word of 1: whether it is held until `let_go`, which has a free stream.
fn pinned(f: &Fixture, let_go: impl FnOnce(&Fixture, &'static AtomicU32, Handle) -> Code) -> Outcome {
    let (stream, free) = (f.stream(), f.stream());
    held(f, *stream, *stream, |word| let_go(f, word, *free))
}

/// `waiting` waits for a pinned word of 1: what that call answers, whether work on `observed` is held,
/// what `let_go` answers, and whether the work ends.
fn held(f: &Fixture, waiting: Handle, observed: Handle, let_go: impl FnOnce(&'static AtomicU32) -> Code) -> Outcome {
    let word = &f.pinned(1)[0];
    let code = f.driver.cuStreamWaitValue32_v2(waiting, address(word), 1, EQUAL);
    let tail = f.recorded(observed);
    let held = f.settled_query(*tail);
    let written = let_go(word);
    let end = f.ends(*tail);
    // If that did not let it go.
    word.store(1, Ordering::Release);
    [code, held, written, end].into()
}

/// The same with a word of device memory.
fn on_device(f: &Fixture, let_go: impl FnOnce(&Fixture, u64, Handle) -> Code) -> Outcome {
    let (stream, free, word) = (f.stream(), f.stream(), f.memory(1, 0));
    let code = f.driver.cuStreamWaitValue32_v2(*stream, word.address, 1, EQUAL);
    let tail = f.recorded(*stream);
    let held = f.settled_query(*tail);
    let written = let_go(f, word.address, *free);
    let end = f.ends(*tail);
    f.driver.cuMemsetD32Async(word.address, 1, 1, *free);
    [code, held, written, end].into()
}

/// Both halves of a word of 64 bits of 9 each after a write to it.
fn halves(f: &Fixture, write: impl FnOnce(&Fixture, u64, Handle) -> Code) -> Outcome {
    let (stream, memory, read) = (f.stream(), f.memory(2, 9), f.pinned(1));
    let code = write(f, memory.address, *stream);
    f.driver.cuStreamSynchronize(*stream);
    let [low, high] = [0, 4].map(|at| f.read(memory.address + at, &read[0]));
    Outcome::from(code).and(format!("{low}, {high}"))
}

/// Which of `words` let a stream pass that waits for `value`. `released` does.
fn compare(f: &Fixture, value: u32, words: &[u32], flags: u32, released: u32) -> Outcome {
    let set = |place: &'static [AtomicU32], word: u32| place[0].store(word, Ordering::Release);
    passing(f, words, released, set, |f, stream, to| f.driver.cuStreamWaitValue32_v2(stream, to, value, flags))
}

/// The same with words of 64 bits.
fn compare_long(f: &Fixture, value: u64, words: &[u64], flags: u32, released: u64) -> Outcome {
    let set = |place: &'static [AtomicU32], word: u64| {
        for (half, place) in [word & u64::from(u32::MAX), word >> 32].into_iter().zip(place) {
            place.store(u32::try_from(half).unwrap_or(u32::MAX), Ordering::Release);
        }
    };
    passing(f, words, released, set, |f, stream, to| f.driver.cuStreamWaitValue64_v2(stream, to, value, flags))
}

fn passing<T: Copy>(
    f: &Fixture,
    words: &[T],
    released: T,
    set: impl Fn(&'static [AtomicU32], T),
    wait: impl Fn(&Fixture, Handle, u64) -> Code,
) -> Outcome {
    let answers = words.iter().map(|&word| {
        let (stream, place) = (f.stream(), f.pinned(2));
        set(place, word);
        let code = wait(f, *stream, address(&place[0]));
        let tail = f.recorded(*stream);
        let passed = f.settled_query(*tail);
        set(place, released);
        match [code, passed, f.ends(*tail)] {
            [Code::SUCCESS, Code::SUCCESS, _] => "passes".to_owned(),
            [Code::SUCCESS, Code::NOT_READY, Code::SUCCESS] => "waits".to_owned(),
            codes => codes.map(|code| f.driver.code_name(code)).join(" "),
        }
    });
    answers.collect::<Vec<_>>().join(", ").into()
}
