//! External records: graphs that record events at each launch.

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::graphs::{Executable, Graph, RELAXED};
use crate::handles::{DISABLE_TIMING, INTERPROCESS};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;
use crate::structs::IpcHandle;

/// `CU_EVENT_RECORD_EXTERNAL`, `CU_EVENT_WAIT_EXTERNAL`
pub(super) const EXTERNAL: u32 = 1;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("external: record outside a capture, wait outside", |f| {
        let (stream, event) = (f.stream(), f.event(0));
        [f.driver.cuEventRecordWithFlags(*event, *stream, EXTERNAL), f.driver.cuStreamWaitEvent(*stream, *event, EXTERNAL)].into()
    }),
    Probe::current("external: record and wait on the handles 0, 1, 2, outside", |f| {
        let event = f.event(0);
        let streams = [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD];
        let records = streams.map(|stream| f.driver.cuEventRecordWithFlags(*event, stream, EXTERNAL));
        Outcome::from(records).and(streams.map(|stream| f.driver.cuStreamWaitEvent(stream, *event, EXTERNAL)))
    }),
    Probe::current("external: on a stream that captures, from another thread", |f| {
        let (stream, event) = (f.stream(), f.event(0));
        f.begin(*stream);
        let (origin, handle) = (*stream, *event);
        let code = std::thread::scope(|scope| scope.spawn(|| f.driver.cuEventRecordWithFlags(handle, origin, EXTERNAL)).join());
        let (end, graph) = f.end(*stream);
        Outcome::from([code.expect("a code"), end]).and(graph.shape())
    }),
    Probe::current("external: on a stream that is invalidated", |f| {
        let (stream, event) = (f.stream(), f.event(0));
        f.begin(*stream);
        f.driver.cuStreamQuery(*stream);
        let codes = [
            f.driver.cuEventRecordWithFlags(*event, *stream, EXTERNAL),
            f.driver.cuStreamWaitEvent(*stream, *event, EXTERNAL),
            f.end_code(*stream),
            f.driver.cuEventQuery(*event),
        ];
        codes.into()
    }),
    Probe::current("external record: the event in the capture, relaxed, after the end", |f| {
        let (stream, event) = (f.stream(), f.event(0));
        f.begin(*stream);
        f.driver.cuEventRecordWithFlags(*event, *stream, EXTERNAL);
        let mut mode = RELAXED;
        f.driver.cuThreadExchangeStreamCaptureMode(Some(&mut mode));
        let within = [f.driver.cuEventQuery(*event), f.driver.cuEventSynchronize(*event), wait(f, *event)];
        let status = f.status(*stream);
        let _graph = f.end(*stream);
        Outcome::from(within).and(status).and([f.driver.cuEventQuery(*event), f.driver.cuEventSynchronize(*event), wait(f, *event)])
    }),
    Probe::current("external record: the event before the launch, elapsed", |f| {
        let (event, start) = (f.event(0), f.complete(0));
        let _executable = recording(f, *event);
        [elapsed(f, *event, *event), elapsed(f, *start, *event), f.driver.cuEventQuery(*event)].into()
    }),
    Probe::current("external record: of a complete event, before the launch", |f| {
        let event = f.complete(0);
        let _executable = recording(f, *event);
        [f.driver.cuEventQuery(*event), elapsed(f, *event, *event), wait(f, *event)].into()
    }),
    Probe::current("external record: of a pending event, before the launch", |f| {
        let held = f.stream();
        let hold = f.hold(*held);
        let event = f.recorded(*held);
        let _executable = recording(f, *event);
        hold.query_and_release(*event)
    }),
    Probe::current("external record: the event while the launch is held, and after", |f| {
        let (event, stream) = (f.event(DISABLE_TIMING), f.stream());
        let executable = recording(f, *event);
        let hold = f.hold(*stream);
        let launch = executable.launch(*stream);
        Outcome::from(launch).and(hold.query_and_release(*event))
    }),
    Probe::current("external record: of a complete event, while the launch is held", |f| {
        let (event, stream) = (f.complete(DISABLE_TIMING), f.stream());
        let executable = recording(f, *event);
        let hold = f.hold(*stream);
        let launch = executable.launch(*stream);
        Outcome::from(launch).and(hold.query_and_release(*event))
    }),
    Probe::current("external record: a wait made while the launch is held", |f| {
        let (event, stream, waiting) = (f.event(DISABLE_TIMING), f.stream(), f.stream());
        let executable = recording(f, *event);
        let hold = f.hold(*stream);
        executable.launch(*stream);
        let code = f.driver.cuStreamWaitEvent(*waiting, *event, 0);
        Outcome::from(code).and(hold.query_and_release(*f.recorded(*waiting)))
    }),
    Probe::current("external record: a wait made before the launch", |f| {
        let (event, stream, waiting) = (f.event(DISABLE_TIMING), f.stream(), f.stream());
        let executable = recording(f, *event);
        let hold = f.hold(*stream);
        let code = f.driver.cuStreamWaitEvent(*waiting, *event, 0);
        executable.launch(*stream);
        Outcome::from(code).and(hold.query_and_release(*f.recorded(*waiting)))
    }),
    Probe::current("external record: synchronize while the launch is held", |f| {
        let (event, stream) = (f.event(DISABLE_TIMING), f.stream());
        let executable = recording(f, *event);
        let hold = f.hold(*stream);
        executable.launch(*stream);
        let handle = *event;
        hold.wait_and_release(move |d| d.cuEventSynchronize(handle))
    }),
    Probe::current("external record: elapsed while the launch is held, after", |f| {
        let (event, start, stream) = (f.event(0), f.complete(0), f.stream());
        let executable = recording(f, *event);
        let hold = f.hold(*stream);
        executable.launch(*stream);
        let held = elapsed(f, *start, *event);
        hold.release();
        f.finish(*stream);
        let mut again = -1.0;
        let done = f.driver.cuEventElapsedTime_v2(Some(&mut again), *start, *event);
        Outcome::from([held, done]).and(verdict(again > 0.0, "later"))
    }),
    Probe::current("external record: two timed events around a memset", |f| {
        let (start, end, memory, stream) = (f.event(0), f.event(0), f.memory(1, 0), f.stream());
        let executable = f.executable(|stream| {
            f.driver.cuEventRecordWithFlags(*start, stream, EXTERNAL);
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
            f.driver.cuEventRecordWithFlags(*end, stream, EXTERNAL);
        });
        let before = elapsed(f, *start, *end);
        executable.launch(*stream);
        let finish = f.finish(*stream);
        let mut milliseconds = -1.0;
        let code = f.driver.cuEventElapsedTime_v2(Some(&mut milliseconds), *start, *end);
        Outcome::from([before, finish, code]).and(verdict(milliseconds > 0.0, "later"))
    }),
    Probe::current("external record: the first elapsed function", |f| {
        let (start, end, stream) = (f.event(0), f.event(0), f.stream());
        let executable = f.executable(|stream| {
            f.driver.cuEventRecordWithFlags(*start, stream, EXTERNAL);
            f.driver.cuEventRecordWithFlags(*end, stream, EXTERNAL);
        });
        let before = f.driver.cuEventElapsedTime(Some(&mut 0.0), *start, *end);
        executable.launch(*stream);
        [before, f.finish(*stream), f.driver.cuEventElapsedTime(Some(&mut 0.0), *start, *end)].into()
    }),
    Probe::current("external record: recorded outside since, then launched", |f| {
        let (event, stream, outside) = (f.event(DISABLE_TIMING), f.stream(), f.stream());
        let executable = recording(f, *event);
        f.driver.cuEventRecord(*event, *outside);
        let before = f.driver.cuEventSynchronize(*event);
        let hold = f.hold(*stream);
        executable.launch(*stream);
        Outcome::from(before).and(hold.query_and_release(*event))
    }),
    Probe::current("external record: launched and held, then recorded outside", |f| {
        let (event, stream, outside) = (f.event(DISABLE_TIMING), f.stream(), f.stream());
        let executable = recording(f, *event);
        let hold = f.hold(*stream);
        executable.launch(*stream);
        let record = f.driver.cuEventRecord(*event, *outside);
        let between = f.settled_query(*event);
        hold.release();
        Outcome::from([record, between, f.finish(*stream), f.driver.cuEventSynchronize(*event), f.driver.cuEventQuery(*event)])
    }),
    Probe::current("external record: two in one graph, of one event", |f| {
        let (event, stream) = (f.event(DISABLE_TIMING), f.stream());
        let mut hold = None;
        let executable = f.executable(|stream| {
            f.driver.cuEventRecordWithFlags(*event, stream, EXTERNAL);
            hold = Some(f.hold(stream));
            f.driver.cuEventRecordWithFlags(*event, stream, EXTERNAL);
        });
        let launch = executable.launch(*stream);
        Outcome::from(launch).and(hold.expect("it was captured").query_and_release(*event)).and(f.finish(*stream))
    }),
    Probe::current("external record: after the executable is gone", |f| {
        let (event, stream) = (f.event(0), f.stream());
        let executable = recording(f, *event);
        executable.launch(*stream);
        let finish = f.finish(*stream);
        drop(executable);
        [finish, f.driver.cuEventQuery(*event), elapsed(f, *event, *event), f.driver.cuEventRecord(*event, *stream)].into()
    }),
    Probe::current("external record: the executable is destroyed while it is held", |f| {
        let (event, stream) = (f.event(DISABLE_TIMING), f.stream());
        let executable = recording(f, *event);
        let hold = f.hold(*stream);
        executable.launch(*stream);
        let handle = executable.into_handle();
        let destroy = hold.wait_and_release(move |d| d.cuGraphExecDestroy(handle));
        destroy.and(f.driver.cuEventSynchronize(*event)).and(f.finish(*stream))
    }),
    Probe::current("external record: plain, untimed, shared, blocking", |f| {
        let (stream, events) = (f.stream(), [f.event(0), f.event(DISABLE_TIMING), f.event(INTERPROCESS), f.event(1)]);
        f.begin(*stream);
        let records = events.each_ref().map(|event| f.driver.cuEventRecordWithFlags(**event, *stream, EXTERNAL));
        let (end, graph) = f.end(*stream);
        let executable = graph.instantiate().1;
        let launch = [executable.launch(*stream), f.finish(*stream)];
        Outcome::from(records).and(end).and(launch).and(events.each_ref().map(|event| f.driver.cuEventQuery(**event)))
    }),
    Probe::current("external record: a handle for other processes, before and after", |f| {
        let (event, stream) = (f.event(INTERPROCESS), f.stream());
        let executable = recording(f, *event);
        let export = || f.driver.cuIpcGetEventHandle(Some(&mut IpcHandle([0; 64])), *event);
        let before = export();
        executable.launch(*stream);
        [before, f.finish(*stream), export(), f.driver.cuEventQuery(*event)].into()
    }),
    Probe::current("external record: of an event of a second context", |f| {
        let second = f.second_context();
        let (event, stream) = (f.event_in(second, 0), f.stream());
        f.begin(*stream);
        let record = f.driver.cuEventRecordWithFlags(*event, *stream, EXTERNAL);
        let outcome = Outcome::from(record).and(f.status(*stream)).and(f.end_code(*stream));
        drop(event);
        f.driver.cuCtxDestroy_v2(second);
        outcome
    }),
    Probe::current("external record: of null, of a captured event, flags 2, 3", |f| {
        let (event, stream) = (f.event(0), f.stream());
        f.begin(*stream);
        let captured = f.recorded(*stream);
        let codes = [
            f.driver.cuEventRecordWithFlags(Handle::NULL, *stream, EXTERNAL),
            f.driver.cuEventRecordWithFlags(*captured, *stream, EXTERNAL),
            f.driver.cuEventRecordWithFlags(*event, *stream, 2),
            f.driver.cuEventRecordWithFlags(*event, *stream, 3),
        ];
        Outcome::from(codes).and(f.status(*stream)).and(f.end(*stream).1.shape())
    }),
    Probe::current("external record: launched on a stream of a second context", |f| {
        let second = f.second_context();
        let (event, stream) = (f.event(0), f.stream_in(second, NON_BLOCKING));
        let executable = recording(f, *event);
        let codes = [executable.launch(*stream), f.driver.cuStreamSynchronize(*stream), f.driver.cuEventQuery(*event)];
        drop((executable, stream));
        f.driver.cuCtxDestroy_v2(second);
        codes.into()
    }),
    Probe::alone("external record: event destroyed, then launched", |d| {
        Fixture::alone(d, |f| {
            let (event, stream) = (f.event(DISABLE_TIMING), f.stream());
            let executable = recording(f, *event);
            let destroy = d.cuEventDestroy_v2(event.into_handle());
            [destroy, executable.launch(*stream), d.cuStreamSynchronize(*stream)].into()
        })
    }),
    Probe::alone("external record: event destroyed, the graph records the next one", |d| {
        Fixture::alone(d, |f| {
            let (event, stream) = (f.event(DISABLE_TIMING), f.stream());
            let executable = recording(f, *event);
            d.cuEventDestroy_v2(event.into_handle());
            let next = f.complete(DISABLE_TIMING);
            let hold = f.hold(*stream);
            let launch = executable.launch(*stream);
            Outcome::from(launch).and(hold.query_and_release(*next))
        })
    }),
    Probe::alone("external record: event destroyed, then uploaded", |d| Fixture::alone(d, |f| uploaded_without(f, recording))),
    Probe::alone("external record: event destroyed, then instantiated", |d| {
        event_destroyed(d, |d, stream, event| d.cuEventRecordWithFlags(event, stream, EXTERNAL), |graph| graph.instantiate().0)
    }),
    Probe::alone("external record: event destroyed, then cloned", |d| {
        event_destroyed(d, |d, stream, event| d.cuEventRecordWithFlags(event, stream, EXTERNAL), |graph| graph.clone_of().0)
    }),
    Probe::alone("external record: event destroyed while the launch is held", |d| {
        Fixture::alone(d, |f| {
            let (event, stream) = (f.event(DISABLE_TIMING), f.stream());
            let executable = recording(f, *event);
            let hold = f.hold(*stream);
            let launch = executable.launch(*stream);
            let destroy = d.cuEventDestroy_v2(event.into_handle());
            hold.release();
            [launch, destroy, d.cuStreamSynchronize(*stream)].into()
        })
    }),
    Probe::current("external record: sixteen launches in a row, then query", |f| {
        let (event, stream) = (f.event(0), f.stream());
        let executable = recording(f, *event);
        let all = (0..16).map(|_| executable.launch(*stream)).all(Code::is_success);
        verdict(all, "launched").and([f.driver.cuEventSynchronize(*event), f.driver.cuStreamQuery(*stream)])
    }),
];

/// What is done with a graph of a call on an event that is destroyed by then.
pub(super) fn event_destroyed(driver: &'static Driver, call: fn(&Driver, Handle, Handle) -> Code, then: fn(&Graph<'_>) -> Code) -> Outcome {
    Fixture::alone(driver, |f| {
        let event = f.event(DISABLE_TIMING).into_handle();
        let graph = f.captured(|stream| call(driver, stream, event));
        driver.cuEventDestroy_v2(event);
        then(&graph).into()
    })
}

/// A graph of an event that is destroyed when it is uploaded.
pub(super) fn uploaded_without(f: &Fixture, using: fn(&Fixture, Handle) -> Executable<'_>) -> Outcome {
    let (event, stream) = (f.event(DISABLE_TIMING), f.stream());
    let executable = using(f, *event);
    f.driver.cuEventDestroy_v2(event.into_handle());
    match f.driver.cuGraphUpload(*executable, *stream) {
        Code::SUCCESS => [Code::SUCCESS, f.driver.cuStreamSynchronize(*stream)].into(),
        code => code.into(),
    }
}

fn wait(f: &Fixture, event: Handle) -> Code {
    f.driver.cuStreamWaitEvent(*f.stream(), event, 0)
}

fn elapsed(f: &Fixture, start: Handle, end: Handle) -> Code {
    f.driver.cuEventElapsedTime_v2(Some(&mut 0.0), start, end)
}

/// A graph that records the event.
fn recording(f: &Fixture, event: Handle) -> Executable<'_> {
    f.executable(|stream| f.driver.cuEventRecordWithFlags(event, stream, EXTERNAL))
}
