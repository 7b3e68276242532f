//! Opening shared objects by name and looking up addresses in them.

use std::error::Error as _;
use std::ffi::{c_int, c_void};

use libloading::AsSymbolName;
use libloading::os::unix::Library;

/// Opens the driver of that name or path; an error is the loader's own text.
pub(crate) fn dlopen(name: &str, flags: c_int) -> Result<Library, String> {
    // SAFETY: the initialisers of a CUDA driver, real or ours, may run at any time.
    let library = unsafe { Library::open(Some(name), flags) };
    // libloading's error names the call alone, its source has the text.
    library.map_err(|error| error.source().map_or_else(|| error.to_string(), ToString::to_string))
}

/// The address of a symbol.
pub(crate) fn address<N: AsSymbolName>(library: &Library, name: N) -> Option<*const c_void> {
    // SAFETY: the symbol is used as an address only; callers answer for its type.
    let symbol = unsafe { library.get::<*const c_void>(name) }.ok()?;
    Some(symbol.as_raw_ptr().cast_const())
}
