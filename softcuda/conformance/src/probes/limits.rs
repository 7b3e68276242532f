//! Limits of a context, and attributes of functions.

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, second_context};
use crate::outcome::Outcome;
use crate::probe::Probe;

/// `CU_LIMIT_STACK_SIZE`
const STACK: u32 = 0;

pub(super) const PROBES: &[Probe] = &[
    // The size of the buffer for output depends on the machine.
    Probe::current("limit: stack, heap, pending launches, fetch granularity", |f| {
        limit(f, 0).and(limit(f, 2)).and(limit(f, 4)).and(limit(f, 5))
    }),
    Probe::current("limit: depth of synchronisation on the device", |f| limit(f, 3)),
    Probe::current("limit: 9, 10, 99", |f| limit(f, 9).and(limit(f, 10)).and(limit(f, 99))),
    Probe::current("null out parameter: cuCtxGetLimit", |f| f.driver.cuCtxGetLimit(None, STACK).into()),
    Probe::current("limit: into nothing, one that is none", |f| f.driver.cuCtxGetLimit(None, 99).into()),
    Probe::bare("no context: cuCtxGetLimit, cuCtxSetLimit", |f| {
        [f.driver.cuCtxGetLimit(Some(&mut 0), STACK), f.driver.cuCtxSetLimit(STACK, 1024)].into()
    }),
    Probe::alone("limit: stack of 4096 bytes set, read back", |d| {
        Fixture::alone(d, |f| Outcome::from(d.cuCtxSetLimit(STACK, 4096)).and(limit(f, STACK)))
    }),
    Probe::alone("limit: stack of 1000 bytes set, read back", |d| {
        Fixture::alone(d, |f| Outcome::from(d.cuCtxSetLimit(STACK, 1000)).and(limit(f, STACK)))
    }),
    Probe::alone("limit: heap of 16 MiB set, read back", |d| {
        Fixture::alone(d, |f| Outcome::from(d.cuCtxSetLimit(2, 16 << 20)).and(limit(f, 2)))
    }),
    Probe::alone("limit: set in a second context, the primary one's", |d| {
        Fixture::alone(d, |f| {
            let code = f.within(second_context(d), || d.cuCtxSetLimit(STACK, 4096));
            Outcome::from(code).and(limit(f, STACK))
        })
    }),
    Probe::current("limit: 3, 10, 99 set", |f| [3, 10, 99].map(|limit| f.driver.cuCtxSetLimit(limit, 1)).into()),
    Probe::current("function attribute: most threads, shared, local memory, PTX version", |f| {
        [0, 1, 3, 5].map(|number| attribute(f, number)).into_iter().reduce(Outcome::and).unwrap_or("none".into())
    }),
    Probe::current("function attribute: architecture", |f| attribute(f, 6)),
    Probe::current("function attribute: constant memory, most dynamic shared memory", |f| attribute(f, 2).and(attribute(f, 8))),
    Probe::current("function attribute: 999", |f| attribute(f, 999)),
    Probe::current("function attribute: of null, into nothing", |f| {
        [f.driver.cuFuncGetAttribute(Some(&mut 0), 0, Handle::NULL), f.driver.cuFuncGetAttribute(None, 0, f.kernels.fill)].into()
    }),
    Probe::bare("no context: cuFuncGetAttribute", |f| f.driver.cuFuncGetAttribute(Some(&mut 0), 0, f.kernels.fill).into()),
];

fn limit(f: &Fixture, number: u32) -> Outcome {
    let mut value = 0;
    match f.driver.cuCtxGetLimit(Some(&mut value), number) {
        Code::SUCCESS => value.to_string().into(),
        code => code.into(),
    }
}

/// An attribute of the kernel that writes a word.
fn attribute(f: &Fixture, number: u32) -> Outcome {
    let mut value = 0;
    match f.driver.cuFuncGetAttribute(Some(&mut value), number, f.kernels.fill) {
        Code::SUCCESS => value.to_string().into(),
        code => code.into(),
    }
}
