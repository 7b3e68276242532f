//! Captures and graphs with events and memory of a second process.

use super::graph_events::EXTERNAL;
use super::ipc_peers::{both, export, exported_there, opened, opened_memory, words};
use crate::driver::Handle;
use crate::graphs::RELAXED;
use crate::handles::INTERPROCESS;
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::alone("two processes: external record here, seen there", |d| {
        both(d, |f, peer| {
            let (stream, event) = (f.stream(), f.event(INTERPROCESS));
            peer.ask(&format!("open {}", export(f, *event)));
            let executable = f.executable(|stream| f.driver.cuEventRecordWithFlags(*event, stream, EXTERNAL));
            let hold = f.hold(*stream);
            let launch = executable.launch(*stream);
            let held = peer.ask("query 0");
            hold.release();
            Outcome::from([launch, f.finish(*stream)]).and(words([held, peer.ask("synchronize 0"), peer.ask("query 0")]))
        })
    }),
    Probe::alone("two processes: external record of an imported event, seen there", |d| {
        both(d, |f, peer| {
            let (stream, event) = (f.stream(), opened(f, exported_there(peer)));
            f.begin(*stream);
            let record = f.driver.cuEventRecordWithFlags(event, *stream, EXTERNAL);
            let (end, graph) = f.end(*stream);
            let executable = graph.instantiate().1;
            let hold = f.hold(*stream);
            let launch = executable.launch(*stream);
            let held = peer.ask("query 0");
            hold.release();
            Outcome::from([record, end, launch, f.finish(*stream)]).and(words([held, peer.ask("synchronize 0"), peer.ask("query 0")]))
        })
    }),
    Probe::alone("two processes: external wait here for a record there", |d| {
        both(d, |f, peer| {
            let (stream, event) = (f.stream(), opened(f, exported_there(peer)));
            let executable = f.executable(|stream| f.driver.cuStreamWaitEvent(stream, event, EXTERNAL));
            peer.ask("hold");
            peer.ask("record 0");
            let launch = executable.launch(*stream);
            let tail = f.recorded(*stream);
            let held = f.settled_query(*tail);
            peer.ask("release");
            [launch, held, f.ends(*tail)].into()
        })
    }),
    Probe::alone("two processes: an imported event captured, waited for in the capture", |d| {
        both(d, |f, peer| {
            let (stream, event) = (f.stream(), opened(f, exported_there(peer)));
            f.begin(*stream);
            let codes = [f.driver.cuEventRecord(event, *stream), f.driver.cuStreamWaitEvent(*stream, event, 0), f.end_code(*stream)];
            Outcome::from(codes).and(f.driver.cuEventQuery(event)).and(words([peer.ask("query 0")]))
        })
    }),
    Probe::alone("two processes: an exported event captured, query there", |d| {
        both(d, |f, peer| {
            let (stream, event) = (f.stream(), f.event(INTERPROCESS));
            peer.ask(&format!("open {}", export(f, *event)));
            f.begin(*stream);
            let record = f.driver.cuEventRecord(*event, *stream);
            let within = peer.ask("query 0");
            let status = f.status(*stream);
            Outcome::from(record).and(words([within])).and(status).and(f.end_code(*stream)).and(words([peer.ask("query 0")]))
        })
    }),
    Probe::alone("two processes: memory opened and closed beside a capture", |d| {
        both(d, |f, peer| {
            let stream = f.stream();
            peer.ask("memory 7");
            let handle = peer.handle("export-memory 0 0");
            let one = |mode: u32| {
                f.begin(*stream);
                let mut exchange = mode;
                d.cuThreadExchangeStreamCaptureMode(Some(&mut exchange));
                let mut address = 0;
                let open = d.cuIpcOpenMemHandle_v2(Some(&mut address), handle, 1);
                let status = f.status(*stream);
                let close = d.cuIpcCloseMemHandle(address);
                d.cuThreadExchangeStreamCaptureMode(Some(&mut exchange));
                let outcome = Outcome::from(open).and(status).and(close).and(f.status(*stream));
                outcome.and(f.end_code(*stream))
            };
            one(0).and(one(RELAXED))
        })
    }),
    Probe::alone("two processes: opened memory closed beside a capture", |d| {
        both(d, |f, peer| {
            let stream = f.stream();
            peer.ask("memory 7");
            let address = opened_memory(f, peer.handle("export-memory 0 0"));
            f.begin(*stream);
            let close = d.cuIpcCloseMemHandle(address);
            Outcome::from(close).and(f.status(*stream)).and(f.end_code(*stream))
        })
    }),
    Probe::alone("two processes: events opened beside a capture", |d| {
        both(d, |f, peer| {
            let (stream, handle) = (f.stream(), exported_there(peer));
            f.begin(*stream);
            let mut event = Handle::NULL;
            let open = d.cuIpcOpenEventHandle(Some(&mut event), handle);
            let status = f.status(*stream);
            let destroy = d.cuEventDestroy_v2(event);
            Outcome::from(open).and(status).and(destroy).and(f.status(*stream)).and(f.end_code(*stream))
        })
    }),
    Probe::alone("two processes: a graph with a memset of memory there", |d| {
        both(d, |f, peer| {
            let stream = f.stream();
            peer.ask("memory 7");
            let address = opened_memory(f, peer.handle("export-memory 0 0"));
            let executable = f.executable(|stream| d.cuMemsetD32Async(address, 9, 1, stream));
            let launch = [executable.launch(*stream), f.finish(*stream)];
            Outcome::from(launch).and(words([peer.ask("read 0")]))
        })
    }),
];
