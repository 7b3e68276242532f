//! The element types that a kernel's memory can be seen as.

/// A number that any bytes are a valid value of.
///
/// Implemented for the integers of 8 to 64 bits, `f32` and `f64`. Sealed: the views that a
/// [`Launch`](crate::Launch) gives are sound for these types only.
pub trait Element: sealed::PlainNumber {}

mod sealed {
    /// No padding, no invalid bit pattern, no drop, no pointer.
    pub trait PlainNumber: Copy + Send + Sync + 'static {}
}

macro_rules! elements {
    ($($number:ty)*) => {
        $(
            impl sealed::PlainNumber for $number {}
            impl Element for $number {}
        )*
    };
}

elements!(u8 i8 u16 i16 u32 i32 u64 i64 f32 f64);
