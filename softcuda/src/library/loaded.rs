//! The software driver as a shared library: embedded in this crate, opened from memory.
//!
//! From memory and not from the build folder, so that a test executable which was moved to another
//! machine still has its driver, and so that an old driver's has the functions of an old driver.

mod image;

use std::borrow::Cow;
use std::ffi::{CStr, c_void};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::functions::ControlFunctions;
use crate::options::Machine;
use crate::shared_object::{address, dlopen};

static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libsoftcuda.so"));

/// The name under which cudarc looks for the driver, and the library's own name.
const NAME: &str = "libcuda.so";

static LOADED: OnceLock<Result<Loaded, String>> = OnceLock::new();

#[derive(Debug)]
struct Loaded {
    library: Library,
    control: ControlFunctions,
    /// Kept open: the loader knows the library by the path of this descriptor, and a debugger or a
    /// backtrace reads that path.
    _image: File,
}

/// Opens the software driver, once in a process.
pub(crate) fn open(machine: &Machine) -> Result<(), String> {
    LOADED.get_or_init(|| load(machine)).as_ref().map(drop).map_err(Clone::clone)
}

/// The control functions, if the software driver is open.
pub(crate) fn opened() -> Option<&'static ControlFunctions> {
    LOADED.get()?.as_ref().ok().map(|loaded| &loaded.control)
}

/// The address of a function of the software driver, if it is open.
pub(crate) fn symbol(name: &CStr) -> Option<*const c_void> {
    let loaded = LOADED.get()?.as_ref().ok()?;
    address(&loaded.library, name)
}

/// The library itself.
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
pub(crate) fn image() -> Option<&'static [u8]> {
    Some(IMAGE)
}

fn load(machine: &Machine) -> Result<Loaded, String> {
    let mut image = Cow::Borrowed(IMAGE);
    if !machine.lacks.is_empty() {
        image::leave_out(image.to_mut(), &machine.lacks)?;
    }
    let image = write(&image).map_err(|error| format!("cannot write the software driver to memory: {error}"))?;
    let path = format!("/proc/self/fd/{}", image.as_raw_fd());
    let library = dlopen(&path, RTLD_NOW | RTLD_LOCAL).map_err(|error| format!("cannot load the software driver: {error}"))?;
    // SAFETY: the library is built from this crate's sources, and stays open as long as the functions are kept.
    let control = unsafe { ControlFunctions::of_driver(|name| address(&library, name)) }?;
    control.set_machine(machine)?;
    check_name(&library)?;
    Ok(Loaded { library, control, _image: image })
}

/// Checks that whoever opens `libcuda.so` from now on gets the software driver. A real driver that
/// somebody opened earlier under that name would win, and the two would be mixed in one process.
fn check_name(ours: &Library) -> Result<(), String> {
    const MARKER: &CStr = c"softcuda_version";
    let seen =
        dlopen(NAME, RTLD_NOW | libc::RTLD_NOLOAD).map_err(|error| format!("{NAME} does not lead to the software driver: {error}"))?;
    if address(&seen, MARKER) == address(ours, MARKER) {
        return Ok(());
    }
    Err(format!(
        "another {NAME} was loaded before the software driver: call softcuda::choose() before any \
         other use of CUDA, or set SOFTCUDA=real"
    ))
}

/// A file in memory with these bytes.
fn write(image: &[u8]) -> io::Result<File> {
    // SAFETY: the name is a C string and the flags are valid.
    let descriptor = unsafe { libc::memfd_create(c"libsoftcuda.so".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made, nobody else owns it.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    file.write_all(image)?;
    Ok(file)
}
