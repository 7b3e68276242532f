//! Driver calls within a host function. The documentation forbids them and promises no answer: each
//! probe has a process of its own.

use std::sync::mpsc;
use std::time::Duration;

use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, host};
use crate::host_function::enqueue;
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

/// A call that takes longer does not return.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the calls are made on, none of it busy.
#[derive(Clone, Copy)]
struct Made {
    context: Handle,
    own: Handle,
    other: Handle,
    complete: Handle,
    memory: u64,
}

pub(super) const PROBES: &[Probe] = &[
    Probe::alone("inside a host function: current context", |d| {
        inside(d, |d, _| {
            let mut context = Handle(1);
            Outcome::from(d.cuCtxGetCurrent(Some(&mut context))).and(verdict(context == Handle::NULL, "null"))
        })
    }),
    Probe::alone("inside a host function: cuCtxSetCurrent, cuCtxGetDevice", |d| {
        inside(d, |d, made| [d.cuCtxSetCurrent(made.context), d.cuCtxGetDevice(Some(&mut 0))].into())
    }),
    Probe::alone("inside a host function: query of its own stream, its id", |d| {
        inside(d, |d, made| [d.cuStreamQuery(made.own), d.cuStreamGetId(made.own, Some(&mut 0))].into())
    }),
    Probe::alone("inside a host function: record on another stream, on its own", |d| {
        inside(d, |d, made| [made.other, made.own].map(|stream| d.cuEventRecord(made.complete, stream)).into())
    }),
    Probe::alone("inside a host function: another stream waits, its own", |d| {
        inside(d, |d, made| [made.other, made.own].map(|stream| d.cuStreamWaitEvent(stream, made.complete, 0)).into())
    }),
    Probe::alone("inside a host function: synchronize a complete event", |d| {
        inside(d, |d, made| [d.cuEventSynchronize(made.complete)].into())
    }),
    Probe::alone("inside a host function: synchronize an idle stream", |d| inside(d, |d, made| [d.cuStreamSynchronize(made.other)].into())),
    Probe::alone("inside a host function: memset on another stream", |d| {
        inside(d, |d, made| [d.cuMemsetD8Async(made.memory, 1, 4, made.other)].into())
    }),
    Probe::alone("inside a host function: one on another stream", |d| inside(d, |d, made| [enqueue(d, made.other, || ())].into())),
    Probe::alone("inside a host function: cuEventDestroy, cuStreamDestroy", |d| {
        inside(d, |d, made| [d.cuEventDestroy_v2(made.complete), d.cuStreamDestroy_v2(made.other)].into())
    }),
    Probe::alone("inside a host function: cuEventCreate, cuStreamCreate, context set", |d| {
        inside(d, |d, made| {
            d.cuCtxSetCurrent(made.context);
            [d.cuEventCreate(Some(&mut Handle(0)), 0), d.cuStreamCreate(Some(&mut Handle(0)), 1)].into()
        })
    }),
    Probe::alone("inside a host function: cuMemAlloc, context set", |d| {
        inside(d, |d, made| {
            d.cuCtxSetCurrent(made.context);
            [d.cuMemAlloc_v2(Some(&mut 0), 4)].into()
        })
    }),
    Probe::alone("inside a host function: cuMemFree", |d| inside(d, |d, made| [d.cuMemFree_v2(made.memory)].into())),
    Probe::alone("inside a host function: cuMemHostAlloc, context set", |d| {
        inside(d, |d, made| {
            d.cuCtxSetCurrent(made.context);
            [d.cuMemHostAlloc(Some(&mut std::ptr::null_mut()), 4, 0)].into()
        })
    }),
    Probe::alone("inside a host function: cuMemcpyDtoH, context set", |d| {
        inside(d, |d, made| {
            d.cuCtxSetCurrent(made.context);
            [d.cuMemcpyDtoH_v2([0_u32].as_mut_ptr().cast(), made.memory, 4)].into()
        })
    }),
    Probe::alone("inside a host function: cuMemcpyDtoHAsync to pinned memory", |d| {
        Fixture::alone(d, |f| {
            let (stream, other, memory, word) = (f.stream(), f.stream(), f.memory(1, 7), &f.pinned(1)[0]);
            let (other, memory) = (other.into_handle(), memory.into_address());
            answer(d, *stream, move |d| [d.cuMemcpyDtoHAsync_v2(host(word), memory, 4, other)].into())
        })
    }),
    Probe::alone("inside a host function: cuCtxSynchronize, context set", |d| {
        inside(d, |d, made| {
            d.cuCtxSetCurrent(made.context);
            [d.cuCtxSynchronize()].into()
        })
    }),
];

/// What `calls` answers within a host function.
fn inside(driver: &'static Driver, calls: fn(&Driver, Made) -> Outcome) -> Outcome {
    Fixture::alone(driver, |f| {
        let made = Made {
            context: f.primary,
            own: f.stream().into_handle(),
            other: f.stream().into_handle(),
            complete: f.complete(0).into_handle(),
            memory: f.memory(1, 0).into_address(),
        };
        answer(driver, made.own, move |d| calls(d, made))
    })
}

pub(super) fn answer(driver: &'static Driver, stream: Handle, calls: impl FnOnce(&Driver) -> Outcome + Send + 'static) -> Outcome {
    let (tells, told) = mpsc::channel();
    enqueue(driver, stream, move || {
        let _ = tells.send(calls(driver));
    });
    match told.recv_timeout(PATIENCE) {
        Ok(outcome) => outcome.and(driver.cuStreamSynchronize(stream)),
        // The process ends without waiting for it.
        Err(_) => "does not return".into(),
    }
}
