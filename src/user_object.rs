//! What a graph holds besides its nodes: dropped once the graph, its clones and what was instantiated from them are
//! gone, and no launch of them is under way.

use std::ffi::{c_uint, c_void};
use std::ptr;

use crate::context::Context;
use crate::driver::{Answer, CUgraph, CUuserObject};
use crate::error::{Error, Result};
use crate::exceptions::HostFunction;
use crate::guard::Kept;
use crate::owners;

/// What the driver has the address of.
struct Held {
    kept: Option<Kept>,
    context: Context,
}

/// Has the graph and everything made of it keep something alive. It is dropped when they are gone: never on a thread of
/// the driver's, and so that it ends no capture. On an error it is dropped now.
///
/// # Safety
///
/// The graph lives, and nobody but this function uses it at the same time.
pub(crate) unsafe fn attach(context: Context, graph: CUgraph, kept: impl Send + 'static) -> Result<()> {
    // SAFETY: the caller's contract.
    unsafe { attach_or_return(context, graph, Box::new(kept)) }.map_err(|(kept, error)| {
        owners::drop_now(context, kept);
        error
    })
}

/// The same; on an error it comes back.
///
/// # Safety
///
/// As for [`attach`].
pub(crate) unsafe fn attach_or_return(context: Context, graph: CUgraph, kept: Kept) -> Result<(), (Kept, Error)> {
    /// The destructor may run at any time, on any thread: the only kind that there is.
    const NO_DESTRUCTOR_SYNC: c_uint = 1;
    /// The graph takes the reference over that the creation gives.
    const MOVE: c_uint = 1;

    let driver = context.driver();
    let _current = match context.enter() {
        Ok(current) => current,
        Err(error) => return Err((kept, error)),
    };
    let data = Box::into_raw(Box::new(Held { kept: Some(kept), context }));
    let mut object: CUuserObject = ptr::null_mut();
    // SAFETY: the out pointer is a live local; `data` is what `destroy` takes, and it is called once.
    let created = unsafe { driver.cuUserObjectCreate(&raw mut object, data.cast(), Some(destroy), 1, NO_DESTRUCTOR_SYNC) };
    if !created.is_ok() {
        // SAFETY: nobody else has it: there is no object.
        let held = unsafe { Box::from_raw(data) };
        return returned(context, created, held.kept);
    }
    // SAFETY: the graph lives, and nobody else uses it, says the caller; the object was created just now.
    let retained = unsafe { driver.cuGraphRetainUserObject(graph, object, 1, MOVE) };
    if !retained.is_ok() {
        // SAFETY: the destructor has not run: the reference of the creation is still there, and nobody else has one.
        let refused = unsafe { (*data).kept.take() };
        // SAFETY: that reference, which nobody uses from now on.
        let released = unsafe { driver.cuUserObjectRelease(object, 1) };
        // Refused, an empty box is leaked.
        let _ = released;
        return returned(context, retained, refused);
    }
    Ok(())
}

/// What is refused with this answer.
fn returned(context: Context, answer: Answer, kept: Option<Kept>) -> Result<(), (Kept, Error)> {
    context.check(answer).map_err(|error| (kept.unwrap_or_else(|| Box::new(())), error))
}

/// The last reference is gone. Inside a call of the driver's, or on a thread of its own: it must not call the driver, and
/// only queues.
unsafe extern "C" fn destroy(data: *mut c_void) {
    let _inside = HostFunction::enter();
    // SAFETY: made by `attach`, and the driver calls this once.
    let Held { kept, context } = *unsafe { Box::from_raw(data.cast::<Held>()) };
    if let Some(kept) = kept {
        owners::drop_later(context, kept);
    }
}
