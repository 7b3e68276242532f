//! Streams of green contexts, beside those of the primary context, and after the end of theirs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use super::green::Green;
use super::host_functions::blocked;
use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::handles::DISABLE_TIMING;
use crate::host_function::{Gate, enqueue};
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::slots::LIMIT;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("green stream: create with flags 0, 1, 2", |f| {
        let green = f.green();
        [0, 1, 2]
            .map(|flags| {
                let mut stream = Handle::NULL;
                let code = f.driver.cuGreenCtxStreamCreate(Some(&mut stream), green.raw, flags, 0);
                if code.is_success() {
                    f.driver.cuStreamDestroy_v2(stream);
                }
                code
            })
            .into()
    }),
    Probe::current("green stream: priorities -100 and 100", |f| {
        let green = f.green();
        let priority = |wanted| {
            let (mut stream, mut priority) = (Handle::NULL, 9);
            f.driver.cuGreenCtxStreamCreate(Some(&mut stream), green.raw, NON_BLOCKING, wanted);
            let code = f.driver.cuStreamGetPriority(stream, Some(&mut priority));
            f.driver.cuStreamDestroy_v2(stream);
            Outcome::from(code).and(priority.to_string())
        };
        priority(-100).and(priority(100))
    }),
    Probe::alone("null out parameter: cuGreenCtxStreamCreate", |d| {
        Fixture::alone(d, |f| d.cuGreenCtxStreamCreate(None, f.green().raw, NON_BLOCKING, 0).into())
    }),
    Probe::current("green stream: its contexts", |f| with_stream(f, contexts)),
    Probe::current("green stream: contexts of a stream of the primary context", |f| {
        let green = f.green();
        contexts(f, &green, *f.stream())
    }),
    Probe::current("green stream: contexts of the handles 0, 1, 2", |f| {
        let green = f.green();
        let of = |stream| contexts(f, &green, stream);
        of(Handle::DEFAULT).and(of(Handle::LEGACY)).and(of(Handle::PER_THREAD))
    }),
    Probe::current("green stream: contexts of the handles 0, 1, 2, the green one current", |f| {
        let green = f.green();
        let of = |stream| contexts(f, &green, stream);
        f.within(green.context(), || of(Handle::DEFAULT).and(of(Handle::LEGACY)).and(of(Handle::PER_THREAD)))
    }),
    Probe::current("green stream: created while the green context is current", |f| {
        let green = f.green();
        let of = |flags| {
            let mut stream = Handle::NULL;
            let code = f.within(green.context(), || f.driver.cuStreamCreate(Some(&mut stream), flags));
            if !code.is_success() {
                return code.into();
            }
            let outcome = Outcome::from(code).and(contexts(f, &green, stream));
            f.driver.cuStreamDestroy_v2(stream);
            outcome
        };
        of(NON_BLOCKING).and(of(0))
    }),
    Probe::alone("null out parameter: cuStreamGetGreenCtx", |d| Fixture::alone(d, |f| d.cuStreamGetGreenCtx(*f.stream(), None).into())),
    Probe::alone("null out parameter: cuStreamGetCtx_v2, the context", |d| {
        Fixture::alone(d, |f| d.cuStreamGetCtx_v2(*f.stream(), None, Some(&mut Handle(0))).into())
    }),
    Probe::alone("null out parameter: cuStreamGetCtx_v2, the green context", |d| {
        Fixture::alone(d, |f| d.cuStreamGetCtx_v2(*f.stream(), Some(&mut Handle(0)), None).into())
    }),
    Probe::current("green stream: flags and device", |f| {
        with_stream(f, |f, _, stream| {
            let (mut flags, mut device) = (9, -1);
            let codes = [f.driver.cuStreamGetFlags(stream, Some(&mut flags)), f.driver.cuStreamGetDevice(stream, Some(&mut device))];
            Outcome::from(codes).and(format!("{flags}, {device}"))
        })
    }),
    Probe::current("green stream: an event of the primary context recorded on it", |f| {
        with_stream(f, |f, _, stream| {
            let event = f.event(0);
            [f.driver.cuEventRecord(*event, stream), f.driver.cuEventSynchronize(*event), f.driver.cuEventQuery(*event)].into()
        })
    }),
    Probe::current("green stream: an event of the green context recorded elsewhere", |f| {
        let (green, stream) = (f.green(), f.stream());
        let event = f.event_in(green.context(), 0);
        [f.driver.cuEventRecord(*event, *stream), f.driver.cuEventSynchronize(*event), f.driver.cuEventQuery(*event)].into()
    }),
    Probe::current("green stream: an event of a second context recorded on it", |f| {
        let second = f.second_context();
        let outcome = with_stream(f, |f, _, stream| f.driver.cuEventRecord(*f.event_in(second, 0), stream).into());
        f.driver.cuCtxDestroy_v2(second);
        outcome
    }),
    Probe::current("green stream: elapsed between it and one of the primary context", |f| {
        with_stream(f, |f, green, stream| {
            let (start, end) = (f.event(0), f.event_in(green.context(), 0));
            f.driver.cuEventRecord(*start, stream);
            f.driver.cuEventRecord(*end, *f.stream());
            let wait = [f.driver.cuEventSynchronize(*start), f.driver.cuEventSynchronize(*end)];
            Outcome::from(wait).and(f.driver.cuEventElapsedTime_v2(Some(&mut 0.0), *start, *end))
        })
    }),
    Probe::current("green stream: it waits for a held one of the primary context", |f| {
        with_stream(f, |f, _, stream| {
            let held = f.stream();
            let hold = f.hold(*held);
            f.driver.cuStreamWaitEvent(stream, *f.recorded(*held), 0);
            hold.query_and_release(*f.recorded(stream))
        })
    }),
    Probe::current("green stream: one of the primary context waits for it, held", |f| {
        with_stream(f, |f, _, stream| {
            let (held, waiting) = (f.stream(), f.stream());
            let hold = f.hold(*held);
            f.driver.cuStreamWaitEvent(stream, *f.recorded(*held), 0);
            f.driver.cuStreamWaitEvent(*waiting, *f.recorded(stream), 0);
            hold.query_and_release(*f.recorded(*waiting))
        })
    }),
    Probe::current("green stream: handle 0 there, a blocking one of the primary held", |f| {
        let (green, held) = (f.green(), f.blocking_stream());
        let tail = f.event(DISABLE_TIMING);
        let hold = f.hold(*held);
        f.within(green.context(), || f.driver.cuEventRecord(*tail, Handle::DEFAULT));
        hold.query_and_release(*tail)
    }),
    Probe::current("green stream: synchronize the primary context, it is blocked", |f| {
        with_stream(f, |f, _, stream| while_blocked(f, stream, Driver::cuCtxSynchronize))
    }),
    Probe::current("green stream: synchronize the green context, the primary one is held", |f| {
        let (green, held) = (f.green(), f.stream());
        let context = green.context();
        let hold = f.hold(*held);
        hold.wait_and_release(move |d| {
            d.cuCtxSetCurrent(context);
            d.cuCtxSynchronize()
        })
    }),
    Probe::current("green stream: a memset", |f| {
        let (memory, word) = (f.memory(1, 1), f.pinned(1));
        with_stream(f, |f, _, stream| {
            let codes = [f.driver.cuMemsetD32Async(memory.address, 7, 1, stream), f.driver.cuStreamSynchronize(stream)];
            Outcome::from(codes).and(f.read(memory.address, &word[0]).to_string())
        })
    }),
    Probe::alone("green stream: a kernel that the primary context has loaded", |d| {
        Fixture::alone(d, |f| {
            let (memory, word) = (f.memory(1, 1), f.pinned(1));
            with_stream(f, |f, _, stream| {
                let codes = [f.kernels.fill(d, memory.address, 7, stream), d.cuStreamSynchronize(stream)];
                Outcome::from(codes).and(f.read(memory.address, &word[0]).to_string())
            })
        })
    }),
    Probe::current("green stream: a host function beside one of the primary context", |f| {
        with_stream(f, |f, _, stream| {
            let outcome = blocked(f, |f, _, _| {
                enqueue(f.driver, stream, || ());
                f.settled_query(*f.recorded(stream)).into()
            });
            f.driver.cuStreamSynchronize(stream);
            outcome
        })
    }),
    Probe::alone("green: memory allocated while it was current, after its end", |d| {
        Fixture::alone(d, |f| {
            let (green, mut address) = (f.green(), 0);
            let allocated = f.within(green.context(), || d.cuMemAlloc_v2(Some(&mut address), 4));
            let end = d.cuGreenCtxDestroy(green.into_raw());
            [allocated, end, d.cuMemsetD32_v2(address, 7, 1), d.cuMemFree_v2(address)].into()
        })
    }),
    Probe::alone("green: destroyed, an event of it that was recorded on its stream", |d| {
        Fixture::alone(d, |f| {
            let green = f.green();
            let (stream, event) = (green.stream(), f.event_in(green.context(), 0).into_handle());
            let codes = [d.cuEventRecord(event, stream), d.cuEventSynchronize(event), d.cuGreenCtxDestroy(green.into_raw())];
            let again = f.stream();
            Outcome::from(codes).and([d.cuEventQuery(event), d.cuEventRecord(event, *again), d.cuEventDestroy_v2(event)])
        })
    }),
    Probe::alone("green: destroyed, then query, synchronize, record on its stream", |d| {
        destroyed(d, |f, stream| [d.cuStreamQuery(stream), d.cuStreamSynchronize(stream), d.cuEventRecord(*f.event(0), stream)].into())
    }),
    Probe::alone("green: destroyed, then the contexts of its stream", |d| {
        destroyed(d, |_, stream| {
            let place = || Some(Box::leak(Box::new(Handle::NULL)));
            [d.cuStreamGetCtx(stream, place()), d.cuStreamGetCtx_v2(stream, place(), place()), d.cuStreamGetGreenCtx(stream, place())]
                .into()
        })
    }),
    Probe::alone("green: destroyed, then id, flags, priority of its stream", |d| {
        destroyed(d, |_, stream| {
            [d.cuStreamGetId(stream, Some(&mut 0)), d.cuStreamGetFlags(stream, Some(&mut 0)), d.cuStreamGetPriority(stream, Some(&mut 0))]
                .into()
        })
    }),
    Probe::alone("green: destroyed, then its stream", |d| destroyed(d, |_, stream| d.cuStreamDestroy_v2(stream).into())),
    Probe::alone("green: destroyed while its stream is blocked", |d| {
        Fixture::alone(d, |f| {
            let green = f.green();
            let stream = green.stream();
            let green = green.into_raw();
            while_blocked(f, stream, move |d| d.cuGreenCtxDestroy(green))
        })
    }),
    Probe::alone("green: the primary context reset, then query and destroy", |d| {
        Fixture::alone(d, |f| {
            let green = f.green();
            let stream = green.stream();
            d.cuDevicePrimaryCtxReset_v2(0);
            [d.cuStreamQuery(stream), d.cuGreenCtxDestroy(green.into_raw())].into()
        })
    }),
];

/// Whether a stream's contexts are the green one, seen as a context, the primary one and the green one, and the green one again.
fn contexts(f: &Fixture, green: &Green<'_>, stream: Handle) -> Outcome {
    let name = |handle: Handle| match handle {
        Handle::NULL => "null",
        handle if handle == green.raw => "green",
        handle if handle == green.context() => "context",
        handle if handle == f.primary => "primary",
        _ => "another",
    };
    let [mut one, mut primary, mut with, mut alone] = [Handle(1); 4];
    let codes = [
        f.driver.cuStreamGetCtx(stream, Some(&mut one)),
        f.driver.cuStreamGetCtx_v2(stream, Some(&mut primary), Some(&mut with)),
        f.driver.cuStreamGetGreenCtx(stream, Some(&mut alone)),
    ];
    Outcome::from(codes).and(format!("{}; {} {}; {}", name(one), name(primary), name(with), name(alone)))
}

/// With a green context, and a stream of it.
fn with_stream(f: &Fixture, probe: impl FnOnce(&Fixture, &Green<'_>, Handle) -> Outcome) -> Outcome {
    let green = f.green();
    let stream = green.stream();
    let outcome = probe(f, &green, stream);
    f.driver.cuStreamDestroy_v2(stream);
    outcome
}

/// Whether `call`, made on another thread with the primary context current, waits for a host function of `stream` that
/// blocks; what it answers, and whether an event behind the function is done in the end.
fn while_blocked(f: &Fixture, stream: Handle, call: impl FnOnce(&Driver) -> Code + Send) -> Outcome {
    let (gate, done) = (Gate::default(), AtomicBool::new(false));
    let (entered, enters) = mpsc::channel();
    let waiting = gate.clone();
    enqueue(f.driver, stream, move || {
        let _ = entered.send(());
        waiting.pass();
    });
    let tail = f.recorded(stream);
    if enters.recv_timeout(LIMIT).is_err() {
        return "it never ran".into();
    }
    thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let code = f.with_primary(|| call(f.driver));
            done.store(true, Ordering::Release);
            code
        });
        let word = if Fixture::settled_flag(&done) { "returns at once" } else { "waits" };
        gate.open();
        match caller.join() {
            Ok(code) => Outcome::from(word).and([code, f.ends(*tail)]),
            Err(_) => "fails".into(),
        }
    })
}

/// After the end of a green context: with a stream of it that is not destroyed.
fn destroyed(driver: &'static Driver, probe: impl FnOnce(&Fixture, Handle) -> Outcome) -> Outcome {
    Fixture::alone(driver, |f| {
        let green = f.green();
        let stream = green.stream();
        let end = driver.cuGreenCtxDestroy(green.into_raw());
        assert!(end.is_success(), "its end: {}", driver.code_name(end));
        probe(f, stream)
    })
}
