//! A kernel that faults: nothing of the process's can use the device after it.

use std::sync::Arc;

use cuda_streams::Stream;
use cudarc::driver::{CudaContext, CudaFunction, LaunchConfig, PushKernelArg as _};
use cudarc::nvrtc::Ptx;

use super::device;

const PTX: &str = "
.version 6.0
.target sm_50
.address_size 64

.visible .entry fault(.param .u32 unused)
{
    trap;
}
";

/// The kernel, loaded. Loading may wait for the context's work, so it comes before the first hold.
pub(crate) struct Fault {
    context: Arc<CudaContext>,
    kernel: CudaFunction,
}

impl Fault {
    pub(crate) fn load() -> Self {
        softcuda::Kernel::new("fault", [softcuda::ParamKind::Int32]).run(|launch| launch.fail(719)).register();
        let context = CudaContext::new(device().ordinal() as usize).expect("cudarc's view of the primary context");
        let module = context.load_module(Ptx::from_src(PTX)).expect("the PTX loads");
        let kernel = module.load_function("fault").expect("the PTX has the kernel");
        Self { context, kernel }
    }

    /// Launches it.
    pub(crate) fn launch(self, stream: &Stream) {
        // SAFETY: the stream outlives the wrapper, which ends with this function.
        let stream = unsafe { self.context.wrap_borrowed_stream(stream.as_raw().cast()) };
        let mut launch = stream.launch_builder(&self.kernel);
        launch.arg(&0_u32);
        // SAFETY: the kernel takes one 32-bit integer and touches no memory.
        unsafe { launch.launch(LaunchConfig::for_num_elems(1)) }.expect("the launch itself succeeds");
    }
}
