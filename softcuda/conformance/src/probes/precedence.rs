//! Calls that are wrong in two ways at once: which of them the driver tells.

use crate::driver::Handle;
use crate::fixture::{NON_BLOCKING, NOWHERE};
use crate::handles::DISABLE_TIMING;
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::bare("no context, null: cuStreamCreate, cuEventCreate", |f| {
        [f.driver.cuStreamCreate(None, NON_BLOCKING), f.driver.cuEventCreate(None, 0)].into()
    }),
    Probe::bare("no context, bad flags: cuStreamCreate, cuEventCreate", |f| {
        [f.driver.cuStreamCreate(Some(&mut Handle(0)), 128), f.driver.cuEventCreate(Some(&mut Handle(0)), 16)].into()
    }),
    Probe::bare("no context, null: cuMemAlloc, cuMemHostAlloc, cuMemGetInfo", |f| {
        [f.driver.cuMemAlloc_v2(None, 4), f.driver.cuMemHostAlloc(None, 4, 0), f.driver.cuMemGetInfo_v2(None, None)].into()
    }),
    Probe::bare("no context, 0 bytes: cuMemAlloc, cuMemHostAlloc", |f| {
        [f.driver.cuMemAlloc_v2(Some(&mut 0), 0), f.driver.cuMemHostAlloc(Some(&mut std::ptr::null_mut()), 0, 0)].into()
    }),
    Probe::bare("no context, bad flags: cuMemHostAlloc, cuCtxEnablePeerAccess", |f| {
        let memory = f.driver.cuMemHostAlloc(Some(&mut std::ptr::null_mut()), 4, 256);
        [memory, f.driver.cuCtxEnablePeerAccess(f.primary, 1)].into()
    }),
    Probe::bare("no context, null: cuCtxGetDevice, cuCtxGetFlags", |f| {
        [f.driver.cuCtxGetDevice(None), f.driver.cuCtxGetFlags(None)].into()
    }),
    Probe::bare("no context, nowhere: cuMemFree, cuMemFreeHost", |f| {
        [f.driver.cuMemFree_v2(NOWHERE), f.driver.cuMemFreeHost([0_u8; 4].as_mut_ptr().cast())].into()
    }),
    Probe::bare("no context, null: cuMemFree, cuMemFreeHost, cuMemFreeAsync on 0", |f| {
        [f.driver.cuMemFree_v2(0), f.driver.cuMemFreeHost(std::ptr::null_mut()), f.driver.cuMemFreeAsync(0, Handle::DEFAULT)].into()
    }),
    Probe::bare("no context, 0 bytes: copies and memsets", |f| {
        let memory = f.memory(1, 0);
        [
            f.driver.cuMemcpyHtoD_v2(memory.address, [0_u32].as_ptr().cast(), 0),
            f.driver.cuMemcpyDtoH_v2([0_u32].as_mut_ptr().cast(), memory.address, 0),
            f.driver.cuMemsetD8_v2(memory.address, 0, 0),
        ]
        .into()
    }),
    Probe::bare("no context, null event: record and wait on 0", |f| {
        [f.driver.cuEventRecord(Handle::NULL, Handle::DEFAULT), f.driver.cuStreamWaitEvent(Handle::DEFAULT, Handle::NULL, 0)].into()
    }),
    Probe::bare("no context, null event: query, synchronize, destroy", |f| {
        [f.driver.cuEventQuery(Handle::NULL), f.driver.cuEventSynchronize(Handle::NULL), f.driver.cuEventDestroy_v2(Handle::NULL)].into()
    }),
    Probe::bare("no context, null function: cuLaunchHostFunc on 0", |f| {
        f.driver.cuLaunchHostFunc(Handle::DEFAULT, None, std::ptr::null_mut()).into()
    }),
    Probe::bare("no context: destroy the handles 0, 1, 2", |f| {
        [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD].map(|stream| f.driver.cuStreamDestroy_v2(stream)).into()
    }),
    Probe::bare("no context, null: cuStreamGetId of 0, cuStreamGetFlags of 0", |f| {
        [f.driver.cuStreamGetId(Handle::DEFAULT, None), f.driver.cuStreamGetFlags(Handle::DEFAULT, None)].into()
    }),
    Probe::current("bad flags and null event: record, wait", |f| {
        let stream = f.stream();
        [f.driver.cuEventRecordWithFlags(Handle::NULL, *stream, 2), f.driver.cuStreamWaitEvent(*stream, Handle::NULL, 2)].into()
    }),
    Probe::current("bad flags and null: cuStreamCreate, cuEventCreate", |f| {
        [f.driver.cuStreamCreate(None, 128), f.driver.cuEventCreate(None, 16)].into()
    }),
    Probe::current("null and unrecorded, null and without timing: elapsed", |f| {
        let (fresh, untimed) = (f.event(0), f.complete(DISABLE_TIMING));
        [
            f.driver.cuEventElapsedTime_v2(None, *fresh, *fresh),
            f.driver.cuEventElapsedTime_v2(None, *untimed, *untimed),
            f.driver.cuEventElapsedTime_v2(None, Handle::NULL, Handle::NULL),
        ]
        .into()
    }),
    Probe::current("null and complete: elapsed of one event", |f| {
        let event = f.complete(0);
        [f.driver.cuEventElapsedTime(None, *event, *event), f.driver.cuEventElapsedTime_v2(None, *event, *event)].into()
    }),
    Probe::current("0 bytes nowhere: copies", |f| {
        let stream = f.stream();
        [
            f.driver.cuMemcpyHtoD_v2(NOWHERE, [0_u32].as_ptr().cast(), 0),
            f.driver.cuMemcpyDtoH_v2([0_u32].as_mut_ptr().cast(), NOWHERE, 0),
            f.driver.cuMemcpyHtoDAsync_v2(NOWHERE, [0_u32].as_ptr().cast(), 0, *stream),
            f.driver.cuMemcpyDtoDAsync_v2(NOWHERE, NOWHERE, 0, *stream),
        ]
        .into()
    }),
    Probe::current("0 bytes of null: copies", |f| {
        let (memory, stream) = (f.memory(1, 0), f.stream());
        [
            f.driver.cuMemcpyHtoD_v2(memory.address, std::ptr::null(), 0),
            f.driver.cuMemcpyDtoH_v2(std::ptr::null_mut(), memory.address, 0),
            f.driver.cuMemcpyHtoDAsync_v2(memory.address, std::ptr::null(), 0, *stream),
            f.driver.cuMemcpyHtoD_v2(0, [0_u32].as_ptr().cast(), 0),
        ]
        .into()
    }),
    Probe::current("null: copies to and from it", |f| {
        let (memory, stream) = (f.memory(1, 0), f.stream());
        [
            f.driver.cuMemcpyHtoD_v2(memory.address, std::ptr::null(), 4),
            f.driver.cuMemcpyHtoDAsync_v2(memory.address, std::ptr::null(), 4, *stream),
            f.driver.cuMemcpyDtoHAsync_v2(std::ptr::null_mut(), memory.address, 4, *stream),
            f.driver.cuMemcpyHtoD_v2(0, [0_u32].as_ptr().cast(), 4),
        ]
        .into()
    }),
    Probe::bare("device 999 and null: cuDevicePrimaryCtxRetain, cuDeviceGet", |f| {
        [f.driver.cuDevicePrimaryCtxRetain(None, 999), f.driver.cuDeviceGet(None, 999)].into()
    }),
    Probe::bare("device 999, attribute 0, null: cuDeviceGetAttribute", |f| {
        [
            f.driver.cuDeviceGetAttribute(Some(&mut 0), 0, 999),
            f.driver.cuDeviceGetAttribute(None, 0, 0),
            f.driver.cuDeviceGetAttribute(None, 10, 999),
        ]
        .into()
    }),
    Probe::bare("device 999 and bad flags: cuCtxCreate", |f| f.driver.cuCtxCreate_v2(Some(&mut Handle(0)), 0xff00, 999).into()),
    Probe::bare("device 999 and bad flags: cuDevicePrimaryCtxSetFlags", |f| f.driver.cuDevicePrimaryCtxSetFlags_v2(999, 0xff00).into()),
    Probe::bare("null and null: cuDevicePrimaryCtxGetState", |f| {
        let all = f.driver.cuDevicePrimaryCtxGetState(0, None, None);
        Outcome::from(all).and([
            f.driver.cuDevicePrimaryCtxGetState(0, Some(&mut 0), None),
            f.driver.cuDevicePrimaryCtxGetState(0, None, Some(&mut 0)),
            f.driver.cuDevicePrimaryCtxGetState(999, None, None),
        ])
    }),
    Probe::current("launch: a null function, a grid of 0", |f| {
        f.driver.cuLaunchKernel(Handle::NULL, 0, 1, 1, 1, 1, 1, 0, *f.stream(), std::ptr::null(), std::ptr::null()).into()
    }),
    Probe::current("peer access: to null with flags 1, to the own context with flags 1", |f| {
        [f.driver.cuCtxEnablePeerAccess(Handle::NULL, 1), f.driver.cuCtxEnablePeerAccess(f.primary, 1)].into()
    }),
    Probe::current("peer access: disabled for null", |f| f.driver.cuCtxDisablePeerAccess(Handle::NULL).into()),
    Probe::bare("no context: cuCtxDisablePeerAccess", |f| f.driver.cuCtxDisablePeerAccess(f.primary).into()),
];
