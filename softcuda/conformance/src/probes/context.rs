//! Contexts: the stack of the thread, identity, second contexts of a device.

use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, NON_BLOCKING, second_context};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::bare("context: none current", |f| {
        let mut context = Handle(1);
        Outcome::from(f.driver.cuCtxGetCurrent(Some(&mut context))).and(verdict(context == Handle::NULL, "null"))
    }),
    Probe::bare("context: pop from an empty stack", |f| f.driver.cuCtxPopCurrent_v2(Some(&mut Handle(0))).into()),
    Probe::bare("context: pop without asking which", |f| {
        [f.driver.cuCtxPushCurrent_v2(f.primary), f.driver.cuCtxPopCurrent_v2(None)].into()
    }),
    Probe::bare("context: push null", |f| f.driver.cuCtxPushCurrent_v2(Handle::NULL).into()),
    Probe::bare("context: set null, none current", |f| f.driver.cuCtxSetCurrent(Handle::NULL).into()),
    Probe::current("context: set null, one current", |f| {
        Outcome::from(f.driver.cuCtxSetCurrent(Handle::NULL)).and(current(f.driver, f.primary))
    }),
    Probe::current("context: set the same again", |f| Outcome::from(f.driver.cuCtxSetCurrent(f.primary)).and(current(f.driver, f.primary))),
    Probe::bare("context: pushed twice, popped three times", |f| {
        let pop = || f.driver.cuCtxPopCurrent_v2(Some(&mut Handle(0)));
        f.driver.cuCtxPushCurrent_v2(f.primary);
        f.driver.cuCtxPushCurrent_v2(f.primary);
        [pop(), pop(), pop()].into()
    }),
    Probe::current("context: set replaces the top of the stack", |f| {
        let second = f.second_context();
        f.driver.cuCtxPushCurrent_v2(second);
        f.driver.cuCtxSetCurrent(f.primary);
        let mut popped = Handle::NULL;
        f.driver.cuCtxPopCurrent_v2(Some(&mut popped));
        let below = current(f.driver, f.primary);
        f.driver.cuCtxDestroy_v2(second);
        verdict(popped == f.primary, "popped what was set").and(below)
    }),
    Probe::current("context: set null over another one", |f| {
        f.driver.cuCtxPushCurrent_v2(f.primary);
        let code = f.driver.cuCtxSetCurrent(Handle::NULL);
        Outcome::from(code).and(current(f.driver, f.primary)).and(f.driver.cuCtxPopCurrent_v2(Some(&mut Handle(0))))
    }),
    Probe::bare("context: set where none is, then popped", |f| {
        let set = f.driver.cuCtxSetCurrent(f.primary);
        [set, f.driver.cuCtxPopCurrent_v2(Some(&mut Handle(0))), f.driver.cuCtxPopCurrent_v2(Some(&mut Handle(0)))].into()
    }),
    Probe::bare("context: pushed 100 times, popped 100 times", |f| {
        let pushed = (0..100).filter(|_| f.driver.cuCtxPushCurrent_v2(f.primary).is_success()).count();
        let popped = (0..100).filter(|_| f.driver.cuCtxPopCurrent_v2(Some(&mut Handle(0))).is_success()).count();
        Outcome::from(format!("{pushed}, {popped}")).and(current(f.driver, f.primary))
    }),
    Probe::alone("second context: destroyed below the current one, then popped to", |d| {
        Fixture::alone(d, |f| {
            let second = f.second_context();
            d.cuCtxSetCurrent(second);
            d.cuCtxPushCurrent_v2(f.primary);
            let codes = [d.cuCtxDestroy_v2(second), d.cuCtxPopCurrent_v2(Some(&mut Handle(0)))];
            let now = current(d, second);
            Outcome::from(codes).and(now).and([d.cuCtxSynchronize(), d.cuEventCreate(Some(&mut Handle(0)), 0)])
        })
    }),
    Probe::alone("second context: destroyed by another thread while current here", |d| {
        Fixture::alone(d, |f| {
            let second = f.second_context();
            d.cuCtxSetCurrent(second);
            let code = std::thread::scope(|scope| scope.spawn(|| d.cuCtxDestroy_v2(second)).join()).map_or("panics".into(), Outcome::from);
            let now = current(d, second);
            code.and(now).and([
                d.cuCtxSynchronize(),
                d.cuEventCreate(Some(&mut Handle(0)), 0),
                d.cuMemAlloc_v2(Some(&mut 0), 4),
                d.cuCtxGetDevice(Some(&mut 0)),
                d.cuStreamQuery(Handle::DEFAULT),
            ])
        })
    }),
    Probe::alone("second context: destroyed twice", |d| {
        Fixture::alone(d, |f| {
            let second = f.second_context();
            [d.cuCtxDestroy_v2(second), d.cuCtxDestroy_v2(second)].into()
        })
    }),
    Probe::current("second context: destroyed with a stream that is held by an event", |f| {
        // The end of a context waits for its work.
        let (context, held) = (f.second_context(), f.stream());
        let waiting = f.stream_in(context, NON_BLOCKING).into_handle();
        let hold = f.hold(*held);
        let event = f.recorded(*held);
        f.driver.cuStreamWaitEvent(waiting, *event, 0);
        hold.wait_and_release(|d| d.cuCtxDestroy_v2(context))
    }),
    Probe::bare("second context: flags 0 to 7 read back", |f| {
        (0..8).map(|flags| created_with(f.driver, flags)).reduce(Outcome::and).unwrap_or("none".into())
    }),
    Probe::bare("second context: flags 8, 16, 24, 256 read back", |f| {
        let each = [8, 16, 24, 256].map(|flags| created_with(f.driver, flags));
        each.into_iter().reduce(Outcome::and).unwrap_or("none".into())
    }),
    Probe::bare("second context: version of the API of both", |f| {
        let (context, mut versions) = (f.second_context(), [0, 0]);
        f.driver.cuCtxGetApiVersion(context, Some(&mut versions[0]));
        f.driver.cuCtxGetApiVersion(f.primary, Some(&mut versions[1]));
        f.driver.cuCtxDestroy_v2(context);
        format!("{}, {}", versions[0], versions[1]).into()
    }),
    Probe::current("second context: memory of the primary one freed there", |f| {
        let (context, address) = (f.second_context(), f.memory(1, 0).into_address());
        let code = f.within(context, || f.driver.cuMemFree_v2(address));
        f.driver.cuCtxDestroy_v2(context);
        code.into()
    }),
    Probe::current("second context: its memory set and copied on a primary stream", |f| {
        let (context, stream, mut address) = (f.second_context(), f.stream(), 0);
        f.within(context, || f.driver.cuMemAlloc_v2(Some(&mut address), 4));
        let (set, word) = (f.driver.cuMemsetD32Async(address, 7, 1, *stream), f.pinned(1));
        let codes = [
            set,
            f.driver.cuMemcpyDtoHAsync_v2(crate::fixture::host(&word[0]), address, 4, *stream),
            f.driver.cuStreamSynchronize(*stream),
        ];
        f.driver.cuCtxDestroy_v2(context);
        Outcome::from(codes).and(word[0].load(std::sync::atomic::Ordering::Acquire).to_string())
    }),
    Probe::alone("second context: its memory in a primary kernel", |d| {
        Fixture::alone(d, |f| {
            let (context, stream, mut address) = (f.second_context(), f.stream(), 0);
            f.within(context, || d.cuMemAlloc_v2(Some(&mut address), 4));
            [f.kernels.fill(d, address, 7, *stream), d.cuStreamSynchronize(*stream)].into()
        })
    }),
    Probe::current("second context: the handles 0 and 2 are its own when current", |f| {
        let context = f.second_context();
        let (mut ids, mut owner) = ([0; 4], Handle::NULL);
        f.driver.cuStreamGetId(Handle::DEFAULT, Some(&mut ids[0]));
        f.driver.cuStreamGetId(Handle::PER_THREAD, Some(&mut ids[1]));
        f.within(context, || {
            f.driver.cuStreamGetId(Handle::DEFAULT, Some(&mut ids[2]));
            f.driver.cuStreamGetId(Handle::PER_THREAD, Some(&mut ids[3]));
            f.driver.cuStreamGetCtx(Handle::DEFAULT, Some(&mut owner))
        });
        f.driver.cuCtxDestroy_v2(context);
        verdict(ids[0] != ids[2] && ids[1] != ids[3], "other ids").and(verdict(owner == context, "its own"))
    }),
    Probe::current("peer access: to a second context of the device", |f| {
        let context = f.second_context();
        let codes = [f.driver.cuCtxEnablePeerAccess(context, 0), f.driver.cuCtxDisablePeerAccess(context)];
        f.driver.cuCtxDestroy_v2(context);
        codes.into()
    }),
    Probe::bare("context: current on this thread, on another", |f| {
        f.driver.cuCtxSetCurrent(f.primary);
        let there = std::thread::scope(|scope| scope.spawn(|| current(f.driver, f.primary)).join().unwrap_or_else(|_| "panics".into()));
        current(f.driver, f.primary).and(there)
    }),
    Probe::bare("null out parameter: cuCtxGetCurrent", |f| f.driver.cuCtxGetCurrent(None).into()),
    Probe::current("null out parameter: cuCtxGetDevice", |f| f.driver.cuCtxGetDevice(None).into()),
    Probe::current("null out parameter: cuCtxGetId", |f| f.driver.cuCtxGetId(f.primary, None).into()),
    Probe::current("context: device of the primary one", |f| device(f.driver)),
    Probe::current("context: id of null is that of the current one", |f| {
        let (mut null, mut primary) = (0, 0);
        let codes = [f.driver.cuCtxGetId(Handle::NULL, Some(&mut null)), f.driver.cuCtxGetId(f.primary, Some(&mut primary))];
        Outcome::from(codes).and(verdict(null == primary, "equal"))
    }),
    Probe::bare("context: id of null, none current", |f| f.driver.cuCtxGetId(Handle::NULL, Some(&mut 0)).into()),
    Probe::bare("context: id of the primary one, none current", |f| f.driver.cuCtxGetId(f.primary, Some(&mut 0)).into()),
    Probe::bare("context: ids of one after another", |f| {
        let ids = [(); 3].map(|()| {
            let (context, mut id) = (f.second_context(), 0);
            f.driver.cuCtxGetId(context, Some(&mut id));
            f.driver.cuCtxDestroy_v2(context);
            id
        });
        verdict(ids.is_sorted_by(|a, b| a < b), "growing")
    }),
    Probe::current("context: version of the API", |f| f.driver.cuCtxGetApiVersion(f.primary, Some(&mut 0)).into()),
    Probe::current("context: flags of the primary one", |f| f.driver.cuCtxGetFlags(Some(&mut 0)).into()),
    Probe::current("context: priority range", |f| {
        let (mut least, mut greatest) = (9, 9);
        let code = f.driver.cuCtxGetStreamPriorityRange(Some(&mut least), Some(&mut greatest));
        Outcome::from(code).and(format!("{least} to {greatest}"))
    }),
    Probe::current("context: priority range into nothing", |f| f.driver.cuCtxGetStreamPriorityRange(None, None).into()),
    Probe::bare("second context: current when created", |f| {
        let mut context = Handle::NULL;
        let code = f.driver.cuCtxCreate_v2(Some(&mut context), 0, 0);
        let now = current(f.driver, context);
        f.driver.cuCtxDestroy_v2(context);
        Outcome::from(code).and(now)
    }),
    Probe::bare("second context: destroyed while current", |f| {
        let context = f.second_context();
        f.driver.cuCtxPushCurrent_v2(context);
        Outcome::from(f.driver.cuCtxDestroy_v2(context)).and(current(f.driver, context))
    }),
    Probe::bare("second context: its device", |f| {
        let context = f.second_context();
        let device = f.within(context, || device(f.driver));
        f.driver.cuCtxDestroy_v2(context);
        device
    }),
    Probe::current("second context: streams and events beside the primary one", |f| {
        let context = f.second_context();
        let codes = {
            let (stream, event) = (f.stream_in(context, NON_BLOCKING), f.event_in(context, 0));
            [
                f.driver.cuEventRecord(*event, *stream),
                f.driver.cuEventSynchronize(*event),
                f.driver.cuEventQuery(*event),
                f.driver.cuStreamQuery(*stream),
            ]
        };
        f.driver.cuCtxDestroy_v2(context);
        codes.into()
    }),
    Probe::bare("second context: bad flags", |f| f.driver.cuCtxCreate_v2(Some(&mut Handle(0)), 0xff00, 0).into()),
    Probe::bare("second context: on device 999", |f| f.driver.cuCtxCreate_v2(Some(&mut Handle(0)), 0, 999).into()),
    Probe::bare("null out parameter: cuCtxCreate", |f| f.driver.cuCtxCreate_v2(None, 0, 0).into()),
    Probe::bare("context: destroy null", |f| f.driver.cuCtxDestroy_v2(Handle::NULL).into()),
    Probe::alone("second context: synchronize after it was destroyed", |d| {
        d.cuInit(0);
        let context = second_context(d);
        d.cuCtxPushCurrent_v2(context);
        d.cuCtxDestroy_v2(context);
        d.cuCtxSynchronize().into()
    }),
    Probe::alone("second context: id after it was destroyed", |d| {
        d.cuInit(0);
        let context = second_context(d);
        d.cuCtxDestroy_v2(context);
        d.cuCtxGetId(context, Some(&mut 0)).into()
    }),
    Probe::current("peer access: to the own context", |f| f.driver.cuCtxEnablePeerAccess(f.primary, 0).into()),
    Probe::current("peer access: to null", |f| f.driver.cuCtxEnablePeerAccess(Handle::NULL, 0).into()),
    Probe::current("peer access: flags 1", |f| f.driver.cuCtxEnablePeerAccess(f.primary, 1).into()),
    Probe::current("peer access: disabled, never enabled", |f| f.driver.cuCtxDisablePeerAccess(f.primary).into()),
];

/// A context created with these flags: the answer, and the flags read back.
fn created_with(driver: &Driver, flags: u32) -> Outcome {
    let (mut context, mut read) = (Handle::NULL, 99);
    let code = driver.cuCtxCreate_v2(Some(&mut context), flags, 0);
    if !code.is_success() {
        return code.into();
    }
    driver.cuCtxGetFlags(Some(&mut read));
    driver.cuCtxDestroy_v2(context);
    Outcome::from(code).and(read.to_string())
}

/// Is `expected` current?
fn current(driver: &Driver, expected: Handle) -> Outcome {
    let mut context = Handle::NULL;
    driver.cuCtxGetCurrent(Some(&mut context));
    match context {
        Handle::NULL => "none current".into(),
        context if context == expected => "current".into(),
        _ => "another current".into(),
    }
}

fn device(driver: &Driver) -> Outcome {
    let mut device = -1;
    Outcome::from(driver.cuCtxGetDevice(Some(&mut device))).and(device.to_string())
}
