//! The driver's control functions: one list, found by name in the loaded library or bound at link time.

use std::ffi::c_void;

use crate::options::Machine;
use crate::raw::{self, CONTROL_VERSION};

macro_rules! control_functions {
    ($($(#[$doc:meta])* $name:ident: $function:ty;)*) => {
        /// The control functions of the software driver, by their exported names.
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct ControlFunctions {
            $($(#[$doc])* pub(crate) $name: $function,)*
        }

        impl ControlFunctions {
            /// The functions of a driver, each found by its name.
            ///
            /// # Safety
            ///
            /// What `find` answers is the address of the software driver's function of that name,
            /// for as long as the result is used.
            unsafe fn find(find: impl Fn(&str) -> Option<*const c_void>) -> Result<Self, String> {
                let find = |name| find(name).ok_or_else(|| format!("the software driver has no {name}"));
                Ok(Self {
                    $($name: {
                        let address = find(stringify!($name))?;
                        // SAFETY: the caller answers for the function behind the address, and the driver
                        // defines it by the same type.
                        unsafe { std::mem::transmute::<*const c_void, $function>(address) }
                    },)*
                })
            }
        }
    };
}

control_functions! {
    /// The driver's `CONTROL_VERSION`.
    softcuda_version: raw::VersionFn;
    /// Makes a later call of this thread or of its scope answer a code. 0 for a function that does not
    /// exist, or a number for the next.
    softcuda_inject: raw::InjectFn;
    /// Forgets an injection.
    softcuda_take_back: raw::TakeBackFn;
    /// Calls made by this thread, of one function or (null) of all.
    softcuda_calls: raw::CallsFn;
    /// Adds a kernel twin. 1 if another of that name is there.
    softcuda_register_kernel: raw::RegisterKernelFn;
    /// How many objects of a kind a scope has.
    softcuda_live: raw::LiveFn;
    /// Chooses how every call answers. 1 if there is no such mode.
    softcuda_set_mode: raw::SetModeFn;
    /// Chooses how pageable memory is copied. 1 if there is no such way.
    softcuda_set_pageable: raw::SetPageableFn;
    /// Chooses the CUDA version and the kind of devices. 1 if there is no such version or kind.
    softcuda_set_machine: raw::SetMachineFn;
    /// Tells of an access by the calling thread.
    softcuda_host_access: raw::HostAccessFn;
    /// Number of reports of a scope.
    softcuda_report_count: raw::ReportCountFn;
    /// Copies a report of a scope, returns the length of its text.
    softcuda_report: raw::ReportFn;
    /// Forgets the first reports of a scope.
    softcuda_forget_reports: raw::ForgetReportsFn;
    /// The scope of this thread.
    softcuda_scope: raw::ScopeFn;
    /// Puts this thread into a new scope.
    softcuda_begin_scope: raw::BeginScopeFn;
    /// Puts this thread into a scope. 1 if it has ended.
    softcuda_join_scope: raw::JoinScopeFn;
    /// Lets a scope know what another knows. 1 if the first has ended.
    softcuda_learn_from: raw::LearnFromFn;
    /// Takes this thread out of a scope.
    softcuda_leave_scope: raw::LeaveScopeFn;
    /// Gives a scope a schedule. 1 if there is no such schedule.
    softcuda_set_schedule: raw::SetScheduleFn;
}

impl ControlFunctions {
    /// The functions of a driver that was built with this crate.
    ///
    /// # Safety
    ///
    /// What `find` answers is the address of the software driver's function of that name, for as
    /// long as the result is used.
    pub(crate) unsafe fn of_driver(find: impl Fn(&str) -> Option<*const c_void>) -> Result<Self, String> {
        // SAFETY: the caller's promise.
        let functions = unsafe { Self::find(find) }?;
        // SAFETY: the function takes nothing and answers a constant.
        let version = unsafe { (functions.softcuda_version)() };
        if version != CONTROL_VERSION {
            return Err(format!("the software driver has control version {version}, this crate has {CONTROL_VERSION}"));
        }
        Ok(functions)
    }

    /// Tells the driver what it is.
    pub(crate) fn set_machine(&self, machine: &Machine) -> Result<(), String> {
        // SAFETY: the function takes numbers and may be called at any time.
        let refused = unsafe { (self.softcuda_set_machine)(machine.version, machine.device) };
        if refused == 0 { Ok(()) } else { Err("the software driver knows no such version or device".to_owned()) }
    }
}
