//! How arguments cross the C boundary: the only place where a caller's pointers become references.

use std::ffi::{CStr, c_char, c_void};
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use super::codes::{self, Outcome};

/// A type that a driver function takes, and what it looks like to C.
pub trait Argument: Sized {
    /// The C type.
    type Abi;

    /// Takes the argument over.
    ///
    /// # Safety
    ///
    /// `abi` is what the documentation of the driver function asks for: a pointer is null or valid during the call.
    ///
    /// # Errors
    ///
    /// `INVALID_VALUE` for a null pointer where one is needed.
    unsafe fn accept(abi: Self::Abi) -> Outcome<Self>;
}

/// Types that are the same on both sides.
macro_rules! as_is {
    ($($type:ty),+) => {
        $(
            impl Argument for $type {
                type Abi = Self;

                unsafe fn accept(abi: Self) -> Outcome<Self> {
                    Ok(abi)
                }
            }
        )+
    };
}

as_is!(u8, u16, i32, u32, u64, usize, *const c_void, *mut c_void, *mut c_char, *mut *mut c_void, Option<HostFunction>, Option<Callback>);

/// A function of the caller that runs in stream order.
pub type HostFunction = unsafe extern "C" fn(*mut c_void);

/// The same, which is told the stream as the caller has named it, and a result code.
pub type Callback = unsafe extern "C" fn(*mut c_void, u32, *mut c_void);

/// A place of the caller for a result. A pointer and no reference: one call may get the same place twice.
pub struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Writes the result.
    pub(super) fn set(self, value: T) {
        // SAFETY: whoever called `accept` promised a place for a `T` during the call that this belongs to.
        unsafe { self.0.write(value) };
    }
}

impl<T> fmt::Debug for Out<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Out").field(&self.0).finish()
    }
}

/// A value of the caller's that a result replaces.
#[derive(Debug)]
pub struct InOut<T>(NonNull<T>);

impl<T: Copy> InOut<T> {
    pub(super) fn get(&self) -> T {
        // SAFETY: whoever called `accept` promised a value there during the call that this belongs to.
        unsafe { self.0.read() }
    }

    pub(super) fn set(self, value: T) {
        // SAFETY: as above; the place of a value takes one.
        unsafe { self.0.write(value) };
    }
}

impl<T> Argument for InOut<T> {
    type Abi = *mut T;

    unsafe fn accept(abi: *mut T) -> Outcome<Self> {
        NonNull::new(abi).map(InOut).ok_or(codes::INVALID_VALUE)
    }
}

/// A value of the caller's that is passed by its address.
#[derive(Clone, Copy, Debug)]
pub struct In<T>(T);

impl<T: Copy> In<T> {
    pub(super) fn get(self) -> T {
        self.0
    }
}

impl<T: Copy> Argument for In<T> {
    type Abi = *const T;

    unsafe fn accept(abi: *const T) -> Outcome<Self> {
        if abi.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        // SAFETY: whoever called promised a value there.
        Ok(Self(unsafe { abi.read() }))
    }
}

impl<T> Argument for Option<Out<T>> {
    type Abi = *mut T;

    unsafe fn accept(abi: *mut T) -> Outcome<Self> {
        Ok(NonNull::new(abi).map(Out))
    }
}

impl<T> Argument for Out<T> {
    type Abi = *mut T;

    unsafe fn accept(abi: *mut T) -> Outcome<Self> {
        NonNull::new(abi).map(Out).ok_or(codes::INVALID_VALUE)
    }
}

/// A caller's array of characters for a name.
#[derive(Debug)]
pub struct Text<'call>(&'call mut [MaybeUninit<u8>]);

impl Text<'_> {
    /// `length` characters at `start`.
    ///
    /// # Safety
    ///
    /// `start` is null or valid for writes of `length` bytes during the call.
    pub(super) unsafe fn new(start: *mut c_char, length: i32) -> Outcome<Self> {
        let length = usize::try_from(length).map_err(|_| codes::INVALID_VALUE)?;
        if start.is_null() || length == 0 {
            return Err(codes::INVALID_VALUE);
        }
        // SAFETY: the caller promised `length` bytes, and `MaybeUninit` asks nothing of what they hold.
        Ok(Self(unsafe { std::slice::from_raw_parts_mut(start.cast(), length) }))
    }

    /// Writes all of `text` and a NUL, or nothing.
    pub(super) fn set_all(self, text: &str) -> Outcome {
        if text.len() >= self.0.len() {
            return Err(codes::INVALID_VALUE);
        }
        self.set(text);
        Ok(())
    }

    /// Writes as much of `text` as fits, and a NUL.
    pub(super) fn set(self, text: &str) {
        let ends = self.0.len() - 1;
        for (place, byte) in self.0.iter_mut().zip(text.bytes().take(ends).chain([0])) {
            place.write(byte);
        }
    }
}

impl Argument for &CStr {
    type Abi = *const c_char;

    unsafe fn accept(abi: *const c_char) -> Outcome<Self> {
        if abi.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        // SAFETY: the caller passed a string that ends in NUL and stays during the call.
        Ok(unsafe { CStr::from_ptr(abi) })
    }
}
