//! What a graph holds besides its nodes: given up once the graph, its clones and what was instantiated from them are
//! gone, and no launch of them is under way.

use std::ffi::{c_uint, c_void};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use crate::context::{Context, Relaxed};
use crate::driver::{CUgraph, CUuserObject};
use crate::error::Result;
use crate::exceptions::HostFunction;
use crate::reaper;

/// What is to be done when nothing holds it any more.
type GiveUp = Option<Box<dyn FnOnce() + Send>>;

/// Has `give_up` done, once, when the graph and everything made of it are gone: never on a thread of the driver's, and
/// so that it ends no capture. On an error it is not done but dropped.
///
/// # Safety
///
/// The graph lives, under capture or not, and nobody but this function uses it at the same time.
pub(crate) unsafe fn attach(context: Context, graph: CUgraph, give_up: impl FnOnce() + Send + 'static) -> Result<()> {
    /// The destructor may run at any time, on any thread: the only kind that there is.
    const NO_DESTRUCTOR_SYNC: c_uint = 1;
    /// The graph takes the reference over that the creation gives.
    const MOVE: c_uint = 1;
    /// The driver does not synchronise calls on a graph, and streams of one capture may be of several threads. Taken
    /// around the driver call, which calls nobody back.
    static RETAINING: Mutex<()> = Mutex::new(());

    let driver = context.driver();
    let _current = context.enter()?;
    let give_up = move || {
        let _relaxed = Relaxed::enter(driver);
        give_up();
    };
    let data: *mut GiveUp = Box::into_raw(Box::new(Some(Box::new(give_up))));
    let mut object: CUuserObject = ptr::null_mut();
    // SAFETY: the out pointer is a live local; `data` is what `destroy` takes, and it is called once.
    let created = unsafe { driver.cuUserObjectCreate(&raw mut object, data.cast(), Some(destroy), 1, NO_DESTRUCTOR_SYNC) };
    if !created.is_ok() {
        let _relaxed = Relaxed::beside_captures(driver);
        // SAFETY: nobody else has it: there is no object.
        drop(unsafe { Box::from_raw(data) });
        return context.check(created);
    }
    let retaining = RETAINING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the graph lives, says the caller, and other calls of this function wait; the object was created just now.
    let retained = unsafe { driver.cuGraphRetainUserObject(graph, object, 1, MOVE) };
    drop(retaining);
    if !retained.is_ok() {
        // SAFETY: the destructor has not run: the reference of the creation is still there, and nobody else has one.
        let refused = unsafe { (*data).take() };
        // SAFETY: that reference, which nobody uses from now on.
        let released = unsafe { driver.cuUserObjectRelease(object, 1) };
        // Refused, an empty box is leaked.
        let _ = released;
        let _relaxed = Relaxed::beside_captures(driver);
        drop(refused);
    }
    context.check(retained)
}

/// The last reference is gone. On a thread of the driver's, which must not call the driver: it only queues.
unsafe extern "C" fn destroy(data: *mut c_void) {
    let _inside = HostFunction::enter();
    // SAFETY: made by `attach`, and the driver calls this once.
    let give_up = *unsafe { Box::from_raw(data.cast::<GiveUp>()) };
    if let Some(give_up) = give_up {
        reaper::later(give_up);
    }
}
