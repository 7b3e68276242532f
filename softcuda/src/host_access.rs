//! Accesses by the program itself, which a driver cannot see.

use std::ffi::c_void;

use crate::software;

/// Tells the software driver that the calling thread reads `count` values at `start` itself, now: it
/// is a report if work of a stream that writes there is not known to be done. Nothing is read here, and
/// nothing happens on another driver.
///
/// This is for page-locked memory, and for memory that an asynchronous copy may still be at work on. In a
/// host function or a kernel twin it does nothing: these are in the order of their stream.
///
/// ```
/// # let pinned = [0_u32; 4];
/// softcuda::host_reads(pinned.as_ptr(), pinned.len());
/// let first = pinned[0];
/// # assert_eq!(first, 0);
/// ```
pub fn host_reads<T>(start: *const T, count: usize) {
    tell(start.cast(), size_of::<T>().saturating_mul(count), false);
}

/// Tells the software driver that the calling thread writes `count` values at `start` itself, now: it
/// is a report if work of a stream that reads or writes there is not known to be done. Nothing is written
/// here, and nothing happens on another driver; see [`host_reads`].
///
/// ```
/// # let mut pinned = [0_u32; 4];
/// softcuda::host_writes(pinned.as_mut_ptr(), pinned.len());
/// pinned.fill(1);
/// # assert_eq!(pinned[0], 1);
/// ```
pub fn host_writes<T>(start: *mut T, count: usize) {
    tell(start.cast_const().cast(), size_of::<T>().saturating_mul(count), true);
}

fn tell(start: *const c_void, bytes: usize, writes: bool) {
    if let Some(driver) = software::software() {
        // SAFETY: the function looks at the address only, and may be called at any time.
        unsafe { (driver.softcuda_host_access)(start, bytes, writes) }
    }
}
