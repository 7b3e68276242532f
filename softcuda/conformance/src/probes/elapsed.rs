//! The time between two events, by both forms of the call.

use std::time::{Duration, Instant};

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::handles::{DISABLE_TIMING, Event};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("elapsed: neither event recorded", |f| both(f.driver, *f.event(0), *f.event(0))),
    Probe::current("elapsed: start never recorded", |f| both(f.driver, *f.event(0), *f.complete(0))),
    Probe::current("elapsed: end never recorded", |f| both(f.driver, *f.complete(0), *f.event(0))),
    Probe::current("elapsed: start without timing", |f| both(f.driver, *f.complete(DISABLE_TIMING), *f.complete(0))),
    Probe::current("elapsed: end without timing", |f| both(f.driver, *f.complete(0), *f.complete(DISABLE_TIMING))),
    Probe::current("elapsed: never recorded and without timing", |f| both(f.driver, *f.event(DISABLE_TIMING), *f.event(DISABLE_TIMING))),
    Probe::current("elapsed: end held", |f| {
        let (stream, start, end) = (f.stream(), f.complete(0), f.event(0));
        let _hold = f.hold(*stream);
        f.driver.cuEventRecord(*end, *stream);
        both(f.driver, *start, *end)
    }),
    Probe::current("elapsed: start held", |f| {
        let (stream, start, end) = (f.stream(), f.event(0), f.complete(0));
        let _hold = f.hold(*stream);
        f.driver.cuEventRecord(*start, *stream);
        both(f.driver, *start, *end)
    }),
    Probe::current("elapsed: end held, start without timing", |f| {
        let (stream, start, end) = (f.stream(), f.complete(DISABLE_TIMING), f.event(0));
        let _hold = f.hold(*stream);
        f.driver.cuEventRecord(*end, *stream);
        both(f.driver, *start, *end)
    }),
    Probe::current("elapsed: end held, start never recorded", |f| {
        let (stream, start, end) = (f.stream(), f.event(0), f.event(0));
        let _hold = f.hold(*stream);
        f.driver.cuEventRecord(*end, *stream);
        both(f.driver, *start, *end)
    }),
    Probe::current("elapsed: end of a second context", |f| {
        let context = f.second_context();
        let outcome = {
            let (stream, end) = (f.stream_in(context, NON_BLOCKING), f.event_in(context, 0));
            f.driver.cuEventRecord(*end, *stream);
            f.driver.cuEventSynchronize(*end);
            both(f.driver, *f.complete(0), *end)
        };
        f.driver.cuCtxDestroy_v2(context);
        outcome
    }),
    Probe::current("null out parameter: cuEventElapsedTime", |f| f.driver.cuEventElapsedTime(None, *f.complete(0), *f.complete(0)).into()),
    Probe::current("null out parameter: cuEventElapsedTime_v2", |f| {
        f.driver.cuEventElapsedTime_v2(None, *f.complete(0), *f.complete(0)).into()
    }),
    Probe::current("elapsed: an event to itself", |f| {
        let event = f.complete(0);
        let (code, time) = elapsed(f.driver, *event, *event);
        Outcome::from(code).and(time.to_string())
    }),
    Probe::current("elapsed: of two records in order", |f| {
        let [start, end] = pair(f);
        let (code, time) = elapsed(f.driver, *start, *end);
        Outcome::from(code).and(verdict(time < 0.0, "negative"))
    }),
    Probe::current("elapsed: the other way round", |f| {
        let [start, end] = pair(f);
        let (forth, back) = (elapsed(f.driver, *start, *end).1, elapsed(f.driver, *end, *start).1);
        verdict(back.to_bits() == (-forth).to_bits(), "the exact negative")
    }),
    Probe::current("elapsed: both forms", |f| {
        let ([start, end], mut old) = (pair(f), 0.0);
        f.driver.cuEventElapsedTime(Some(&mut old), *start, *end);
        verdict(old.to_bits() == elapsed(f.driver, *start, *end).1.to_bits(), "equal")
    }),
    Probe::current("elapsed: with blocking sync", |f| {
        let (start, end) = (f.complete(1), f.complete(1));
        both(f.driver, *start, *end)
    }),
    Probe::current("elapsed: across streams", |f| {
        let (first, second, start, end) = (f.stream(), f.stream(), f.event(0), f.event(0));
        f.driver.cuEventRecord(*start, *first);
        f.driver.cuStreamWaitEvent(*second, *start, 0);
        f.driver.cuEventRecord(*end, *second);
        f.driver.cuEventSynchronize(*end);
        let (code, time) = elapsed(f.driver, *start, *end);
        Outcome::from(code).and(verdict(time < 0.0, "negative"))
    }),
    Probe::current("elapsed: end recorded anew", |f| {
        let (stream, [start, end]) = (f.stream(), pair(f));
        let before = elapsed(f.driver, *start, *end).1;
        f.driver.cuEventRecord(*end, *stream);
        f.driver.cuEventSynchronize(*end);
        verdict(elapsed(f.driver, *start, *end).1 > before, "longer")
    }),
    Probe::current("elapsed: around a hold", |f| {
        let (stream, start, end) = (f.stream(), f.event(0), f.event(0));
        f.driver.cuEventRecord(*start, *stream);
        let hold = f.hold(*stream);
        f.driver.cuEventRecord(*end, *stream);
        hold.wait_running();
        let held = spin(Duration::from_millis(5));
        hold.release();
        f.driver.cuEventSynchronize(*end);
        let (code, time) = elapsed(f.driver, *start, *end);
        Outcome::from(code).and(verdict(f64::from(time) >= 0.98 * held.as_secs_f64() * 1e3, "as long as the hold"))
    }),
    Probe::current("elapsed: beside a hold", |f| {
        let (stream, [start, end]) = (f.stream(), pair(f));
        let _hold = f.hold(*stream);
        both(f.driver, *start, *end)
    }),
];

/// The codes of both forms of the call.
fn both(driver: &Driver, start: Handle, end: Handle) -> Outcome {
    [driver.cuEventElapsedTime(Some(&mut 0.0), start, end), driver.cuEventElapsedTime_v2(Some(&mut 0.0), start, end)].into()
}

fn elapsed(driver: &Driver, start: Handle, end: Handle) -> (Code, f32) {
    let mut milliseconds = f32::NAN;
    let code = driver.cuEventElapsedTime_v2(Some(&mut milliseconds), start, end);
    (code, milliseconds)
}

/// Two timed events, recorded one after the other on one stream, complete.
fn pair(f: &Fixture) -> [Event<'_>; 2] {
    let (stream, pair) = (f.stream(), [f.event(0), f.event(0)]);
    for event in &pair {
        f.driver.cuEventRecord(**event, *stream);
    }
    f.driver.cuStreamSynchronize(*stream);
    pair
}

/// Time that passes on the host while a stream is held, as measured.
fn spin(time: Duration) -> Duration {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
    began.elapsed()
}
