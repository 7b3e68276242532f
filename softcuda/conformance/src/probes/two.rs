//! Two devices. Only where there are two.

use crate::driver::Handle;
use crate::fixture::{Fixture, NON_BLOCKING};
use crate::handles::DISABLE_TIMING;
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::bare("two: retaining one device's context leaves the other", |f| {
        let (mut first, mut second) = (-1, -1);
        f.driver.cuDevicePrimaryCtxGetState(0, Some(&mut 0), Some(&mut first));
        f.driver.cuDevicePrimaryCtxGetState(1, Some(&mut 0), Some(&mut second));
        format!("{first}, {second}").into()
    }),
    Probe::current("two: their contexts", |f| on_other(f, |f, context| verdict(context != f.primary, "different"))),
    Probe::current("two: device of the other's stream", |f| {
        on_other(f, |f, context| {
            let mut device = -1;
            let stream = f.stream_in(context, NON_BLOCKING);
            Outcome::from(f.driver.cuStreamGetDevice(*stream, Some(&mut device))).and(device.to_string())
        })
    }),
    Probe::current("two: record an event on the other's stream", |f| {
        on_other(f, |f, context| {
            let (stream, event) = (f.stream_in(context, NON_BLOCKING), f.event(0));
            f.driver.cuEventRecord(*event, *stream).into()
        })
    }),
    Probe::current("two: record, synchronize, query the other's event", |f| {
        on_other(f, |f, context| {
            let (stream, event) = (f.stream_in(context, NON_BLOCKING), f.event_in(context, 0));
            [f.driver.cuEventRecord(*event, *stream), f.driver.cuEventSynchronize(*event), f.driver.cuEventQuery(*event)].into()
        })
    }),
    Probe::current("two: the other's stream waits for a held event", |f| {
        on_other(f, |f, context| {
            let (held, waiting) = (f.stream(), f.stream_in(context, NON_BLOCKING));
            let tail = f.event_in(context, DISABLE_TIMING);
            let hold = f.hold(*held);
            let event = f.recorded(*held);
            let code = f.driver.cuStreamWaitEvent(*waiting, *event, 0);
            f.driver.cuEventRecord(*tail, *waiting);
            Outcome::from(code).and(hold.query_and_release(*tail))
        })
    }),
    Probe::current("two: elapsed between them", |f| {
        on_other(f, |f, context| {
            let (stream, end) = (f.stream_in(context, NON_BLOCKING), f.event_in(context, 0));
            f.driver.cuEventRecord(*end, *stream);
            f.driver.cuEventSynchronize(*end);
            let start = f.complete(0);
            [f.driver.cuEventElapsedTime(Some(&mut 0.0), *start, *end), f.driver.cuEventElapsedTime_v2(Some(&mut 0.0), *start, *end)].into()
        })
    }),
    Probe::current("two: a kernel on the other's stream", |f| {
        on_other(f, |f, context| {
            let (stream, memory) = (f.stream_in(context, NON_BLOCKING), f.memory(1, 0));
            f.kernels.fill(f.driver, memory.address, 1, *stream).into()
        })
    }),
    Probe::current("two: the other's free stream beside a held one", |f| {
        on_other(f, |f, context| {
            let (held, free) = (f.stream(), f.stream_in(context, NON_BLOCKING));
            let tail = f.event_in(context, DISABLE_TIMING);
            let hold = f.hold(*held);
            f.driver.cuEventRecord(*tail, *free);
            hold.query_and_release(*tail)
        })
    }),
    Probe::current("two: legacy work of the other, 0 held here", |f| {
        on_other(f, |f, context| {
            let tail = f.event_in(context, DISABLE_TIMING);
            let hold = f.hold(Handle::DEFAULT);
            f.within(context, || f.driver.cuEventRecord(*tail, Handle::DEFAULT));
            hold.query_and_release(*tail)
        })
    }),
    Probe::current("two: ids of their contexts", |f| {
        on_other(f, |f, context| {
            let mut ids = [0, 0];
            f.driver.cuCtxGetId(f.primary, Some(&mut ids[0]));
            f.driver.cuCtxGetId(context, Some(&mut ids[1]));
            verdict(ids[0] != ids[1], "different")
        })
    }),
    Probe::current("two: ids of their legacy streams", |f| {
        on_other(f, |f, context| {
            let mut ids = [0, 0];
            f.driver.cuStreamGetId(Handle::DEFAULT, Some(&mut ids[0]));
            f.within(context, || f.driver.cuStreamGetId(Handle::DEFAULT, Some(&mut ids[1])));
            verdict(ids[0] != ids[1], "different")
        })
    }),
    Probe::current("two: peer access disabled, never enabled", |f| {
        on_other(f, |f, context| f.driver.cuCtxDisablePeerAccess(context).into())
    }),
    Probe::current("two: peer access enabled twice, disabled twice", |f| {
        on_other(f, |f, context| {
            [
                f.driver.cuCtxEnablePeerAccess(context, 0),
                f.driver.cuCtxEnablePeerAccess(context, 0),
                f.driver.cuCtxDisablePeerAccess(context),
                f.driver.cuCtxDisablePeerAccess(context),
            ]
            .into()
        })
    }),
    Probe::current("two: UUIDs", |f| {
        let (mut first, mut second) = ([0; 16], [0; 16]);
        f.driver.cuDeviceGetUuid_v2(Some(&mut first), 0);
        f.driver.cuDeviceGetUuid_v2(Some(&mut second), 1);
        verdict(first != second, "different")
    }),
];

/// Probes with the primary context of device 1; that of device 0 stays current.
pub(super) fn on_other(f: &Fixture, probe: impl FnOnce(&Fixture, Handle) -> Outcome) -> Outcome {
    let mut context = Handle::NULL;
    let code = f.driver.cuDevicePrimaryCtxRetain(Some(&mut context), 1);
    if !code.is_success() {
        return code.into();
    }
    let outcome = probe(f, context);
    f.driver.cuDevicePrimaryCtxRelease_v2(1);
    outcome
}
