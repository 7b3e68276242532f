//! Captures: how they begin and end, and what streams answer meanwhile and afterwards.

use std::thread;

use crate::driver::Handle;
use crate::fixture::Fixture;
use crate::graphs::{GLOBAL, RELAXED, THREAD_LOCAL};
use crate::handles::DISABLE_TIMING;
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

const MODES: [u32; 3] = [GLOBAL, THREAD_LOCAL, RELAXED];
const HANDLES: [Handle; 3] = [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD];

pub(super) const PROBES: &[Probe] = &[
    Probe::current("capture: modes 0, 1, 2, 3", |f| {
        Outcome::each([GLOBAL, THREAD_LOCAL, RELAXED, 3], |mode| {
            let stream = f.stream();
            let begin = f.driver.cuStreamBeginCapture_v2(*stream, mode);
            Outcome::from(begin).and(f.status(*stream)).and(f.end_code(*stream)).and(f.status(*stream))
        })
    }),
    Probe::current("capture: empty, instantiated and launched", |f| {
        let stream = f.stream();
        f.begin(*stream);
        let (end, graph) = f.end(*stream);
        let (instantiate, executable) = graph.instantiate();
        Outcome::from(end).and(graph.shape()).and([instantiate, executable.launch(*stream), f.finish(*stream)])
    }),
    Probe::current("capture: begun twice", |f| {
        let stream = f.stream();
        let codes = [f.begin(*stream), f.begin(*stream)];
        Outcome::from(codes).and(f.status(*stream)).and(f.end_code(*stream))
    }),
    Probe::current("capture: ended without begin", |f| {
        let stream = f.stream();
        let (code, graph) = f.end(*stream);
        Outcome::from(code).and(verdict(*graph == Handle::NULL, "null")).and(f.status(*stream))
    }),
    Probe::current("capture: ended twice", |f| {
        let stream = f.stream();
        f.begin(*stream);
        [f.end_code(*stream), f.end_code(*stream)].into()
    }),
    Probe::current("capture: begun again after the end", |f| {
        let stream = f.stream();
        [f.begin(*stream), f.end_code(*stream), f.begin(*stream), f.end_code(*stream)].into()
    }),
    Probe::current("capture: begun on the handles 0, 1, 2", |f| {
        Outcome::each(HANDLES, |stream| {
            let begin = f.begin(stream);
            Outcome::from(begin).and(f.status(stream)).and(f.end_code(stream))
        })
    }),
    Probe::current("capture: begun on the handles 0, 1, relaxed", |f| {
        [Handle::DEFAULT, Handle::LEGACY].map(|stream| f.driver.cuStreamBeginCapture_v2(stream, RELAXED)).into()
    }),
    Probe::current("capture: status of the handles 0, 1, 2", |f| Outcome::each(HANDLES, |stream| f.status(stream))),
    Probe::current("capture: status of the handles, a blocking stream captures", |f| {
        let stream = f.blocking_stream();
        f.begin(*stream);
        let outcome = Outcome::each(HANDLES, |stream| f.status(stream)).and(f.status(*f.blocking_stream())).and(f.status(*stream));
        outcome.and(f.end_code(*stream)).and(f.status(Handle::DEFAULT))
    }),
    Probe::current("capture: status of the handles, a non-blocking stream captures", |f| {
        let stream = f.stream();
        f.begin(*stream);
        Outcome::each(HANDLES, |stream| f.status(stream)).and(f.end_code(*stream))
    }),
    Probe::current("capture: status of handle 0, a blocking stream has joined", |f| {
        let (origin, joined) = (f.stream(), f.blocking_stream());
        f.begin(*origin);
        let outcome = Outcome::from(f.join(*joined, *origin)).and(f.status(Handle::DEFAULT));
        outcome.and(f.join(*origin, *joined)).and(f.end_code(*origin))
    }),
    Probe::current("capture: status of handle 0 by mode, blocking streams", |f| {
        Outcome::each(MODES, |mode| {
            let stream = f.blocking_stream();
            f.driver.cuStreamBeginCapture_v2(*stream, mode);
            f.status(Handle::DEFAULT).and(f.end_code(*stream))
        })
    }),
    Probe::current("capture: status into nothing, of nothing that captures", |f| {
        let stream = f.stream();
        let idle = f.driver.cuStreamIsCapturing(*stream, None);
        f.begin(*stream);
        let codes = [idle, f.driver.cuStreamIsCapturing(*stream, None)];
        Outcome::from(codes).and(f.status(*stream)).and(f.end_code(*stream))
    }),
    Probe::alone("null out parameter: cuStreamEndCapture", |d| {
        Fixture::alone(d, |f| {
            let stream = f.stream();
            f.begin(*stream);
            let code = d.cuStreamEndCapture(*stream, None);
            Outcome::from(code).and(f.status(*stream)).and(f.end_code(*stream))
        })
    }),
    Probe::current("capture: nothing runs before a launch", |f| {
        let (memory, word, stream) = (f.memory(1, 1), f.pinned(1), f.stream());
        f.begin(*stream);
        let captured = f.driver.cuMemsetD32Async(memory.address, 7, 1, *stream);
        let (end, graph) = f.end(*stream);
        f.finish(*stream);
        let before = f.read(memory.address, &word[0]);
        let (_, executable) = graph.instantiate();
        let codes = [captured, end, executable.launch(*stream), f.finish(*stream)];
        Outcome::from(codes).and(format!("{before}, {}", f.read(memory.address, &word[0])))
    }),
    Probe::current("capture: of a held stream", |f| {
        let (memory, stream) = (f.memory(1, 1), f.stream());
        let hold = f.hold(*stream);
        let begin = f.begin(*stream);
        let work = f.driver.cuMemsetD32Async(memory.address, 7, 1, *stream);
        let (end, graph) = f.end(*stream);
        let tail = f.recorded(*stream);
        Outcome::from([begin, work, end]).and(graph.shape()).and(hold.query_and_release(*tail))
    }),
    Probe::current("capture: what was on the stream is not waited for by its graph", |f| {
        let (stream, other) = (f.stream(), f.stream());
        let hold = f.hold(*stream);
        f.begin(*stream);
        let (_, graph) = f.end(*stream);
        let launch = graph.instantiate().1.launch(*other);
        Outcome::from(launch).and(hold.query_and_release(*f.recorded(*other)))
    }),
    Probe::current("capture: two at once on one thread", |f| {
        let (first, second, memory) = (f.stream(), f.stream(), f.memory(1, 1));
        let codes = [f.begin(*first), f.begin(*second), f.driver.cuMemsetD32Async(memory.address, 7, 1, *first)];
        let (one, two) = (f.end(*first), f.end(*second));
        Outcome::from(codes).and([one.0, two.0]).and(one.1.shape()).and(two.1.shape())
    }),
    Probe::current("capture: ended on another thread, by mode", |f| {
        Outcome::each(MODES, |mode| {
            let stream = f.stream();
            f.driver.cuStreamBeginCapture_v2(*stream, mode);
            let handle = *stream;
            let there = elsewhere(f, move |f| f.end_code(handle));
            Outcome::from(there).and(f.status(*stream)).and(f.end_code(*stream))
        })
    }),
    Probe::current("capture: ended on another thread that is relaxed", |f| {
        let stream = f.stream();
        f.begin(*stream);
        let handle = *stream;
        let there = elsewhere(f, move |f| {
            f.driver.cuThreadExchangeStreamCaptureMode(Some(&mut { RELAXED }));
            f.end_code(handle)
        });
        Outcome::from(there).and(f.status(*stream)).and(f.end_code(*stream))
    }),
    Probe::current("capture: work and a fork of another thread", |f| {
        Outcome::each(MODES, |mode| {
            let (stream, joined, memory) = (f.stream(), f.stream(), f.memory(1, 1));
            f.driver.cuStreamBeginCapture_v2(*stream, mode);
            let (origin, other, address) = (*stream, *joined, memory.address);
            let there = elsewhere(f, move |f| {
                let work = f.driver.cuMemsetD32Async(address, 7, 1, origin);
                Outcome::from(work).and(f.join(other, origin)).and(f.join(origin, other))
            });
            there.and(f.status(*stream)).and(f.end_code(*stream))
        })
    }),
    Probe::alone("capture: its thread has ended, by mode", |d| {
        Fixture::alone(d, |f| {
            Outcome::each(MODES, |mode| {
                let stream = f.stream();
                let handle = *stream;
                let begin = elsewhere(f, move |f| f.driver.cuStreamBeginCapture_v2(handle, mode));
                let status = f.status(handle);
                let query = d.cuEventQuery(*f.event(DISABLE_TIMING));
                Outcome::from(begin).and(status).and(query).and(f.end_code(handle)).and(f.status(handle))
            })
        })
    }),
    Probe::current("capture: invalidated, then ended, used, captured again", |f| {
        let (stream, memory) = (f.stream(), f.memory(1, 1));
        f.begin(*stream);
        let kill = f.driver.cuStreamQuery(*stream);
        let status = f.status(*stream);
        let (end, graph) = f.end(*stream);
        let outcome = Outcome::from(kill).and(status).and(end).and(graph.shape()).and(f.status(*stream));
        let after = [f.driver.cuMemsetD32Async(memory.address, 7, 1, *stream), f.driver.cuStreamSynchronize(*stream)];
        outcome.and(after).and([f.begin(*stream), f.end_code(*stream)])
    }),
    Probe::current("capture: invalidated, then memset, record, wait, kernel, begin, fork", |f| {
        let (stream, other, memory, event) = (f.stream(), f.stream(), f.memory(1, 1), f.event(DISABLE_TIMING));
        f.begin(*stream);
        f.driver.cuEventRecord(*event, *stream);
        f.driver.cuStreamQuery(*stream);
        let outcome = Outcome::from([
            f.driver.cuMemsetD32Async(memory.address, 7, 1, *stream),
            f.driver.cuEventRecord(*f.event(DISABLE_TIMING), *stream),
            f.driver.cuStreamWaitEvent(*stream, *event, 0),
            f.kernels.fill(f.driver, memory.address, 7, *stream),
            f.begin(*stream),
            f.driver.cuStreamWaitEvent(*other, *event, 0),
            f.driver.cuStreamQuery(*stream),
            f.driver.cuStreamSynchronize(*stream),
            f.driver.cuEventQuery(*event),
        ]);
        outcome.and(f.status(*other)).and(f.end_code(*stream))
    }),
    Probe::current("capture: invalidated by another stream's query, who answers what", |f| {
        let (stream, joined, other) = (f.stream(), f.stream(), f.stream());
        f.begin(*stream);
        f.join(*joined, *stream);
        let kill = f.driver.cuStreamQuery(*other);
        let outcome = Outcome::from(kill).and(f.status(*stream)).and(f.status(*joined)).and(f.status(*other));
        let again = [f.driver.cuStreamQuery(*other), f.driver.cuEventQuery(*f.event(0)), f.driver.cuCtxSynchronize()];
        outcome.and(again).and(f.end_code(*stream)).and(f.status(*joined)).and(f.driver.cuStreamQuery(*joined))
    }),
    Probe::current("capture: two on one thread, one call against both", |f| {
        let (first, second) = (f.stream(), f.stream());
        f.begin(*first);
        f.begin(*second);
        let kill = f.driver.cuEventQuery(*f.event(0));
        let outcome = Outcome::from(kill).and(f.status(*first)).and(f.status(*second));
        outcome.and([f.end_code(*first), f.end_code(*second)])
    }),
    Probe::current("capture: refused arguments, does it live on", |f| {
        Outcome::each([0, 1, 2, 3, 4], |which| {
            let (stream, event) = (f.stream(), f.event(0));
            f.begin(*stream);
            let code = match which {
                0 => f.driver.cuEventRecord(Handle::NULL, *stream),
                1 => f.driver.cuStreamWaitEvent(*stream, Handle::NULL, 0),
                2 => f.driver.cuMemsetD32Async(0, 7, 1, *stream),
                3 => f.driver.cuLaunchHostFunc(*stream, None, std::ptr::null_mut()),
                _ => f.driver.cuEventRecordWithFlags(*event, *stream, 2),
            };
            Outcome::from(code).and(f.status(*stream)).and(f.end_code(*stream))
        })
    }),
];

/// What `call` answers on another thread, with the primary context current.
fn elsewhere<T: Send>(f: &Fixture, call: impl FnOnce(&Fixture) -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(|| f.with_primary(|| call(f))).join()).expect("a call of another thread")
}
