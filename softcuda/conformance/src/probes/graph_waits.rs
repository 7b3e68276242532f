//! External waits: graphs that wait for events at each launch.

use super::graph_events::{EXTERNAL, event_destroyed, uploaded_without};
use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::graphs::Executable;
use crate::handles::DISABLE_TIMING;
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("external wait: never recorded", |f| {
        let (event, stream) = (f.event(0), f.stream());
        let executable = waiting(f, *event);
        [executable.launch(*stream), f.finish(*stream)].into()
    }),
    Probe::current("external wait: recorded behind a hold before the launch", |f| {
        let (event, held, stream) = (f.event(DISABLE_TIMING), f.stream(), f.stream());
        let executable = waiting(f, *event);
        let hold = f.hold(*held);
        f.driver.cuEventRecord(*event, *held);
        let launch = executable.launch(*stream);
        Outcome::from(launch).and(hold.query_and_release(*f.recorded(*stream)))
    }),
    Probe::current("external wait: recorded behind a hold after the launch", |f| {
        let (event, held, stream) = (f.event(DISABLE_TIMING), f.stream(), f.stream());
        let executable = waiting(f, *event);
        let hold = f.hold(*held);
        let launch = executable.launch(*stream);
        f.driver.cuEventRecord(*event, *held);
        Outcome::from(launch).and(hold.query_and_release(*f.recorded(*stream)))
    }),
    Probe::current("external wait: the launch is held, recorded behind a longer hold", |f| {
        let (event, held, stream) = (f.event(DISABLE_TIMING), f.stream(), f.stream());
        let executable = waiting(f, *event);
        let (short, long) = (f.hold(*stream), f.hold(*held));
        let launch = executable.launch(*stream);
        f.driver.cuEventRecord(*event, *held);
        let tail = f.recorded(*stream);
        Outcome::from(launch).and(short.query_and_release(*tail)).and({
            long.release();
            f.finish(*held)
        })
    }),
    Probe::current("external wait: recorded before the capture behind a hold", |f| {
        let (held, stream) = (f.stream(), f.stream());
        let hold = f.hold(*held);
        let event = f.recorded(*held);
        let executable = waiting(f, *event);
        let launch = executable.launch(*stream);
        Outcome::from(launch).and(hold.query_and_release(*f.recorded(*stream)))
    }),
    Probe::current("external wait: of an event of a second context", |f| {
        let second = f.second_context();
        let (held, event, stream) = (f.stream_in(second, NON_BLOCKING), f.event_in(second, DISABLE_TIMING), f.stream());
        let front = f.stream();
        let executable = waiting(f, *event);
        let hold = f.hold(*front);
        f.join(*held, *front);
        f.driver.cuEventRecord(*event, *held);
        let launch = executable.launch(*stream);
        let outcome = Outcome::from(launch).and(hold.query_and_release(*f.recorded(*stream)));
        drop((executable, held, event));
        f.driver.cuCtxDestroy_v2(second);
        outcome
    }),
    Probe::current("external wait: of null, of a captured event, flags 2, 3", |f| {
        let (event, captured, stream) = (f.event(0), f.event(0), f.stream());
        Outcome::each([(Handle::NULL, EXTERNAL), (*captured, EXTERNAL), (*event, 2), (*event, 3)], |(event, flags)| {
            f.begin(*stream);
            f.driver.cuEventRecord(*captured, *stream);
            let wait = f.driver.cuStreamWaitEvent(*stream, event, flags);
            Outcome::from(wait).and(f.status(*stream)).and(f.end(*stream).1.shape())
        })
    }),
    Probe::alone("external wait: event destroyed, then launched", |d| {
        Fixture::alone(d, |f| {
            let (event, stream) = (f.event(DISABLE_TIMING), f.stream());
            let executable = waiting(f, *event);
            d.cuEventDestroy_v2(event.into_handle());
            match executable.launch(*stream) {
                Code::SUCCESS => [Code::SUCCESS, d.cuStreamSynchronize(*stream)].into(),
                code => code.into(),
            }
        })
    }),
    Probe::alone("external wait: event destroyed, then uploaded", |d| Fixture::alone(d, |f| uploaded_without(f, waiting))),
    Probe::alone("external wait: event destroyed, then instantiated", |d| {
        event_destroyed(d, |d, stream, event| d.cuStreamWaitEvent(stream, event, EXTERNAL), |graph| graph.instantiate().0)
    }),
    Probe::alone("external wait: event destroyed, then cloned", |d| {
        event_destroyed(d, |d, stream, event| d.cuStreamWaitEvent(stream, event, EXTERNAL), |graph| graph.clone_of().0)
    }),
    Probe::current("external wait and record: an event captured by both, in one graph", |f| {
        let (event, stream) = (f.event(DISABLE_TIMING), f.stream());
        let graph = f.captured(|stream| {
            f.driver.cuEventRecordWithFlags(*event, stream, EXTERNAL);
            f.driver.cuStreamWaitEvent(stream, *event, EXTERNAL);
        });
        let executable = graph.instantiate().1;
        graph.shape().and([executable.launch(*stream), f.finish(*stream)])
    }),
    Probe::current("external record, then a plain wait in the capture", |f| {
        let (event, stream) = (f.event(DISABLE_TIMING), f.stream());
        f.begin(*stream);
        f.driver.cuEventRecordWithFlags(*event, *stream, EXTERNAL);
        let wait = f.driver.cuStreamWaitEvent(*stream, *event, 0);
        Outcome::from(wait).and(f.status(*stream)).and(f.end_code(*stream))
    }),
];

/// A graph that waits for the event.
fn waiting(f: &Fixture, event: Handle) -> Executable<'_> {
    f.executable(|stream| f.driver.cuStreamWaitEvent(stream, event, EXTERNAL))
}
