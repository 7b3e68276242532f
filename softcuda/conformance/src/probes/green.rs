//! Green contexts: what they are made from, what they are, and their end.

use std::ptr::null_mut;

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::fixture::Fixture;
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;
use crate::structs::Resource;

/// `CU_GREEN_CTX_DEFAULT_STREAM`
const DEFAULT_STREAM: u32 = 1;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("green: multiprocessors of the device", |f| {
        let mut all = Resource::default();
        let code = f.driver.cuDeviceGetDevResource(0, Some(&mut all), Resource::MULTIPROCESSORS);
        Outcome::from(code).and(format!("{} of {}, {}, {}", all.kind, all.count, all.fewest, all.alignment))
    }),
    Probe::current("green: resources of the types 0 and 2", |f| {
        [0, 2].map(|kind| f.driver.cuDeviceGetDevResource(0, Some(&mut Resource::default()), kind)).into()
    }),
    Probe::current("green: resources of device 99", |f| {
        f.driver.cuDeviceGetDevResource(99, Some(&mut Resource::default()), Resource::MULTIPROCESSORS).into()
    }),
    Probe::current("green: split into 2 of 30", |f| split(f.driver, &all(f.driver), 2, 0, 30)),
    Probe::current("green: split into 4 of 60", |f| split(f.driver, &all(f.driver), 4, 0, 60)),
    Probe::current("green: split into 1 of 0", |f| split(f.driver, &all(f.driver), 1, 0, 0)),
    Probe::current("green: split into 1 of 1000", |f| split(f.driver, &all(f.driver), 1, 0, 1000)),
    Probe::current("green: split into 0 of 8", |f| split(f.driver, &all(f.driver), 0, 0, 8)),
    Probe::current("green: split into 1 of 3, flags 1", |f| split(f.driver, &all(f.driver), 1, 1, 3)),
    Probe::current("green: split into 1 of 8, flags 4", |f| split(f.driver, &all(f.driver), 1, 4, 8)),
    Probe::current("green: split by 30, only counted", |f| {
        let mut count = 1;
        let code = f.driver.cuDevSmResourceSplitByCount(null_mut(), Some(&mut count), Some(&all(f.driver)), None, 0, 30);
        Outcome::from(code).and(count.to_string())
    }),
    Probe::current("green: split of a part", |f| {
        let mut part = Resource::default();
        f.driver.cuDevSmResourceSplitByCount(&raw mut part, Some(&mut 1), Some(&all(f.driver)), None, 0, 64);
        split(f.driver, &part, 1, 0, 8)
    }),
    Probe::alone("green: split of what is no resource", |d| Fixture::alone(d, |f| split(f.driver, &Resource::of(0), 1, 0, 8))),
    Probe::alone("green: descriptor of no resource", |d| {
        Fixture::alone(d, |f| {
            let mut all = all(d);
            f.driver.cuDevResourceGenerateDesc(Some(&mut Handle(0)), &raw mut all, 0).into()
        })
    }),
    Probe::alone("green: descriptor of null", |d| {
        Fixture::alone(d, |f| f.driver.cuDevResourceGenerateDesc(Some(&mut Handle(0)), null_mut(), 1).into())
    }),
    Probe::current("green: create with flags 0, 1, 2, 3", |f| {
        [0, 1, 2, 3]
            .map(|flags| {
                let mut green = Handle::NULL;
                let code = f.driver.cuGreenCtxCreate(Some(&mut green), descriptor(f.driver), 0, flags);
                if code.is_success() {
                    f.driver.cuGreenCtxDestroy(green);
                }
                code
            })
            .into()
    }),
    Probe::current("green: create on device 99", |f| {
        f.driver.cuGreenCtxCreate(Some(&mut Handle(0)), descriptor(f.driver), 99, DEFAULT_STREAM).into()
    }),
    Probe::alone("green: create from a null descriptor", |d| {
        Fixture::alone(d, |f| f.driver.cuGreenCtxCreate(Some(&mut Handle(0)), Handle::NULL, 0, DEFAULT_STREAM).into())
    }),
    Probe::alone("null out parameter: cuGreenCtxCreate", |d| {
        Fixture::alone(d, |f| f.driver.cuGreenCtxCreate(None, descriptor(d), 0, DEFAULT_STREAM).into())
    }),
    Probe::alone("null out parameter: cuCtxFromGreenCtx", |d| {
        Fixture::alone(d, |f| f.driver.cuCtxFromGreenCtx(None, f.green().raw).into())
    }),
    Probe::current("green: two from one descriptor", |f| {
        let (descriptor, mut greens) = (descriptor(f.driver), [Handle::NULL; 2]);
        let mut codes = [Code::SUCCESS; 2];
        for (green, code) in greens.iter_mut().zip(&mut codes) {
            *code = f.driver.cuGreenCtxCreate(Some(green), descriptor, 0, DEFAULT_STREAM);
        }
        let outcome = Outcome::from(codes).and(verdict(greens[0] != greens[1], "different"));
        for green in greens {
            f.driver.cuGreenCtxDestroy(green);
        }
        outcome
    }),
    Probe::current("green: what is current after its creation", |f| {
        let _green = f.green();
        verdict(current(f.driver) == f.primary, "the primary context")
    }),
    Probe::current("green: its context", |f| {
        let green = f.green();
        let (first, second) = (green.context(), green.context());
        verdict(first == second, "the same again")
            .and(verdict(first != f.primary, "another than the primary one"))
            .and(verdict(first != green.raw, "another handle"))
    }),
    Probe::current("green: id of its context", |f| {
        let green = f.green();
        let id = |context| {
            let mut id = 0;
            let code = f.driver.cuCtxGetId(context, Some(&mut id));
            (code, id)
        };
        let (own, primary) = (id(green.context()), id(f.primary));
        Outcome::from(own.0).and(verdict(own.1 != primary.1, "another than the primary one's"))
    }),
    Probe::current("green: current", |f| {
        let green = f.green();
        let context = green.context();
        let push = f.driver.cuCtxPushCurrent_v2(context);
        let (mut device, mut flags, mut version) = (-1, 99, 0);
        let codes = [
            push,
            f.driver.cuCtxGetDevice(Some(&mut device)),
            f.driver.cuCtxGetFlags(Some(&mut flags)),
            f.driver.cuCtxGetApiVersion(Handle::NULL, Some(&mut version)),
        ];
        let is_current = verdict(current(f.driver) == context, "it");
        let pop = f.driver.cuCtxPopCurrent_v2(Some(&mut Handle(0)));
        Outcome::from(codes).and(is_current).and(format!("{device}, {flags}, {version}")).and(pop)
    }),
    Probe::bare("green: with no context current", |f| {
        let green = f.green();
        let mut stream = Handle::NULL;
        let code = f.driver.cuGreenCtxStreamCreate(Some(&mut stream), green.raw, 1, 0);
        Outcome::from([code, f.driver.cuStreamDestroy_v2(stream)]).and(verdict(current(f.driver) == Handle::NULL, "none current"))
    }),
    Probe::alone("green: it retains the primary context", |d| {
        d.cuInit(0);
        let active = || {
            let mut active = -1;
            d.cuDevicePrimaryCtxGetState(0, Some(&mut 0), Some(&mut active));
            active
        };
        let before = active();
        let mut green = Handle::NULL;
        let code = d.cuGreenCtxCreate(Some(&mut green), descriptor(d), 0, DEFAULT_STREAM);
        let during = active();
        let end = d.cuGreenCtxDestroy(green);
        Outcome::from([code, end]).and(format!("{before}, {during}, {}", active()))
    }),
    Probe::alone("green: made current by its own handle", |d| Fixture::alone(d, |f| d.cuCtxSetCurrent(f.green().into_raw()).into())),
    Probe::alone("green: its context destroyed as any other", |d| {
        Fixture::alone(d, |f| {
            let green = f.green();
            let code = d.cuCtxDestroy_v2(green.context());
            Outcome::from([code, d.cuGreenCtxDestroy(green.into_raw())])
        })
    }),
    Probe::alone("green: null destroyed", |d| Fixture::alone(d, |_| d.cuGreenCtxDestroy(Handle::NULL).into())),
    Probe::alone("green: the primary context destroyed as green", |d| Fixture::alone(d, |f| d.cuGreenCtxDestroy(f.primary).into())),
    Probe::alone("green: destroyed twice", |d| {
        Fixture::alone(d, |f| {
            let green = f.green().into_raw();
            d.cuGreenCtxDestroy(green);
            d.cuGreenCtxDestroy(green).into()
        })
    }),
    Probe::alone("green: destroyed while it is current", |d| {
        Fixture::alone(d, |f| {
            let green = f.green();
            let context = green.context();
            let codes = [d.cuCtxSetCurrent(context), d.cuGreenCtxDestroy(green.into_raw())];
            let still = verdict(current(d) == context, "still current");
            Outcome::from(codes).and(still).and([d.cuEventCreate(Some(&mut Handle(0)), 0), d.cuCtxSynchronize()])
        })
    }),
];

/// A green context of the primary one of device 0, destroyed at the end of the probe.
#[derive(Debug)]
pub(super) struct Green<'f> {
    driver: &'f Driver,
    pub(super) raw: Handle,
}

impl Fixture {
    /// One with all multiprocessors.
    pub(super) fn green(&self) -> Green<'_> {
        let mut raw = Handle::NULL;
        let code = self.driver.cuGreenCtxCreate(Some(&mut raw), descriptor(self.driver), 0, DEFAULT_STREAM);
        assert!(code.is_success(), "green context: {}", self.driver.code_name(code));
        Green { driver: self.driver, raw }
    }
}

impl Green<'_> {
    /// As functions take it that know nothing of green contexts.
    pub(super) fn context(&self) -> Handle {
        let mut context = Handle::NULL;
        let code = self.driver.cuCtxFromGreenCtx(Some(&mut context), self.raw);
        assert!(code.is_success(), "its context: {}", self.driver.code_name(code));
        context
    }

    /// A stream, for the probe to destroy.
    pub(super) fn stream(&self) -> Handle {
        let mut stream = Handle::NULL;
        let code = self.driver.cuGreenCtxStreamCreate(Some(&mut stream), self.raw, 1, 0);
        assert!(code.is_success(), "its stream: {}", self.driver.code_name(code));
        stream
    }

    /// The handle, for a probe that destroys it itself.
    pub(super) fn into_raw(self) -> Handle {
        let raw = self.raw;
        std::mem::forget(self);
        raw
    }
}

impl Drop for Green<'_> {
    fn drop(&mut self) {
        self.driver.cuGreenCtxDestroy(self.raw);
    }
}

/// All multiprocessors of device 0.
fn all(driver: &Driver) -> Resource {
    let mut all = Resource::default();
    driver.cuDeviceGetDevResource(0, Some(&mut all), Resource::MULTIPROCESSORS);
    all
}

/// What a green context with all of them is made from.
fn descriptor(driver: &Driver) -> Handle {
    let (mut all, mut descriptor) = (all(driver), Handle::NULL);
    driver.cuDevResourceGenerateDesc(Some(&mut descriptor), &raw mut all, 1);
    descriptor
}

/// The answer to a split, how many parts there are, their sizes, and the type and size of what is left.
fn split(driver: &Driver, whole: &Resource, wanted: u32, uses: u32, fewest: u32) -> Outcome {
    let (mut parts, mut count, mut rest) = ([Resource::default(); 4], wanted, Resource::of(99));
    let code = driver.cuDevSmResourceSplitByCount(parts.as_mut_ptr(), Some(&mut count), Some(whole), Some(&mut rest), uses, fewest);
    if !code.is_success() {
        return code.into();
    }
    let sizes: Vec<String> = parts.iter().take(count as usize).map(|part| part.count.to_string()).collect();
    Outcome::from(code).and(format!("{count}: {}; {} of {}", sizes.join(" "), rest.kind, rest.count))
}

fn current(driver: &Driver) -> Handle {
    let mut context = Handle(1);
    driver.cuCtxGetCurrent(Some(&mut context));
    context
}
