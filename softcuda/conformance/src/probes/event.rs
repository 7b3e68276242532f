//! Events: flags, states, records.

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::handles::DISABLE_TIMING;
use crate::outcome::Outcome;
use crate::probe::Probe;

/// `CU_EVENT_WAIT_EXTERNAL` and `CU_EVENT_RECORD_EXTERNAL`
const EXTERNAL: u32 = 1;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("event: create with flags 0", |f| create(f, 0)),
    Probe::current("event: create with flags 1", |f| create(f, 1)),
    Probe::current("event: create with flags 2", |f| create(f, 2)),
    Probe::current("event: create with flags 3", |f| create(f, 3)),
    Probe::current("event: create with flags 4", |f| create(f, 4)),
    Probe::current("event: create with flags 5", |f| create(f, 5)),
    Probe::current("event: create with flags 6", |f| create(f, 6)),
    Probe::current("event: create with flags 7", |f| create(f, 7)),
    Probe::current("event: create with flags 8", |f| create(f, 8)),
    Probe::current("event: create with flags 16", |f| create(f, 16)),
    Probe::current("null out parameter: cuEventCreate", |f| f.driver.cuEventCreate(None, 0).into()),
    Probe::current("null event: query", |f| f.driver.cuEventQuery(Handle::NULL).into()),
    Probe::current("null event: synchronize", |f| f.driver.cuEventSynchronize(Handle::NULL).into()),
    Probe::current("null event: record", |f| f.driver.cuEventRecord(Handle::NULL, *f.stream()).into()),
    Probe::current("null event: wait", |f| f.driver.cuStreamWaitEvent(*f.stream(), Handle::NULL, 0).into()),
    Probe::current("null event: destroy", |f| f.driver.cuEventDestroy_v2(Handle::NULL).into()),
    Probe::current("null event: elapsed", |f| f.driver.cuEventElapsedTime(Some(&mut 0.0), Handle::NULL, Handle::NULL).into()),
    Probe::current("event, never recorded: query", |f| f.driver.cuEventQuery(*f.event(0)).into()),
    Probe::current("event, never recorded: synchronize", |f| f.driver.cuEventSynchronize(*f.event(0)).into()),
    Probe::current("event, never recorded: wait", |f| f.driver.cuStreamWaitEvent(*f.stream(), *f.event(0), 0).into()),
    Probe::current("event: record, synchronize, query", |f| {
        let (stream, event) = (f.stream(), f.event(0));
        [f.driver.cuEventRecord(*event, *stream), f.driver.cuEventSynchronize(*event), f.driver.cuEventQuery(*event)].into()
    }),
    Probe::current("event: record, synchronize with blocking sync", |f| {
        let (stream, event) = (f.stream(), f.event(1));
        [f.driver.cuEventRecord(*event, *stream), f.driver.cuEventSynchronize(*event)].into()
    }),
    Probe::current("event: record, synchronize for interprocess", |f| {
        let (stream, event) = (f.stream(), f.event(6));
        [f.driver.cuEventRecord(*event, *stream), f.driver.cuEventSynchronize(*event)].into()
    }),
    Probe::current("event: record on the handles 0, 1, 2", |f| {
        [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD].map(|stream| f.driver.cuEventRecord(*f.event(DISABLE_TIMING), stream)).into()
    }),
    Probe::current("event: record with flags 0", |f| record(f, 0)),
    Probe::current("event: record with external, outside a capture", |f| record(f, EXTERNAL)),
    Probe::current("event: record with flags 2", |f| record(f, 2)),
    Probe::current("event: wait with external, outside a capture", |f| wait(f, EXTERNAL)),
    Probe::current("event: wait with flags 2", |f| wait(f, 2)),
    Probe::current("event, held: query, and after the release", |f| {
        let stream = f.stream();
        let hold = f.hold(*stream);
        let event = f.recorded(*stream);
        hold.query_and_release(*event)
    }),
    Probe::current("event, held: synchronize", |f| {
        let stream = f.stream();
        let hold = f.hold(*stream);
        let event = f.recorded(*stream);
        hold.wait_and_release(|d| d.cuEventSynchronize(*event))
    }),
    Probe::current("event, held: synchronize with blocking sync", |f| {
        let (stream, event) = (f.stream(), f.event(1));
        let hold = f.hold(*stream);
        f.driver.cuEventRecord(*event, *stream);
        hold.wait_and_release(|d| d.cuEventSynchronize(*event))
    }),
    Probe::current("event, recorded before the hold: query", |f| {
        let stream = f.stream();
        let event = f.recorded(*stream);
        let hold = f.hold(*stream);
        hold.query_and_release(*event)
    }),
    Probe::current("event, complete, recorded anew behind a hold: query", |f| {
        let (stream, event) = (f.stream(), f.complete(DISABLE_TIMING));
        let hold = f.hold(*stream);
        f.driver.cuEventRecord(*event, *stream);
        hold.query_and_release(*event)
    }),
    Probe::current("event, held, recorded anew on a free stream: query", |f| {
        let (held, free) = (f.stream(), f.stream());
        let hold = f.hold(*held);
        let event = f.recorded(*held);
        f.driver.cuEventRecord(*event, *free);
        hold.query_and_release(*event)
    }),
    Probe::current("event, held: destroy", |f| {
        let stream = f.stream();
        let _hold = f.hold(*stream);
        f.driver.cuEventDestroy_v2(f.recorded(*stream).into_handle()).into()
    }),
    Probe::current("event, held: the stream is destroyed, then query", |f| {
        let stream = f.stream();
        let hold = f.hold(*stream);
        let event = f.recorded(*stream);
        let code = f.driver.cuStreamDestroy_v2(stream.into_handle());
        Outcome::from(code).and(hold.query_and_release(*event))
    }),
    Probe::current("event, held: destroyed, 20 others made and recorded", |f| {
        // The destroyed one's end must be none of theirs.
        let (stream, free) = (f.stream(), f.stream());
        let hold = f.hold(*stream);
        f.driver.cuEventDestroy_v2(f.recorded(*stream).into_handle());
        let others: Vec<_> = (0..20).map(|_| f.recorded(*free)).collect();
        let done = others.iter().filter(|event| f.ends(***event).is_success()).count();
        hold.release();
        done.to_string().into()
    }),
    Probe::current("event, never recorded: query after the destruction of a recorded one", |f| {
        let stream = f.stream();
        let hold = f.hold(*stream);
        f.driver.cuEventDestroy_v2(f.recorded(*stream).into_handle());
        let code = f.driver.cuEventQuery(*f.event(DISABLE_TIMING));
        hold.release();
        code.into()
    }),
    Probe::current("event, held twice: recorded on a free stream, then behind the hold", |f| {
        let (held, free) = (f.stream(), f.stream());
        let hold = f.hold(*held);
        let event = f.recorded(*free);
        f.driver.cuEventRecord(*event, *held);
        hold.query_and_release(*event)
    }),
    Probe::current("event of a second context: query, synchronize", |f| {
        second(f, |f, stream, event| {
            f.driver.cuEventRecord(event, stream);
            [f.driver.cuEventSynchronize(event), f.driver.cuEventQuery(event)].into()
        })
    }),
    Probe::current("event of a second context: record on a primary stream", |f| {
        second(f, |f, _, event| f.driver.cuEventRecord(event, *f.stream()).into())
    }),
    Probe::current("event of the primary context: record on a second's stream", |f| {
        second(f, |f, stream, _| f.driver.cuEventRecord(*f.event(0), stream).into())
    }),
    Probe::current("event of a second context: record on handle 0 of the primary", |f| {
        second(f, |f, _, event| f.driver.cuEventRecord(event, Handle::DEFAULT).into())
    }),
];

fn create(f: &Fixture, flags: u32) -> Outcome {
    let mut event = Handle::NULL;
    let code = f.driver.cuEventCreate(Some(&mut event), flags);
    if code == Code::SUCCESS {
        f.driver.cuEventDestroy_v2(event);
    }
    code.into()
}

fn record(f: &Fixture, flags: u32) -> Outcome {
    f.driver.cuEventRecordWithFlags(*f.event(0), *f.stream(), flags).into()
}

fn wait(f: &Fixture, flags: u32) -> Outcome {
    f.driver.cuStreamWaitEvent(*f.stream(), *f.complete(0), flags).into()
}

/// Probes with a stream and an event of a second context; the primary one stays current.
fn second(f: &Fixture, probe: impl FnOnce(&Fixture, Handle, Handle) -> Outcome) -> Outcome {
    let context = f.second_context();
    let outcome = {
        let (stream, event) = (f.stream_in(context, NON_BLOCKING), f.event_in(context, 0));
        probe(f, *stream, *event)
    };
    f.driver.cuCtxDestroy_v2(context);
    outcome
}
