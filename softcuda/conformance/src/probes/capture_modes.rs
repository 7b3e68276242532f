//! The capture mode of threads: what `cuThreadExchangeStreamCaptureMode` answers, and which calls it lets through.

use std::thread;

use crate::code::Code;
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::graphs::{GLOBAL, RELAXED, THREAD_LOCAL};
use crate::outcome::Outcome;
use crate::probe::Probe;

const MODES: [u32; 3] = [GLOBAL, THREAD_LOCAL, RELAXED];

macro_rules! matrix {
    ($($name:literal: $capture:expr;)*) => {
        &[$(
            Probe::current(concat!("capture mode ", $name, ": the same thread's mode 0, 1, 2"), |f| {
                Outcome::each(MODES, |mode| here(f, $capture, mode, query)).and("then cuMemAlloc").and(Outcome::each(MODES, |mode| here(f, $capture, mode, allocate)))
            }),
            Probe::current(concat!("capture mode ", $name, ": another thread's mode 0, 1, 2"), |f| {
                Outcome::each(MODES, |mode| there(f, $capture, mode, query)).and("then cuMemAlloc").and(Outcome::each(MODES, |mode| there(f, $capture, mode, allocate)))
            }),
        )*]
    };
}

/// A query of a complete event and an allocation, by the mode of the capture and of the calling thread.
pub(super) const MATRIX: &[Probe] = matrix! {
    "global": GLOBAL;
    "thread-local": THREAD_LOCAL;
    "relaxed": RELAXED;
};

pub(super) const PROBES: &[Probe] = &[
    Probe::current("capture mode: of a thread, of a new thread", |f| {
        let here = exchange(f, RELAXED);
        let there = thread::scope(|scope| scope.spawn(|| f.with_primary(|| exchange(f, RELAXED))).join()).expect("a mode");
        here.and(there).and(exchange(f, GLOBAL))
    }),
    Probe::bare("capture mode: of a thread without a context", |f| exchange(f, RELAXED).and(exchange(f, GLOBAL))),
    Probe::current("capture mode: what begin and end do to it", |f| {
        let stream = f.stream();
        let before = exchange(f, THREAD_LOCAL);
        f.driver.cuStreamBeginCapture_v2(*stream, RELAXED);
        let within = exchange(f, GLOBAL);
        f.end(*stream);
        before.and(within).and(exchange(f, GLOBAL))
    }),
    Probe::current("capture mode: relaxed before the begin, of a thread-local capture", |f| {
        let stream = f.stream();
        exchange(f, RELAXED);
        let outcome = around(f, THREAD_LOCAL, query);
        drop(stream);
        outcome
    }),
    Probe::current("capture mode: ended inside the relaxed exchange", |f| {
        let stream = f.stream();
        f.begin(*stream);
        exchange(f, RELAXED);
        let end = f.end_code(*stream);
        Outcome::from(end).and(exchange(f, GLOBAL)).and(query(f))
    }),
    Probe::current("capture mode: begun inside the relaxed exchange, used outside", |f| {
        let stream = f.stream();
        exchange(f, RELAXED);
        f.begin(*stream);
        exchange(f, GLOBAL);
        let code = query(f);
        Outcome::from(code).and(f.status(*stream)).and(f.end_code(*stream))
    }),
    Probe::current("capture mode: two captures, global and relaxed, one query", |f| {
        let (first, second) = (f.stream(), f.stream());
        f.driver.cuStreamBeginCapture_v2(*first, GLOBAL);
        f.driver.cuStreamBeginCapture_v2(*second, RELAXED);
        let code = query(f);
        Outcome::from(code).and(f.status(*first)).and(f.status(*second)).and([f.end_code(*first), f.end_code(*second)])
    }),
    Probe::current("capture mode: two relaxed captures, a query of the other stream", |f| {
        let (first, second) = (f.stream(), f.stream());
        f.driver.cuStreamBeginCapture_v2(*first, RELAXED);
        f.driver.cuStreamBeginCapture_v2(*second, RELAXED);
        let code = f.driver.cuStreamQuery(*second);
        Outcome::from(code).and(f.status(*first)).and(f.status(*second)).and([f.end_code(*first), f.end_code(*second)])
    }),
    Probe::current("capture mode: a query beside a global capture of another context", |f| {
        let second = f.second_context();
        let stream = f.stream_in(second, NON_BLOCKING);
        f.driver.cuStreamBeginCapture_v2(*stream, GLOBAL);
        let codes = [query(f), allocate(f)];
        let outcome = Outcome::from(codes).and(f.status(*stream)).and(f.end_code(*stream));
        drop(stream);
        f.driver.cuCtxDestroy_v2(second);
        outcome
    }),
    Probe::current("capture mode: cuCtxSynchronize beside a capture of another context", |f| {
        let second = f.second_context();
        let stream = f.stream_in(second, NON_BLOCKING);
        f.begin(*stream);
        exchange(f, RELAXED);
        let code = f.driver.cuCtxSynchronize();
        let outcome = Outcome::from(code).and(f.status(*stream)).and(f.end_code(*stream));
        drop(stream);
        f.driver.cuCtxDestroy_v2(second);
        outcome
    }),
];

/// Sets the thread's mode: the code and the mode before.
fn exchange(f: &Fixture, mut mode: u32) -> Outcome {
    let code = f.driver.cuThreadExchangeStreamCaptureMode(Some(&mut mode));
    Outcome::from(code).and(mode.to_string())
}

fn query(f: &Fixture) -> Code {
    f.driver.cuEventQuery(*f.event(0))
}

fn allocate(f: &Fixture) -> Code {
    let mut address = 0;
    let code = f.driver.cuMemAlloc_v2(Some(&mut address), 4);
    if code.is_success() {
        f.driver.cuMemFree_v2(address);
    }
    code
}

fn here(f: &Fixture, capture: u32, mode: u32, call: fn(&Fixture) -> Code) -> Outcome {
    around(f, capture, |f| in_mode(f, mode, call))
}

fn there(f: &Fixture, capture: u32, mode: u32, call: fn(&Fixture) -> Code) -> Outcome {
    around(f, capture, |f| {
        let caller = || f.with_primary(|| in_mode(f, mode, call));
        thread::scope(|scope| scope.spawn(caller).join()).expect("a call of another thread")
    })
}

fn in_mode(f: &Fixture, mut mode: u32, call: fn(&Fixture) -> Code) -> Code {
    f.driver.cuThreadExchangeStreamCaptureMode(Some(&mut mode));
    let code = call(f);
    f.driver.cuThreadExchangeStreamCaptureMode(Some(&mut mode));
    code
}

/// A call while a stream captures, and what the capture is afterwards.
fn around(f: &Fixture, capture: u32, call: impl FnOnce(&Fixture) -> Code) -> Outcome {
    let stream = f.stream();
    f.driver.cuStreamBeginCapture_v2(*stream, capture);
    let code = call(f);
    let outcome = Outcome::from(code).and(f.status(*stream));
    f.end(*stream);
    outcome
}
