//! Captures and graphs of two devices. Only where there are two.

use super::graph_events::EXTERNAL;
use super::graph_nodes::{record as record_node, wait as wait_node};
use super::two::on_other;
use crate::code::Code;
use crate::fixture::NON_BLOCKING;
use crate::graphs::{GLOBAL, Graph};
use crate::handles::DISABLE_TIMING;
use crate::host_function::enqueue_repeated;
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("two: a stream of the other joins a capture", |f| {
        on_other(f, |f, context| {
            let (origin, joined, memory) = (f.stream(), f.stream_in(context, NON_BLOCKING), f.memory(1, 0));
            let back = f.event_in(context, DISABLE_TIMING);
            f.begin(*origin);
            f.driver.cuMemsetD32Async(memory.address, 7, 1, *origin);
            let fork = f.join(*joined, *origin);
            let join = [f.driver.cuEventRecord(*back, *joined), f.driver.cuStreamWaitEvent(*origin, *back, 0)];
            let (end, graph) = f.end(*origin);
            let (instantiate, executable) = graph.instantiate();
            let launch = [instantiate, executable.launch(*origin), f.finish(*origin)];
            Outcome::from(fork).and(join).and(end).and(graph.shape()).and(launch)
        })
    }),
    Probe::current("two: launch on the other's stream", |f| {
        on_other(f, |f, context| {
            let (stream, memory, word) = (f.stream_in(context, NON_BLOCKING), f.memory(1, 0), f.pinned(1));
            let executable = f.executable(|stream| f.driver.cuMemsetD32Async(memory.address, 7, 1, stream));
            let codes = [executable.launch(*stream), f.driver.cuStreamSynchronize(*stream)];
            Outcome::from(codes).and(f.read(memory.address, &word[0]).to_string())
        })
    }),
    Probe::current("two: launch on the other's stream, a host function alone", |f| {
        on_other(f, |f, context| {
            let stream = f.stream_in(context, NON_BLOCKING);
            let executable = f.executable(|stream| enqueue_repeated(f.driver, stream, || ()));
            [executable.launch(*stream), f.driver.cuStreamSynchronize(*stream)].into()
        })
    }),
    Probe::current("two: external record and wait of the other's event", |f| {
        on_other(f, |f, context| {
            let (stream, event) = (f.stream(), f.event_in(context, 0));
            let one = |wait: bool| {
                f.begin(*stream);
                let code = if wait {
                    f.driver.cuStreamWaitEvent(*stream, *event, EXTERNAL)
                } else {
                    f.driver.cuEventRecordWithFlags(*event, *stream, EXTERNAL)
                };
                let (end, graph) = f.end(*stream);
                let (instantiate, executable) = graph.instantiate();
                Outcome::from([code, end, instantiate, executable.launch(*stream), f.finish(*stream)])
            };
            Outcome::each([false, true], one)
        })
    }),
    Probe::current("two: nodes that record and wait for the other's event", |f| {
        on_other(f, |f, context| {
            let (stream, event) = (f.stream(), f.event_in(context, DISABLE_TIMING));
            let (record, wait) = (f.empty_graph(), f.empty_graph());
            let added = [record_node(f, &record, &[], *event).0, wait_node(f, &wait, &[], *event).0];
            let launch = |graph: &Graph<'_>| {
                let (instantiate, executable) = graph.instantiate();
                Outcome::from([instantiate, executable.launch(*stream), f.finish(*stream)])
            };
            Outcome::from(added).and(launch(&record)).and(f.driver.cuEventQuery(*event)).and(launch(&wait))
        })
    }),
    Probe::current("two: external wait for the other's event, held", |f| {
        on_other(f, |f, context| {
            let (held, event, stream) = (f.stream_in(context, NON_BLOCKING), f.event_in(context, DISABLE_TIMING), f.stream());
            let front = f.stream();
            let executable = f.executable(|stream| f.driver.cuStreamWaitEvent(stream, *event, EXTERNAL));
            let hold = f.hold(*front);
            f.join(*held, *front);
            f.driver.cuEventRecord(*event, *held);
            let launch = executable.launch(*stream);
            Outcome::from(launch).and(hold.query_and_release(*f.recorded(*stream)))
        })
    }),
    Probe::current("two: calls on the other beside a global capture", |f| {
        on_other(f, |f, context| {
            let (origin, other, event) = (f.stream(), f.stream_in(context, NON_BLOCKING), f.event_in(context, 0));
            let calls: [&dyn Fn() -> Code; 4] = [
                &|| f.driver.cuEventQuery(*event),
                &|| f.driver.cuStreamQuery(*other),
                &|| f.within(context, || f.driver.cuCtxSynchronize()),
                &|| f.within(context, || f.driver.cuMemAlloc_v2(Some(&mut 0), 4)),
            ];
            Outcome::each(calls, |call| {
                f.driver.cuStreamBeginCapture_v2(*origin, GLOBAL);
                let code = call();
                Outcome::from(code).and(f.status(*origin)).and(f.end_code(*origin))
            })
        })
    }),
];
