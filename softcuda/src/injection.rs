//! Failures on demand: a driver call that answers a code of the test's choice.

use std::cell::RefCell;
use std::ffi::CString;
use std::marker::PhantomData;

use crate::control::{calls, function_name, required};
use crate::functions::ControlFunctions;

thread_local! {
    /// What the guards of this thread stand for. The driver can only forget all injections of a
    /// thread at once: those of the other guards are then made anew.
    static ACTIVE: RefCell<Vec<Request>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
struct Request {
    id: u64,
    call: CString,
    code: u32,
    /// Which call of that function by this thread, counted from the first that it ever made.
    number: u64,
}

/// Makes the next call of a driver function by this thread answer `code` without doing anything,
/// once.
///
/// [`Injection::after`] lets calls pass first. Any code will do, also one that no driver has. The
/// injection lasts as long as the guard: `let _failure = inject(…)`.
///
/// # Panics
///
/// If the driver has no such function, also because it was asked to lack it, or if the software driver
/// does not run.
///
/// # Example
///
/// ```
/// # softcuda::install()?;
/// // The third cuEventRecord from here on answers CUDA_ERROR_LAUNCH_FAILED.
/// let failure = softcuda::inject("cuEventRecord", 719).after(2);
/// // …
/// drop(failure);
/// # Ok::<(), String>(())
/// ```
pub fn inject(call: &str, code: u32) -> Injection {
    let driver = required();
    let name = function_name(call);
    // SAFETY: the name is a C string and lives during the call.
    let refused = unsafe { (driver.softcuda_inject)(name.as_ptr(), code, 0) };
    assert_eq!(refused, 0, "the software driver does not implement {call}");
    let number = calls(call);
    let id = ACTIVE.with_borrow_mut(|active| {
        let id = active.last().map_or(0, |last| last.id + 1);
        active.push(Request { id, call: name, code, number });
        id
    });
    Injection { id, _thread: PhantomData }
}

/// A failure to come; see [`inject`]. Dropped, it does not come any more.
#[derive(Debug)]
#[must_use = "the failure is taken back when this is dropped"]
pub struct Injection {
    id: u64,
    /// Belongs to the thread that made it.
    _thread: PhantomData<*const ()>,
}

impl Injection {
    /// Lets the next `calls` calls of the function pass, and fails the one that follows.
    pub fn after(self, calls: u64) -> Self {
        ACTIVE.with_borrow_mut(|active| {
            if let Some(request) = active.iter_mut().find(|request| request.id == self.id) {
                request.number += calls;
            }
        });
        renew(required());
        self
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        // The list is gone while the thread ends, and so are its injections.
        let _ = ACTIVE.try_with(|active| {
            active.borrow_mut().retain(|request| request.id != self.id);
            renew(required());
        });
    }
}

/// Tells the driver what this thread's guards stand for, as far as it is still to come.
fn renew(driver: &ControlFunctions) {
    // SAFETY: the function takes nothing and may be called at any time.
    unsafe { (driver.softcuda_clear_injections)() };
    ACTIVE.with_borrow(|active| {
        for request in active {
            // SAFETY: the name is a C string and lives during the call.
            let made = unsafe { (driver.softcuda_calls)(request.call.as_ptr()) };
            if let Some(after) = request.number.checked_sub(made) {
                // SAFETY: as above.
                unsafe { (driver.softcuda_inject)(request.call.as_ptr(), request.code, after) };
            }
        }
    });
}
