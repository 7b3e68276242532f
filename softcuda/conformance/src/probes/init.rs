//! `cuInit`, and what answers before it. Each in a process of its own.

use crate::driver::Handle;
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::alone("init: flags 0", |d| d.cuInit(0).into()),
    Probe::alone("init: flags 1", |d| d.cuInit(1).into()),
    Probe::alone("init: twice", |d| [d.cuInit(0), d.cuInit(0)].into()),
    Probe::alone("init: flags 1, then flags 0", |d| [d.cuInit(1), d.cuInit(0)].into()),
    Probe::alone("before init: cuDriverGetVersion", |d| d.cuDriverGetVersion(Some(&mut 0)).into()),
    Probe::alone("before init: cuGetErrorName", |d| {
        Outcome::from(d.cuGetErrorName(0, Some(&mut std::ptr::null())))
            .and(verdict(d.error_name(1).as_deref() == Some("CUDA_ERROR_INVALID_VALUE"), "named"))
    }),
    Probe::alone("before init: cuDeviceGetCount", |d| d.cuDeviceGetCount(Some(&mut 0)).into()),
    Probe::alone("before init: cuDeviceGet", |d| d.cuDeviceGet(Some(&mut 0), 0).into()),
    Probe::alone("before init: cuDevicePrimaryCtxRetain", |d| d.cuDevicePrimaryCtxRetain(Some(&mut Handle(0)), 0).into()),
    Probe::alone("before init: cuCtxGetCurrent", |d| d.cuCtxGetCurrent(Some(&mut Handle(0))).into()),
    Probe::alone("before init: cuCtxSynchronize", |d| d.cuCtxSynchronize().into()),
    Probe::alone("before init: cuStreamCreate", |d| d.cuStreamCreate(Some(&mut Handle(0)), 0).into()),
    Probe::alone("before init: cuStreamQuery of 0", |d| d.cuStreamQuery(Handle::DEFAULT).into()),
    Probe::alone("before init: cuEventCreate", |d| d.cuEventCreate(Some(&mut Handle(0)), 0).into()),
    Probe::alone("before init: cuEventQuery of null", |d| d.cuEventQuery(Handle::NULL).into()),
    Probe::alone("before init: cuMemAlloc", |d| d.cuMemAlloc_v2(Some(&mut 0), 4).into()),
    Probe::bare("null out parameter: cuDriverGetVersion", |f| f.driver.cuDriverGetVersion(None).into()),
    Probe::bare("error names: a name for an unknown code", |f| f.driver.cuGetErrorName(4000, Some(&mut std::ptr::null())).into()),
    Probe::bare("error names: the pointer for an unknown code", |f| {
        let mut name = std::ptr::dangling();
        f.driver.cuGetErrorName(4000, Some(&mut name));
        if name.is_null() { "null" } else { "set" }.into()
    }),
    Probe::bare("error names: a text for an unknown code", |f| f.driver.cuGetErrorString(4000, Some(&mut std::ptr::null())).into()),
    Probe::bare("error names: a text for every code with a name", |f| {
        let missing = (0..1000).find(|&code| {
            let mut text = std::ptr::null();
            let told = f.driver.cuGetErrorString(code, Some(&mut text));
            f.driver.error_name(code).is_some() && (!told.is_success() || text.is_null())
        });
        missing.map_or("all".into(), |code| format!("none for {code}").into())
    }),
    Probe::bare("null out parameter: cuGetErrorName", |f| f.driver.cuGetErrorName(1, None).into()),
];
