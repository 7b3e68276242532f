//! Device memory whose content shows in which order work ran. cudarc moves it.

use std::sync::{Arc, Mutex, PoisonError};

use cuda_streams::{AsStream, Device, RawStream, Stream, StreamRef};
use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DriverError, PinnedHostSlice, sys};

use super::device;

/// Some words of device memory, all of one value.
///
/// cudarc inserts no waits of its own here: its context has only streams that it borrows.
#[derive(Debug)]
pub(crate) struct Words {
    slice: CudaSlice<u32>,
    device: Device,
}

impl Words {
    const COUNT: usize = 64;

    /// New memory, filled with `value`.
    pub(crate) fn new(device: Device, value: u32) -> Self {
        let stream = Lane::of(device).wrap();
        let slice = stream.clone_htod(&[value; Self::COUNT]).expect("device memory");
        stream.synchronize().expect("the memory is filled");
        Self { slice, device }
    }

    /// Enqueues a copy on the stream: `self` gets the value that `source` has then.
    pub(crate) fn copy_from(&mut self, stream: impl AsStream, source: &Self) {
        let copy = |stream: &Arc<CudaStream>| stream.memcpy_dtod(&source.slice, &mut self.slice);
        enqueue(self.device, stream.as_stream(), copy);
    }

    /// Enqueues a copy to host memory, from where streams of other devices take it.
    pub(crate) fn copy_to_host(&self, stream: impl AsStream, target: &mut PinnedHostSlice<u32>) {
        enqueue(self.device, stream.as_stream(), |stream| stream.memcpy_dtoh(&self.slice, target));
    }

    /// Enqueues a copy from host memory.
    pub(crate) fn copy_from_host(&mut self, stream: impl AsStream, source: &PinnedHostSlice<u32>) {
        let copy = |stream: &Arc<CudaStream>| stream.memcpy_htod(source, &mut self.slice);
        enqueue(self.device, stream.as_stream(), copy);
    }

    /// Pinned host memory, all 0, that streams of every device can copy to and from.
    pub(crate) fn on_the_host() -> PinnedHostSlice<u32> {
        let lane = Lane::of(device());
        // SAFETY: it is written below before anybody reads it.
        let memory = unsafe { lane.cudarc.alloc_pinned_with_flags(Self::COUNT, sys::CU_MEMHOSTALLOC_PORTABLE) };
        let mut memory = memory.expect("pinned memory");
        memory.as_mut_slice().expect("nobody uses it yet").fill(0);
        memory
    }

    /// The value now, read beside all other streams.
    pub(crate) fn read(&self) -> u32 {
        let stream = Lane::of(self.device).wrap();
        let words = stream.clone_dtoh(&self.slice).expect("the copy is enqueued");
        stream.synchronize().expect("the memory is read");
        assert!(words.windows(2).all(|pair| pair[0] == pair[1]), "some words are old and some are new: {words:?}");
        words[0]
    }
}

/// The stream on which memory of a device is allocated and freed. It is never held, so that neither
/// waits for anything.
#[derive(Clone)]
struct Lane {
    stream: Stream,
    cudarc: Arc<CudaContext>,
}

impl Lane {
    fn of(device: Device) -> Self {
        static LANES: Mutex<Vec<Lane>> = Mutex::new(Vec::new());
        let mut lanes = LANES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.iter().find(|lane| lane.stream.device() == device) {
            return lane.clone();
        }
        let stream = device.stream().expect("a stream");
        let cudarc = CudaContext::new(device.ordinal() as usize).expect("cudarc's view of the primary context");
        lanes.push(Self { stream, cudarc });
        lanes[lanes.len() - 1].clone()
    }

    fn wrap(&self) -> Arc<CudaStream> {
        // SAFETY: the list of lanes keeps the stream alive until the process ends.
        unsafe { self.cudarc.wrap_borrowed_stream(raw(self.stream.as_raw())) }
    }
}

/// Lets cudarc enqueue something on a stream of the device's primary context.
fn enqueue(device: Device, stream: StreamRef<'_>, f: impl FnOnce(&Arc<CudaStream>) -> Result<(), DriverError>) {
    // SAFETY: the view keeps the stream alive, and the wrapper does not leave this function.
    let stream = unsafe { Lane::of(device).cudarc.wrap_borrowed_stream(raw(stream.as_raw())) };
    f(&stream).expect("the copy is enqueued");
}

/// cudarc's name for a stream handle.
fn raw(stream: RawStream) -> sys::CUstream {
    stream.cast()
}
