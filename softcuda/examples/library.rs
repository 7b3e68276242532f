//! Writes the software driver to a file: `library folder/libcuda.so`. Programs in any language run on it
//! with `LD_LIBRARY_PATH=folder`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: library FILE");
        return ExitCode::from(2);
    };
    match softcuda::write_library(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}
