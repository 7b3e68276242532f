//! What the probes of one process share: the primary context of device 0, the kernels, memory.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::breakdown::NO_FIXTURE;
use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::kernels::Kernels;
use crate::outcome::Outcome;
use crate::slots::{LIMIT, Slots};

/// A pending event is looked at after this time and this many round trips of an idle stream: what
/// nothing holds has run by then.
const SETTLE: Duration = Duration::from_millis(100);
const ROUND_TRIPS: usize = 25;

/// The primary context of device 0, retained for good, and what was made in it before any probe
/// held a stream: allocations and first launches may wait for running kernels.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) driver: &'static Driver,
    pub(crate) primary: Handle,
    pub(crate) kernels: Kernels,
    pub(crate) slots: Slots,
    /// Set by a hold that nothing released in time.
    pub(crate) timed_out: AtomicBool,
    idle: Handle,
    scratch: u64,
}

impl Fixture {
    /// Initialises the driver and prepares device 0. No context is current afterwards.
    pub(crate) fn new(driver: &'static Driver) -> Result<Self, String> {
        let step = |what: &str, code: Code| match code {
            Code::SUCCESS => Ok(()),
            code => Err(format!("{what} answers {}", driver.code_name(code))),
        };
        let (mut primary, mut idle, mut scratch) = (Handle::NULL, Handle::NULL, 0);
        step("cuInit", driver.cuInit(0))?;
        step("cuDevicePrimaryCtxRetain", driver.cuDevicePrimaryCtxRetain(Some(&mut primary), 0))?;
        step("cuCtxPushCurrent", driver.cuCtxPushCurrent_v2(primary))?;
        step("cuStreamCreate", driver.cuStreamCreate(Some(&mut idle), NON_BLOCKING))?;
        step("cuMemAlloc", driver.cuMemAlloc_v2(Some(&mut scratch), 4))?;
        let fixture = Self {
            driver,
            primary,
            kernels: Kernels::load(driver)?,
            slots: Slots::new(pinned(driver, Slots::WORDS)?),
            timed_out: AtomicBool::new(false),
            idle,
            scratch,
        };
        fixture.round_trip();
        step("a first hold", fixture.first_hold())?;
        step("a first launch", fixture.first_fill())?;
        step("cuCtxSynchronize", driver.cuCtxSynchronize())?;
        step("cuCtxPopCurrent", driver.cuCtxPopCurrent_v2(Some(&mut primary)))?;
        Ok(fixture)
    }

    /// The outcome of a probe that has a process of its own and needs all this, the primary context current.
    pub(crate) fn alone(driver: &'static Driver, probe: impl FnOnce(&Self) -> Outcome) -> Outcome {
        match Self::new(driver) {
            Ok(fixture) => {
                driver.cuCtxSetCurrent(fixture.primary);
                probe(&fixture)
            }
            Err(why) => format!("{NO_FIXTURE}{why}").into(),
        }
    }

    // The first launch of a kernel may load it, and loading may wait for running kernels: what
    // probes launch beside a held stream has been launched once.

    fn first_hold(&self) -> Code {
        let release = self.slots.take().release;
        let code = self.kernels.hold(self.driver, host(release), LIMIT, Handle::PER_THREAD);
        release.store(1, Ordering::Release);
        code
    }

    fn first_fill(&self) -> Code {
        let memory = self.memory(1, 0);
        self.kernels.fill(self.driver, memory.address, 1, Handle::PER_THREAD)
    }

    /// Runs `call` with the primary context current, whatever is current outside.
    pub(crate) fn with_primary<T>(&self, call: impl FnOnce() -> T) -> T {
        self.within(self.primary, call)
    }

    /// Runs `call` with `context` current.
    pub(crate) fn within<T>(&self, context: Handle, call: impl FnOnce() -> T) -> T {
        self.driver.cuCtxPushCurrent_v2(context);
        let value = call();
        self.driver.cuCtxPopCurrent_v2(Some(&mut Handle(0)));
        value
    }

    /// Queries `event` after all that nothing holds had its time to run; at once if it is done.
    pub(crate) fn settled_query(&self, event: Handle) -> Code {
        let began = Instant::now();
        let mut trips = 0;
        loop {
            let code = self.driver.cuEventQuery(event);
            if code != Code::NOT_READY || (trips >= ROUND_TRIPS && began.elapsed() >= SETTLE) {
                return code;
            }
            self.round_trip();
            trips += 1;
        }
    }

    /// Waits for an event in bounded time: `NOT_READY` if it is not done even then.
    pub(crate) fn ends(&self, event: Handle) -> Code {
        let began = Instant::now();
        loop {
            let code = self.driver.cuEventQuery(event);
            if code != Code::NOT_READY || began.elapsed() >= LIMIT {
                return code;
            }
            std::thread::yield_now();
        }
    }

    /// Has `done` been set after all that nothing holds had its time? Makes no driver call, since a
    /// call that waits may keep others out.
    pub(crate) fn settled_flag(done: &AtomicBool) -> bool {
        let began = Instant::now();
        while began.elapsed() < SETTLE {
            if done.load(Ordering::Acquire) {
                return true;
            }
            std::thread::yield_now();
        }
        done.load(Ordering::Acquire)
    }

    /// Enqueues work on a stream that nothing holds, and waits for it.
    fn round_trip(&self) {
        self.driver.cuMemsetD32Async(self.scratch, 0, 1, self.idle);
        self.driver.cuStreamSynchronize(self.idle);
    }

    /// Words of pinned memory, zeroed. Freed with the process: work in flight may use them.
    pub(crate) fn pinned(&self, words: usize) -> &'static [AtomicU32] {
        self.with_primary(|| pinned(self.driver, words)).expect("pinned memory")
    }

    /// Words of device memory, each `value`.
    pub(crate) fn memory(&self, words: usize, value: u32) -> Memory<'_> {
        let mut address = 0;
        let code = self.with_primary(|| self.driver.cuMemAlloc_v2(Some(&mut address), words * 4));
        assert!(code.is_success(), "device memory: {}", self.driver.code_name(code));
        self.driver.cuMemsetD32Async(address, value, words, self.idle);
        self.driver.cuStreamSynchronize(self.idle);
        Memory { fixture: self, address }
    }

    /// Reads one word of device memory, beside streams that are held.
    pub(crate) fn read(&self, address: u64, into: &'static AtomicU32) -> u32 {
        self.driver.cuMemcpyDtoHAsync_v2(host(into), address, 4, self.idle);
        self.driver.cuStreamSynchronize(self.idle);
        into.load(Ordering::Acquire)
    }

    /// A second context on device 0, not current.
    pub(crate) fn second_context(&self) -> Handle {
        second_context(self.driver)
    }
}

/// No allocation is here.
pub(crate) const NOWHERE: u64 = 0x10;

/// `CU_STREAM_NON_BLOCKING`
pub(crate) const NON_BLOCKING: u32 = 1;

/// A context on device 0 that is not the primary one, not current.
pub(crate) fn second_context(driver: &Driver) -> Handle {
    let mut context = Handle::NULL;
    let code = driver.cuCtxCreate_v2(Some(&mut context), 0, 0);
    assert!(code.is_success(), "second context: {}", driver.code_name(code));
    driver.cuCtxPopCurrent_v2(Some(&mut Handle(0)));
    context
}

/// A word of pinned memory as the driver takes it.
pub(crate) fn host(word: &'static AtomicU32) -> *mut c_void {
    word.as_ptr().cast()
}

/// The same as an address of the device.
pub(crate) fn address(word: &'static AtomicU32) -> u64 {
    word.as_ptr() as u64
}

/// A page of this program's own memory, zeroed, never freed.
pub(crate) fn page() -> &'static [AtomicU32] {
    pages(1)
}

/// Pages of this program's own memory, one behind the other.
pub(crate) fn pages(count: usize) -> &'static [AtomicU32] {
    #[repr(align(4096))]
    #[expect(dead_code, reason = "used as the words that it is, by their address")]
    struct Page([AtomicU32; 1024]);
    let pages: Vec<Page> = (0..count).map(|_| Page([const { AtomicU32::new(0) }; 1024])).collect();
    let first: &'static [Page] = pages.leak();
    // SAFETY: a page has no padding: these are `count` times 1024 words in a row, never freed.
    unsafe { std::slice::from_raw_parts(first.as_ptr().cast::<AtomicU32>(), count * 1024) }
}

/// Allocates pinned memory in the current context.
fn pinned(driver: &Driver, words: usize) -> Result<&'static [AtomicU32], String> {
    let mut memory = std::ptr::null_mut();
    let code = driver.cuMemHostAlloc(Some(&mut memory), words * 4, 0);
    if !code.is_success() || memory.is_null() {
        return Err(format!("cuMemHostAlloc answers {}", driver.code_name(code)));
    }
    // SAFETY: fresh pinned memory of this size, page-aligned, never freed, and used by the host
    // through atomics alone; any bytes are valid words.
    let words = unsafe { std::slice::from_raw_parts(memory.cast::<AtomicU32>(), words) };
    for word in words {
        word.store(0, Ordering::Relaxed);
    }
    Ok(words)
}

/// Device memory, freed at the end of the probe.
#[derive(Debug)]
pub(crate) struct Memory<'f> {
    fixture: &'f Fixture,
    pub(crate) address: u64,
}

impl Memory<'_> {
    /// The address, for a probe that frees it itself, or never.
    pub(crate) fn into_address(self) -> u64 {
        let address = self.address;
        std::mem::forget(self);
        address
    }
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        self.fixture.with_primary(|| self.fixture.driver.cuMemFree_v2(self.address));
    }
}
