//! Events recorded in captures: by whom they may be used, in the capture and behind it.

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::Fixture;
use crate::graphs::RELAXED;
use crate::handles::{DISABLE_TIMING, Event, INTERPROCESS};
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::structs::IpcHandle;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("captured event: after the end, query, synchronize", |f| {
        let event = ended(f);
        [f.driver.cuEventQuery(*event), f.driver.cuEventSynchronize(*event)].into()
    }),
    Probe::current("captured event: after the end, elapsed with itself, from, to", |f| {
        let (event, complete) = (ended(f), f.complete(0));
        let elapsed = |start, end| f.driver.cuEventElapsedTime_v2(Some(&mut 0.0), start, end);
        Outcome::from([elapsed(*event, *event), elapsed(*complete, *event), elapsed(*event, *complete)]).and(f.driver.cuEventElapsedTime(
            Some(&mut 0.0),
            *event,
            *event,
        ))
    }),
    Probe::current("captured event: after the end, a wait, an external wait", |f| {
        let (event, stream) = (ended(f), f.stream());
        let codes = [0, 1].map(|flags| f.driver.cuStreamWaitEvent(*stream, *event, flags));
        Outcome::from(codes).and(f.status(*stream)).and(f.finish(*stream))
    }),
    Probe::current("captured event: after the end, a wait of handle 0, of handle 2", |f| {
        let event = ended(f);
        [Handle::DEFAULT, Handle::PER_THREAD].map(|stream| f.driver.cuStreamWaitEvent(stream, *event, 0)).into()
    }),
    Probe::current("captured event: after the end, recorded again, query", |f| {
        let (event, stream) = (ended(f), f.stream());
        let codes = [f.driver.cuEventRecord(*event, *stream), f.driver.cuEventSynchronize(*event), f.driver.cuEventQuery(*event)];
        Outcome::from(codes).and(f.driver.cuEventElapsedTime_v2(Some(&mut 0.0), *event, *event))
    }),
    Probe::current("captured event: after the end, waited for in another capture", |f| {
        let (event, stream) = (ended(f), f.stream());
        f.begin(*stream);
        let wait = f.driver.cuStreamWaitEvent(*stream, *event, 0);
        Outcome::from(wait).and(f.status(*stream)).and(f.end_code(*stream))
    }),
    Probe::current("captured event: after the end, external wait in another capture", |f| {
        let (event, stream) = (ended(f), f.stream());
        f.begin(*stream);
        let wait = f.driver.cuStreamWaitEvent(*stream, *event, 1);
        let (end, graph) = f.end(*stream);
        Outcome::from([wait, end]).and(graph.shape())
    }),
    Probe::current("captured event: after the end, captured again by another stream", |f| {
        let (event, stream) = (ended(f), f.stream());
        f.begin(*stream);
        let codes = [f.driver.cuEventRecord(*event, *stream), f.driver.cuStreamWaitEvent(*stream, *event, 0), f.end_code(*stream)];
        Outcome::from(codes).and(f.driver.cuEventQuery(*event))
    }),
    Probe::current("captured event: after an invalidated capture", |f| {
        let (stream, event) = (f.stream(), f.event(0));
        f.begin(*stream);
        f.driver.cuEventRecord(*event, *stream);
        f.driver.cuStreamQuery(*stream);
        let within = f.driver.cuStreamWaitEvent(*f.stream(), *event, 0);
        f.end(*stream);
        [within, f.driver.cuEventQuery(*event), f.driver.cuStreamWaitEvent(*f.stream(), *event, 0)].into()
    }),
    Probe::current("captured event: after a launch, after the graph is gone", |f| {
        let (stream, event) = (f.stream(), f.event(0));
        f.begin(*stream);
        f.driver.cuEventRecord(*event, *stream);
        let (_, graph) = f.end(*stream);
        let executable = graph.instantiate().1;
        let launch = [executable.launch(*stream), f.finish(*stream), f.driver.cuEventQuery(*event)];
        drop((graph, executable));
        Outcome::from(launch).and(f.driver.cuEventQuery(*event))
    }),
    Probe::current("captured event: complete before, after the end", |f| {
        let (stream, event) = (f.stream(), f.complete(0));
        f.begin(*stream);
        let record = f.driver.cuEventRecord(*event, *stream);
        f.end(*stream);
        [record, f.driver.cuEventQuery(*event)].into()
    }),
    Probe::current("captured event: pending before, after the end", |f| {
        let (stream, held, event) = (f.stream(), f.stream(), f.event(DISABLE_TIMING));
        let hold = f.hold(*held);
        f.driver.cuEventRecord(*event, *held);
        f.begin(*stream);
        let record = f.driver.cuEventRecord(*event, *stream);
        f.end(*stream);
        let codes = [record, f.driver.cuEventQuery(*event)];
        hold.release();
        codes.into()
    }),
    Probe::current("captured event: destroyed in the capture, waited for before", |f| {
        let (origin, joined) = (f.stream(), f.stream());
        f.begin(*origin);
        let event = f.recorded(*origin).into_handle();
        let wait = f.driver.cuStreamWaitEvent(*joined, event, 0);
        let destroy = f.driver.cuEventDestroy_v2(event);
        let back = f.join(*origin, *joined);
        let (end, graph) = f.end(*origin);
        Outcome::from([wait, destroy]).and(back).and(end).and(graph.shape())
    }),
    Probe::current("captured event: recorded outside in the capture, query relaxed", |f| {
        let (origin, outside) = (f.stream(), f.stream());
        f.begin(*origin);
        let event = f.recorded(*origin);
        let mut mode = RELAXED;
        f.driver.cuThreadExchangeStreamCaptureMode(Some(&mut mode));
        let captured = f.driver.cuEventQuery(*event);
        let status = f.status(*origin);
        f.driver.cuEventRecord(*event, *outside);
        let codes = [f.driver.cuEventSynchronize(*event), f.driver.cuEventQuery(*event)];
        Outcome::from(captured).and(status).and(codes).and(f.status(*origin)).and(f.end_code(*origin))
    }),
    Probe::current("captured event: recorded outside in the capture, the origin waits", |f| {
        let (origin, outside) = (f.stream(), f.stream());
        f.begin(*origin);
        let event = f.recorded(*origin);
        let record = f.driver.cuEventRecord(*event, *outside);
        let wait = f.driver.cuStreamWaitEvent(*origin, *event, 0);
        Outcome::from([record, wait]).and(f.status(*origin)).and(f.end_code(*origin))
    }),
    Probe::current("captured event: recorded outside meanwhile, another stream waits", |f| {
        let (origin, outside, waiting) = (f.stream(), f.stream(), f.stream());
        f.begin(*origin);
        let event = f.recorded(*origin);
        let codes = [f.driver.cuEventRecord(*event, *outside), f.driver.cuStreamWaitEvent(*waiting, *event, 0)];
        Outcome::from(codes).and(f.status(*waiting)).and(f.end_code(*origin)).and(f.finish(*waiting))
    }),
    Probe::current("captured event: recorded twice, a wait takes the last", |f| {
        let (origin, joined, memory) = (f.stream(), f.stream(), f.memory(1, 0));
        f.begin(*origin);
        let event = f.recorded(*origin);
        f.driver.cuMemsetD32Async(memory.address, 7, 1, *origin);
        let codes = [f.driver.cuEventRecord(*event, *origin), f.driver.cuStreamWaitEvent(*joined, *event, 0)];
        f.driver.cuMemsetD32Async(memory.address, 8, 1, *joined);
        f.join(*origin, *joined);
        let (end, graph) = f.end(*origin);
        Outcome::from(codes).and(end).and(graph.shape())
    }),
    Probe::current("captured event: a wait takes the record at the call", |f| {
        let (origin, joined, memory) = (f.stream(), f.stream(), f.memory(1, 0));
        f.begin(*origin);
        let event = f.recorded(*origin);
        f.driver.cuStreamWaitEvent(*joined, *event, 0);
        f.driver.cuMemsetD32Async(memory.address, 7, 1, *origin);
        f.driver.cuEventRecord(*event, *origin);
        f.driver.cuMemsetD32Async(memory.address, 8, 1, *joined);
        f.join(*origin, *joined);
        let (end, graph) = f.end(*origin);
        Outcome::from(end).and(graph.shape())
    }),
    Probe::current("captured event: plain, untimed, shared, blocking", |f| {
        let stream = f.stream();
        f.begin(*stream);
        let codes = [0, DISABLE_TIMING, INTERPROCESS, 1].map(|flags| f.driver.cuEventRecord(*f.event(flags), *stream));
        Outcome::from(codes).and(f.status(*stream)).and(f.end_code(*stream))
    }),
    Probe::current("captured event: a handle for other processes, after the end", |f| {
        let (stream, event) = (f.stream(), f.event(INTERPROCESS));
        f.begin(*stream);
        f.driver.cuEventRecord(*event, *stream);
        let within = f.driver.cuIpcGetEventHandle(Some(&mut IpcHandle([0; 64])), *event);
        f.end(*stream);
        let after = f.driver.cuIpcGetEventHandle(Some(&mut IpcHandle([0; 64])), *event);
        [within, after, f.driver.cuEventQuery(*event)].into()
    }),
    Probe::current("captured event: another capture waits for it", |f| {
        let (first, second) = (f.stream(), f.stream());
        f.begin(*first);
        f.begin(*second);
        let wait = f.driver.cuStreamWaitEvent(*second, *f.recorded(*first), 0);
        let outcome = Outcome::from(wait).and(f.status(*first)).and(f.status(*second));
        outcome.and([f.end_code(*first), f.end_code(*second)])
    }),
    Probe::current("captured event: another capture waits for it, external", |f| {
        let (first, second) = (f.stream(), f.stream());
        f.begin(*first);
        f.begin(*second);
        let wait = f.driver.cuStreamWaitEvent(*second, *f.recorded(*first), 1);
        let outcome = Outcome::from(wait).and(f.status(*first)).and(f.status(*second));
        outcome.and([f.end_code(*first), f.end_code(*second)])
    }),
    Probe::current("captured event: recorded by another capture, the first waits", |f| {
        let (first, second) = (f.stream(), f.stream());
        f.begin(*first);
        f.begin(*second);
        let event = f.recorded(*first);
        let codes = [f.driver.cuEventRecord(*event, *second), f.driver.cuStreamWaitEvent(*first, *event, 0)];
        let outcome = Outcome::from(codes).and(f.status(*first)).and(f.status(*second));
        outcome.and([f.end_code(*first), f.end_code(*second)])
    }),
    Probe::current("captured event: a busy stream waits for it", |f| {
        let (origin, busy) = (f.stream(), f.stream());
        let hold = f.hold(*busy);
        f.begin(*origin);
        let wait = f.driver.cuStreamWaitEvent(*busy, *f.recorded(*origin), 0);
        let status = f.status(*busy);
        f.join(*origin, *busy);
        let (end, graph) = f.end(*origin);
        let executable = graph.instantiate().1;
        let launch = executable.launch(*origin);
        let tail = f.recorded(*origin);
        Outcome::from(wait).and(status).and([end, launch]).and(hold.query_and_release(*tail))
    }),
    Probe::current("captured event: handle 0 waits for it", |f| legacy(f, false)),
    Probe::current("captured event: handle 0 waits for it, of a blocking stream", |f| legacy(f, true)),
    Probe::current("captured event: handle 2 waits for it, and is joined back", |f| {
        let origin = f.stream();
        f.begin(*origin);
        let fork = f.join(Handle::PER_THREAD, *origin);
        let status = f.status(Handle::PER_THREAD);
        let back = f.join(*origin, Handle::PER_THREAD);
        Outcome::from(fork).and(status).and(back).and(f.end_code(*origin)).and(f.status(Handle::PER_THREAD))
    }),
    Probe::current("isolation: the origin waits for a complete event", |f| isolation(f, &f.complete(0), 0)),
    Probe::current("isolation: the origin waits for one never recorded", |f| isolation(f, &f.event(0), 0)),
    Probe::current("isolation: the origin waits for a pending event", |f| {
        let held = f.stream();
        let hold = f.hold(*held);
        let outcome = isolation(f, &f.recorded(*held), 0);
        hold.release();
        outcome
    }),
    Probe::current("isolation: external, complete, never recorded", |f| isolation(f, &f.complete(0), 1).and(isolation(f, &f.event(0), 1))),
    Probe::current("isolation: external, pending", |f| {
        let held = f.stream();
        let hold = f.hold(*held);
        let outcome = isolation(f, &f.recorded(*held), 1);
        hold.release();
        outcome
    }),
    Probe::current("isolation: the origin waits for what was on itself before", |f| {
        let stream = f.stream();
        let event = f.recorded(*stream);
        f.begin(*stream);
        let wait = f.driver.cuStreamWaitEvent(*stream, *event, 0);
        Outcome::from(wait).and(f.status(*stream)).and(f.end_code(*stream))
    }),
    Probe::current("isolation: a stream that has joined waits for a complete event", |f| {
        let (origin, joined, complete) = (f.stream(), f.stream(), f.complete(0));
        f.begin(*origin);
        f.join(*joined, *origin);
        let wait = f.driver.cuStreamWaitEvent(*joined, *complete, 0);
        Outcome::from(wait).and(f.status(*origin)).and(f.status(*joined)).and(f.end_code(*origin)).and(f.status(*joined))
    }),
    Probe::current("isolation: legacy memset while a blocking stream captures, relaxed", |f| {
        let (stream, memory) = (f.blocking_stream(), f.memory(1, 0));
        f.driver.cuStreamBeginCapture_v2(*stream, RELAXED);
        let code = f.driver.cuMemsetD32Async(memory.address, 7, 1, Handle::DEFAULT);
        Outcome::from(code).and(f.status(*stream)).and(f.end_code(*stream))
    }),
    Probe::current("isolation: legacy calls while a blocking stream captures", |f| {
        let calls: [fn(&Fixture) -> Code; 5] = [
            |f| f.driver.cuEventRecord(*f.event(0), Handle::DEFAULT),
            |f| f.driver.cuStreamQuery(Handle::DEFAULT),
            |f| f.driver.cuStreamSynchronize(Handle::DEFAULT),
            |f| f.driver.cuStreamGetId(Handle::DEFAULT, Some(&mut 0)),
            |f| f.driver.cuLaunchHostFunc(Handle::DEFAULT, None, std::ptr::null_mut()),
        ];
        let one = |call: fn(&Fixture) -> Code| {
            let stream = f.blocking_stream();
            f.begin(*stream);
            let code = call(f);
            Outcome::from(code).and(f.status(*stream)).and(f.end_code(*stream))
        };
        Outcome::each(calls, one)
    }),
    Probe::current("isolation: handle 0 waits, a blocking stream captures", |f| {
        let (stream, complete, never) = (f.blocking_stream(), f.complete(0), f.event(0));
        let one = |event: Handle| {
            f.begin(*stream);
            let code = f.driver.cuStreamWaitEvent(Handle::DEFAULT, event, 0);
            Outcome::from(code).and(f.status(*stream)).and(f.end_code(*stream))
        };
        one(*complete).and(one(*never))
    }),
    Probe::current("isolation: work of another blocking stream while one captures", |f| {
        let (stream, other, memory) = (f.blocking_stream(), f.blocking_stream(), f.memory(1, 0));
        f.begin(*stream);
        let code = f.driver.cuMemsetD32Async(memory.address, 7, 1, *other);
        Outcome::from(code).and(f.status(*stream)).and(f.end_code(*stream)).and(f.finish(*other))
    }),
    Probe::current("isolation: an event made where a captured one was destroyed", |f| {
        let stream = f.stream();
        f.begin(*stream);
        let first = f.recorded(*stream).into_handle();
        f.driver.cuEventDestroy_v2(first);
        let second = f.event(DISABLE_TIMING);
        let wait = f.driver.cuStreamWaitEvent(*stream, *second, 0);
        Outcome::from(wait).and(f.status(*stream)).and(f.end_code(*stream))
    }),
];

/// A timed event that was recorded in a capture, which has ended.
fn ended(f: &Fixture) -> Event<'_> {
    let (stream, event) = (f.stream(), f.event(0));
    f.begin(*stream);
    f.driver.cuEventRecord(*event, *stream);
    f.end(*stream);
    event
}

fn legacy(f: &Fixture, blocking: bool) -> Outcome {
    let origin = if blocking { f.blocking_stream() } else { f.stream() };
    f.begin(*origin);
    let wait = f.driver.cuStreamWaitEvent(Handle::DEFAULT, *f.recorded(*origin), 0);
    Outcome::from(wait).and(f.status(Handle::DEFAULT)).and(f.status(*origin)).and(f.end_code(*origin))
}

/// A stream that captures waits for an event of outside.
fn isolation(f: &Fixture, event: &Event<'_>, flags: u32) -> Outcome {
    let stream = f.stream();
    f.begin(*stream);
    let wait = f.driver.cuStreamWaitEvent(*stream, **event, flags);
    let status = f.status(*stream);
    let (end, graph) = f.end(*stream);
    Outcome::from(wait).and(status).and(end).and(graph.shape()).and(f.status(*stream))
}
