//! How long does a kernel take, and how close does it come to the bandwidth of the memory?
//!
//! cudarc allocates memory and launches the kernel, on a stream of this crate; events of this crate
//! take the time. The kernel is SAXPY, `y = a * x + y`, which does nothing but move 12 bytes an
//! element.
//!
//! ```text
//! cargo run --release --example time_kernel
//! ```
//!
//! Without a GPU the software driver runs the kernel's Rust twin: the same program, and times that
//! say nothing about a GPU.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use cuda_streams::{Device, ElapsedTime, EventOptions, Stream};
use cudarc::driver::{CudaContext, CudaFunction, CudaStream, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;
use softcuda::{Choice, Kernel, ParamKind};

const WARM_UPS: u8 = 5;
const LAUNCHES: u8 = 50;
const A: f32 = 2.0;

fn main() -> ExitCode {
    match time_sizes() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn time_sizes() -> Result<(), Box<dyn Error>> {
    let (driver, largest) = match softcuda::choose()? {
        Choice::Software => ("software", 22),
        Choice::Real | Choice::Nothing => ("real", 26),
    };
    let device = Device::get(0)?;
    println!("device: {}, driver: {driver}", device.name()?);

    let stream = device.stream()?;
    let saxpy = Saxpy::load(&stream)?;
    // Verified but not shown: a number of elements that is not a multiple of four.
    saxpy.time(1_027)?;

    println!("{:>10} {:>12} {:>12} {:>8}", "elements", "median", "iqr", "GB/s");
    for power in (10..=largest).step_by(2) {
        let elements = 1 << power;
        let times = saxpy.time(elements)?;
        let [lower, median, upper] = [1, 2, 3].map(|quarter| times[(times.len() - 1) * quarter / 4]);
        let iqr = ElapsedTime::from_millis_f32(upper.as_millis_f32() - lower.as_millis_f32());
        let bandwidth = f64::from(elements) * 12.0 / median.as_secs_f64();
        println!("{elements:>10} {median:>12} {iqr:>12} {:>8.1}", bandwidth / 1e9);
    }
    Ok(())
}

/// The kernel, loaded, and the stream that it runs on.
struct Saxpy<'a> {
    stream: &'a Stream,
    /// The same stream for cudarc.
    cudarc: Arc<CudaStream>,
    kernel: CudaFunction,
}

impl<'a> Saxpy<'a> {
    fn load(stream: &'a Stream) -> Result<Self, Box<dyn Error>> {
        twin().register();
        let context = CudaContext::new(stream.device().ordinal() as usize)?;
        let kernel = context.load_module(Ptx::from_src(PTX))?.load_function("saxpy")?;
        // SAFETY: the stream is of the device's primary context, which is cudarc's too, and borrowed while `Saxpy` lives.
        let cudarc = unsafe { context.wrap_borrowed_stream(stream.as_raw().cast()) };
        Ok(Self { stream, cudarc, kernel })
    }

    /// The times of [`LAUNCHES`] launches, in ascending order. Fails if the kernel does not compute
    /// what the host does.
    fn time(&self, elements: u32) -> Result<Vec<ElapsedTime>, Box<dyn Error>> {
        let [x, y] = [251_u8, 241].map(|period| (0..period).cycle().map(f32::from).take(elements as usize).collect::<Vec<_>>());
        let device_x = self.cudarc.clone_htod(&x)?;
        let mut device_y = self.cudarc.clone_htod(&y)?;
        let mut launch = || {
            let mut saxpy = self.cudarc.launch_builder(&self.kernel);
            saxpy.arg(&elements).arg(&A).arg(&device_x).arg(&mut device_y);
            // SAFETY: these are the parameters that the PTX declares, and `elements` elements are behind both pointers.
            unsafe { saxpy.launch(shape(elements)) }
        };

        // Created beforehand, so that nothing but the launch comes between a start and its end.
        let event = || self.stream.device().event(EventOptions::new().timed());
        let events = (0..LAUNCHES).map(|_| Ok((event()?, event()?))).collect::<cuda_streams::Result<Vec<_>>>()?;
        for _ in 0..WARM_UPS {
            launch()?;
        }
        for (start, end) in &events {
            start.record(self.stream)?;
            launch()?;
            end.record(self.stream)?;
        }
        let result = self.cudarc.clone_dtoh(&device_y)?;
        self.stream.synchronize()?;

        verify(&x, &y, &result)?;
        let times = events.iter().map(|(start, end)| start.elapsed_time(end));
        let mut times = times.collect::<cuda_streams::Result<Vec<_>>>()?;
        times.sort_by(|a, b| a.as_millis_f32().total_cmp(&b.as_millis_f32()));
        Ok(times)
    }
}

/// A vector of four elements for each thread.
fn shape(elements: u32) -> LaunchConfig {
    const THREADS: u32 = 256;
    let blocks = elements.div_ceil(4 * THREADS);
    LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 }
}

/// Each launch has added `A * x` to `y`.
#[expect(clippy::float_cmp, reason = "whole numbers as small as these are exact in single precision")]
fn verify(x: &[f32], y: &[f32], result: &[f32]) -> Result<(), String> {
    let total = A * f32::from(WARM_UPS + LAUNCHES);
    for (index, ((x, y), result)) in x.iter().zip(y).zip(result).enumerate() {
        let expected = total * x + y;
        if *result != expected {
            return Err(format!("the kernel is wrong: element {index} is {result}, not {expected}"));
        }
    }
    Ok(())
}

/// Four elements at a time, in loads and stores of 16 bytes, for as long as there are four; the
/// first threads then take one each of what is left over. Any grid does the whole work: a thread goes
/// on by as many vectors as the grid has threads.
const PTX: &str = r"
.version 6.0
.target sm_50
.address_size 64

.visible .entry saxpy(.param .u32 n, .param .f32 a, .param .u64 x, .param .u64 y)
{
    .reg .pred  %done;
    .reg .u32   %n, %vectors, %block, %threads, %thread, %first, %i, %step;
    .reg .u64   %x, %y, %offset, %xi, %yi;
    .reg .f32   %a, %x0, %x1, %x2, %x3, %y0, %y1, %y2, %y3;

    ld.param.u32            %n, [n];
    ld.param.f32            %a, [a];
    ld.param.u64            %x, [x];
    ld.param.u64            %y, [y];
    cvta.to.global.u64      %x, %x;
    cvta.to.global.u64      %y, %y;

    // first = number of this thread in the grid, step = threads of the grid
    mov.u32                 %block, %ctaid.x;
    mov.u32                 %threads, %ntid.x;
    mov.u32                 %thread, %tid.x;
    mad.lo.u32              %first, %block, %threads, %thread;
    mov.u32                 %step, %nctaid.x;
    mul.lo.u32              %step, %step, %threads;

    // for (i = first; i < n / 4; i += step) y[4i..4i+4] += a * x[4i..4i+4]
    shr.u32                 %vectors, %n, 2;
    mov.u32                 %i, %first;
vector:
    setp.ge.u32             %done, %i, %vectors;
    @%done bra              rest;
    mul.wide.u32            %offset, %i, 16;
    add.u64                 %xi, %x, %offset;
    add.u64                 %yi, %y, %offset;
    ld.global.v4.f32        {%x0, %x1, %x2, %x3}, [%xi];
    ld.global.v4.f32        {%y0, %y1, %y2, %y3}, [%yi];
    fma.rn.f32              %y0, %a, %x0, %y0;
    fma.rn.f32              %y1, %a, %x1, %y1;
    fma.rn.f32              %y2, %a, %x2, %y2;
    fma.rn.f32              %y3, %a, %x3, %y3;
    st.global.v4.f32        [%yi], {%y0, %y1, %y2, %y3};
    add.u32                 %i, %i, %step;
    bra                     vector;

    // i = n / 4 * 4 + first; if (i < n) y[i] += a * x[i]
rest:
    mad.lo.u32              %i, %vectors, 4, %first;
    setp.ge.u32             %done, %i, %n;
    @%done bra              end;
    mul.wide.u32            %offset, %i, 4;
    add.u64                 %xi, %x, %offset;
    add.u64                 %yi, %y, %offset;
    ld.global.f32           %x0, [%xi];
    ld.global.f32           %y0, [%yi];
    fma.rn.f32              %y0, %a, %x0, %y0;
    st.global.f32           [%yi], %y0;
end:
    ret;
}
";

/// The same in Rust, for the software driver.
fn twin() -> Kernel {
    Kernel::new("saxpy", [ParamKind::Int32, ParamKind::F32, ParamKind::Pointer, ParamKind::Pointer])
        .declare(|launch, memory| {
            let n = launch.u32(0) as usize;
            memory.read::<f32>(2, n);
            memory.read_write::<f32>(3, n);
        })
        .run(|launch| {
            let a = launch.f32(1);
            for (x, y) in launch.slice::<f32>(2).iter().zip(launch.slice_mut::<f32>(3)) {
                *y += a * x;
            }
        })
}
