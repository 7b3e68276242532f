//! The functions for green contexts.

use std::ffi::c_void;

use super::super::abi::{Argument, In, InOut, Out};
use super::super::calls::Function;
use super::super::codes::Code;
use super::super::entry::{self, driver_api};
use super::super::handle::{Handle, RawHandle};
use super::super::resource::Resource;
use super::super::{green, resource, stream};
use super::memory::OF_MEMORY;
use super::{Address, OTHERS};

driver_api! {
    OF_GREEN_CONTEXTS from OTHERS.len() + OF_MEMORY.len();

    /// What a device has of a kind of resources.
    cuDeviceGetDevResource(device: i32, resource: Out<Resource>, kind: u32)
        => resource::get(device, resource, kind);

    /// Parts of a device's multiprocessors.
    cuDevSmResourceSplitByCount(
        parts: *mut c_void, count: InOut<u32>, whole: In<Resource>, rest: Option<Out<Resource>>, uses: u32, fewest: u32,
    ) => {
        // SAFETY: the caller passed null, or room for as many resources as the count says.
        unsafe { resource::split(parts.cast(), count, whole, rest, uses, fewest) }
    };

    /// What a green context is made from.
    cuDevResourceGenerateDesc(descriptor: Out<RawHandle>, resources: *mut c_void, count: u32) => {
        // SAFETY: the caller passed null, or so many resources.
        unsafe { resource::describe(descriptor, resources.cast_const().cast(), count) }
    };

    /// Creates a green context.
    cuGreenCtxCreate(green: Out<RawHandle>, descriptor: Handle, device: i32, flags: u32)
        => green::create(green, descriptor, device, flags);

    /// Destroys a green context; its streams are to be destroyed too.
    cuGreenCtxDestroy(green: Handle) => green::destroy(green);

    /// A green context as other functions take it.
    cuCtxFromGreenCtx(context: Out<RawHandle>, green: Handle) => green::context(context, green);

    /// Creates a stream in a green context.
    cuGreenCtxStreamCreate(stream: Out<RawHandle>, green: Handle, flags: u32, priority: i32)
        => stream::create_green(stream, green, flags, priority);

    /// A stream's green context, or null.
    cuStreamGetGreenCtx(stream: Handle, green: Out<RawHandle>) => stream::green_context(stream, green);

    /// A stream's context, and its green context or null.
    cuStreamGetCtx_v2(stream: Handle, context: Option<Out<RawHandle>>, green: Option<Out<RawHandle>>)
        => stream::contexts(stream, context, green);
}
