//! The legacy stream (handles 0 and 1): a barrier between blocking streams.

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, address};
use crate::handles::DISABLE_TIMING;
use crate::host_function::enqueue;
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("legacy: work on 0, a blocking stream held", |f| after(f, *f.blocking_stream(), Handle::DEFAULT)),
    Probe::current("legacy: work on 1, a blocking stream held", |f| after(f, *f.blocking_stream(), Handle::LEGACY)),
    Probe::current("legacy: work on 0, a non-blocking stream held", |f| after(f, *f.stream(), Handle::DEFAULT)),
    Probe::current("legacy: work on 0, the per-thread stream held", |f| after(f, Handle::PER_THREAD, Handle::DEFAULT)),
    Probe::current("legacy: work on a blocking stream, 0 held", |f| after(f, Handle::DEFAULT, *f.blocking_stream())),
    Probe::current("legacy: work on a blocking stream, 1 held", |f| after(f, Handle::LEGACY, *f.blocking_stream())),
    Probe::current("legacy: work on a non-blocking stream, 0 held", |f| after(f, Handle::DEFAULT, *f.stream())),
    Probe::current("legacy: work on the per-thread stream, 0 held", |f| after(f, Handle::DEFAULT, Handle::PER_THREAD)),
    Probe::current("legacy: work on 1, 0 held", |f| after(f, Handle::DEFAULT, Handle::LEGACY)),
    Probe::current("legacy: work on a blocking stream, another held", |f| after(f, *f.blocking_stream(), *f.blocking_stream())),
    Probe::current("legacy: work on a blocking stream, the per-thread one held", |f| after(f, Handle::PER_THREAD, *f.blocking_stream())),
    Probe::current("legacy barrier: nothing on 0", |f| between(f, |_| Code::SUCCESS)),
    Probe::current("legacy barrier: a record on 0", |f| {
        let event = f.event(DISABLE_TIMING);
        between(f, |f| f.driver.cuEventRecord(*event, Handle::DEFAULT))
    }),
    Probe::current("legacy barrier: a memset on 0", |f| {
        let memory = f.memory(1, 0);
        between(f, |f| f.driver.cuMemsetD8Async(memory.address, 1, 4, Handle::DEFAULT))
    }),
    Probe::current("legacy barrier: a kernel on 0", |f| {
        let memory = f.memory(1, 0);
        between(f, |f| f.kernels.fill(f.driver, memory.address, 1, Handle::DEFAULT))
    }),
    Probe::current("legacy barrier: a wait on 0 for a complete event", |f| {
        let event = f.complete(DISABLE_TIMING);
        between(f, |f| f.driver.cuStreamWaitEvent(Handle::DEFAULT, *event, 0))
    }),
    Probe::current("legacy barrier: a wait on 0 for a never recorded event", |f| {
        let event = f.event(DISABLE_TIMING);
        between(f, |f| f.driver.cuStreamWaitEvent(Handle::DEFAULT, *event, 0))
    }),
    Probe::current("legacy barrier: a wait on 1 for a complete event", |f| {
        let event = f.complete(DISABLE_TIMING);
        between(f, |f| f.driver.cuStreamWaitEvent(Handle::LEGACY, *event, 0))
    }),
    Probe::current("legacy barrier: a wait on 0 for an event of a held free stream", |f| {
        let stream = f.stream();
        let event = f.recorded(*stream);
        f.driver.cuStreamSynchronize(*stream);
        let (hold, blocking) = (f.hold(*stream), f.blocking_stream());
        f.driver.cuEventRecord(*event, *stream);
        let code = f.driver.cuStreamWaitEvent(Handle::DEFAULT, *event, 0);
        Outcome::from(code).and(hold.query_and_release(*f.recorded(*blocking)))
    }),
    Probe::current("legacy barrier: a value written on 0", |f| {
        let word = address(&f.pinned(1)[0]);
        between(f, |f| f.driver.cuStreamWriteValue32_v2(Handle::DEFAULT, word, 1, 0))
    }),
    Probe::current("legacy barrier: a value waited for on 0", |f| {
        let word = address(&f.pinned(1)[0]);
        between(f, |f| f.driver.cuStreamWaitValue32_v2(Handle::DEFAULT, word, 0, 1))
    }),
    Probe::current("legacy barrier: a host function on 0", |f| between(f, |f| enqueue(f.driver, Handle::DEFAULT, || ()))),
    Probe::current("legacy barrier: a copy of 0 bytes on 0", |f| {
        let memory = f.memory(1, 0);
        between(f, |f| f.driver.cuMemcpyDtoDAsync_v2(memory.address, memory.address, 0, Handle::DEFAULT))
    }),
    Probe::current("legacy barrier: memory allocated and freed on 0", |f| {
        between(f, |f| {
            let mut address = 0;
            f.driver.cuMemAllocAsync(Some(&mut address), 4, Handle::DEFAULT);
            f.driver.cuMemFreeAsync(address, Handle::DEFAULT)
        })
    }),
    Probe::current("legacy barrier: a wait on 2 for a complete event", |f| {
        let event = f.complete(DISABLE_TIMING);
        between(f, |f| f.driver.cuStreamWaitEvent(Handle::PER_THREAD, *event, 0))
    }),
    Probe::current("legacy barrier: a query of 0", |f| between(f, |f| f.driver.cuStreamQuery(Handle::DEFAULT))),
    Probe::current("legacy: query of 0, a blocking stream held", |f| query(f, *f.blocking_stream())),
    Probe::current("legacy: query of 0, a non-blocking stream held", |f| query(f, *f.stream())),
    Probe::current("legacy: query of 0, itself held", |f| query(f, Handle::DEFAULT)),
    Probe::current("legacy: synchronize 0, a blocking stream held", |f| synchronize(f, *f.blocking_stream())),
    Probe::current("legacy: synchronize 0, a non-blocking stream held", |f| synchronize(f, *f.stream())),
    Probe::current("legacy: synchronize 2, 0 held", |f| {
        let hold = f.hold(Handle::DEFAULT);
        hold.wait_and_release(|d| d.cuStreamSynchronize(Handle::PER_THREAD))
    }),
    Probe::current("legacy: query of a blocking stream, 0 held", |f| {
        let stream = f.blocking_stream();
        let _hold = f.hold(Handle::DEFAULT);
        f.driver.cuStreamQuery(*stream).into()
    }),
    Probe::current("legacy: 0 of this context held, a second context's blocking stream", |f| {
        let context = f.second_context();
        let outcome = {
            let (stream, tail) = (f.stream_in(context, 0), f.event_in(context, DISABLE_TIMING));
            let hold = f.hold(Handle::DEFAULT);
            f.driver.cuEventRecord(*tail, *stream);
            hold.query_and_release(*tail)
        };
        f.driver.cuCtxDestroy_v2(context);
        outcome
    }),
    Probe::current("legacy: synchronize a blocking stream, 0 held", |f| {
        let stream = f.blocking_stream();
        let hold = f.hold(Handle::DEFAULT);
        hold.wait_and_release(|d| d.cuStreamSynchronize(*stream))
    }),
];

/// Is work on `free` held while `busy` is?
fn after(f: &Fixture, busy: Handle, free: Handle) -> Outcome {
    let hold = f.hold(busy);
    hold.query_and_release(*f.recorded(free))
}

/// Is work on one blocking stream held by another, with `call` between them?
fn between(f: &Fixture, call: impl FnOnce(&Fixture) -> Code) -> Outcome {
    let (busy, free) = (f.blocking_stream(), f.blocking_stream());
    let hold = f.hold(*busy);
    let code = call(f);
    Outcome::from(code).and(hold.query_and_release(*f.recorded(*free)))
}

fn query(f: &Fixture, busy: Handle) -> Outcome {
    let _hold = f.hold(busy);
    f.driver.cuStreamQuery(Handle::DEFAULT).into()
}

fn synchronize(f: &Fixture, busy: Handle) -> Outcome {
    let hold = f.hold(busy);
    hold.wait_and_release(|d| d.cuStreamSynchronize(Handle::DEFAULT))
}
