//! The kernels: one fills a buffer with a frame, the other compares it with what the frame has to be,
//! every element of it, on the device.

use std::error::Error;
use std::sync::Arc;

use cuda_streams::{Device, IpcSlice, Stream};
use cudarc::driver::{CudaContext, CudaFunction, CudaSlice, CudaStream, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;
use softcuda::{Kernel, ParamKind};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Element `i` of frame `f` is `(f * FRAME + i) * ELEMENT`, modulo 2^32: odd factors, so that two
/// frames have no element in common.
const FRAME: u32 = 0x85eb_ca6b;
const ELEMENT: u32 = 0x9e37_79b1;

/// How many elements a thread has.
const VECTOR: u32 = 4;

/// The kernels, on a stream.
pub(crate) struct Kernels {
    /// The stream, for cudarc.
    pub(crate) stream: Arc<CudaStream>,
    fill: CudaFunction,
    check: CudaFunction,
}

impl Kernels {
    pub(crate) fn load(device: Device, stream: &Stream) -> Result<Self> {
        for twin in [fill_twin(), check_twin()] {
            twin.register();
        }
        let context = CudaContext::new(device.ordinal() as usize)?;
        let module = context.load_module(Ptx::from_src(PTX))?;
        let [fill, check] = ["fill_frame", "check_frame"].map(|name| module.load_function(name));
        Ok(Self { stream: stream.to_cudarc(&context)?, fill: fill?, check: check? })
    }

    /// Enqueues the kernel that makes the buffer the frame.
    pub(crate) fn fill(&self, frame: u32, buffer: &mut IpcSlice<u32>) -> Result {
        let mut to = buffer.as_view_mut();
        let elements = elements(to.len());
        let mut fill = self.stream.launch_builder(&self.fill);
        fill.arg(&elements).arg(&frame).arg(&mut to);
        // SAFETY: these are the parameters that the PTX declares, and `elements` elements are behind the pointer.
        unsafe { fill.launch(shape(elements)) }?;
        Ok(())
    }

    /// Enqueues the kernel that adds to `right[index]` how many [`vectors`] of the buffer are those of the frame.
    pub(crate) fn check(&self, frame: u32, buffer: &IpcSlice<u32>, right: &mut CudaSlice<u32>, index: usize) -> Result {
        let (from, mut right) = (buffer.as_view(), right.slice_mut(index..=index));
        let elements = elements(from.len());
        let mut check = self.stream.launch_builder(&self.check);
        check.arg(&elements).arg(&frame).arg(&from).arg(&mut right);
        // SAFETY: these are the parameters that the PTX declares, `elements` elements and one are behind the pointers.
        unsafe { check.launch(shape(elements)) }?;
        Ok(())
    }
}

/// How many vectors so many elements are.
pub(crate) fn vectors(elements: usize) -> usize {
    elements / VECTOR as usize
}

/// A parameter of the kernels.
fn elements(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// A vector for each thread.
fn shape(elements: u32) -> LaunchConfig {
    const THREADS: u32 = 256;
    let blocks = elements.div_ceil(VECTOR * THREADS);
    LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 }
}

/// Four elements a thread, in a load or a store of 16 bytes. The number of elements is a multiple of four.
const PTX: &str = r"
.version 6.0
.target sm_50
.address_size 64

.visible .entry fill_frame(.param .u32 n, .param .u32 frame, .param .u64 to)
{
    .reg .pred  %done;
    .reg .u32   %n, %frame, %block, %threads, %thread, %i, %first, %x0, %x1, %x2, %x3;
    .reg .u64   %to, %offset;

    ld.param.u32            %n, [n];
    ld.param.u32            %frame, [frame];
    ld.param.u64            %to, [to];
    cvta.to.global.u64      %to, %to;

    // i = number of this thread in the grid; if (4i >= n) return
    mov.u32                 %block, %ctaid.x;
    mov.u32                 %threads, %ntid.x;
    mov.u32                 %thread, %tid.x;
    mad.lo.u32              %i, %block, %threads, %thread;
    shl.b32                 %first, %i, 2;
    setp.ge.u32             %done, %first, %n;
    @%done bra              end;

    // to[4i..4i+4] = (frame * FRAME + 4i..) * ELEMENT
    mad.lo.u32              %x0, %frame, 0x85ebca6b, %first;
    mul.lo.u32              %x0, %x0, 0x9e3779b1;
    add.u32                 %x1, %x0, 0x9e3779b1;
    add.u32                 %x2, %x1, 0x9e3779b1;
    add.u32                 %x3, %x2, 0x9e3779b1;
    mul.wide.u32            %offset, %i, 16;
    add.u64                 %to, %to, %offset;
    st.global.v4.u32        [%to], {%x0, %x1, %x2, %x3};
end:
    ret;
}

.visible .entry check_frame(.param .u32 n, .param .u32 frame, .param .u64 from, .param .u64 right)
{
    .reg .pred  %inside, %right, %one;
    .reg .u32   %n, %frame, %block, %threads, %thread, %i, %first, %count;
    .reg .u32   %x0, %x1, %x2, %x3, %y0, %y1, %y2, %y3;
    .reg .u64   %from, %to, %offset;

    ld.param.u32            %n, [n];
    ld.param.u32            %frame, [frame];
    ld.param.u64            %from, [from];
    ld.param.u64            %to, [right];
    cvta.to.global.u64      %from, %from;
    cvta.to.global.u64      %to, %to;

    // i = number of this thread in the grid; inside = 4i < n
    mov.u32                 %block, %ctaid.x;
    mov.u32                 %threads, %ntid.x;
    mov.u32                 %thread, %tid.x;
    mad.lo.u32              %i, %block, %threads, %thread;
    shl.b32                 %first, %i, 2;
    setp.lt.u32             %inside, %first, %n;

    // right = inside && from[4i..4i+4] == (frame * FRAME + 4i..) * ELEMENT
    mul.wide.u32            %offset, %i, 16;
    add.u64                 %from, %from, %offset;
    mov.u32                 %y0, 0;
    mov.u32                 %y1, 0;
    mov.u32                 %y2, 0;
    mov.u32                 %y3, 0;
    @%inside ld.global.v4.u32 {%y0, %y1, %y2, %y3}, [%from];
    mad.lo.u32              %x0, %frame, 0x85ebca6b, %first;
    mul.lo.u32              %x0, %x0, 0x9e3779b1;
    add.u32                 %x1, %x0, 0x9e3779b1;
    add.u32                 %x2, %x1, 0x9e3779b1;
    add.u32                 %x3, %x2, 0x9e3779b1;
    setp.eq.and.u32         %right, %y0, %x0, %inside;
    setp.eq.and.u32         %right, %y1, %x1, %right;
    setp.eq.and.u32         %right, %y2, %x2, %right;
    setp.eq.and.u32         %right, %y3, %x3, %right;

    // How many threads of the block are right; the first adds it.
    bar.red.popc.u32        %count, 0, %right;
    setp.eq.u32             %one, %thread, 0;
    @%one red.global.add.u32 [%to], %count;
    ret;
}
";

/// The same in Rust, for the software driver.
fn fill_twin() -> Kernel {
    Kernel::new("fill_frame", [ParamKind::Int32, ParamKind::Int32, ParamKind::Pointer])
        .declare(|launch, memory| memory.write::<u32>(2, launch.u32(0) as usize))
        .run(|launch| {
            for (to, x) in launch.slice_mut::<u32>(2).iter_mut().zip(frame(launch.u32(1))) {
                *to = x;
            }
        })
}

fn check_twin() -> Kernel {
    Kernel::new("check_frame", [ParamKind::Int32, ParamKind::Int32, ParamKind::Pointer, ParamKind::Pointer])
        .declare(|launch, memory| {
            memory.read::<u32>(2, launch.u32(0) as usize);
            memory.read_write::<u32>(3, 1);
        })
        .run(|launch| {
            let from = launch.slice::<u32>(2);
            let expected: Vec<u32> = frame(launch.u32(1)).take(from.len()).collect();
            let vectors = from.chunks(VECTOR as usize).zip(expected.chunks(VECTOR as usize));
            let right = vectors.filter(|(from, expected)| from == expected).count();
            launch.slice_mut::<u32>(3)[0] += u32::try_from(right).unwrap_or(u32::MAX);
        })
}

/// The elements of a frame.
fn frame(number: u32) -> impl Iterator<Item = u32> {
    let first = number.wrapping_mul(FRAME);
    (0..).map(move |index: u32| first.wrapping_add(index).wrapping_mul(ELEMENT))
}
