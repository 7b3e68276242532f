//! The software driver as a file, for programs in any language.

use std::io;
use std::path::Path;

use crate::library;

/// Writes the software driver to a file. A program that finds it as `libcuda.so`, or as `libcuda.so.1`,
/// runs on it: `LD_LIBRARY_PATH=folder program`. `SOFTCUDA_MODE`, `SOFTCUDA_PAGEABLE`, `SOFTCUDA_SCHEDULE`,
/// `SOFTCUDA_REPORTS` and `SOFTCUDA_DEVICE` steer it there, and `SOFTCUDA_VERSION`, but that it has all functions.
/// `SOFTCUDA`, `SOFTCUDA_EXPECT` and `SOFTCUDA_WITHOUT` do not: whoever opens the file has chosen.
///
/// ```
/// let path = std::env::temp_dir().join(format!("libcuda-{}.so", std::process::id()));
/// softcuda::write_library(&path)?;
/// assert!(std::fs::metadata(&path)?.len() > 0);
/// std::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// Those of writing a file; [`io::ErrorKind::Unsupported`] where there is no such library: on systems other
/// than Linux with glibc, and where the driver is bound at link time.
pub fn write_library(path: impl AsRef<Path>) -> io::Result<()> {
    let image = library::image().ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "there is no library of the software driver"))?;
    std::fs::write(path, image)
}
