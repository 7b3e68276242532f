//! Streams and memory for programs of a few accesses, and those accesses.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::sys::{self, CUdeviceptr, CUevent_flags, CUresult, CUstream};
use cudarc::driver::{CudaContext, CudaEvent, CudaStream, DriverError, PushKernelArg, result};
use softcuda::Scope;

use super::{ONE, add};

/// Words and bytes of every piece of memory here.
pub(super) const WORDS: usize = 16;
pub(super) const BYTES: usize = WORDS * size_of::<u32>();

/// What a program works with.
pub(crate) struct World {
    pub(crate) context: Arc<CudaContext>,
    pub(crate) first: Arc<CudaStream>,
    pub(crate) second: Arc<CudaStream>,
    pub(crate) data: CUdeviceptr,
    pub(crate) other: CUdeviceptr,
    pub(crate) pinned: *mut u32,
    /// What the program allocates itself, until it frees it.
    pub(super) spare: Cell<CUdeviceptr>,
    pub(super) spare_pinned: Cell<*mut u32>,
    /// Recorded on the first stream after the first access.
    pub(crate) mark: CudaEvent,
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
            mark: context.new_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).expect("an event"),
        }
    }

    /// The same with two streams of a kind.
    pub(crate) fn of(context: &Arc<CudaContext>, lane: Lane) -> Self {
        Self::new(context, lane(context), lane(context))
    }

    pub(crate) fn record_mark(&self) {
        self.mark.record(&self.first).expect("a record");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Where the schedule has held both accesses, the second goes before the first.
        self.second.synchronize().expect("the work is done");
        result::ctx::synchronize().expect("the work is done");
        for stream in [&self.first, &self.second] {
            if stream.cu_stream().addr() > 2 {
                // SAFETY: alive, and not used any more.
                let code = unsafe { sys::cuStreamDestroy_v2(stream.cu_stream()) };
                // The second where its green context is gone.
                assert!(matches!(code, CUresult::CUDA_SUCCESS | CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED), "the stream: {code:?}");
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

pub(super) fn pinned() -> *mut u32 {
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

pub(super) fn pinned_to_device(world: &World, from: *mut u32) {
    // SAFETY: all are alive, and the copy is done before the memory is freed or the driver keeps it.
    let code = unsafe { sys::cuMemcpyHtoDAsync_v2(world.data, from.cast(), BYTES, world.first.cu_stream()) };
    assert_eq!(code, CUresult::CUDA_SUCCESS);
}

pub(super) fn pinned_from_device(world: &World) {
    // SAFETY: as above.
    let code = unsafe { sys::cuMemcpyDtoHAsync_v2(world.pinned.cast(), world.data, BYTES, world.first.cu_stream()) };
    assert_eq!(code, CUresult::CUDA_SUCCESS);
}

pub(super) fn kernel(world: &World, stream: &Arc<CudaStream>) {
    let kernel = add(&world.context);
    let mut launch = stream.launch_builder(&kernel);
    let words = u32::try_from(WORDS).expect("a few");
    launch.arg(&words).arg(&1_u32).arg(&world.data);
    // SAFETY: the arguments are those of the PTX, and there are as many words.
    unsafe { launch.launch(ONE) }.expect("a launch");
}

pub(super) fn allocate(world: &World) {
    // SAFETY: the stream is alive.
    world.spare.set(unsafe { result::malloc_async(world.first.cu_stream(), BYTES) }.expect("memory"));
}

/// Waits as another scope, of which the calling thread's scope learns nothing: the driver takes the two
/// for programs of their own.
pub(crate) fn unseen(wait: impl FnOnce() -> Result<(), DriverError> + Send) {
    thread::scope(|threads| {
        threads.spawn(|| {
            let _other = Scope::enter();
            wait().expect("a wait");
        });
    });
}

/// Between two accesses that nothing orders: where the driver is bound at link time, Miri and the
/// sanitizers would see the bytes race as well.
pub(crate) fn settle(stream: &CudaStream) {
    if cfg!(softcuda_linked) {
        unseen(|| stream.synchronize());
    }
}

/// Keeps a stream busy until the sender is dropped. Not a [`Hold`](super::Hold): after a kernel that waits
/// for somebody unseen the driver takes nothing for unordered.
pub(crate) fn busy(stream: &CudaStream) -> Sender<()> {
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
