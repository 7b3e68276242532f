//! What the kernels need: their code, their parameters and the buffers, of cudarc.

use std::error::Error;
use std::sync::Arc;

use cuda_streams::{Device, Stream};
use cudarc::driver::{CudaContext, CudaFunction, CudaSlice, CudaStream, LaunchArgs, PushKernelArg};
use cudarc::nvrtc::Ptx;

use super::kernel;
use super::plan::{KERNELS, Model, Step, Turn, steps};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The buffers, the kernel, and the parameters of each launch.
///
/// cudarc inserts no waits of its own between our streams: it does so only in a `CudaContext` that has made streams
/// itself.
pub(crate) struct Memory {
    context: Arc<CudaContext>,
    kernel: CudaFunction,
    elements: u32,
    /// Of both turns.
    steps: [[Step; KERNELS]; 2],
    buffers: Vec<CudaSlice<u32>>,
}

impl Memory {
    /// Allocates and fills everything; the work is done when this returns.
    pub(crate) fn new(device: Device, elements: u32) -> Result<Self> {
        kernel::twin().register();
        let context = CudaContext::new(device.ordinal() as usize)?;
        let kernel = context.load_module(Ptx::from_src(kernel::PTX))?.load_function(kernel::NAME)?;
        let stream = context.default_stream();
        let model = Model::new(elements);
        let buffers = model.buffers.iter().map(|buffer| stream.clone_htod(buffer)).collect::<std::result::Result<_, _>>()?;
        stream.synchronize()?;
        Ok(Self { context, kernel, elements, steps: Turn::BOTH.map(steps), buffers })
    }

    /// Our stream, for cudarc.
    ///
    /// # Safety
    ///
    /// The stream lives for as long as what this returns is used.
    pub(crate) unsafe fn on(&self, stream: &Stream) -> Arc<CudaStream> {
        // SAFETY: the stream is of the device's primary context, which is cudarc's too; the caller keeps it.
        unsafe { self.context.wrap_borrowed_stream(stream.as_raw().cast()) }
    }

    /// The launch of a kernel, ready to be made again and again: with its parameters, for which cudarc allocates.
    pub(crate) fn launch<'a>(&'a self, turn: Turn, number: usize, stream: &'a CudaStream) -> Launch<'a> {
        let step = &self.steps[turn as usize][number];
        let mut arguments = stream.launch_builder(&self.kernel);
        arguments.arg(&self.elements).arg(&step.constant).arg(&self.buffers[step.from]).arg(&self.buffers[step.to]);
        Launch { arguments, elements: self.elements }
    }

    /// Fails if the buffers are not what the host has computed. Nothing may be under way.
    pub(crate) fn verify(&self, model: &Model) -> Result {
        let stream = self.context.default_stream();
        for (number, (buffer, expected)) in self.buffers.iter().zip(&model.buffers).enumerate() {
            let buffer = stream.clone_dtoh(buffer)?;
            stream.synchronize()?;
            if let Some(element) = buffer.iter().zip(expected).position(|(value, expected)| value != expected) {
                let (value, expected) = (buffer[element], expected[element]);
                return Err(format!("element {element} of buffer {number} is {value}, not {expected}").into());
            }
        }
        Ok(())
    }
}

/// A launch with its parameters.
pub(crate) struct Launch<'a> {
    arguments: LaunchArgs<'a>,
    elements: u32,
}

impl Launch<'_> {
    /// # Safety
    ///
    /// Other work on the buffers is ordered before this launch or after it, but for what only reads what this reads.
    pub(crate) unsafe fn enqueue(&mut self) -> Result {
        // SAFETY: these are the parameters that the PTX declares, and `elements` elements are behind both pointers; the
        // caller orders the work.
        unsafe { self.arguments.launch(kernel::shape(self.elements)) }?;
        Ok(())
    }
}
