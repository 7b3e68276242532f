//! Host functions: order within a stream, and one at a time within a context.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, NON_BLOCKING, host};
use crate::handles::DISABLE_TIMING;
use crate::host_function::{Gate, enqueue};
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::slots::LIMIT;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("host function: runs once, before what follows", |f| {
        let (stream, runs) = (f.stream(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&runs);
        let code = enqueue(f.driver, *stream, move || {
            counted.fetch_add(1, Ordering::Release);
        });
        let done = f.driver.cuEventSynchronize(*f.recorded(*stream));
        Outcome::from([code, done]).and(runs.load(Ordering::Acquire).to_string())
    }),
    Probe::current("host function: on the handles 0, 1, 2", |f| {
        let runs = Arc::new(AtomicU32::new(0));
        let codes = [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD].map(|stream| {
            let counted = Arc::clone(&runs);
            enqueue(f.driver, stream, move || {
                counted.fetch_add(1, Ordering::Release);
            })
        });
        f.driver.cuCtxSynchronize();
        Outcome::from(codes).and(runs.load(Ordering::Acquire).to_string())
    }),
    Probe::current("host function: null", |f| f.driver.cuLaunchHostFunc(*f.stream(), None, std::ptr::null_mut()).into()),
    Probe::current("host function: behind a held stream", |f| {
        let (stream, runs) = (f.stream(), Arc::new(AtomicU32::new(0)));
        let hold = f.hold(*stream);
        let counted = Arc::clone(&runs);
        enqueue(f.driver, *stream, move || {
            counted.fetch_add(1, Ordering::Release);
        });
        let tail = f.recorded(*stream);
        f.settled_query(*tail);
        let held = runs.load(Ordering::Acquire);
        hold.release();
        f.driver.cuEventSynchronize(*tail);
        format!("{held}, {}", runs.load(Ordering::Acquire)).into()
    }),
    Probe::current("host function: three of a stream, in order", |f| {
        let (stream, order) = (f.stream(), Arc::new(Mutex::new(Vec::new())));
        for number in 1..=3 {
            let order = Arc::clone(&order);
            enqueue(f.driver, *stream, move || {
                if let Ok(mut order) = order.lock() {
                    order.push(number);
                }
            });
        }
        f.driver.cuStreamSynchronize(*stream);
        format!("{:?}", order.lock().map(|order| order.clone()).unwrap_or_default()).into()
    }),
    Probe::current("host function, blocked: an event behind it", |f| blocked(f, |f, _, behind| f.settled_query(behind).into())),
    Probe::current("host function, blocked: one of another stream", |f| {
        blocked(f, |f, other, _| {
            enqueue(f.driver, other, || ());
            f.settled_query(*f.recorded(other)).into()
        })
    }),
    Probe::current("host function, blocked: an event of another stream", |f| {
        blocked(f, |f, other, _| f.settled_query(*f.recorded(other)).into())
    }),
    Probe::current("host function, blocked: a copy of another stream", |f| {
        let (memory, words) = (f.memory(1, 1), f.pinned(1));
        blocked(f, |f, other, _| {
            f.driver.cuMemcpyDtoHAsync_v2(host(&words[0]), memory.address, 4, other);
            let code = f.settled_query(*f.recorded(other));
            Outcome::from(code).and(words[0].load(Ordering::Acquire).to_string())
        })
    }),
    Probe::current("host function, blocked: a kernel of another stream", |f| {
        let memory = f.memory(1, 0);
        blocked(f, |f, other, _| {
            f.kernels.fill(f.driver, memory.address, 1, other);
            f.settled_query(*f.recorded(other)).into()
        })
    }),
    Probe::current("host function, blocked: one of a second context", |f| {
        let context = f.second_context();
        let outcome = {
            let (stream, tail) = (f.stream_in(context, NON_BLOCKING), f.event_in(context, DISABLE_TIMING));
            let outcome = blocked(f, |f, _, _| {
                enqueue(f.driver, *stream, || ());
                f.driver.cuEventRecord(*tail, *stream);
                f.settled_query(*tail).into()
            });
            f.driver.cuEventSynchronize(*tail);
            outcome
        };
        f.driver.cuCtxDestroy_v2(context);
        outcome
    }),
    Probe::current("inside a host function: query of a complete event", |f| {
        let event = f.complete(DISABLE_TIMING);
        let handle = *event;
        inside(f, move |d| d.cuEventQuery(handle))
    }),
    Probe::current("inside a host function: elapsed of complete events", |f| {
        let (start, end) = (f.complete(0), f.complete(0));
        let handles = (*start, *end);
        inside(f, move |d| d.cuEventElapsedTime_v2(Some(&mut 0.0), handles.0, handles.1))
    }),
    Probe::current("inside a host function: query of another stream", |f| {
        let stream = f.stream();
        let handle = *stream;
        inside(f, move |d| d.cuStreamQuery(handle))
    }),
];

/// Probes while a host function blocks: with a free stream and an event behind the function.
pub(super) fn blocked(f: &Fixture, probe: impl FnOnce(&Fixture, Handle, Handle) -> Outcome) -> Outcome {
    let (stream, other, gate) = (f.stream(), f.stream(), Gate::default());
    let (entered, enters) = mpsc::channel();
    let (leaves, left) = mpsc::channel();
    let waiting = gate.clone();
    enqueue(f.driver, *stream, move || {
        let _ = entered.send(());
        let _ = leaves.send(waiting.pass());
    });
    let behind = f.recorded(*stream);
    if enters.recv_timeout(LIMIT).is_err() {
        return "it never ran".into();
    }
    let outcome = probe(f, *other, *behind);
    gate.open();
    f.driver.cuStreamSynchronize(*stream);
    f.driver.cuStreamSynchronize(*other);
    match left.recv_timeout(LIMIT) {
        Ok(true) => outcome,
        Ok(false) | Err(_) => outcome.and("hold timed out"),
    }
}

/// What `call` answers inside a host function.
fn inside(f: &Fixture, call: impl FnOnce(&Driver) -> Code + Send + 'static) -> Outcome {
    let (stream, (tells, told), driver) = (f.stream(), mpsc::channel(), f.driver);
    enqueue(driver, *stream, move || {
        let _ = tells.send(call(driver));
    });
    let code = told.recv_timeout(LIMIT);
    driver.cuStreamSynchronize(*stream);
    code.map_or("it never answered".into(), Outcome::from)
}
