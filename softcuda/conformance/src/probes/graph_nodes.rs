//! Graphs that are built node by node.

use std::ptr::null;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::Fixture;
use crate::graphs::Graph;
use crate::handles::{DISABLE_TIMING, INTERPROCESS};
use crate::host_function::repeated;
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::structs::{HostParameters, MemsetParameters};

pub(super) const PROBES: &[Probe] = &[
    Probe::current("graph nodes: one of each kind in line", |f| {
        let (graph, event, memory, child) = (f.empty_graph(), f.event(0), f.memory(1, 0), f.empty_graph());
        let (mut codes, mut last) = (Vec::new(), Vec::new());
        let mut add = |added: (Code, Handle)| {
            codes.push(added.0);
            last.clear();
            last.push(added.1);
            last.clone()
        };
        let after = add(empty(f, &graph, &[]));
        let after = add(record(f, &graph, &after, *event));
        let after = add(wait(f, &graph, &after, *event));
        let after = add(host(f, &graph, &after, &repeated(|| ())));
        let after = add(memset(f, &graph, &after, memory.address));
        let mut node = Handle::NULL;
        let code = f.driver.cuGraphAddChildGraphNode(Some(&mut node), *graph, after.as_ptr(), after.len(), *child);
        add((code, node));
        Outcome::each(codes, Outcome::from).and(graph.shape())
    }),
    Probe::current("graph nodes: an empty one behind two", |f| {
        let graph = f.empty_graph();
        let before = [empty(f, &graph, &[]).1, empty(f, &graph, &[]).1];
        Outcome::from(empty(f, &graph, &before).0).and(graph.shape())
    }),
    Probe::current("graph nodes: a dependency twice, of null, of another graph", |f| {
        let (graph, other) = (f.empty_graph(), f.empty_graph());
        let (node, foreign) = (empty(f, &graph, &[]).1, empty(f, &other, &[]).1);
        let codes = [empty(f, &graph, &[node, node]).0, empty(f, &graph, &[Handle::NULL]).0, empty(f, &graph, &[foreign]).0];
        Outcome::from(codes).and(graph.shape())
    }),
    Probe::current("graph nodes: record and wait of null", |f| {
        let graph = f.empty_graph();
        Outcome::from([record(f, &graph, &[], Handle::NULL).0, wait(f, &graph, &[], Handle::NULL).0]).and(graph.shape())
    }),
    Probe::current("graph nodes: record and wait, plain, untimed, shared, blocking event", |f| {
        let graph = f.empty_graph();
        let events = [f.event(0), f.event(DISABLE_TIMING), f.event(INTERPROCESS), f.event(1)];
        let records = events.each_ref().map(|event| record(f, &graph, &[], **event).0);
        let waits = events.each_ref().map(|event| wait(f, &graph, &[], **event).0);
        let (instantiate, executable) = graph.instantiate();
        let stream = f.stream();
        Outcome::from(records).and(waits).and([instantiate, executable.launch(*stream), f.finish(*stream)])
    }),
    Probe::current("graph nodes: record and wait of an event of a second context", |f| {
        let second = f.second_context();
        let (graph, event, stream) = (f.empty_graph(), f.event_in(second, 0), f.stream());
        let added = [record(f, &graph, &[], *event).0, wait(f, &graph, &[], *event).0];
        let (instantiate, executable) = graph.instantiate();
        let launch = [executable.launch(*stream), f.finish(*stream), f.driver.cuEventQuery(*event)];
        let outcome = Outcome::from(added).and(instantiate).and(launch);
        drop((executable, graph, event));
        f.driver.cuCtxDestroy_v2(second);
        outcome
    }),
    Probe::current("graph nodes: a captured event", |f| {
        let (graph, stream) = (f.empty_graph(), f.stream());
        f.begin(*stream);
        let event = f.recorded(*stream);
        f.end(*stream);
        let codes = [record(f, &graph, &[], *event).0, wait(f, &graph, &[], *event).0];
        Outcome::from(codes).and(graph.instantiate().0)
    }),
    Probe::current("graph nodes: the event of a record node", |f| {
        let (graph, event) = (f.empty_graph(), f.event(0));
        let node = record(f, &graph, &[], *event).1;
        let mut told = Handle::NULL;
        let code = f.driver.cuGraphEventRecordNodeGetEvent(node, Some(&mut told));
        Outcome::from(code).and((told == *event).to_string())
    }),
    Probe::current("graph nodes: a host node without a function", |f| {
        let graph = f.empty_graph();
        let mut node = Handle::NULL;
        let none = HostParameters { function: None, user: std::ptr::null_mut() };
        let codes = [host(f, &graph, &[], &none).0, f.driver.cuGraphAddHostNode(Some(&mut node), *graph, null(), 0, None)];
        Outcome::from(codes).and(graph.shape())
    }),
    Probe::current("graph nodes: host nodes in line, launched twice", |f| {
        let (graph, stream, order) = (f.empty_graph(), f.stream(), Arc::new(AtomicU32::new(0)));
        let mut after = Vec::new();
        for digit in 1..=3 {
            let order = Arc::clone(&order);
            let append = move || {
                let _ = order.fetch_update(Ordering::AcqRel, Ordering::Acquire, |number| Some(number * 10 + digit));
            };
            after = vec![host(f, &graph, &after, &repeated(append)).1];
        }
        let executable = graph.instantiate().1;
        let codes = [executable.launch(*stream), executable.launch(*stream), f.finish(*stream)];
        Outcome::from(codes).and(order.load(Ordering::Acquire).to_string())
    }),
    Probe::alone("graph nodes: into nothing, of a null graph", |d| {
        Fixture::alone(d, |f| {
            let graph = f.empty_graph();
            let codes = [
                d.cuGraphAddEmptyNode(None, *graph, null(), 0),
                d.cuGraphAddEmptyNode(Some(&mut Handle(0)), Handle::NULL, null(), 0),
                d.cuGraphAddEmptyNode(Some(&mut Handle(0)), *graph, null(), 1),
            ];
            Outcome::from(codes).and(graph.shape())
        })
    }),
    Probe::bare("graph nodes: no context", |f| {
        let (graph, event) = (f.empty_graph(), f.event(0));
        let codes = [
            empty(f, &graph, &[]).0,
            record(f, &graph, &[], *event).0,
            wait(f, &graph, &[], *event).0,
            host(f, &graph, &[], &repeated(|| ())).0,
        ];
        Outcome::from(codes).and(graph.shape())
    }),
    Probe::current("graph nodes: added after the instantiation, launched", |f| {
        let (graph, stream, runs) = (f.empty_graph(), f.stream(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&runs);
        let executable = graph.instantiate().1;
        let add = host(f, &graph, &[], &repeated(adding(counted))).0;
        let codes = [add, executable.launch(*stream), f.finish(*stream)];
        Outcome::from(codes).and(runs.load(Ordering::Acquire).to_string())
    }),
    Probe::current("graph nodes: record, then wait, of one event, launched twice", |f| {
        let (graph, event, stream) = (f.empty_graph(), f.event(0), f.stream());
        let node = record(f, &graph, &[], *event).1;
        let wait = wait(f, &graph, &[node], *event).0;
        let executable = graph.instantiate().1;
        let launches = [executable.launch(*stream), executable.launch(*stream), f.finish(*stream)];
        Outcome::from(wait).and(launches).and(f.driver.cuEventQuery(*event))
    }),
    Probe::current("graph nodes: wait, then record, of one event, two graphs at once", |f| {
        let (event, first, second) = (f.event(DISABLE_TIMING), f.stream(), f.stream());
        let graph = f.empty_graph();
        let node = wait(f, &graph, &[], *event).1;
        let record = record(f, &graph, &[node], *event).0;
        let (one, two) = (graph.instantiate().1, graph.instantiate().1);
        let hold = f.hold(*first);
        let launches = [one.launch(*first), two.launch(*second)];
        Outcome::from(record).and(launches).and(hold.query_and_release(*f.recorded(*second)))
    }),
];

type Added = (Code, Handle);

fn empty(f: &Fixture, graph: &Graph<'_>, after: &[Handle]) -> Added {
    let mut node = Handle::NULL;
    (f.driver.cuGraphAddEmptyNode(Some(&mut node), **graph, after.as_ptr(), after.len()), node)
}

pub(super) fn record(f: &Fixture, graph: &Graph<'_>, after: &[Handle], event: Handle) -> Added {
    let mut node = Handle::NULL;
    (f.driver.cuGraphAddEventRecordNode(Some(&mut node), **graph, after.as_ptr(), after.len(), event), node)
}

pub(super) fn wait(f: &Fixture, graph: &Graph<'_>, after: &[Handle], event: Handle) -> Added {
    let mut node = Handle::NULL;
    (f.driver.cuGraphAddEventWaitNode(Some(&mut node), **graph, after.as_ptr(), after.len(), event), node)
}

fn host(f: &Fixture, graph: &Graph<'_>, after: &[Handle], parameters: &HostParameters) -> Added {
    let mut node = Handle::NULL;
    (f.driver.cuGraphAddHostNode(Some(&mut node), **graph, after.as_ptr(), after.len(), Some(parameters)), node)
}

fn memset(f: &Fixture, graph: &Graph<'_>, after: &[Handle], address: u64) -> Added {
    let (mut node, parameters) = (Handle::NULL, MemsetParameters::word(address, 7));
    (f.driver.cuGraphAddMemsetNode(Some(&mut node), **graph, after.as_ptr(), after.len(), Some(&parameters), f.primary), node)
}

fn adding(runs: Arc<AtomicU32>) -> impl Fn() + Send + Sync {
    move || {
        runs.fetch_add(1, Ordering::AcqRel);
    }
}
