//! Finding the driver library.

use std::ffi::{CStr, c_void};
use std::mem::ManuallyDrop;

use libloading::Library;

use super::table::Driver;
use crate::error::{Attempt, Error, ErrorCode, Result};

/// Where the driver may be, in the order in which it is looked for: the versioned name first, since
/// the plain one may be a link-time stub.
#[cfg(not(windows))]
const CANDIDATES: [&str; 3] = ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "libcuda.so"];
#[cfg(windows)]
const CANDIDATES: [&str; 1] = ["nvcuda.dll"];

/// Opens the driver.
pub(super) fn open() -> Result<Driver> {
    #[cfg(feature = "software")]
    match softcuda::choose() {
        Ok(softcuda::Choice::Real) => {}
        Ok(softcuda::Choice::Software) => return Ok(Driver::bind(softcuda::symbol)),
        Ok(softcuda::Choice::Nothing) => {
            return Err(not_found(vec![Attempt::new("SOFTCUDA", "it says none".into())]));
        }
        Err(reason) => return Err(not_found(vec![Attempt::new("SOFTCUDA", reason)])),
    }
    open_real()
}

fn open_real() -> Result<Driver> {
    let mut tried = Vec::new();
    for name in CANDIDATES {
        match open_library(name).map_err(|error| reason(&error)).and_then(bind) {
            Ok(driver) => return Ok(driver),
            Err(reason) => tried.push(Attempt::new(name, reason)),
        }
    }
    Err(not_found(tried))
}

/// What the loader of the system says, which is the source of libloading's error.
fn reason(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// The table of a library, if it is a driver.
fn bind(library: Library) -> Result<Driver, String> {
    if symbol(&library, c"cuInit").is_none() {
        return Err("it exports no cuInit: not a driver".into());
    }
    // Never closed: the table points into it.
    let library = ManuallyDrop::new(library);
    let driver = Driver::bind(|name| symbol(&library, name));
    if driver.version().is_err_and(|error| error.code() == Some(ErrorCode::STUB_LIBRARY)) {
        return Err("it is the toolkit's link-time stub, not a driver".into());
    }
    Ok(driver)
}

#[cfg(not(windows))]
fn open_library(name: &str) -> Result<Library, libloading::Error> {
    // SAFETY: the driver library's initialisers have no requirements of their own.
    unsafe { Library::new(name) }
}

/// From the system's folder only, where the driver's installer puts it.
#[cfg(windows)]
fn open_library(name: &str) -> Result<Library, libloading::Error> {
    use libloading::os::windows::{LOAD_LIBRARY_SEARCH_SYSTEM32, Library as Windows};
    // SAFETY: the driver library's initialisers have no requirements of their own.
    unsafe { Windows::load_with_flags(name, LOAD_LIBRARY_SEARCH_SYSTEM32) }.map(Library::from)
}

fn symbol(library: &Library, name: &CStr) -> Option<*const c_void> {
    // SAFETY: only the address is taken; whoever calls it answers for its type.
    let symbol = unsafe { library.get::<*const c_void>(name.to_bytes_with_nul()) };
    symbol.ok().map(|symbol| *symbol)
}

fn not_found(tried: Vec<Attempt>) -> Error {
    Error::DriverNotFound { tried: tried.into() }
}
