//! Kernels with twins, and a way to hold a stream.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod graph;
pub(crate) mod green;
pub(crate) mod means;
pub(crate) mod peer;
pub(crate) mod peer_event;
pub(crate) mod peer_memory;
pub(crate) mod planted;
pub(crate) mod reported;
pub(crate) mod user_object;
pub(crate) mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cudarc::driver::{CudaContext, CudaFunction, CudaStream, DriverError, LaunchConfig, PinnedHostSlice, PushKernelArg};
use softcuda::ParamKind::{Int32, Pointer};
use softcuda::{Entered, Kernel, Schedule, Scope};

/// Only the software driver runs these tests: the entries need no code.
pub(crate) const PTX: &str = "
.version 7.0
.target sm_50
.address_size 64

.visible .entry hold(.param .u64 word) { ret; }
.visible .entry add(.param .u32 n, .param .u32 by, .param .u64 data) { ret; }
.visible .entry without_twin(.param .u32 n) { ret; }
.visible .entry other_types(.param .u32 n, .param .f32 x) { ret; }
.visible .entry double(.param .u32 n, .param .u64 from, .param .u64 to) { ret; }
.visible .entry captures() { ret; }
.visible .entry count(.param .u64 data) { ret; }
.visible .entry trap() { ret; }
.visible .entry illegal() { ret; }
.visible .entry append(.param .u64 data) { ret; }
.visible .entry undeclared() { ret; }
";

/// A device's primary context without cudarc's own waits between streams: what orders two streams
/// is then in the test.
pub(crate) fn context(ordinal: usize) -> Arc<CudaContext> {
    softcuda::install().expect("the software driver");
    let context = CudaContext::new(ordinal).expect("a context");
    // SAFETY: the tests order what they use on two streams.
    unsafe { context.disable_event_tracking() };
    context
}

/// A scope for a test that misuses the driver on purpose: what is reported there is its own business.
pub(crate) fn misuse() -> Entered {
    softcuda::install().expect("the software driver");
    Scope::enter()
}

/// Schedules of every kind. Miri has the time for one in a run, which the environment names: `.ci/miri`
/// runs each file in the plain and in the lazy one.
pub(crate) fn schedules() -> Vec<Schedule> {
    if cfg!(miri) {
        let name = std::env::var("SOFTCUDA_SCHEDULE").unwrap_or_default();
        let seed = name.strip_prefix("seeded:").map(|seed| seed.parse().expect("a seed"));
        return vec![if name == "lazy" { Schedule::Lazy } else { seed.map_or(Schedule::Plain, Schedule::Seeded) }];
    }
    [Schedule::Plain, Schedule::Lazy].into_iter().chain((0..4).map(Schedule::Seeded)).collect()
}

/// A kernel of [`PTX`].
pub(crate) fn kernel(context: &Arc<CudaContext>, name: &str) -> Result<CudaFunction, DriverError> {
    context.load_module(PTX.into())?.load_function(name)
}

/// One thread.
pub(crate) const ONE: LaunchConfig = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (1, 1, 1), shared_mem_bytes: 0 };

/// `data[i] += by`
pub(crate) fn add(context: &Arc<CudaContext>) -> CudaFunction {
    Kernel::new("add", [Int32, Int32, Pointer])
        .declare(|launch, memory| memory.read_write::<u32>(2, launch.u32(0) as usize))
        .run(|launch| {
            for element in launch.slice_mut::<u32>(2) {
                *element += launch.u32(1);
            }
        })
        .register();
    kernel(context, "add").expect("its twin is registered")
}

/// Work on a stream that nothing holds, enqueued and waited for several times over: what else the
/// driver would have begun meanwhile, it has.
pub(crate) fn round_trips(context: &Arc<CudaContext>) -> Result<(), DriverError> {
    const TRIPS: usize = 25;
    let idle = context.new_stream()?;
    let mut data = idle.alloc_zeros::<u32>(1)?;
    for _ in 0..TRIPS {
        idle.memset_zeros(&mut data)?;
        idle.synchronize()?;
    }
    Ok(())
}

/// A hold that nobody releases ends by itself, so that a test that fails ends as well. Miri's clock counts
/// steps, and runs ahead of a test that takes many.
const LIMIT: Duration = Duration::from_secs(if cfg!(miri) { 1000 } else { 10 });

/// What the word of a hold says.
const HELD: u32 = 0;
const RELEASED: u32 = 1;
const TIMED_OUT: u32 = 2;

/// A kernel that keeps a stream busy until it is released, or dropped.
pub(crate) struct Hold {
    stream: Arc<CudaStream>,
    /// The kernel spins while this is [`HELD`].
    word: *const AtomicU32,
    _pinned: PinnedHostSlice<u32>,
}

impl Hold {
    pub(crate) fn new(stream: &Arc<CudaStream>) -> Self {
        Kernel::new("hold", [Pointer])
            .declare(|_, memory| memory.awaited::<u32>(0, 1))
            .run(|launch| {
                let (word, began) = (launch.atomic_u32(0, 0), Instant::now());
                while word.load(Ordering::Acquire) == HELD {
                    if began.elapsed() > LIMIT {
                        word.store(TIMED_OUT, Ordering::Release);
                    }
                    thread::yield_now();
                }
            })
            .register();
        let kernel = kernel(stream.context(), "hold").expect("its twin is registered");
        // SAFETY: the word is set before anybody reads it.
        let mut pinned = unsafe { stream.context().alloc_pinned::<u32>(1) }.expect("pinned memory");
        let start = pinned.as_mut_ptr().expect("no copy uses it");
        // SAFETY: the memory is one word long.
        unsafe { start.write(HELD) };
        let address = start.expose_provenance() as u64;
        let mut launch = stream.launch_builder(&kernel);
        launch.arg(&address);
        // SAFETY: the word lives until the hold is dropped, which waits for the kernel.
        unsafe { launch.launch(ONE) }.expect("a launch");
        Self { stream: stream.clone(), word: start.cast(), _pinned: pinned }
    }

    /// Lets the stream go on.
    pub(crate) fn release(&self) {
        assert_ne!(self.set(), TIMED_OUT, "the hold timed out: it was not released within {LIMIT:?}");
    }

    fn set(&self) -> u32 {
        // SAFETY: the word lives as long as this, and all who share it use it atomically.
        unsafe { &*self.word }.swap(RELEASED, Ordering::AcqRel)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.set();
        let _ = self.stream.synchronize();
    }
}
