//! Which calls need a current context: explicit handles with none current, then the handles 0, 1, 2.

use std::ffi::c_void;

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, NON_BLOCKING, host};
use crate::handles::DISABLE_TIMING;
use crate::host_function;
use crate::kernels::TEXT;
use crate::outcome::Outcome;
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::bare("no context: cuEventRecord", |f| f.driver.cuEventRecord(*f.event(0), *f.stream()).into()),
    Probe::bare("no context: cuEventRecordWithFlags", |f| f.driver.cuEventRecordWithFlags(*f.event(0), *f.stream(), 0).into()),
    Probe::bare("no context: cuEventQuery", |f| f.driver.cuEventQuery(*f.complete(0)).into()),
    Probe::bare("no context: cuEventSynchronize", |f| f.driver.cuEventSynchronize(*f.complete(0)).into()),
    Probe::bare("no context: cuEventElapsedTime", |f| f.driver.cuEventElapsedTime(Some(&mut 0.0), *f.complete(0), *f.complete(0)).into()),
    Probe::bare("no context: cuEventElapsedTime_v2", |f| {
        f.driver.cuEventElapsedTime_v2(Some(&mut 0.0), *f.complete(0), *f.complete(0)).into()
    }),
    Probe::bare("no context: cuEventCreate", |f| f.driver.cuEventCreate(Some(&mut Handle(0)), 0).into()),
    Probe::bare("no context: cuEventDestroy", |f| f.driver.cuEventDestroy_v2(f.event(0).into_handle()).into()),
    Probe::bare("no context: cuStreamCreate", |f| f.driver.cuStreamCreate(Some(&mut Handle(0)), NON_BLOCKING).into()),
    Probe::bare("no context: cuStreamCreateWithPriority", |f| {
        f.driver.cuStreamCreateWithPriority(Some(&mut Handle(0)), NON_BLOCKING, 0).into()
    }),
    Probe::bare("no context: cuStreamDestroy", |f| f.driver.cuStreamDestroy_v2(f.stream().into_handle()).into()),
    Probe::bare("no context: cuStreamQuery", |f| query(f, *f.stream()).into()),
    Probe::bare("no context: cuStreamSynchronize", |f| synchronize(f, *f.stream()).into()),
    Probe::bare("no context: cuStreamWaitEvent", |f| wait(f, *f.stream()).into()),
    Probe::bare("no context: cuStreamGetId", |f| get_id(f, *f.stream()).into()),
    Probe::bare("no context: cuStreamGetCtx", |f| get_context(f, *f.stream()).into()),
    Probe::bare("no context: cuStreamGetDevice", |f| get_device(f, *f.stream()).into()),
    Probe::bare("no context: cuStreamGetFlags", |f| get_flags(f, *f.stream()).into()),
    Probe::bare("no context: cuStreamGetPriority", |f| get_priority(f, *f.stream()).into()),
    Probe::bare("no context: cuStreamIsCapturing", |f| is_capturing(f, *f.stream()).into()),
    Probe::bare("no context: cuLaunchHostFunc", |f| host_function(f, *f.stream()).into()),
    Probe::bare("no context: cuLaunchKernel", |f| launch(f, *f.stream()).into()),
    Probe::bare("no context: cuMemAlloc", |f| f.driver.cuMemAlloc_v2(Some(&mut 0), 4).into()),
    Probe::bare("no context: cuMemFree", |f| f.driver.cuMemFree_v2(f.memory(1, 0).into_address()).into()),
    Probe::bare("no context: cuMemAllocAsync, cuMemFreeAsync", |f| allocate(f, *f.stream())),
    Probe::bare("no context: cuMemGetInfo", |f| f.driver.cuMemGetInfo_v2(Some(&mut 0), Some(&mut 0)).into()),
    Probe::bare("no context: cuMemHostAlloc", |f| f.driver.cuMemHostAlloc(Some(&mut std::ptr::null_mut()), 4, 0).into()),
    Probe::bare("no context: cuMemFreeHost", |f| {
        let mut memory = std::ptr::null_mut();
        f.with_primary(|| f.driver.cuMemHostAlloc(Some(&mut memory), 4, 0));
        f.driver.cuMemFreeHost(memory).into()
    }),
    Probe::bare("no context: cuMemHostGetDevicePointer", |f| {
        f.driver.cuMemHostGetDevicePointer_v2(Some(&mut 0), host(&f.pinned(1)[0]), 0).into()
    }),
    Probe::bare("no context: cuMemsetD8", |f| f.driver.cuMemsetD8_v2(f.memory(1, 0).address, 1, 4).into()),
    Probe::bare("no context: cuMemsetD8Async", |f| memset(f, *f.stream())),
    Probe::bare("no context: cuMemcpyHtoD", |f| f.driver.cuMemcpyHtoD_v2(f.memory(1, 0).address, [1_u32].as_ptr().cast(), 4).into()),
    Probe::bare("no context: cuMemcpyDtoH", |f| f.driver.cuMemcpyDtoH_v2([0_u32].as_mut_ptr().cast(), f.memory(1, 0).address, 4).into()),
    Probe::bare("no context: cuMemcpyHtoDAsync", |f| {
        let (memory, words, stream) = (f.memory(1, 0), f.pinned(1), f.stream());
        let code = f.driver.cuMemcpyHtoDAsync_v2(memory.address, host(&words[0]), 4, *stream);
        f.driver.cuStreamSynchronize(*stream);
        code.into()
    }),
    Probe::bare("no context: cuMemcpyDtoHAsync", |f| {
        let (memory, words, stream) = (f.memory(1, 0), f.pinned(1), f.stream());
        let code = f.driver.cuMemcpyDtoHAsync_v2(host(&words[0]), memory.address, 4, *stream);
        f.driver.cuStreamSynchronize(*stream);
        code.into()
    }),
    Probe::bare("no context: cuMemcpyDtoDAsync", |f| {
        let (from, to, stream) = (f.memory(1, 0), f.memory(1, 0), f.stream());
        let code = f.driver.cuMemcpyDtoDAsync_v2(to.address, from.address, 4, *stream);
        f.driver.cuStreamSynchronize(*stream);
        code.into()
    }),
    Probe::bare("no context: cuMemcpyDtoD, cuMemcpy", |f| {
        let (from, to) = (f.memory(1, 0), f.memory(1, 0));
        [f.driver.cuMemcpyDtoD_v2(to.address, from.address, 4), f.driver.cuMemcpy(to.address, from.address, 4)].into()
    }),
    Probe::bare("no context: cuMemcpyPeer", |f| {
        let (from, to) = (f.memory(1, 0), f.memory(1, 0));
        f.driver.cuMemcpyPeer(to.address, f.primary, from.address, f.primary, 4).into()
    }),
    Probe::bare("no context: cuMemcpyAsync, cuMemcpyPeerAsync", |f| {
        let (from, to, stream) = (f.memory(1, 0), f.memory(1, 0), f.stream());
        let codes = [
            f.driver.cuMemcpyAsync(to.address, from.address, 4, *stream),
            f.driver.cuMemcpyPeerAsync(to.address, f.primary, from.address, f.primary, 4, *stream),
        ];
        f.driver.cuStreamSynchronize(*stream);
        codes.into()
    }),
    Probe::bare("no context: cuMemsetD16, cuMemsetD32", |f| {
        let to = f.memory(1, 0);
        [f.driver.cuMemsetD16_v2(to.address, 1, 1), f.driver.cuMemsetD32_v2(to.address, 1, 1)].into()
    }),
    Probe::bare("no context: cuMemsetD16Async, cuMemsetD32Async", |f| {
        let (to, stream) = (f.memory(1, 0), f.stream());
        [f.driver.cuMemsetD16Async(to.address, 1, 1, *stream), f.driver.cuMemsetD32Async(to.address, 1, 1, *stream)].into()
    }),
    Probe::bare("no context: cuModuleUnload", |f| {
        let mut module = Handle::NULL;
        f.with_primary(|| f.driver.cuModuleLoadData(Some(&mut module), TEXT.as_ptr().cast::<c_void>()));
        f.driver.cuModuleUnload(module).into()
    }),
    Probe::bare("no context: cuCtxDestroy, cuCtxGetId of a second one", |f| {
        let context = f.second_context();
        [f.driver.cuCtxGetId(context, Some(&mut 0)), f.driver.cuCtxDestroy_v2(context)].into()
    }),
    Probe::bare("no context: cuModuleLoadData", |f| f.driver.cuModuleLoadData(Some(&mut Handle(0)), TEXT.as_ptr().cast::<c_void>()).into()),
    Probe::bare("no context: cuModuleGetFunction", |f| {
        f.driver.cuModuleGetFunction(Some(&mut Handle(0)), f.kernels.module, c"fill".as_ptr()).into()
    }),
    Probe::bare("no context: cuCtxSynchronize", |f| f.driver.cuCtxSynchronize().into()),
    Probe::bare("no context: cuCtxGetDevice", |f| f.driver.cuCtxGetDevice(Some(&mut 0)).into()),
    Probe::bare("no context: cuCtxGetFlags", |f| f.driver.cuCtxGetFlags(Some(&mut 0)).into()),
    Probe::bare("no context: cuCtxGetApiVersion of null", |f| f.driver.cuCtxGetApiVersion(Handle::NULL, Some(&mut 0)).into()),
    Probe::bare("no context: cuCtxGetApiVersion of the primary one", |f| f.driver.cuCtxGetApiVersion(f.primary, Some(&mut 0)).into()),
    Probe::bare("no context: cuCtxGetStreamPriorityRange", |f| f.driver.cuCtxGetStreamPriorityRange(Some(&mut 0), Some(&mut 0)).into()),
    Probe::bare("no context: cuCtxEnablePeerAccess", |f| f.driver.cuCtxEnablePeerAccess(f.primary, 0).into()),
    Probe::bare("no context, handles 0 1 2: cuEventRecord", |f| {
        defaults(|stream| f.driver.cuEventRecord(*f.event(DISABLE_TIMING), stream))
    }),
    Probe::bare("no context, handles 0 1 2: cuStreamWaitEvent", |f| defaults(|stream| wait(f, stream))),
    Probe::bare("no context, handles 0 1 2: cuStreamQuery", |f| defaults(|stream| query(f, stream))),
    Probe::bare("no context, handles 0 1 2: cuStreamSynchronize", |f| defaults(|stream| synchronize(f, stream))),
    Probe::bare("no context, handles 0 1 2: cuStreamGetId", |f| defaults(|stream| get_id(f, stream))),
    Probe::bare("no context, handles 0 1 2: cuStreamGetCtx", |f| defaults(|stream| get_context(f, stream))),
    Probe::bare("no context, handles 0 1 2: cuStreamGetDevice", |f| defaults(|stream| get_device(f, stream))),
    Probe::bare("no context, handles 0 1 2: cuStreamGetFlags", |f| defaults(|stream| get_flags(f, stream))),
    Probe::bare("no context, handles 0 1 2: cuStreamGetPriority", |f| defaults(|stream| get_priority(f, stream))),
    Probe::bare("no context, handles 0 1 2: cuStreamIsCapturing", |f| defaults(|stream| is_capturing(f, stream))),
    Probe::bare("no context, handles 0 1 2: cuLaunchHostFunc", |f| defaults(|stream| host_function(f, stream))),
    Probe::bare("no context, handles 0 1 2: cuLaunchKernel", |f| defaults(|stream| launch(f, stream))),
    Probe::bare("no context, handles 0 1 2: cuMemAllocAsync", |f| defaults(|stream| f.driver.cuMemAllocAsync(Some(&mut 0), 4, stream))),
    Probe::bare("no context, handles 0 1 2: cuMemFreeAsync", |f| {
        let memory = f.memory(1, 0);
        defaults(|stream| f.driver.cuMemFreeAsync(memory.address, stream))
    }),
    Probe::bare("no context, handles 0 1 2: cuMemcpyHtoDAsync", |f| {
        let (memory, words) = (f.memory(1, 0), f.pinned(1));
        defaults(|stream| f.driver.cuMemcpyHtoDAsync_v2(memory.address, host(&words[0]), 4, stream))
    }),
    Probe::bare("no context, handles 0 1 2: cuMemcpyDtoHAsync", |f| {
        let (memory, words) = (f.memory(1, 0), f.pinned(1));
        defaults(|stream| f.driver.cuMemcpyDtoHAsync_v2(host(&words[0]), memory.address, 4, stream))
    }),
    Probe::bare("no context, handles 0 1 2: cuMemcpyAsync", |f| {
        let (from, to) = (f.memory(1, 0), f.memory(1, 0));
        defaults(|stream| f.driver.cuMemcpyAsync(to.address, from.address, 4, stream))
    }),
    Probe::bare("no context, handles 0 1 2: cuMemsetD32Async", |f| {
        let memory = f.memory(1, 0);
        defaults(|stream| f.driver.cuMemsetD32Async(memory.address, 1, 1, stream))
    }),
    Probe::bare("no context, handles 0 1 2: cuMemsetD8Async", |f| {
        let memory = f.memory(1, 0);
        defaults(|stream| f.driver.cuMemsetD8Async(memory.address, 1, 4, stream))
    }),
];

/// The answers on the null stream, the legacy stream and the per-thread stream.
fn defaults(call: impl Fn(Handle) -> Code) -> Outcome {
    [Handle::DEFAULT, Handle::LEGACY, Handle::PER_THREAD].map(call).into()
}

fn query(f: &Fixture, stream: Handle) -> Code {
    f.driver.cuStreamQuery(stream)
}

fn synchronize(f: &Fixture, stream: Handle) -> Code {
    f.driver.cuStreamSynchronize(stream)
}

fn wait(f: &Fixture, stream: Handle) -> Code {
    f.driver.cuStreamWaitEvent(stream, *f.complete(DISABLE_TIMING), 0)
}

fn get_id(f: &Fixture, stream: Handle) -> Code {
    f.driver.cuStreamGetId(stream, Some(&mut 0))
}

fn get_context(f: &Fixture, stream: Handle) -> Code {
    f.driver.cuStreamGetCtx(stream, Some(&mut Handle(0)))
}

fn get_device(f: &Fixture, stream: Handle) -> Code {
    f.driver.cuStreamGetDevice(stream, Some(&mut 0))
}

fn get_flags(f: &Fixture, stream: Handle) -> Code {
    f.driver.cuStreamGetFlags(stream, Some(&mut 0))
}

fn get_priority(f: &Fixture, stream: Handle) -> Code {
    f.driver.cuStreamGetPriority(stream, Some(&mut 0))
}

fn is_capturing(f: &Fixture, stream: Handle) -> Code {
    f.driver.cuStreamIsCapturing(stream, Some(&mut 0))
}

fn host_function(f: &Fixture, stream: Handle) -> Code {
    host_function::enqueue(f.driver, stream, || ())
}

fn launch(f: &Fixture, stream: Handle) -> Code {
    let memory = f.memory(1, 0);
    let code = f.kernels.fill(f.driver, memory.address, 1, stream);
    f.with_primary(|| f.driver.cuCtxSynchronize());
    code
}

fn memset(f: &Fixture, stream: Handle) -> Outcome {
    f.driver.cuMemsetD8Async(f.memory(1, 0).address, 1, 4, stream).into()
}

fn allocate(f: &Fixture, stream: Handle) -> Outcome {
    let mut address = 0;
    let code = f.driver.cuMemAllocAsync(Some(&mut address), 4, stream);
    Outcome::from(code).and(f.driver.cuMemFreeAsync(address, stream))
}
