//! A driver that does nothing: one device, handles that are numbers, and success. What the software driver answers in
//! its mode `null` is not enough, since it makes no handles.

use std::ffi::{c_int, c_uint, c_ulonglong, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

const SUCCESS: c_uint = 0;
const NOT_READY: c_uint = 600;
/// Of the flags of an event: one that waits blocking is never done.
const BLOCKING_SYNC: c_uint = 1;
/// In the handle of an event that is never done.
const NEVER: usize = 8;

type Handle = *mut c_void;

/// The next handle, but for [`NEVER`].
static NEXT: AtomicUsize = AtomicUsize::new(0x1000);

fn handle() -> usize {
    NEXT.fetch_add(0x10, Ordering::Relaxed)
}

/// Functions that write to their out parameters, which the C interface has the caller make sure of.
macro_rules! answers {
    ($($name:ident($($in:ident: $in_type:ty),*; $out:ident: $out_type:ty $(; $($late:ident: $late_type:ty),*)?) = $value:expr;)*) => {
        $(
            /// # Safety
            ///
            /// As the driver's function.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($in: $in_type,)* $out: *mut $out_type $($(, $late: $late_type)*)?) -> c_uint {
                let value = $value;
                // SAFETY: the caller's out parameter.
                unsafe { $out.write(value) };
                SUCCESS
            }
        )*
    };
}

/// Functions that only succeed.
macro_rules! succeeds {
    ($($name:ident($($type:ty),*);)*) => {
        $(
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($(_: $type),*) -> c_uint {
                SUCCESS
            }
        )*
    };
}

answers! {
    // No driver has this version: by it the program sees that it is this one.
    cuDriverGetVersion(; version: c_int) = 99_000;
    cuDeviceGetCount(; count: c_int) = 1;
    cuDeviceGet(; device: c_int; _ordinal: c_int) = 0;
    cuDevicePrimaryCtxRetain(; context: Handle; _device: c_int) = ptr::without_provenance_mut(0x100);
    cuCtxPopCurrent_v2(; context: Handle) = ptr::without_provenance_mut(0x100);
    cuCtxGetCurrent(; context: Handle) = ptr::without_provenance_mut(0x100);
    cuCtxGetId(_context: Handle; id: c_ulonglong) = 1;
    cuStreamCreateWithPriority(; stream: Handle; _flags: c_uint, _priority: c_int) = ptr::without_provenance_mut(handle());
    cuStreamGetId(_stream: Handle; id: c_ulonglong) = 1;
    cuStreamGetPriority(_stream: Handle; priority: c_int) = 0;
    cuStreamIsCapturing(_stream: Handle; status: c_uint) = 0;
    cuEventCreate(; event: Handle; flags: c_uint) = ptr::without_provenance_mut(handle() | if flags & BLOCKING_SYNC == 0 { 0 } else { NEVER });
    cuEventElapsedTime_v2(; milliseconds: f32; _start: Handle, _end: Handle) = 1.0;
}

succeeds! {
    cuInit(c_uint);
    cuDevicePrimaryCtxRelease_v2(c_int);
    cuCtxPushCurrent_v2(Handle);
    cuStreamDestroy_v2(Handle);
    cuStreamQuery(Handle);
    cuStreamWaitEvent(Handle, Handle, c_uint);
    cuEventDestroy_v2(Handle);
    cuEventRecord(Handle, Handle);
    cuEventSynchronize(Handle);
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventQuery(event: Handle) -> c_uint {
    if event.addr() & NEVER == 0 { SUCCESS } else { NOT_READY }
}
