//! After a device fault. A context does not recover from one: each probe has a process of its own.

use std::sync::atomic::AtomicU32;

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, NON_BLOCKING, NOWHERE};
use crate::kernels::{Shape, launch};
use crate::outcome::Outcome;
use crate::probe::Probe;

/// A process whose primary context has faulted, and what was there before.
pub(super) struct Faulted {
    pub(super) fixture: Fixture,
    /// What the wait for the faulting kernel answered.
    noticed: Code,
    pub(super) stream: Handle,
    pub(super) complete: Handle,
    pub(super) fresh: Handle,
    pub(super) memory: u64,
    pub(super) pinned: &'static AtomicU32,
}

pub(super) const PROBES: &[Probe] = &[
    Probe::alone("fault: synchronize the stream", |d| after(d, |_, faulted| faulted.noticed.into())),
    Probe::alone("fault: synchronize the stream again", |d| after(d, |d, faulted| d.cuStreamSynchronize(faulted.stream).into())),
    Probe::alone("fault: cuStreamQuery", |d| after(d, |d, faulted| d.cuStreamQuery(faulted.stream).into())),
    Probe::alone("fault: cuStreamWaitEvent", |d| after(d, |d, faulted| d.cuStreamWaitEvent(faulted.stream, faulted.complete, 0).into())),
    Probe::alone("fault: cuStreamCreate", |d| after(d, |d, _| d.cuStreamCreate(Some(&mut Handle(0)), NON_BLOCKING).into())),
    Probe::alone("fault: cuStreamDestroy", |d| after(d, |d, faulted| d.cuStreamDestroy_v2(faulted.stream).into())),
    Probe::alone("fault: cuStreamGetId, cuStreamGetCtx", |d| {
        after(d, |d, faulted| {
            [d.cuStreamGetId(faulted.stream, Some(&mut 0)), d.cuStreamGetCtx(faulted.stream, Some(&mut Handle(0)))].into()
        })
    }),
    Probe::alone("fault: cuEventQuery, complete before", |d| after(d, |d, faulted| d.cuEventQuery(faulted.complete).into())),
    Probe::alone("fault: cuEventQuery, never recorded", |d| after(d, |d, faulted| d.cuEventQuery(faulted.fresh).into())),
    Probe::alone("fault: cuEventSynchronize, complete before", |d| after(d, |d, faulted| d.cuEventSynchronize(faulted.complete).into())),
    Probe::alone("fault: cuEventRecord", |d| after(d, |d, faulted| d.cuEventRecord(faulted.fresh, faulted.stream).into())),
    Probe::alone("fault: cuEventElapsedTime, both forms", |d| {
        after(d, |d, faulted| {
            [
                d.cuEventElapsedTime(Some(&mut 0.0), faulted.complete, faulted.complete),
                d.cuEventElapsedTime_v2(Some(&mut 0.0), faulted.complete, faulted.complete),
            ]
            .into()
        })
    }),
    Probe::alone("fault: cuEventCreate", |d| after(d, |d, _| d.cuEventCreate(Some(&mut Handle(0)), 0).into())),
    Probe::alone("fault: cuEventDestroy", |d| after(d, |d, faulted| d.cuEventDestroy_v2(faulted.complete).into())),
    Probe::alone("fault: cuMemAlloc", |d| after(d, |d, _| d.cuMemAlloc_v2(Some(&mut 0), 4).into())),
    Probe::alone("fault: cuMemFree", |d| after(d, |d, faulted| d.cuMemFree_v2(faulted.memory).into())),
    Probe::alone("fault: cuMemsetD8Async", |d| after(d, |d, faulted| d.cuMemsetD8Async(faulted.memory, 1, 4, faulted.stream).into())),
    Probe::alone("fault: cuLaunchKernel", |d| {
        after(d, |d, faulted| faulted.fixture.kernels.fill(d, faulted.memory, 1, faulted.stream).into())
    }),
    Probe::alone("fault: cuModuleUnload", |d| after(d, |d, faulted| d.cuModuleUnload(faulted.fixture.kernels.module).into())),
    Probe::alone("fault: cuCtxSynchronize", |d| after(d, |d, _| d.cuCtxSynchronize().into())),
    Probe::alone("fault: cuCtxGetCurrent, cuCtxGetDevice", |d| {
        after(d, |d, _| [d.cuCtxGetCurrent(Some(&mut Handle(0))), d.cuCtxGetDevice(Some(&mut 0))].into())
    }),
    Probe::alone("fault: cuCtxGetId", |d| after(d, |d, faulted| d.cuCtxGetId(faulted.fixture.primary, Some(&mut 0)).into())),
    Probe::alone("fault: cuCtxPushCurrent", |d| after(d, |d, faulted| d.cuCtxPushCurrent_v2(faulted.fixture.primary).into())),
    Probe::alone("fault: cuDeviceGetCount", |d| after(d, |d, _| d.cuDeviceGetCount(Some(&mut 0)).into())),
    Probe::alone("fault: cuDeviceGetAttribute", |d| after(d, |d, _| d.cuDeviceGetAttribute(Some(&mut 0), 10, 0).into())),
    Probe::alone("fault: cuDevicePrimaryCtxRetain", |d| after(d, |d, _| d.cuDevicePrimaryCtxRetain(Some(&mut Handle(0)), 0).into())),
    Probe::alone("fault: cuDevicePrimaryCtxReset, then retain", |d| {
        after(d, |d, _| [d.cuDevicePrimaryCtxReset_v2(0), d.cuDevicePrimaryCtxRetain(Some(&mut Handle(0)), 0)].into())
    }),
    Probe::alone("fault: a second context's creation", |d| after(d, |d, _| d.cuCtxCreate_v2(Some(&mut Handle(0)), 0, 0).into())),
    Probe::alone("fault: a kernel and a record behind it, then the wait", |d| {
        let faulted = match Faulted::before(d) {
            Ok(faulted) => faulted,
            Err(why) => return why.into(),
        };
        let (f, stream) = (&faulted.fixture, faulted.stream);
        let hold = f.hold(stream);
        let behind = [
            launch(d, f.kernels.fault, Shape::ONE_THREAD, stream, &[]),
            f.kernels.fill(d, faulted.memory, 1, stream),
            d.cuEventRecord(faulted.fresh, stream),
        ];
        hold.release();
        Outcome::from(behind).and([d.cuEventSynchronize(faulted.fresh), d.cuEventQuery(faulted.fresh)])
    }),
    Probe::alone("illegal address: synchronize the stream, then query", |d| {
        let faulted = match Faulted::before(d) {
            Ok(faulted) => faulted,
            Err(why) => return why.into(),
        };
        let code = faulted.fixture.kernels.fill(d, NOWHERE, 1, faulted.stream);
        [code, d.cuStreamSynchronize(faulted.stream), d.cuStreamQuery(faulted.stream)].into()
    }),
];

/// Probes after a kernel of the primary context has trapped and the stream was waited for.
pub(super) fn after(driver: &'static Driver, probe: fn(&Driver, &Faulted) -> Outcome) -> Outcome {
    let mut faulted = match Faulted::before(driver) {
        Ok(faulted) => faulted,
        Err(why) => return why.into(),
    };
    launch(driver, faulted.fixture.kernels.fault, Shape::ONE_THREAD, faulted.stream, &[]);
    faulted.noticed = driver.cuStreamSynchronize(faulted.stream);
    probe(driver, &faulted)
}

impl Faulted {
    /// Everything but the fault. The primary context is current.
    pub(super) fn before(driver: &'static Driver) -> Result<Self, String> {
        let fixture = Fixture::new(driver)?;
        let stream = fixture.stream().into_handle();
        let (complete, fresh) = (fixture.complete(0).into_handle(), fixture.event(0).into_handle());
        let (memory, pinned) = (fixture.memory(1, 0).into_address(), &fixture.pinned(1)[0]);
        driver.cuCtxSetCurrent(fixture.primary);
        Ok(Self { fixture, noticed: Code::SUCCESS, stream, complete, fresh, memory, pinned })
    }
}
