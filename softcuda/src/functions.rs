//! The driver's control functions: one list, found by name in the loaded library or bound at link time.

use std::ffi::{c_char, c_void};

use crate::raw::{CONTROL_VERSION, RawKernel};

macro_rules! control_functions {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The control functions of the software driver, by their exported names.
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct ControlFunctions {
            $($(#[$doc])* pub(crate) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
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
                        // SAFETY: the caller answers for the function behind the address and its type.
                        unsafe {
                            std::mem::transmute::<
                                *const c_void,
                                unsafe extern "C" fn($($argument),*) $(-> $result)?,
                            >(address)
                        }
                    },)*
                })
            }
        }
    };
}

control_functions! {
    /// The driver's `CONTROL_VERSION`.
    fn softcuda_version() -> u32;
    /// Makes a later call of this thread answer a code. 1 for a function that does not exist.
    fn softcuda_inject(*const c_char, u32, u64) -> u32;
    /// Forgets the injections of this thread.
    fn softcuda_clear_injections();
    /// Calls made by this thread, of one function or (null) of all.
    fn softcuda_calls(*const c_char) -> u64;
    /// Adds a kernel twin. 1 if another of that name is there.
    fn softcuda_register_kernel(*const RawKernel) -> u32;
    /// How many objects of a kind exist.
    fn softcuda_live(u32) -> u64;
    /// Chooses how every call answers. 1 if there is no such mode.
    fn softcuda_set_mode(u32) -> u32;
    /// Number of reports so far.
    fn softcuda_report_count() -> u64;
    /// Copies the text of a report, returns its length.
    fn softcuda_report(u64, *mut c_char, usize) -> usize;
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
}
