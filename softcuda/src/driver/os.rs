//! What the standard library has no name for: files in memory, and waits between processes.

use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Whether there is any of it: under Miri and shuttle there is no other process.
pub(super) const AVAILABLE: bool = cfg!(not(any(miri, softcuda_shuttle)));

unsafe extern "C" {
    fn memfd_create(name: *const c_char, flags: c_uint) -> c_int;
    fn fcntl(descriptor: c_int, command: c_int, ...) -> c_int;
    fn fallocate64(descriptor: c_int, mode: c_int, offset: i64, bytes: i64) -> c_int;
    fn mmap64(start: *mut c_void, bytes: usize, protection: c_int, flags: c_int, descriptor: c_int, offset: i64) -> *mut c_void;
    fn getrlimit64(resource: c_uint, limits: *mut [u64; 2]) -> c_int;
    fn munmap(start: *mut c_void, bytes: usize) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
}

/// A page, and what places in files are multiples of.
pub(super) const PAGE: usize = 4096;

/// A file without a place in any folder: it is gone when nobody has it open or mapped.
pub(super) fn memory_file(name: &CStr) -> io::Result<File> {
    const CLOSE_ON_EXEC: c_uint = 1;
    const ALLOW_SEALING: c_uint = 2;
    // SAFETY: the name is a string.
    let descriptor = unsafe { memfd_create(name.as_ptr(), CLOSE_ON_EXEC | ALLOW_SEALING) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened, and nobody else has it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(descriptor) }))
}

/// How long a file of this process may become: making one longer than that would end the process by a signal.
pub(super) fn longest_file() -> u64 {
    const FILE_SIZE: c_uint = 1;
    /// What stands for no limit.
    const INFINITY: u64 = u64::MAX;
    // The soft limit, and the hard one.
    let mut limits = [INFINITY; 2];
    // SAFETY: there is room for both.
    unsafe { getrlimit64(FILE_SIZE, &raw mut limits) };
    limits[0]
}

/// Seals against a change of the length.
const FIXED_LENGTH: c_int = 2 | 4;

/// Keeps a memory file as long as it is, for everybody.
pub(super) fn fix_length(file: &File) -> io::Result<()> {
    const ADD_SEALS: c_int = 1033;
    // SAFETY: the command takes a number.
    let code = unsafe { fcntl(file.as_raw_fd(), ADD_SEALS, FIXED_LENGTH) };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether it is a memory file whose length cannot change.
pub(super) fn has_fixed_length(file: &File) -> bool {
    const GET_SEALS: c_int = 1034;
    // SAFETY: the command takes nothing.
    let seals = unsafe { fcntl(file.as_raw_fd(), GET_SEALS) };
    seals >= 0 && seals & FIXED_LENGTH == FIXED_LENGTH
}

/// Gives the memory behind a part of a file back, which reads as zeros from now on.
pub(super) fn punch(file: &File, offset: usize, bytes: usize) {
    const KEEP_SIZE_AND_PUNCH_HOLE: c_int = 1 | 2;
    if let (Ok(offset), Ok(bytes)) = (i64::try_from(offset), i64::try_from(bytes)) {
        // A file system that cannot keeps the memory, and nobody reads it.
        // SAFETY: the function takes numbers.
        unsafe { fallocate64(file.as_raw_fd(), KEEP_SIZE_AND_PUNCH_HOLE, offset, bytes) };
    }
}

/// Maps a part of a file that the file has. Memory is taken when it is written.
pub(super) fn map(file: &File, offset: usize, bytes: usize) -> io::Result<NonNull<u8>> {
    const READ_AND_WRITE: c_int = 1 | 2;
    const SHARED: c_int = 1;
    const NO_RESERVE: c_int = 0x4000;
    let offset = i64::try_from(offset).map_err(io::Error::other)?;
    // SAFETY: with no address asked for nothing that is mapped already is touched.
    let start = unsafe { mmap64(ptr::null_mut(), bytes, READ_AND_WRITE, SHARED | NO_RESERVE, file.as_raw_fd(), offset) };
    let start = NonNull::new(start.cast::<u8>()).filter(|start| start.addr().get() != usize::MAX);
    start.ok_or_else(io::Error::last_os_error)
}

/// Ends a mapping.
///
/// # Safety
///
/// `map` has made it, as long, and nobody uses it any more.
pub(super) unsafe fn unmap(start: NonNull<u8>, bytes: usize) {
    // SAFETY: the same promise.
    unsafe { munmap(start.as_ptr().cast(), bytes) };
}

/// The number of the futex call, where it is known.
const FUTEX: Option<c_long> = if cfg!(target_arch = "x86_64") {
    Some(202)
} else if cfg!(any(target_arch = "aarch64", target_arch = "riscv64")) {
    Some(98)
} else {
    None
};

/// Sleeps until somebody wakes the word, of whichever process, at most as long as that; not at all if the
/// word is no longer what was seen. It may end early.
pub(super) fn wait(word: &AtomicU32, seen: u32, patience: Duration) {
    const WAIT: c_int = 0;
    let Some(futex) = FUTEX else {
        return std::thread::sleep(patience.min(Duration::from_millis(1)));
    };
    // As C has a time: seconds and nanoseconds.
    let time: [c_long; 2] = [patience.as_secs().cast_signed(), patience.subsec_nanos().into()];
    // SAFETY: the word and the time are there during the call.
    unsafe { syscall(futex, word.as_ptr(), WAIT, seen, time.as_ptr(), ptr::null::<u32>(), 0_u32) };
}

/// Wakes all who sleep at a word.
pub(super) fn wake(word: &AtomicU32) {
    const WAKE: c_int = 1;
    if let Some(futex) = FUTEX {
        // SAFETY: the word is there during the call.
        unsafe { syscall(futex, word.as_ptr(), WAKE, c_int::MAX) };
    }
}
