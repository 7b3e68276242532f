//! Opening shared objects by name and looking up addresses in them.

use std::ffi::{c_int, c_void};

use libloading::AsSymbolName;
use libloading::os::unix::Library;

/// Opens the driver of that name or path.
pub(crate) fn dlopen(name: &str, flags: c_int) -> Result<Library, libloading::Error> {
    // SAFETY: the initialisers of a CUDA driver, real or ours, may run at any time.
    unsafe { Library::open(Some(name), flags) }
}

/// The address of a symbol.
pub(crate) fn address<N: AsSymbolName>(library: &Library, name: N) -> Option<*const c_void> {
    // SAFETY: the symbol is used as an address only; callers answer for its type.
    let symbol = unsafe { library.get::<*const c_void>(name) }.ok()?;
    Some(symbol.as_raw_ptr().cast_const())
}
