//! `cuGetErrorName` and `cuGetErrorString`.

use std::ffi::{CStr, c_char};
use std::ptr;

use super::abi::Out;
use super::codes::{self, Code, Outcome};
use super::version;

pub(super) fn name(code: Code, out: Out<*const c_char>) -> Outcome {
    answer(code, codes::name(code), out)
}

pub(super) fn text(code: Code, out: Out<*const c_char>) -> Outcome {
    answer(code, codes::text(code), out)
}

fn answer(code: Code, found: Option<&'static CStr>, out: Out<*const c_char>) -> Outcome {
    let found = found.filter(|_| version::get().knows(code));
    out.set(found.map_or(ptr::null(), CStr::as_ptr));
    found.map(drop).ok_or(codes::INVALID_VALUE)
}
