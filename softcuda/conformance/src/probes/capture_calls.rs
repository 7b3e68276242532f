//! What each call does to a capture that is open: made by the thread of the capture, and by another one.
//!
//! An outcome is four times a code and what the capture is afterwards: the capture is thread-local; it
//! is, and the caller is relaxed (`cuThreadExchangeStreamCaptureMode`); it is global; it is relaxed. By
//! another thread the third caller is plain and the fourth relaxed, both beside a global capture.

use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::capture_made::{Made, with};
use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, host};
use crate::graphs::{GLOBAL, RELAXED, THREAD_LOCAL};
use crate::handles::DISABLE_TIMING;
use crate::host_function::enqueue_repeated;
use crate::kernels::TEXT;
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::structs::IpcHandle;

macro_rules! calls {
    ($what:literal, $run:path) => {
        calls! { @ $what, $run;
            "none at all" => |_| Code::SUCCESS;
            "cuEventQuery" => |m| m.d.cuEventQuery(m.complete);
            "cuEventQuery, never recorded" => |m| m.d.cuEventQuery(m.never);
            "cuEventQuery, captured" => |m| m.d.cuEventQuery(m.captured);
            "cuEventQuery of null" => |m| m.d.cuEventQuery(Handle::NULL);
            "cuEventSynchronize" => |m| m.d.cuEventSynchronize(m.complete);
            "cuEventSynchronize, captured" => |m| m.d.cuEventSynchronize(m.captured);
            "cuEventElapsedTime" => |m| m.d.cuEventElapsedTime(Some(&mut 0.0), m.complete, m.later);
            "cuEventElapsedTime_v2" => |m| m.d.cuEventElapsedTime_v2(Some(&mut 0.0), m.complete, m.later);
            "cuEventElapsedTime_v2, captured" => |m| m.d.cuEventElapsedTime_v2(Some(&mut 0.0), m.complete, m.captured);
            "cuEventElapsedTime_v2, never recorded" => |m| m.d.cuEventElapsedTime_v2(Some(&mut 0.0), m.complete, m.never);
            "cuEventRecord elsewhere" => |m| m.d.cuEventRecord(m.never, m.idle);
            "cuEventRecord elsewhere, captured" => |m| m.d.cuEventRecord(m.captured, m.idle);
            "cuEventRecord, captured before" => |m| m.d.cuEventRecord(m.captured, m.origin);
            "cuEventRecord, complete before" => |m| m.d.cuEventRecord(m.complete, m.origin);
            "cuEventRecord, external" => |m| m.d.cuEventRecordWithFlags(m.complete, m.origin, 1);
            "cuEventRecord, external, captured before" => |m| m.d.cuEventRecordWithFlags(m.captured, m.origin, 1);
            "cuEventRecord, flags 2" => |m| m.d.cuEventRecordWithFlags(m.complete, m.origin, 2);
            "cuEventRecord elsewhere, external" => |m| m.d.cuEventRecordWithFlags(m.complete, m.idle, 1);
            "cuEventRecord on 0" => |m| m.d.cuEventRecord(m.never, Handle::DEFAULT);
            "cuEventRecord on 2" => |m| m.d.cuEventRecord(m.never, Handle::PER_THREAD);
            "cuEventCreate, cuEventDestroy" => |m| {
                let mut event = Handle::NULL;
                match m.d.cuEventCreate(Some(&mut event), DISABLE_TIMING) {
                    Code::SUCCESS => m.d.cuEventDestroy_v2(event),
                    code => code,
                }
            };
            "cuEventDestroy" => |m| m.take(|spare| spare.event.take(), |m, event| m.d.cuEventDestroy_v2(event.into_handle()));
            "cuEventDestroy, captured" => |m| m.take(|spare| spare.captured.take(), |m, event| m.d.cuEventDestroy_v2(event.into_handle()));
            "cuStreamWaitEvent, complete" => |m| m.d.cuStreamWaitEvent(m.origin, m.complete, 0);
            "cuStreamWaitEvent, never recorded" => |m| m.d.cuStreamWaitEvent(m.origin, m.never, 0);
            "cuStreamWaitEvent, captured" => |m| m.d.cuStreamWaitEvent(m.origin, m.captured, 0);
            "cuStreamWaitEvent, external, complete" => |m| m.d.cuStreamWaitEvent(m.origin, m.complete, 1);
            "cuStreamWaitEvent, external, never recorded" => |m| m.d.cuStreamWaitEvent(m.origin, m.never, 1);
            "cuStreamWaitEvent, external, captured" => |m| m.d.cuStreamWaitEvent(m.origin, m.captured, 1);
            "cuStreamWaitEvent, flags 2" => |m| m.d.cuStreamWaitEvent(m.origin, m.complete, 2);
            "cuStreamWaitEvent elsewhere, complete" => |m| m.d.cuStreamWaitEvent(m.idle, m.complete, 0);
            "cuStreamWaitEvent elsewhere, captured" => |m| m.d.cuStreamWaitEvent(m.idle, m.captured, 0);
            "cuStreamWaitEvent elsewhere, external" => |m| m.d.cuStreamWaitEvent(m.idle, m.complete, 1);
            "cuStreamWaitEvent elsewhere, external, captured" => |m| m.d.cuStreamWaitEvent(m.idle, m.captured, 1);
            "cuStreamWaitEvent of 0, complete" => |m| m.d.cuStreamWaitEvent(Handle::DEFAULT, m.complete, 0);
            "cuStreamWaitEvent of 0, captured" => |m| m.d.cuStreamWaitEvent(Handle::DEFAULT, m.captured, 0);
            "cuStreamQuery" => |m| m.d.cuStreamQuery(m.origin);
            "cuStreamQuery elsewhere" => |m| m.d.cuStreamQuery(m.idle);
            "cuStreamQuery of 0" => |m| m.d.cuStreamQuery(Handle::DEFAULT);
            "cuStreamQuery of 2" => |m| m.d.cuStreamQuery(Handle::PER_THREAD);
            "cuStreamSynchronize" => |m| m.d.cuStreamSynchronize(m.origin);
            "cuStreamSynchronize elsewhere" => |m| m.d.cuStreamSynchronize(m.idle);
            "cuStreamSynchronize of 0" => |m| m.d.cuStreamSynchronize(Handle::DEFAULT);
            "cuStreamGetFlags" => |m| m.d.cuStreamGetFlags(m.origin, Some(&mut 0));
            "cuStreamGetFlags elsewhere" => |m| m.d.cuStreamGetFlags(m.idle, Some(&mut 0));
            "cuStreamGetDevice" => |m| m.d.cuStreamGetDevice(m.origin, Some(&mut 0));
            "cuStreamGetDevice elsewhere" => |m| m.d.cuStreamGetDevice(m.idle, Some(&mut 0));
            "cuStreamGetId" => |m| m.d.cuStreamGetId(m.origin, Some(&mut 0));
            "cuStreamGetId elsewhere" => |m| m.d.cuStreamGetId(m.idle, Some(&mut 0));
            "cuStreamGetId of 0" => |m| m.d.cuStreamGetId(Handle::DEFAULT, Some(&mut 0));
            "cuStreamGetCtx" => |m| m.d.cuStreamGetCtx(m.origin, Some(&mut Handle(0)));
            "cuStreamGetCtx_v2" => |m| m.d.cuStreamGetCtx_v2(m.origin, Some(&mut Handle(0)), Some(&mut Handle(0)));
            "cuStreamGetPriority" => |m| m.d.cuStreamGetPriority(m.origin, Some(&mut 0));
            "cuStreamIsCapturing elsewhere" => |m| m.d.cuStreamIsCapturing(m.idle, Some(&mut 0));
            "cuStreamGetCaptureInfo_v2" => |m| m.d.cuStreamGetCaptureInfo_v2(m.origin, Some(&mut 0), Some(&mut 0), None, None, None);
            "cuStreamCreate, cuStreamDestroy" => |m| {
                let mut stream = Handle::NULL;
                match m.d.cuStreamCreate(Some(&mut stream), 1) {
                    Code::SUCCESS => m.d.cuStreamDestroy_v2(stream),
                    code => code,
                }
            };
            "cuStreamDestroy elsewhere" => |m| m.take(|spare| spare.stream.take(), |m, stream| m.d.cuStreamDestroy_v2(stream.into_handle()));
            "cuStreamBeginCapture" => |m| m.d.cuStreamBeginCapture_v2(m.origin, THREAD_LOCAL);
            "cuStreamEndCapture elsewhere" => |m| m.d.cuStreamEndCapture(m.idle, Some(&mut Handle(0)));
            "cuStreamAttachMemAsync" => |m| m.d.cuStreamAttachMemAsync(m.origin, m.memory, 0, 4);
            "cuStreamWaitValue32" => |m| m.d.cuStreamWaitValue32_v2(m.origin, m.memory, 0, 0);
            "cuStreamWriteValue32" => |m| m.d.cuStreamWriteValue32_v2(m.origin, m.memory, 1, 0);
            "cuCtxSynchronize" => |m| m.d.cuCtxSynchronize();
            "cuCtxGetCurrent" => |m| m.d.cuCtxGetCurrent(Some(&mut Handle(0)));
            "cuCtxPushCurrent, cuCtxPopCurrent" => |m| {
                m.d.cuCtxPushCurrent_v2(m.f.primary);
                m.d.cuCtxPopCurrent_v2(Some(&mut Handle(0)))
            };
            "cuCtxSetCurrent" => |m| m.d.cuCtxSetCurrent(m.f.primary);
            "cuCtxGetId" => |m| m.d.cuCtxGetId(m.f.primary, Some(&mut 0));
            "cuCtxGetLimit" => |m| m.d.cuCtxGetLimit(Some(&mut 0), 0);
            "cuCtxGetStreamPriorityRange" => |m| m.d.cuCtxGetStreamPriorityRange(Some(&mut 0), Some(&mut 0));
            "cuDevicePrimaryCtxRetain, ...Release" => |m| {
                match m.d.cuDevicePrimaryCtxRetain(Some(&mut Handle(0)), 0) {
                    Code::SUCCESS => m.d.cuDevicePrimaryCtxRelease_v2(0),
                    code => code,
                }
            };
            "cuDeviceGetAttribute" => |m| m.d.cuDeviceGetAttribute(Some(&mut 0), 10, 0);
            "cuMemAlloc" => |m| {
                let mut address = 0;
                let code = m.d.cuMemAlloc_v2(Some(&mut address), 4);
                if code.is_success() {
                    m.afterwards(move |d| d.cuMemFree_v2(address));
                }
                code
            };
            "cuMemFree" => |m| m.take(|spare| spare.memory.take(), |m, memory| m.d.cuMemFree_v2(memory.into_address()));
            "cuMemAllocAsync elsewhere" => |m| {
                let (mut address, idle) = (0, m.idle);
                let code = m.d.cuMemAllocAsync(Some(&mut address), 4, idle);
                if code.is_success() {
                    m.afterwards(move |d| d.cuMemFreeAsync(address, idle));
                }
                code
            };
            "cuMemFreeAsync elsewhere" => |m| {
                let address = std::mem::replace(&mut m.spare.borrow_mut().pool_memory, 0);
                m.d.cuMemFreeAsync(address, m.idle)
            };
            "cuMemFreeAsync, allocated before" => |m| m.d.cuMemFreeAsync(m.spare.borrow().pool_memory, m.origin);
            "cuMemHostAlloc" => |m| {
                let mut memory = std::ptr::null_mut();
                let code = m.d.cuMemHostAlloc(Some(&mut memory), 4, 0);
                if code.is_success() {
                    m.afterwards(move |d| d.cuMemFreeHost(memory));
                }
                code
            };
            "cuMemFreeHost" => |m| {
                let pinned = std::mem::replace(&mut m.spare.borrow_mut().pinned, std::ptr::null_mut());
                m.d.cuMemFreeHost(pinned)
            };
            "cuMemHostRegister" => |m| {
                let memory = host(&crate::fixture::page()[0]);
                let code = m.d.cuMemHostRegister_v2(memory, 4096, 0);
                if code.is_success() {
                    m.afterwards(move |d| d.cuMemHostUnregister(memory));
                }
                code
            };
            "cuMemAllocManaged" => |m| {
                let mut address = 0;
                let code = m.d.cuMemAllocManaged(Some(&mut address), 4, 1);
                if code.is_success() {
                    m.afterwards(move |d| d.cuMemFree_v2(address));
                }
                code
            };
            "cuMemGetInfo" => |m| m.d.cuMemGetInfo_v2(Some(&mut 0), Some(&mut 0));
            "cuMemGetAddressRange" => |m| m.d.cuMemGetAddressRange_v2(Some(&mut 0), Some(&mut 0), m.memory);
            "cuPointerGetAttribute" => |m| m.d.cuPointerGetAttribute((&raw mut *Box::leak(Box::new(0_u64))).cast(), 2, m.memory);
            "cuDeviceGetDefaultMemPool" => |m| m.d.cuDeviceGetDefaultMemPool(Some(&mut Handle(0)), 0);
            "cuMemPoolTrimTo" => |m| {
                let mut pool = Handle::NULL;
                m.d.cuDeviceGetDefaultMemPool(Some(&mut pool), 0);
                m.d.cuMemPoolTrimTo(pool, 0)
            };
            "cuMemsetD8" => |m| m.d.cuMemsetD8_v2(m.memory, 0, 4);
            "cuMemsetD32Async" => |m| m.d.cuMemsetD32Async(m.memory, 0, 1, m.origin);
            "cuMemsetD32Async elsewhere" => |m| m.d.cuMemsetD32Async(m.memory, 0, 1, m.idle);
            "cuMemsetD32Async on 0" => |m| m.d.cuMemsetD32Async(m.memory, 0, 1, Handle::DEFAULT);
            "cuMemcpyHtoD" => |m| m.d.cuMemcpyHtoD_v2(m.memory, host(m.word), 4);
            "cuMemcpyDtoH" => |m| m.d.cuMemcpyDtoH_v2(host(m.word), m.memory, 4);
            "cuMemcpyDtoD" => |m| m.d.cuMemcpyDtoD_v2(m.memory, m.memory + 4, 4);
            "cuMemcpyHtoDAsync" => |m| m.d.cuMemcpyHtoDAsync_v2(m.memory, host(m.word), 4, m.origin);
            "cuMemcpyHtoDAsync, pageable" => |m| m.d.cuMemcpyHtoDAsync_v2(m.memory, pageable(), 4, m.origin);
            "cuMemcpyHtoDAsync elsewhere, pageable" => |m| m.d.cuMemcpyHtoDAsync_v2(m.memory, pageable(), 4, m.idle);
            "cuMemcpyDtoHAsync" => |m| m.d.cuMemcpyDtoHAsync_v2(host(m.word), m.memory, 4, m.origin);
            "cuMemcpyDtoHAsync, pageable" => |m| m.d.cuMemcpyDtoHAsync_v2(pageable(), m.memory, 4, m.origin);
            "cuMemcpyDtoHAsync elsewhere, pageable" => |m| m.d.cuMemcpyDtoHAsync_v2(pageable(), m.memory, 4, m.idle);
            "cuMemcpyDtoDAsync" => |m| m.d.cuMemcpyDtoDAsync_v2(m.memory, m.memory + 4, 4, m.origin);
            "cuModuleGetFunction" => |m| m.d.cuModuleGetFunction(Some(&mut Handle(0)), m.f.kernels.module, c"fill".as_ptr());
            "cuFuncGetAttribute" => |m| m.d.cuFuncGetAttribute(Some(&mut 0), 0, m.f.kernels.fill);
            "cuLaunchKernel" => |m| m.f.kernels.fill(m.d, m.memory, 1, m.origin);
            "cuLaunchKernel elsewhere" => |m| m.f.kernels.fill(m.d, m.memory, 1, m.idle);
            "cuLaunchHostFunc" => |m| enqueue_repeated(m.d, m.origin, || ());
            "cuLaunchHostFunc elsewhere" => |m| enqueue_repeated(m.d, m.idle, || ());
            "cuStreamAddCallback" => |m| m.d.cuStreamAddCallback(m.origin, Some(called_back), std::ptr::null_mut(), 0);
            "cuStreamAddCallback elsewhere" => |m| m.d.cuStreamAddCallback(m.idle, Some(called_back), std::ptr::null_mut(), 0);
            "cuGraphCreate, cuGraphDestroy" => |m| {
                let mut graph = Handle::NULL;
                match m.d.cuGraphCreate(Some(&mut graph), 0) {
                    Code::SUCCESS => m.d.cuGraphDestroy(graph),
                    code => code,
                }
            };
            "cuGraphDestroy" => |m| m.take(|spare| spare.graph.take(), |m, graph| m.d.cuGraphDestroy(graph.into_handle()));
            "cuGraphInstantiate" => |m| {
                let mut executable = Handle::NULL;
                let code = m.d.cuGraphInstantiateWithFlags(Some(&mut executable), m.graph, 0);
                if code.is_success() {
                    m.afterwards(move |d| d.cuGraphExecDestroy(executable));
                }
                code
            };
            "cuGraphLaunch" => |m| m.d.cuGraphLaunch(m.executable, m.origin);
            "cuGraphLaunch elsewhere" => |m| m.d.cuGraphLaunch(m.executable, m.idle);
            "cuGraphUpload" => |m| m.d.cuGraphUpload(m.executable, m.origin);
            "cuGraphUpload elsewhere" => |m| m.d.cuGraphUpload(m.executable, m.idle);
            "cuGraphExecDestroy" => |m| m.take(|spare| spare.executable.take(), |m, made| m.d.cuGraphExecDestroy(made.into_handle()));
            "cuUserObjectCreate, cuUserObjectRelease" => |m| {
                let mut object = Handle::NULL;
                match m.d.cuUserObjectCreate(Some(&mut object), std::ptr::null_mut(), Some(nothing), 1, 1) {
                    Code::SUCCESS => m.d.cuUserObjectRelease(object, 1),
                    code => code,
                }
            };
            "cuIpcGetEventHandle" => |m| m.d.cuIpcGetEventHandle(Some(&mut IpcHandle([0; 64])), m.shared);
            "cuIpcGetMemHandle" => |m| m.d.cuIpcGetMemHandle(Some(&mut IpcHandle([0; 64])), m.memory);
            "cuIpcOpenEventHandle of zeros" => |m| m.d.cuIpcOpenEventHandle(Some(&mut Handle(0)), IpcHandle([0; 64]));
            "cuIpcOpenMemHandle of zeros" => |m| m.d.cuIpcOpenMemHandle_v2(Some(&mut 0), IpcHandle([0; 64]), 1);
            "cuIpcCloseMemHandle of other memory" => |m| m.d.cuIpcCloseMemHandle(m.memory);
        }
    };
    (@ $what:literal, $run:path; $($name:literal => $call:expr;)*) => {
        &[$(Probe::current(concat!($what, ": ", $name), |f| $run(f, $call)),)*]
    };
}

pub(super) const HERE: &[Probe] = calls!("capturing", here);
pub(super) const ELSEWHERE: &[Probe] = calls!("beside a capture", elsewhere);

/// Of loads the codes alone: a real driver was seen to end captures by them in one process, and not in another, which had
/// loaded more before.
pub(super) const MODULES: &[Probe] = &[
    Probe::current("capturing: cuModuleLoadData, its code", |f| codes(|codes| here(f, |m| noted(codes, load(m))))),
    Probe::current("beside a capture: cuModuleLoadData, its code", |f| codes(|codes| elsewhere(f, |m| noted(codes, load(m))))),
    Probe::current("capturing: cuModuleUnload", |f| here(f, unload(f))),
    Probe::current("beside a capture: cuModuleUnload", |f| elsewhere(f, unload(f))),
];

/// What calls answer that `run` lets note their answers.
fn codes(run: impl FnOnce(&RefCell<Vec<Code>>) -> Outcome) -> Outcome {
    let codes = RefCell::default();
    run(&codes);
    Outcome::each(codes.into_inner(), Outcome::from)
}

fn noted(codes: &RefCell<Vec<Code>>, code: Code) -> Code {
    codes.borrow_mut().push(code);
    code
}

fn load(made: &Made<'_>) -> Code {
    let mut module = Handle::NULL;
    let code = made.d.cuModuleLoadData(Some(&mut module), TEXT.as_ptr().cast());
    if code.is_success() {
        made.afterwards(move |d| d.cuModuleUnload(module));
    }
    code
}

/// Each call has a module of its own.
fn unload(f: &Fixture) -> impl Fn(&Made<'_>) -> Code + Copy + use<> {
    let modules = [(); 4].map(|()| {
        let mut module = Handle::NULL;
        f.driver.cuModuleLoadData(Some(&mut module), TEXT.as_ptr().cast());
        module
    });
    let next: &'static AtomicUsize = Box::leak(Box::default());
    move |made| made.d.cuModuleUnload(modules[next.fetch_add(1, Ordering::Relaxed)])
}

fn here(f: &Fixture, call: impl Fn(&Made<'_>) -> Code + Copy) -> Outcome {
    let plain = with(f, THREAD_LOCAL, call);
    let relaxed = with(f, THREAD_LOCAL, |m| exchanged(m, call));
    plain.and(relaxed).and(with(f, GLOBAL, call)).and(with(f, RELAXED, call))
}

fn elsewhere(f: &Fixture, call: impl Fn(&Made<'_>) -> Code + Copy) -> Outcome {
    let plain = with(f, THREAD_LOCAL, |m| on_a_thread(m, call));
    let relaxed = with(f, THREAD_LOCAL, |m| on_a_thread(m, |m| exchanged(m, call)));
    let global = with(f, GLOBAL, |m| on_a_thread(m, call));
    plain.and(relaxed).and(global).and(with(f, GLOBAL, |m| on_a_thread(m, |m| exchanged(m, call))))
}

fn exchanged(made: &Made<'_>, call: impl FnOnce(&Made<'_>) -> Code) -> Code {
    let mut exchange = RELAXED;
    made.d.cuThreadExchangeStreamCaptureMode(Some(&mut exchange));
    let code = call(made);
    made.d.cuThreadExchangeStreamCaptureMode(Some(&mut exchange));
    code
}

/// Makes the call on another thread while this one waits for it.
fn on_a_thread(made: &Made<'_>, call: impl FnOnce(&Made<'_>) -> Code) -> Code {
    struct Lent<T>(T);
    // SAFETY: this thread does nothing with it until the other one has ended.
    unsafe impl<T> Send for Lent<T> {}
    impl<T> Lent<T> {
        fn get(self) -> T {
            self.0
        }
    }
    let lent = Lent((made, call));
    let code = thread::scope(|scope| {
        let caller = scope.spawn(move || {
            let (made, call) = lent.get();
            made.f.with_primary(|| call(made))
        });
        caller.join()
    });
    code.expect("the call of another thread")
}

/// Memory that is neither pinned nor ever freed.
fn pageable() -> *mut c_void {
    host(&crate::fixture::page()[0])
}

extern "C" fn called_back(_: Handle, _: u32, _: *mut c_void) {}

extern "C" fn nothing(_: *mut c_void) {}
