//! The work on real memory: chunks in page-locked memory of the host, two buffers and the results on the
//! device. cudarc moves the bytes and launches the kernel.

use std::error::Error;
use std::sync::Arc;

use cuda_streams::{Device, Stream};
use cudarc::driver::{CudaContext, CudaFunction, CudaSlice, CudaStream, PinnedHostSlice, PushKernelArg};
use cudarc::nvrtc::Ptx;

use super::kernel::{self, Jump};
use super::pipeline::{BUFFERS, Work};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// How much work there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) chunks: usize,
    /// Of a chunk, each of 4 bytes; a multiple of four.
    pub(crate) elements: u32,
    /// Of the kernel, on each element.
    pub(crate) rounds: u32,
}

/// The memory and the kernel.
///
/// cudarc inserts no waits of its own between our streams: it does so only in a `CudaContext` that has
/// made streams itself.
pub(crate) struct Chunks {
    size: Size,
    context: Arc<CudaContext>,
    kernel: CudaFunction,
    /// By chunk, as the results.
    sources: Vec<PinnedHostSlice<u32>>,
    results: Vec<CudaSlice<u32>>,
    buffers: Vec<CudaSlice<u32>>,
}

impl Chunks {
    /// Allocates everything and fills the chunks.
    pub(crate) fn new(device: Device, size: Size) -> Result<Self> {
        kernel::twin().register();
        let context = CudaContext::new(device.ordinal() as usize)?;
        let kernel = context.load_module(Ptx::from_src(kernel::PTX))?.load_function(kernel::NAME)?;
        let stream = context.default_stream();
        let on_device = |_| stream.alloc_zeros(size.elements as usize);
        let results = (0..size.chunks).map(on_device).collect::<std::result::Result<_, _>>()?;
        let buffers = (0..BUFFERS).map(on_device).collect::<std::result::Result<_, _>>()?;
        let sources = (0..size.chunks).map(|chunk| source(&context, chunk, size.elements)).collect::<Result<_>>()?;
        stream.synchronize()?;
        Ok(Self { size, context, kernel, sources, results, buffers })
    }

    /// Removes what a run has left on the device, so that the next one cannot be taken for right by it.
    pub(crate) fn clear(&mut self) -> Result {
        let stream = self.context.default_stream();
        for memory in self.buffers.iter_mut().chain(&mut self.results) {
            stream.memset_zeros(memory)?;
        }
        Ok(stream.synchronize()?)
    }

    /// Fails if a result is not what the host computes. The run must be over.
    pub(crate) fn verify(&self) -> Result {
        let (stream, jump) = (self.context.default_stream(), Jump::of(self.size.rounds));
        for (chunk, result) in self.results.iter().enumerate() {
            let result = stream.clone_dtoh(result)?;
            stream.synchronize()?;
            for (state, result) in states(chunk, self.size.elements).zip(result) {
                let expected = jump.from(state);
                if result != expected {
                    return Err(format!("chunk {chunk} is wrong: {state} became {result}, not {expected}").into());
                }
            }
        }
        Ok(())
    }

    /// Our stream, for cudarc.
    fn on(&self, stream: &Stream) -> Arc<CudaStream> {
        // SAFETY: the stream is of the device's primary context, which is cudarc's too, and the callers keep no wrapper beyond it.
        unsafe { self.context.wrap_borrowed_stream(stream.as_raw().cast()) }
    }
}

impl Work for Chunks {
    fn copy(&mut self, chunk: usize, stream: &Stream) -> Result {
        Ok(self.on(stream).memcpy_htod(&self.sources[chunk], &mut self.buffers[chunk % BUFFERS])?)
    }

    fn compute(&mut self, chunk: usize, stream: &Stream) -> Result {
        let stream = self.on(stream);
        let mut advance = stream.launch_builder(&self.kernel);
        advance.arg(&self.size.elements).arg(&self.size.rounds).arg(&self.buffers[chunk % BUFFERS]).arg(&mut self.results[chunk]);
        // SAFETY: these are the parameters that the PTX declares, and `elements` elements are behind both pointers.
        unsafe { advance.launch(kernel::shape(self.size.elements)) }?;
        Ok(())
    }
}

/// A chunk in page-locked memory: only from there a copy runs beside the host and the kernels.
fn source(context: &Arc<CudaContext>, chunk: usize, elements: u32) -> Result<PinnedHostSlice<u32>> {
    // SAFETY: all of it is written before anybody reads it.
    let mut memory = unsafe { context.alloc_pinned(elements as usize) }?;
    for (element, state) in memory.as_mut_slice()?.iter_mut().zip(states(chunk, elements)) {
        *element = state;
    }
    Ok(memory)
}

/// The elements of a chunk, which are different in every chunk.
fn states(chunk: usize, elements: u32) -> impl Iterator<Item = u32> {
    let chunk = u32::try_from(chunk).unwrap_or(u32::MAX);
    let first = chunk.wrapping_mul(elements);
    (0..elements).map(move |index| first.wrapping_add(index).wrapping_mul(0x9e37_79b1))
}
