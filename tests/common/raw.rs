//! Driver functions called directly, for what the crate does not do itself. Result codes are
//! integers; the functions are those of the driver that the crate uses.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::OnceLock;

use cuda_streams::{Device, RawContext, RawEvent, RawGraph, RawStream, Stream};
use libloading::Library;
use softcuda::Choice;

pub(crate) const SUCCESS: u32 = 0;
pub(crate) const NOT_READY: u32 = 600;

/// The address of a driver function that every driver has.
pub(crate) fn symbol(name: &CStr) -> *const c_void {
    find(name).unwrap_or_else(|| panic!("the driver has no {name:?}"))
}

/// Whether the driver has ids of contexts and streams, as drivers have since 12.0.
pub(crate) fn has_ids() -> bool {
    find(c"cuCtxGetId").is_some()
}

/// Whether the driver has green contexts, as drivers have since 12.4.
pub(crate) fn has_green_contexts() -> bool {
    find(c"cuGreenCtxCreate").is_some()
}

fn find(name: &CStr) -> Option<*const c_void> {
    match softcuda::choose().expect("a driver is chosen") {
        Choice::Software => softcuda::symbol(name),
        Choice::Real => {
            // SAFETY: only the address is taken; the type is given where it is called.
            let symbol = unsafe { real().get::<*const c_void>(name.to_bytes_with_nul()) };
            symbol.ok().map(|symbol| *symbol)
        }
        Choice::Nothing => None,
    }
}

fn real() -> &'static Library {
    static REAL: OnceLock<Library> = OnceLock::new();
    REAL.get_or_init(|| {
        // SAFETY: the crate has loaded the same library before.
        unsafe { Library::new("libcuda.so.1") }.expect("the driver that the crate has loaded")
    })
}

/// A resource of a device (`CUdevResource`), with room for what later drivers have in it.
#[repr(C, align(16))]
pub(crate) struct Resource([u8; 1024]);

impl Resource {
    pub(crate) fn new() -> Self {
        Self([0; 1024])
    }
}

macro_rules! functions {
    ($(fn $name:ident($($parameter:ident: $type:ty),*);)*) => {$(
        #[expect(non_snake_case, reason = "the driver's name")]
        pub(crate) unsafe fn $name($($parameter: $type),*) -> u32 {
            static NAME: &CStr = match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!("one zero byte, at the end"),
            };
            // SAFETY: the C function of this name has these parameters and returns an enum, read as its integer.
            let function = unsafe { std::mem::transmute::<*const c_void, unsafe extern "C" fn($($type),*) -> u32>(symbol(NAME)) };
            // SAFETY: the caller upholds the contract of the driver function.
            unsafe { function($($parameter),*) }
        }
    )*};
}

functions! {
    fn cuInit(flags: u32);
    fn cuDeviceGet(device: *mut i32, ordinal: i32);
    fn cuDevicePrimaryCtxReset_v2(device: i32);
    fn cuCtxCreate_v2(context: *mut RawContext, flags: u32, device: i32);
    fn cuCtxDestroy_v2(context: RawContext);
    fn cuCtxGetCurrent(context: *mut RawContext);
    fn cuCtxSetCurrent(context: RawContext);
    fn cuCtxPushCurrent_v2(context: RawContext);
    fn cuCtxPopCurrent_v2(context: *mut RawContext);
    fn cuCtxGetFlags(flags: *mut u32);
    fn cuDevicePrimaryCtxGetState(device: i32, flags: *mut u32, active: *mut i32);
    fn cuDevicePrimaryCtxSetFlags_v2(device: i32, flags: u32);
    fn cuDeviceGetDevResource(device: i32, resource: *mut Resource, kind: u32);
    fn cuDevResourceGenerateDesc(descriptor: *mut *mut c_void, resources: *mut Resource, count: u32);
    fn cuGreenCtxCreate(green: *mut *mut c_void, descriptor: *mut c_void, device: i32, flags: u32);
    fn cuGreenCtxDestroy(green: *mut c_void);
    fn cuGreenCtxStreamCreate(stream: *mut RawStream, green: *mut c_void, flags: u32, priority: i32);
    fn cuCtxFromGreenCtx(context: *mut RawContext, green: *mut c_void);
    fn cuStreamCreate(stream: *mut RawStream, flags: u32);
    fn cuStreamCreateWithPriority(stream: *mut RawStream, flags: u32, priority: i32);
    fn cuStreamDestroy_v2(stream: RawStream);
    fn cuStreamGetFlags(stream: RawStream, flags: *mut u32);
    fn cuStreamGetPriority(stream: RawStream, priority: *mut i32);
    fn cuStreamQuery(stream: RawStream);
    fn cuStreamSynchronize(stream: RawStream);
    fn cuStreamBeginCapture_v2(stream: RawStream, mode: u32);
    fn cuStreamEndCapture(stream: RawStream, graph: *mut *mut c_void);
    fn cuGraphDestroy(graph: *mut c_void);
    fn cuEventCreate(event: *mut RawEvent, flags: u32);
    fn cuEventDestroy_v2(event: RawEvent);
    fn cuEventRecord(event: RawEvent, stream: RawStream);
    fn cuEventQuery(event: RawEvent);
    fn cuIpcGetEventHandle(handle: *mut c_void, event: RawEvent);
}

/// Begins a capture that is not this crate's, in thread-local mode.
pub(crate) fn begin_capture(stream: &Stream) {
    const THREAD_LOCAL: u32 = 1;
    // SAFETY: the stream is alive.
    let code = unsafe { cuStreamBeginCapture_v2(stream.as_raw(), THREAD_LOCAL) };
    assert_eq!(code, SUCCESS);
}

/// Ends a capture that somebody has begun; the graph is the caller's.
pub(crate) fn end_capture(stream: &Stream) -> Result<RawGraph, u32> {
    let mut graph = ptr::null_mut();
    // SAFETY: the stream is alive, and the out pointer a live local.
    match unsafe { cuStreamEndCapture(stream.as_raw(), &raw mut graph) } {
        SUCCESS => Ok(graph),
        code => Err(code),
    }
}

/// Gives back a graph of [`end_capture`].
pub(crate) fn destroy_graph(graph: RawGraph) {
    // SAFETY: the caller's own.
    let code = unsafe { cuGraphDestroy(graph) };
    assert_eq!(code, SUCCESS);
}

/// A query that a capture of this thread does not survive.
pub(crate) fn query(stream: &Stream) -> u32 {
    // SAFETY: the stream is alive.
    unsafe { cuStreamQuery(stream.as_raw()) }
}

/// A wait of the host, as [`query`].
pub(crate) fn synchronize(stream: &Stream) -> u32 {
    // SAFETY: the stream is alive.
    unsafe { cuStreamSynchronize(stream.as_raw()) }
}

/// A query of an event that the caller knows to be alive.
pub(crate) fn event_query(event: RawEvent) -> u32 {
    // SAFETY: the event is alive, says the caller.
    unsafe { cuEventQuery(event) }
}

/// The driver's number of a device.
pub(crate) fn device_number(device: Device) -> i32 {
    let mut number = 0;
    // SAFETY: the out pointer is a live local.
    let code = unsafe { cuDeviceGet(&raw mut number, device.ordinal().cast_signed()) };
    assert_eq!(code, SUCCESS);
    number
}
