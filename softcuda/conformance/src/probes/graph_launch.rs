//! Launches of graphs: where, in which order, and what they wait for.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, NON_BLOCKING, host};
use crate::graphs::Executable;
use crate::handles::DISABLE_TIMING;
use crate::kernels::{Shape, launch};
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("graph launch: three times, a kernel that counts", |f| {
        let (memory, word, stream) = (f.memory(1, 0), f.pinned(1), f.stream());
        let executable = counting(f, memory.address);
        let codes = [executable.launch(*stream), executable.launch(*stream), executable.launch(*stream), f.finish(*stream)];
        Outcome::from(codes).and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("graph launch: on the handles 0, 1, 2", |f| {
        let (memory, word) = (f.memory(1, 0), f.pinned(1));
        let executable = counting(f, memory.address);
        let codes = [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD].map(|stream| executable.launch(stream));
        Outcome::from(codes).and(f.driver.cuCtxSynchronize()).and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("graph launch: on a blocking stream", |f| {
        let stream = f.blocking_stream();
        let executable = f.executable(|_| ());
        [executable.launch(*stream), f.finish(*stream)].into()
    }),
    Probe::current("graph launch: of one captured on a blocking stream, handle 0 is held", |f| {
        let (memory, blocking, stream) = (f.memory(1, 0), f.blocking_stream(), f.stream());
        f.begin(*blocking);
        f.driver.cuMemsetD32Async(memory.address, 7, 1, *blocking);
        let executable = f.end(*blocking).1.instantiate().1;
        let hold = f.hold(Handle::DEFAULT);
        let code = executable.launch(*stream);
        Outcome::from(code).and(hold.query_and_release(*f.recorded(*stream)))
    }),
    Probe::current("graph launch: handle 0 held, launched on a blocking stream", |f| {
        let (memory, stream) = (f.memory(1, 0), f.blocking_stream());
        let executable = counting(f, memory.address);
        let hold = f.hold(Handle::DEFAULT);
        let code = executable.launch(*stream);
        Outcome::from(code).and(hold.query_and_release(*f.recorded(*stream)))
    }),
    Probe::current("graph launch: launched on handle 0, a blocking stream is held", |f| {
        let (memory, held, tail) = (f.memory(1, 0), f.blocking_stream(), f.event(DISABLE_TIMING));
        let executable = counting(f, memory.address);
        let hold = f.hold(*held);
        let code = executable.launch(Handle::DEFAULT);
        f.driver.cuEventRecord(*tail, Handle::DEFAULT);
        Outcome::from(code).and(hold.query_and_release(*tail))
    }),
    Probe::current("graph launch: behind a hold", |f| {
        let (memory, word, stream) = (f.memory(1, 0), f.pinned(1), f.stream());
        let executable = counting(f, memory.address);
        let hold = f.hold(*stream);
        let code = executable.launch(*stream);
        let outcome = Outcome::from(code).and(hold.query_and_release(*f.recorded(*stream)));
        outcome.and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("graph launch: an empty one behind a hold", |f| {
        let stream = f.stream();
        let executable = f.executable(|_| ());
        let hold = f.hold(*stream);
        let code = executable.launch(*stream);
        Outcome::from(code).and(hold.query_and_release(*f.recorded(*stream)))
    }),
    Probe::current("graph launch: what follows waits for all branches", |f| {
        let (stream, other) = (f.stream(), f.stream());
        let mut hold = None;
        let executable = f.executable(|origin| {
            f.join(*other, origin);
            hold = Some(f.hold(*other));
            f.join(origin, *other);
        });
        let code = executable.launch(*stream);
        let tail = f.recorded(*stream);
        Outcome::from(code).and(hold.expect("it was captured").query_and_release(*tail))
    }),
    Probe::current("graph launch: one branch held, the other goes", |f| {
        let (memory, stream, other, external) = (f.memory(1, 0), f.stream(), f.stream(), f.event(DISABLE_TIMING));
        let mut hold = None;
        let executable = f.executable(|origin| {
            f.join(*other, origin);
            hold = Some(f.hold(*other));
            f.driver.cuMemsetD32Async(memory.address, 7, 1, origin);
            f.driver.cuEventRecordWithFlags(*external, origin, 1);
            f.join(origin, *other);
        });
        let code = executable.launch(*stream);
        let outcome = Outcome::from(code).and(f.settled_query(*external));
        hold.expect("it was captured").release();
        outcome.and(f.finish(*stream))
    }),
    Probe::current("graph launch: again on another stream while it is pending", |f| {
        let (memory, held, free) = (f.memory(1, 0), f.stream(), f.stream());
        let executable = counting(f, memory.address);
        let hold = f.hold(*held);
        let codes = [executable.launch(*held), executable.launch(*free)];
        Outcome::from(codes).and(hold.query_and_release(*f.recorded(*free)))
    }),
    Probe::current("graph launch: again on its stream while it is pending", |f| {
        let (memory, word, stream) = (f.memory(1, 0), f.pinned(1), f.stream());
        let executable = counting(f, memory.address);
        let hold = f.hold(*stream);
        let codes = [executable.launch(*stream), executable.launch(*stream)];
        let outcome = Outcome::from(codes).and(hold.query_and_release(*f.recorded(*stream)));
        outcome.and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("graph launch: another executable of the graph, one is pending", |f| {
        let (memory, held, free) = (f.memory(1, 0), f.stream(), f.stream());
        let graph = f.captured(|stream| count(f, memory.address, stream));
        let (first, second) = (graph.instantiate().1, graph.instantiate().1);
        let hold = f.hold(*held);
        let codes = [first.launch(*held), second.launch(*free)];
        Outcome::from(codes).and(hold.query_and_release(*f.recorded(*free)))
    }),
    Probe::current("graph launch: executable destroyed while it is pending", |f| {
        let (memory, word, stream) = (f.memory(1, 0), f.pinned(1), f.stream());
        let executable = counting(f, memory.address).into_handle();
        let hold = f.hold(*stream);
        let launch = f.driver.cuGraphLaunch(executable, *stream);
        let outcome = Outcome::from(launch).and(hold.wait_and_release(move |d| d.cuGraphExecDestroy(executable)));
        outcome.and(f.finish(*stream)).and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("graph launch: executable destroyed while it runs", |f| {
        let (memory, word, stream) = (f.memory(1, 0), f.pinned(1), f.stream());
        let mut hold = None;
        let executable = f.executable(|origin| {
            hold = Some(f.hold(origin));
            count(f, memory.address, origin);
        });
        let launch = executable.launch(*stream);
        let hold = hold.expect("it was captured");
        hold.wait_running();
        let executable = executable.into_handle();
        let outcome = Outcome::from(launch).and(hold.wait_and_release(move |d| d.cuGraphExecDestroy(executable)));
        outcome.and(f.finish(*stream)).and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("graph launch: the graph is destroyed before", |f| {
        let (memory, word, stream) = (f.memory(1, 0), f.pinned(1), f.stream());
        let graph = f.captured(|stream| count(f, memory.address, stream));
        let executable = graph.instantiate().1;
        let codes = [f.driver.cuGraphDestroy(graph.into_handle()), executable.launch(*stream), f.finish(*stream)];
        Outcome::from(codes).and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("graph launch: the stream is destroyed while it is pending", |f| {
        let (memory, word, stream, other) = (f.memory(1, 0), f.pinned(1), f.stream().into_handle(), f.stream());
        let executable = counting(f, memory.address);
        let hold = f.hold(stream);
        let launch = executable.launch(stream);
        let tail = f.recorded(stream);
        let destroy = f.driver.cuStreamDestroy_v2(stream);
        hold.release();
        let end = f.driver.cuEventSynchronize(*tail);
        let again = [executable.launch(*other), f.finish(*other)];
        Outcome::from([launch, destroy, end]).and(again).and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("graph launch: on a stream of a second context", |f| {
        let (second, memory, word) = (f.second_context(), f.memory(1, 0), f.pinned(1));
        let executable = counting(f, memory.address);
        let stream = f.stream_in(second, NON_BLOCKING);
        let codes = [executable.launch(*stream), f.driver.cuStreamSynchronize(*stream)];
        let outcome = Outcome::from(codes).and(f.read(memory.address, &word[0]).to_string());
        drop((stream, executable));
        f.driver.cuCtxDestroy_v2(second);
        outcome
    }),
    Probe::bare("graph launch: no context", |f| {
        let (memory, word, stream) = (f.memory(1, 0), f.pinned(1), f.stream());
        let executable = f.with_primary(|| counting(f, memory.address));
        let codes = [executable.launch(*stream), f.finish(*stream), executable.launch(Handle::DEFAULT)];
        Outcome::from(codes).and(f.with_primary(|| f.read(memory.address, &word[0])).to_string())
    }),
    Probe::alone("graph launch: its context was destroyed", |d| {
        Fixture::alone(d, |f| {
            let (second, stream) = (f.second_context(), f.stream());
            let executable = f.within(second, || f.captured(|_| ()).instantiate().1);
            let destroy = d.cuCtxDestroy_v2(second);
            let executable = executable.into_handle();
            [destroy, d.cuGraphLaunch(executable, *stream), d.cuGraphExecDestroy(executable)].into()
        })
    }),
    Probe::current("graph launch: on a stream that captures, launched, a graph of that", |f| {
        let (memory, word, stream) = (f.memory(1, 0), f.pinned(1), f.stream());
        let child = counting(f, memory.address);
        let graph = f.captured(|stream| {
            child.launch(stream);
            child.launch(stream);
        });
        let shape = graph.shape();
        let executable = graph.instantiate().1;
        drop(child);
        let codes = [executable.launch(*stream), f.finish(*stream)];
        shape.and(codes).and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("graph launch: uploaded, uploaded while it is pending", |f| {
        let (memory, word, stream, free) = (f.memory(1, 0), f.pinned(1), f.stream(), f.stream());
        let executable = counting(f, memory.address);
        let upload = f.driver.cuGraphUpload(*executable, *free);
        let hold = f.hold(*stream);
        let codes = [upload, executable.launch(*stream), f.driver.cuGraphUpload(*executable, *free)];
        let outcome = Outcome::from(codes).and(hold.query_and_release(*f.recorded(*free)));
        outcome.and(f.finish(*stream)).and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("graph launch: upload on the handles 0, 1, 2", |f| {
        let executable = f.executable(|_| ());
        [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD].map(|stream| f.driver.cuGraphUpload(*executable, stream)).into()
    }),
    Probe::current("graph launch: a copy from pageable memory, changed since", |f| {
        let (memory, word, stream, from) = (f.memory(1, 0), f.pinned(1), f.stream(), &crate::fixture::page()[0]);
        from.store(1, Ordering::Release);
        let executable = f.executable(|stream| f.driver.cuMemcpyHtoDAsync_v2(memory.address, host(from), 4, stream));
        from.store(2, Ordering::Release);
        let launch = [executable.launch(*stream), f.finish(*stream)];
        Outcome::from(launch).and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("graph launch: a copy to pageable memory", |f| to_host(f, &crate::fixture::page()[0])),
    Probe::current("graph launch: a copy to pinned memory", |f| to_host(f, &f.pinned(1)[0])),
    Probe::current("graph launch: a copy from pageable memory, changed while it is held", |f| {
        let (memory, word, stream, from) = (f.memory(1, 0), f.pinned(1), f.stream(), &crate::fixture::page()[0]);
        from.store(1, Ordering::Release);
        let executable = f.executable(|stream| f.driver.cuMemcpyHtoDAsync_v2(memory.address, host(from), 4, stream));
        let hold = f.hold(*stream);
        let launch = executable.launch(*stream);
        from.store(2, Ordering::Release);
        hold.release();
        Outcome::from([launch, f.finish(*stream)]).and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::alone("graph launch: a memset of memory that was freed", |d| {
        Fixture::alone(d, |f| {
            let (memory, stream) = (f.memory(1, 0), f.stream());
            let executable = f.executable(|stream| f.driver.cuMemsetD32Async(memory.address, 7, 1, stream));
            drop(memory);
            [executable.launch(*stream), d.cuStreamSynchronize(*stream)].into()
        })
    }),
    Probe::current("graph launch: synchronize of the stream, of the context, wait for it", |f| {
        let calls: [fn(&Driver, Handle) -> Code; 2] = [Driver::cuStreamSynchronize, |d, _| d.cuCtxSynchronize()];
        let one = |call: fn(&Driver, Handle) -> Code| {
            let (stream, executable) = (f.stream(), f.executable(|_| ()));
            let hold = f.hold(*stream);
            executable.launch(*stream);
            let handle = *stream;
            hold.wait_and_release(move |d| call(d, handle))
        };
        Outcome::each(calls, one)
    }),
];

fn to_host(f: &Fixture, to: &'static AtomicU32) -> Outcome {
    let (memory, stream) = (f.memory(1, 7), f.stream());
    let executable = f.executable(|stream| f.driver.cuMemcpyDtoHAsync_v2(host(to), memory.address, 4, stream));
    to.store(1, Ordering::Release);
    let launch = [executable.launch(*stream), f.finish(*stream)];
    Outcome::from(launch).and(to.load(Ordering::Acquire).to_string())
}

/// A kernel that adds one to a word.
fn count(f: &Fixture, address: u64, stream: Handle) -> Code {
    launch(f.driver, f.kernels.count, Shape::ONE_THREAD, stream, &[(&raw const address).cast()])
}

fn counting(f: &Fixture, address: u64) -> Executable<'_> {
    f.executable(|stream| count(f, address, stream))
}
