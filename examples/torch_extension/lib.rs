//! How does a Rust library work on PyTorch's streams and events?
//!
//! PyTorch hands over what it has as integers: `stream.cuda_stream`, `event.cuda_event`,
//! `tensor.data_ptr()`. This library waits for PyTorch's event, launches a kernel on a stream of its own,
//! and makes PyTorch's stream wait for that. Nothing waits on the host. `run.py` beside this file is the
//! other side:
//!
//! ```text
//! cargo build --release --example torch_extension
//! python3 examples/torch_extension/run.py target/release/examples/libtorch_extension.so
//! ```

use std::cell::RefCell;
use std::error::Error;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

use cuda_streams::{Device, Event, EventRef, ExternalStream, Stream};
use cudarc::driver::{CudaContext, CudaFunction, CudaStream, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;
use softcuda::{Kernel, ParamKind};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the library keeps between calls.
#[derive(Debug)]
pub struct Extension {
    /// The stream for cudarc, which launches the kernel. Dropped first: a stream that cudarc still has is
    /// leaked.
    cudarc: Arc<CudaStream>,
    stream: Stream,
    kernel: CudaFunction,
    done: Event,
}

impl Extension {
    fn new(device: u32) -> Result<Self> {
        let device = Device::get(device)?;
        twin().register();
        // cudarc makes its context current; PyTorch finds what it had.
        device.context()?.with_current(|| {
            let stream = device.stream()?;
            let context = CudaContext::new(device.ordinal() as usize)?;
            let kernel = context.load_module(Ptx::from_src(PTX))?.load_function("double_and_add_one")?;
            Ok(Self { cudarc: stream.to_cudarc(&context)?, stream, kernel, done: Event::new() })
        })?
    }

    /// `x = 2 * x + 1` for each of `count` integers at `data`, after `ready` and before what `stream`
    /// gets from now on. Without `ready` after nothing.
    ///
    /// # Safety
    ///
    /// The stream and the event are alive, and the event is none for other processes; the integers are there until the kernel
    /// has run.
    unsafe fn double(&self, stream: *mut c_void, ready: *mut c_void, data: u64, count: u32) -> Result<()> {
        // SAFETY: alive, says the caller, and of the device's primary context, as all of PyTorch's.
        let torch = unsafe { ExternalStream::from_raw(stream) }?;
        if !ready.is_null() {
            // SAFETY: alive, and of this process only, says the caller.
            let ready = unsafe { EventRef::from_raw(ready) };
            self.stream.wait_event(ready)?;
        }
        let mut launch = self.cudarc.launch_builder(&self.kernel);
        launch.arg(&count).arg(&data);
        // SAFETY: these are the parameters that the PTX declares; the caller vouches for the memory.
        unsafe { launch.launch(LaunchConfig::for_num_elems(count)) }?;
        self.done.record(&self.stream)?;
        torch.wait_event(&self.done)?;
        Ok(())
    }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// The value, or null or another default with a message for [`extension_last_error`].
fn told<T>(result: Result<T>, otherwise: T) -> T {
    result.unwrap_or_else(|error| {
        let text = CString::new(error.to_string()).unwrap_or_default();
        LAST_ERROR.set(text);
        otherwise
    })
}

/// A new extension on this device; null if that fails.
#[unsafe(no_mangle)]
pub extern "C" fn extension_new(device: u32) -> *mut Extension {
    told(Extension::new(device).map(Box::new).map(Box::into_raw), ptr::null_mut())
}

/// Gives an extension back.
///
/// # Safety
///
/// It comes from [`extension_new`] and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extension_free(extension: *mut Extension) {
    // SAFETY: the caller's contract.
    drop(unsafe { Box::from_raw(extension) });
}

/// The stream that kernels run on, for `torch.cuda.ExternalStream`.
///
/// # Safety
///
/// The extension comes from [`extension_new`] and is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extension_stream(extension: *const Extension) -> *mut c_void {
    // SAFETY: the caller's contract.
    unsafe { &*extension }.stream.as_raw()
}

/// [`Extension::double`]; 0 if it succeeds.
///
/// # Safety
///
/// The extension is alive, and the contract of [`Extension::double`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extension_double(
    extension: *const Extension,
    stream: *mut c_void,
    ready: *mut c_void,
    data: u64,
    count: u32,
) -> c_int {
    // SAFETY: the caller's contract.
    let extension = unsafe { &*extension };
    // SAFETY: the caller's contract.
    told(unsafe { extension.double(stream, ready, data, count) }.map(|()| 0), 1)
}

/// What the last call that failed on this thread says, until the next that fails.
#[unsafe(no_mangle)]
pub extern "C" fn extension_last_error() -> *const c_char {
    LAST_ERROR.with_borrow(|text| text.as_ptr())
}

const PTX: &str = r"
.version 6.0
.target sm_50
.address_size 64

.visible .entry double_and_add_one(.param .u32 n, .param .u64 data)
{
    .reg .pred  %done;
    .reg .u32   %n, %block, %threads, %thread, %i, %x;
    .reg .u64   %data, %offset;

    ld.param.u32            %n, [n];
    ld.param.u64            %data, [data];
    cvta.to.global.u64      %data, %data;
    mov.u32                 %block, %ctaid.x;
    mov.u32                 %threads, %ntid.x;
    mov.u32                 %thread, %tid.x;
    mad.lo.u32              %i, %block, %threads, %thread;
    setp.ge.u32             %done, %i, %n;
    @%done bra              end;
    mul.wide.u32            %offset, %i, 4;
    add.u64                 %data, %data, %offset;
    ld.global.u32           %x, [%data];
    shl.b32                 %x, %x, 1;
    add.u32                 %x, %x, 1;
    st.global.u32           [%data], %x;
end:
    ret;
}
";

/// The same in Rust, for the software driver.
fn twin() -> Kernel {
    Kernel::new("double_and_add_one", [ParamKind::Int32, ParamKind::Pointer])
        .declare(|launch, memory| memory.read_write::<i32>(1, launch.u32(0) as usize))
        .run(|launch| {
            let n = launch.u32(0) as usize;
            for x in launch.slice_mut::<i32>(1).iter_mut().take(n) {
                *x = 2 * *x + 1;
            }
        })
}
