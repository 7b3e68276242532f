//! The driver: found at run time, initialised once, called through a table of C functions.
//!
//! This folder is the only place that names `cudarc::driver::sys`. Result codes stay integers
//! from the C function to [`Error`]: a code that an enum lacks would be undefined behaviour.

mod loader;
mod refusal;
mod table;

use std::ffi::c_int;

use once_cell::sync::OnceCell;

use crate::error::{Error, ErrorCode, Result};
use crate::exceptions;
use crate::exit;
use crate::fork;
pub(crate) use refusal::Watch;
pub(crate) use table::{
    CUDA_HOST_NODE_PARAMS, CUcontext, CUdevice, CUdeviceptr, CUevent, CUgraph, CUgraphExec, CUgraphNode, CUipcEventHandle, CUipcMemHandle,
    CUstream, CUuserObject, CUuuid, Driver,
};

/// What a driver function answered: its result code and its name.
#[derive(Clone, Copy)]
#[must_use]
pub(crate) struct Answer {
    /// By one more reference, so that an answer fits in two registers.
    call: &'static &'static str,
    code: u32,
}

impl Answer {
    /// `Err` for every code but success.
    #[inline]
    pub(crate) fn ok(self) -> Result<()> {
        if self.is_ok() { Ok(()) } else { Err(self.error()) }
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
        self.note();
        match self.code() {
            Some(code) if !self.is_missing() => Error::Driver { call: self.call(), code },
            _ => Error::MissingSymbol { symbol: self.call() },
        }
    }

    /// Keeps what a capture may have died of, for the [`Watch`] of this thread. Part of [`error`](Self::error), for
    /// answers that become another error.
    #[cold]
    pub(crate) fn note(self) {
        if let Some(code) = self.code() {
            refusal::note(self.call(), code);
        }
    }

    /// Whether nobody answered: the driver has no such function.
    fn is_missing(self) -> bool {
        self.code == table::MISSING && LOADED.get().is_some_and(|driver| driver.lacks(self.call()))
    }
}

/// The driver library, once one is found that is more than a stub.
static LOADED: OnceCell<Driver> = OnceCell::new();

/// The loaded driver, initialised or not. To be called within a [`fork::Use`].
fn loaded() -> Result<&'static Driver> {
    LOADED.get_or_try_init(loader::open)
}

/// The loaded and initialised driver.
///
/// Success is remembered; failure is not, so that a driver installed or repaired while the process
/// runs is found by the next call.
///
/// [`Error::ForkedChild`] in a child of a process that has come here.
pub(crate) fn driver() -> Result<&'static Driver> {
    static INITIALISED: OnceCell<&'static Driver> = OnceCell::new();
    if let Some(driver) = INITIALISED.get() {
        return exceptions::check().map(|()| *driver);
    }
    let first_use = fork::Use::begin()?;
    let driver = INITIALISED.get_or_try_init(|| {
        let driver = loaded()?;
        // SAFETY: cuInit may be called at any time, any number of times; flags must be 0.
        unsafe { driver.cuInit(0) }.ok()?;
        exit::watch();
        Ok(driver)
    })?;
    first_use.keep();
    Ok(driver)
}

impl Driver {
    /// 13000 for CUDA 13.0. Initialises nothing.
    fn version(&self) -> Result<c_int> {
        let mut version: c_int = 0;
        // SAFETY: the out pointer is a live local.
        unsafe { self.cuDriverGetVersion(&raw mut version) }.ok()?;
        Ok(version)
    }
}

/// The newest CUDA version that the installed driver supports, as `(major, minor)`.
///
/// Creates no context, and answers also where the driver cannot be initialised.
///
/// # Errors
///
/// [`Error::DriverNotFound`] without a driver; [`Error::Driver`] as the driver answers.
///
/// ```
/// let (major, _minor) = cuda_streams::driver_version()?;
/// assert!(major >= 11);
/// # Ok::<(), cuda_streams::Error>(())
/// ```
#[doc(alias = "cuDriverGetVersion")]
pub fn driver_version() -> Result<(u32, u32)> {
    let _in_use = fork::Use::begin()?;
    let version = loaded()?.version()?.unsigned_abs();
    Ok((version / 1000, version % 1000 / 10))
}
