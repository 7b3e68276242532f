//! The driver under test: its functions by their own names, returning plain numbers.
//!
//! The methods are safe to call although a wrong handle may crash the process. Wrong arguments are
//! what the probes are about, the crash of a real driver is an outcome, and each probe that expects
//! one has a process of its own. The callers' part is that no memory of this program is freed while
//! the driver may still use it: whatever outlives a call is pinned memory that is never freed.

#![expect(non_snake_case, reason = "the driver's own names")]

use std::ffi::{CStr, c_char, c_void};
use std::mem::transmute;

use libloading::Library;
use softcuda::Choice;

use crate::code::Code;
use crate::structs::{
    Access, Edge, HostFunction, HostParameters, IpcHandle, Location, MemsetParameters, Operation, PoolProperties, Resource,
};

/// A context, stream, event, graph, node, module, function, memory pool or the like. The driver judges it; nothing here follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Handle(pub(crate) usize);

impl Handle {
    pub(crate) const NULL: Self = Self(0);
    /// The null stream.
    pub(crate) const DEFAULT: Self = Self(0);
    /// `CU_STREAM_LEGACY`
    pub(crate) const LEGACY: Self = Self(1);
    /// `CU_STREAM_PER_THREAD`
    pub(crate) const PER_THREAD: Self = Self(2);
}

/// An out parameter: `None` is the null pointer.
pub(crate) type Out<'a, T> = Option<&'a mut T>;

/// A callback of a stream.
pub(crate) type Callback = Option<extern "C" fn(Handle, u32, *mut c_void)>;

macro_rules! functions {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {
        /// The functions of a driver library that the probes call.
        pub struct Driver {
            software: bool,
            $($name: Option<unsafe extern "C" fn($($kind),*) -> u32>,)*
        }

        impl Driver {
            fn bind(software: bool, find: impl Fn(&CStr) -> Option<*const c_void>) -> Self {
                $(
                    let name = const {
                        match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                            Ok(name) => name,
                            Err(_) => panic!("a function's name has no zero byte"),
                        }
                    };
                    let $name = find(name).map(|address| {
                        // SAFETY: the address is that of the function of this name, and the row in
                        // the list below is its signature.
                        unsafe { transmute::<*const c_void, unsafe extern "C" fn($($kind),*) -> u32>(address) }
                    });
                )*
                Self { software, $($name,)* }
            }
        }

        #[expect(clippy::too_many_arguments, reason = "the driver's own signatures")]
        impl Driver {
            $(
                pub(crate) fn $name(&self, $($argument: $kind),*) -> Code {
                    let Some(function) = self.$name else { return Code::MISSING };
                    // SAFETY: the signature is the driver's, out parameters are references or null,
                    // and the module's rule keeps what the driver may use later.
                    Code(unsafe { function($($argument),*) })
                }
            )*
        }
    };
}

functions! {
    cuInit(flags: u32);
    cuDriverGetVersion(version: Out<'_, i32>);
    cuGetErrorName(code: u32, name: Out<'_, *const c_char>);
    cuGetErrorString(code: u32, text: Out<'_, *const c_char>);

    cuDeviceGet(device: Out<'_, i32>, ordinal: i32);
    cuDeviceGetCount(count: Out<'_, i32>);
    cuDeviceGetName(name: *mut c_char, length: i32, device: i32);
    cuDeviceGetUuid(uuid: Out<'_, [u8; 16]>, device: i32);
    cuDeviceGetUuid_v2(uuid: Out<'_, [u8; 16]>, device: i32);
    cuDeviceGetPCIBusId(id: *mut c_char, length: i32, device: i32);
    cuDeviceGetByPCIBusId(device: Out<'_, i32>, id: *const c_char);
    cuDeviceGetAttribute(value: Out<'_, i32>, attribute: u32, device: i32);
    cuDeviceTotalMem_v2(bytes: Out<'_, usize>, device: i32);
    cuDeviceComputeCapability(major: Out<'_, i32>, minor: Out<'_, i32>, device: i32);
    cuDeviceCanAccessPeer(can: Out<'_, i32>, device: i32, peer: i32);
    cuDevicePrimaryCtxRetain(context: Out<'_, Handle>, device: i32);
    cuDevicePrimaryCtxRelease_v2(device: i32);
    cuDevicePrimaryCtxGetState(device: i32, flags: Out<'_, u32>, active: Out<'_, i32>);
    cuDevicePrimaryCtxReset_v2(device: i32);
    cuDevicePrimaryCtxSetFlags_v2(device: i32, flags: u32);

    cuCtxCreate_v2(context: Out<'_, Handle>, flags: u32, device: i32);
    cuCtxDestroy_v2(context: Handle);
    cuCtxGetCurrent(context: Out<'_, Handle>);
    cuCtxSetCurrent(context: Handle);
    cuCtxPushCurrent_v2(context: Handle);
    cuCtxPopCurrent_v2(context: Out<'_, Handle>);
    cuCtxGetDevice(device: Out<'_, i32>);
    cuCtxGetId(context: Handle, id: Out<'_, u64>);
    cuCtxGetFlags(flags: Out<'_, u32>);
    cuCtxGetApiVersion(context: Handle, version: Out<'_, u32>);
    cuCtxSynchronize();
    cuCtxGetStreamPriorityRange(least: Out<'_, i32>, greatest: Out<'_, i32>);
    cuCtxEnablePeerAccess(peer: Handle, flags: u32);
    cuCtxDisablePeerAccess(peer: Handle);
    cuCtxGetLimit(value: Out<'_, usize>, limit: u32);
    cuCtxSetLimit(limit: u32, value: usize);

    cuStreamCreate(stream: Out<'_, Handle>, flags: u32);
    cuStreamCreateWithPriority(stream: Out<'_, Handle>, flags: u32, priority: i32);
    cuStreamDestroy_v2(stream: Handle);
    cuStreamQuery(stream: Handle);
    cuStreamSynchronize(stream: Handle);
    cuStreamWaitEvent(stream: Handle, event: Handle, flags: u32);
    cuStreamGetId(stream: Handle, id: Out<'_, u64>);
    cuStreamGetCtx(stream: Handle, context: Out<'_, Handle>);
    cuStreamGetDevice(stream: Handle, device: Out<'_, i32>);
    cuStreamGetFlags(stream: Handle, flags: Out<'_, u32>);
    cuStreamGetPriority(stream: Handle, priority: Out<'_, i32>);
    cuStreamIsCapturing(stream: Handle, status: Out<'_, u32>);

    cuDeviceGetDevResource(device: i32, resource: Out<'_, Resource>, kind: u32);
    cuDevSmResourceSplitByCount(
        parts: *mut Resource, count: Out<'_, u32>, whole: Option<&Resource>, rest: Out<'_, Resource>,
        uses: u32, fewest: u32
    );
    cuDevResourceGenerateDesc(descriptor: Out<'_, Handle>, resources: *mut Resource, count: u32);
    cuGreenCtxCreate(green: Out<'_, Handle>, descriptor: Handle, device: i32, flags: u32);
    cuGreenCtxDestroy(green: Handle);
    cuCtxFromGreenCtx(context: Out<'_, Handle>, green: Handle);
    cuGreenCtxStreamCreate(stream: Out<'_, Handle>, green: Handle, flags: u32, priority: i32);
    cuStreamGetGreenCtx(stream: Handle, green: Out<'_, Handle>);
    cuStreamGetCtx_v2(stream: Handle, context: Out<'_, Handle>, green: Out<'_, Handle>);

    cuStreamWaitValue32(stream: Handle, address: u64, value: u32, flags: u32);
    cuStreamWaitValue32_v2(stream: Handle, address: u64, value: u32, flags: u32);
    cuStreamWaitValue64_v2(stream: Handle, address: u64, value: u64, flags: u32);
    cuStreamWriteValue32(stream: Handle, address: u64, value: u32, flags: u32);
    cuStreamWriteValue32_v2(stream: Handle, address: u64, value: u32, flags: u32);
    cuStreamWriteValue64_v2(stream: Handle, address: u64, value: u64, flags: u32);
    cuStreamBatchMemOp(stream: Handle, count: u32, operations: *const Operation, flags: u32);
    cuStreamBatchMemOp_v2(stream: Handle, count: u32, operations: *const Operation, flags: u32);
    cuStreamAttachMemAsync(stream: Handle, address: u64, bytes: usize, flags: u32);

    cuEventCreate(event: Out<'_, Handle>, flags: u32);
    cuEventDestroy_v2(event: Handle);
    cuEventRecord(event: Handle, stream: Handle);
    cuEventRecordWithFlags(event: Handle, stream: Handle, flags: u32);
    cuEventQuery(event: Handle);
    cuEventSynchronize(event: Handle);
    cuEventElapsedTime(milliseconds: Out<'_, f32>, start: Handle, end: Handle);
    cuEventElapsedTime_v2(milliseconds: Out<'_, f32>, start: Handle, end: Handle);

    cuMemAlloc_v2(address: Out<'_, u64>, bytes: usize);
    cuMemFree_v2(address: u64);
    cuMemAllocAsync(address: Out<'_, u64>, bytes: usize, stream: Handle);
    cuMemFreeAsync(address: u64, stream: Handle);
    cuMemGetInfo_v2(free: Out<'_, usize>, total: Out<'_, usize>);
    cuMemHostAlloc(memory: Out<'_, *mut c_void>, bytes: usize, flags: u32);
    cuMemFreeHost(memory: *mut c_void);
    cuMemAllocHost_v2(memory: Out<'_, *mut c_void>, bytes: usize);
    cuMemHostGetDevicePointer_v2(address: Out<'_, u64>, memory: *mut c_void, flags: u32);
    cuMemHostGetFlags(flags: Out<'_, u32>, memory: *mut c_void);
    cuMemHostRegister_v2(memory: *mut c_void, bytes: usize, flags: u32);
    cuMemHostUnregister(memory: *mut c_void);
    cuMemAllocManaged(address: Out<'_, u64>, bytes: usize, flags: u32);
    cuMemAdvise(address: u64, bytes: usize, advice: u32, device: i32);
    cuMemAdvise_v2(address: u64, bytes: usize, advice: u32, location: Location);
    cuMemPrefetchAsync(address: u64, bytes: usize, device: i32, stream: Handle);
    cuMemPrefetchAsync_v2(address: u64, bytes: usize, location: Location, flags: u32, stream: Handle);
    cuMemGetAddressRange_v2(base: Out<'_, u64>, bytes: Out<'_, usize>, address: u64);
    cuPointerGetAttribute(value: *mut c_void, attribute: u32, address: u64);
    cuPointerGetAttributes(count: u32, attributes: *const u32, values: *const *mut c_void, address: u64);
    cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize);
    cuMemcpyDtoH_v2(to: *mut c_void, from: u64, bytes: usize);
    cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, stream: Handle);
    cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, stream: Handle);
    cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: Handle);
    cuMemcpy(to: u64, from: u64, bytes: usize);
    cuMemcpyAsync(to: u64, from: u64, bytes: usize, stream: Handle);
    cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize);
    cuMemcpyPeer(to: u64, to_context: Handle, from: u64, from_context: Handle, bytes: usize);
    cuMemcpyPeerAsync(to: u64, to_context: Handle, from: u64, from_context: Handle, bytes: usize, stream: Handle);
    cuMemsetD8_v2(to: u64, value: u8, count: usize);
    cuMemsetD16_v2(to: u64, value: u16, count: usize);
    cuMemsetD32_v2(to: u64, value: u32, count: usize);
    cuMemsetD8Async(to: u64, value: u8, count: usize, stream: Handle);
    cuMemsetD16Async(to: u64, value: u16, count: usize, stream: Handle);
    cuMemsetD32Async(to: u64, value: u32, count: usize, stream: Handle);

    cuDeviceGetDefaultMemPool(pool: Out<'_, Handle>, device: i32);
    cuDeviceGetMemPool(pool: Out<'_, Handle>, device: i32);
    cuDeviceSetMemPool(device: i32, pool: Handle);
    cuMemPoolCreate(pool: Out<'_, Handle>, properties: Option<&PoolProperties>);
    cuMemPoolDestroy(pool: Handle);
    cuMemPoolTrimTo(pool: Handle, bytes: usize);
    cuMemPoolGetAttribute(pool: Handle, attribute: u32, value: Out<'_, u64>);
    cuMemPoolSetAttribute(pool: Handle, attribute: u32, value: Out<'_, u64>);
    cuMemPoolGetAccess(flags: Out<'_, u32>, pool: Handle, location: Out<'_, Location>);
    cuMemPoolSetAccess(pool: Handle, descriptions: *const Access, count: usize);
    cuMemAllocFromPoolAsync(address: Out<'_, u64>, bytes: usize, pool: Handle, stream: Handle);

    cuIpcGetEventHandle(handle: Out<'_, IpcHandle>, event: Handle);
    cuIpcOpenEventHandle(event: Out<'_, Handle>, handle: IpcHandle);
    cuIpcGetMemHandle(handle: Out<'_, IpcHandle>, address: u64);
    cuIpcOpenMemHandle_v2(address: Out<'_, u64>, handle: IpcHandle, flags: u32);
    cuIpcCloseMemHandle(address: u64);
    cuThreadExchangeStreamCaptureMode(mode: Out<'_, u32>);

    cuModuleLoadData(module: Out<'_, Handle>, image: *const c_void);
    cuModuleGetFunction(function: Out<'_, Handle>, module: Handle, name: *const c_char);
    cuModuleUnload(module: Handle);
    cuFuncGetAttribute(value: Out<'_, i32>, attribute: u32, function: Handle);
    cuLaunchKernel(
        function: Handle,
        grid_x: u32, grid_y: u32, grid_z: u32,
        block_x: u32, block_y: u32, block_z: u32,
        shared_bytes: u32, stream: Handle,
        parameters: *const *const c_void, extra: *const *const c_void
    );
    cuLaunchHostFunc(stream: Handle, function: HostFunction, user: *mut c_void);
    cuStreamAddCallback(stream: Handle, callback: Callback, user: *mut c_void, flags: u32);

    cuStreamBeginCapture_v2(stream: Handle, mode: u32);
    cuStreamEndCapture(stream: Handle, graph: Out<'_, Handle>);
    cuStreamGetCaptureInfo(stream: Handle, status: Out<'_, u32>, id: Out<'_, u64>);
    cuStreamGetCaptureInfo_v2(
        stream: Handle, status: Out<'_, u32>, id: Out<'_, u64>, graph: Out<'_, Handle>,
        dependencies: Out<'_, *const Handle>, count: Out<'_, usize>
    );
    cuStreamGetCaptureInfo_v3(
        stream: Handle, status: Out<'_, u32>, id: Out<'_, u64>, graph: Out<'_, Handle>,
        dependencies: Out<'_, *const Handle>, edges: Out<'_, *const Edge>, count: Out<'_, usize>
    );

    cuGraphCreate(graph: Out<'_, Handle>, flags: u32);
    cuGraphClone(clone: Out<'_, Handle>, graph: Handle);
    cuGraphDestroy(graph: Handle);
    cuGraphGetNodes(graph: Handle, nodes: *mut Handle, count: Out<'_, usize>);
    cuGraphGetRootNodes(graph: Handle, nodes: *mut Handle, count: Out<'_, usize>);
    cuGraphGetEdges(graph: Handle, from: *mut Handle, to: *mut Handle, count: Out<'_, usize>);
    cuGraphGetEdges_v2(graph: Handle, from: *mut Handle, to: *mut Handle, edges: *mut Edge, count: Out<'_, usize>);
    cuGraphNodeGetType(node: Handle, kind: Out<'_, u32>);
    cuGraphAddEmptyNode(node: Out<'_, Handle>, graph: Handle, dependencies: *const Handle, count: usize);
    cuGraphAddEventRecordNode(node: Out<'_, Handle>, graph: Handle, dependencies: *const Handle, count: usize, event: Handle);
    cuGraphAddEventWaitNode(node: Out<'_, Handle>, graph: Handle, dependencies: *const Handle, count: usize, event: Handle);
    cuGraphAddHostNode(
        node: Out<'_, Handle>, graph: Handle, dependencies: *const Handle, count: usize, parameters: Option<&HostParameters>
    );
    cuGraphAddMemsetNode(
        node: Out<'_, Handle>, graph: Handle, dependencies: *const Handle, count: usize,
        parameters: Option<&MemsetParameters>, context: Handle
    );
    cuGraphAddChildGraphNode(node: Out<'_, Handle>, graph: Handle, dependencies: *const Handle, count: usize, child: Handle);
    cuGraphEventRecordNodeGetEvent(node: Handle, event: Out<'_, Handle>);
    cuGraphInstantiateWithFlags(executable: Out<'_, Handle>, graph: Handle, flags: u64);
    cuGraphInstantiate_v2(executable: Out<'_, Handle>, graph: Handle, node: Out<'_, Handle>, log: *mut c_char, bytes: usize);
    cuGraphExecDestroy(executable: Handle);
    cuGraphUpload(executable: Handle, stream: Handle);
    cuGraphLaunch(executable: Handle, stream: Handle);

    cuUserObjectCreate(object: Out<'_, Handle>, data: *mut c_void, destroy: HostFunction, count: u32, flags: u32);
    cuUserObjectRetain(object: Handle, count: u32);
    cuUserObjectRelease(object: Handle, count: u32);
    cuGraphRetainUserObject(graph: Handle, object: Handle, count: u32, flags: u32);
    cuGraphReleaseUserObject(graph: Handle, object: Handle, count: u32);
}

impl Driver {
    /// Opens the driver that `SOFTCUDA` chooses, for as long as the process lives.
    ///
    /// # Errors
    ///
    /// No driver, or none that can be opened; the message says why.
    pub fn open() -> Result<&'static Self, String> {
        let table = match softcuda::choose()? {
            Choice::Nothing => return Err("there is no driver to probe (SOFTCUDA=none)".to_owned()),
            Choice::Software => Self::bind(true, softcuda::symbol),
            Choice::Real => {
                // SAFETY: the driver library's constructors are made to run in any process.
                let library = unsafe { Library::new("libcuda.so.1") }.map_err(|error| format!("libcuda.so.1 cannot be opened: {error}"))?;
                // Never unloaded: the table points into it.
                let library: &'static Library = Box::leak(Box::new(library));
                Self::bind(false, |name| {
                    // SAFETY: only the address is taken here, no type is assumed.
                    unsafe { library.get::<*const c_void>(name) }.ok().map(|symbol| *symbol)
                })
            }
        };
        Ok(Box::leak(Box::new(table)))
    }

    /// Is this the software driver?
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.software
    }

    /// How a result code prints: the driver's own name for it, else the number.
    pub(crate) fn code_name(&self, code: Code) -> String {
        if code == Code::MISSING {
            return "not exported".to_owned();
        }
        match self.error_name(code.0) {
            Some(name) => name.strip_prefix("CUDA_ERROR_").or_else(|| name.strip_prefix("CUDA_")).unwrap_or(&name).to_owned(),
            None => code.0.to_string(),
        }
    }

    /// The name that `cuGetErrorName` has for `code`.
    pub(crate) fn error_name(&self, code: u32) -> Option<String> {
        let mut name = std::ptr::null();
        if !self.cuGetErrorName(code, Some(&mut name)).is_success() || name.is_null() {
            return None;
        }
        // SAFETY: on SUCCESS the driver gives a C string that lives as long as the library.
        let name = unsafe { CStr::from_ptr(name) };
        Some(name.to_string_lossy().into_owned())
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Driver").field("software", &self.software).finish_non_exhaustive()
    }
}
