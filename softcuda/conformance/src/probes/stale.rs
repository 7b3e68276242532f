//! Handles of contexts that are gone. A real driver crashes on many of them: each probe has a
//! process of its own.

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::{NON_BLOCKING, second_context};
use crate::probe::Probe;

/// What is left of a context, and a stream that lives.
struct Stale {
    stream: Handle,
    start: Handle,
    end: Handle,
    alive: Handle,
}

macro_rules! stale {
    ($what:literal, $make:expr) => {
        [
            Probe::alone(concat!($what, ": cuEventQuery"), |d| d.cuEventQuery($make(d).end).into()),
            Probe::alone(concat!($what, ": cuEventSynchronize"), |d| d.cuEventSynchronize($make(d).end).into()),
            Probe::alone(concat!($what, ": cuEventElapsedTime"), |d| {
                let stale = $make(d);
                d.cuEventElapsedTime(Some(&mut 0.0), stale.start, stale.end).into()
            }),
            Probe::alone(concat!($what, ": cuEventDestroy"), |d| d.cuEventDestroy_v2($make(d).end).into()),
            Probe::alone(concat!($what, ": record of the event on a live stream"), |d| {
                let stale = $make(d);
                d.cuEventRecord(stale.end, stale.alive).into()
            }),
            Probe::alone(concat!($what, ": wait of a live stream for the event"), |d| {
                let stale = $make(d);
                d.cuStreamWaitEvent(stale.alive, stale.end, 0).into()
            }),
            Probe::alone(concat!($what, ": cuStreamQuery"), |d| d.cuStreamQuery($make(d).stream).into()),
            Probe::alone(concat!($what, ": cuStreamSynchronize"), |d| d.cuStreamSynchronize($make(d).stream).into()),
            Probe::alone(concat!($what, ": cuStreamGetId"), |d| d.cuStreamGetId($make(d).stream, Some(&mut 0)).into()),
            Probe::alone(concat!($what, ": cuStreamGetCtx"), |d| d.cuStreamGetCtx($make(d).stream, Some(&mut Handle(0))).into()),
            Probe::alone(concat!($what, ": cuStreamDestroy"), |d| d.cuStreamDestroy_v2($make(d).stream).into()),
            Probe::alone(concat!($what, ": record of the event on the stream"), |d| {
                let stale = $make(d);
                d.cuEventRecord(stale.end, stale.stream).into()
            }),
            Probe::alone(concat!($what, ": wait of the stream for the event"), |d| {
                let stale = $make(d);
                d.cuStreamWaitEvent(stale.stream, stale.end, 0).into()
            }),
        ]
    };
}

pub(super) const DESTROYED: [Probe; 13] = stale!("destroyed context", destroyed);
pub(super) const RESET: [Probe; 13] = stale!("reset context", reset);
pub(super) const REBORN: [Probe; 13] = stale!("reset, retained again", reborn);
pub(super) const RELEASED: [Probe; 13] = stale!("released, retained again", released);

/// A second context was destroyed; nothing was created since. The live stream is older.
fn destroyed(driver: &Driver) -> Stale {
    let context = primary(driver);
    let alive = stream(driver);
    driver.cuCtxSetCurrent(second_context(driver));
    let stale = leave(driver, alive);
    let mut second = Handle::NULL;
    driver.cuCtxGetCurrent(Some(&mut second));
    driver.cuCtxSetCurrent(context);
    driver.cuCtxDestroy_v2(second);
    stale
}

/// The primary context was reset; the live stream is its null stream.
fn reset(driver: &Driver) -> Stale {
    primary(driver);
    let stale = leave(driver, Handle::DEFAULT);
    driver.cuDevicePrimaryCtxReset_v2(0);
    stale
}

/// The same, then retained again, with a stream and three events in it.
fn reborn(driver: &Driver) -> Stale {
    let stale = reset(driver);
    Stale { alive: populate(driver), ..stale }
}

/// The primary context was released to zero and retained again, with a stream and three events in it.
fn released(driver: &Driver) -> Stale {
    primary(driver);
    let stale = leave(driver, Handle::DEFAULT);
    driver.cuDevicePrimaryCtxRelease_v2(0);
    Stale { alive: populate(driver), ..stale }
}

/// Retains the primary context of device 0 and makes it current.
fn primary(driver: &Driver) -> Handle {
    let mut context = Handle::NULL;
    driver.cuInit(0);
    driver.cuDevicePrimaryCtxRetain(Some(&mut context), 0);
    driver.cuCtxSetCurrent(context);
    context
}

/// A stream and two complete timed events of the current context, which is to go.
fn leave(driver: &Driver, alive: Handle) -> Stale {
    let (stream, start, end) = (stream(driver), event(driver), event(driver));
    for event in [start, end] {
        assert_eq!(driver.cuEventRecord(event, stream), Code::SUCCESS, "record while alive");
    }
    driver.cuStreamSynchronize(stream);
    Stale { stream, start, end, alive }
}

/// Retains the primary context anew, with a stream and three events: the stream.
fn populate(driver: &Driver) -> Handle {
    primary(driver);
    let alive = stream(driver);
    for _ in 0..3 {
        event(driver);
    }
    alive
}

fn stream(driver: &Driver) -> Handle {
    let mut stream = Handle::NULL;
    driver.cuStreamCreate(Some(&mut stream), NON_BLOCKING);
    stream
}

fn event(driver: &Driver) -> Handle {
    let mut event = Handle::NULL;
    driver.cuEventCreate(Some(&mut event), 0);
    event
}
