//! The function table: one row a driver function, its parameters checked against cudarc's bindings.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};

use cudarc::driver::sys;
pub(crate) use sys::{
    CUDA_HOST_NODE_PARAMS, CUcontext, CUdevice, CUdeviceptr, CUevent, CUgraph, CUgraphExec, CUgraphNode, CUhostFn, CUipcEventHandle,
    CUipcMemHandle, CUstream, CUuserObject, CUuuid,
};
use sys::{CUdevice_attribute, CUpointer_attribute, CUstreamCaptureMode, CUstreamCaptureStatus};

use super::Answer;
use late::CUgraphEdgeData;

/// Types that some CUDA versions lack; only ever behind a pointer. Where cudarc has them, its own are checked.
mod late {
    pub(crate) enum CUgraphEdgeData {}
}

/// What stands in for a function that the driver lacks answers this.
pub(super) const MISSING: u32 = u32::MAX;

/// Fails to compile where cudarc binds `$name` with other parameters.
///
/// The inner glob import shadows the generic stand-in; so a function that the bound CUDA version
/// lacks is checked wherever it exists, without a `cfg`.
macro_rules! check {
    ($name:ident, ($($arg:ident)*), ($($called:ty),*), ($($bound:ty),*)) => {
        const _: () = {
            $(assert!(size_of::<$called>() == size_of::<$bound>());)*
            check!($name, ($($arg)*), ($($bound),*));
        };
    };
    ($name:ident, ($($arg:ident)*), ($($bound:ty),*)) => {
        const _: () = {
            #[allow(non_camel_case_types, non_snake_case, dead_code, unreachable_code)]
            unsafe fn $name<$($arg),*>($(_: $arg),*) -> sys::CUresult { unreachable!() }
            {
                #[allow(unused_imports, clippy::wildcard_imports)]
                use cudarc::driver::sys::*;
                let _: unsafe fn($($bound),*) -> CUresult = $name;
            }
        };
    };
}

/// `fn name(parameters) for (types)`: where `for` stands, cudarc's binding has those types, and the
/// function is called with the plain integers of the first list.
macro_rules! table {
    (
        required { $(fn $name:ident($($arg:ident: $ty:ty),*) $(for ($($bound:ty),*))?;)* }
        optional { $(fn $late:ident($($late_arg:ident: $late_ty:ty),*) $(for ($($late_bound:ty),*))?;)* }
    ) => {
        $(check!($name, ($($arg)*), ($($ty),*) $(, ($($bound),*))?);)*
        $(check!($late, ($($late_arg)*), ($($late_ty),*) $(, ($($late_bound),*))?);)*

        /// The driver's functions. A required one that is missing answers [`MISSING`].
        #[allow(non_snake_case)]
        pub(crate) struct Driver {
            $($name: unsafe extern "C" fn($($ty),*) -> c_uint,)*
            $($late: Option<unsafe extern "C" fn($($late_ty),*) -> c_uint>,)*
            missing: Box<[&'static str]>,
        }

        #[allow(non_snake_case)]
        impl Driver {
            /// Looks every function up by its name.
            pub(super) fn bind(symbol: impl Fn(&'static CStr) -> Option<*const c_void>) -> Self {
                $(
                    unsafe extern "C" fn $name($(_: $ty),*) -> c_uint { MISSING }
                )*
                let mut missing = Vec::new();
                Self {
                    $($name: match symbol(symbol_name(concat!(stringify!($name), "\0"))) {
                        Some(address) => {
                            // SAFETY: the C function of this name has these parameters (checked above) and returns an enum, read as its integer.
                            unsafe { std::mem::transmute::<*const c_void, unsafe extern "C" fn($($ty),*) -> c_uint>(address) }
                        }
                        None => {
                            missing.push(stringify!($name));
                            $name
                        }
                    },)*
                    $($late: symbol(symbol_name(concat!(stringify!($late), "\0"))).map(|address| {
                        // SAFETY: as above.
                        unsafe { std::mem::transmute::<*const c_void, unsafe extern "C" fn($($late_ty),*) -> c_uint>(address) }
                    }),)*
                    missing: missing.into(),
                }
            }

            /// Whether a required function is missing.
            pub(super) fn lacks(&self, function: &str) -> bool {
                self.missing.contains(&function)
            }

            $(
                #[inline(always)]
                #[allow(clippy::inline_always, reason = "the name in the answer must fold into the cold path")]
                pub(crate) unsafe fn $name(&self, $($arg: $ty),*) -> Answer {
                    // SAFETY: the caller upholds the contract of the driver function.
                    Answer { call: &stringify!($name), code: unsafe { (self.$name)($($arg),*) } }
                }
            )*
            $(
                /// `None` where the driver is too old to have it.
                #[inline(always)]
                #[allow(clippy::inline_always, reason = "the name in the answer must fold into the cold path")]
                #[allow(clippy::too_many_arguments, reason = "as many as the driver's function has")]
                pub(crate) unsafe fn $late(&self, $($late_arg: $late_ty),*) -> Option<Answer> {
                    let function = self.$late?;
                    // SAFETY: the caller upholds the contract of the driver function.
                    Some(Answer { call: &stringify!($late), code: unsafe { function($($late_arg),*) } })
                }
            )*
        }
    };
}

table! {
    required {
        fn cuInit(flags: c_uint);
        fn cuDriverGetVersion(version: *mut c_int);
        fn cuDeviceGet(device: *mut CUdevice, ordinal: c_int);
        fn cuDeviceGetCount(count: *mut c_int);
        fn cuDeviceGetName(name: *mut c_char, len: c_int, device: CUdevice);
        fn cuDeviceGetUuid_v2(uuid: *mut CUuuid, device: CUdevice);
        fn cuDeviceGetPCIBusId(id: *mut c_char, len: c_int, device: CUdevice);
        fn cuDeviceGetByPCIBusId(device: *mut CUdevice, id: *const c_char);
        fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_uint, device: CUdevice)
            for (*mut c_int, CUdevice_attribute, CUdevice);
        fn cuDeviceTotalMem_v2(bytes: *mut usize, device: CUdevice);
        fn cuDeviceCanAccessPeer(can: *mut c_int, device: CUdevice, peer: CUdevice);
        fn cuDevicePrimaryCtxRetain(context: *mut CUcontext, device: CUdevice);
        fn cuDevicePrimaryCtxRelease_v2(device: CUdevice);
        fn cuDevicePrimaryCtxGetState(device: CUdevice, flags: *mut c_uint, active: *mut c_int);
        fn cuDevicePrimaryCtxSetFlags_v2(device: CUdevice, flags: c_uint);
        fn cuCtxPushCurrent_v2(context: CUcontext);
        fn cuCtxPopCurrent_v2(context: *mut CUcontext);
        fn cuCtxGetCurrent(context: *mut CUcontext);
        fn cuCtxSetCurrent(context: CUcontext);
        fn cuCtxGetDevice(device: *mut CUdevice);
        fn cuCtxSynchronize();
        fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int);
        fn cuCtxEnablePeerAccess(peer: CUcontext, flags: c_uint);
        fn cuStreamCreateWithPriority(stream: *mut CUstream, flags: c_uint, priority: c_int);
        fn cuStreamDestroy_v2(stream: CUstream);
        fn cuStreamQuery(stream: CUstream);
        fn cuStreamSynchronize(stream: CUstream);
        fn cuStreamGetCtx(stream: CUstream, context: *mut CUcontext);
        fn cuStreamGetFlags(stream: CUstream, flags: *mut c_uint);
        fn cuStreamGetPriority(stream: CUstream, priority: *mut c_int);
        fn cuStreamIsCapturing(stream: CUstream, status: *mut c_uint)
            for (CUstream, *mut CUstreamCaptureStatus);
        fn cuLaunchHostFunc(stream: CUstream, function: CUhostFn, user: *mut c_void);
        fn cuStreamWaitEvent(stream: CUstream, event: CUevent, flags: c_uint);
        fn cuEventCreate(event: *mut CUevent, flags: c_uint);
        fn cuEventDestroy_v2(event: CUevent);
        fn cuEventRecord(event: CUevent, stream: CUstream);
        fn cuEventQuery(event: CUevent);
        fn cuEventSynchronize(event: CUevent);
        fn cuIpcGetEventHandle(handle: *mut CUipcEventHandle, event: CUevent);
        fn cuIpcOpenEventHandle(event: *mut CUevent, handle: CUipcEventHandle);
        fn cuIpcGetMemHandle(handle: *mut CUipcMemHandle, address: CUdeviceptr);
        fn cuIpcOpenMemHandle_v2(address: *mut CUdeviceptr, handle: CUipcMemHandle, flags: c_uint);
        fn cuIpcCloseMemHandle(address: CUdeviceptr);
        fn cuMemAlloc_v2(address: *mut CUdeviceptr, bytes: usize);
        fn cuMemFree_v2(address: CUdeviceptr);
        fn cuMemGetAddressRange_v2(start: *mut CUdeviceptr, bytes: *mut usize, address: CUdeviceptr);
        fn cuPointerGetAttribute(value: *mut c_void, attribute: c_uint, address: CUdeviceptr)
            for (*mut c_void, CUpointer_attribute, CUdeviceptr);
        fn cuThreadExchangeStreamCaptureMode(mode: *mut c_uint)
            for (*mut CUstreamCaptureMode);
        fn cuStreamBeginCapture_v2(stream: CUstream, mode: c_uint)
            for (CUstream, CUstreamCaptureMode);
        fn cuStreamEndCapture(stream: CUstream, graph: *mut CUgraph);
        fn cuEventRecordWithFlags(event: CUevent, stream: CUstream, flags: c_uint);
        fn cuGraphCreate(graph: *mut CUgraph, flags: c_uint);
        fn cuGraphDestroy(graph: CUgraph);
        fn cuGraphClone(clone: *mut CUgraph, graph: CUgraph);
        fn cuGraphGetNodes(graph: CUgraph, nodes: *mut CUgraphNode, count: *mut usize);
        fn cuGraphAddEventRecordNode(node: *mut CUgraphNode, graph: CUgraph, after: *const CUgraphNode, count: usize, event: CUevent);
        fn cuGraphAddEventWaitNode(node: *mut CUgraphNode, graph: CUgraph, after: *const CUgraphNode, count: usize, event: CUevent);
        fn cuGraphAddHostNode(node: *mut CUgraphNode, graph: CUgraph, after: *const CUgraphNode, count: usize, what: *const CUDA_HOST_NODE_PARAMS);
        fn cuGraphInstantiateWithFlags(exec: *mut CUgraphExec, graph: CUgraph, flags: c_ulonglong);
        fn cuGraphUpload(exec: CUgraphExec, stream: CUstream);
        fn cuGraphLaunch(exec: CUgraphExec, stream: CUstream);
        fn cuGraphExecDestroy(exec: CUgraphExec);
        fn cuUserObjectCreate(object: *mut CUuserObject, data: *mut c_void, destroy: CUhostFn, count: c_uint, flags: c_uint);
        fn cuUserObjectRelease(object: CUuserObject, count: c_uint);
        fn cuGraphRetainUserObject(graph: CUgraph, object: CUuserObject, count: c_uint, flags: c_uint);
    }
    optional {
        // Since 12.0. Before it, contexts and streams have no identity.
        fn cuCtxGetId(context: CUcontext, id: *mut c_ulonglong);
        fn cuStreamGetId(stream: CUstream, id: *mut c_ulonglong);
        // The first is exported by every driver, and bound up to 12.9; the second exists since 12.8.
        fn cuEventElapsedTime(milliseconds: *mut f32, start: CUevent, end: CUevent);
        fn cuEventElapsedTime_v2(milliseconds: *mut f32, start: CUevent, end: CUevent);
        // Of each pair the first is exported by every driver, and bound up to 12.9; the second exists since 12.3.
        fn cuStreamGetCaptureInfo_v2(stream: CUstream, status: *mut c_uint, id: *mut u64, graph: *mut CUgraph, after: *mut *const CUgraphNode, count: *mut usize)
            for (CUstream, *mut CUstreamCaptureStatus, *mut u64, *mut CUgraph, *mut *const CUgraphNode, *mut usize);
        fn cuStreamGetCaptureInfo_v3(stream: CUstream, status: *mut c_uint, id: *mut u64, graph: *mut CUgraph, after: *mut *const CUgraphNode, edges: *mut *const CUgraphEdgeData, count: *mut usize)
            for (CUstream, *mut CUstreamCaptureStatus, *mut u64, *mut CUgraph, *mut *const CUgraphNode, *mut *const CUgraphEdgeData, *mut usize);
        fn cuGraphGetEdges(graph: CUgraph, from: *mut CUgraphNode, to: *mut CUgraphNode, count: *mut usize);
        fn cuGraphGetEdges_v2(graph: CUgraph, from: *mut CUgraphNode, to: *mut CUgraphNode, edges: *mut CUgraphEdgeData, count: *mut usize);
    }
}

/// A C string from a literal that ends in a zero byte.
const fn symbol_name(literal: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(literal.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("one zero byte, at the end"),
    }
}
