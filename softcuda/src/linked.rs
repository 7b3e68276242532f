//! The driver's functions under their exported names, in cudarc's own types.
//!
//! cudarc declares each function as returning its result enum; Miri demands the same type on both
//! sides of a call. Each function here is one call of the driver's own, which answers a number.

use std::ffi::{c_char, c_int, c_uchar, c_uint, c_ulonglong, c_ushort, c_void};
use std::io::{self, Write as _};
use std::process;

use cudarc::driver::sys::{
    self, CUcontext, CUctxCreateParams, CUdevResource, CUdevResourceDesc, CUdevResourceType, CUdevice, CUdevice_attribute, CUdeviceptr,
    CUevent, CUfunction, CUfunction_attribute, CUgreenCtx, CUhostFn, CUipcEventHandle, CUipcMemHandle, CUlimit, CUmem_advise,
    CUmemAccess_flags, CUmemAccessDesc, CUmemAllocationType, CUmemLocation, CUmemPool_attribute, CUmemPoolProps, CUmemoryPool, CUmodule,
    CUpointer_attribute, CUresult, CUstream, CUstreamBatchMemOpParams, CUstreamCaptureMode, CUuuid,
};

use crate::driver::{self, IpcHandle, Location};

/// Passes an argument of cudarc's type as the driver's.
trait Pass<To> {
    fn pass(self) -> To;
}

macro_rules! same_type {
    ($($number:ty)*) => {
        $(
            impl Pass<$number> for $number {
                fn pass(self) -> $number {
                    self
                }
            }
        )*
    };
}

same_type!(u8 u16 i32 u32 u64 usize CUhostFn);

macro_rules! as_number {
    ($($type:ty)*) => {
        $(
            impl Pass<u32> for $type {
                fn pass(self) -> u32 {
                    self as u32
                }
            }
        )*
    };
}

as_number!(CUresult CUdevResourceType CUdevice_attribute CUfunction_attribute CUlimit CUmemAllocationType CUmemPool_attribute CUmem_advise CUpointer_attribute CUstreamCaptureMode);

impl Pass<Location> for CUmemLocation {
    fn pass(self) -> Location {
        // SAFETY: two names of one C type, all of whose bytes are numbers; this crate has it as two of 32 bits.
        unsafe { std::mem::transmute(self) }
    }
}

impl Pass<IpcHandle> for CUipcEventHandle {
    fn pass(self) -> IpcHandle {
        // SAFETY: two names of one C type, which is bytes.
        unsafe { std::mem::transmute(self) }
    }
}

impl Pass<IpcHandle> for CUipcMemHandle {
    fn pass(self) -> IpcHandle {
        // SAFETY: as above.
        unsafe { std::mem::transmute(self) }
    }
}

impl<From, To> Pass<*mut To> for *mut From {
    fn pass(self) -> *mut To {
        self.cast()
    }
}

impl<From, To> Pass<*const To> for *mut From {
    fn pass(self) -> *const To {
        self.cast_const().cast()
    }
}

impl<From, To> Pass<*const To> for *const From {
    fn pass(self) -> *const To {
        self.cast()
    }
}

macro_rules! codes {
    ($($name:ident)*) => {
        /// The codes that cudarc's enum has in every version with these functions.
        const CODES: &[CUresult] = &[$(CUresult::$name),*];
    };
}

codes! {
    CUDA_SUCCESS CUDA_ERROR_INVALID_VALUE CUDA_ERROR_OUT_OF_MEMORY CUDA_ERROR_NOT_INITIALIZED CUDA_ERROR_DEINITIALIZED
    CUDA_ERROR_PROFILER_DISABLED CUDA_ERROR_PROFILER_NOT_INITIALIZED CUDA_ERROR_PROFILER_ALREADY_STARTED
    CUDA_ERROR_PROFILER_ALREADY_STOPPED CUDA_ERROR_STUB_LIBRARY CUDA_ERROR_DEVICE_UNAVAILABLE CUDA_ERROR_NO_DEVICE
    CUDA_ERROR_INVALID_DEVICE CUDA_ERROR_DEVICE_NOT_LICENSED CUDA_ERROR_INVALID_IMAGE CUDA_ERROR_INVALID_CONTEXT
    CUDA_ERROR_CONTEXT_ALREADY_CURRENT CUDA_ERROR_MAP_FAILED CUDA_ERROR_UNMAP_FAILED CUDA_ERROR_ARRAY_IS_MAPPED
    CUDA_ERROR_ALREADY_MAPPED CUDA_ERROR_NO_BINARY_FOR_GPU CUDA_ERROR_ALREADY_ACQUIRED CUDA_ERROR_NOT_MAPPED
    CUDA_ERROR_NOT_MAPPED_AS_ARRAY CUDA_ERROR_NOT_MAPPED_AS_POINTER CUDA_ERROR_ECC_UNCORRECTABLE CUDA_ERROR_UNSUPPORTED_LIMIT
    CUDA_ERROR_CONTEXT_ALREADY_IN_USE CUDA_ERROR_PEER_ACCESS_UNSUPPORTED CUDA_ERROR_INVALID_PTX
    CUDA_ERROR_INVALID_GRAPHICS_CONTEXT CUDA_ERROR_NVLINK_UNCORRECTABLE CUDA_ERROR_JIT_COMPILER_NOT_FOUND
    CUDA_ERROR_UNSUPPORTED_PTX_VERSION CUDA_ERROR_JIT_COMPILATION_DISABLED CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY
    CUDA_ERROR_UNSUPPORTED_DEVSIDE_SYNC CUDA_ERROR_CONTAINED CUDA_ERROR_INVALID_SOURCE CUDA_ERROR_FILE_NOT_FOUND
    CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND CUDA_ERROR_SHARED_OBJECT_INIT_FAILED CUDA_ERROR_OPERATING_SYSTEM
    CUDA_ERROR_INVALID_HANDLE CUDA_ERROR_ILLEGAL_STATE CUDA_ERROR_LOSSY_QUERY CUDA_ERROR_NOT_FOUND CUDA_ERROR_NOT_READY
    CUDA_ERROR_ILLEGAL_ADDRESS CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES CUDA_ERROR_LAUNCH_TIMEOUT
    CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED CUDA_ERROR_PEER_ACCESS_NOT_ENABLED
    CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE CUDA_ERROR_CONTEXT_IS_DESTROYED CUDA_ERROR_ASSERT CUDA_ERROR_TOO_MANY_PEERS
    CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED CUDA_ERROR_HARDWARE_STACK_ERROR
    CUDA_ERROR_ILLEGAL_INSTRUCTION CUDA_ERROR_MISALIGNED_ADDRESS CUDA_ERROR_INVALID_ADDRESS_SPACE CUDA_ERROR_INVALID_PC
    CUDA_ERROR_LAUNCH_FAILED CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE CUDA_ERROR_TENSOR_MEMORY_LEAK CUDA_ERROR_NOT_PERMITTED
    CUDA_ERROR_NOT_SUPPORTED CUDA_ERROR_SYSTEM_NOT_READY CUDA_ERROR_SYSTEM_DRIVER_MISMATCH
    CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE CUDA_ERROR_MPS_CONNECTION_FAILED CUDA_ERROR_MPS_RPC_FAILURE
    CUDA_ERROR_MPS_SERVER_NOT_READY CUDA_ERROR_MPS_MAX_CLIENTS_REACHED CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED
    CUDA_ERROR_MPS_CLIENT_TERMINATED CUDA_ERROR_CDP_NOT_SUPPORTED CUDA_ERROR_CDP_VERSION_MISMATCH
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED CUDA_ERROR_STREAM_CAPTURE_INVALIDATED CUDA_ERROR_STREAM_CAPTURE_MERGE
    CUDA_ERROR_STREAM_CAPTURE_UNMATCHED CUDA_ERROR_STREAM_CAPTURE_UNJOINED CUDA_ERROR_STREAM_CAPTURE_ISOLATION
    CUDA_ERROR_STREAM_CAPTURE_IMPLICIT CUDA_ERROR_CAPTURED_EVENT CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD CUDA_ERROR_TIMEOUT
    CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE CUDA_ERROR_EXTERNAL_DEVICE CUDA_ERROR_INVALID_CLUSTER_SIZE CUDA_ERROR_FUNCTION_NOT_LOADED
    CUDA_ERROR_INVALID_RESOURCE_TYPE CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION CUDA_ERROR_KEY_ROTATION CUDA_ERROR_UNKNOWN
}

/// A code as cudarc's enum. A number that the enum lacks cannot become one: what cudarc's caller
/// would go on with is undefined, so the process ends.
fn result(call: &str, code: u32) -> CUresult {
    CODES.iter().copied().find(|known| *known as u32 == code).unwrap_or_else(|| {
        let line = format!("softcuda: {call} answers {code}, which cudarc's CUresult lacks\n");
        // Nobody can be told that standard error is closed.
        let _ = io::stderr().write_all(line.as_bytes());
        process::abort()
    })
}

/// Exports functions of the driver with cudarc's types.
macro_rules! exports {
    ($(fn $name:ident($($argument:ident: $type:ty),*);)*) => {
        $(
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($($argument: $type),*) -> CUresult {
                // SAFETY: the caller's promise is what the driver asks for.
                result(stringify!($name), unsafe { driver::$name($($argument.pass()),*) })
            }
        )*
    };
}

/// Exports functions that every cudarc version declares from CUDA 12.8 on, and compares the types
/// with its declarations.
macro_rules! checked_exports {
    ($(fn $name:ident($($argument:ident: $type:ty),*);)*) => {
        $(
            const _: unsafe fn($($type),*) -> CUresult = sys::$name;
        )*
        exports! { $(fn $name($($argument: $type),*);)* }
    };
}

mod graph;

checked_exports! {
    fn cuInit(flags: c_uint);
    fn cuDriverGetVersion(version: *mut c_int);
    fn cuGetErrorName(error: CUresult, name: *mut *const c_char);
    fn cuGetErrorString(error: CUresult, text: *mut *const c_char);

    fn cuDeviceGet(device: *mut CUdevice, ordinal: c_int);
    fn cuDeviceGetCount(count: *mut c_int);
    fn cuDeviceGetName(name: *mut c_char, length: c_int, device: CUdevice);
    fn cuDeviceGetUuid_v2(uuid: *mut CUuuid, device: CUdevice);
    fn cuDeviceGetPCIBusId(id: *mut c_char, length: c_int, device: CUdevice);
    fn cuDeviceGetByPCIBusId(device: *mut CUdevice, id: *const c_char);
    fn cuDeviceGetAttribute(value: *mut c_int, attribute: CUdevice_attribute, device: CUdevice);
    fn cuDeviceTotalMem_v2(bytes: *mut usize, device: CUdevice);
    fn cuDeviceComputeCapability(major: *mut c_int, minor: *mut c_int, device: CUdevice);
    fn cuDeviceCanAccessPeer(can: *mut c_int, device: CUdevice, peer: CUdevice);

    fn cuDevicePrimaryCtxRetain(context: *mut CUcontext, device: CUdevice);
    fn cuDevicePrimaryCtxRelease_v2(device: CUdevice);
    fn cuDevicePrimaryCtxGetState(device: CUdevice, flags: *mut c_uint, active: *mut c_int);
    fn cuDevicePrimaryCtxReset_v2(device: CUdevice);
    fn cuDevicePrimaryCtxSetFlags_v2(device: CUdevice, flags: c_uint);
    fn cuCtxCreate_v4(context: *mut CUcontext, params: *mut CUctxCreateParams, flags: c_uint, device: CUdevice);
    fn cuCtxDestroy_v2(context: CUcontext);
    fn cuCtxGetCurrent(context: *mut CUcontext);
    fn cuCtxSetCurrent(context: CUcontext);
    fn cuCtxPushCurrent_v2(context: CUcontext);
    fn cuCtxPopCurrent_v2(context: *mut CUcontext);
    fn cuCtxGetDevice(device: *mut CUdevice);
    fn cuCtxGetId(context: CUcontext, id: *mut c_ulonglong);
    fn cuCtxGetFlags(flags: *mut c_uint);
    fn cuCtxGetLimit(value: *mut usize, limit: CUlimit);
    fn cuCtxSetLimit(limit: CUlimit, value: usize);
    fn cuCtxGetApiVersion(context: CUcontext, version: *mut c_uint);
    fn cuCtxSynchronize();
    fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int);
    fn cuCtxEnablePeerAccess(peer: CUcontext, flags: c_uint);
    fn cuCtxDisablePeerAccess(peer: CUcontext);

    fn cuDeviceGetDevResource(device: CUdevice, resource: *mut CUdevResource, kind: CUdevResourceType);
    fn cuDevSmResourceSplitByCount(
        parts: *mut CUdevResource,
        count: *mut c_uint,
        whole: *const CUdevResource,
        rest: *mut CUdevResource,
        uses: c_uint,
        fewest: c_uint
    );
    fn cuDevResourceGenerateDesc(descriptor: *mut CUdevResourceDesc, resources: *mut CUdevResource, count: c_uint);
    fn cuGreenCtxCreate(green: *mut CUgreenCtx, descriptor: CUdevResourceDesc, device: CUdevice, flags: c_uint);
    fn cuGreenCtxDestroy(green: CUgreenCtx);
    fn cuCtxFromGreenCtx(context: *mut CUcontext, green: CUgreenCtx);
    fn cuGreenCtxStreamCreate(stream: *mut CUstream, green: CUgreenCtx, flags: c_uint, priority: c_int);

    fn cuStreamCreate(stream: *mut CUstream, flags: c_uint);
    fn cuStreamCreateWithPriority(stream: *mut CUstream, flags: c_uint, priority: c_int);
    fn cuStreamDestroy_v2(stream: CUstream);
    fn cuStreamQuery(stream: CUstream);
    fn cuStreamSynchronize(stream: CUstream);
    fn cuStreamWaitEvent(stream: CUstream, event: CUevent, flags: c_uint);
    fn cuStreamGetId(stream: CUstream, id: *mut c_ulonglong);
    fn cuStreamGetCtx(stream: CUstream, context: *mut CUcontext);
    fn cuStreamGetDevice(stream: CUstream, device: *mut CUdevice);
    fn cuStreamGetFlags(stream: CUstream, flags: *mut c_uint);
    fn cuStreamGetPriority(stream: CUstream, priority: *mut c_int);
    fn cuStreamGetCtx_v2(stream: CUstream, context: *mut CUcontext, green: *mut CUgreenCtx);
    fn cuStreamGetGreenCtx(stream: CUstream, green: *mut CUgreenCtx);
    fn cuStreamWaitValue32_v2(stream: CUstream, address: CUdeviceptr, value: c_uint, flags: c_uint);
    fn cuStreamWaitValue64_v2(stream: CUstream, address: CUdeviceptr, value: u64, flags: c_uint);
    fn cuStreamWriteValue32_v2(stream: CUstream, address: CUdeviceptr, value: c_uint, flags: c_uint);
    fn cuStreamWriteValue64_v2(stream: CUstream, address: CUdeviceptr, value: u64, flags: c_uint);
    fn cuStreamBatchMemOp_v2(stream: CUstream, count: c_uint, params: *mut CUstreamBatchMemOpParams, flags: c_uint);
    fn cuLaunchHostFunc(stream: CUstream, function: CUhostFn, user: *mut c_void);

    fn cuEventCreate(event: *mut CUevent, flags: c_uint);
    fn cuEventDestroy_v2(event: CUevent);
    fn cuEventRecord(event: CUevent, stream: CUstream);
    fn cuEventRecordWithFlags(event: CUevent, stream: CUstream, flags: c_uint);
    fn cuEventQuery(event: CUevent);
    fn cuEventSynchronize(event: CUevent);
    fn cuEventElapsedTime_v2(milliseconds: *mut f32, start: CUevent, end: CUevent);

    fn cuMemAlloc_v2(address: *mut CUdeviceptr, bytes: usize);
    fn cuMemFree_v2(address: CUdeviceptr);
    fn cuMemAllocAsync(address: *mut CUdeviceptr, bytes: usize, stream: CUstream);
    fn cuMemFreeAsync(address: CUdeviceptr, stream: CUstream);
    fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize);
    fn cuPointerGetAttribute(value: *mut c_void, attribute: CUpointer_attribute, address: CUdeviceptr);
    fn cuPointerGetAttributes(count: c_uint, attributes: *mut CUpointer_attribute, values: *mut *mut c_void, address: CUdeviceptr);
    fn cuMemGetAddressRange_v2(start: *mut CUdeviceptr, bytes: *mut usize, address: CUdeviceptr);
    fn cuDeviceGetDefaultMemPool(pool: *mut CUmemoryPool, device: CUdevice);
    fn cuDeviceGetMemPool(pool: *mut CUmemoryPool, device: CUdevice);
    fn cuDeviceSetMemPool(device: CUdevice, pool: CUmemoryPool);
    fn cuMemPoolCreate(pool: *mut CUmemoryPool, properties: *const CUmemPoolProps);
    fn cuMemPoolDestroy(pool: CUmemoryPool);
    fn cuMemPoolTrimTo(pool: CUmemoryPool, bytes: usize);
    fn cuMemPoolSetAttribute(pool: CUmemoryPool, attribute: CUmemPool_attribute, value: *mut c_void);
    fn cuMemPoolGetAttribute(pool: CUmemoryPool, attribute: CUmemPool_attribute, value: *mut c_void);
    fn cuMemPoolSetAccess(pool: CUmemoryPool, accesses: *const CUmemAccessDesc, count: usize);
    fn cuMemPoolGetAccess(flags: *mut CUmemAccess_flags, pool: CUmemoryPool, location: *mut CUmemLocation);
    fn cuMemAllocFromPoolAsync(address: *mut CUdeviceptr, bytes: usize, pool: CUmemoryPool, stream: CUstream);
    fn cuMemHostAlloc(start: *mut *mut c_void, bytes: usize, flags: c_uint);
    fn cuMemFreeHost(start: *mut c_void);
    fn cuMemHostGetDevicePointer_v2(address: *mut CUdeviceptr, start: *mut c_void, flags: c_uint);
    fn cuMemAllocHost_v2(start: *mut *mut c_void, bytes: usize);
    fn cuMemHostGetFlags(flags: *mut c_uint, start: *mut c_void);
    fn cuMemHostRegister_v2(start: *mut c_void, bytes: usize, flags: c_uint);
    fn cuMemHostUnregister(start: *mut c_void);
    fn cuMemAllocManaged(address: *mut CUdeviceptr, bytes: usize, flags: c_uint);
    fn cuStreamAttachMemAsync(stream: CUstream, address: CUdeviceptr, bytes: usize, flags: c_uint);
    fn cuMemAdvise_v2(address: CUdeviceptr, bytes: usize, advice: CUmem_advise, location: CUmemLocation);
    fn cuMemPrefetchAsync_v2(address: CUdeviceptr, bytes: usize, location: CUmemLocation, flags: c_uint, stream: CUstream);
    fn cuMemcpyHtoD_v2(target: CUdeviceptr, source: *const c_void, bytes: usize);
    fn cuMemcpyDtoH_v2(target: *mut c_void, source: CUdeviceptr, bytes: usize);
    fn cuMemcpyHtoDAsync_v2(target: CUdeviceptr, source: *const c_void, bytes: usize, stream: CUstream);
    fn cuMemcpyDtoHAsync_v2(target: *mut c_void, source: CUdeviceptr, bytes: usize, stream: CUstream);
    fn cuMemcpyDtoDAsync_v2(target: CUdeviceptr, source: CUdeviceptr, bytes: usize, stream: CUstream);
    fn cuMemcpyDtoD_v2(target: CUdeviceptr, source: CUdeviceptr, bytes: usize);
    fn cuMemcpy(target: CUdeviceptr, source: CUdeviceptr, bytes: usize);
    fn cuMemcpyAsync(target: CUdeviceptr, source: CUdeviceptr, bytes: usize, stream: CUstream);
    fn cuMemcpyPeer(
        target: CUdeviceptr,
        target_context: CUcontext,
        source: CUdeviceptr,
        source_context: CUcontext,
        bytes: usize
    );
    fn cuMemcpyPeerAsync(
        target: CUdeviceptr,
        target_context: CUcontext,
        source: CUdeviceptr,
        source_context: CUcontext,
        bytes: usize,
        stream: CUstream
    );
    fn cuMemsetD8_v2(target: CUdeviceptr, value: c_uchar, count: usize);
    fn cuMemsetD16_v2(target: CUdeviceptr, value: c_ushort, count: usize);
    fn cuMemsetD32_v2(target: CUdeviceptr, value: c_uint, count: usize);
    fn cuMemsetD16Async(target: CUdeviceptr, value: c_ushort, count: usize, stream: CUstream);
    fn cuMemsetD8Async(target: CUdeviceptr, value: c_uchar, count: usize, stream: CUstream);
    fn cuMemsetD32Async(target: CUdeviceptr, value: c_uint, count: usize, stream: CUstream);

    fn cuIpcGetEventHandle(handle: *mut CUipcEventHandle, event: CUevent);
    fn cuIpcOpenEventHandle(event: *mut CUevent, handle: CUipcEventHandle);
    fn cuIpcGetMemHandle(handle: *mut CUipcMemHandle, address: CUdeviceptr);
    fn cuIpcOpenMemHandle_v2(address: *mut CUdeviceptr, handle: CUipcMemHandle, flags: c_uint);
    fn cuIpcCloseMemHandle(address: CUdeviceptr);
    fn cuThreadExchangeStreamCaptureMode(mode: *mut CUstreamCaptureMode);

    fn cuModuleLoadData(module: *mut CUmodule, image: *const c_void);
    fn cuModuleGetFunction(function: *mut CUfunction, module: CUmodule, name: *const c_char);
    fn cuModuleUnload(module: CUmodule);
    fn cuFuncGetAttribute(value: *mut c_int, attribute: CUfunction_attribute, function: CUfunction);
    fn cuLaunchKernel(
        function: CUfunction,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        shared_bytes: c_uint,
        stream: CUstream,
        params: *mut *mut c_void,
        extra: *mut *mut c_void
    );
}

// Those that only some versions declare.
exports! {
    fn cuDeviceGetUuid(uuid: *mut CUuuid, device: CUdevice);
    fn cuCtxCreate_v2(context: *mut CUcontext, flags: c_uint, device: CUdevice);
    fn cuEventElapsedTime(milliseconds: *mut f32, start: CUevent, end: CUevent);
    fn cuMemAdvise(address: CUdeviceptr, bytes: usize, advice: CUmem_advise, device: CUdevice);
    fn cuMemPrefetchAsync(address: CUdeviceptr, bytes: usize, device: CUdevice, stream: CUstream);
    fn cuMemGetDefaultMemPool(pool: *mut CUmemoryPool, location: *mut CUmemLocation, allocation_type: CUmemAllocationType);
    fn cuMemGetMemPool(pool: *mut CUmemoryPool, location: *mut CUmemLocation, allocation_type: CUmemAllocationType);
    fn cuMemSetMemPool(location: *mut CUmemLocation, allocation_type: CUmemAllocationType, pool: CUmemoryPool);
}

/// Exports functions that the driver lacks but cudarc's safe layer reaches. One that is missing
/// here is an error of the linker.
macro_rules! unsupported_exports {
    ($(fn $name:ident($($type:ty),*);)*) => {
        $(
            const _: unsafe fn($($type),*) -> CUresult = sys::$name;

            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($(_: $type),*) -> CUresult {
                CUresult::CUDA_ERROR_NOT_SUPPORTED
            }
        )*
    };
}

unsupported_exports! {
    fn cuModuleLoad(*mut CUmodule, *const c_char);
}
