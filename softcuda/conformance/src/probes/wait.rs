//! Waits of streams for events.

use crate::driver::Handle;
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::handles::{DISABLE_TIMING, Event};
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("wait: on a held event", |f| {
        let (held, waiting) = (f.stream(), f.stream());
        let hold = f.hold(*held);
        let _event = join(f, *waiting, *held);
        hold.query_and_release(*f.recorded(*waiting))
    }),
    Probe::current("wait: what the held stream wrote is there", |f| {
        let (held, waiting) = (f.stream(), f.stream());
        let (from, to, word) = (f.memory(1, 1), f.memory(1, 0), f.pinned(1));
        let hold = f.hold(*held);
        f.kernels.fill(f.driver, from.address, 2, *held);
        let _event = join(f, *waiting, *held);
        f.driver.cuMemcpyDtoDAsync_v2(to.address, from.address, 4, *waiting);
        let outcome = hold.query_and_release(*f.recorded(*waiting));
        outcome.and(f.read(to.address, &word[0]).to_string())
    }),
    Probe::current("wait: on a complete event", |f| {
        let (held, waiting) = (f.stream(), f.stream());
        let event = f.recorded(*held);
        f.driver.cuEventSynchronize(*event);
        let hold = f.hold(*held);
        f.driver.cuStreamWaitEvent(*waiting, *event, 0);
        hold.query_and_release(*f.recorded(*waiting))
    }),
    Probe::current("wait: never recorded, recorded behind a hold later", |f| {
        let (held, waiting, event) = (f.stream(), f.stream(), f.event(DISABLE_TIMING));
        let hold = f.hold(*held);
        f.driver.cuStreamWaitEvent(*waiting, *event, 0);
        f.driver.cuEventRecord(*event, *held);
        hold.query_and_release(*f.recorded(*waiting))
    }),
    Probe::current("wait: complete, recorded behind a hold later", |f| {
        let (held, waiting, event) = (f.stream(), f.stream(), f.complete(DISABLE_TIMING));
        let hold = f.hold(*held);
        f.driver.cuStreamWaitEvent(*waiting, *event, 0);
        f.driver.cuEventRecord(*event, *held);
        hold.query_and_release(*f.recorded(*waiting))
    }),
    Probe::current("wait: held, recorded behind a longer hold later", |f| {
        let (first, second, waiting) = (f.stream(), f.stream(), f.stream());
        let (short, long) = (f.hold(*first), f.hold(*second));
        let event = f.recorded(*first);
        f.driver.cuStreamWaitEvent(*waiting, *event, 0);
        f.driver.cuEventRecord(*event, *second);
        let tail = f.recorded(*waiting);
        short.query_and_release(*tail).and(long.query_and_release(*event))
    }),
    Probe::current("wait: held, recorded on a free stream later", |f| {
        let (held, free, waiting) = (f.stream(), f.stream(), f.stream());
        let hold = f.hold(*held);
        let event = f.recorded(*held);
        f.driver.cuStreamWaitEvent(*waiting, *event, 0);
        f.driver.cuEventRecord(*event, *free);
        hold.query_and_release(*f.recorded(*waiting))
    }),
    Probe::current("wait: held, the event is destroyed", |f| {
        let (held, waiting) = (f.stream(), f.stream());
        let (from, to, word) = (f.memory(1, 1), f.memory(1, 0), f.pinned(1));
        let hold = f.hold(*held);
        f.kernels.fill(f.driver, from.address, 2, *held);
        let event = f.recorded(*held).into_handle();
        f.driver.cuStreamWaitEvent(*waiting, event, 0);
        let code = f.driver.cuEventDestroy_v2(event);
        f.driver.cuMemcpyDtoDAsync_v2(to.address, from.address, 4, *waiting);
        let outcome = Outcome::from(code).and(hold.query_and_release(*f.recorded(*waiting)));
        outcome.and(f.read(to.address, &word[0]).to_string())
    }),
    Probe::current("wait: held, both streams are destroyed", |f| {
        let (held, waiting, event) = (f.stream(), f.stream(), f.event(DISABLE_TIMING));
        let hold = f.hold(*held);
        let _event = join(f, *waiting, *held);
        f.driver.cuEventRecord(*event, *waiting);
        let codes = [f.driver.cuStreamDestroy_v2(held.into_handle()), f.driver.cuStreamDestroy_v2(waiting.into_handle())];
        Outcome::from(codes).and(hold.query_and_release(*event))
    }),
    Probe::current("wait: held, by two streams", |f| {
        let (held, first, second) = (f.stream(), f.stream(), f.stream());
        let hold = f.hold(*held);
        let event = f.recorded(*held);
        f.driver.cuStreamWaitEvent(*first, *event, 0);
        f.driver.cuStreamWaitEvent(*second, *event, 0);
        let tail = f.recorded(*first);
        Outcome::from(f.settled_query(*tail)).and(hold.query_and_release(*f.recorded(*second)))
    }),
    Probe::current("wait: a chain of three streams", |f| {
        let (first, second, third) = (f.stream(), f.stream(), f.stream());
        let hold = f.hold(*first);
        let _events = [join(f, *second, *first), join(f, *third, *second)];
        hold.query_and_release(*f.recorded(*third))
    }),
    Probe::current("wait: of a stream for itself", |f| {
        let stream = f.stream();
        let hold = f.hold(*stream);
        let event = f.recorded(*stream);
        let code = f.driver.cuStreamWaitEvent(*stream, *event, 0);
        Outcome::from(code).and(hold.query_and_release(*f.recorded(*stream)))
    }),
    Probe::current("wait: on an event of work before the hold", |f| {
        let (held, waiting) = (f.stream(), f.stream());
        let event = f.recorded(*held);
        let hold = f.hold(*held);
        f.driver.cuStreamWaitEvent(*waiting, *event, 0);
        hold.query_and_release(*f.recorded(*waiting))
    }),
    Probe::current("wait: work before the wait is not held", |f| {
        let (held, waiting) = (f.stream(), f.stream());
        let hold = f.hold(*held);
        let before = f.recorded(*waiting);
        let _event = join(f, *waiting, *held);
        hold.query_and_release(*before)
    }),
    Probe::current("wait: a second context's stream for a held primary event", |f| {
        in_second(f, |f, context, waiting| {
            let held = f.stream();
            let tail = f.event_in(context, DISABLE_TIMING);
            let hold = f.hold(*held);
            let event = f.recorded(*held);
            let code = f.driver.cuStreamWaitEvent(waiting, *event, 0);
            f.driver.cuEventRecord(*tail, waiting);
            Outcome::from(code).and(hold.query_and_release(*tail))
        })
    }),
    Probe::current("wait: a primary stream for a second context's event", |f| {
        in_second(f, |f, context, recording| {
            let (held, waiting) = (f.stream(), f.stream());
            let middle = f.event_in(context, DISABLE_TIMING);
            let hold = f.hold(*held);
            let _event = join(f, recording, *held);
            f.driver.cuEventRecord(*middle, recording);
            let code = f.driver.cuStreamWaitEvent(*waiting, *middle, 0);
            Outcome::from(code).and(hold.query_and_release(*f.recorded(*waiting)))
        })
    }),
];

/// Lets `waiting` wait for what is on `recording` now; the event lives as long as the caller lets it.
fn join(f: &Fixture, waiting: Handle, recording: Handle) -> Event<'_> {
    let event = f.recorded(recording);
    f.driver.cuStreamWaitEvent(waiting, *event, 0);
    event
}

/// Probes with a second context and a stream of it; the primary one stays current.
fn in_second(f: &Fixture, probe: impl FnOnce(&Fixture, Handle, Handle) -> Outcome) -> Outcome {
    let context = f.second_context();
    let outcome = {
        let stream = f.stream_in(context, NON_BLOCKING);
        probe(f, context, *stream)
    };
    f.driver.cuCtxDestroy_v2(context);
    outcome
}
