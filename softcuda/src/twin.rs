//! The two functions that the driver calls for a registered kernel.

use std::ffi::{CString, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{fmt, ptr};

use crate::accesses::Accesses;
use crate::arguments::Arguments;
use crate::launch::Launch;
use crate::raw::{DECLARE_FAILED, ParamKind, RawAccess, RawKernel, RawLaunch};

/// `CUDA_ERROR_LAUNCH_FAILED`
const LAUNCH_FAILED: u32 = 719;

pub(crate) type Declare = Box<dyn Fn(&Arguments<'_>, &mut Accesses<'_>) + Send + Sync>;
pub(crate) type Run = Box<dyn Fn(&Launch<'_>) + Send + Sync>;

/// A kernel as it is registered with the driver.
pub(crate) struct Twin {
    name: CString,
    params: Vec<ParamKind>,
    declare: Declare,
    run: Run,
}

impl fmt::Debug for Twin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twin").field("name", &self.name).field("params", &self.params).finish_non_exhaustive()
    }
}

impl Twin {
    pub(crate) fn new(name: CString, params: Vec<ParamKind>, declare: Declare, run: Run) -> Self {
        Self { name, params, declare, run }
    }

    pub(crate) fn params(&self) -> &[ParamKind] {
        &self.params
    }

    /// What the driver is told of a twin that lives until the process ends.
    pub(crate) fn raw(&'static self) -> RawKernel {
        RawKernel {
            name: self.name.as_ptr(),
            param_count: self.params.len(),
            params: self.params.as_ptr(),
            user: ptr::from_ref(self).cast(),
            declare: declare_launch,
            run: run_launch,
        }
    }

    /// Writes the ranges that a launch touches, answers how many.
    ///
    /// # Safety
    ///
    /// The driver passed these arguments to [`declare_launch`].
    unsafe fn declare(&self, launch: &RawLaunch, out: *mut RawAccess) -> usize {
        // SAFETY: the launch is the driver's.
        let arguments = unsafe { self.arguments(launch) };
        let declared = catch_unwind(AssertUnwindSafe(|| {
            let mut accesses = Accesses::of(&arguments);
            (self.declare)(&arguments, &mut accesses);
            accesses.into_list()
        }));
        let Ok(list) = declared else {
            return DECLARE_FAILED;
        };
        // SAFETY: the driver gives room for a range of each parameter, and the list has one of each at most.
        unsafe { out.copy_from_nonoverlapping(list.as_ptr(), list.len()) };
        list.len()
    }

    /// Runs the whole grid, answers the code that it ends in.
    ///
    /// # Safety
    ///
    /// The driver passed this launch to [`run_launch`].
    unsafe fn run(&self, launch: &RawLaunch) -> u32 {
        // SAFETY: the launch is the driver's.
        let arguments = unsafe { self.arguments(launch) };
        // SAFETY: as above.
        let launch = unsafe { Launch::of(arguments, launch) };
        match catch_unwind(AssertUnwindSafe(|| (self.run)(&launch))) {
            Ok(()) => launch.failure(),
            Err(_) => LAUNCH_FAILED,
        }
    }

    /// # Safety
    ///
    /// The launch is the driver's, and the call that it was passed to outlives `'a`.
    unsafe fn arguments<'a>(&'a self, launch: &'a RawLaunch) -> Arguments<'a> {
        // SAFETY: the caller's promise.
        unsafe { Arguments::of(self.name.to_str().unwrap_or_default(), &self.params, launch) }
    }
}

/// [`DeclareFn`](crate::raw::DeclareFn) of every twin.
unsafe extern "C" fn declare_launch(user: *const c_void, launch: *const RawLaunch, out: *mut RawAccess) -> usize {
    // SAFETY: the driver passes what `Twin::raw` gave it with this function.
    let twin = unsafe { &*user.cast::<Twin>() };
    // SAFETY: the driver passes a launch that is valid during the call.
    let launch = unsafe { &*launch };
    // SAFETY: these are the driver's arguments.
    unsafe { twin.declare(launch, out) }
}

/// [`RunFn`](crate::raw::RunFn) of every twin.
unsafe extern "C" fn run_launch(user: *const c_void, launch: *const RawLaunch) -> u32 {
    // SAFETY: the driver passes what `Twin::raw` gave it with this function.
    let twin = unsafe { &*user.cast::<Twin>() };
    // SAFETY: the driver passes a launch that is valid during the call.
    let launch = unsafe { &*launch };
    // SAFETY: this is the driver's launch.
    unsafe { twin.run(launch) }
}
