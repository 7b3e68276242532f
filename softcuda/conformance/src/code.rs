//! Result codes as the driver returned them: numbers, also those that no header names.

/// What a driver function returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Code(pub(crate) u32);

impl Code {
    pub(crate) const SUCCESS: Self = Self(0);
    pub(crate) const NOT_READY: Self = Self(600);
    /// No code of any driver: the library does not export the function.
    pub(crate) const MISSING: Self = Self(u32::MAX);

    pub(crate) fn is_success(self) -> bool {
        self == Self::SUCCESS
    }
}
