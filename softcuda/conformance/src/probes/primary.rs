//! The primary context: retained, released, reset. What ends it runs in a process of its own.

use crate::driver::{Driver, Handle};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::bare("primary: retain leaves nothing current", |f| {
        let (mut context, mut current) = (Handle::NULL, Handle(1));
        f.driver.cuDevicePrimaryCtxRetain(Some(&mut context), 0);
        f.driver.cuCtxGetCurrent(Some(&mut current));
        let released = f.driver.cuDevicePrimaryCtxRelease_v2(0);
        verdict(current == Handle::NULL, "null").and(released)
    }),
    Probe::bare("primary: retained twice", |f| {
        let mut context = Handle::NULL;
        let code = f.driver.cuDevicePrimaryCtxRetain(Some(&mut context), 0);
        f.driver.cuDevicePrimaryCtxRelease_v2(0);
        Outcome::from(code).and(verdict(context == f.primary, "same pointer"))
    }),
    Probe::alone("primary: release, never retained", |d| {
        d.cuInit(0);
        d.cuDevicePrimaryCtxRelease_v2(0).into()
    }),
    Probe::alone("primary: released once more than retained", |d| {
        primary(d);
        [d.cuDevicePrimaryCtxRelease_v2(0), d.cuDevicePrimaryCtxRelease_v2(0)].into()
    }),
    Probe::alone("primary: active before, while, after", |d| {
        d.cuInit(0);
        let before = state(d);
        primary(d);
        let retained = state(d);
        d.cuDevicePrimaryCtxRelease_v2(0);
        before.and(retained).and(state(d))
    }),
    Probe::alone("primary: retained twice, released once", |d| {
        primary(d);
        primary(d);
        Outcome::from(d.cuDevicePrimaryCtxRelease_v2(0)).and(state(d))
    }),
    Probe::alone("primary: active after a query of properties", |d| {
        d.cuInit(0);
        d.cuDeviceGetAttribute(Some(&mut 0), 10, 0);
        d.cuDeviceTotalMem_v2(Some(&mut 0), 0);
        d.cuDeviceGetUuid_v2(Some(&mut [0; 16]), 0);
        state(d)
    }),
    Probe::alone("primary: released to zero, retained again", |d| {
        let first = identity(d);
        let code = d.cuDevicePrimaryCtxRelease_v2(0);
        Outcome::from(code).and(compare(first, identity(d)))
    }),
    Probe::alone("primary: reset, retained again", |d| {
        let first = identity(d);
        let code = d.cuDevicePrimaryCtxReset_v2(0);
        Outcome::from(code).and(compare(first, identity(d)))
    }),
    Probe::alone("primary: reset, never retained", |d| {
        d.cuInit(0);
        d.cuDevicePrimaryCtxReset_v2(0).into()
    }),
    Probe::alone("primary: active after a reset", |d| {
        primary(d);
        Outcome::from(d.cuDevicePrimaryCtxReset_v2(0)).and(state(d))
    }),
    Probe::alone("primary: released after a reset", |d| {
        primary(d);
        d.cuDevicePrimaryCtxReset_v2(0);
        d.cuDevicePrimaryCtxRelease_v2(0).into()
    }),
    Probe::alone("primary: id after a reset, nothing retained", |d| {
        let context = primary(d);
        d.cuDevicePrimaryCtxReset_v2(0);
        d.cuCtxGetId(context, Some(&mut 0)).into()
    }),
    Probe::alone("primary: push after a reset, nothing retained", |d| {
        let context = primary(d);
        d.cuDevicePrimaryCtxReset_v2(0);
        d.cuCtxPushCurrent_v2(context).into()
    }),
    Probe::alone("primary: event create after a reset, still current", |d| {
        d.cuCtxSetCurrent(primary(d));
        d.cuDevicePrimaryCtxReset_v2(0);
        d.cuEventCreate(Some(&mut Handle(0)), 0).into()
    }),
    Probe::alone("primary: flags set before it is active, read back", |d| {
        d.cuInit(0);
        let code = d.cuDevicePrimaryCtxSetFlags_v2(0, BLOCKING_SYNC);
        Outcome::from(code).and(flags(d))
    }),
    Probe::alone("primary: flags set while it is active, read back", |d| {
        primary(d);
        let code = d.cuDevicePrimaryCtxSetFlags_v2(0, BLOCKING_SYNC);
        Outcome::from(code).and(flags(d))
    }),
    Probe::alone("primary: flags 0 to 31 before it is active", |d| {
        d.cuInit(0);
        let accepted = (0..32).filter(|&flags| d.cuDevicePrimaryCtxSetFlags_v2(0, flags).is_success());
        format!("{:?}", accepted.collect::<Vec<_>>()).into()
    }),
    Probe::alone("primary: flags 256, 4096 before it is active", |d| {
        d.cuInit(0);
        [256, 4096].map(|flags| d.cuDevicePrimaryCtxSetFlags_v2(0, flags)).into()
    }),
    Probe::alone("primary: flags set before it is active, seen by cuCtxGetFlags", |d| {
        d.cuInit(0);
        d.cuDevicePrimaryCtxSetFlags_v2(0, BLOCKING_SYNC);
        d.cuCtxSetCurrent(primary(d));
        let mut flags = 99;
        let code = d.cuCtxGetFlags(Some(&mut flags));
        Outcome::from(code).and(flags.to_string())
    }),
    Probe::alone("primary: flags when nobody set them, active and not", |d| {
        d.cuInit(0);
        let before = flags(d);
        d.cuCtxSetCurrent(primary(d));
        let mut current = 99;
        d.cuCtxGetFlags(Some(&mut current));
        before.and(flags(d)).and(current.to_string())
    }),
    Probe::alone("primary: set current, never retained again after a release", |d| {
        let context = primary(d);
        let released = d.cuDevicePrimaryCtxRelease_v2(0);
        Outcome::from(released).and([d.cuCtxSetCurrent(context), d.cuEventCreate(Some(&mut Handle(0)), 0), d.cuCtxSynchronize()])
    }),
    Probe::alone("primary: current while released to zero", |d| {
        d.cuCtxSetCurrent(primary(d));
        let mut context = Handle::NULL;
        let codes = [
            d.cuDevicePrimaryCtxRelease_v2(0),
            d.cuCtxGetCurrent(Some(&mut context)),
            d.cuCtxGetDevice(Some(&mut 0)),
            d.cuCtxSynchronize(),
            d.cuMemAlloc_v2(Some(&mut 0), 4),
        ];
        Outcome::from(codes).and(verdict(context == Handle::NULL, "null"))
    }),
    Probe::alone("primary: current while released to zero, retained again", |d| {
        d.cuCtxSetCurrent(primary(d));
        d.cuDevicePrimaryCtxRelease_v2(0);
        primary(d);
        [d.cuCtxSynchronize(), d.cuMemAlloc_v2(Some(&mut 0), 4), d.cuEventCreate(Some(&mut Handle(0)), 0)].into()
    }),
    Probe::alone("primary: flags that are none", |d| {
        d.cuInit(0);
        d.cuDevicePrimaryCtxSetFlags_v2(0, 0xff00).into()
    }),
    Probe::alone("primary: destroyed as if it were another context", |d| {
        let context = primary(d);
        d.cuCtxDestroy_v2(context).into()
    }),
];

/// `CU_CTX_SCHED_BLOCKING_SYNC`
const BLOCKING_SYNC: u32 = 4;

/// Initialises and retains the primary context of device 0.
fn primary(driver: &Driver) -> Handle {
    let mut context = Handle::NULL;
    driver.cuInit(0);
    driver.cuDevicePrimaryCtxRetain(Some(&mut context), 0);
    context
}

/// Retains it; pointer and id.
fn identity(driver: &Driver) -> (Handle, u64) {
    let (context, mut id) = (primary(driver), 0);
    driver.cuCtxGetId(context, Some(&mut id));
    (context, id)
}

fn compare(first: (Handle, u64), second: (Handle, u64)) -> Outcome {
    verdict(first.0 == second.0, "same pointer").and(verdict(first.1 == second.1, "same id"))
}

fn state(driver: &Driver) -> Outcome {
    let mut active = -1;
    match driver.cuDevicePrimaryCtxGetState(0, Some(&mut 0), Some(&mut active)) {
        code if !code.is_success() => code.into(),
        _ if active == 1 => "active".into(),
        _ => "inactive".into(),
    }
}

fn flags(driver: &Driver) -> Outcome {
    let mut flags = 0;
    let code = driver.cuDevicePrimaryCtxGetState(0, Some(&mut flags), Some(&mut 0));
    Outcome::from(code).and(flags.to_string())
}
