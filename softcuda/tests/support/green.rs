//! Green contexts.

use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::Arc;

use cudarc::driver::sys::CUdevResourceType::CU_DEV_RESOURCE_TYPE_SM;
use cudarc::driver::sys::CUgreenCtxCreate_flags::CU_GREEN_CTX_DEFAULT_STREAM;
use cudarc::driver::sys::{self, CUcontext, CUdevResource, CUdevResourceDesc, CUgreenCtx, CUresult, CUstream};
use cudarc::driver::{CudaContext, CudaStream, result};

pub(crate) const DEFAULT_STREAM: u32 = CU_GREEN_CTX_DEFAULT_STREAM as u32;
pub(crate) const NON_BLOCKING: u32 = 1;

/// The result of a call that answers by a place.
pub(crate) fn answer<T: Copy>(before: T, call: impl FnOnce(*mut T) -> CUresult) -> Result<T, CUresult> {
    let mut place = before;
    match call(&raw mut place) {
        CUresult::CUDA_SUCCESS => Ok(place),
        code => Err(code),
    }
}

/// All multiprocessors of a device.
pub(crate) fn all(device: i32) -> CUdevResource {
    let mut resource = MaybeUninit::uninit();
    // SAFETY: the place is one for a resource.
    let code = unsafe { sys::cuDeviceGetDevResource(device, resource.as_mut_ptr(), CU_DEV_RESOURCE_TYPE_SM) };
    assert_eq!(code, CUresult::CUDA_SUCCESS);
    // SAFETY: it was written.
    unsafe { resource.assume_init() }
}

/// A descriptor of all multiprocessors of a device.
pub(crate) fn descriptor(device: i32) -> CUdevResourceDesc {
    let mut all = all(device);
    // SAFETY: one resource, and a place for the result.
    answer(null_mut(), |out| unsafe { sys::cuDevResourceGenerateDesc(out, &raw mut all, 1) }).expect("a descriptor")
}

/// A green context, with the device's primary context current.
pub(crate) struct Green {
    pub(crate) raw: CUgreenCtx,
    primary: Arc<CudaContext>,
}

impl Green {
    pub(crate) fn of(primary: &Arc<CudaContext>) -> Self {
        let device = primary.cu_device();
        // SAFETY: the descriptor is one of the device.
        let raw = answer(null_mut(), |out| unsafe { sys::cuGreenCtxCreate(out, descriptor(device), device, DEFAULT_STREAM) });
        Self { raw: raw.expect("a green context"), primary: primary.clone() }
    }

    pub(crate) fn raw_stream(&self) -> CUstream {
        // SAFETY: it is alive.
        answer(null_mut(), |out| unsafe { sys::cuGreenCtxStreamCreate(out, self.raw, NON_BLOCKING, 0) }).expect("a stream")
    }

    /// A stream for cudarc, which is to be destroyed.
    pub(crate) fn stream(&self) -> Arc<CudaStream> {
        // SAFETY: it is destroyed when nobody uses it any more.
        unsafe { self.primary.wrap_borrowed_stream(self.raw_stream()) }
    }

    /// As functions take it that know nothing of green contexts.
    pub(crate) fn context(&self) -> CUcontext {
        // SAFETY: it is alive.
        answer(null_mut(), |out| unsafe { sys::cuCtxFromGreenCtx(out, self.raw) }).expect("a context")
    }

    /// Calls with this current instead of the primary context.
    pub(crate) fn current<T>(&self, call: impl FnOnce() -> T) -> T {
        // SAFETY: it is alive.
        unsafe { sys::cuCtxPushCurrent_v2(self.context()) }.result().expect("it can be current");
        let answer = call();
        // SAFETY: a place for what was pushed.
        unsafe { sys::cuCtxPopCurrent_v2(&mut null_mut()) }.result().expect("it was pushed");
        answer
    }

    pub(crate) fn destroy(self) -> Result<(), CUresult> {
        // SAFETY: alive; what is used of it afterwards is refused.
        match unsafe { sys::cuGreenCtxDestroy(self.raw) } {
            CUresult::CUDA_SUCCESS => Ok(()),
            code => Err(code),
        }
    }
}

/// Destroys a stream that cudarc does not own.
pub(crate) fn destroy(stream: &CudaStream) {
    // SAFETY: alive, and not used any more.
    unsafe { result::stream::destroy(stream.cu_stream()) }.expect("its end");
}
