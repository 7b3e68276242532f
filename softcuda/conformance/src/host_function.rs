//! Host functions: closures that the driver runs on its own thread, and a gate to stop them at.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::code::Code;
use crate::driver::{Driver, Handle};
use crate::slots::LIMIT;
use crate::structs::HostParameters;

type Work = Box<dyn FnOnce() + Send>;
type Repeated = Box<dyn Fn() + Send + Sync>;

/// Enqueues `work` on `stream`.
pub(crate) fn enqueue(driver: &Driver, stream: Handle, work: impl FnOnce() + Send + 'static) -> Code {
    let work: Box<Work> = Box::new(Box::new(work));
    let user = Box::into_raw(work);
    let code = driver.cuLaunchHostFunc(stream, Some(run), user.cast());
    if !code.is_success() {
        // SAFETY: made by `Box::into_raw` above; a call that was refused keeps nothing.
        drop(unsafe { Box::from_raw(user) });
    }
    code
}

extern "C" fn run(user: *mut c_void) {
    // SAFETY: `enqueue` made it by `Box::into_raw`, and the driver runs a host function once.
    let work = unsafe { Box::from_raw(user.cast::<Work>()) };
    // A panic must not reach the driver. The probe sees that the function's effect is missing.
    let _ = catch_unwind(AssertUnwindSafe(work));
}

/// What a host function that may run many times gets: never freed, since a graph may run it at any time.
pub(crate) fn repeated(work: impl Fn() + Send + Sync + 'static) -> HostParameters {
    let work: Repeated = Box::new(work);
    let work: &'static Repeated = Box::leak(Box::new(work));
    HostParameters { function: Some(run_again), user: std::ptr::from_ref(work).cast_mut().cast() }
}

/// Enqueues `work` on `stream`, which may capture it.
pub(crate) fn enqueue_repeated(driver: &Driver, stream: Handle, work: impl Fn() + Send + Sync + 'static) -> Code {
    let HostParameters { function, user } = repeated(work);
    driver.cuLaunchHostFunc(stream, function, user)
}

extern "C" fn run_again(user: *mut c_void) {
    // SAFETY: `repeated` leaked it, and nobody has it but by shared reference.
    let work = unsafe { &*user.cast::<Repeated>() };
    // A panic must not reach the driver. The probe sees that the function's effect is missing.
    let _ = catch_unwind(AssertUnwindSafe(work));
}

/// A host function waits here until it is opened, at most as long as a hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Waits; false if it was not opened in time.
    pub(crate) fn pass(&self) -> bool {
        let open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = self.0.1.wait_timeout_while(open, LIMIT, |open| !*open);
        *passed.unwrap_or_else(PoisonError::into_inner).0
    }
}
