//! A forked child of a process that uses the driver. Each in a process of its own.

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::Fixture;
use crate::forked;
use crate::outcome::Outcome;
use crate::probe::Probe;

/// What the parent made before it forked.
#[derive(Clone, Copy)]
struct Made {
    context: Handle,
    stream: Handle,
    complete: Handle,
}

pub(super) const PROBES: &[Probe] = &[
    Probe::alone("forked child: cuInit", |d| child(d, |d, _| d.cuInit(0))),
    Probe::alone("forked child: cuDeviceGetCount", |d| child(d, |d, _| d.cuDeviceGetCount(Some(&mut 0)))),
    Probe::alone("forked child: cuCtxGetCurrent", |d| child(d, |d, _| d.cuCtxGetCurrent(Some(&mut Handle(0))))),
    Probe::alone("forked child: cuCtxSetCurrent", |d| child(d, |d, made| d.cuCtxSetCurrent(made.context))),
    Probe::alone("forked child: cuDevicePrimaryCtxRetain", |d| child(d, |d, _| d.cuDevicePrimaryCtxRetain(Some(&mut Handle(0)), 0))),
    Probe::alone("forked child: cuEventQuery", |d| child(d, |d, made| d.cuEventQuery(made.complete))),
    Probe::alone("forked child: cuEventDestroy", |d| child(d, |d, made| d.cuEventDestroy_v2(made.complete))),
    Probe::alone("forked child: cuEventCreate", |d| child(d, |d, _| d.cuEventCreate(Some(&mut Handle(0)), 0))),
    Probe::alone("forked child: cuEventRecord", |d| child(d, |d, made| d.cuEventRecord(made.complete, made.stream))),
    Probe::alone("forked child: cuStreamCreate", |d| child(d, |d, _| d.cuStreamCreate(Some(&mut Handle(0)), 1))),
    Probe::alone("forked child: cuStreamQuery", |d| child(d, |d, made| d.cuStreamQuery(made.stream))),
    Probe::alone("forked child: cuStreamDestroy", |d| child(d, |d, made| d.cuStreamDestroy_v2(made.stream))),
    Probe::alone("forked child: cuMemAlloc", |d| child(d, |d, _| d.cuMemAlloc_v2(Some(&mut 0), 4))),
];

fn child(driver: &'static Driver, call: fn(&Driver, Made) -> Code) -> Outcome {
    Fixture::alone(driver, |f| {
        let made = Made { context: f.primary, stream: f.stream().into_handle(), complete: f.complete(0).into_handle() };
        forked::call(move || call(driver, made))
    })
}
