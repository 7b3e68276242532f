//! Handles for other processes, in the one that makes them.

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, NOWHERE, address};
use crate::handles::{DISABLE_TIMING, INTERPROCESS};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;
use crate::structs::IpcHandle;

const BLOCKING_SYNC: u32 = 1;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("share: handle of an event never recorded, complete, pending", |f| {
        let (stream, held) = (f.stream(), f.stream());
        let [never, complete, pending] = [(); 3].map(|()| f.event(INTERPROCESS));
        f.driver.cuEventRecord(*complete, *stream);
        f.driver.cuEventSynchronize(*complete);
        let hold = f.hold(*held);
        f.driver.cuEventRecord(*pending, *held);
        let outcome = [*never, *complete, *pending].map(|event| export(f, event).0);
        hold.release();
        outcome.into()
    }),
    Probe::current("share: handle of events, plain, untimed, blocking and shared", |f| {
        [0, DISABLE_TIMING, BLOCKING_SYNC | INTERPROCESS].map(|flags| export(f, *f.event(flags)).0).into()
    }),
    Probe::current("share: handle of an event, twice", |f| {
        let event = f.event(INTERPROCESS);
        verdict(export(f, *event).1 == export(f, *event).1, "the same")
    }),
    Probe::current("share: handle of an event, into nothing, of null", |f| {
        let event = f.event(INTERPROCESS);
        [f.driver.cuIpcGetEventHandle(None, *event), export(f, Handle::NULL).0].into()
    }),
    Probe::bare("share: no context, handles of an event and of memory", |f| {
        [export(f, *f.event(INTERPROCESS)).0, export_memory(f, f.memory(1, 0).address).0].into()
    }),
    Probe::bare("share: no context, opened events and memory", |f| {
        let handle = IpcHandle::ZERO;
        [f.driver.cuIpcOpenEventHandle(Some(&mut Handle(0)), handle), f.driver.cuIpcOpenMemHandle_v2(Some(&mut 0), handle, 1)].into()
    }),
    Probe::current("share: opened in the process that made them", |f| {
        let (event, memory) = (f.event(INTERPROCESS), f.memory(1, 0));
        let codes = [
            f.driver.cuIpcOpenEventHandle(Some(&mut Handle(0)), export(f, *event).1),
            f.driver.cuIpcOpenMemHandle_v2(Some(&mut 0), export_memory(f, memory.address).1, 1),
        ];
        codes.into()
    }),
    Probe::alone("share: opened events of bytes 0, of bytes 255", |d| {
        Fixture::alone(d, |f| [0, 0xff].map(|byte| f.driver.cuIpcOpenEventHandle(Some(&mut Handle(0)), IpcHandle([byte; 64]))).into())
    }),
    Probe::alone("share: opened memory of bytes 0, of bytes 255", |d| {
        Fixture::alone(d, |f| [0, 0xff].map(|byte| f.driver.cuIpcOpenMemHandle_v2(Some(&mut 0), IpcHandle([byte; 64]), 1)).into())
    }),
    Probe::current("share: handle of memory, within it", |f| {
        let memory = f.memory(64, 0);
        let [begin, within] = [0, 255].map(|offset| export_memory(f, memory.address + offset));
        Outcome::from([begin.0, within.0]).and(verdict(begin.1 == within.1, "the same"))
    }),
    Probe::current("share: handle of memory nowhere, into nothing", |f| {
        let memory = f.memory(64, 0);
        [export_memory(f, NOWHERE).0, f.driver.cuIpcGetMemHandle(None, memory.address)].into()
    }),
    Probe::current("share: handle of memory in stream order, pinned, managed", |f| {
        let (stream, mut pooled, mut managed) = (f.stream(), 0, 0);
        f.driver.cuMemAllocAsync(Some(&mut pooled), 256, *stream);
        f.driver.cuStreamSynchronize(*stream);
        f.driver.cuMemAllocManaged(Some(&mut managed), 256, 1);
        let codes = [pooled, address(&f.pinned(1)[0]), managed].map(|memory| export_memory(f, memory).0);
        f.driver.cuMemFreeAsync(pooled, *stream);
        f.driver.cuMemFree_v2(managed);
        codes.into()
    }),
    Probe::current("share: attribute 10: plain, in stream order, pinned, managed", |f| {
        let (stream, mut pooled, mut managed) = (f.stream(), 0, 0);
        f.driver.cuMemAllocAsync(Some(&mut pooled), 256, *stream);
        f.driver.cuStreamSynchronize(*stream);
        f.driver.cuMemAllocManaged(Some(&mut managed), 256, 1);
        let memory = f.memory(1, 0);
        let capable = [memory.address, pooled, address(&f.pinned(1)[0]), managed].map(|address| is_capable(f, address));
        f.driver.cuMemFreeAsync(pooled, *stream);
        f.driver.cuMemFree_v2(managed);
        capable.join(", ").into()
    }),
    Probe::current("share: cuIpcCloseMemHandle nowhere, null, of own memory", |f| {
        let memory = f.memory(1, 0);
        [NOWHERE, 0, memory.address].map(|address| f.driver.cuIpcCloseMemHandle(address)).into()
    }),
    Probe::bare("share: mode of captures to 2, 1, 0, 3", |f| {
        let modes = [2, 1, 0, 3].map(|mode| {
            let mut mode = mode;
            let code = f.driver.cuThreadExchangeStreamCaptureMode(Some(&mut mode));
            Outcome::from(code).and(mode.to_string())
        });
        modes.into_iter().reduce(Outcome::and).unwrap_or("none".into())
    }),
    Probe::alone("share: mode of captures to none", |d| {
        d.cuInit(0);
        d.cuThreadExchangeStreamCaptureMode(None).into()
    }),
];

fn export(f: &Fixture, event: Handle) -> (Code, IpcHandle) {
    let mut handle = IpcHandle::ZERO;
    (f.driver.cuIpcGetEventHandle(Some(&mut handle), event), handle)
}

fn export_memory(f: &Fixture, address: u64) -> (Code, IpcHandle) {
    let mut handle = IpcHandle::ZERO;
    (f.driver.cuIpcGetMemHandle(Some(&mut handle), address), handle)
}

/// `CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE`
fn is_capable(f: &Fixture, address: u64) -> String {
    const IS_LEGACY_IPC_CAPABLE: u32 = 10;
    let mut value = 0_u64;
    let code = f.driver.cuPointerGetAttribute((&raw mut value).cast(), IS_LEGACY_IPC_CAPABLE, address);
    // Written as a byte or as a word.
    if code.is_success() { (value & 0xff).to_string() } else { f.driver.code_name(code) }
}
