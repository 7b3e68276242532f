//! Streams: flags, priorities, identity, destruction, independence.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("stream: create with flags 0", |f| create(f, 0)),
    Probe::current("stream: create with flags 1", |f| create(f, 1)),
    Probe::current("stream: create with flags 2", |f| create(f, 2)),
    Probe::current("stream: create with flags 3", |f| create(f, 3)),
    Probe::current("stream: create with flags 128", |f| create(f, 128)),
    Probe::current("null out parameter: cuStreamCreate", |f| f.driver.cuStreamCreate(None, 0).into()),
    Probe::current("null out parameter: cuStreamCreateWithPriority", |f| f.driver.cuStreamCreateWithPriority(None, 0, 0).into()),
    Probe::current("null out parameter: cuStreamGetId", |f| f.driver.cuStreamGetId(*f.stream(), None).into()),
    Probe::current("null out parameter: cuStreamGetCtx", |f| f.driver.cuStreamGetCtx(*f.stream(), None).into()),
    Probe::current("null out parameter: cuStreamGetFlags", |f| f.driver.cuStreamGetFlags(*f.stream(), None).into()),
    Probe::current("null out parameter: cuStreamGetPriority", |f| f.driver.cuStreamGetPriority(*f.stream(), None).into()),
    Probe::current("null out parameter: cuStreamGetDevice", |f| f.driver.cuStreamGetDevice(*f.stream(), None).into()),
    Probe::current("null out parameter: cuStreamIsCapturing", |f| f.driver.cuStreamIsCapturing(*f.stream(), None).into()),
    Probe::current("stream: priority -100", |f| priority(f, -100)),
    Probe::current("stream: priority -6", |f| priority(f, -6)),
    Probe::current("stream: priority -5", |f| priority(f, -5)),
    Probe::current("stream: priority -1", |f| priority(f, -1)),
    Probe::current("stream: priority 0", |f| priority(f, 0)),
    Probe::current("stream: priority 1", |f| priority(f, 1)),
    Probe::current("stream: priority 100", |f| priority(f, 100)),
    Probe::current("stream: bad flags with a priority", |f| f.driver.cuStreamCreateWithPriority(Some(&mut Handle(0)), 2, 0).into()),
    Probe::current("stream: priority of the handles 0, 1, 2", |f| {
        defaults(|stream| {
            let mut priority = 9;
            Outcome::from(f.driver.cuStreamGetPriority(stream, Some(&mut priority))).and(priority.to_string())
        })
    }),
    Probe::current("stream: flags read back", |f| flags(f.driver, *f.blocking_stream()).and(flags(f.driver, *f.stream()))),
    Probe::current("stream: flags of the handles 0, 1, 2", |f| defaults(|stream| flags(f.driver, stream))),
    Probe::current("stream: context", |f| context(f.driver, *f.stream(), f.primary)),
    Probe::current("stream: context of the handles 0, 1, 2", |f| defaults(|stream| context(f.driver, stream, f.primary))),
    Probe::current("stream: context of a second context's stream", |f| {
        let second = f.second_context();
        let outcome = context(f.driver, *f.stream_in(second, NON_BLOCKING), second);
        f.driver.cuCtxDestroy_v2(second);
        outcome
    }),
    Probe::current("stream: device", |f| device(f.driver, *f.stream())),
    Probe::current("stream: device of the handles 0, 1, 2", |f| defaults(|stream| device(f.driver, stream))),
    Probe::current("stream: capturing", |f| capturing(f.driver, *f.stream())),
    Probe::current("stream: capturing, the handles 0, 1, 2", |f| defaults(|stream| capturing(f.driver, stream))),
    Probe::current("stream id: of the handles 0 and 1", |f| {
        let ids = [id(f.driver, Handle::DEFAULT), id(f.driver, Handle::LEGACY)];
        verdict(ids[0] == ids[1], "equal")
    }),
    Probe::current("stream id: of the handles 0 and 2", |f| {
        verdict(id(f.driver, Handle::DEFAULT) == id(f.driver, Handle::PER_THREAD), "equal")
    }),
    Probe::current("stream id: of the handle 2, twice", |f| {
        verdict(id(f.driver, Handle::PER_THREAD) == id(f.driver, Handle::PER_THREAD), "equal")
    }),
    Probe::current("stream id: of the handle 2 on two threads", |f| {
        verdict(elsewhere(f, Handle::PER_THREAD) == Some(id(f.driver, Handle::PER_THREAD)), "equal")
    }),
    Probe::current("stream id: of the handle 0 on two threads", |f| {
        verdict(elsewhere(f, Handle::DEFAULT) == Some(id(f.driver, Handle::DEFAULT)), "equal")
    }),
    Probe::current("stream id: of 20 created and destroyed in turn", |f| {
        let ids = [(); 20].map(|()| id(f.driver, *f.stream()));
        verdict(ids.is_sorted_by(|a, b| a < b), "growing")
    }),
    Probe::current("stream id: of 20, each while the destroyed one before is busy", |f| {
        let (mut ids, mut before) = (Vec::new(), None);
        for _ in 0..20 {
            let stream = f.stream();
            ids.push(id(f.driver, *stream));
            // The hold before this one ends here, when the new stream exists.
            before = Some(f.hold(*stream));
            f.driver.cuStreamDestroy_v2(stream.into_handle());
        }
        drop(before);
        verdict(ids.is_sorted_by(|a, b| a < b), "growing")
    }),
    Probe::current("stream: handle of the busy one destroyed before, of 20", |f| {
        let (mut again, mut last, mut before) = (0, Handle::NULL, None);
        for _ in 0..21 {
            let stream = f.stream();
            again += u32::from(*stream == last);
            last = *stream;
            before = Some(f.hold(*stream));
            f.driver.cuStreamDestroy_v2(stream.into_handle());
        }
        drop(before);
        again.to_string().into()
    }),
    Probe::current("stream: query when idle", |f| f.driver.cuStreamQuery(*f.stream()).into()),
    Probe::current("stream: synchronize when idle", |f| f.driver.cuStreamSynchronize(*f.stream()).into()),
    Probe::current("stream, held: query", |f| {
        let stream = f.stream();
        let _hold = f.hold(*stream);
        f.driver.cuStreamQuery(*stream).into()
    }),
    Probe::current("stream, held: query of a free one", |f| {
        let (held, free) = (f.stream(), f.stream());
        let _hold = f.hold(*held);
        f.driver.cuStreamQuery(*free).into()
    }),
    Probe::current("stream, held: synchronize", |f| {
        let stream = f.stream();
        let hold = f.hold(*stream);
        hold.wait_and_release(|d| d.cuStreamSynchronize(*stream))
    }),
    Probe::current("stream, held: synchronize the context", |f| {
        let stream = f.stream();
        let hold = f.hold(*stream);
        hold.wait_and_release(Driver::cuCtxSynchronize)
    }),
    Probe::current("stream, held: 20 free ones of the lowest priority, the greatest held", |f| {
        let (mut held, mut streams) = (Handle::NULL, Vec::new());
        f.driver.cuStreamCreateWithPriority(Some(&mut held), NON_BLOCKING, -5);
        streams.extend((0..20).map(|_| f.stream()));
        let hold = f.hold(held);
        let tails: Vec<_> = streams.iter().map(|stream| f.recorded(**stream)).collect();
        let done = tails.iter().filter(|tail| f.settled_query(***tail).is_success()).count();
        hold.release();
        f.driver.cuStreamDestroy_v2(held);
        done.to_string().into()
    }),
    Probe::current("stream, held: work on a free one", |f| {
        let (held, free) = (f.stream(), f.stream());
        let hold = f.hold(*held);
        hold.query_and_release(*f.recorded(*free))
    }),
    Probe::current("stream, held: a kernel on a free one", |f| {
        let (held, free, memory) = (f.stream(), f.stream(), f.memory(1, 0));
        let hold = f.hold(*held);
        f.kernels.fill(f.driver, memory.address, 1, *free);
        hold.query_and_release(*f.recorded(*free))
    }),
    Probe::current("stream, held: work on a free one of a second context", |f| {
        let second = f.second_context();
        let outcome = {
            let (held, free) = (f.stream(), f.stream_in(second, NON_BLOCKING));
            let tail = f.event_in(second, 0);
            let hold = f.hold(*held);
            f.driver.cuEventRecord(*tail, *free);
            hold.query_and_release(*tail)
        };
        f.driver.cuCtxDestroy_v2(second);
        outcome
    }),
    Probe::current("stream, held: destroyed, its work", |f| {
        let (stream, memory, word) = (f.stream(), f.memory(1, 1), f.pinned(1));
        let hold = f.hold(*stream);
        f.kernels.fill(f.driver, memory.address, 2, *stream);
        let tail = f.recorded(*stream);
        let code = f.driver.cuStreamDestroy_v2(stream.into_handle());
        let outcome = Outcome::from(code).and(hold.query_and_release(*tail));
        outcome.and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("stream: created, recorded on, destroyed by 8 threads 200 times", |f| {
        let failed = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let (stream, event) = (f.stream(), f.event(0));
                        let codes = [
                            f.driver.cuEventRecord(*event, *stream),
                            f.driver.cuStreamDestroy_v2(stream.into_handle()),
                            f.driver.cuEventSynchronize(*event),
                        ];
                        failed.fetch_add(u32::from(!codes.iter().all(|code| code.is_success())), Ordering::Relaxed);
                    }
                });
            }
        });
        format!("{} failures", failed.into_inner()).into()
    }),
    Probe::current("stream: destroy the handles 0, 1, 2", |f| defaults(|stream| f.driver.cuStreamDestroy_v2(stream).into())),
    Probe::current("stream: the per-thread one on another thread, held here", |f| {
        let hold = f.hold(Handle::PER_THREAD);
        let event = f.event(2);
        std::thread::scope(|scope| {
            scope.spawn(|| f.with_primary(|| f.driver.cuEventRecord(*event, Handle::PER_THREAD)));
        });
        hold.query_and_release(*event)
    }),
];

fn create(f: &Fixture, flags: u32) -> Outcome {
    let mut stream = Handle::NULL;
    let code = f.driver.cuStreamCreate(Some(&mut stream), flags);
    if code == Code::SUCCESS {
        f.driver.cuStreamDestroy_v2(stream);
    }
    code.into()
}

/// Creates with a priority and reads it back.
fn priority(f: &Fixture, wanted: i32) -> Outcome {
    let (mut stream, mut priority) = (Handle::NULL, 9);
    let codes = [
        f.driver.cuStreamCreateWithPriority(Some(&mut stream), NON_BLOCKING, wanted),
        f.driver.cuStreamGetPriority(stream, Some(&mut priority)),
    ];
    f.driver.cuStreamDestroy_v2(stream);
    Outcome::from(codes).and(priority.to_string())
}

fn defaults(call: impl Fn(Handle) -> Outcome) -> Outcome {
    call(Handle::DEFAULT).and(call(Handle::LEGACY)).and(call(Handle::PER_THREAD))
}

fn flags(driver: &Driver, stream: Handle) -> Outcome {
    let mut flags = 9;
    Outcome::from(driver.cuStreamGetFlags(stream, Some(&mut flags))).and(flags.to_string())
}

fn context(driver: &Driver, stream: Handle, expected: Handle) -> Outcome {
    let mut context = Handle::NULL;
    let code = driver.cuStreamGetCtx(stream, Some(&mut context));
    Outcome::from(code).and(verdict(context == expected, "its own"))
}

fn device(driver: &Driver, stream: Handle) -> Outcome {
    let mut device = -1;
    Outcome::from(driver.cuStreamGetDevice(stream, Some(&mut device))).and(device.to_string())
}

fn capturing(driver: &Driver, stream: Handle) -> Outcome {
    let mut status = 9;
    Outcome::from(driver.cuStreamIsCapturing(stream, Some(&mut status))).and(status.to_string())
}

fn id(driver: &Driver, stream: Handle) -> u64 {
    let mut id = 0;
    driver.cuStreamGetId(stream, Some(&mut id));
    id
}

/// The id that another thread sees.
fn elsewhere(f: &Fixture, stream: Handle) -> Option<u64> {
    std::thread::scope(|scope| scope.spawn(|| f.with_primary(|| id(f.driver, stream))).join().ok())
}
