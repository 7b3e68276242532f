//! Pageable memory whose pages take a while to come: other threads call the driver meanwhile.
//!
//! A page that nobody may read stands for one: whoever reads it waits in a signal handler until another
//! thread's call has returned.

mod support;

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cudarc::driver::sys::{self, CUresult, CUresult::CUDA_SUCCESS};
use cudarc::driver::{DriverError, result};
use support::context;
use support::graph::captured;

const BYTES: usize = 4096;

/// So that a test that fails ends as well.
const LIMIT: Duration = Duration::from_secs(10);

static PAGE: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static IS_READ: AtomicBool = AtomicBool::new(false);
static HAS_CALLED: AtomicBool = AtomicBool::new(false);
static HAS_TIMED_OUT: AtomicBool = AtomicBool::new(false);

fn protect(protection: i32) {
    // SAFETY: a mapping of the test's own, of this length.
    assert_eq!(unsafe { libc::mprotect(PAGE.load(Ordering::Acquire), BYTES, protection) }, 0);
}

extern "C" fn wait(signal: i32, info: *const libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the system's, during the call.
    let info = unsafe { &*info };
    // SAFETY: this signal has an address.
    let address = unsafe { info.si_addr() }.addr();
    if address.wrapping_sub(PAGE.load(Ordering::Acquire).addr()) >= BYTES {
        // A fault as ever: the access is made again, and ends the process.
        // SAFETY: the handler of a process that has none.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    }
    IS_READ.store(true, Ordering::Release);
    let began = Instant::now();
    while !HAS_CALLED.load(Ordering::Acquire) {
        if began.elapsed() > LIMIT {
            HAS_TIMED_OUT.store(true, Ordering::Release);
            break;
        }
        std::hint::spin_loop();
    }
    protect(libc::PROT_READ | libc::PROT_WRITE);
}

/// Makes a call that reads the page, and another one on another thread before the page can be read.
fn check(name: &str, read: impl FnOnce() -> CUresult, call: impl FnOnce() -> CUresult + Send) {
    let is_over = AtomicBool::new(false);
    IS_READ.store(false, Ordering::Release);
    HAS_CALLED.store(false, Ordering::Release);
    protect(libc::PROT_NONE);
    thread::scope(|threads| {
        let other = threads.spawn(|| {
            while !IS_READ.load(Ordering::Acquire) && !is_over.load(Ordering::Acquire) {
                thread::yield_now();
            }
            let code = call();
            HAS_CALLED.store(true, Ordering::Release);
            code
        });
        let code = read();
        is_over.store(true, Ordering::Release);
        assert!(IS_READ.load(Ordering::Acquire), "{name}: nothing was read");
        assert_eq!([code, other.join().expect("it ends")], [CUDA_SUCCESS; 2], "{name}");
        assert!(!HAS_TIMED_OUT.load(Ordering::Acquire), "{name}: the other call did not return meanwhile");
    });
}

#[test]
fn other_threads_call_while_pageable_memory_is_read() -> Result<(), DriverError> {
    let context = context(0);
    let (stream, other) = (context.new_stream()?, context.new_stream()?);
    // SAFETY: a new mapping.
    let page = unsafe { libc::mmap(null_mut(), BYTES, libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED);
    PAGE.store(page, Ordering::Release);
    // SAFETY: all zeros are an action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = wait as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler calls only what one may.
    assert_eq!(unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, null_mut()) }, 0);

    // SAFETY: a context is current.
    let memory = unsafe { result::malloc_sync(BYTES) }?;
    let (raw, idle) = (stream.cu_stream(), other.cu_stream().expose_provenance());
    // SAFETY: both have as many bytes, and stay until the end of the test.
    let copy = || unsafe { sys::cuMemcpyHtoDAsync_v2(memory, page, BYTES, raw) };
    // SAFETY: the stream is alive.
    let query = || unsafe { sys::cuStreamQuery(std::ptr::with_exposed_provenance_mut(idle)) };
    let executable = captured(&stream, |_| assert_eq!(copy(), CUDA_SUCCESS)).instantiate();
    check("a copy", copy, query);
    check("a launch", || executable.launch(&stream), query);
    stream.synchronize()?;
    // SAFETY: all is done.
    unsafe { result::free_sync(memory) }?;
    // SAFETY: nothing uses it any more.
    assert_eq!(unsafe { libc::munmap(page, BYTES) }, 0);
    Ok(())
}
