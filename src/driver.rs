//! The driver: found at run time, initialised once, called through a table of C functions.
//!
//! This folder is the only place that names `cudarc::driver::sys`. Result codes stay integers
//! from the C function to [`Error`]: a code that an enum lacks would be undefined behaviour.

mod loader;
mod table;

use std::ffi::c_int;

use once_cell::sync::OnceCell;

use crate::error::{Error, ErrorCode, Result};
pub(crate) use table::{CUctx, CUdevice, CUevent, CUstream, CUuuid, Driver};

/// What a driver function answered: its result code and its name.
#[derive(Clone, Copy)]
#[must_use]
pub(crate) struct Answer {
    call: &'static str,
    code: u32,
}

impl Answer {
    /// The result of a function that the loaded driver does not export. No driver answers it.
    const MISSING: u32 = u32::MAX;

    /// `Err` for every code but success.
    #[inline]
    pub(crate) fn ok(self) -> Result<()> {
        if self.code == 0 { Ok(()) } else { Err(self.error()) }
    }

    /// The code, unless it is success.
    #[inline]
    pub(crate) fn code(self) -> Option<ErrorCode> {
        ErrorCode::new(self.code)
    }

    #[inline]
    pub(crate) fn is_ok(self) -> bool {
        self.code == 0
    }

    /// The name of the function.
    pub(crate) fn call(self) -> &'static str {
        self.call
    }

    /// The error for this answer, which must not be success.
    #[cold]
    pub(crate) fn error(self) -> Error {
        match ErrorCode::new(self.code) {
            Some(code) if self.code != Self::MISSING => Error::Driver { call: self.call, code },
            _ => Error::MissingSymbol { symbol: self.call },
        }
    }
}

/// The loaded and initialised driver.
///
/// Success is remembered; failure is not, so that a driver installed or repaired while the process
/// runs is found by the next call.
pub(crate) fn driver() -> Result<&'static Driver> {
    static LOADED: OnceCell<Driver> = OnceCell::new();
    static INITIALISED: OnceCell<&'static Driver> = OnceCell::new();
    INITIALISED
        .get_or_try_init(|| {
            let driver = LOADED.get_or_try_init(|| loader::open().map(|source| Driver::bind(&source)))?;
            // SAFETY: cuInit may be called at any time, any number of times; flags must be 0.
            unsafe { driver.cuInit(0) }.ok()?;
            Ok(driver)
        })
        .copied()
}

/// The newest CUDA version that the installed driver supports, as `(major, minor)`.
///
/// Creates no context.
///
/// # Errors
///
/// [`Error::DriverNotFound`] without a driver; [`Error::Driver`] if it cannot be initialised.
///
/// ```
/// let (major, _minor) = cuda_streams::driver_version()?;
/// assert!(major >= 11);
/// # Ok::<(), cuda_streams::Error>(())
/// ```
#[doc(alias = "cuDriverGetVersion")]
pub fn driver_version() -> Result<(u32, u32)> {
    let mut version: c_int = 0;
    // SAFETY: the out pointer is a live local.
    unsafe { driver()?.cuDriverGetVersion(&raw mut version) }.ok()?;
    let version = version.unsigned_abs();
    Ok((version / 1000, version % 1000 / 10))
}
