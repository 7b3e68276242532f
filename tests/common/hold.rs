//! Holding a stream: what is enqueued behind a [`Hold`] does not run before it is released.
//!
//! A kernel of one thread spins on a word of pinned memory until the host sets it. (A blocking host
//! function would hold every host function of the context as well.)

use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cuda_streams::{AsStream, Context};
use cudarc::driver::{result, sys};
use softcuda::{Kernel, ParamKind};

/// How long a hold lasts that nobody releases: a test that fails must not block the device. Miri's
/// clock counts what it interprets.
const TIME_OUT: Duration = Duration::from_secs(if cfg!(miri) { 1000 } else { 10 });

/// What the word of a hold says.
const HELD: u32 = 0;
const RELEASED: u32 = 1;
const TIMED_OUT: u32 = 2;
const FAULTED: u32 = 3;

const PTX: &CStr = c"
.version 6.0
.target sm_50
.address_size 64

// hold(word, time_out): spins while the word is 0 (held). After `time_out` nanoseconds it sets the
// word to 2 (timed out) and ends. At 3 it faults.
.visible .entry hold(.param .u64 word, .param .u64 time_out)
{
    .reg .pred  %done, %late, %faulted;
    .reg .u32   %value;
    .reg .u64   %word, %time_out, %start, %now, %passed;

    ld.param.u64            %word, [word];
    ld.param.u64            %time_out, [time_out];
    mov.u64                 %start, %globaltimer;
spin:
    ld.volatile.global.u32  %value, [%word];
    setp.ne.u32             %done, %value, 0;
    @%done bra              finish;
    mov.u64                 %now, %globaltimer;
    sub.u64                 %passed, %now, %start;
    setp.gt.u64             %late, %passed, %time_out;
    @!%late bra             spin;
    mov.u32                 %value, 2;
    st.volatile.global.u32  [%word], %value;
finish:
    setp.eq.u32             %faulted, %value, 3;
    @%faulted trap;
    ret;
}
";

/// The same in Rust, for the software driver.
fn twin() -> Kernel {
    Kernel::new("hold", [ParamKind::Pointer, ParamKind::Int64]).declare(|_, memory| memory.awaited::<u32>(0, 1)).run(|launch| {
        let (word, time_out) = (launch.atomic_u32(0, 0), Duration::from_nanos(launch.u64(1)));
        let start = Instant::now();
        while word.load(Ordering::Acquire) == HELD {
            if start.elapsed() > time_out {
                word.store(TIMED_OUT, Ordering::Release);
            }
            thread::yield_now();
        }
        if word.load(Ordering::Acquire) == FAULTED {
            launch.fail(sys::CUresult::CUDA_ERROR_LAUNCH_FAILED as u32);
        }
    })
}

/// A stream that is held until this is released or dropped.
#[derive(Debug)]
#[must_use = "a hold that is dropped is released"]
pub(crate) struct Hold {
    word: &'static AtomicU32,
}

impl Hold {
    /// Holds the stream: what is enqueued on it from now on waits for the release.
    ///
    /// # Panics
    ///
    /// If the driver refuses.
    pub(crate) fn new(stream: impl AsStream) -> Self {
        let stream = stream.as_stream();
        let context = stream.context().expect("a stream of a living context");
        let kernel = kernel(context);
        let word = word(context);
        let mut address = word.as_ptr().expose_provenance();
        let mut nanos = TIME_OUT.as_secs() * 1_000_000_000;
        let parameters: &mut [*mut c_void] = &mut [(&raw mut address).cast(), (&raw mut nanos).cast()];
        let launch = || {
            // SAFETY: the kernel takes these two parameters, 64 bits each, and the word is never freed.
            unsafe { result::launch_kernel(kernel, (1, 1, 1), (1, 1, 1), 0, stream.as_raw().cast(), parameters) }
        };
        context.with_current(launch).expect("the context becomes current").expect("the kernel that holds is launched");
        Self { word }
    }

    /// Lets the work behind the hold run.
    ///
    /// # Panics
    ///
    /// If the hold has ended before: then the test has not seen a held stream.
    pub(crate) fn release(self) {
        self.end(RELEASED);
    }

    /// Lets the kernel fault instead, in place of the work behind it: nothing of this process can use the device any
    /// more.
    ///
    /// # Panics
    ///
    /// If the hold has ended before.
    pub(crate) fn fault(self) {
        self.end(FAULTED);
    }

    fn end(&self, how: u32) {
        assert!(self.set(how), "the hold timed out: it was not ended within {TIME_OUT:?}");
    }

    fn set(&self, how: u32) -> bool {
        self.word.compare_exchange(HELD, how, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.set(RELEASED);
    }
}

/// The kernel, loaded once a context: loading may wait for the context's work, so it comes before
/// the first hold.
fn kernel(context: Context) -> sys::CUfunction {
    struct Loaded(Context, sys::CUfunction);
    // SAFETY: the handle of a function may be used from any thread.
    unsafe impl Send for Loaded {}
    static LOADED: Mutex<Vec<Loaded>> = Mutex::new(Vec::new());

    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(Loaded(_, kernel)) = loaded.iter().find(|loaded| loaded.0 == context) {
        return *kernel;
    }
    twin().register();
    let load = || {
        // SAFETY: a context is current, and the image is PTX text that ends in a zero byte.
        let module = unsafe { result::module::load_data(PTX.as_ptr().cast()) }.expect("the PTX loads");
        // SAFETY: the module was loaded just now and is never unloaded.
        unsafe { result::module::get_function(module, c"hold".into()) }.expect("the PTX has the kernel")
    };
    let kernel = context.with_current(load).expect("the context becomes current");
    loaded.push(Loaded(context, kernel));
    kernel
}

/// A word of pinned memory, [`HELD`]. None is used twice or freed: freeing would wait for the device.
/// Of the primary context, which is there until the process ends.
fn word(context: Context) -> &'static AtomicU32 {
    static WORDS: Mutex<Vec<&'static AtomicU32>> = Mutex::new(Vec::new());
    const PAGE: usize = 1024;

    let allocate = || {
        // SAFETY: a context is current.
        unsafe { result::malloc_host(PAGE * size_of::<u32>(), sys::CU_MEMHOSTALLOC_PORTABLE) }.expect("pinned memory")
    };
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if words.is_empty() {
        let context = context.device().context().expect("the primary context");
        let first: *mut u32 = context.with_current(allocate).expect("the context becomes current").cast();
        words.extend((0..PAGE).map(|index| {
            // SAFETY: `index` is inside the allocation.
            let word = unsafe { first.add(index) };
            // SAFETY: nobody else has the word yet.
            unsafe { word.write(HELD) };
            // SAFETY: the allocation is aligned to a page and lives until the process ends.
            unsafe { AtomicU32::from_ptr(word) }
        }));
    }
    words.pop().expect("a page of words")
}
