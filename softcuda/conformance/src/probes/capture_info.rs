//! What the driver tells of a capture: its id, its graph and what comes next depends on.

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::Fixture;
use crate::graphs::status_word;
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("capture info: nothing captures", |f| all(f, *f.stream())),
    Probe::current("capture info: of an empty capture", |f| {
        let stream = f.stream();
        f.begin(*stream);
        let outcome = all(f, *stream);
        f.end(*stream);
        outcome.and("after the end").and(all(f, *stream))
    }),
    Probe::current("capture info: after a memset, after two", |f| {
        let (stream, memory) = (f.stream(), f.memory(1, 0));
        f.begin(*stream);
        f.driver.cuMemsetD32Async(memory.address, 7, 1, *stream);
        let outcome = v3(f, *stream);
        f.driver.cuMemsetD32Async(memory.address, 7, 1, *stream);
        let outcome = outcome.and(v3(f, *stream));
        f.end(*stream);
        outcome
    }),
    Probe::current("capture info: after a join of two memsets", |f| {
        let (origin, joined, memory) = (f.stream(), f.stream(), f.memory(1, 0));
        f.begin(*origin);
        f.join(*joined, *origin);
        let fork = v3(f, *joined);
        for stream in [*origin, *joined] {
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
        }
        f.join(*origin, *joined);
        let outcome = fork.and(v3(f, *origin)).and(v3(f, *joined));
        f.end(*origin);
        outcome
    }),
    Probe::current("capture info: of one that is invalidated", |f| {
        let stream = f.stream();
        f.begin(*stream);
        f.driver.cuStreamQuery(*stream);
        let outcome = all(f, *stream);
        f.end(*stream);
        outcome
    }),
    Probe::current("capture info: of the handles 0, 1, 2", |f| {
        v3(f, Handle::DEFAULT).and(v3(f, Handle::LEGACY)).and(v3(f, Handle::PER_THREAD))
    }),
    Probe::current("capture info: of handle 0, a blocking stream captures", |f| {
        let stream = f.blocking_stream();
        f.begin(*stream);
        let outcome = all(f, Handle::DEFAULT).and(f.status(*stream));
        f.end(*stream);
        outcome
    }),
    Probe::current("capture info: ids of streams that joined, of captures in turn", |f| {
        let (origin, joined) = (f.stream(), f.stream());
        f.begin(*origin);
        f.join(*joined, *origin);
        let (first, second) = (id(f, *origin), id(f, *joined));
        f.end(*origin);
        f.begin(*origin);
        let third = id(f, *origin);
        f.end(*origin);
        verdict(first == second, "the same").and(verdict(first != third, "another"))
    }),
    Probe::current("capture info: ids of two at once", |f| {
        let (first, second) = (f.stream(), f.stream());
        f.begin(*first);
        f.begin(*second);
        let outcome = verdict(id(f, *first) != id(f, *second), "another");
        f.end(*first);
        f.end(*second);
        outcome
    }),
    Probe::current("capture info: the graph is that of the end", |f| {
        let stream = f.stream();
        f.begin(*stream);
        let before = graph(f, *stream);
        let (_, after) = f.end(*stream);
        verdict(before == *after, "the same")
    }),
    Probe::current("capture info: the graph under capture, its nodes", |f| {
        let (stream, memory) = (f.stream(), f.memory(1, 0));
        f.begin(*stream);
        f.driver.cuMemsetD32Async(memory.address, 7, 1, *stream);
        let graph = f.graph_of(graph(f, *stream));
        let outcome = graph.shape();
        let _ = graph.into_handle();
        outcome.and(f.status(*stream)).and(f.end_code(*stream))
    }),
    Probe::alone("capture info: the graph under capture, instantiated, cloned", |d| {
        Fixture::alone(d, |f| {
            let stream = f.stream();
            f.begin(*stream);
            let graph = f.graph_of(graph(f, *stream));
            let codes = [graph.instantiate().0, graph.clone_of().0];
            let _ = graph.into_handle();
            Outcome::from(codes).and(f.status(*stream)).and(f.end_code(*stream))
        })
    }),
    Probe::alone("capture info: the graph under capture, destroyed", |d| {
        Fixture::alone(d, |f| {
            let stream = f.stream();
            f.begin(*stream);
            let code = d.cuGraphDestroy(graph(f, *stream));
            Outcome::from(code).and(f.status(*stream))
        })
    }),
    Probe::alone("capture info: the graph under capture, a node added", |d| {
        Fixture::alone(d, |f| {
            let stream = f.stream();
            f.begin(*stream);
            let mut node = Handle::NULL;
            let code = d.cuGraphAddEmptyNode(Some(&mut node), graph(f, *stream), std::ptr::null(), 0);
            let status = f.status(*stream);
            let (end, graph) = f.end(*stream);
            Outcome::from(code).and(status).and(end).and(graph.shape())
        })
    }),
    Probe::alone("null out parameter: cuStreamGetCaptureInfo, the status", |d| {
        Fixture::alone(d, |f| d.cuStreamGetCaptureInfo(*f.stream(), None, Some(&mut 0)).into())
    }),
    Probe::alone("null out parameter: cuStreamGetCaptureInfo_v2, _v3, the status", |d| {
        Fixture::alone(d, |f| {
            let stream = f.stream();
            let codes = [
                d.cuStreamGetCaptureInfo_v2(*stream, None, Some(&mut 0), None, None, None),
                d.cuStreamGetCaptureInfo_v3(*stream, None, Some(&mut 0), None, None, None, None),
            ];
            codes.into()
        })
    }),
    Probe::alone("null out parameter: cuStreamGetCaptureInfo_v2, _v3, all others", |d| {
        Fixture::alone(d, |f| {
            let stream = f.stream();
            f.begin(*stream);
            let (mut second, mut third) = (9, 9);
            let codes = [
                d.cuStreamGetCaptureInfo_v2(*stream, Some(&mut second), None, None, None, None),
                d.cuStreamGetCaptureInfo_v3(*stream, Some(&mut third), None, None, None, None, None),
            ];
            let outcome = Outcome::from(codes).and(status_word(second)).and(status_word(third));
            f.end(*stream);
            outcome
        })
    }),
    Probe::current("capture info: _v3 without edges, the last has none", |f| {
        let (stream, memory) = (f.stream(), f.memory(1, 0));
        f.begin(*stream);
        f.driver.cuMemsetD32Async(memory.address, 7, 1, *stream);
        let (mut status, mut dependencies, mut count) = (9, std::ptr::null(), 99);
        let code =
            f.driver.cuStreamGetCaptureInfo_v3(*stream, Some(&mut status), None, None, Some(&mut dependencies), None, Some(&mut count));
        let outcome = Outcome::from(code).and(status_word(status)).and(count.to_string());
        f.end(*stream);
        outcome
    }),
];

/// What the three functions tell of a stream.
fn all(f: &Fixture, stream: Handle) -> Outcome {
    let (mut status, mut id) = (9, 0);
    let first = f.driver.cuStreamGetCaptureInfo(stream, Some(&mut status), Some(&mut id));
    told(first, status, id).and(v2(f, stream)).and(v3(f, stream))
}

fn v2(f: &Fixture, stream: Handle) -> Outcome {
    let (mut status, mut id, mut graph, mut dependencies, mut count) = (9, 0, Handle::NULL, std::ptr::null(), 99);
    let code = f.driver.cuStreamGetCaptureInfo_v2(
        stream,
        Some(&mut status),
        Some(&mut id),
        Some(&mut graph),
        Some(&mut dependencies),
        Some(&mut count),
    );
    more(told(code, status, id), graph, count)
}

fn v3(f: &Fixture, stream: Handle) -> Outcome {
    let (mut status, mut id, mut graph) = (9, 0, Handle::NULL);
    let (mut dependencies, mut edges, mut count) = (std::ptr::null(), std::ptr::null(), 99);
    let code = f.driver.cuStreamGetCaptureInfo_v3(
        stream,
        Some(&mut status),
        Some(&mut id),
        Some(&mut graph),
        Some(&mut dependencies),
        Some(&mut edges),
        Some(&mut count),
    );
    more(told(code, status, id), graph, count)
}

fn told(code: Code, status: u32, id: u64) -> Outcome {
    Outcome::from(code).and(status_word(status)).and(if id == 0 { "id 0" } else { "an id" })
}

fn more(outcome: Outcome, graph: Handle, count: usize) -> Outcome {
    outcome.and(if graph == Handle::NULL { "no graph" } else { "a graph" }).and(count.to_string())
}

fn id(f: &Fixture, stream: Handle) -> u64 {
    let mut id = 0;
    f.driver.cuStreamGetCaptureInfo_v2(stream, Some(&mut 0), Some(&mut id), None, None, None);
    id
}

/// The graph under capture.
pub(super) fn graph(f: &Fixture, stream: Handle) -> Handle {
    let mut graph = Handle::NULL;
    f.driver.cuStreamGetCaptureInfo_v2(stream, Some(&mut 0), None, Some(&mut graph), None, None);
    graph
}
