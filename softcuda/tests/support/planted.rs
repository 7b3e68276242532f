//! Programs of two accesses to the same memory that must be ordered.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::sys::{self, CUdeviceptr, CUevent, CUevent_flags, CUevent_wait_flags, CUresult, CUstream};
use cudarc::driver::{CudaContext, CudaStream, PushKernelArg, result};

use super::{ONE, add};

/// Words and bytes of every piece of memory here.
const WORDS: usize = 16;
const BYTES: usize = WORDS * size_of::<u32>();

/// What a program works with.
pub(crate) struct World {
    pub(crate) context: Arc<CudaContext>,
    pub(crate) first: Arc<CudaStream>,
    pub(crate) second: Arc<CudaStream>,
    pub(crate) data: CUdeviceptr,
    pub(crate) other: CUdeviceptr,
    pub(crate) pinned: *mut u32,
    /// What the program allocates itself, until it frees it.
    spare: Cell<CUdeviceptr>,
    spare_pinned: Cell<*mut u32>,
    /// Recorded on the first stream after the first access.
    pub(crate) mark: CUevent,
}

/// A stream of some kind.
pub(crate) type Lane = fn(&Arc<CudaContext>) -> Arc<CudaStream>;

/// A new stream that does not care for the legacy stream; it is destroyed with the world.
pub(crate) fn non_blocking(context: &Arc<CudaContext>) -> Arc<CudaStream> {
    borrowed(context, result::stream::create(StreamKind::NonBlocking).expect("a stream"))
}

/// One that does.
pub(crate) fn blocking(context: &Arc<CudaContext>) -> Arc<CudaStream> {
    borrowed(context, result::stream::create(StreamKind::Default).expect("a stream"))
}

/// The legacy default stream.
pub(crate) fn legacy(context: &Arc<CudaContext>) -> Arc<CudaStream> {
    borrowed(context, ptr::null_mut())
}

/// The calling thread's default stream.
pub(crate) fn per_thread(context: &Arc<CudaContext>) -> Arc<CudaStream> {
    borrowed(context, ptr::without_provenance_mut(2))
}

fn borrowed(context: &Arc<CudaContext>, stream: CUstream) -> Arc<CudaStream> {
    // SAFETY: created ones are destroyed with the world only, the others stay.
    unsafe { context.wrap_borrowed_stream(stream) }
}

impl World {
    /// Memory of the context, all done with, and two streams.
    pub(crate) fn new(context: &Arc<CudaContext>, first: Arc<CudaStream>, second: Arc<CudaStream>) -> Self {
        let allocate = || {
            // SAFETY: a context is current.
            unsafe { result::malloc_sync(BYTES) }.expect("memory")
        };
        let [data, other] = [allocate(), allocate()];
        Self {
            context: context.clone(),
            first,
            second,
            data,
            other,
            pinned: pinned(),
            spare: Cell::new(0),
            spare_pinned: Cell::new(ptr::null_mut()),
            mark: result::event::create(CUevent_flags::CU_EVENT_DEFAULT).expect("an event"),
        }
    }

    /// The same with two streams of a kind.
    pub(crate) fn of(context: &Arc<CudaContext>, lane: Lane) -> Self {
        Self::new(context, lane(context), lane(context))
    }

    pub(crate) fn record_mark(&self) {
        // SAFETY: both are alive.
        unsafe { result::event::record(self.mark, self.first.cu_stream()) }.expect("a record");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        result::ctx::synchronize().expect("the work is done");
        // SAFETY: alive, and not used any more.
        unsafe { result::event::destroy(self.mark) }.expect("the event");
        for stream in [&self.first, &self.second] {
            if stream.cu_stream().addr() > 2 {
                // SAFETY: as above.
                unsafe { result::stream::destroy(stream.cu_stream()) }.expect("the stream");
            }
        }
        for memory in [self.data, self.other, self.spare.get()] {
            // SAFETY: as above; 0 is nothing.
            unsafe { result::free_sync(memory) }.expect("the memory");
        }
        for memory in [self.pinned, self.spare_pinned.get()] {
            // SAFETY: as above; null is nothing.
            unsafe { result::free_host(memory.cast()) }.expect("the memory");
        }
    }
}

fn pinned() -> *mut u32 {
    // SAFETY: a context is current.
    let memory: *mut u32 = unsafe { result::malloc_host(BYTES, 0) }.expect("memory").cast();
    for word in 0..WORDS {
        // SAFETY: inside the allocation.
        unsafe { memory.wrapping_add(word).write(0) };
    }
    memory
}

pub(crate) fn to_device(to: CUdeviceptr, stream: &CudaStream) {
    // SAFETY: memory and stream are alive.
    unsafe { result::memcpy_htod_async(to, &[1_u32; WORDS], stream.cu_stream()) }.expect("a copy");
}

pub(crate) fn from_device(from: CUdeviceptr, stream: &CudaStream) {
    // SAFETY: memory and stream are alive.
    unsafe { result::memcpy_dtoh_async(&mut [0_u32; WORDS], from, stream.cu_stream()) }.expect("a copy");
}

pub(crate) fn on_device(to: CUdeviceptr, from: CUdeviceptr, stream: &CudaStream) {
    // SAFETY: memory and stream are alive.
    unsafe { result::memcpy_dtod_async(to, from, BYTES, stream.cu_stream()) }.expect("a copy");
}

pub(crate) fn set(memory: CUdeviceptr, bytes: usize, stream: &CudaStream) {
    // SAFETY: memory and stream are alive.
    unsafe { result::memset_d8_async(memory, 7, bytes, stream.cu_stream()) }.expect("a memset");
}

fn pinned_to_device(world: &World, from: *mut u32) {
    // SAFETY: all are alive, and the copy is done before the memory is freed or the driver keeps it.
    let code = unsafe { sys::cuMemcpyHtoDAsync_v2(world.data, from.cast(), BYTES, world.first.cu_stream()) };
    assert_eq!(code, CUresult::CUDA_SUCCESS);
}

fn pinned_from_device(world: &World) {
    // SAFETY: as above.
    let code = unsafe { sys::cuMemcpyDtoHAsync_v2(world.pinned.cast(), world.data, BYTES, world.first.cu_stream()) };
    assert_eq!(code, CUresult::CUDA_SUCCESS);
}

fn kernel(world: &World, stream: &Arc<CudaStream>) {
    let kernel = add(&world.context);
    let mut launch = stream.launch_builder(&kernel);
    let words = u32::try_from(WORDS).expect("a few");
    launch.arg(&words).arg(&1_u32).arg(&world.data);
    // SAFETY: the arguments are those of the PTX, and there are as many words.
    unsafe { launch.launch(ONE) }.expect("a launch");
}

fn allocate(world: &World) {
    // SAFETY: the stream is alive.
    world.spare.set(unsafe { result::malloc_async(world.first.cu_stream(), BYTES) }.expect("memory"));
}

/// Two accesses that must be ordered.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) first: fn(&World),
    pub(crate) second: fn(&World),
    /// The second is the host's, not the second stream's.
    pub(crate) by_host: bool,
    /// The second waits for all work of the context by itself, which no documentation promises.
    pub(crate) waits: bool,
    /// What the report says.
    pub(crate) report: &'static [&'static str],
}

const STREAMS: Program = Program { name: "", first: |_| (), second: |_| (), by_host: false, waits: false, report: &[] };
const HOST: Program = Program { by_host: true, ..STREAMS };

pub(crate) const PROGRAMS: &[Program] = &[
    Program {
        name: "a copy to the device, and one from it",
        first: |world| to_device(world.data, &world.first),
        second: |world| from_device(world.data, &world.second),
        report: &["cuMemcpyDtoHAsync_v2: the read of bytes 0..64", "after the write of bytes 0..64", "by cuMemcpyHtoDAsync_v2;"],
        ..STREAMS
    },
    Program {
        name: "a copy to the device, and a kernel",
        first: |world| to_device(world.data, &world.first),
        second: |world| kernel(world, &world.second),
        report: &["cuLaunchKernel: the write of bytes 0..64", "by kernel `add` is not", "by cuMemcpyHtoDAsync_v2;"],
        ..STREAMS
    },
    Program {
        name: "a kernel, and a memset",
        first: |world| kernel(world, &world.first),
        second: |world| set(world.data, BYTES, &world.second),
        report: &["cuMemsetD8Async: the write of", "after the write of", "by kernel `add`;"],
        ..STREAMS
    },
    Program {
        name: "a read, and a write",
        first: |world| on_device(world.other, world.data, &world.first),
        second: |world| set(world.data, BYTES, &world.second),
        report: &["cuMemsetD8Async: the write of", "after the read of bytes 0..64", "by cuMemcpyDtoDAsync_v2;"],
        ..STREAMS
    },
    Program {
        name: "a part, and the whole",
        first: |world| set(world.data + 8, 8, &world.first),
        second: |world| on_device(world.other, world.data, &world.second),
        report: &["the read of bytes 0..64", "after the write of bytes 8..16", "by cuMemsetD8Async;"],
        ..STREAMS
    },
    Program {
        name: "an allocation, and a use",
        first: allocate,
        second: |world| set(world.spare.get(), BYTES, &world.second),
        report: &["cuMemsetD8Async: the write of", "after the allocation of", "by cuMemAllocAsync;"],
        ..STREAMS
    },
    Program {
        name: "a use, and a free",
        first: |world| {
            allocate(world);
            set(world.spare.get(), BYTES, &world.first);
        },
        second: |world| {
            // SAFETY: allocated by the first access.
            unsafe { result::free_async(world.spare.take(), world.second.cu_stream()) }.expect("a free");
        },
        report: &["cuMemFreeAsync: the free of bytes 0..64", "after the write of", "by cuMemsetD8Async;"],
        ..STREAMS
    },
    Program {
        name: "a use, and a free by a call that need not wait",
        first: |world| {
            allocate(world);
            set(world.spare.get(), BYTES, &world.first);
        },
        second: |world| {
            // SAFETY: allocated by the first access.
            unsafe { result::free_sync(world.spare.take()) }.expect("a free");
        },
        waits: true,
        report: &["cuMemFree_v2: the free of bytes 0..64", "by the host is not ordered after the write of", "by cuMemsetD8Async;"],
        ..HOST
    },
    Program {
        name: "a copy to page-locked memory, and a read by the host",
        first: pinned_from_device,
        second: |world| softcuda::host_reads(world.pinned, WORDS),
        report: &["the read of bytes 0..64", "by the host is not ordered after the write of", "by cuMemcpyDtoHAsync_v2;"],
        ..HOST
    },
    Program {
        name: "a copy from page-locked memory, and a write by the host",
        first: |world| pinned_to_device(world, world.pinned),
        second: |world| softcuda::host_writes(world.pinned.wrapping_add(1), 1),
        report: &["the write of bytes 4..8", "by the host is not ordered after the read of bytes 0..64", "by cuMemcpyHtoDAsync_v2;"],
        ..HOST
    },
    Program {
        name: "a copy from page-locked memory, and its free",
        first: |world| {
            world.spare_pinned.set(pinned());
            pinned_to_device(world, world.spare_pinned.get());
        },
        second: |world| {
            // SAFETY: allocated by the first access; the driver waits for the copy.
            unsafe { result::free_host(world.spare_pinned.replace(ptr::null_mut()).cast()) }.expect("a free");
        },
        waits: true,
        report: &["cuMemFreeHost: the free of bytes 0..64", "by the host is not ordered after the read of", "by cuMemcpyHtoDAsync_v2;"],
        ..HOST
    },
];

/// When the first access runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As it comes.
    Any,
    /// Before the second is enqueued, although nobody has waited for it.
    Early,
    /// After the second was enqueued.
    Late,
}

/// Runs a program, with `between` between the accesses.
pub(crate) fn run(program: &Program, world: &World, pace: Pace, between: impl FnOnce(&World)) {
    let held = matches!(pace, Pace::Late).then(|| busy(&world.first));
    (program.first)(world);
    world.record_mark();
    between(world);
    match pace {
        Pace::Any => settle(),
        Pace::Early => idle(),
        Pace::Late => {}
    }
    (program.second)(world);
    drop(held);
}

/// Until all work is done that may go, which nobody has waited for as far as the driver is concerned.
fn idle() {
    while softcuda::live().threads > 0 {
        thread::yield_now();
    }
}

/// Between two accesses that nothing orders: where the driver is bound at link time, Miri and the
/// sanitizers would see the bytes race as well.
pub(crate) fn settle() {
    if cfg!(softcuda_linked) {
        idle();
    }
}

pub(crate) fn wait(stream: &CudaStream, event: CUevent) {
    // SAFETY: both are alive.
    unsafe { result::stream::wait_event(stream.cu_stream(), event, CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT) }.expect("a wait");
}

/// Keeps a stream busy until the sender is dropped. Not a [`super::Hold`]: after a kernel that waits
/// for somebody unseen the driver takes nothing for unordered.
fn busy(stream: &CudaStream) -> Sender<()> {
    let (release, released): (_, Receiver<()>) = channel();
    host_function(stream, move || assert!(released.recv().is_err(), "nothing is sent"));
    release
}

type Work = Box<dyn FnOnce() + Send>;

pub(crate) fn host_function(stream: &CudaStream, work: impl FnOnce() + Send + 'static) {
    unsafe extern "C" fn call(work: *mut c_void) {
        // SAFETY: a box is passed below, and the driver calls once.
        let work = unsafe { Box::from_raw(work.cast::<Work>()) };
        work();
    }
    let work: Box<Work> = Box::new(Box::new(work));
    // SAFETY: the stream is alive; the function takes the box back.
    unsafe { result::stream::launch_host_function(stream.cu_stream(), call, Box::into_raw(work).cast()) }.expect("a host function");
}
