//! Interprocess events, and streams of other contexts than theirs. Each in a process of its own: some crash it.

use super::graph_events::EXTERNAL;
use super::graph_nodes::{record as record_node, wait as wait_node};
use super::ipc_peers::{both, export, exported_there, opened};
use super::two::on_other;
use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::graphs::{Executable, Graph};
use crate::handles::{DISABLE_TIMING, INTERPROCESS};
use crate::outcome::Outcome;
use crate::probe::Probe;

/// Who knows of an event.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    ThisProcess,
    /// Exported, and nobody has opened it.
    Others,
    /// Imported.
    AnotherProcess,
}

/// What a stream does with an event.
type Use = fn(&Fixture, Handle, Handle) -> Outcome;

/// Streams of a second context, and of another device, with an event of the primary context.
macro_rules! elsewhere {
    ($($whose:literal $of:ident: $($what:literal $does:path),+;)+) => {
        &[$($(
            Probe::alone(concat!($whose, " event, second context: ", $what), |d| in_second(d, Of::$of, $does)),
            Probe::alone(concat!("two: ", $whose, " event, on the other: ", $what), |d| on_other_device(d, Of::$of, $does)),
        )+)+]
    };
}

pub(super) const ELSEWHERE: &[Probe] = elsewhere! {
    "interprocess" ThisProcess: "wait" wait, "external wait, no capture" external_wait, "external wait, invalidated" invalidated_wait,
        "record" record, "captured wait" captured_wait, "captured record" captured_record, "graph that waits" launched_wait,
        "graph that records" launched_record;
    "exported" Others: "wait" wait, "external wait, no capture" external_wait, "external wait, invalidated" invalidated_wait,
        "record" record, "captured wait" captured_wait, "captured record" captured_record, "graph that waits" launched_wait,
        "graph that records" launched_record, "graph that waits, uploaded" uploaded_wait, "graph that records, uploaded" uploaded_record,
        "graph uploaded, event destroyed" uploaded_destroyed;
    "imported" AnotherProcess: "wait" wait, "external wait, no capture" external_wait, "external wait, invalidated" invalidated_wait,
        "record" record, "captured wait" captured_wait, "captured record" captured_record, "graph that waits" launched_wait,
        "graph that records" launched_record, "graph that waits, uploaded" uploaded_wait, "graph that records, uploaded" uploaded_record,
        "graph uploaded, event destroyed" uploaded_destroyed;
};

pub(super) const HERE: &[Probe] = &[
    Probe::alone("exported event, green context: wait", |d| on_green(d, wait)),
    Probe::alone("exported event, green context: record", |d| on_green(d, record)),
    Probe::alone("exported event, green context: graph that waits", |d| on_green(d, launched_wait)),
    Probe::alone("exported event, green context: graph that records", |d| on_green(d, launched_record)),
    Probe::alone("interprocess event, recorded: waited for in a capture", |d| with_event(d, Of::ThisProcess, waits_in_capture)),
    Probe::alone("exported event, recorded: waited for in a capture", |d| with_event(d, Of::Others, waits_in_capture)),
    Probe::alone("imported event, recorded: waited for in a capture", |d| with_event(d, Of::AnotherProcess, waits_in_capture)),
    Probe::alone("interprocess event, not recorded: waited for in a capture", |d| with_event(d, Of::ThisProcess, captures_a_wait)),
    Probe::alone("exported event, not recorded: waited for in a capture", |d| with_event(d, Of::Others, captures_a_wait)),
    Probe::alone("two: interprocess event, captured, joined to the other's origin", |d| {
        with_event(d, Of::ThisProcess, |f, event| on_other(f, |f, context| joined_wait(f, context, event)))
    }),
];

fn with_event(driver: &'static Driver, of: Of, then: impl FnOnce(&Fixture, Handle) -> Outcome) -> Outcome {
    if of == Of::AnotherProcess {
        return both(driver, |f, peer| then(f, opened(f, exported_there(peer))));
    }
    Fixture::alone(driver, |f| {
        let event = f.event(INTERPROCESS).into_handle();
        if of == Of::Others {
            export(f, event);
        }
        then(f, event)
    })
}

fn in_second(driver: &'static Driver, of: Of, does: Use) -> Outcome {
    with_event(driver, of, |f, event| does(f, *f.stream_in(f.second_context(), NON_BLOCKING), event))
}

fn on_other_device(driver: &'static Driver, of: Of, does: Use) -> Outcome {
    with_event(driver, of, |f, event| on_other(f, |f, context| does(f, *f.stream_in(context, NON_BLOCKING), event)))
}

fn on_green(driver: &'static Driver, does: Use) -> Outcome {
    with_event(driver, Of::Others, |f, event| {
        let (green, mut stream) = (f.green(), Handle::NULL);
        let created = driver.cuGreenCtxStreamCreate(Some(&mut stream), green.raw, NON_BLOCKING, 0);
        Outcome::from(created).and(does(f, stream, event)).and(driver.cuStreamDestroy_v2(stream))
    })
}

/// For a record that is held.
fn wait(f: &Fixture, stream: Handle, event: Handle) -> Outcome {
    let recording = f.stream();
    let hold = f.hold(*recording);
    let record = f.driver.cuEventRecord(event, *recording);
    let wait = f.driver.cuStreamWaitEvent(stream, event, 0);
    if !wait.is_success() {
        // Where a real driver crashes, that is all.
        return wait.into();
    }
    let pending = f.driver.cuStreamQuery(stream);
    hold.release();
    [record, wait, pending, f.driver.cuStreamSynchronize(stream)].into()
}

/// As where the capture has just ended.
fn external_wait(f: &Fixture, stream: Handle, event: Handle) -> Outcome {
    recorded(f, event);
    f.driver.cuStreamWaitEvent(stream, event, EXTERNAL).into()
}

fn invalidated_wait(f: &Fixture, stream: Handle, event: Handle) -> Outcome {
    recorded(f, event);
    f.begin(stream);
    f.driver.cuStreamQuery(stream);
    [f.driver.cuStreamWaitEvent(stream, event, EXTERNAL), f.end_code(stream)].into()
}

/// At home.
fn recorded(f: &Fixture, event: Handle) {
    let stream = f.stream();
    f.driver.cuEventRecord(event, *stream);
    f.driver.cuStreamSynchronize(*stream);
}

fn record(f: &Fixture, stream: Handle, event: Handle) -> Outcome {
    f.driver.cuEventRecord(event, stream).into()
}

/// As a node, and launched there.
fn captured_wait(f: &Fixture, stream: Handle, event: Handle) -> Outcome {
    let begin = f.begin(stream);
    let wait = f.driver.cuStreamWaitEvent(stream, event, EXTERNAL);
    let (end, graph) = f.end(stream);
    if !wait.is_success() {
        return wait.into();
    }
    Outcome::from([begin, wait, end]).and(launched_behind(f, stream, event, &graph))
}

fn captured_record(f: &Fixture, stream: Handle, event: Handle) -> Outcome {
    let begin = f.begin(stream);
    let record = f.driver.cuEventRecordWithFlags(event, stream, EXTERNAL);
    let (end, graph) = f.end(stream);
    if !record.is_success() {
        return record.into();
    }
    Outcome::from([begin, record, end]).and(records(f, stream, event, &graph))
}

fn launched_wait(f: &Fixture, stream: Handle, event: Handle) -> Outcome {
    let graph = f.empty_graph();
    let added = wait_node(f, &graph, &[], event).0;
    Outcome::from(added).and(launched_behind(f, stream, event, &graph))
}

fn launched_record(f: &Fixture, stream: Handle, event: Handle) -> Outcome {
    let graph = f.empty_graph();
    let added = record_node(f, &graph, &[], event).0;
    Outcome::from(added).and(records(f, stream, event, &graph))
}

/// A graph that waits for the event, launched while a record of that is held.
fn launched_behind(f: &Fixture, stream: Handle, event: Handle, graph: &Graph<'_>) -> [Code; 5] {
    let ((instantiated, executable), recording) = (graph.instantiate(), f.stream());
    let hold = f.hold(*recording);
    let record = f.driver.cuEventRecord(event, *recording);
    let launch = executable.launch(stream);
    let pending = f.driver.cuStreamQuery(stream);
    hold.release();
    [instantiated, record, launch, pending, f.driver.cuStreamSynchronize(stream)]
}

/// A graph that records the event.
fn records(f: &Fixture, stream: Handle, event: Handle, graph: &Graph<'_>) -> [Code; 4] {
    let (instantiated, executable) = graph.instantiate();
    [instantiated, executable.launch(stream), f.driver.cuStreamSynchronize(stream), f.driver.cuEventQuery(event)]
}

fn uploaded_wait(f: &Fixture, stream: Handle, event: Handle) -> Outcome {
    let graph = f.empty_graph();
    let added = wait_node(f, &graph, &[], event).0;
    Outcome::from(added).and(uploaded(f, stream, &graph.instantiate().1))
}

fn uploaded_record(f: &Fixture, stream: Handle, event: Handle) -> Outcome {
    let graph = f.empty_graph();
    let added = record_node(f, &graph, &[], event).0;
    Outcome::from(added).and(uploaded(f, stream, &graph.instantiate().1))
}

fn uploaded_destroyed(f: &Fixture, stream: Handle, event: Handle) -> Outcome {
    let graph = f.empty_graph();
    let added = [wait_node(f, &graph, &[], event).0, record_node(f, &graph, &[], event).0];
    let (instantiated, executable) = graph.instantiate();
    let destroyed = f.driver.cuEventDestroy_v2(event);
    Outcome::from(added).and([instantiated, destroyed]).and(uploaded(f, stream, &executable))
}

fn uploaded(f: &Fixture, stream: Handle, executable: &Executable<'_>) -> [Code; 2] {
    [f.driver.cuGraphUpload(**executable, stream), f.driver.cuStreamSynchronize(stream)]
}

/// The stream that waits is of the event's context, and the graph is launched where its capture began: on the other's.
fn joined_wait(f: &Fixture, context: Handle, event: Handle) -> Outcome {
    let (origin, joined, fork) = (f.stream_in(context, NON_BLOCKING), f.stream(), f.event_in(context, DISABLE_TIMING));
    let begin = f.begin(*origin);
    let forked = [f.driver.cuEventRecord(*fork, *origin), f.driver.cuStreamWaitEvent(*joined, *fork, 0)];
    let wait = f.driver.cuStreamWaitEvent(*joined, event, EXTERNAL);
    let back = f.join(*origin, *joined);
    let (end, graph) = f.end(*origin);
    let captured = Outcome::from(begin).and(forked).and(wait).and(back).and(end);
    captured.and(launched_behind(f, *origin, event, &graph))
}

/// Of work outside of the capture.
fn waits_in_capture(f: &Fixture, event: Handle) -> Outcome {
    recorded(f, event);
    captures_a_wait(f, event)
}

/// As an edge.
fn captures_a_wait(f: &Fixture, event: Handle) -> Outcome {
    let stream = f.stream();
    f.begin(*stream);
    let wait = f.driver.cuStreamWaitEvent(*stream, event, 0);
    let status = f.status(*stream);
    Outcome::from(wait).and(status).and(f.end_code(*stream))
}
