//! The kernel: late, if it is to be, `x = a * x + b` for every element.

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cuda_streams::{Device, IpcSlice, Stream};
use cudarc::driver::{CudaContext, CudaFunction, CudaStream, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;
use softcuda::{Kernel, ParamKind};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The kernel, on a stream.
pub(crate) struct Affine {
    /// The stream, for cudarc.
    pub(crate) stream: Arc<CudaStream>,
    kernel: CudaFunction,
}

impl Affine {
    pub(crate) fn load(device: Device, stream: &Stream) -> Result<Self> {
        twin().register();
        let context = CudaContext::new(device.ordinal() as usize)?;
        let kernel = context.load_module(Ptx::from_src(PTX))?.load_function("affine")?;
        Ok(Self { stream: stream.to_cudarc(&context)?, kernel })
    }

    /// Enqueues it. It begins with doing nothing for as long as `delay`.
    pub(crate) fn launch(&self, delay: Duration, a: i32, b: i32, data: &mut IpcSlice<i32>) -> Result {
        let mut x = data.as_view_mut();
        let (n, nanos) = (u32::try_from(x.len())?, u64::try_from(delay.as_nanos())?);
        let mut launch = self.stream.launch_builder(&self.kernel);
        launch.arg(&n).arg(&nanos).arg(&a).arg(&b).arg(&mut x);
        // SAFETY: these are the parameters that the PTX declares, and `n` elements are behind the pointer.
        unsafe { launch.launch(LaunchConfig::for_num_elems(n)) }?;
        Ok(())
    }
}

const PTX: &str = r"
.version 6.0
.target sm_50
.address_size 64

.visible .entry affine(.param .u32 n, .param .u64 nanos, .param .u32 a, .param .u32 b, .param .u64 data)
{
    .reg .pred  %done, %early;
    .reg .u32   %n, %a, %b, %block, %threads, %thread, %i, %x;
    .reg .u64   %data, %offset, %nanos, %start, %now, %passed;

    ld.param.u32            %n, [n];
    ld.param.u64            %nanos, [nanos];
    ld.param.u32            %a, [a];
    ld.param.u32            %b, [b];
    ld.param.u64            %data, [data];
    cvta.to.global.u64      %data, %data;

    mov.u64                 %start, %globaltimer;
spin:
    mov.u64                 %now, %globaltimer;
    sub.u64                 %passed, %now, %start;
    setp.lt.u64             %early, %passed, %nanos;
    @%early bra             spin;

    mov.u32                 %block, %ctaid.x;
    mov.u32                 %threads, %ntid.x;
    mov.u32                 %thread, %tid.x;
    mad.lo.u32              %i, %block, %threads, %thread;
    setp.ge.u32             %done, %i, %n;
    @%done bra              end;
    mul.wide.u32            %offset, %i, 4;
    add.u64                 %data, %data, %offset;
    ld.global.u32           %x, [%data];
    mad.lo.u32              %x, %a, %x, %b;
    st.global.u32           [%data], %x;
end:
    ret;
}
";

/// The same in Rust, for the software driver.
fn twin() -> Kernel {
    Kernel::new("affine", [ParamKind::Int32, ParamKind::Int64, ParamKind::Int32, ParamKind::Int32, ParamKind::Pointer])
        .declare(|launch, memory| memory.read_write::<i32>(4, launch.u32(0) as usize))
        .run(|launch| {
            thread::sleep(Duration::from_nanos(launch.u64(1)));
            let (a, b) = (launch.i32(2), launch.i32(3));
            for x in launch.slice_mut::<i32>(4) {
                *x = x.wrapping_mul(a).wrapping_add(b);
            }
        })
}
