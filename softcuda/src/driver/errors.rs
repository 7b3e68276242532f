//! `cuGetErrorName` and `cuGetErrorString`.

use std::ffi::{CStr, c_char};
use std::ptr;

use super::abi::Out;
use super::codes::{self, Code, Outcome};

pub(super) fn name(code: Code, out: Out<*const c_char>) -> Outcome {
    answer(codes::name(code), out)
}

pub(super) fn text(code: Code, out: Out<*const c_char>) -> Outcome {
    answer(codes::text(code), out)
}

fn answer(found: Option<&'static CStr>, out: Out<*const c_char>) -> Outcome {
    out.set(found.map_or(ptr::null(), CStr::as_ptr));
    found.map(drop).ok_or(codes::INVALID_VALUE)
}
