//! Failures on demand: a driver call that answers a code of the test's choice.

use std::ffi::CString;
use std::marker::PhantomData;

use crate::software::{function_name, required};

/// Makes the next call of a driver function by this thread answer `code` without doing anything,
/// once.
///
/// [`Injection::after`] lets calls pass first, [`Injection::in_scope`] means other threads too. Any code will do, also one that no driver has. The
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
    Injection { id: 0, call: function_name(call), code, after: 0, in_scope: false, _thread: PhantomData }.renewed()
}

/// A failure to come; see [`inject`]. Dropped, it does not come any more.
#[derive(Debug)]
#[must_use = "the failure is taken back when this is dropped"]
pub struct Injection {
    /// The driver's number for it.
    id: u64,
    call: CString,
    code: u32,
    after: u64,
    in_scope: bool,
    /// Belongs to the thread that made it.
    _thread: PhantomData<*const ()>,
}

impl Injection {
    /// Lets the next `calls` calls of the function pass, and fails the one that follows.
    pub fn after(mut self, calls: u64) -> Self {
        self.after += calls;
        self.renewed()
    }

    /// Counts and fails the calls of all threads of the calling thread's [`Scope`](crate::Scope), not only
    /// its own. It does not come after the scope's end.
    pub fn in_scope(mut self) -> Self {
        self.in_scope = true;
        self.renewed()
    }

    /// Tells the driver.
    fn renewed(mut self) -> Self {
        self.take_back();
        // SAFETY: the name is a C string and lives during the call.
        self.id = unsafe { (required().softcuda_inject)(self.call.as_ptr(), self.code, self.after, self.in_scope) };
        assert_ne!(self.id, 0, "the software driver does not implement {:?}", self.call);
        self
    }

    fn take_back(&self) {
        // SAFETY: the function takes a number and may be called at any time.
        unsafe { (required().softcuda_take_back)(self.id) };
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        self.take_back();
    }
}
