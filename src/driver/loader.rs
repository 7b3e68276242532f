//! Finding the driver library.

use std::ffi::{CStr, c_void};
use std::mem::ManuallyDrop;

use libloading::Library;

use crate::error::{Attempt, Error, Result};

/// Where the driver may be, in the order in which it is looked for: the versioned name first, since
/// the plain one may be a link-time stub.
#[cfg(not(windows))]
const CANDIDATES: [&str; 3] = ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "libcuda.so"];
#[cfg(windows)]
const CANDIDATES: [&str; 1] = ["nvcuda.dll"];

/// An open driver.
pub(super) enum Source {
    /// The real one. Never closed: the table points into it.
    Real(ManuallyDrop<Library>),
    /// The software one, which finds its functions itself.
    #[cfg(feature = "software")]
    Software,
}

impl Source {
    /// The address of a driver function.
    pub(super) fn symbol(&self, name: &CStr) -> Option<*const c_void> {
        match self {
            Self::Real(library) => symbol(library, name),
            #[cfg(feature = "software")]
            Self::Software => softcuda::symbol(name),
        }
    }
}

/// Opens the driver.
pub(super) fn open() -> Result<Source> {
    #[cfg(feature = "software")]
    match softcuda::choose() {
        Ok(softcuda::Choice::Real) => {}
        Ok(softcuda::Choice::Software) => return Ok(Source::Software),
        Ok(softcuda::Choice::Nothing) => {
            return Err(not_found(vec![Attempt::new("SOFTCUDA", "it says none".into())]));
        }
        Err(reason) => return Err(not_found(vec![Attempt::new("SOFTCUDA", reason)])),
    }
    open_real()
}

fn open_real() -> Result<Source> {
    let mut tried = Vec::new();
    for name in CANDIDATES {
        // SAFETY: the driver library's initialisers have no requirements of their own.
        match unsafe { Library::new(name) } {
            Ok(library) if symbol(&library, c"cuInit").is_some() => return Ok(Source::Real(ManuallyDrop::new(library))),
            Ok(_) => tried.push(Attempt::new(name, "it exports no cuInit: not a driver".into())),
            Err(error) => tried.push(Attempt::new(name, error.to_string())),
        }
    }
    Err(not_found(tried))
}

fn symbol(library: &Library, name: &CStr) -> Option<*const c_void> {
    // SAFETY: only the address is taken; whoever calls it answers for its type.
    let symbol = unsafe { library.get::<*const c_void>(name.to_bytes_with_nul()) };
    symbol.ok().map(|symbol| *symbol)
}

fn not_found(tried: Vec<Attempt>) -> Error {
    Error::DriverNotFound { tried: tried.into() }
}
