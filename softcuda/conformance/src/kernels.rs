//! The probes' kernels: the module of device 0's primary context and the launches.

use std::ffi::{CStr, c_void};
use std::time::Duration;

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::twins;

/// The PTX text, as a C string.
pub(crate) const TEXT: &CStr = {
    let bytes = concat!(include_str!("kernels.ptx"), "\0").as_bytes();
    match CStr::from_bytes_with_nul(bytes) {
        Ok(text) => text,
        Err(_) => panic!("the PTX text has no zero byte"),
    }
};

/// Blocks and threads of a launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) shared_bytes: u32,
}

impl Shape {
    pub(crate) const ONE_THREAD: Self = Self { grid: [1; 3], block: [1; 3], shared_bytes: 0 };
}

/// The functions of the module.
#[derive(Debug)]
pub(crate) struct Kernels {
    pub(crate) module: Handle,
    hold: Handle,
    pub(crate) fill: Handle,
    pub(crate) count: Handle,
    pub(crate) pack: Handle,
    pub(crate) fault: Handle,
}

impl Kernels {
    /// Loads the module into the current context, and registers the twins.
    pub(crate) fn load(driver: &Driver) -> Result<Self, String> {
        twins::register();
        let mut module = Handle::NULL;
        let code = driver.cuModuleLoadData(Some(&mut module), TEXT.as_ptr().cast());
        if !code.is_success() {
            return Err(format!("cuModuleLoadData answers {}", driver.code_name(code)));
        }
        let function = |name: &CStr| {
            let mut function = Handle::NULL;
            match driver.cuModuleGetFunction(Some(&mut function), module, name.as_ptr()) {
                Code::SUCCESS => Ok(function),
                code => Err(format!("kernel {name:?}: {}", driver.code_name(code))),
            }
        };
        Ok(Self {
            module,
            hold: function(c"hold")?,
            fill: function(c"fill")?,
            count: function(c"count")?,
            pack: function(c"pack")?,
            fault: function(c"fault")?,
        })
    }

    /// Launches the kernel that holds `stream`, by the words at `words`.
    pub(crate) fn hold(&self, driver: &Driver, words: *mut c_void, limit: Duration, stream: Handle) -> Code {
        let words = words as u64;
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let parameters = [(&raw const words).cast(), (&raw const limit).cast()];
        launch(driver, self.hold, Shape::ONE_THREAD, stream, &parameters)
    }

    /// Launches the kernel that writes `value` to the word at `to`.
    pub(crate) fn fill(&self, driver: &Driver, to: u64, value: u32, stream: Handle) -> Code {
        self.fill_shaped(driver, to, value, Shape::ONE_THREAD, stream)
    }

    /// The same with a shape of its own.
    pub(crate) fn fill_shaped(&self, driver: &Driver, to: u64, value: u32, shape: Shape, stream: Handle) -> Code {
        let parameters = [(&raw const to).cast(), (&raw const value).cast()];
        launch(driver, self.fill, shape, stream, &parameters)
    }
}

/// Launches `function` with pointers to its parameters.
pub(crate) fn launch(driver: &Driver, function: Handle, shape: Shape, stream: Handle, parameters: &[*const c_void]) -> Code {
    let Shape { grid, block, shared_bytes } = shape;
    driver.cuLaunchKernel(
        function,
        grid[0],
        grid[1],
        grid[2],
        block[0],
        block[1],
        block[2],
        shared_bytes,
        stream,
        parameters.as_ptr(),
        std::ptr::null(),
    )
}
