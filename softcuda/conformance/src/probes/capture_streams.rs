//! Streams that join a capture, streams that are destroyed in one, and those of other contexts.

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::handles::DISABLE_TIMING;
use crate::outcome::Outcome;
use crate::probe::Probe;

const HANDLES: [Handle; 3] = [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD];

pub(super) const PROBES: &[Probe] = &[
    Probe::current("capture: forked and joined", |f| {
        let (origin, joined, memory) = (f.stream(), f.stream(), f.memory(1, 1));
        f.begin(*origin);
        let fork = f.join(*joined, *origin);
        let status = f.status(*joined);
        f.driver.cuMemsetD32Async(memory.address, 7, 1, *joined);
        let join = f.join(*origin, *joined);
        let joined_again = f.status(*joined);
        let (end, graph) = f.end(*origin);
        Outcome::from(fork).and(status).and(join).and(joined_again).and(end).and(f.status(*joined)).and(graph.shape())
    }),
    Probe::current("capture: ended on the stream that joined, then on the origin", |f| {
        let (origin, joined) = (f.stream(), f.stream());
        f.begin(*origin);
        f.join(*joined, *origin);
        let wrong = f.end_code(*joined);
        let between = f.status(*origin).and(f.status(*joined));
        let outcome = Outcome::from(wrong).and(between).and(f.end_code(*origin));
        outcome.and(f.status(*origin)).and(f.status(*joined))
    }),
    Probe::current("capture: begun on the stream that joined", |f| {
        let (origin, joined) = (f.stream(), f.stream());
        f.begin(*origin);
        f.join(*joined, *origin);
        let begin = f.begin(*joined);
        let status = f.status(*origin);
        f.join(*origin, *joined);
        Outcome::from(begin).and(status).and(f.end_code(*origin))
    }),
    Probe::current("capture: unjoined, empty", |f| unjoined(f, |_, _| Code::SUCCESS)),
    Probe::current("capture: unjoined, with a memset", |f| {
        let memory = f.memory(1, 1);
        unjoined(f, |f, joined| f.driver.cuMemsetD32Async(memory.address, 7, 1, joined))
    }),
    Probe::current("capture: unjoined, memset behind the join", |f| {
        let (origin, joined, memory) = (f.stream(), f.stream(), f.memory(1, 1));
        f.begin(*origin);
        f.join(*joined, *origin);
        f.join(*origin, *joined);
        let behind = f.driver.cuMemsetD32Async(memory.address, 7, 1, *joined);
        let (end, graph) = f.end(*origin);
        Outcome::from([behind, end]).and(graph.shape()).and(f.status(*origin)).and(f.status(*joined))
    }),
    Probe::current("capture: unjoined, a record behind the join", |f| {
        let (origin, joined) = (f.stream(), f.stream());
        f.begin(*origin);
        f.join(*joined, *origin);
        f.join(*origin, *joined);
        let behind = f.recorded(*joined);
        let (end, graph) = f.end(*origin);
        Outcome::from(end).and(graph.shape()).and(f.status(*joined)).and(f.driver.cuEventQuery(*behind))
    }),
    Probe::current("capture: unjoined, joined by another stream that joins", |f| {
        let (origin, first, second, memory) = (f.stream(), f.stream(), f.stream(), f.memory(1, 1));
        f.begin(*origin);
        f.join(*first, *origin);
        f.driver.cuMemsetD32Async(memory.address, 7, 1, *first);
        f.join(*second, *first);
        f.join(*origin, *second);
        let (end, graph) = f.end(*origin);
        Outcome::from(end).and(graph.shape())
    }),
    Probe::current("capture: unjoined, begun again on both", |f| {
        let (origin, joined) = (f.stream(), f.stream());
        f.begin(*origin);
        f.join(*joined, *origin);
        let codes = [f.end_code(*origin), f.begin(*origin), f.begin(*joined), f.end_code(*joined), f.end_code(*origin)];
        codes.into()
    }),
    Probe::current("capture: the stream that joined is destroyed", |f| {
        let (origin, joined, memory) = (f.stream(), f.stream().into_handle(), f.memory(1, 1));
        f.begin(*origin);
        f.join(joined, *origin);
        f.driver.cuMemsetD32Async(memory.address, 7, 1, joined);
        let destroy = f.driver.cuStreamDestroy_v2(joined);
        let status = f.status(*origin);
        let (end, graph) = f.end(*origin);
        Outcome::from(destroy).and(status).and(end).and(graph.shape()).and(f.status(*origin))
    }),
    Probe::current("capture: the stream that joined is destroyed, joined before", |f| {
        let (origin, joined) = (f.stream(), f.stream().into_handle());
        f.begin(*origin);
        f.join(joined, *origin);
        f.join(*origin, joined);
        let destroy = f.driver.cuStreamDestroy_v2(joined);
        Outcome::from(destroy).and(f.status(*origin)).and(f.end_code(*origin))
    }),
    Probe::alone("capture: the origin is destroyed", |d| {
        Fixture::alone(d, |f| {
            let (origin, other) = (f.stream().into_handle(), f.stream());
            let codes = [f.begin(origin), d.cuStreamDestroy_v2(origin)];
            Outcome::from(codes).and([d.cuStreamQuery(*other), d.cuCtxSynchronize(), f.begin(*other), f.end_code(*other)])
        })
    }),
    Probe::alone("capture: the origin is destroyed, another stream has joined", |d| {
        Fixture::alone(d, |f| {
            let (origin, joined) = (f.stream().into_handle(), f.stream());
            f.begin(origin);
            f.join(*joined, origin);
            let destroy = d.cuStreamDestroy_v2(origin);
            let status = f.status(*joined);
            let codes = [f.end_code(*joined), d.cuStreamQuery(*joined), f.begin(*joined), f.end_code(*joined)];
            Outcome::from(destroy).and(status).and(codes)
        })
    }),
    Probe::alone("capture: the origin is destroyed, then ended", |d| {
        Fixture::alone(d, |f| {
            let origin = f.stream().into_handle();
            f.begin(origin);
            d.cuStreamDestroy_v2(origin);
            f.end_code(origin).into()
        })
    }),
    Probe::current("capture: an event of a second context recorded, does it live on", |f| {
        let (second, stream) = (f.second_context(), f.stream());
        let event = f.event_in(second, 0);
        f.begin(*stream);
        let record = f.driver.cuEventRecord(*event, *stream);
        let outcome = Outcome::from(record).and(f.status(*stream)).and(f.end_code(*stream));
        drop(event);
        f.driver.cuCtxDestroy_v2(second);
        outcome
    }),
    Probe::current("capture: a stream of a second context joins", |f| {
        let (second, origin, memory) = (f.second_context(), f.stream(), f.memory(1, 1));
        let joined = f.stream_in(second, NON_BLOCKING);
        let back = f.event_in(second, DISABLE_TIMING);
        f.begin(*origin);
        let fork = f.join(*joined, *origin);
        let work = f.driver.cuMemsetD32Async(memory.address, 7, 1, *joined);
        let join = [f.driver.cuEventRecord(*back, *joined), f.driver.cuStreamWaitEvent(*origin, *back, 0)];
        let (end, graph) = f.end(*origin);
        let (instantiate, executable) = graph.instantiate();
        let codes = [instantiate, executable.launch(*origin), f.finish(*origin)];
        let outcome = Outcome::from(fork).and(work).and(join).and(end).and(graph.shape()).and(codes);
        drop((joined, back, executable, graph));
        f.driver.cuCtxDestroy_v2(second);
        outcome
    }),
    Probe::bare("capture: no context, begin, status, end, instantiate, launch", |f| {
        let stream = f.stream();
        let begin = f.begin(*stream);
        let status = f.status(*stream);
        let (end, graph) = f.end(*stream);
        let (refused, _) = graph.instantiate();
        let (instantiate, executable) = f.with_primary(|| graph.instantiate());
        let codes = [refused, instantiate, executable.launch(*stream), f.finish(*stream)];
        Outcome::from(begin).and(status).and(end).and(graph.shape()).and(codes)
    }),
    Probe::bare("capture: no context, begin on the handles 0, 1, 2", |f| HANDLES.map(|stream| f.begin(stream)).into()),
    Probe::bare("capture: no context, status of the handles 0, 1, 2", |f| Outcome::each(HANDLES, |stream| f.status(stream))),
    Probe::current("capture: begun while another context is current", |f| {
        let (second, stream) = (f.second_context(), f.stream());
        let outcome = f.within(second, || {
            let begin = f.begin(*stream);
            let (end, graph) = f.end(*stream);
            let (instantiate, executable) = graph.instantiate();
            Outcome::from([begin, end, instantiate, executable.launch(*stream)])
        });
        let outcome = outcome.and(f.finish(*stream));
        f.driver.cuCtxDestroy_v2(second);
        outcome
    }),
    Probe::current("capture: of a green stream, which a primary one joins", |f| {
        let (green, joined, memory) = (f.green(), f.stream(), f.memory(1, 0));
        let origin = green.stream();
        let begin = f.begin(origin);
        let fork = f.join(*joined, origin);
        f.driver.cuMemsetD32Async(memory.address, 7, 1, *joined);
        let join = f.join(origin, *joined);
        let (end, graph) = f.end(origin);
        let (instantiate, executable) = graph.instantiate();
        let launch = [instantiate, executable.launch(origin), f.finish(origin), executable.launch(*joined), f.finish(*joined)];
        f.driver.cuStreamDestroy_v2(origin);
        Outcome::from(begin).and(fork).and(join).and(end).and(graph.shape()).and(launch)
    }),
    Probe::current("capture: of handle 2, ended as handle 2 of another thread", |f| {
        let begin = f.begin(Handle::PER_THREAD);
        let there = std::thread::scope(|scope| scope.spawn(|| f.with_primary(|| f.end_code(Handle::PER_THREAD))).join());
        Outcome::from([begin, there.expect("a code")]).and(f.end_code(Handle::PER_THREAD))
    }),
    Probe::alone("capture: its context is destroyed", |d| {
        Fixture::alone(d, |f| {
            let second = f.second_context();
            let (stream, other) = (f.stream_in(second, NON_BLOCKING).into_handle(), f.stream());
            let begin = f.begin(stream);
            Outcome::from([begin, d.cuCtxDestroy_v2(second), d.cuStreamQuery(*other), f.begin(*other), f.end_code(*other)])
        })
    }),
];

/// A capture whose end finds a stream that has joined and was not joined back: the end, the states of
/// both streams, what they answer to a record and a wait of the host.
fn unjoined(f: &Fixture, work: impl FnOnce(&Fixture, Handle) -> Code) -> Outcome {
    let (origin, joined) = (f.stream(), f.stream());
    f.begin(*origin);
    f.join(*joined, *origin);
    let work = work(f, *joined);
    let (end, graph) = f.end(*origin);
    let outcome = Outcome::from([work, end]).and(graph.shape()).and(f.status(*origin)).and(f.status(*joined));
    let usable = |stream: Handle| [f.driver.cuEventRecord(*f.event(0), stream), f.driver.cuStreamSynchronize(stream)];
    outcome.and(usable(*origin)).and(usable(*joined)).and([f.end_code(*joined), f.end_code(*origin)])
}
