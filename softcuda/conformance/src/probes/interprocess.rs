//! Interprocess events, and streams of other contexts than theirs. Each in a process of its own: some crash it.

use super::graph_events::EXTERNAL;
use super::graph_nodes::{record as record_node, wait as wait_node};
use super::two::on_other;
use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::graphs::Executable;
use crate::handles::{DISABLE_TIMING, INTERPROCESS};
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::structs::IpcHandle;

pub(super) const PROBES: &[Probe] = &[
    Probe::alone("interprocess event: a stream of a second context waits", |d| {
        Fixture::alone(d, |f| waits(f, f.second_context(), Exported::No))
    }),
    Probe::alone("interprocess event, exported: a stream of a second context waits", |d| {
        Fixture::alone(d, |f| waits(f, f.second_context(), Exported::Yes))
    }),
    Probe::alone("interprocess event: a record on a stream of a second context", |d| Fixture::alone(d, |f| records(f, f.second_context()))),
    Probe::alone("interprocess event: a stream of a green context waits", |d| {
        Fixture::alone(d, |f| {
            let green = f.green();
            let mut stream = Handle::NULL;
            let created = d.cuGreenCtxStreamCreate(Some(&mut stream), green.raw, NON_BLOCKING, 0);
            Outcome::from(created).and(waits_on(f, stream, Exported::Yes)).and(d.cuStreamDestroy_v2(stream))
        })
    }),
    Probe::alone("interprocess event: a record on a stream of a green context", |d| {
        Fixture::alone(d, |f| {
            let (green, event) = (f.green(), f.event(INTERPROCESS));
            let mut stream = Handle::NULL;
            let created = d.cuGreenCtxStreamCreate(Some(&mut stream), green.raw, NON_BLOCKING, 0);
            [created, d.cuEventRecord(*event, stream), d.cuStreamDestroy_v2(stream)].into()
        })
    }),
    Probe::alone("interprocess wait in a graph: launched in a second context", |d| {
        Fixture::alone(d, |f| launched_wait(f, f.second_context()))
    }),
    Probe::alone("interprocess record in a graph: launched in a second context", |d| {
        Fixture::alone(d, |f| launched_record(f, f.second_context()))
    }),
    Probe::alone("two: a stream of the other waits for an interprocess event", |d| {
        on_other_alone(d, |f, context| waits(f, context, Exported::No))
    }),
    Probe::alone("two: a stream of the other waits for an exported event", |d| {
        on_other_alone(d, |f, context| waits(f, context, Exported::Yes))
    }),
    Probe::alone("two: a record of an interprocess event on the other's stream", |d| on_other_alone(d, records)),
    Probe::alone("two: a graph with an interprocess wait, launched by the other", |d| on_other_alone(d, launched_wait)),
    Probe::alone("two: a graph with an interprocess record, launched by the other", |d| on_other_alone(d, launched_record)),
    Probe::alone("two: a graph with an interprocess wait, uploaded by the other", |d| on_other_alone(d, uploaded_wait)),
    Probe::alone("two: an interprocess wait captured, joined to the other's origin", |d| on_other_alone(d, joined_wait)),
    Probe::alone("interprocess wait captured on a stream of a second context", |d| {
        Fixture::alone(d, |f| captured_wait(f, f.second_context()))
    }),
    Probe::alone("interprocess record captured on a stream of a second context", |d| {
        Fixture::alone(d, |f| captured_record(f, f.second_context()))
    }),
    Probe::alone("two: an interprocess wait captured on the other's stream", |d| on_other_alone(d, captured_wait)),
    Probe::alone("two: an interprocess record captured on the other's stream", |d| on_other_alone(d, captured_record)),
    Probe::alone("interprocess event: recorded, waited for in a capture", |d| Fixture::alone(d, |f| waits_in_capture(f, Exported::No))),
    Probe::alone("interprocess event: exported, waited for in a capture", |d| Fixture::alone(d, |f| waits_in_capture(f, Exported::Yes))),
];

#[derive(Clone, Copy, PartialEq)]
enum Exported {
    No,
    Yes,
}

fn on_other_alone(driver: &'static Driver, probe: fn(&Fixture, Handle) -> Outcome) -> Outcome {
    Fixture::alone(driver, |f| on_other(f, probe))
}

/// A stream of that context waits for a record that is held.
fn waits(f: &Fixture, context: Handle, exported: Exported) -> Outcome {
    waits_on(f, *f.stream_in(context, NON_BLOCKING), exported)
}

fn waits_on(f: &Fixture, waiting: Handle, exported: Exported) -> Outcome {
    let (recording, event) = (f.stream(), f.event(INTERPROCESS));
    let mut handle = IpcHandle::ZERO;
    let export = (exported == Exported::Yes).then(|| f.driver.cuIpcGetEventHandle(Some(&mut handle), *event));
    let hold = f.hold(*recording);
    let record = f.driver.cuEventRecord(*event, *recording);
    let wait = f.driver.cuStreamWaitEvent(waiting, *event, 0);
    if !wait.is_success() {
        // Where a real driver crashes, that is all.
        return wait.into();
    }
    let pending = f.driver.cuStreamQuery(waiting);
    hold.release();
    Outcome::each(export, Outcome::from).and([record, wait, pending, f.driver.cuStreamSynchronize(waiting)])
}

fn records(f: &Fixture, context: Handle) -> Outcome {
    let (stream, event) = (f.stream_in(context, NON_BLOCKING), f.event(INTERPROCESS));
    f.driver.cuEventRecord(*event, *stream).into()
}

fn launched_wait(f: &Fixture, context: Handle) -> Outcome {
    let (launching, event, graph) = (f.stream_in(context, NON_BLOCKING), f.event(INTERPROCESS), f.empty_graph());
    let added = wait_node(f, &graph, &[], *event).0;
    let (instantiated, executable) = graph.instantiate();
    Outcome::from([added, instantiated]).and(launched_behind(f, *event, &executable, *launching))
}

/// A graph that waits for the event, launched while a record of that is held.
fn launched_behind(f: &Fixture, event: Handle, executable: &Executable<'_>, launching: Handle) -> [Code; 4] {
    let recording = f.stream();
    let hold = f.hold(*recording);
    let record = f.driver.cuEventRecord(event, *recording);
    let launch = executable.launch(launching);
    let pending = f.driver.cuStreamQuery(launching);
    hold.release();
    [record, launch, pending, f.driver.cuStreamSynchronize(launching)]
}

fn uploaded_wait(f: &Fixture, context: Handle) -> Outcome {
    let (uploading, event, graph) = (f.stream_in(context, NON_BLOCKING), f.event(INTERPROCESS), f.empty_graph());
    let added = wait_node(f, &graph, &[], *event).0;
    let (instantiated, executable) = graph.instantiate();
    let upload = f.driver.cuGraphUpload(*executable, *uploading);
    [added, instantiated, upload, f.driver.cuStreamSynchronize(*uploading)].into()
}

/// The stream that waits is of the event's context, and the graph is launched where its capture began: on the other's.
fn joined_wait(f: &Fixture, context: Handle) -> Outcome {
    let (origin, joined) = (f.stream_in(context, NON_BLOCKING), f.stream());
    let (fork, event) = (f.event_in(context, DISABLE_TIMING), f.event(INTERPROCESS));
    let begin = f.begin(*origin);
    let forked = [f.driver.cuEventRecord(*fork, *origin), f.driver.cuStreamWaitEvent(*joined, *fork, 0)];
    let wait = f.driver.cuStreamWaitEvent(*joined, *event, EXTERNAL);
    let back = f.join(*origin, *joined);
    let (end, graph) = f.end(*origin);
    let (instantiated, executable) = graph.instantiate();
    let captured = Outcome::from(begin).and(forked).and(wait).and(back).and([end, instantiated]);
    captured.and(launched_behind(f, *event, &executable, *origin))
}

/// Captured on a stream of that context, as a node.
fn captured_wait(f: &Fixture, context: Handle) -> Outcome {
    let (origin, event) = (f.stream_in(context, NON_BLOCKING), f.event(INTERPROCESS));
    let begin = f.begin(*origin);
    let wait = f.driver.cuStreamWaitEvent(*origin, *event, EXTERNAL);
    let (end, graph) = f.end(*origin);
    if !wait.is_success() {
        return wait.into();
    }
    let (instantiated, executable) = graph.instantiate();
    Outcome::from([begin, wait, end, instantiated]).and(launched_behind(f, *event, &executable, *origin))
}

fn captured_record(f: &Fixture, context: Handle) -> Outcome {
    let (origin, event) = (f.stream_in(context, NON_BLOCKING), f.event(INTERPROCESS));
    let begin = f.begin(*origin);
    let record = f.driver.cuEventRecordWithFlags(*event, *origin, EXTERNAL);
    let (end, graph) = f.end(*origin);
    if !record.is_success() {
        return record.into();
    }
    let (instantiated, executable) = graph.instantiate();
    let launch = executable.launch(*origin);
    [begin, record, end, instantiated, launch, f.driver.cuStreamSynchronize(*origin), f.driver.cuEventQuery(*event)].into()
}

/// An edge, and of work outside of the capture.
fn waits_in_capture(f: &Fixture, exported: Exported) -> Outcome {
    let (stream, event) = (f.stream(), f.event(INTERPROCESS));
    let mut handle = IpcHandle::ZERO;
    let export = (exported == Exported::Yes).then(|| f.driver.cuIpcGetEventHandle(Some(&mut handle), *event));
    let record = f.driver.cuEventRecord(*event, *stream);
    f.driver.cuStreamSynchronize(*stream);
    f.begin(*stream);
    let wait = f.driver.cuStreamWaitEvent(*stream, *event, 0);
    let status = f.status(*stream);
    Outcome::each(export, Outcome::from).and([record, wait]).and(status).and(f.end_code(*stream))
}

fn launched_record(f: &Fixture, context: Handle) -> Outcome {
    let (launching, event) = (f.stream_in(context, NON_BLOCKING), f.event(INTERPROCESS));
    let graph = f.empty_graph();
    let added = record_node(f, &graph, &[], *event).0;
    let (instantiated, executable) = graph.instantiate();
    let launch = executable.launch(*launching);
    [added, instantiated, launch, f.driver.cuStreamSynchronize(*launching), f.driver.cuEventQuery(*event)].into()
}
