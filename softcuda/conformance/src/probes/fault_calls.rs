//! The other calls after a device fault, several a process: those that the fault refuses do nothing.

use super::fault::{Faulted, after};
use crate::driver::{Driver, Handle};
use crate::fixture::{Fixture, NON_BLOCKING, address, host, page, second_context};
use crate::host_function;
use crate::kernels::{Shape, TEXT, launch};
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::alone("fault: cuStreamCreateWithPriority, cuEventRecordWithFlags", |d| {
        after(d, |d, faulted| {
            let stream = d.cuStreamCreateWithPriority(Some(&mut Handle(0)), NON_BLOCKING, 0);
            [stream, d.cuEventRecordWithFlags(faulted.fresh, faulted.stream, 0)].into()
        })
    }),
    Probe::alone("fault: device, flags, priority, capture of the stream", |d| {
        after(d, |d, faulted| {
            [
                d.cuStreamGetDevice(faulted.stream, Some(&mut 0)),
                d.cuStreamGetFlags(faulted.stream, Some(&mut 0)),
                d.cuStreamGetPriority(faulted.stream, Some(&mut 0)),
                d.cuStreamIsCapturing(faulted.stream, Some(&mut 0)),
            ]
            .into()
        })
    }),
    Probe::alone("fault: query, synchronize, record, wait, id on 0", |d| after(d, |d, faulted| stream_calls(d, faulted, Handle::DEFAULT))),
    Probe::alone("fault: query, synchronize, record, wait, id on 2", |d| {
        after(d, |d, faulted| stream_calls(d, faulted, Handle::PER_THREAD))
    }),
    Probe::alone("fault: cuLaunchHostFunc", |d| after(d, |d, faulted| host_function::enqueue(d, faulted.stream, || ()).into())),
    Probe::alone("fault: cuMemAllocAsync, cuMemFreeAsync", |d| {
        after(d, |d, faulted| [d.cuMemAllocAsync(Some(&mut 0), 4, faulted.stream), d.cuMemFreeAsync(faulted.memory, faulted.stream)].into())
    }),
    Probe::alone("fault: cuMemFree, cuMemFreeHost, cuMemFreeAsync of null", |d| {
        after(d, |d, faulted| [d.cuMemFree_v2(0), d.cuMemFreeHost(std::ptr::null_mut()), d.cuMemFreeAsync(0, faulted.stream)].into())
    }),
    Probe::alone("fault: cuMemGetInfo, the allocation of pinned and managed memory", |d| {
        after(d, |d, _| {
            let mut memory = std::ptr::null_mut();
            [
                d.cuMemGetInfo_v2(Some(&mut 0), Some(&mut 0)),
                d.cuMemHostAlloc(Some(&mut memory), 4, 0),
                d.cuMemAllocHost_v2(Some(&mut memory), 4),
                d.cuMemAllocManaged(Some(&mut 0), 4, 1),
            ]
            .into()
        })
    }),
    Probe::alone("fault: cuMemFreeHost", |d| after(d, |d, faulted| d.cuMemFreeHost(host(faulted.pinned)).into())),
    Probe::alone("fault: cuMemHostGetDevicePointer, cuMemHostGetFlags", |d| {
        after(d, |d, faulted| {
            let memory = host(faulted.pinned);
            [d.cuMemHostGetDevicePointer_v2(Some(&mut 0), memory, 0), d.cuMemHostGetFlags(Some(&mut 0), memory)].into()
        })
    }),
    Probe::alone("fault: cuMemHostRegister", |d| after(d, |d, _| d.cuMemHostRegister_v2(host(&page()[0]), 4096, 0).into())),
    Probe::alone("fault: cuPointerGetAttribute of the type, cuMemGetAddressRange", |d| {
        after(d, |d, faulted| {
            let mut kind = 0_u64;
            [
                d.cuPointerGetAttribute((&raw mut kind).cast(), 2, faulted.memory),
                d.cuMemGetAddressRange_v2(Some(&mut 0), Some(&mut 0), faulted.memory),
            ]
            .into()
        })
    }),
    Probe::alone("fault: synchronous copies and memsets", |d| {
        after(d, |d, faulted| {
            let (to, word) = (faulted.memory, faulted.pinned);
            [
                d.cuMemcpyHtoD_v2(to, host(word), 4),
                d.cuMemcpyDtoH_v2(host(word), to, 4),
                d.cuMemcpyDtoD_v2(to, to, 4),
                d.cuMemcpy(to, address(word), 4),
                d.cuMemsetD8_v2(to, 1, 4),
                d.cuMemsetD32_v2(to, 1, 1),
            ]
            .into()
        })
    }),
    Probe::alone("fault: asynchronous copies and memsets", |d| {
        after(d, |d, faulted| {
            let (to, word, stream) = (faulted.memory, faulted.pinned, faulted.stream);
            [
                d.cuMemcpyHtoDAsync_v2(to, host(word), 4, stream),
                d.cuMemcpyDtoHAsync_v2(host(word), to, 4, stream),
                d.cuMemcpyDtoDAsync_v2(to, to, 4, stream),
                d.cuMemcpyAsync(to, address(word), 4, stream),
                d.cuMemsetD16Async(to, 1, 1, stream),
                d.cuMemsetD32Async(to, 1, 1, stream),
            ]
            .into()
        })
    }),
    Probe::alone("fault: copies and memsets of 0 bytes", |d| {
        after(d, |d, faulted| {
            let (to, word) = (faulted.memory, faulted.pinned);
            [d.cuMemcpyHtoD_v2(to, host(word), 0), d.cuMemsetD8_v2(to, 1, 0), d.cuMemsetD8Async(to, 1, 0, faulted.stream)].into()
        })
    }),
    Probe::alone("fault: cuStreamWaitValue32, cuStreamWriteValue32", |d| {
        after(d, |d, faulted| {
            let word = address(faulted.pinned);
            [d.cuStreamWaitValue32_v2(faulted.stream, word, 0, 1), d.cuStreamWriteValue32_v2(faulted.stream, word, 0, 0)].into()
        })
    }),
    Probe::alone("fault: cuModuleLoadData, cuModuleGetFunction, cuFuncGetAttribute", |d| {
        after(d, |d, faulted| {
            let kernels = &faulted.fixture.kernels;
            [
                d.cuModuleLoadData(Some(&mut Handle(0)), TEXT.as_ptr().cast()),
                d.cuModuleGetFunction(Some(&mut Handle(0)), kernels.module, c"fill".as_ptr()),
                d.cuFuncGetAttribute(Some(&mut 0), 0, kernels.fill),
            ]
            .into()
        })
    }),
    Probe::alone("fault: flags, version, priorities, limit of the context", |d| {
        after(d, |d, faulted| {
            [
                d.cuCtxGetFlags(Some(&mut 0)),
                d.cuCtxGetApiVersion(faulted.fixture.primary, Some(&mut 0)),
                d.cuCtxGetStreamPriorityRange(Some(&mut 0), Some(&mut 0)),
                d.cuCtxGetLimit(Some(&mut 0), 0),
            ]
            .into()
        })
    }),
    Probe::alone("fault: cuCtxSetCurrent, cuCtxPopCurrent", |d| {
        after(d, |d, faulted| [d.cuCtxSetCurrent(faulted.fixture.primary), d.cuCtxPopCurrent_v2(Some(&mut Handle(0)))].into())
    }),
    Probe::alone("fault: cuCtxEnablePeerAccess, cuCtxDisablePeerAccess", |d| {
        after(d, |d, faulted| {
            let own = faulted.fixture.primary;
            [d.cuCtxEnablePeerAccess(own, 0), d.cuCtxDisablePeerAccess(own)].into()
        })
    }),
    Probe::alone("fault: properties of the device, of the primary context", |d| {
        after(d, |d, _| {
            [
                d.cuDeviceGet(Some(&mut 0), 0),
                d.cuDeviceTotalMem_v2(Some(&mut 0), 0),
                d.cuDeviceCanAccessPeer(Some(&mut 0), 0, 0),
                d.cuDevicePrimaryCtxGetState(0, Some(&mut 0), Some(&mut 0)),
                d.cuDevicePrimaryCtxSetFlags_v2(0, 0),
                d.cuInit(0),
            ]
            .into()
        })
    }),
    Probe::alone("fault: cuDeviceGetDefaultMemPool, cuMemPoolTrimTo", |d| {
        after(d, |d, _| {
            let mut pool = Handle::NULL;
            let code = d.cuDeviceGetDefaultMemPool(Some(&mut pool), 0);
            if code.is_success() { [code, d.cuMemPoolTrimTo(pool, 0)].into() } else { code.into() }
        })
    }),
    Probe::alone("fault: null event, null out parameter, bad flags", |d| {
        after(d, |d, _| [d.cuEventQuery(Handle::NULL), d.cuEventCreate(None, 0), d.cuStreamCreate(Some(&mut Handle(0)), 128)].into())
    }),
    Probe::alone("fault: cuDevicePrimaryCtxRelease, then retain", |d| {
        after(d, |d, _| [d.cuDevicePrimaryCtxRelease_v2(0), d.cuDevicePrimaryCtxRetain(Some(&mut Handle(0)), 0)].into())
    }),
    Probe::alone("fault: none current, query of the event, of the stream", |d| {
        after(d, |d, faulted| {
            d.cuCtxSetCurrent(Handle::NULL);
            [d.cuEventQuery(faulted.complete), d.cuStreamQuery(faulted.stream), d.cuEventCreate(Some(&mut Handle(0)), 0)].into()
        })
    }),
    Probe::alone("fault: seen by another thread", |d| {
        after(d, |d, faulted| {
            let call = || [d.cuCtxSetCurrent(faulted.fixture.primary), d.cuEventQuery(faulted.complete), d.cuCtxSynchronize()];
            std::thread::scope(|scope| scope.spawn(call).join()).map_or("panics".into(), Outcome::from)
        })
    }),
    Probe::alone("fault: found by cuEventSynchronize", |d| found(d, |d, _, event| d.cuEventSynchronize(event).into())),
    Probe::alone("fault: found by cuCtxSynchronize", |d| found(d, |d, _, _| d.cuCtxSynchronize().into())),
    Probe::alone("fault: found by cuMemFree", |d| found(d, |d, faulted, _| d.cuMemFree_v2(faulted.memory).into())),
    Probe::alone("fault: a second context's stream, event, synchronize, destroy", |d| {
        Fixture::alone(d, |f| {
            let second = second_context(d);
            let (stream, other) = (f.stream(), f.stream_in(second, NON_BLOCKING).into_handle());
            let event = f.event_in(second, 0).into_handle();
            launch(d, f.kernels.fault, Shape::ONE_THREAD, *stream, &[]);
            let noticed = d.cuStreamSynchronize(*stream);
            let calls = [d.cuStreamQuery(other), d.cuEventRecord(event, other), d.cuEventSynchronize(event)];
            let rest = [f.within(second, || d.cuCtxSynchronize()), d.cuCtxDestroy_v2(second)];
            Outcome::from(noticed).and(calls).and(rest)
        })
    }),
    Probe::alone("fault: the primary context's work after a destroyed one's fault", |d| {
        Fixture::alone(d, |f| {
            let (second, mut module, mut fault) = (second_context(d), Handle::NULL, Handle::NULL);
            let stream = f.stream_in(second, NON_BLOCKING).into_handle();
            let noticed = f.within(second, || {
                d.cuModuleLoadData(Some(&mut module), TEXT.as_ptr().cast());
                d.cuModuleGetFunction(Some(&mut fault), module, c"fault".as_ptr());
                launch(d, fault, Shape::ONE_THREAD, stream, &[]);
                d.cuStreamSynchronize(stream)
            });
            [noticed, d.cuCtxDestroy_v2(second), d.cuCtxSynchronize()].into()
        })
    }),
];

fn stream_calls(driver: &Driver, faulted: &Faulted, stream: Handle) -> Outcome {
    [
        driver.cuStreamQuery(stream),
        driver.cuStreamSynchronize(stream),
        driver.cuEventRecord(faulted.fresh, stream),
        driver.cuStreamWaitEvent(stream, faulted.complete, 0),
        driver.cuStreamGetId(stream, Some(&mut 0)),
    ]
    .into()
}

/// The first call after a fault that waits for it: with an event behind the fault.
fn found(driver: &'static Driver, probe: fn(&Driver, &Faulted, Handle) -> Outcome) -> Outcome {
    let faulted = match Faulted::before(driver) {
        Ok(faulted) => faulted,
        Err(why) => return why.into(),
    };
    let hold = faulted.fixture.hold(faulted.stream);
    launch(driver, faulted.fixture.kernels.fault, Shape::ONE_THREAD, faulted.stream, &[]);
    driver.cuEventRecord(faulted.fresh, faulted.stream);
    hold.release();
    let first = probe(driver, &faulted, faulted.fresh);
    first.and(driver.cuEventQuery(faulted.fresh))
}
