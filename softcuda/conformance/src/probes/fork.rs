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
    Probe::alone("forked child: cuInit, cuDeviceGetCount, cuCtxGetCurrent", |d| {
        children(d, [|d, _| d.cuInit(0), |d, _| d.cuDeviceGetCount(Some(&mut 0)), |d, _| d.cuCtxGetCurrent(Some(&mut Handle(0)))])
    }),
    Probe::alone("forked child: cuEventQuery, cuEventDestroy, cuEventCreate", |d| {
        children(
            d,
            [
                |d, made| d.cuEventQuery(made.complete),
                |d, made| d.cuEventDestroy_v2(made.complete),
                |d, _| d.cuEventCreate(Some(&mut Handle(0)), 0),
            ],
        )
    }),
    Probe::alone("forked child: cuStreamCreate, cuMemAlloc, cuDevicePrimaryCtxRetain", |d| {
        children(
            d,
            [
                |d, _| d.cuStreamCreate(Some(&mut Handle(0)), 1),
                |d, _| d.cuMemAlloc_v2(Some(&mut 0), 4),
                |d, _| d.cuDevicePrimaryCtxRetain(Some(&mut Handle(0)), 0),
            ],
        )
    }),
    Probe::alone("forked child: cuCtxSetCurrent", |d| children(d, [|d, made| d.cuCtxSetCurrent(made.context)])),
    Probe::alone("forked child: cuEventRecord", |d| children(d, [|d, made| d.cuEventRecord(made.complete, made.stream)])),
    Probe::alone("forked child: cuStreamQuery", |d| children(d, [|d, made| d.cuStreamQuery(made.stream)])),
    Probe::alone("forked child: cuStreamDestroy", |d| children(d, [|d, made| d.cuStreamDestroy_v2(made.stream)])),
];

/// A child for each of the calls.
fn children<const N: usize>(driver: &'static Driver, calls: [fn(&Driver, Made) -> Code; N]) -> Outcome {
    Fixture::alone(driver, |f| {
        let made = Made { context: f.primary, stream: f.stream().into_handle(), complete: f.complete(0).into_handle() };
        let answers = calls.map(|call| forked::call(move || call(driver, made)));
        answers.into_iter().reduce(Outcome::and).unwrap_or("no call".into())
    })
}
