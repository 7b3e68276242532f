//! Handles that were destroyed while their context lives. Undefined by the documentation: each probe
//! has a process of its own.

use crate::driver::{Driver, Handle};
use crate::fixture::Fixture;
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::alone("destroyed stream: cuStreamQuery", |d| stream(d, |d, _, gone| d.cuStreamQuery(gone).into())),
    Probe::alone("destroyed stream: cuStreamSynchronize", |d| stream(d, |d, _, gone| d.cuStreamSynchronize(gone).into())),
    Probe::alone("destroyed stream: cuStreamDestroy", |d| stream(d, |d, _, gone| d.cuStreamDestroy_v2(gone).into())),
    Probe::alone("destroyed stream: cuStreamGetId", |d| stream(d, |d, _, gone| d.cuStreamGetId(gone, Some(&mut 0)).into())),
    Probe::alone("destroyed stream: cuStreamGetCtx", |d| stream(d, |d, _, gone| d.cuStreamGetCtx(gone, Some(&mut Handle(0))).into())),
    Probe::alone("destroyed stream: record", |d| stream(d, |d, f, gone| d.cuEventRecord(*f.event(0), gone).into())),
    Probe::alone("destroyed stream: wait", |d| stream(d, |d, f, gone| d.cuStreamWaitEvent(gone, *f.complete(0), 0).into())),
    Probe::alone("destroyed event: cuEventQuery", |d| event(d, |d, _, gone| d.cuEventQuery(gone).into())),
    Probe::alone("destroyed event: cuEventSynchronize", |d| event(d, |d, _, gone| d.cuEventSynchronize(gone).into())),
    Probe::alone("destroyed event: cuEventDestroy", |d| event(d, |d, _, gone| d.cuEventDestroy_v2(gone).into())),
    Probe::alone("destroyed event: cuEventElapsedTime", |d| event(d, |d, _, gone| d.cuEventElapsedTime(Some(&mut 0.0), gone, gone).into())),
    Probe::alone("destroyed event: record", |d| event(d, |d, f, gone| d.cuEventRecord(gone, *f.stream()).into())),
    Probe::alone("destroyed event: wait", |d| event(d, |d, f, gone| d.cuStreamWaitEvent(*f.stream(), gone, 0).into())),
    Probe::alone("unloaded module: cuModuleGetFunction, unload", |d| {
        Fixture::alone(d, |f| {
            let module = f.kernels.module;
            d.cuModuleUnload(module);
            [d.cuModuleGetFunction(Some(&mut Handle(0)), module, c"fill".as_ptr()), d.cuModuleUnload(module)].into()
        })
    }),
];

fn stream(driver: &'static Driver, probe: impl FnOnce(&Driver, &Fixture, Handle) -> Outcome) -> Outcome {
    Fixture::alone(driver, |f| {
        let gone = f.stream().into_handle();
        driver.cuStreamDestroy_v2(gone);
        probe(driver, f, gone)
    })
}

fn event(driver: &'static Driver, probe: impl FnOnce(&Driver, &Fixture, Handle) -> Outcome) -> Outcome {
    Fixture::alone(driver, |f| {
        let gone = f.complete(0).into_handle();
        driver.cuEventDestroy_v2(gone);
        probe(driver, f, gone)
    })
}
