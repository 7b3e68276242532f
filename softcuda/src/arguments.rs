//! What a kernel is launched with: the shape of the grid and the values of the parameters.

use std::slice;

use crate::raw::{ParamKind, RawLaunch};

/// The grid and the scalar parameters of a launch.
///
/// The accessors take a parameter's index, counted from 0 over all parameters, pointers included.
/// They panic if there is no such parameter, or if it is of another size or class: in a twin that
/// ends the launch in `CUDA_ERROR_LAUNCH_FAILED`, and the message on standard error names the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    kernel: &'a str,
    kinds: &'a [ParamKind],
    values: &'a [u64],
    grid: [u32; 3],
    block: [u32; 3],
    shared_bytes: u32,
}

impl<'a> Arguments<'a> {
    /// # Safety
    ///
    /// `launch` is what the driver gave to a twin, `params` included, and the call into the twin
    /// outlives `'a`.
    pub(crate) unsafe fn of(kernel: &'a str, kinds: &'a [ParamKind], launch: &'a RawLaunch) -> Self {
        let values = if launch.param_count == 0 {
            &[]
        } else {
            // SAFETY: the driver gives `param_count` values that live as long as the call.
            unsafe { slice::from_raw_parts(launch.params, launch.param_count) }
        };
        Self { kernel, kinds, values, grid: launch.grid, block: launch.block, shared_bytes: launch.shared_bytes }
    }

    /// The kernel's name.
    #[must_use]
    pub fn kernel(&self) -> &str {
        self.kernel
    }

    /// Blocks in x, y, z.
    #[must_use]
    pub fn grid(&self) -> [u32; 3] {
        self.grid
    }

    /// Threads of a block in x, y, z.
    #[must_use]
    pub fn block(&self) -> [u32; 3] {
        self.block
    }

    /// Threads of the whole grid.
    #[must_use]
    pub fn threads(&self) -> u64 {
        self.grid.iter().chain(&self.block).map(|&extent| u64::from(extent)).product()
    }

    /// Dynamic shared memory of a block, in bytes.
    #[must_use]
    pub fn shared_bytes(&self) -> u32 {
        self.shared_bytes
    }

    /// Checks that a parameter is a pointer.
    pub(crate) fn expect_pointer(&self, index: usize) {
        self.value(index, ParamKind::Pointer);
    }

    /// The bits of a parameter of that kind.
    fn value(&self, index: usize, kind: ParamKind) -> u64 {
        let (kernel, count) = (self.kernel, self.kinds.len());
        match self.kinds.get(index).zip(self.values.get(index)) {
            Some((&actual, &value)) if actual == kind => value,
            Some((actual, _)) => panic!("kernel {kernel}: parameter {index} is {actual:?}, not {kind:?}"),
            None => panic!("kernel {kernel}: there is no parameter {index}, only {count} parameters"),
        }
    }
}

macro_rules! scalars {
    ($($name:ident: $kind:ident;)*) => {
        impl Arguments<'_> {
            $(
                #[doc = concat!("The parameter `index`, declared as [`ParamKind::", stringify!($kind), "`].")]
                ///
                /// # Panics
                ///
                /// If there is no such parameter, or if it is of another kind.
                #[must_use]
                pub fn $name(&self, index: usize) -> $name {
                    let bytes = self.value(index, ParamKind::$kind).to_le_bytes();
                    $name::from_le_bytes(*bytes.first_chunk().expect("no scalar has more than 8 bytes"))
                }
            )*
        }
    };
}

scalars! {
    u8: Int8;
    i8: Int8;
    u16: Int16;
    i16: Int16;
    u32: Int32;
    i32: Int32;
    u64: Int64;
    i64: Int64;
    f32: F32;
    f64: F64;
}
